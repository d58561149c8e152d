#!/usr/bin/env python3
"""Makes a fragment of 65 × 30,000 × 30,000 voxels of which a few patches are papyrus.

    oracles/sparse_fragment.py OUT [--side 30000] [--papyrus 768] [--full-mask]

OUT/segment.zarr holds only the chunks under papyrus; the rest is zero and takes no disk. OUT/mask.png
is whole. With --full-mask the mask is papyrus everywhere, for measuring what bookkeeping takes.
"""
import argparse
import pathlib

import numpy as np
import zarr
from PIL import Image

flags = argparse.ArgumentParser()
flags.add_argument("out", type=pathlib.Path)
flags.add_argument("--side", type=int, default=30_000)
flags.add_argument("--papyrus", type=int, default=768)
flags.add_argument("--full-mask", action="store_true")
flags = flags.parse_args()

DEPTH, CHUNK = 65, 256
side, patch = flags.side, flags.papyrus
flags.out.mkdir(parents=True)
volume = zarr.create_array(
    flags.out / "segment.zarr", shape=(DEPTH, side, side), chunks=(DEPTH, CHUNK, CHUNK), dtype=np.uint16, zarr_format=2, fill_value=0
)
mask = np.full((side, side), 255 if flags.full_mask else 0, np.uint8)
random = np.random.default_rng(0)
depth = np.exp(-(((np.arange(DEPTH) - 32) / 6) ** 2))[:, None, None]
# One at the top, one in the middle, one in the last corner.
for top, left in [(0, side // 3), (side // 2, 0), (side - patch, side - patch)]:
    fibres = random.normal(size=(1, patch, patch)).cumsum(2) * 300
    voxels = 20_000 + 15_000 * depth + fibres * depth + random.normal(size=(DEPTH, patch, patch)) * 500
    volume[:, top : top + patch, left : left + patch] = voxels.clip(0, 65_535).astype(np.uint16)
    mask[top : top + patch, left : left + patch] = 255
Image.MAX_IMAGE_PIXELS = None
Image.fromarray(mask).save(flags.out / "mask.png")
