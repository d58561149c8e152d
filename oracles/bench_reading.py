#!/usr/bin/env python3
"""Times the reading of one scan in every layout that people keep scans in.

    oracles/bench_reading.py BINARY FOLDER [--layers 65] [--side 4096] [--rounds 3] [--only NAME…]

Writes the same papyrus-like noise as TIFF in
strips and tiles, packed and not, as PNG, as one stack, and as Zarr, calls `inkling curves` on each in
turn (a mean over every voxel: little more than reading), and reads the same files with tifffile or
zarr-python on as many threads. Prints medians: seconds, the ratio to the plain layout, the ratio to
the peer, and the largest memory of our process. The files are in the system's cache: what is timed is
decoding, not the disk.
"""

import argparse
import os
import statistics
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import tifffile
import zarr
from PIL import Image

from program import measured, seconds


def layer(z, side):
    """Smooth fibres and noise of eleven bits: packs to about three quarters, as scans do."""
    random = np.random.default_rng(z)
    places = np.arange(side, dtype=np.float32)
    across, down = 9000 * np.sin(places / 9 + z), 6000 * np.cos(places / 23 - z)
    noise = random.integers(0, 1 << 11, (side, side), np.uint16)
    return (32000 + across[None] + down[:, None]).astype(np.uint16) + noise


def tiffs(**options):
    def write(folder, layers):
        (folder / "layers").mkdir()
        for z, image in enumerate(layers):
            tifffile.imwrite(folder / "layers" / f"{z:02}.tif", image, metadata=None, **options)

    def read(folder, pool):
        files = sorted((folder / "layers").iterdir())
        list(pool.map(lambda path: tifffile.imread(path, maxworkers=1).mean(), files))

    return write, read


def pngs():
    def write(folder, layers):
        (folder / "layers").mkdir()
        for z, image in enumerate(layers):
            Image.fromarray(image).save(folder / "layers" / f"{z:02}.png", compress_level=3)

    def read(folder, pool):
        files = sorted((folder / "layers").iterdir())
        list(pool.map(lambda path: np.asarray(Image.open(path)).mean(), files))

    return write, read


def stack(**options):
    def write(folder, layers):
        with tifffile.TiffWriter(folder / "stack.tif", bigtiff=True) as writer:
            for image in layers:
                writer.write(image, contiguous=False, metadata=None, **options)

    def read(folder, pool):
        # Pages of one open file share its position: each thread opens its own.
        with tifffile.TiffFile(folder / "stack.tif") as file:
            count = len(file.pages)
        page = lambda number: tifffile.imread(folder / "stack.tif", key=number, maxworkers=1)
        list(pool.map(lambda number: page(number).mean(), range(count)))

    return write, read


def zarrs(version, **options):
    def write(folder, layers):
        first = next(layers)
        shape = (write.depth, *first.shape)
        array = zarr.create_array(
            folder / "scan.zarr", shape=shape, dtype="u2", zarr_format=version, **options)
        slab, at = [first], 0
        step = (options.get("shards") or options["chunks"])[0]
        for image in layers:
            slab.append(image)
            if len(slab) == step:
                array[at:at + step] = np.stack(slab)
                at, slab = at + step, []
        if slab:
            array[at:] = np.stack(slab)

    def read(folder, pool):
        array = zarr.open(folder / "scan.zarr", mode="r")
        step = (array.shards or array.chunks)[1]
        rows = range(0, array.shape[1], step)
        list(pool.map(lambda y: array[:, y:y + step].mean(), rows))

    return write, read


def layouts():
    from zarr.codecs import BloscCodec, ZstdCodec
    from numcodecs import Blosc
    whole = {"rowsperstrip": 1 << 20}
    cube = {"chunks": (64, 128, 128)}
    return {
        "TIFF, strips, plain": tiffs(rowsperstrip=16),
        "TIFF, one strip, plain": tiffs(**whole),
        "TIFF, tiles, plain": tiffs(tile=(256, 256)),
        "TIFF, strips, LZW": tiffs(rowsperstrip=16, compression="lzw"),
        "TIFF, one strip, LZW": tiffs(compression="lzw", **whole),
        "TIFF, one strip, deflate": tiffs(compression="zlib", predictor=2, **whole),
        "TIFF, tiles, Zstandard": tiffs(tile=(256, 256), compression="zstd"),
        "TIFF stack, plain": stack(rowsperstrip=16),
        "PNG": pngs(),
        "Zarr 2, Blosc LZ4": zarrs(2, compressors=Blosc("lz4", 5, Blosc.SHUFFLE), **cube),
        "Zarr 3, Zstandard": zarrs(3, compressors=ZstdCodec(level=3), **cube),
        "Zarr 3, shards, Blosc": zarrs(
            3, compressors=BloscCodec(cname="zstd"), shards=(64, 512, 512), **cube),
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layers", type=int, default=65)
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*")
    flags = parser.parse_args()
    chosen = [name for name in layouts() if not flags.only or name in flags.only]
    places = {name: flags.folder / f"layout-{number}" for number, name in enumerate(chosen)}
    # A call's peak of memory is never below this process's: arrays are made in others.
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as elsewhere:
        for name in chosen:
            elsewhere.submit(write, name, places[name], flags.layers, flags.side).result()
        measure(flags, chosen, places, elsewhere)


def write(name, place, layers, side):
    """Writes a layout, unless an earlier call has."""
    if place.exists():
        return
    place.mkdir(parents=True)
    into, _ = layouts()[name]
    into.depth = layers
    into(place, (layer(z, side) for z in range(layers)))
    Image.fromarray(np.full((side, side), 255, np.uint8)).save(place / "mask.png")


def peer_seconds(name, place):
    """Seconds of the peer's reading."""
    _, read = layouts()[name]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return seconds(lambda: read(place, pool))


def measure(flags, chosen, places, elsewhere):
    ours, peers, memory = ({name: [] for name in chosen} for _ in range(3))
    for _ in range(flags.rounds):
        for name in chosen:
            words = ["--out", flags.folder / "curves", "--force"]
            _, spent, peak = measured(flags.binary, "curves", places[name], *words)
            ours[name].append(spent)
            memory[name].append(peak)
            peers[name].append(elsewhere.submit(peer_seconds, name, places[name]).result())
    plain = statistics.median(next(iter(ours.values())))
    print("| layout | seconds | to plain | peer, seconds | to the peer | peak memory, MiB |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in chosen:
        own, peer = statistics.median(ours[name]), statistics.median(peers[name])
        print(f"| {name} | {own:.2f} | {own / plain:.2f} | {peer:.2f} | {own / peer:.2f} "
              f"| {max(memory[name]):.0f} |")


if __name__ == "__main__":
    main()
