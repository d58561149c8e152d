#!/usr/bin/env python3
"""Draws docs/reading.png from a demo's folder: a layer, the predictions without and with depth alignment, the ink.

    target/release/inkling demo --out demo && oracles/draw_reading.py demo
"""

import argparse
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, ImageDraw, ImageFont

SHEET, LAYER = "3", 32
GAP, TITLE = 12, 38
# Height of a panel, in pixels.
HEIGHT = 480


def levels(path):
    return np.array(Image.open(path).convert("L"))


def layer(fragment, papyrus):
    """One layer, its percentiles on papyrus as black and white."""
    voxels = tifffile.imread(fragment / "surface_volume" / f"{LAYER:02}.tif").astype(float)
    low, high = np.percentile(voxels[papyrus], [2, 98])
    grey = np.clip((voxels - low) / (high - low), 0, 1)
    return (255 * np.where(papyrus, grey, 0)).astype(np.uint8)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("demo", type=Path)
    demo = parser.parse_args().demo
    fragment = demo / "fragments" / SHEET
    papyrus = levels(fragment / "mask.png") > 127
    panels = [
        ("one layer of the scan", layer(fragment, papyrus)),
        ("predicted without depth alignment", levels(demo / "predictions" / "unaligned" / f"{SHEET}.png")),
        ("predicted with depth alignment", levels(demo / "predictions" / "aligned" / f"{SHEET}.png")),
        ("the ink that is there", levels(fragment / "inklabels.png")),
    ]
    height, width = papyrus.shape
    size = (HEIGHT * width // height, HEIGHT)
    picture = Image.new("L", (len(panels) * (size[0] + GAP) - GAP, HEIGHT + TITLE), 255)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=17)
    for place, (title, pixels) in enumerate(panels):
        left = place * (size[0] + GAP)
        picture.paste(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS), (left, TITLE))
        draw.text((left + 6, 10), title, fill=20, font=font)
    target = Path(__file__).resolve().parent.parent / "docs" / "reading.png"
    picture.save(target, optimize=True)
    print(target)


main()
