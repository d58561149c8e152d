#!/usr/bin/env python3
"""Writes crates/fragment/tests/data/zarr/: one small volume in every kind of Zarr that scans come in.

    oracles/zarr_flavours.py            # writes them
    oracles/zarr_flavours.py --check F  # opens a fragment written by Inkling and prints its levels

Voxel (z, y, x) of a 16-bit volume is (z * 4099 + y * 521 + x * 37) mod 65536, of an 8-bit one its
upper byte, so that the test needs no second copy.
"""
import pathlib
import shutil
import sys

import numcodecs
import numpy as np
import zarr

OUT = pathlib.Path(__file__).parent.parent / "crates" / "fragment" / "tests" / "data" / "zarr"
SHAPE = (9, 40, 33)
CHUNKS = (5, 20, 33)
z, y, x = np.mgrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
DEEP = ((z * 4099 + y * 521 + x * 37) % 65536).astype(np.uint16)
FLAT = (DEEP >> 8).astype(np.uint8)


def multiscales(paths, axes="zyx"):
    types = {"t": "time", "c": "channel"}
    return [
        {
            "axes": [{"name": a, "type": types.get(a, "space")} for a in axes],
            "datasets": [{"path": path} for path in paths],
            "version": "0.4",
        }
    ]


def array(path, data, version, **options):
    options = {"chunks": CHUNKS[-data.ndim :] if data.ndim <= 3 else (1,) * (data.ndim - 3) + CHUNKS} | options
    out = zarr.create_array(path, shape=data.shape, dtype=data.dtype, zarr_format=version, **options)
    out[...] = data


def group(path, version, attributes):
    zarr.create_group(path, zarr_format=version, attributes=attributes)


def write():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    # A bare array, compressed as most scans are.
    array(OUT / "v2_blosc.zarr", DEEP, 2, compressors=numcodecs.Blosc("zstd", 3, 1))
    array(OUT / "v2_big_endian.zarr", DEEP.astype(">u2"), 2, compressors=numcodecs.GZip(1))
    array(OUT / "v3_plain.zarr", DEEP, 3, compressors=None)
    array(OUT / "v3_eight_bits.zarr", FLAT, 3)
    shards = (10, 40, 33)
    array(OUT / "v3_shards.zarr", DEEP, 3, shards=shards)
    # OME-Zarr 0.4 with two levels, its paths as some tools name them.
    group(OUT / "ome_v2.zarr", 2, {"multiscales": multiscales(["s0", "s1"])})
    array(OUT / "ome_v2.zarr" / "s0", DEEP, 2, compressors=numcodecs.Zlib(1))
    array(OUT / "ome_v2.zarr" / "s1", DEEP[:, ::2, ::2], 2, compressors=numcodecs.Zlib(1))
    # OME-Zarr 0.5 with time and channel axes.
    attributes = {"ome": {"version": "0.5", "multiscales": multiscales(["0"], "tczyx")}}
    group(OUT / "ome_v3.zarr", 3, attributes)
    array(OUT / "ome_v3.zarr" / "0", DEEP[None, None], 3)
    # Labels as zeros and ones.
    labels = (DEEP[0] > 30000).astype(np.uint8)
    array(OUT / "labels.zarr", labels, 2, compressors=None)
    files = [path for path in OUT.rglob("*") if path.is_file()]
    print(len(files), "files,", sum(path.stat().st_size for path in files), "bytes")


def check(path):
    volume = zarr.open_group(pathlib.Path(path) / "surface_volume.zarr", mode="r")
    image = (volume.attrs.get("ome") or volume.attrs)["multiscales"][0]
    previous = None
    for dataset in image["datasets"]:
        data = volume[dataset["path"]][...]
        scale = dataset["coordinateTransformations"][0]["scale"]
        print(dataset["path"], data.shape, data.dtype, "scale", scale, "mean", round(data.mean(), 2))
        if previous is not None:
            even = previous[:, : previous.shape[1] // 2 * 2, : previous.shape[2] // 2 * 2]
            blocks = even.reshape(even.shape[0], even.shape[1] // 2, 2, even.shape[2] // 2, 2)
            mean = blocks.astype(np.uint32).sum(axis=(2, 4))
            expected = (mean + 2) // 4
            found = data[:, : expected.shape[1], : expected.shape[2]]
            assert (found == expected).all(), "a level is not the mean of the finer one"
        previous = data
    print("all levels are the rounded means of the finer ones")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--check"]:
        check(sys.argv[2])
    else:
        write()
