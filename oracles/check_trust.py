#!/usr/bin/env python3
"""What docs/trust.md promises, seen on phantoms of two generators: `inkling synth` and independent_phantom.py.

    oracles/check_trust.py target/release/inkling --folder DIR [--generators synth independent]

For each generator five labelled sheets and eight without ink are made and aligned. The demo's recipe
(crates/pipeline/src/demo.toml), three times as long, is trained on two of the former and one of the latter; `threshold`
finds the pair of thresholds under which six more bare sheets stay bare. What is said of the reading is then compared
with what is known: `controls`, `limit --check`, `calibrate` over the sheets that it never saw, and how much ink it sees
on the last bare sheet. Sheets, runs and pages stay in DIR, where a second call goes on. Prints a Markdown table; exit
code 1 when a figure falls short.
"""
import argparse
import json
import sys
from pathlib import Path

import numpy as np

import independent_phantom
from program import ROOT, call, figures

SIZE = (768, 640)
TRAINING, NEW = ("1", "2"), ("3", "4", "5")
# Without ink: trained on, for the thresholds, and never seen before.
BARE_TRAINING, BARE_KNOWN, BARE_NEW = "bare0", tuple(f"bare{number}" for number in range(1, 7)), "bare7"


def make(binary, generator, folder):
    sheets = folder / "sheets"
    for index, name in enumerate((*TRAINING, *NEW, BARE_TRAINING, *BARE_KNOWN, BARE_NEW)):
        is_bare = name.startswith("bare")
        if (sheets / name / "mask.png").exists():
            continue
        if generator == "synth":
            words = ["--seed", 11 + index, "--size", f"{SIZE[0]}x{SIZE[1]}", "--contrast", 0 if is_bare else 1]
            call(binary, "synth", folder / "made", *words, "--force")
            sheets.mkdir(exist_ok=True)
            (folder / "made" / "1").rename(sheets / name)
            continue
        rng = np.random.default_rng(101 + index)
        ink = None if is_bare else independent_phantom.letters(rng, SIZE, 72)
        independent_phantom.make(rng, sheets / name, SIZE, 1.0, rng.uniform(-3, 3), 0.3, ink)
    if not (folder / "maps" / BARE_NEW).exists():
        call(binary, "align", *sorted(sheets.iterdir()), "--out", folder / "maps", "--force")


def train(binary, folder):
    if (folder / "run" / "best.safetensors").exists():
        return
    settings = {
        "data.fragments": [str(folder / "sheets" / name) for name in (*TRAINING, NEW[0], BARE_TRAINING)],
        "data.bare": [BARE_TRAINING],
        "data.maps": str(folder / "maps"),
        "train.epochs": 33,
        "train.best": ["average_precision"],
    }
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={json.dumps(value)}")]
    recipe = ROOT / "crates/pipeline/src/demo.toml"
    call(binary, "train", "--config", recipe, *words, "--fold", NEW[0], "--out", folder / "run", "--force")


def truth(sheets, name):
    """The words that name a sheet's labels and mask."""
    return ["--labels", sheets / name / "inklabels.png", "--mask", sheets / name / "mask.png"]


def thresholds(binary, folder, maps):
    """The words that name the pair of thresholds under which the known bare sheets stay bare."""
    sheets, out = folder / "sheets", folder / "threshold.json"
    bare = ["--bare", *(maps / f"{name}.png" for name in BARE_KNOWN)]
    masks = ["--bare-mask", *(sheets / name / "mask.png" for name in BARE_KNOWN)]
    known = truth(sheets, NEW[0])
    call(binary, "threshold", maps / f"{NEW[0]}.png", *known, *bare, *masks, "--out", out, "--force")
    return ["--threshold", out]


def calibration_errors(binary, folder, maps):
    """Of the labelled sheets that were not trained on, each corrected by the others."""
    named = lambda file: [folder / "sheets" / name / file for name in NEW]
    words = ["--labels", *named("inklabels.png"), "--mask", *named("mask.png"), "--out", folder / "calibration"]
    found = figures(binary, "calibrate", *(maps / f"{name}.png" for name in NEW), *words, "--force")
    return [sheet["after"] for sheet in found["sheets"]]


def check(binary, generator, folder):
    """Rows of the table: what, seen, wanted, whether it holds."""
    make(binary, generator, folder)
    train(binary, folder)
    sheets, maps, new = folder / "sheets", folder / "out", NEW[1]
    reading = ["--model", folder / "run", "--maps", folder / "maps", "--out", maps, "--force"]
    call(binary, "predict", *(sheets / name for name in (*NEW, *BARE_KNOWN, BARE_NEW)), *reading)
    cut = thresholds(binary, folder, maps)
    plain = figures(binary, "score", maps / f"{new}.png", *truth(sheets, new))
    strict = figures(binary, "score", maps / f"{new}.png", *truth(sheets, new), *cut)
    controls = figures(binary, "controls", sheets / new, *reading, *cut)
    found = {control["name"]: control for control in controls["controls"]}
    auc, decoys = found["reading"]["figures"]["auc"], found["decoys"]["figures"]["auc"]["interval"]
    noise, spots = (found[name]["figures"]["ink_share"]["value"] for name in ("noise", "bare papyrus"))
    call(binary, "limit", sheets / new, *reading, *cut, "--check", 6)
    limit = json.loads((maps / f"{new}.limit.json").read_text())["check"]
    errors = calibration_errors(binary, folder, maps)

    def share(*words):
        """How much of the last bare sheet is ink: `compare` says it of a map beside itself."""
        image, mask = maps / f"{BARE_NEW}.png", sheets / BARE_NEW / "mask.png"
        said = figures(binary, "compare", image, image, "--mask", mask, *words)
        return said["agreement"]["ink_share_first"]["value"]

    at_half, with_both = share(), share(*cut)
    pair = f"{strict['f05']:.3f} at {strict['threshold']:.2f} and {strict['high_threshold']:.2f}"
    failing = ", ".join(name for name in found if not found[name]["passes"])
    by_chance = decoys[0] <= 0.5 <= decoys[1] < auc["interval"][0]
    return [
        ("F0.5 of a sheet never seen, at a half", f"{plain['f05']:.3f}", "", True),
        ("the same at the thresholds for bare papyrus", pair, "", True),
        ("its AUC; that of 16 decoys", f"{auc['value']:.3f}; {decoys[0]:.3f} to {decoys[1]:.3f}", "chance within the decoys'", by_chance),
        ("all controls", "pass" if controls["passes"] else f"fail: {failing}", "pass", controls["passes"]),
        ("noise above the thresholds", f"{noise:.3%}", "5 %", noise <= 0.05),
        ("bare spots of the sheet above the thresholds", f"{spots:.3%}", "5 %", spots <= 0.05),
        ("another sheet, without ink, above a half", f"{at_half:.2%}", "", True),
        ("that sheet above the thresholds", f"{with_both:.3%}", "0.1 %", with_both <= 0.001),
        (f"limit map: {limit['strokes']} strokes at other places, found or not", f"AUC {limit['auc']:.3f}", "0.9", limit["auc"] >= 0.9),
        ("calibration error of three sheets, each corrected by the others", ", ".join(f"{error:.3f}" for error in errors), "0.05", max(errors) <= 0.05),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("inkling", type=Path)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--generators", nargs="+", default=["synth", "independent"])
    flags = parser.parse_args()
    tables = {name: check(flags.inkling.resolve(), name, flags.folder / name) for name in flags.generators}
    print(f"| what | {' | '.join(tables)} | wanted |")
    print("| --- " * (len(tables) + 2) + "|")
    for rows in zip(*tables.values()):
        print(f"| {rows[0][0]} | {' | '.join(seen for _, seen, _, _ in rows)} | {rows[0][2]} |")
    sys.exit(0 if all(holds for rows in tables.values() for *_, holds in rows) else 1)
