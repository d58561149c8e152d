#!/usr/bin/env python3
"""Times a training step of ConvNeXt V2 atto with a U-Net beside PyTorch's, in one run.

    pip install torch timm segmentation_models_pytorch
    oracles/bench_train.py target/release/inkling [--steps 12] [--rounds 3] [--no-operations]

A step is the write-up's: a batch of two patches of 18 layers of 128 × 128 px, six windows of three
layers each through the network, a linear mixture of their logits, binary cross-entropy, gradients,
their norm clipped, AdamW; f32, two threads on both sides, taking turns. Ours is `inkling train` as it
is, sample making included, timed by metrics.jsonl (the first epoch is left out); PyTorch's samples
are made before. Then each operation that a step is made of, forward and backward, as burn's
processor device has it (`cargo bench -p inkling-model --bench operations`), beside PyTorch's.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")

import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from torch import nn
import timm
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder

ROOT = Path(__file__).resolve().parent.parent
SIDE, DEPTH, BATCH, WINDOW = 128, 18, 2, 3

RECIPE = """
[data]
fragments = ["1", "2"]
layers = [20, 44]
[model]
encoder = "convnextv2_atto"
image_size = 128
depth = 18
pretrained = false
[train]
epochs = 2
batch = 2
accumulate = 1
validate_every = 1000
"""


class Theirs(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = timm.create_model("convnextv2_atto", features_only=True, pretrained=False)
        channels = self.encoder.feature_info.channels()
        # The decoder drops the first entry, that of the input's own size.
        self.decoder = UnetDecoder(
            encoder_channels=[3] + channels, decoder_channels=(256, 128, 64), n_blocks=3
        )
        self.head = nn.Conv2d(64, 1, 3, padding=1)
        self.aggregate = nn.Conv2d(DEPTH // WINDOW, 1, 1)

    def forward(self, volume):
        batch, depth, height, width = volume.shape
        images = volume.reshape(-1, WINDOW, height, width)
        features = self.encoder(images)
        logits = self.head(self.decoder([images] + features))
        logits = logits.reshape(batch, depth // WINDOW, *logits.shape[-2:])
        return F.interpolate(self.aggregate(logits), (height, width))[:, 0]


def their_steps(steps):
    model = Theirs().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=1e-6)
    loss = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(0.5))
    volume = torch.randn(BATCH, DEPTH, SIDE, SIDE)
    labels = (torch.rand(BATCH, SIDE, SIDE) > 0.8).float()
    times = []
    for _ in range(steps + 2):
        began = time.perf_counter()
        optimizer.zero_grad()
        loss(model(volume), labels).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        times.append(time.perf_counter() - began)
    return statistics.median(times[2:])


def our_steps(inkling, folder, steps):
    run = folder / "run"
    command = [inkling, "train", "--config", folder / "recipe.toml", "--out", run, "--force", "-q"]
    command += ["--set", f"train.samples_per_epoch={BATCH * steps}"]
    subprocess.run(command, check=True)
    epochs = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return epochs[-1]["train_seconds"] / steps


def torch_operation(name):
    words, _, side = name.rpartition(" at ")
    side = int(side.rstrip("²"))
    kind, shape = words.rsplit(" ", 1)
    images = 12

    def leaf(*shape):
        return torch.randn(*shape, requires_grad=True)

    if "convolution" in kind:
        inputs, outputs = map(int, shape.split("→"))
        kernel = int(kind.split("×")[1].split()[0])
        stride = int(kind.split("/")[1])
        groups = inputs if kind.startswith("depthwise") else 1
        weight = leaf(outputs, inputs // groups, kernel, kernel)
        padding = kernel // 2 if stride == 1 else 0
        x = leaf(images, inputs, side, side)
        return lambda: F.conv2d(x, weight, None, stride, padding, 1, groups)
    if kind == "linear":
        inputs, outputs = map(int, shape.split("→"))
        x, weight, bias = leaf(images, side, side, inputs), leaf(outputs, inputs), leaf(outputs)
        return lambda: F.linear(x, weight, bias)
    width = int(shape)
    if kind == "layer norm":
        x, weight, bias = leaf(images, side, side, width), leaf(width), leaf(width)
        return lambda: F.layer_norm(x, (width,), weight, bias, 1e-6)
    if kind == "GELU":
        x = leaf(images, side, side, width)
        return lambda: F.gelu(x)
    if kind == "response norm":
        x, weight = leaf(images, side, side, width), leaf(width)

        def norm():
            size = x.norm(dim=(1, 2), keepdim=True)
            return x + x * (size / (size.mean(-1, keepdim=True) + 1e-6)) * weight

        return norm
    x, weight, bias = leaf(images, width, side, side), leaf(width), leaf(width)
    return lambda: F.relu(F.batch_norm(x, None, None, weight, bias, True))


def their_milliseconds(name, rounds=7):
    work = torch_operation(name)
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work().sum().backward()
        times.append(time.perf_counter() - began)
    return 1e3 * statistics.median(times)


def operations():
    command = ["cargo", "bench", "-q", "-p", "inkling-model", "--bench", "operations", "--"]
    output = subprocess.run(
        command + ["--json"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    rows = json.loads(output.stdout.strip().splitlines()[-1])["operations"]
    for row in rows:
        row["theirs"] = their_milliseconds(row["name"])
    rows.sort(key=lambda row: row["count"] * (row["theirs"] - row["ms"]))
    print("\n| operation, forward and backward | times | burn, ms | PyTorch, ms | ratio | cost, ms |")
    print("| --- | --- | --- | --- | --- | --- |")
    for row in rows:
        count, ours, theirs = row["count"], row["ms"], row["theirs"]
        print(
            f"| {row['name']} | {count} | {ours:.2f} | {theirs:.2f} | {ours / theirs:.1f} "
            f"| {count * (ours - theirs):.1f} |"
        )
    ours = sum(row["count"] * row["ms"] for row in rows)
    theirs = sum(row["count"] * row["theirs"] for row in rows)
    print(f"| together | | {ours:.0f} | {theirs:.0f} | {ours / theirs:.1f} | {ours - theirs:.0f} |")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("inkling", type=Path)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-operations", action="store_true")
    flags = parser.parse_args()
    torch.set_num_threads(2)
    torch.manual_seed(0)
    inkling = flags.inkling.resolve()
    print(f"PyTorch {torch.__version__}, timm {timm.__version__}, {smp.__name__} {smp.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for seed in ("1", "2"):
            command = [inkling, "synth", folder / seed, "--size", "256x256", "--seed", seed, "-q"]
            subprocess.run(command, check=True)
            (folder / seed / "1").rename(folder / f"{seed}.sheet")
            (folder / seed).rmdir()
            (folder / f"{seed}.sheet").rename(folder / seed)
        (folder / "recipe.toml").write_text(RECIPE)
        pairs = []
        for _ in range(flags.rounds):
            pairs.append((our_steps(inkling, folder, flags.steps), their_steps(flags.steps)))
            print(f"ours {pairs[-1][0]:.3f} s, PyTorch {pairs[-1][1]:.3f} s a step", flush=True)
    ours, theirs = (statistics.median(times) for times in zip(*pairs))
    ratio = statistics.median(ours / theirs for ours, theirs in pairs)
    print(f"a step: ours {ours:.3f} s, PyTorch {theirs:.3f} s, ratio {ratio:.2f}")
    if not flags.no_operations:
        operations()


if __name__ == "__main__":
    main()
