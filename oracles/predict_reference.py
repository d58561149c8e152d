#!/usr/bin/env python3
"""Reference values of blending, scores and run lengths.

    oracles/predict_reference.py

writes crates/predict/tests/data/{blend,scores}.json. Tiles and images follow formulas of whole numbers
that the tests repeat. Blending is done in f64; a sheet's values are kept at every few places.
"""
import json
from pathlib import Path

import numpy as np
import torch
from scipy.signal.windows import triang
from skimage.filters import apply_hysteresis_threshold
from torchmetrics.classification import (
    BinaryAveragePrecision,
    BinaryCalibrationError,
    BinaryFBetaScore,
    BinaryPrecision,
    BinaryRecall,
)

OUT = Path(__file__).parent.parent / "crates/predict/tests/data"


def window(side, power=2):
    """The smoothly blended patches' window, its mean 1; the outer quarters rise, the middle bends."""
    tent, quarter = triang(side), side // 4
    inner = 1 - np.abs(2 * (tent - 1)) ** power / 2
    outer = np.abs(2 * tent) ** power / 2
    place = np.arange(side)
    line = np.where((place >= quarter) & (place < side - quarter), inner, outer)
    return np.outer(line / line.mean(), line / line.mean())


def tile(top, left, side):
    y, x = np.mgrid[:side, :side]
    return ((top * 7 + left * 13 + y * 31 + x * 17 + y * x) % 1009).astype(np.float32) / np.float32(1009)


def mask_of(height, width):
    y, x = np.mgrid[:height, :width]
    return ((y * y + 3 * x) % 41 > 3) & (y + x > height // 3) & ~((y > 40) & (x < 30))


def blended(height, width, side, step):
    mask, weights = mask_of(height, width), window(side)
    reach = lambda size: range(0, max(size - side, 0) + step, step)
    sums, total, count = np.zeros((2, height + side, width + side)), np.zeros((height + side, width + side)), 0
    for top in reach(height):
        for left in reach(width):
            if not mask[top : top + side, left : left + side].any():
                continue
            place = np.s_[top : top + side, left : left + side]
            sums[0][place] += weights * tile(top, left, side)
            sums[1][place] += weights * (1 - tile(top, left, side) / 2)
            total[place] += weights
            count += 1
    sheet = np.where(mask, sums[:, :height, :width] / np.maximum(total[:height, :width], 1e-300), 0)
    every = sheet.reshape(2, -1)[:, ::7]
    return dict(
        size=[height, width],
        side=side,
        step=step,
        tiles=count,
        every=7,
        values=[[round(float(v), 9) for v in channel] for channel in every],
    )


def levels_and_labels(height, width):
    """8-bit probabilities and ink that agree half-way; no level lies on an edge between tenths."""
    y, x = np.mgrid[:height, :width]
    ink = (y * 5 + x * x) % 23 < 9
    levels = (y * 37 + x * 91 + y * x * 3) % 200 + 40 * ink
    levels[np.isin(levels, [51, 102, 153, 204])] += 1
    return levels.astype(np.uint8), ink, mask_of(height, width)


def run_lengths(ink):
    """Row by row, pixels counted from 1: starts and lengths."""
    padded = np.concatenate([[0], ink.ravel().astype(np.int8), [0]])
    starts = np.flatnonzero(np.diff(padded) == 1)
    ends = np.flatnonzero(np.diff(padded) == -1)
    return " ".join(f"{start + 1} {end - start}" for start, end in zip(starts, ends))


def rates(p, t, at):
    measures = [BinaryPrecision(at), BinaryRecall(at), BinaryFBetaScore(0.5, at)]
    return [float(measure(p, t)) for measure in measures]


def scored(levels, ink, mask):
    p = torch.from_numpy(levels[mask].astype(np.float64) / 255)
    t = torch.from_numpy(ink[mask].astype(np.int64))
    # torchmetrics calls ink what is above a threshold, and we what is not below it.
    sweep = [[level, *rates(p, t, (level - 0.5) / 255)] for level in range(1, 256, 6)]
    best = max((rates(p, t, (level - 0.5) / 255)[2], level) for level in range(1, 256))
    reliability = []
    for tenth in range(10):
        within = (p >= tenth / 10) & (p < (tenth + 1) / 10)
        pair = [float(p[within].mean()), float(t[within].double().mean())] if within.any() else [0, 0]
        reliability.append([*pair, float(within.double().mean())])
    return dict(
        at_half=rates(p, t, 0.5),
        sweep=sweep,
        best=list(best),
        average_precision=float(BinaryAveragePrecision()(p, t)),
        brier=float(((p - t) ** 2).mean()),
        calibration_error=float(BinaryCalibrationError(n_bins=10)(p, t)),
        reliability=reliability,
    )


def scores():
    height, width, side = 50, 70, 30
    levels, ink, mask = levels_and_labels(height, width)
    regions = []
    for y in range(0, height, side):
        for x in range(0, width, side):
            place = np.s_[y : y + side, x : x + side]
            if mask[place].any() and (ink & mask)[place].any():
                p = torch.from_numpy(levels[place][mask[place]].astype(np.float64) / 255)
                t = torch.from_numpy(ink[place][mask[place]].astype(np.int64))
                regions.append([y, x, int(mask[place].sum()), int(t.sum()), *rates(p, t, 0.5)])
    painted = np.where(mask, levels, 0)
    table = "Id,Predicted\n" + "".join(
        f"{name},{run_lengths(image >= 0.5 * 255)}\n" for name, image in [("a", painted), ("b", levels), ("c", levels * 0)]
    )
    # scikit-image takes what is above a threshold, and we what is not below it.
    hysteresis = [
        [low, high, run_lengths(apply_hysteresis_threshold(levels, low - 0.5, high - 0.5))]
        for low, high in [(60, 230), (100, 235), (128, 128), (128, 238), (180, 239)]
    ]
    whole = scored(levels, ink, mask)
    return dict(size=[height, width], side=side, whole=whole, regions=regions, table=table, hysteresis=hysteresis)


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    cases = [(61, 83, 16, 8), (70, 40, 18, 6), (33, 90, 15, 7), (10, 12, 16, 8)]
    blend = [blended(*case) for case in cases]
    for name, values in [("blend", blend), ("scores", scores())]:
        (OUT / f"{name}.json").write_text(json.dumps(values) + "\n")
