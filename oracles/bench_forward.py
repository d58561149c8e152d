#!/usr/bin/env python3
"""Times `inkling forward` on the processor beside PyTorch (eager f32 and bf16 autocast) and ONNX
Runtime: the same weights, one window, the same number of threads, in turn within one run.

    pip install torch timm segmentation_models_pytorch safetensors onnx onnxruntime numpy
    oracles/bench_forward.py target/release/inkling [--threads 2] [--rounds 5] [ENCODER:SIZE ...]

Prints a Markdown table of medians and ratios, our time by theirs. Without onnxruntime its column
stays empty. Peak memory is that of our whole process, weights and all.
"""
import argparse
import json
import pathlib
import resource
import statistics
import subprocess
import tempfile
import time

import numpy as np
import torch
from safetensors.torch import save_file

from check_networks import randomise
from model_reference import Network

CASES = [
    "maxvit_rmlp_base_rw_384:384",
    "convnextv2_atto:384",
    "swinv2_tiny_window8_256:256",
    "caformer_s18:384",
    "eva02_tiny_patch14_336:336",
]
WINDOW = 3
DECODER = [256, 128, 64]


def seconds(run):
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def session(network, volume, folder, threads):
    """ONNX Runtime's, or None where it is not installed or the network does not export."""
    try:
        import onnxruntime

        torch.onnx.export(network, (volume,), str(folder / "network.onnx"), dynamo=False)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        made = onnxruntime.InferenceSession(str(folder / "network.onnx"), options, providers=["CPUExecutionProvider"])
    except Exception as problem:
        print(f"no ONNX Runtime: {str(problem).splitlines()[0][:150]}", flush=True)
        return None
    name = made.get_inputs()[0].name
    return lambda: made.run(None, {name: volume.numpy()})


def ours(binary, folder, threads, repeat):
    command = [binary, "forward", "--model", folder / "recipe.toml", "--weights", folder / "weights.safetensors"]
    command += ["--input", folder / "in.npy", "--output", folder / "out.npy", "--force", "--json", "-q"]
    command += ["--threads", str(threads), "--repeat", str(repeat), "--device", "flex"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["seconds"]


def bench(binary, encoder, size, threads, rounds):
    network = Network(encoder, size, WINDOW, WINDOW, DECODER).eval()
    randomise(network)
    volume = torch.randn(1, WINDOW, size, size, generator=torch.Generator().manual_seed(1))
    times = {"f32": [], "bf16": [], "onnx": [], "ours": []}
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        folder = pathlib.Path(folder)
        save_file({k: v.contiguous() for k, v in network.state_dict().items()}, folder / "weights.safetensors")
        (folder / "recipe.toml").write_text(
            f'[model]\nencoder = "{encoder}"\nimage_size = {size}\ndepth = {WINDOW}\nwindow = {WINDOW}\ndecoder = {DECODER}\n'
        )
        np.save(folder / "in.npy", np.ascontiguousarray(volume.permute(0, 2, 3, 1)[:, None].numpy()))
        expected = network(volume)
        onnx = session(network, volume, folder, threads)
        for _ in range(rounds):
            times["ours"].append(ours(binary, folder, threads, 3))
            network(volume)
            times["f32"].append(seconds(lambda: network(volume)))
            with torch.autocast("cpu", torch.bfloat16):
                network(volume)
                times["bf16"].append(seconds(lambda: network(volume)))
            if onnx:
                onnx()
                times["onnx"].append(seconds(onnx))
        found = torch.from_numpy(np.load(folder / "out.npy"))
    error = float((found - expected).abs().max() / expected.std())
    medians = {name: statistics.median(values) if values else float("nan") for name, values in times.items()}
    own = medians["ours"]
    theirs = " | ".join(f"{medians[name]:.3f} s ({own / medians[name]:.2f})" for name in ("f32", "bf16", "onnx"))
    print(f"| {encoder} | {size} | {own:.3f} s | {theirs} | {error:.0e} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("cases", nargs="*", default=CASES)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    flags = parser.parse_args()
    torch.set_num_threads(flags.threads)
    print("| encoder | px | ours | PyTorch f32 | PyTorch bf16 | ONNX Runtime | error |\n| --- | --- | --- | --- | --- | --- | --- |")
    for case in flags.cases or CASES:
        encoder, size = case.split(":")
        bench(flags.binary, encoder, int(size), flags.threads, flags.rounds)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"\nlargest process of ours: {peak:.0f} MiB (PyTorch's own: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB)")
