#!/usr/bin/env python3
"""Draws docs/masks.png: which pixels of a sheet are trained on and which are validated.

Writes beside docs/training.md.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIDE = 190
GAP = 14
DARK, PAPER, INK = (24, 24, 28), (150, 128, 100), (20, 16, 12)
TRAINED, VALIDATED = (86, 150, 214), (232, 152, 60)


def sheet():
    y, x = np.mgrid[:SIDE, :SIDE]
    papyrus = np.hypot((y - 95) / 90, (x - 95) / 86) < 1 - 0.06 * np.sin(x / 9) * np.cos(y / 13)
    picture = Image.new("L", (SIDE, SIDE))
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=58)
    draw.text((34, 12), "POR", fill=255, font=font)
    draw.text((28, 96), "PHY", fill=255, font=font)
    ink = (np.array(picture) > 127) & papyrus
    supervision = (x > 22) & (x < 168) & (y > 14) & (y < 176) & ~((x > 120) & (y < 60))
    validation = (y > 98) & (y < 170) & (x > 24) & (x < 100)
    return papyrus, ink, supervision, validation


def base(papyrus, ink):
    picture = np.empty((SIDE, SIDE, 3), np.uint8)
    picture[:] = DARK
    picture[papyrus] = PAPER
    picture[ink] = INK
    return picture


def tint(picture, where, colour, share=0.55):
    out = picture.astype(float)
    out[where] = (1 - share) * out[where] + share * np.array(colour)
    return out.astype(np.uint8)


def white(where):
    return np.where(where[..., None], 255, 0).astype(np.uint8).repeat(3, 2)


def main():
    papyrus, ink, supervision, validation = sheet()
    plain = base(papyrus, ink)
    trained = papyrus & supervision & ~validation
    both = tint(tint(plain, trained, TRAINED), papyrus & validation, VALIDATED)
    alone = tint(plain, papyrus & supervision, VALIDATED)
    panels = [
        ("papyrus and its ink labels", plain),
        ("supervision mask", white(supervision)),
        ("validation mask", white(validation)),
        ("trained on; validated", both),
        ("held out, no validation mask", alone),
    ]
    width = len(panels) * (SIDE + GAP) + GAP
    picture = Image.new("RGB", (width, SIDE + 2 * GAP + 22), (250, 250, 250))
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=13)
    for place, (title, pixels) in enumerate(panels):
        left = GAP + place * (SIDE + GAP)
        picture.paste(Image.fromarray(pixels), (left, GAP))
        draw.text((left, GAP + SIDE + 6), title, fill=(30, 30, 30), font=font)
    target = Path(__file__).resolve().parent.parent / "docs" / "masks.png"
    picture.save(target, optimize=True)
    print(target)


main()
