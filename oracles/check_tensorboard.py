#!/usr/bin/env python3
"""Reads a run's event files with TensorBoard's own package and holds them against metrics.jsonl.

    oracles/check_tensorboard.py RUN

fails unless every record's checksums hold, every epoch's figures are there once, and every picture
opens.
"""

import json
import struct
import sys
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import crc32c, masked_crc32c

SCALARS = {
    "epoch/loss": lambda e: e["loss"],
    "epoch/number": lambda e: e["epoch"],
    "validation/F0.5": lambda e: e.get("validation", {}).get("f05"),
    "validation/best F0.5": lambda e: e.get("validation", {}).get("best_f05"),
    "validation/best threshold": lambda e: e.get("validation", {}).get("best_threshold"),
    "validation/average precision": lambda e: e.get("validation", {}).get("average_precision"),
}


def check_framing(path):
    """TensorBoard skips what it cannot read; we want to know."""
    data, at, records = path.read_bytes(), 0, 0
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        (crc,) = struct.unpack_from("<I", data, at + 8)
        assert crc == masked_crc32c(data[at : at + 8]), path
        body = data[at + 12 : at + 12 + length]
        (crc,) = struct.unpack_from("<I", data, at + 12 + length)
        assert crc == masked_crc32c(body), path
        at += 16 + length
        records += 1
    assert records == len(list(RawEventFileLoader(str(path)).Load())), path
    return records


def main(run):
    run = Path(run)
    epochs = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    files = sorted(run.glob("events.out.tfevents.*"))
    records = sum(check_framing(path) for path in files)
    events = EventAccumulator(str(run), size_guidance={"scalars": 0, "images": 0, "tensors": 0})
    events.Reload()
    tags = events.Tags()
    for tag, figure in SCALARS.items():
        expected = [value for value in map(figure, epochs) if value is not None]
        found = [entry.value for entry in events.Scalars(tag)]
        assert len(found) == len(expected), (tag, found, expected)
        for ours, theirs in zip(expected, found):
            assert abs(ours - theirs) <= 1e-6 * max(1, abs(ours)), (tag, ours, theirs)
    steps = [entry.step for entry in events.Scalars("train/loss")]
    assert steps == list(range(1, steps[-1] + 1)), steps
    pictures = 0
    for tag in tags["images"]:
        for entry in events.Images(tag):
            assert entry.encoded_image_string.startswith(b"\x89PNG"), tag
            assert entry.width > 0 and entry.height > 0, tag
            pictures += 1
    assert any(tag.startswith("validation/") for tag in tags["images"]), tags
    print(
        f"{len(files)} files, {records} records, {len(tags['scalars'])} scalars, "
        f"{len(epochs)} epochs, {steps[-1]} steps, {pictures} pictures: as metrics.jsonl has them"
    )


if __name__ == "__main__":
    main(sys.argv[1])
