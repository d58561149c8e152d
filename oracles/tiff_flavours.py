#!/usr/bin/env python3
"""Writes crates/fragment/tests/data/*.tif: one small layer in every kind of TIFF that scans come in.

    oracles/tiff_flavours.py

Pixel (y, x) of a 16-bit layer is (y * 521 + x * 37) mod 65536, of an 8-bit one its upper byte, so
that the test needs no second copy.
"""
import pathlib

import numpy as np
import tifffile

OUT = pathlib.Path(__file__).parent.parent / "crates" / "fragment" / "tests" / "data"
HEIGHT, WIDTH = 150, 83
y, x = np.mgrid[:HEIGHT, :WIDTH]
DEEP = ((y * 521 + x * 37) % 65536).astype(np.uint16)
FLAT = (DEEP >> 8).astype(np.uint8)

FLAVOURS = {
    "strips": dict(data=DEEP, rowsperstrip=7),
    "one_strip": dict(data=DEEP, rowsperstrip=HEIGHT),
    "tiles": dict(data=DEEP, tile=(32, 48)),
    "lzw": dict(data=DEEP, compression="lzw", rowsperstrip=16),
    "lzw_predictor": dict(data=DEEP, compression="lzw", predictor=True, rowsperstrip=16),
    "deflate": dict(data=DEEP, compression="zlib", rowsperstrip=11),
    "deflate_tiles": dict(data=DEEP, compression="zlib", tile=(64, 32)),
    "packbits": dict(data=DEEP, compression="packbits", rowsperstrip=16),
    "big_endian": dict(data=DEEP, byteorder=">", rowsperstrip=7),
    "big_tiff": dict(data=DEEP, bigtiff=True, rowsperstrip=7),
    "eight_bits": dict(data=FLAT, rowsperstrip=7),
    "eight_bits_lzw": dict(data=FLAT, compression="lzw", rowsperstrip=16),
    "eight_bits_lzw_tiles": dict(data=FLAT, compression="lzw", tile=(32, 32)),
    "lzw_predictor_tiles": dict(data=DEEP, compression="lzw", predictor=True, tile=(64, 48)),
    "lzw_tiles": dict(data=DEEP, compression="lzw", tile=(64, 32)),
}

OUT.mkdir(parents=True, exist_ok=True)
for name, options in FLAVOURS.items():
    data = options.pop("data")
    byteorder = options.pop("byteorder", "<")
    bigtiff = options.pop("bigtiff", False)
    with tifffile.TiffWriter(OUT / f"{name}.tif", byteorder=byteorder, bigtiff=bigtiff) as writer:
        writer.write(data, photometric="minisblack", metadata=None, **options)
    print(name, (OUT / f"{name}.tif").stat().st_size)
