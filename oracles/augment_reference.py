#!/usr/bin/env python3
"""Writes crates/augment/tests/data/resize.json: trilinear resizing as the reference does it.

    pip install opencv-python-headless numpy
    oracles/augment_reference.py

OpenCV resizes each layer (INTER_LINEAR, which aligns pixel centres), then the stack is resized
over depth by OpenCV too, as an image of depth by pixels. The input needs no copy: voxel (z, y, x)
is (z * 7919 + y * 521 + x * 37) mod 60000.
"""
import json
import pathlib

import cv2
import numpy as np

OUT = pathlib.Path(__file__).parent.parent / "crates" / "augment" / "tests" / "data"
CASES = [((24, 13, 11), (18, 8, 8)), ((6, 9, 20), (18, 8, 8)), ((18, 8, 8), (18, 8, 8)), ((3, 5, 30), (4, 12, 12))]


def pattern(shape):
    z, y, x = np.mgrid[: shape[0], : shape[1], : shape[2]]
    return ((z * 7919 + y * 521 + x * 37) % 60000).astype(np.float32)


def resize(volume, depth, height, width):
    layers = np.stack([cv2.resize(layer, (width, height), interpolation=cv2.INTER_LINEAR) for layer in volume])
    flat = cv2.resize(layers.reshape(len(layers), -1), (height * width, depth), interpolation=cv2.INTER_LINEAR)
    return flat.reshape(depth, height, width)


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    cases = []
    for source, target in CASES:
        result = resize(pattern(source), *target)
        cases.append(dict(source=source, target=target, values=[round(float(v), 3) for v in result.reshape(-1)]))
    (OUT / "resize.json").write_text(json.dumps(cases) + "\n")
    print([len(c["values"]) for c in cases])
