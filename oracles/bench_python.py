#!/usr/bin/env python3
"""Times the Python package beside the command line, scipy and albumentations, in one run.

    oracles/bench_python.py [--size 1024] [--rounds 5]

Needs the wheel installed (`pip install ./crates/python`), and PyTorch for the loader.
- `align` of an array in memory from Python, beside the command line's own figures for the same work (fitting and
  summing); `warp` beside the same library without Python on the same array, and scipy's warp;
- `Augment` in PyTorch loaders beside albumentations in the same loader of two worker processes: `SampleBatches`,
  which makes batches on two threads, and `SampleDataset` in two worker processes;
- how long the import takes.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

try:
    import inkling
except ImportError:
    print("skipped: the package is not installed here (pip install ./crates/python)")
    sys.exit()

from bench_augment import CROP, DEPTH, SIDE, pipeline, sheet
from program import bench, figures


def least(work, rounds):
    """Seconds of the fastest of `rounds` calls."""
    best = float("inf")
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best


def alignment(size, rounds):
    from bench_align import scipy_warp

    program = Path(sys.executable).parent / "inkling"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inkling.write_phantom(folder / "1", size=(size, size), seed=3)
        fragment = inkling.open(folder / "1")
        volume, mask = np.asarray(fragment), fragment.mask
        fits, python, warps = [], [], []
        for _ in range(rounds):
            found = figures(program, "align", folder / "1", "--out", folder / "maps", "--force")["1"]["seconds"]
            fits.append(found["summing"] + found["fitting"])
            python.append(least(lambda: inkling.align(volume, mask), 1))
            fitted = inkling.align(volume, mask)
            warps.append(least(lambda: inkling.warp(volume, fitted.z_shift, fitted.z_scale, z=(17, 48)), 1))
        print(f"align of {volume.shape}: Python {min(python):.3f} s, command line without reading {min(fits):.3f} s, "
              f"ratio {min(python) / min(fits):.2f}")
        _, theirs = scipy_warp(volume, (fitted.z_shift, fitted.z_scale), 17, 31, folder)
        print(f"warp of {volume.shape} to 31 layers: Python {min(warps):.3f} s, scipy {theirs:.2f} s, "
              f"{theirs / min(warps):.0f} times as long")


def warped_in_memory():
    """The volume and the maps of the library's own bench, in turn with it."""
    z, y, x = np.ogrid[:65, :1024, :1024]
    volume = (((z * 73_856_093) ^ (y * 19_349_663) ^ (x * 83_492_791)) % 60_000).astype(np.uint16)
    shift = (3 * (np.sin(y[0] / 90) + np.cos(x[0] / 130))).astype(np.float32)
    warp = partial(inkling.warp, volume, shift, np.full(shift.shape, 1.02, np.float32), z=(17, 48))
    out = np.zeros((31, *shift.shape), np.uint16)
    ours, allocating, library = [], [], []
    for _ in range(3):
        library.append(bench("inkling-align", "warp"))
        ours.append(least(lambda: warp(out=out), 40))
        allocating.append(least(warp, 40))
    for what, found, key in (("memory that is there", ours, "seconds"), ("new memory", allocating, "allocating_seconds")):
        expected = min(round[key] for round in library)
        print(f"warp of {volume.shape} to 31 layers, into {what}: Python {min(found):.4f} s, the library without Python "
              f"{expected:.4f} s, ratio {min(found) / expected:.2f}")


class Theirs:
    """albumentations' samples of the same sheet, as a dataset."""

    def __init__(self, length):
        self.length = length
        self.voxels, self.mask, self.labels = sheet()
        self.transform = pipeline()

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        import cv2

        cv2.setNumThreads(1)
        y, x = np.random.default_rng(index).integers(0, 900 - CROP, 2)
        cut = np.s_[y:y + CROP, x:x + CROP]
        out = self.transform(image=np.ascontiguousarray(self.voxels[cut][..., 3:21]),
                             masks=[self.mask[cut], self.labels[cut]])
        return np.ascontiguousarray(np.moveaxis(out["image"], 2, 0), dtype=np.float32), np.stack(out["masks"])


def loaders(rounds):
    from torch.utils.data import DataLoader

    from inkling.torch import SampleBatches, SampleDataset

    length = 96
    voxels, mask, labels = sheet()
    ours = inkling.Sheet(np.moveaxis(voxels, 2, 0), mask, labels)
    augment = inkling.Augment(image_size=SIDE, depth=DEPTH, scale=[CROP / SIDE, CROP / SIDE])
    loaders = {
        "batches": DataLoader(SampleBatches([ours], augment, length, batch_size=4), batch_size=None),
        "samples": DataLoader(SampleDataset([ours], augment, length), batch_size=4, num_workers=2,
                              persistent_workers=True),
        "albumentations": DataLoader(Theirs(length), batch_size=4, num_workers=2, persistent_workers=True),
    }
    seconds = {name: [] for name in loaders}
    for _ in range(rounds + 1):
        for name, loader in loaders.items():
            seconds[name].append(least(lambda loader=loader: sum(1 for batch in loader), 1))
    # The first round starts the workers.
    batches, samples, other = (1e3 * min(found[1:]) / length for found in seconds.values())
    print(f"a sample from a loader of two workers: albumentations {other:.1f} ms; ours from two threads "
          f"{batches:.2f} ms, {other / batches:.1f} times as long, from two processes {samples:.2f} ms, "
          f"{other / samples:.1f} times as long")


def imports():
    script = "import time; t = time.perf_counter(); import inkling; print(time.perf_counter() - t)"
    seconds = [float(subprocess.check_output([sys.executable, "-c", script])) for _ in range(9)]
    print(f"import inkling: {1e3 * min(seconds):.0f} ms, median {1e3 * sorted(seconds)[4]:.0f} ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    flags = parser.parse_args()
    print(json.dumps({"build": inkling.build, "threads": os.cpu_count()}))
    imports()
    alignment(flags.size, flags.rounds)
    warped_in_memory()
    loaders(flags.rounds)


if __name__ == "__main__":
    main()
