#!/usr/bin/env python3
"""Makes an offline run of Weights & Biases from a run of `inkling train`.

    pip install wandb tensorboard
    docs/to_wandb.py RUN [--project inkling]
    wandb sync wandb/offline-run-*

The first command needs no network; the second uploads. Curves, pictures and settings go along.
"""

import argparse
import io
import tomllib
from collections import defaultdict
from pathlib import Path

import wandb
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def values_by_step(run):
    events = EventAccumulator(str(run), size_guidance={"scalars": 0, "images": 0})
    events.Reload()
    steps = defaultdict(dict)
    for tag in events.Tags()["scalars"]:
        for entry in events.Scalars(tag):
            steps[entry.step][tag] = entry.value
    for tag in events.Tags()["images"]:
        for entry in events.Images(tag):
            picture = Image.open(io.BytesIO(entry.encoded_image_string))
            steps[entry.step][tag] = wandb.Image(picture)
    return steps


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--project", default="inkling")
    flags = parser.parse_args()
    settings = tomllib.loads((flags.run / "settings.toml").read_text())
    run = wandb.init(
        mode="offline", project=flags.project, name=flags.run.resolve().name, config=settings
    )
    for step, values in sorted(values_by_step(flags.run).items()):
        run.log(values, step=step)
    run.finish()


if __name__ == "__main__":
    main()
