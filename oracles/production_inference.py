#!/usr/bin/env python3
"""Writes crates/inkling/tests/data/production/*.png: small segments' maps by the rules of the networks'
publishers, with the small checkpoints of published_files.py.

    oracles/production_inference.py

`canonical` is the way of ResNet3D, TimeSformer and I3D, `flat` that of the hybrid: windows of layers, grids,
normalisation, weights, validity and grey levels are written down anew here, in NumPy and PyTorch.
"""
import itertools
import pathlib

import numpy as np
import torch
from PIL import Image

import published_networks

ROOT = pathlib.Path(__file__).parent.parent / "crates"
FILES = ROOT / "model" / "tests" / "data" / "published"
DATA = ROOT / "inkling" / "tests" / "data" / "production"


def segment(depth, height, width):
    """8-bit voxels, (z, y, x), with holes, a bare corner, and a row that is bare in some layers only."""
    z, y, x = np.meshgrid(np.arange(depth), np.arange(height), np.arange(width), indexing="ij")
    voxels = (z * 73 + y * 151 + x * 211 + (y * x) % 97 * 13 + (z * y) % 31 * 7 + (z * x) % 17 * 5) % 251 + 4
    voxels[(y < height // 3) & (x > 2 * width // 3)] = 0
    voxels[(y % 29 == 3) & (x % 5 == 1)] = 0
    voxels[(y == height // 2) & (z % 2 == 0)] = 0
    return voxels.astype(np.uint8)


def origins(length, tile, stride):
    last = max(length - tile, 0)
    starts = list(range(0, last + 1, stride))
    return starts if starts[-1] == last else [*starts, last]


def probabilities(network, patch, size):
    with torch.inference_mode():
        logits = network(torch.from_numpy(np.ascontiguousarray(patch, dtype=np.float32))[None])
    return logits.numpy()[0, :size[0], :size[1]]


class Lightning:
    """The ResNet3D; logits a quarter of the patch, whose probabilities are enlarged."""

    def __init__(self):
        state = torch.load(FILES / "lightning.ckpt", weights_only=False)["state_dict"]
        state = {name.removeprefix("model."): value for name, value in state.items() if "fc." not in name and "aux_head" not in name}
        self.network = published_networks.make({"approach": "resnet3d", "resnet3d": dict(blocks=[1, 1, 1, 1], width=2, decoder="3d", input_norm="batch")})
        self.network.load_state_dict(state)
        self.network.eval()

    def __call__(self, volume):
        logits = self.network.decoder(self.network.volume_maps(volume))
        return torch.nn.functional.interpolate(logits.sigmoid(), size=volume.shape[-2:], mode="bilinear", align_corners=False)[:, 0]


class Hybrid:
    def __init__(self):
        self.network = published_networks.make({"approach": "hybrid", "hybrid": dict(features=[4, 8], blocks=[1, 2], stem=4)})
        self.network.load_state_dict(torch.load(FILES / "hybrid.pth", weights_only=False)["ema_model"])
        self.network.eval()

    def __call__(self, volume):
        return self.network(volume).sigmoid()


def canonical(network, volume, depth, tile, stride, divisor, reverse=False):
    first = (len(volume) - depth) // 2
    layers = volume[first:first + depth]
    if reverse:
        layers = volume[::-1][first:first + depth]
    _, height, width = layers.shape
    line = np.hanning(tile)
    weight = np.outer(line, line)
    weight = (weight / weight.sum()).astype(np.float32)
    above, below = np.zeros((2, height, width), np.float32)
    for y, x in itertools.product(origins(height, tile, stride), origins(width, tile, stride)):
        window = layers[:, y:y + tile, x:x + tile]
        valid = (window != 0).any(0).astype(np.float32)
        if not valid.any():
            continue
        patch = np.clip(window, 0, 200).astype(np.float32) / divisor
        p = probabilities(network, patch, (tile, tile))
        above[y:y + tile, x:x + tile] += p * weight * valid
        below[y:y + tile, x:x + tile] += weight * valid
    quotient = np.clip(above / np.maximum(below, 1e-6), 0, 1)
    return (quotient * 255).astype(np.uint8)


def robust_mad(patch, upper):
    patch = patch.astype(np.float32)
    deviation = patch.std()
    low, high = np.percentile(patch, [1, upper])
    clipped = np.clip(patch, low, high)
    middle = np.median(clipped)
    scale = 1.4826 * np.median(np.abs(clipped - middle))
    if not scale >= 1e-6:
        scale = deviation if deviation >= 1e-6 else ((high - low) / 2 if high - low >= 2e-6 else 1)
    return np.nan_to_num((clipped - middle) / scale)


def flat(network, volume, depth, tile, stride, upper, mirror=False):
    found = len(volume)
    layers = volume[found // 2 - depth // 2:][:depth] if found > depth else volume
    _, height, width = layers.shape
    line = torch.hann_window(tile, periodic=False)
    weight = torch.outer(line, line)
    weight = (weight / weight.max()).clamp(min=0.001).numpy()
    above, below = np.zeros((2, height, width), np.float32)
    before = (depth - len(layers)) // 2
    for y, x in itertools.product(origins(height, tile, stride), origins(width, tile, stride)):
        window = layers[:, y:y + tile, x:x + tile]
        if not window.any():
            continue
        rows, columns = window.shape[1:]
        patch = np.zeros((depth, tile, tile), np.float32)
        patch[before:before + len(layers), :rows, :columns] = window
        patch = robust_mad(patch, upper)
        flips = [(), (1,), (2,), (1, 2)] if mirror else [()]
        p = np.mean([np.flip(probabilities(network, np.flip(patch, axes), (tile, tile)), [a - 1 for a in axes]) for axes in flips], 0)
        above[y:y + rows, x:x + columns] += p[:rows, :columns] * weight[:rows, :columns]
        below[y:y + rows, x:x + columns] += weight[:rows, :columns]
    quotient = np.divide(above, below, out=above, where=below > 1e-6)
    return (np.clip(quotient, 0, 1) * 255).astype(np.uint8)


def main():
    torch.set_num_threads(2)
    DATA.mkdir(parents=True, exist_ok=True)
    resnet, hybrid = Lightning(), Hybrid()
    large, small = segment(65, 100, 130), segment(28, 75, 90)
    maps = {
        "canonical": canonical(resnet, large, 62, 64, 32, 200),
        "canonical-reverse": canonical(resnet, large, 62, 64, 32, 200, reverse=True),
        "flat": flat(hybrid, small, 17, 32, 16, 98.5),
        "flat-mirror": flat(hybrid, small, 17, 32, 16, 98.5, mirror=True),
        "flat-smaller-than-a-tile": flat(hybrid, segment(28, 20, 40), 17, 32, 16, 98.5),
        "flat-few-layers": flat(hybrid, segment(12, 40, 50), 17, 32, 16, 98.5),
    }
    for name, levels in maps.items():
        print(name, levels.shape, levels.min(), levels.max(), round(float(levels.std()), 1))
        Image.fromarray(levels).save(DATA / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
