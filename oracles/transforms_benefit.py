#!/usr/bin/env python3
"""Trains with and without the training transforms, same budget, and scores both on phantoms.

    oracles/transforms_benefit.py target/release/inkling --folder DIR [--seeds 0 1] [--epochs 11]

The network is trained on one small phantom sheet, again and again, and is scored on two that it never
saw: another phantom as it is, and the same as another scanner at another angle would show it (turned by 35 degrees,
contrast × 0.93, brightness + 3 % of the full range). Recipes are crates/pipeline/src/demo.toml with
`[augment]` as follows: `none`, upright crops of the patch's own size; `demo`, the demo's own, gentle
transforms; `all`, the reference solution's, every one of them, as configs/maxvit-2d-agg.toml names them.
Prints F0.5 at a threshold of 0.5, and average precision.
"""
import argparse
import json
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image
from program import ROOT, figures
from scipy.ndimage import rotate

SHEETS = ("training", "new", "otherwise")
SMALL, LARGE = "320x288", "640x512"
ANGLE, CONTRAST, BRIGHTNESS = 35.0, 0.93, 0.03
OFF = {
    "scale": [1.0, 1.0], "ratio": [1.0, 1.0], "rotate": 0.0, "horizontal_flip": 0.0, "vertical_flip": 0.0,
    "rotate90": 0.0, "brightness_contrast": 0.0, "noise_or_blur": 0.0, "grid_distortion": 0.0, "coarse_dropout": 0.0,
}


def recipes():
    write_up = tomllib.loads((ROOT / "configs/maxvit-2d-agg.toml").read_text())["augment"]
    write_up = {key: value for key, value in write_up.items() if not isinstance(value, dict)}
    # The demo's layers leave none to spare.
    write_up["z_scale_limit"] = 1.0
    return {"none": OFF, "demo": {}, "all": write_up}


def otherwise(sheet, out):
    """The sheet as another scan shows it."""
    def turned(image, order):
        return rotate(image, ANGLE, reshape=False, order=order, mode="constant")

    (out / "surface_volume").mkdir(parents=True)
    for layer in sorted((sheet / "surface_volume").glob("*.tif")):
        voxels = turned(tifffile.imread(layer).astype(np.float32), 1)
        voxels = np.where(voxels > 0, voxels * CONTRAST + BRIGHTNESS * 65535, 0)
        tifffile.imwrite(out / "surface_volume" / layer.name, np.clip(voxels, 0, 65535).round().astype(np.uint16))
    for name in ("mask.png", "inklabels.png"):
        image = np.asarray(Image.open(sheet / name).convert("L"))
        Image.fromarray(turned(image, 0)).save(out / name)


def prepare(binary, folder):
    sheets = folder / "sheets"
    if not sheets.exists():
        figures(binary, "synth", folder / "small", "--seed", 1, "--size", SMALL)
        figures(binary, "synth", folder / "large", "--seed", 3, "--size", LARGE)
        sheets.mkdir()
        (folder / "small/1").rename(sheets / "training")
        (folder / "large/1").rename(sheets / "new")
        otherwise(sheets / "new", sheets / "otherwise")
        figures(binary, "align", *(sheets / name for name in SHEETS), "--out", folder / "maps")
    return [sheets / name for name in SHEETS]


def literal(value):
    return value if isinstance(value, str) else json.dumps(value)


def train(binary, folder, name, settings, seed, epochs):
    fragments = prepare(binary, folder)
    run = folder / "runs" / f"{name}-{seed}"
    settings = {
        "data.fragments": [str(path) for path in fragments[:2]],
        "data.maps": str(folder / "maps"),
        "train.seed": seed,
        "train.epochs": epochs,
        "train.validate_every": epochs,
        **{f"augment.{key}": value for key, value in settings.items()},
    }
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={literal(value)}")]
    # Weights are written after the last epoch.
    if not (run / "best.safetensors").exists():
        recipe = ROOT / "crates/pipeline/src/demo.toml"
        figures(binary, "train", "--config", recipe, *words, "--fold", "new", "--out", run, "--threads", 1)
    scores = []
    for fragment in fragments[1:]:
        predicted = folder / "predicted" / f"{name}-{seed}" / fragment.name
        image = predicted / f"{fragment.name}.png"
        if not image.exists():
            words = ("--model", run, "--maps", folder / "maps", "--tta", "none", "--threads", 1)
            figures(binary, "predict", fragment, *words, "--out", predicted)
        truth = ("--labels", fragment / "inklabels.png", "--mask", fragment / "mask.png")
        scores.append(figures(binary, "score", image, *truth))
    return name, seed, scores


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("inkling", type=Path)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--epochs", type=int, default=11)
    parser.add_argument("--recipes", nargs="+", default=["none", "demo", "all"])
    flags = parser.parse_args()
    prepare(flags.inkling, flags.folder)
    jobs = [(name, recipes()[name], seed) for seed in flags.seeds for name in flags.recipes]
    with ThreadPoolExecutor(2) as pool:
        run = lambda job: train(flags.inkling, flags.folder, *job, flags.epochs)
        for name, seed, (same, other) in pool.map(run, jobs):
            told = "; ".join(
                f"{sheet} F0.5 {score['f05']:.3f}, average precision {score['average_precision']:.3f}"
                for sheet, score in (("as it is", same), ("otherwise", other)))
            print(f"{name:5} seed {seed}: {told}", flush=True)


if __name__ == "__main__":
    main()
