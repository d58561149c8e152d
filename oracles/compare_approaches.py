#!/usr/bin/env python3
"""Trains every approach with a small encoder on phantoms and writes the table of docs/approaches.md:
F0.5 on a phantom that was held out, the training's time and the most memory in use, parameters.

    oracles/compare_approaches.py target/release/inkling [--threads 2] [--epochs 11] [NAME ...]

Needs nothing but Python. Phantoms, maps and runs lie in a temporary folder; rows of approaches that
are not named stay as they are.
"""
import argparse
import json
import pathlib
import struct
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "approaches.md"
DEMO = HERE.parent / "crates/pipeline/src/demo.toml"
START, END = "<!-- table -->\n", "<!-- end of the table -->\n"

MAXVIT = []  # the demo's own narrow one
RESNET = ["model.encoder=resnet18"]
CONVNEXT = ["model.encoder=convnextv2_atto"]
SWIN = ["model.encoder=swinv2_tiny_window8_256"]
# Depth 18: 9 layers after the first step, 3 after the second.
STRIDES = {4: "[2, 3, 1, 1]", 5: "[2, 3, 1, 1, 1]"}


def volume(conversion, maps, *more):
    return ["model.approach=3d", *([f"model.conversion={conversion}"] if conversion else []), f"model.depth_strides={STRIDES[maps]}", *more]


ROWS = {
    "2d": ("narrow MaxViT", ["model.approach=2d", *MAXVIT]),
    "2d-agg": ("narrow MaxViT", MAXVIT),
    "2d-agg, step 1, mean": ("narrow MaxViT", ["model.step=1", "model.aggregation=mean", *MAXVIT]),
    # A gradient reaches one window of six only: it takes three times as long to learn.
    "2d-agg, max": ("narrow MaxViT", ["model.aggregation=max", "train.epochs=33", *MAXVIT]),
    "2d-agg, attention": ("narrow MaxViT", ["model.aggregation=attention", *MAXVIT]),
    "3d": ("narrow MaxViT", [*volume(None, 5), *MAXVIT]),
    "3d, acs": ("narrow MaxViT", [*volume("acs", 5), *MAXVIT]),
    "3d, resnet18": ("resnet18", [*volume(None, 5), *RESNET]),
    "3d, convnextv2_atto, acs": ("convnextv2_atto", [*volume("acs", 4), *CONVNEXT]),
    "3d-swin": ("swinv2_tiny_window8_256", ["model.approach=3d-swin", f"model.depth_strides={STRIDES[4]}", "model.depth_window=3", *SWIN]),
    "pseudo-3d-swin": ("swinv2_tiny_window8_256", ["model.approach=pseudo-3d-swin", *SWIN]),
}


def run(binary, *words):
    done = subprocess.run([binary, *map(str, words), "--json"], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def parameters(file):
    with open(file, "rb") as opened:
        header = json.loads(opened.read(struct.unpack("<Q", opened.read(8))[0]))
    count = 0
    for name, tensor in header.items():
        if name != "__metadata__" and "running_" not in name:
            size = 1
            for axis in tensor["shape"]:
                size *= axis
            count += size
    return count


def recipe(folder, encoder):
    """The demo's recipe over the phantoms; its narrow MaxViT only where that is the encoder."""
    text = DEMO.read_text()
    if "MaxViT" not in encoder:
        start, end = text.index("[model.maxvit]"), text.index("[augment]")
        text = text[:start] + text[end:]
    names = json.dumps([str(folder / "phantoms" / name) for name in sorted(p.name for p in (folder / "phantoms").iterdir())])
    text = text.replace("[data]\n", f"[data]\nfragments = {names}\nmaps = {json.dumps(str(folder / 'maps'))}\n")
    path = folder / "recipe.toml"
    path.write_text(text)
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=11)
    parser.add_argument("names", nargs="*", help=", ".join(map(repr, ROWS)))
    flags = parser.parse_intermixed_args()
    text = PAGE.read_text()
    head, rest = text.split(START)
    table, tail = rest.split(END)
    lines = {line.split("|")[1].strip(): line for line in table.splitlines()[2:]}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        run(flags.binary, "synth", folder / "phantoms", "--fragments", 3, "--size", "320x288")
        run(flags.binary, "align", *sorted((folder / "phantoms").iterdir()), "--out", folder / "maps")
        for name in flags.names or ROWS:
            encoder, settings = ROWS[name]
            out = folder / name.replace(" ", "-").replace(",", "")
            sets = [word for setting in [f"train.epochs={flags.epochs}", *settings] for word in ("--set", setting)]
            began = time.monotonic()
            found = run(flags.binary, "train", "--threads", flags.threads, "--config", recipe(folder, encoder), "--fold", 2, "--out", out, *sets)
            seconds = time.monotonic() - began
            millions = parameters(out / "best.safetensors") / 1e6
            lines[name] = f"| {name} | {encoder} | {found['f05']:.2f} | {seconds:.0f} s | {found['memory_bytes'] / 2**20:.0f} MiB | {millions:.2f} M |"
            print(lines[name], flush=True)
            rows = [lines[row] for row in ROWS if row in lines]
            header = "| approach | encoder | F0.5 | training | memory | parameters |\n|---|---|---|---|---|---|\n"
            PAGE.write_text(head + START + header + "\n".join(rows) + "\n" + END + tail)


if __name__ == "__main__":
    main()
