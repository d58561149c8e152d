#!/usr/bin/env python3
"""Reference values of the metrics beside F0.5.

    oracles/metrics_reference.py

writes crates/predict/tests/data/metrics.json. F0.5, AUC, average precision, balanced accuracy and
Dice are scikit-learn's; the skeleton follows Zhang and Suen (1984), whose conditions scikit-image's table
departs from; the distortion is written from its definition (Lu, Kot and Shi 2004) as a convolution. Images follow formulas that the test repeats.
"""
import json
from pathlib import Path

import numpy as np
from scipy.ndimage import convolve
from sklearn.metrics import average_precision_score, balanced_accuracy_score, f1_score, fbeta_score, roc_auc_score

OUT = Path(__file__).parent.parent / "crates/predict/tests/data/metrics.json"


def images(height, width):
    y, x = np.mgrid[:height, :width]
    ink = (y // 6 + 2 * (x // 5)) % 5 < 2
    levels = (y * 37 + x * 91 + y * x * 3) % 200 + 40 * ink
    mask = ((y * y + 3 * x) % 41 > 3) & (y + x > height // 3)
    return levels.astype(np.uint8), ink, mask


def distortion(called, ink, mask):
    offsets = np.mgrid[-2:3, -2:3]
    distance = np.hypot(*offsets)
    weights = np.where(distance > 0, 1 / np.maximum(distance, 1), 0)
    weights /= weights.sum()
    # Weights of the neighbours on papyrus that are ink, and of those that are not.
    inked = convolve((ink & mask).astype(float), weights, mode="constant")
    bare = convolve((~ink & mask).astype(float), weights, mode="constant")
    total = np.where(called, bare, inked)[mask & (called != ink)].sum()
    mixed = 0
    for top in range(0, ink.shape[0], 8):
        for left in range(0, ink.shape[1], 8):
            block = np.s_[top : top + 8, left : left + 8]
            mixed += len(np.unique(ink[block][mask[block]])) == 2
    return total / mixed


def skeleton(image):
    """Thinning by Zhang and Suen (1984); nothing is set beyond the edge."""
    thin = np.pad(image, 1)
    while True:
        before = thin.copy()
        for second in (False, True):
            # P2 to P9, clockwise from the upper neighbour.
            p = [np.roll(thin, shift, (0, 1)) for shift in
                 [(1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1)]]
            count = sum(n.astype(int) for n in p)
            rises = sum((~a & b).astype(int) for a, b in zip(p, p[1:] + p[:1]))
            up, right, down, left = p[0], p[2], p[4], p[6]
            if second:
                edge = ~(up & right & left) & ~(up & down & left)
            else:
                edge = ~(up & right & down) & ~(right & down & left)
            thin = thin & ~((count >= 2) & (count <= 6) & (rises == 1) & edge)
        if (thin == before).all():
            return thin[1:-1, 1:-1]


def metrics(height, width):
    levels, ink, mask = images(height, width)
    called = levels >= 128
    p, t, c = levels[mask], ink[mask], called[mask]
    thin = skeleton(ink & mask)
    recall, precision = called[thin].mean(), t[c].mean()
    return dict(
        size=[height, width],
        skeleton=int(thin.sum()),
        metrics=dict(
            f05=fbeta_score(t, c, beta=0.5),
            auc=roc_auc_score(t, p),
            average_precision=average_precision_score(t, p),
            balanced_accuracy=balanced_accuracy_score(t, c),
            dice=f1_score(t, c),
            pseudo_f_measure=2 * precision * recall / (precision + recall),
            drd=distortion(called, ink, mask),
            ink_share=c.mean(),
        ),
    )


if __name__ == "__main__":
    cases = [metrics(48, 64), metrics(61, 83)]
    OUT.write_text(json.dumps(cases, indent=1) + "\n")
    print(OUT.read_text())
