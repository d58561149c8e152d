#!/usr/bin/env python3
"""Compares `inkling forward` with PyTorch + timm at full size, and prints a table.

    pip install torch timm segmentation_models_pytorch safetensors numpy
    oracles/check_networks.py target/release/inkling [ENCODER:SIZE ...]

Weights are drawn by torch with a spread that keeps activations alive; non-persistent buffers, which
no weights file holds, stay as timm computes them. A network passes when its logits lie within 1e-4
of their spread from PyTorch's f32, or no further from PyTorch's f64 than twice what PyTorch's own
f32 does. Exit code 1 when one does not pass.
"""
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
from safetensors.torch import save_file

from model_reference import Network

SIZES = (256, 384)
ENCODERS = [f"maxvit_rmlp_{size}" for size in ("pico_rw_256", "nano_rw_256", "tiny_rw_256", "small_rw_256", "base_rw_384")]
DEPTH, WINDOW = 6, 3


def randomise(network):
    generator = torch.Generator().manual_seed(0)

    def normal(shape):
        return torch.randn(shape, generator=generator)

    with torch.no_grad():
        for name, value in network.state_dict().items():
            if not value.is_floating_point():
                continue
            if name.endswith("running_var"):
                value.copy_(torch.rand(value.shape, generator=generator) * 0.5 + 0.75)
            elif value.ndim <= 1:
                centre = 1.0 if name.endswith(("weight", "gamma")) else 0.0
                value.copy_(centre + 0.1 * normal(value.shape))
            else:
                value.copy_(normal(value.shape) * 1.2 / value[0].numel() ** 0.5)


def recipe(encoder, size):
    return (
        f'[model]\nencoder = "{encoder}"\nimage_size = {size}\ndepth = {DEPTH}\nwindow = {WINDOW}\n'
        "decoder = [256, 128, 64]\n"
    )


def ours(binary, network, volume, encoder, size):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        save_file({k: v.contiguous() for k, v in network.state_dict().items()}, folder / "weights.safetensors")
        (folder / "recipe.toml").write_text(recipe(encoder, size))
        np.save(folder / "in.npy", np.ascontiguousarray(volume.permute(0, 2, 3, 1)[:, None].numpy()))
        command = [binary, "forward", "--model", folder / "recipe.toml", "--weights", folder / "weights.safetensors"]
        subprocess.run([*command, "--input", folder / "in.npy", "--output", folder / "out.npy", "-q"], check=True)
        return torch.from_numpy(np.load(folder / "out.npy"))


def check(binary, encoder, size):
    network = Network(encoder, size, DEPTH, WINDOW).eval()
    randomise(network)
    volume = torch.randn(1, DEPTH, size, size, generator=torch.Generator().manual_seed(1))
    found = ours(binary, network, volume, encoder, size).double()
    with torch.inference_mode():
        single = network(volume).double()
        double = network.double()(volume.double())
    spread = double.std()
    error = float((found - single).abs().max() / spread)
    exact = float((found - double).abs().max() / spread)
    theirs = float((single - double).abs().max() / spread)
    passed = error < 1e-4 or exact < 2 * theirs
    print(f"| {encoder} | {size} | {error:.1e} | {exact:.1e} | {theirs:.1e} | {'yes' if passed else 'NO'} |", flush=True)
    return passed


if __name__ == "__main__":
    binary = sys.argv[1]
    cases = [case.split(":") for case in sys.argv[2:]] or [(e, s) for e in ENCODERS for s in SIZES]
    print("| encoder | image | ours − f32 | ours − f64 | PyTorch f32 − f64 | passes |\n| --- | --- | --- | --- | --- | --- |")
    results = [check(binary, encoder, int(size)) for encoder, size in cases]
    sys.exit(0 if all(results) else 1)
