#!/usr/bin/env python3
"""Proves that ONNX files of `inkling export --format onnx` are the networks that they were made from.

    oracles/check_onnx.py target/release/inkling [NAME ...]

For an encoder of each family and for each approach and published network, a network with seeded weights
(seeded_weights.py) is exported, checked by ONNX's own checker with its inference of shapes, and run by ONNX
Runtime. Its logits must be those of `inkling forward`, and PyTorch's, to 1e-4 of their spread. Prints a
Markdown table; exit code 1 when something does not fit.
"""
import pathlib
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
import torch

import bench_approaches
import check_export
import seeded_weights
from model_reference import make
from program import figures, forward

TOLERANCE = 1e-4
# Small volumes: what is shown is that operations are the same, at any size.
SMALL = {
    "hybrid": dict(image=64, depth=17),
    "resnet3d, 50": dict(image=32, depth=16, resnet3d=dict(layers=50)),
    "timesformer": dict(image=32, depth=8),
    "i3d": dict(image=32, depth=16),
}


def cases():
    """Settings of networks by name; the encoders' are windows of three layers of six."""
    for encoder, size in check_export.CASES.items():
        chosen = check_export.settings(encoder, size)
        plain = {key: value for key, value in chosen.items() if key not in ("image_size", "dropout")}
        yield encoder, dict(plain, image=size)
    for name, case in bench_approaches.CASES.items():
        if name not in ("2d-agg", "resnet3d, 152, 3d decoder"):
            yield name, {**case, **SMALL.get(name, dict(image=64))}


def check(binary, name, case, folder):
    network = make(case).eval()
    size = (1, case["depth"], case["image"], case["image"])
    volume = torch.from_numpy(seeded_weights.tensor("input", (int(np.prod(size)),)).reshape(size) * 5)
    bench_approaches.write_case(folder, case, network, volume)
    written = folder / "network.onnx"
    told = figures(binary, "export", folder / "weights.safetensors", "--format", "onnx", "--out", written)
    model = onnx.load(written)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(written, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"volume": volume.numpy()})

    forward(binary, folder)
    ours = np.load(folder / "out.npy")
    with torch.inference_mode():
        theirs = network(volume).numpy()
    errors = [float(np.abs(found - other).max() / theirs.std()) for other in (ours, theirs)]
    passed = all(error < TOLERANCE for error in errors)
    nodes, size = sum(told["onnx"]["operators"].values()), written.stat().st_size >> 20
    print(f"| {name} | {nodes} | {size} MiB | {errors[0]:.1e} | {errors[1]:.1e} | {'yes' if passed else 'NO'} |", flush=True)
    return passed


if __name__ == "__main__":
    binary = pathlib.Path(sys.argv[1]).resolve()
    print("| network | nodes | file | against inkling forward | against PyTorch | passes |")
    print("| --- | --- | --- | --- | --- | --- |", flush=True)
    results = []
    for name, case in cases():
        if sys.argv[2:] and name not in sys.argv[2:]:
            continue
        with tempfile.TemporaryDirectory() as folder:
            results.append(check(binary, name, case, pathlib.Path(folder)))
    sys.exit(0 if results and all(results) else 1)
