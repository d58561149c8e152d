#!/usr/bin/env python3
"""Predicts a phantom with `inkling predict` and with a straightforward PyTorch script, in one run: the same
weights, tiles, twelve passes and blending; compares times and images.

    oracles/bench_predict.py target/release/inkling [--encoder convnextv2_atto] [--side 128]
                             [--size 768x640] [--batch 4] [--threads 2] [--hold avx2]

PyTorch makes all twelve passes, batch by batch, as people write it. Exit code 1 when the images lie
further apart than 1e-4, or Python reads another OME-Zarr than the TIFF says.
"""
import argparse
import pathlib
import resource
import sys
import tempfile
import time

import numpy as np
import tifffile
import torch
from PIL import Image
from safetensors.torch import load_file

from model_reference import Network
from predict_reference import window
from program import call, figures, hold, recipe

DEPTH, WINDOW, LAYERS = 18, 3, (20, 44)


def settings(flags):
    return recipe(
        data=dict(fragments=["fragments/1", "fragments/2"], layers=LAYERS),
        model=dict(encoder=flags.encoder, image_size=flags.side, depth=DEPTH, window=WINDOW, decoder=[256, 128, 64]),
        train=dict(epochs=1, batch=1, accumulate=1, samples_per_epoch=2),
    )


def read(fragment):
    paths = sorted((fragment / "surface_volume").glob("*.tif"))[slice(*LAYERS)]
    volume = np.stack([np.asarray(Image.open(path), np.float32) for path in paths])
    # OpenCV's linear resize of the depth: pixel centres aligned, no antialiasing.
    at = ((np.arange(DEPTH) + 0.5) * len(volume) / DEPTH - 0.5).clip(0, len(volume) - 1)
    below = np.floor(at).astype(int).clip(0, len(volume) - 2)
    share = (at - below).astype(np.float32)[:, None, None]
    volume = volume[below] * (1 - share) + volume[below + 1] * share
    return (volume / 65536 - 0.449) / 0.226, np.asarray(Image.open(fragment / "mask.png")) > 0


def twelve(network, batch):
    total = 0
    for flip in [None, [3], [2]]:
        for turns in range(4):
            patch = batch if flip is None else batch.flip(flip)
            map = network(torch.rot90(patch, turns, (2, 3))).sigmoid()
            map = torch.rot90(map, -turns, (1, 2))
            total = total + (map if flip is None else map.flip([flip[0] - 1]))
    return total / 12


def theirs(network, fragment, out, flags, device="cpu", autocast=False):
    """The map, and how many tiles it took."""
    network = network.to(device)
    volume, mask = read(fragment)
    side, step = flags.side, flags.side // 2
    height, width = mask.shape
    reach = lambda size: range(0, max(size - side, 0) + step, step)
    places = [(y, x) for y in reach(height) for x in reach(width) if mask[y : y + side, x : x + side].any()]
    padded = np.full((DEPTH, height + side, width + side), (0 - 0.449) / 0.226, np.float32)
    padded[:, :height, :width] = volume
    weights = window(side).astype(np.float32)
    sums, total = np.zeros(padded.shape[1:], np.float32), np.zeros(padded.shape[1:], np.float32)
    with torch.inference_mode():
        for first in range(0, len(places), flags.batch):
            some = places[first : first + flags.batch]
            batch = torch.from_numpy(np.stack([padded[:, y : y + side, x : x + side] for y, x in some]))
            with torch.autocast(device, torch.bfloat16, autocast):
                maps = twelve(network, batch.to(device)).float().cpu().numpy()
            for (y, x), map in zip(some, maps):
                sums[y : y + side, x : x + side] += weights * map
                total[y : y + side, x : x + side] += weights
    sheet = np.where(mask, sums[:height, :width] / np.maximum(total[:height, :width], 1e-12), 0)
    Image.fromarray((sheet * 255).round().astype(np.uint8)).save(out)
    return sheet, len(places)


def check_zarr(folder, sheet):
    import zarr

    group = zarr.open_group(folder, mode="r")
    scales = group.attrs["multiscales"][0]
    levels = [group[level["path"]] for level in scales["datasets"]]
    assert [axis["name"] for axis in scales["axes"]] == ["z", "y", "x"], scales
    assert levels[0].shape == (1, *sheet.shape), levels[0].shape
    assert np.abs(levels[0][0] / 65535 - sheet).max() < 1 / 65535
    for finer, coarser in zip(levels, levels[1:]):
        assert [-(-size // 2) for size in finer.shape[1:]] == list(coarser.shape[1:]), (finer.shape, coarser.shape)
        assert abs(float(np.mean(finer[0])) - float(np.mean(coarser[0]))) < 700
    return f"{len(levels)} levels read by zarr {zarr.__version__}"


def prepare(binary, work, flags):
    """Phantoms and a run in `work`, and PyTorch's network with the run's weights."""
    call(binary, "synth", work / "fragments", "--fragments", 2, "--size", flags.size, "--seed", 3)
    (work / "recipe.toml").write_text(settings(flags))
    call(binary, "train", "--config", work / "recipe.toml", "--out", work / "run", "--device", "flex")
    network = Network(flags.encoder, flags.side, DEPTH, WINDOW).eval()
    missing, unknown = network.load_state_dict(load_file(work / "run/best.safetensors"), strict=False)
    assert not unknown, unknown
    return network


def clocks(who):
    usage = resource.getrusage(who)
    return np.array([time.perf_counter(), usage.ru_utime + usage.ru_stime])


def main():
    flags = argparse.ArgumentParser()
    flags.add_argument("inkling", type=pathlib.Path)
    flags.add_argument("--encoder", default="convnextv2_atto")
    flags.add_argument("--side", type=int, default=128)
    flags.add_argument("--size", default="768x640")
    flags.add_argument("--batch", type=int, default=4)
    flags.add_argument("--threads", type=int, default=2)
    flags.add_argument("--hold", choices=["avx2"])
    flags = flags.parse_args()
    if flags.hold:
        hold(flags.hold)
    binary = flags.inkling.resolve()
    torch.set_num_threads(flags.threads)
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        network = prepare(binary, work, flags)
        began = clocks(resource.RUSAGE_CHILDREN)
        words = ["--model", work / "run", "--out", work / "out", "--float", "--zarr", "--threads", flags.threads]
        found = figures(binary, "predict", work / "fragments/2", *words)["fragments"][0]
        ours = clocks(resource.RUSAGE_CHILDREN) - began
        began = clocks(resource.RUSAGE_SELF)
        sheet, tiles = theirs(network, work / "fragments/2", work / "theirs.png", flags)
        other = clocks(resource.RUSAGE_SELF) - began
        assert tiles == found["tiles"], (tiles, found["tiles"])
        timings = found["timings"]
        image = tifffile.imread(work / "out/2.tif")
        error = float(np.abs(image - sheet).max())
        levels = check_zarr(work / "out/2.zarr", image)
        print(f"{flags.encoder} at {flags.side} px, {flags.size}, {tiles} tiles, {flags.threads} threads")
        for name, one, two in zip(["whole time", "processor time"], ours, other):
            print(f"{name}: ours {one:.1f} s, PyTorch {two:.1f} s, ratio {one / two:.2f}")
        print(f"everything but the network {100 * (1 - timings['network_share']):.1f} %", timings)
        print(f"largest difference {error:.1e}; OME-Zarr of {levels}")
        sys.exit(0 if error < 1e-4 else 1)


if __name__ == "__main__":
    main()
