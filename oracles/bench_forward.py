#!/usr/bin/env python3
"""Times `inkling forward` on the processor, in f32, bf16 and int8, beside PyTorch (eager f32, compiled f32 and
eager bf16 autocast), ONNX Runtime (f32, and int8 by its dynamic quantisation of matrix products) and OpenVINO: the same
weights, one window, the same number of threads, in turn within one run.

    oracles/bench_forward.py target/release/inkling [--threads 2] [--rounds 5] [--hold avx2] [ENCODER:SIZE ...]

Prints four Markdown tables: medians and ratios in f32, our time by theirs; in bf16 and int8; errors by the spread of PyTorch's
f32 logits, and the most memory that a process of its own ever held; and, of our f32 passes, the share of the time
that each operation took and the share of the processor's peak that its products reached. A peer that is not installed or does not take
the network has an empty column. `--hold` keeps our kernels, PyTorch's and oneDNN's to the instructions of older
processors; ONNX Runtime and OpenVINO cannot be held and are then left out, as is bf16, which those processors do
not have. Our int8 is then AVX-VNNI's, which the newer of them have.
"""
import argparse
import pathlib
import statistics
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import torch
from safetensors.torch import load_file

from check_networks import randomise
from model_reference import Network
from program import forward, hold, median_seconds, own_peak, write_patch

CASES = [
    "maxvit_rmlp_base_rw_384:384",
    "convnextv2_atto:384",
    "swinv2_tiny_window8_256:256",
    "caformer_s18:384",
    "eva02_tiny_patch14_336:336",
]
WINDOW = 3
# Passes of one round, of which the median counts.
REPEAT = 9
DECODER = [256, 128, 64]


def compiled(network, volume, folder, threads):
    made = torch.compile(network)
    made(volume)
    return lambda: made(volume)


def exported(network, volume, folder):
    path = folder / "network.onnx"
    if not path.exists():
        torch.onnx.export(network, (volume,), str(path), dynamo=False)
    return str(path)


def onnx_runtime(network, volume, folder, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    made = onnxruntime.InferenceSession(exported(network, volume, folder), options, providers=["CPUExecutionProvider"])
    name = made.get_inputs()[0].name
    return lambda: made.run(None, {name: volume.numpy()})


def onnx_runtime_int8(network, volume, folder, threads):
    import onnxruntime
    from onnxruntime.quantization import QuantType, quantize_dynamic

    rounded = folder / "int8.onnx"
    quantize_dynamic(exported(network, volume, folder), rounded, ["MatMul"], per_channel=True, weight_type=QuantType.QInt8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    made = onnxruntime.InferenceSession(str(rounded), options, providers=["CPUExecutionProvider"])
    name = made.get_inputs()[0].name
    return lambda: made.run(None, {name: volume.numpy()})


def openvino(network, volume, folder, threads):
    import openvino

    # Without the hint it takes bf16 where the processor has it.
    hints = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    made = openvino.Core().compile_model(exported(network, volume, folder), "CPU", hints)
    request = made.create_infer_request()
    return lambda: request.infer([volume.numpy()])


# What a network is timed with in f32, beside PyTorch as it is.
PEERS = {"compiled": compiled, "ONNX Runtime": onnx_runtime, "OpenVINO": openvino}
OTHERS = {"ONNX Runtime int8": onnx_runtime_int8}


def peer(name, *arguments):
    """A pass of the peer, or None where it is not installed or does not take the network."""
    if flags.hold and name != "compiled":
        return None
    try:
        return (PEERS | OTHERS)[name](*arguments)
    except Exception as problem:
        print(f"no {name}: {str(problem).splitlines()[0][:150]}", file=sys.stderr, flush=True)
        return None


def ours(binary, folder, threads, repeat, precision):
    words = ["--threads", threads, "--repeat", repeat, "--device", "flex", "--precision", precision]
    return forward(binary, folder, *words, output=f"{precision}.npy")


def operations(binary, folder, threads):
    """Rows of operation, share of the time, share of the peak, of those that take a twentieth or more."""
    words = ["--threads", threads, "--repeat", REPEAT, "--device", "flex", "--profile"]
    found = forward(binary, folder, *words, output="profiled.npy")["profile"]
    whole = sum(row["seconds"] for row in found)
    cells = []
    for row in found:
        if row["seconds"] >= whole / 20:
            share = f"{100 * row['seconds'] / whole:.0f} %"
            pace = row["share_of_peak"]
            cells.append(f"{row['operation']} {share}" + (f" at {pace:.2f}" if pace else ""))
    return "; ".join(cells)


def peak(folder, encoder, size, threads):
    """Bytes that a process of PyTorch's holds at most while it loads the weights and passes thrice."""
    command = [sys.executable, __file__, "-", f"{encoder}:{size}", "--peak-in", str(folder), "--threads", str(threads)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def print_peak(folder, case):
    encoder, size = case.split(":")
    network = Network(encoder, int(size), WINDOW, WINDOW, decoder=DECODER).eval()
    network.load_state_dict(load_file(folder / "weights.safetensors"))
    volume = torch.from_numpy(np.load(folder / "in.npy")[:, 0]).permute(0, 3, 1, 2)
    with torch.inference_mode():
        for _ in range(3):
            network(volume)
    print(own_peak())


def bench(binary, encoder, size, threads, rounds):
    """The rows of the four tables, the first of which is printed."""
    network = Network(encoder, size, WINDOW, WINDOW, decoder=DECODER).eval()
    volume = torch.randn(1, WINDOW, size, size, generator=torch.Generator().manual_seed(1))
    network = randomise(network, volume)
    times = {name: [] for name in ("f32", "bf16", "our f32", "our bf16", "our int8", *PEERS, *OTHERS)}
    precisions = ("f32", "int8") if flags.hold else ("f32", "int8", "bf16")
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        folder = pathlib.Path(folder)
        model = dict(encoder=encoder, image_size=size, depth=WINDOW, window=WINDOW, decoder=DECODER)
        write_patch(folder, model, network, volume)
        expected = network(volume)
        peers = {name: peer(name, network, volume, folder, threads) for name in PEERS | OTHERS}
        memory = 0
        for _ in range(rounds):
            for precision in precisions:
                figures = ours(binary, folder, threads, REPEAT, precision)
                times[f"our {precision}"].append(figures["seconds"])
                if precision == "f32":
                    memory = max(memory, figures["resident_bytes"])
            network(volume)
            times["f32"].append(median_seconds(lambda: network(volume), REPEAT))
            if "bf16" in precisions:
                with torch.autocast("cpu", torch.bfloat16):
                    rough = network(volume)
                    times["bf16"].append(median_seconds(lambda: network(volume), REPEAT))
            for name, forward_pass in peers.items():
                if forward_pass:
                    forward_pass()
                    times[name].append(median_seconds(forward_pass, REPEAT))
        found = [torch.from_numpy(np.load(folder / f"{precision}.npy")) for precision in precisions]
        theirs = peak(folder, encoder, size, threads)
        third = f"| {encoder} | {operations(binary, folder, threads)} |"
    if "bf16" in precisions:
        found.append(rough)
    error = [float((logits.float() - expected).abs().max() / expected.std()) for logits in found]
    medians = {name: statistics.median(values) if values else float("nan") for name, values in times.items()}

    def beside(name, own):
        return f"{medians[name]:.3f} s ({medians[own] / medians[name]:.2f})" if times[name] else "–"

    cells = [f"{medians['our f32']:.3f} s", *(beside(name, "our f32") for name in ("f32", *PEERS))]
    first = f"| {encoder} | {size} | " + " | ".join(cells) + " |"
    cells = [f"{medians['our bf16']:.3f} s" if times["our bf16"] else "–", beside("bf16", "our bf16")]
    cells += [f"{medians['our int8']:.3f} s ({medians['our int8'] / medians['our f32']:.2f})", beside("ONNX Runtime int8", "our int8")]
    narrow = f"| {encoder} | " + " | ".join(cells) + " |"
    errors = " | ".join([f"{value:.0e}" for value in error] + ["–"] * (4 - len(error)))
    second = f"| {encoder} | {errors} | {memory / 2**20:.0f} | {theirs / 2**20:.0f} ({memory / theirs:.2f}) |"
    print(first, flush=True)
    return narrow, second, third


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("cases", nargs="*", default=CASES)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--hold", choices=["avx2"])
    parser.add_argument("--peak-in", type=pathlib.Path, help=argparse.SUPPRESS)
    flags = parser.parse_intermixed_args()
    if flags.hold:
        hold(flags.hold)
    torch.set_num_threads(flags.threads)
    if flags.peak_in:
        print_peak(flags.peak_in, flags.cases[0])
        sys.exit()
    # Of tracing for ONNX.
    warnings.simplefilter("ignore")
    names = " | ".join(f"{name} f32" for name in PEERS)
    print(f"| encoder | px | ours, f32 | PyTorch f32 | {names} |")
    print("| --- " * (4 + len(PEERS)) + "|", flush=True)
    rows = []
    for case in flags.cases or CASES:
        encoder, size = case.split(":")
        rows.append(bench(flags.binary, encoder, int(size), flags.threads, flags.rounds))
    print("\n| encoder | ours, bf16 | PyTorch bf16 | ours, int8 (by our f32) | ONNX Runtime int8 |")
    print("| --- | --- | --- | --- | --- |")
    print("\n".join(narrow for narrow, _, _ in rows))
    print("\n| encoder | error, ours f32 | ours int8 | ours bf16 | PyTorch bf16 | peak memory, MiB | PyTorch's |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    print("\n".join(second for _, second, _ in rows))
    print("\n| encoder | share of the time, and of the peak that products reached |\n| --- | --- |")
    print("\n".join(third for _, _, third in rows))
