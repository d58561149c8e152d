#!/usr/bin/env python3
"""Reference values of the training transforms, from the libraries that they come from.

    oracles/augment_reference.py

writes crates/augment/tests/data/{transforms,draws,lines}.json:

- transforms: each transform at given parameters, on a volume that both sides can compute, as
  albumentations 1.3.1 (the reference solution's time) and OpenCV do it; the x-axis rotation by scipy;
- draws: means, deviations and quantiles of 10,000 draws of each transform's parameters;
- lines: the pixels that OpenCV's `line` sets in kernels of 3, 5 and 7 px, for all pairs of ends.
"""
import itertools
import json
import random
from pathlib import Path

import albumentations as A
import albumentations.augmentations.functional as F
import albumentations.augmentations.geometric.functional as G
import cv2
import numpy as np
from albumentations.augmentations.blur import functional as B
from scipy.ndimage import map_coordinates

DATA = Path(__file__).resolve().parents[1] / "crates/augment/tests/data"


def volume(height, width, depth):
    """Noise in (y, x, z), as albumentations wants it."""
    y, x, z = np.mgrid[:height, :width, :depth].astype(np.int64)
    return (((z + 1) * 73856093 ^ (y + 1) * 19349663 ^ (x + 1) * 83492791) % 64997).astype(np.uint16)


def mask(height, width):
    y, x = np.mgrid[:height, :width]
    return ((y // 3 + x // 4) % 3 == 0).astype(np.uint8)


def case(name, params, image, label, out, out_label, tolerance=1.0, exact=False):
    height, width, depth = image.shape
    return {
        "name": name,
        "params": {
            "rows": [0, height], "columns": [0, width], "layers": [0, depth], "slices": None,
            "tilt": None, "rotation": None, "horizontal_flip": False, "vertical_flip": False,
            "turns": 0, "contrast_brightness": None, "degradation": None, "grid_distortion": None,
            "dropout": None, **params,
        },
        "exact": exact,
        "source": [depth, height, width],
        "target": [out.shape[2], out.shape[0]],
        "tolerance": tolerance,
        # (z, y, x)
        "voxels": [round(float(v), 2) for v in np.moveaxis(out, 2, 0).ravel()],
        "labels": "".join(map(str, out_label.ravel())),
    }


def resize(image, side, depth):
    plane = cv2.resize(image, (side, side), interpolation=cv2.INTER_LINEAR)
    flat = plane.reshape(side * side, -1)
    return cv2.resize(flat, (depth, side * side), interpolation=cv2.INTER_LINEAR).reshape(side, side, depth)


def tilted(image, degrees):
    """Our convention: rows and layers about the crop's middle."""
    height, width, depth = image.shape
    y, x, z = np.mgrid[:height, :width, :depth].astype(float)
    cy, cz = (height - 1) / 2, (depth - 1) / 2
    sin, cos = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    from_z = cz + cos * (z - cz) - sin * (y - cy)
    from_y = cy + sin * (z - cz) + cos * (y - cy)
    out = map_coordinates(image.astype(float), [from_y, x, from_z], order=1, mode="grid-constant", cval=0)
    return np.round(out)


def transforms():
    side, depth = 20, 3
    image, label = volume(side, side, depth), mask(side, side)
    cases = []

    def add(name, params, out, out_label=label, **more):
        cases.append(case(name, params, image, label, out, out_label, **more))

    for angle in (-37.5, 12.25, 45.0):
        add(f"rotation by {angle}", {"rotation": angle}, G.rotate(image, angle),
            G.rotate(label, angle, cv2.INTER_NEAREST))
    add("horizontal flip", {"horizontal_flip": True}, image[:, ::-1], label[:, ::-1])
    add("vertical flip", {"vertical_flip": True}, image[::-1], label[::-1])
    for turns in (1, 2, 3):
        add(f"{turns} quarter turns", {"turns": turns}, np.rot90(image, turns), np.rot90(label, turns))
    contrast, brightness = 1.07, -0.06
    out = F._brightness_contrast_adjust_non_uint(image, contrast, brightness, True)
    add("contrast and brightness", {"contrast_brightness": [contrast, brightness]}, np.clip(out, 0, 65535))
    for size in (3, 5, 7, 9, 11):
        # In 64 bits: OpenCV's own blur of 16-bit images rounds its weights.
        add(f"gaussian blur {size}", {"degradation": {"gaussian-blur": {"size": size}}},
            B.gaussian_blur(image.astype(np.float64), size, 0))
    for size, start, end in ((3, (0, 0), (2, 1)), (5, (4, 0), (1, 4)), (7, (6, 3), (0, 3))):
        kernel = np.zeros((size, size), np.uint8)
        cv2.line(kernel, start[::-1], end[::-1], 1, thickness=1)
        kernel = kernel.astype(np.float32) / kernel.sum()
        params = {"degradation": {"motion-blur": {"size": size, "from": start, "to": end}}}
        add(f"motion blur {size}", params, F.convolve(image, kernel))
    for steps in (5, 3):
        rng = np.random.default_rng(steps)
        x, y = (list(map(float, 1 + rng.uniform(-0.3, 0.3, steps + 1))) for _ in range(2))
        add(f"grid distortion of {steps} steps", {"grid_distortion": {"x": x, "y": y}},
            G.grid_distortion(image, steps, x, y), G.grid_distortion(label, steps, x, y, cv2.INTER_NEAREST))
    holes = [(4, 2, 10, 9)]
    add("coarse dropout", {"dropout": {"y": 2, "x": 4, "height": 7, "width": 6}},
        A.augmentations.dropout.functional.cutout(image, holes, 0),
        A.augmentations.dropout.functional.cutout(label, holes, 0))
    for degrees in (-20.0, 7.0):
        add(f"tilt by {degrees}", {"tilt": degrees}, tilted(image, degrees), tilted_mask(label, depth, degrees))

    image, label = volume(27, 23, 5), mask(27, 23)
    out = resize(image, side, depth)
    out_label = cv2.resize(label, (side, side), interpolation=cv2.INTER_NEAREST_EXACT)
    add("resize", {}, resize(image.astype(np.float64), side, depth), out_label)

    angle = 21.0
    out, out_label = G.rotate(image, angle), G.rotate(label, angle, cv2.INTER_NEAREST)
    out = resize(out.astype(np.float64), side, depth).round().astype(np.uint16)
    out_label = cv2.resize(out_label, (side, side), interpolation=cv2.INTER_NEAREST_EXACT)
    out, out_label = np.rot90(out[:, ::-1], 3), np.rot90(out_label[:, ::-1], 3)
    out = F._brightness_contrast_adjust_non_uint(out, 0.95, 0.02, True)
    out = np.clip(out, 0, 65535).round().astype(np.uint16)
    out = B.gaussian_blur(out.astype(np.float64), 5, 0).round().astype(np.uint16)
    rng = np.random.default_rng(9)
    x, y = (list(map(float, 1 + rng.uniform(-0.3, 0.3, 6))) for _ in range(2))
    out, out_label = (G.grid_distortion(i, 5, x, y, m) for i, m in ((out, cv2.INTER_LINEAR), (out_label, cv2.INTER_NEAREST)))
    params = {"rotation": angle, "horizontal_flip": True, "turns": 3, "contrast_brightness": [0.95, 0.02],
              "degradation": {"gaussian-blur": {"size": 5}}, "grid_distortion": {"x": x, "y": y}}
    # Each of four roundings may fall the other way.
    add("all, one after another", params, out, out_label, tolerance=3.0, exact=True)
    return cases


def tilted_mask(label, depth, degrees):
    """Set where any layer of the rotated mask is set, by the nearest voxel."""
    height, width = label.shape
    y, x, z = np.mgrid[:height, :width, :depth].astype(float)
    cy, cz = (height - 1) / 2, (depth - 1) / 2
    sin, cos = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    from_z = np.round(cz + cos * (z - cz) - sin * (y - cy))
    from_y = np.round(cy + sin * (z - cz) + cos * (y - cy))
    inside = (from_z >= 0) & (from_z < depth) & (from_y >= 0) & (from_y < height)
    rows = np.clip(from_y, 0, height - 1).astype(int)
    return (label[rows, x.astype(int)] * inside).max(axis=2).astype(np.uint8)


def summary(values):
    values = np.asarray(values, float)
    return {
        "mean": values.mean(), "deviation": values.std(),
        "quantiles": list(np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])),
    }


def draws(count=10_000, side=384):
    random.seed(1)
    np.random.seed(1)
    targets = {"image": np.zeros((side, side, 1), np.uint16)}
    with_targets = lambda t: [t.get_params_dependent_on_targets(targets) for _ in range(count)]
    plain = lambda t: [t.get_params() for _ in range(count)]
    rotate = with_targets(A.Rotate(limit=45))
    tone = plain(A.RandomBrightnessContrast(brightness_limit=0.1, contrast_limit=0.1))
    blur = plain(A.GaussianBlur())
    motion = plain(A.MotionBlur())
    grid = with_targets(A.GridDistortion(num_steps=5, distort_limit=0.3))
    hole = [h["holes"][0] for h in with_targets(A.CoarseDropout(
        max_holes=1, max_width=int(side * 0.3), max_height=int(side * 0.3), mask_fill_value=0))]
    turns = plain(A.RandomRotate90())
    targets["image"] = np.zeros((40, 40, 1), np.uint16)
    noise = with_targets(A.GaussNoise(var_limit=[10, 50]))
    return {
        "rotation": summary([p["angle"] for p in rotate]),
        "contrast": summary([p["alpha"] for p in tone]),
        "brightness": summary([p["beta"] for p in tone]),
        "gaussian_blur": summary([p["ksize"] for p in blur]),
        "motion_blur": summary([p["kernel"].shape[0] for p in motion]),
        "motion_pixels": summary([(p["kernel"] > 0).sum() for p in motion]),
        "grid_x": summary([p["stepsx"][2] for p in grid]),
        "grid_y": summary([p["stepsy"][5] for p in grid]),
        "hole_y": summary([h[1] for h in hole]),
        "hole_x": summary([h[0] for h in hole]),
        "hole_height": summary([h[3] - h[1] for h in hole]),
        "turns": summary([p["factor"] for p in turns]),
        "noise": summary([np.std(p["gauss"]) for p in noise]),
    }


def lines():
    found = []
    for size in (3, 5, 7):
        ends = list(itertools.product(range(size), repeat=2))
        for start, end in itertools.product(ends, ends):
            if start == end:
                continue
            kernel = np.zeros((size, size), np.uint8)
            cv2.line(kernel, start[::-1], end[::-1], 1, thickness=1)
            bits = sum(1 << int(i) for i in np.flatnonzero(kernel))
            found.append([size, *start, *end, bits])
    return found


def main():
    for name, values in (("transforms", transforms()), ("draws", draws()), ("lines", lines())):
        text = json.dumps(values, indent=1 if name == "draws" else None, separators=None if name == "draws" else (",", ":"))
        (DATA / f"{name}.json").write_text(text + "\n")
        print(name, len(text), "bytes")


if __name__ == "__main__":
    main()
