#!/usr/bin/env python3
"""Depth fits by scipy, as the reference solution describes them, for the tests of `inkling-align`.

Writes crates/align/tests/data/fits.json: patches' curves with the shift that
`scipy.optimize.least_squares` finds against the sheet's own curve, and sheets' curves with the
shift and scale that it finds against the target.
"""

import json
from pathlib import Path

import numpy as np
from scipy.interpolate import interp1d
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import least_squares

ROOT = Path(__file__).resolve().parent.parent
FIRST, LAST = 17, 47
LAYERS = np.arange(FIRST, LAST + 1)


def fit_shift(curve, goal):
    """The shift alone, bounded to 30 layers either way."""
    z = np.arange(len(curve))

    def residuals(p):
        shifted = interp1d(z + p[0], curve, bounds_error=False, fill_value="extrapolate")
        return shifted(LAYERS) - goal[LAYERS]

    return least_squares(residuals, [0.0], bounds=([-30], [30])).x[0]


def fit_both(curve, goal):
    """Scale (0.1 to 10) and shift together."""
    z = np.arange(len(curve))

    def residuals(p):
        moved = interp1d(z * p[0] + p[1], curve, bounds_error=False, fill_value="extrapolate")
        return moved(LAYERS) - goal[LAYERS]

    return least_squares(residuals, [1.0, 0.0], bounds=([0.1, -30], [10, 30])).x


def normalized(curve, like=None):
    within = (curve if like is None else like)[FIRST : LAST + 1]
    return (curve - within.min()) / (within.max() - within.min())


def main():
    rng = np.random.default_rng(7)
    target = np.loadtxt(ROOT / "crates/fragment/data/target_curve.csv", delimiter=",", skiprows=1)[:, 1]
    # The outermost layers are the scanner's blanks.
    target[0], target[63:] = target[1], target[62]
    shape = interp1d(np.arange(65), target, bounds_error=False, fill_value=(target[0], target[-1]))

    def seen(scale, shift, noise):
        curve = shape(np.arange(65) * scale + shift)
        wave = gaussian_filter1d(rng.normal(size=65), 3)
        return 21_000 + 20_000 * (curve + noise * wave / wave.std())

    own = gaussian_filter1d(seen(1.0, 1.3, 0.01), 1.5)
    patches = [seen(1.0, 1.3 + shift, 0.03) for shift in np.linspace(-6, 6, 25)]
    sheets = [(0.95, 2.0), (1.05, -3.0), (0.9, 4.0), (1.1, -2.5), (1.0, 5.0), (0.8, 6.0)]
    sheets = [seen(scale, shift, 0.02) for scale, shift in sheets]
    goal = normalized(own)
    out = {
        "own": goal.tolist(),
        "target": normalized(target).tolist(),
        "patches": [],
        "sheets": [],
    }
    for curve in patches:
        curve = normalized(curve, own)
        out["patches"].append({"curve": curve.tolist(), "shift": fit_shift(curve, goal)})
    for curve in sheets:
        curve = normalized(curve)
        scale, shift = fit_both(curve, normalized(target))
        out["sheets"].append({"curve": curve.tolist(), "scale": scale, "shift": shift})
    path = ROOT / "crates" / "align" / "tests" / "data" / "fits.json"
    text = json.dumps(json.loads(json.dumps(out), parse_float=lambda v: round(float(v), 7)))
    path.write_text(text + "\n")
    print(path, path.stat().st_size)
    print([round(p["shift"], 2) for p in out["patches"]])
    print([(round(s["scale"], 3), round(s["shift"], 2)) for s in out["sheets"]])


if __name__ == "__main__":
    main()
