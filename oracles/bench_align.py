#!/usr/bin/env python3
"""Depth alignment beside scipy's, on the same fragment in one run.

    oracles/bench_align.py target/release/inkling [--size 1536] [--large 4096] [--folder DIR]

Makes a phantom, then times, on two threads:
- fits: `inkling align` against `scipy.optimize.least_squares` + `interp1d`, per patch (scipy fits
  patches of 256 px of the halved volume one after the other, as the reference solution does);
- the warp of 31 layers: `inkling warp`, which also reads and writes the files, against
  `scipy.ndimage.geometric_transform` with a mapping compiled from C, in memory;
- `inkling align` of a large fragment: the share of the time spent reading, and peak memory.
It also runs `--method reference` and gives its difference from the same two stages by scipy. Needs
a C compiler.
"""

import argparse
import ctypes
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile
from align_reference import fit_both, fit_shift, normalized
from program import ROOT, measured
from scipy import LowLevelCallable
from scipy.interpolate import RegularGridInterpolator, griddata
from scipy.ndimage import geometric_transform
from PIL import Image

PATCH, STEP = 256, 128

MAPPING = r"""
#include <stddef.h>
typedef struct { const float *shift; const float *scale; ptrdiff_t width; double first; } Maps;
int mapping(ptrdiff_t *out, double *in, int out_rank, int in_rank, void *data) {
    const Maps *maps = (const Maps *)data;
    const ptrdiff_t pixel = out[1] * maps->width + out[2];
    in[0] = ((double)out[0] + maps->first - maps->shift[pixel]) / maps->scale[pixel];
    in[1] = (double)out[1];
    in[2] = (double)out[2];
    return 1;
}
"""


class Maps(ctypes.Structure):
    _fields_ = [
        ("shift", ctypes.c_void_p),
        ("scale", ctypes.c_void_p),
        ("width", ctypes.c_ssize_t),
        ("first", ctypes.c_double),
    ]


def compiled_mapping(folder):
    source = folder / "mapping.c"
    source.write_text(MAPPING)
    library = folder / "mapping.so"
    subprocess.run(["cc", "-O3", "-shared", "-fPIC", source, "-o", library], check=True)
    return ctypes.CDLL(str(library)).mapping


def scipy_warp(volume, maps, first, layers, folder):
    shift = np.ascontiguousarray(maps[0], np.float32)
    scale = np.ascontiguousarray(maps[1], np.float32)
    data = Maps(shift.ctypes.data, scale.ctypes.data, volume.shape[2], first)
    function = compiled_mapping(folder)
    pointer = ctypes.cast(ctypes.pointer(data), ctypes.c_void_p)
    function.restype = ctypes.c_int
    function.argtypes = [
        ctypes.POINTER(ctypes.c_ssize_t),
        ctypes.POINTER(ctypes.c_double),
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_void_p,
    ]
    call = LowLevelCallable(function, pointer)
    begin = time.perf_counter()
    out = geometric_transform(
        volume, call, (layers, *volume.shape[1:]), order=1, mode="nearest", prefilter=False
    )
    return out, time.perf_counter() - begin


def scipy_stages(volume, mask, target):
    """Shifts of all patches and the scale, both stages composed; seconds per patch."""
    volume, mask = volume[:, ::2, ::2], mask[::2, ::2]
    whole = volume[:, mask].mean(axis=1)
    goal = normalized(whole)
    down, across = [max(-(-size // STEP) - 1, 1) for size in mask.shape]
    shifts = np.full((down, across), np.nan)
    spent = []
    for row in range(down):
        for column in range(across):
            y, x = row * STEP, column * STEP
            inside = mask[y : y + PATCH, x : x + PATCH]
            if not inside.any():
                continue
            begin = time.perf_counter()
            curve = volume[:, y : y + PATCH, x : x + PATCH][:, inside].mean(axis=1)
            measured = time.perf_counter()
            shifts[row, column] = fit_shift(normalized(curve, whole), goal)
            spent.append((measured - begin, time.perf_counter() - measured))
    return shifts, np.array(spent)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("inkling", type=Path)
    parser.add_argument("--size", type=int, default=1536)
    parser.add_argument("--large", type=int, default=4096)
    parser.add_argument("--folder", type=Path)
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=flags.folder) as folder:
        compare(flags, Path(folder))


def compare(flags, folder):
    inkling = flags.inkling.resolve()
    if flags.large:
        # First, because a child's peak memory is never below its parent's at its start.
        large(inkling, folder, flags.large)
    fragments = folder / "fragments"
    size = f"{flags.size}x{flags.size}"
    measured(inkling, "synth", fragments, "--size", size, "--seed", 3)
    fragment = next(p for p in fragments.iterdir() if p.is_dir())
    layers = sorted((fragment / "surface_volume").glob("*.tif"))
    volume = np.stack([tifffile.imread(path) for path in layers])
    mask = np.array(Image.open(fragment / "mask.png")) > 0
    target = np.loadtxt(ROOT / "crates/fragment/data/target_curve.csv", delimiter=",", skiprows=1)[:, 1]

    command = [inkling, "align", fragment, "--threads", 2, "--out"]
    figures, _, _ = measured(*command, folder / "maps")
    figures = figures[fragment.name]
    ours = figures["seconds"]["fitting"] / figures["patches"]
    shifts, spent = scipy_stages(volume, mask, target)
    theirs = np.median(spent[:, 1])
    print(f"fits: ours {1e3 * ours:.3f} ms a patch ({figures['patches']} patches of 48 px with the "
          f"scale, {figures['seconds']['fitting']:.2f} s), scipy {1e3 * theirs:.1f} ms a patch "
          f"({len(spent)} of 512 px): {theirs / ours:.0f} times faster")

    measured(*command, folder / "reference", "--method", "reference")
    found = json.loads((folder / "reference" / fragment.name / "align.json").read_text())
    report_reference(found, shifts, volume, mask, target)

    maps = [np.load(folder / "maps" / fragment.name / f"{n}.npy") for n in ("z_shift", "z_scale")]
    warped, theirs = scipy_warp(volume, maps, 17, 31, folder)
    command = [inkling, "warp", fragment, "--maps", folder / "maps" / fragment.name, "--z", "17..48"]
    figures, whole, _ = measured(*command, "--out", folder / "warped", "--threads", 2)
    files = sorted((folder / "warped" / "surface_volume").glob("*.tif"))
    difference = np.abs(np.stack([tifffile.imread(p) for p in files]).astype(int) - warped)[:, mask]
    seconds = figures["seconds"]
    voxels = warped.size / 1e6
    print(f"warp of 31 layers: ours {seconds['warping']:.3f} s ({voxels / seconds['warping']:.0f} "
          f"Mvoxel/s; with reading {seconds['reading']:.2f} s and writing {seconds['writing']:.2f} "
          f"s, {whole:.2f} s in all), scipy {theirs:.2f} s ({voxels / theirs:.0f} Mvoxel/s): "
          f"{theirs / seconds['warping']:.0f} times faster, the whole command "
          f"{theirs / whole:.0f} times; largest difference {difference.max()} of 65535")


def report_reference(found, shifts, volume, mask, target):
    """Both stages by scipy against ours, as far as patches were not replaced as outliers."""
    low, high = np.nanquantile(shifts, [0.05, 0.95])
    ours = np.array([patch["shift"] for patch in found["patches"]]).reshape(shifts.shape)
    kept = np.isfinite(shifts) & (shifts >= low) & (shifts <= high)
    first = np.where(kept, shifts, np.nanmean(shifts))
    filled = griddata(np.argwhere(kept), shifts[kept], np.argwhere(~kept), method="linear")
    first[~kept] = np.where(np.isnan(filled), np.nanmean(shifts), filled)
    # The second stage: the whole sheet along the first one's map, which is linear between the
    # patches' centres.
    halved, inside = volume[:, ::2, ::2], mask[::2, ::2]
    centres = [(np.arange(size) + 0.5) / STEP - 1 for size in inside.shape]
    places = np.meshgrid(*centres, indexing="ij")
    grid = [np.arange(size) for size in first.shape]
    spline = RegularGridInterpolator(grid, first, bounds_error=False, fill_value=None)
    shift = spline(np.stack(places, axis=-1))
    depth = np.arange(volume.shape[0])
    columns = halved[:, inside]
    curve = np.zeros(len(depth))
    for z in depth:
        place = np.clip(z - shift[inside], 0, depth[-1])
        below = np.minimum(place.astype(int), depth[-1] - 1)
        pixels = np.arange(columns.shape[1])
        lower, upper = columns[below, pixels], columns[below + 1, pixels].astype(float)
        curve[z] = (lower + (upper - lower) * (place - below)).mean()
    scale, second = fit_both(normalized(curve), normalized(target))
    difference = np.abs(ours - (first * scale + second))[kept]
    print(f"reference: scale {found['scale']:.4f}, scipy's {scale:.4f}; the patches' composed "
          f"shifts differ from scipy's by at most {difference.max():.4f} layers, median "
          f"{np.median(difference):.4f} ({kept.sum()} patches that are no outliers)")


def large(inkling, folder, size):
    fragments = folder / "large"
    measured(inkling, "synth", fragments, "--size", f"{size}x{size}")
    fragment = next(p for p in fragments.iterdir() if p.is_dir())
    words = ["--threads", 2, "--out", folder / "large-maps"]
    figures, whole, peak = measured(inkling, "align", fragment, *words)
    seconds = figures[fragment.name]["seconds"]
    print(f"align of 65 × {size} × {size}: {whole:.2f} s, of which reading {seconds['reading']:.2f}, "
          f"summing {seconds['summing']:.2f}, fitting {seconds['fitting']:.2f} s "
          f"({100 * seconds['reading'] / whole:.0f} % reading); peak memory "
          f"{peak:.0f} MiB")


if __name__ == "__main__":
    main()
