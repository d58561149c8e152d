#!/usr/bin/env python3
"""Times training steps of encoders with a U-Net beside PyTorch's, in one run.

    oracles/bench_train.py target/release/inkling [ENCODER:SIDE ...] [--steps 12] [--rounds 3] [--no-operations] [--hold avx2]

A step is the reference solution's: a batch of two patches of 18 layers (ConvNeXt V2 atto at 128 px, if no other encoder is
named), six windows of three layers each through the network, a linear mixture of their logits, binary cross-entropy, gradients,
their norm clipped, AdamW; f32, two threads on both sides, taking turns. Ours is `inkling train` as it
is, sample making included, timed by metrics.jsonl (the first epoch is left out); PyTorch's samples
are made before. Then each operation that a step is made of, forward and backward, as burn's
processor device has it (`cargo bench -p inkling-model --bench operations`), beside PyTorch's.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")

import segmentation_models_pytorch as smp
import timm
import torch
import torch.nn.functional as F
from torch import nn

from model_reference import Network
from program import bench, call, hold, recipe

DEPTH, BATCH, WINDOW = 18, 2, 3


def training_recipe(encoder="convnextv2_atto", side=128):
    """Two epochs of the encoder's steps, without validation."""
    return recipe(
        data=dict(fragments=["phantoms/1", "phantoms/2"], layers=[20, 44]),
        model=dict(encoder=encoder, image_size=side, depth=DEPTH, pretrained=False),
        augment=dict(scale=[0.5, 1.0]),
        train=dict(epochs=2, batch=BATCH, accumulate=1, validate_every=1000),
    )


def their_steps(steps, device="cpu", autocast=False, encoder="convnextv2_atto", side=128):
    """Seconds of a step, the median."""
    model = Network(encoder, side, DEPTH, WINDOW).train().to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=1e-6)
    loss = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(0.5, device=device))
    volume = torch.randn(BATCH, DEPTH, side, side, device=device)
    labels = (torch.rand(BATCH, side, side, device=device) > 0.8).float()
    times = []
    for _ in range(steps + 2):
        began = time.perf_counter()
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16, autocast):
            logits = model(volume)
        loss(logits.float(), labels).backward()
        # Reads the norm, and so waits for the device.
        float(nn.utils.clip_grad_norm_(model.parameters(), 5.0))
        optimizer.step()
        times.append(time.perf_counter() - began)
    return statistics.median(times[2:])


def our_steps(inkling, folder, steps, *words):
    """Seconds of a step of the last epoch, and that epoch's loss; recipe.toml and phantoms are in `folder`."""
    run = folder / "run"
    words = ["--config", folder / "recipe.toml", "--out", run, "--force", *words]
    call(inkling, "train", *words, "--set", f"train.samples_per_epoch={BATCH * steps}")
    epochs = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return epochs[-1]["train_seconds"] / steps, epochs[-1]["loss"]


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
    rows = bench("inkling-model", "operations")["operations"]
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
    parser.add_argument("encoders", nargs="*", default=["convnextv2_atto:128"], metavar="ENCODER:SIDE")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-operations", action="store_true")
    parser.add_argument("--hold", choices=["avx2"])
    flags = parser.parse_args()
    if flags.hold:
        hold(flags.hold)
    torch.set_num_threads(2)
    torch.manual_seed(0)
    inkling = flags.inkling.resolve()
    print(f"PyTorch {torch.__version__}, timm {timm.__version__}, {smp.__name__} {smp.__version__}")
    print("| encoder | px | ours | PyTorch |\n| --- | --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        call(inkling, "synth", folder / "phantoms", "--fragments", 2, "--size", "512x512")
        for name in flags.encoders:
            encoder, _, side = name.partition(":")
            side = int(side)
            (folder / "recipe.toml").write_text(training_recipe(encoder, side))
            pairs = []
            for _ in range(flags.rounds):
                theirs = their_steps(flags.steps, encoder=encoder, side=side)
                pairs.append((our_steps(inkling, folder, flags.steps)[0], theirs))
            ours, theirs = (statistics.median(times) for times in zip(*pairs))
            ratio = statistics.median(ours / theirs for ours, theirs in pairs)
            print(f"| {encoder} | {side} | {ours:.3f} s | {theirs:.3f} s ({ratio:.2f}) |", flush=True)
    if not flags.no_operations:
        operations()


if __name__ == "__main__":
    main()
