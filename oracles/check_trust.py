#!/usr/bin/env python3
"""What docs/trust.md promises, seen on phantoms of two generators: `inkling synth` and independent_phantom.py.

    oracles/check_trust.py target/release/inkling --folder DIR [--generators synth independent]

For each generator five labelled sheets and one without ink are made and aligned, the demo's recipe
(crates/pipeline/src/demo.toml) is trained on two of them, and what is said of its reading is compared with what is
known: `controls`, `limit --check`, `calibrate` over the sheets that it never saw, and how much ink it sees on the sheet
that has none. Sheets, runs and pages stay in DIR, where a second call goes on. Prints a Markdown table; exit code 1
when a figure falls short.
"""
import argparse
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

import independent_phantom
from program import ROOT, call, figures

SIZE = (768, 640)
LEARNT, NEW, BARE = ("1", "2"), ("3", "4", "5"), "bare"


def make(binary, generator, folder):
    sheets = folder / "sheets"
    for index, name in enumerate((*LEARNT, *NEW, BARE)):
        if (sheets / name / "mask.png").exists():
            continue
        if generator == "synth":
            words = ["--seed", 11 + index, "--size", f"{SIZE[0]}x{SIZE[1]}", "--contrast", 0 if name == BARE else 1]
            call(binary, "synth", folder / "made", *words, "--force")
            sheets.mkdir(exist_ok=True)
            (folder / "made" / "1").rename(sheets / name)
            continue
        rng = np.random.default_rng(101 + index)
        ink = None if name == BARE else independent_phantom.letters(rng, SIZE, 72)
        independent_phantom.make(rng, sheets / name, SIZE, 1.0, rng.uniform(-3, 3), 0.3, ink)
    if not (folder / "maps" / BARE).exists():
        call(binary, "align", *sorted(sheets.iterdir()), "--out", folder / "maps", "--force")


def train(binary, folder):
    if (folder / "run" / "best.safetensors").exists():
        return
    sheets = [str(folder / "sheets" / name) for name in (*LEARNT, NEW[0])]
    words = ["--set", f"data.fragments={json.dumps(sheets)}", "--set", f"data.maps={json.dumps(str(folder / 'maps'))}"]
    recipe = ROOT / "crates/pipeline/src/demo.toml"
    call(binary, "train", "--config", recipe, *words, "--fold", NEW[0], "--out", folder / "run", "--force")


def check(binary, generator, folder):
    """Rows of the table: what, seen, wanted, whether it holds."""
    make(binary, generator, folder)
    train(binary, folder)
    sheets, out, run = folder / "sheets", folder / "out", folder / "run"
    reading = ["--model", run, "--maps", folder / "maps", "--out", out, "--force"]
    call(binary, "predict", *(sheets / name for name in (*NEW, BARE)), *reading)
    known = [(out / f"{name}.png", sheets / name / "inklabels.png", sheets / name / "mask.png") for name in NEW]
    score = figures(binary, "score", known[0][0], "--labels", known[0][1], "--mask", known[0][2])
    controls = figures(binary, "controls", sheets / NEW[0], *reading)
    found = {control["name"]: control for control in controls["controls"]}
    level = round(controls["threshold"] * 255)
    bare = np.asarray(Image.open(out / f"{BARE}.png"))[np.asarray(Image.open(sheets / BARE / "mask.png")) > 0]
    call(binary, "limit", sheets / NEW[0], *reading, "--check", 6)
    limit = json.loads((out / f"{NEW[0]}.limit.json").read_text())["check"]
    predictions, labels, masks = zip(*known)
    calibration = figures(binary, "calibrate", *predictions, "--labels", *labels, "--mask", *masks, "--out", folder / "calibration", "--force")
    errors = [sheet["after"] for sheet in calibration["sheets"]]
    auc, decoys = found["reading"]["figures"]["auc"], found["decoys"]["figures"]["auc"]["interval"]
    ink = (bare >= level).mean()
    noise, spots = (found[name]["figures"]["ink_share"]["value"] for name in ("noise", "bare papyrus"))
    return [
        ("F0.5 of a sheet never seen", f"{score['f05']:.3f}", "", True),
        ("its AUC; that of 16 decoys", f"{auc['value']:.3f}; {decoys[0]:.3f} to {decoys[1]:.3f}", "chance within the decoys'", decoys[0] <= 0.5 <= decoys[1] < auc["interval"][0]),
        ("all controls", "pass" if controls["passes"] else "fail: " + ", ".join(name for name in found if not found[name]["passes"]), "pass", controls["passes"]),
        ("noise above the threshold", f"{noise:.2%}", "5 %", noise <= 0.05),
        ("bare spots of the sheet above the threshold", f"{spots:.2%}", "5 %", spots <= 0.05),
        ("a sheet without ink above the threshold", f"{ink:.2%}", "0.1 %", ink <= 0.001),
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
