#!/usr/bin/env python3
"""Times every approach and published network beside PyTorch (eager, f32): a forward pass and, where it is an
approach of our own, a training step; both with their peak memory, taking turns within one run.

    oracles/bench_approaches.py target/release/inkling [--threads 2] [--rounds 3] [NAME ...]

Approaches read patches of 128 x 128 px and 18 layers through small encoders, published networks their own. A
training step is a batch of two patches: gradients, their norm clipped, AdamW. Ours is `inkling train` as
it is, making samples included, timed by metrics.jsonl without its first epoch; PyTorch's samples are made before.
Memory is the most that a process of its own ever held, Python's own included in PyTorch's.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from model_reference import make
from program import call, forward, median_seconds, own_peak, recipe

ATTO, SWIN = "convnextv2_atto", "swinv2_tiny_window8_256"
OWN = dict(image=128, depth=18, decoder=[64, 32, 16])
DEEP = [2, 3, 1, 1]
CASES = {
    "2d": dict(OWN, approach="2d", encoder=ATTO),
    "2d-agg": dict(OWN, approach="2d-agg", encoder=ATTO, window=3),
    "3d": dict(OWN, approach="3d", encoder=ATTO, depth_strides=DEEP),
    "3d, acs": dict(OWN, approach="3d", encoder=ATTO, depth_strides=DEEP, conversion="acs"),
    "3d, resnet18": dict(OWN, approach="3d", encoder="resnet18", depth_strides=[2, 3, 1, 1, 1]),
    "3d-swin": dict(OWN, approach="3d-swin", encoder=SWIN, depth_strides=DEEP, depth_window=3),
    "pseudo-3d-swin": dict(OWN, approach="pseudo-3d-swin", encoder=SWIN),
    "hybrid": dict(approach="hybrid", image=128, depth=17),
    "resnet3d, 50": dict(approach="resnet3d", image=256, depth=62, resnet3d=dict(layers=50)),
    "resnet3d, 50, enlarged": dict(approach="resnet3d", image=64, depth=24, resnet3d=dict(layers=50, input_norm="instance", enlarge=4)),
    "resnet3d, 101": dict(approach="resnet3d", image=64, depth=30, resnet3d=dict(layers=101)),
    "resnet3d, 152, 3d decoder": dict(approach="resnet3d", image=256, depth=62, resnet3d=dict(layers=152, decoder="3d", input_norm="batch")),
    "timesformer": dict(approach="timesformer", image=64, depth=26),
    "i3d": dict(approach="i3d", image=64, depth=30),
}
BATCH, STEPS = 2, 6
# Passes of one round, of which the median counts: the first ones pack weights and get their memory.
REPEAT = 9


def settings(case):
    """The case as tables of a recipe."""
    model = {"image_size" if key == "image" else key: value for key, value in case.items() if not isinstance(value, dict)}
    tables = {f"model.{key}": value for key, value in case.items() if isinstance(value, dict)}
    if "resnet3d" in case:
        tables["model.resnet3d"] = {key: value for key, value in case["resnet3d"].items() if key != "layers"}
        tables["model.resnet3d"]["blocks"] = {50: [3, 4, 6, 3], 101: [3, 4, 23, 3], 152: [3, 8, 36, 3]}[case["resnet3d"]["layers"]]
    return {"model": dict(model, pretrained=False), **tables}


def volume(case, batch):
    shape = (batch, case["depth"], case["image"], case["image"])
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def their_step(network, case):
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, weight_decay=1e-6)
    loss = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(0.5))
    patches = volume(case, BATCH)
    labels = (torch.rand(BATCH, case["image"], case["image"]) > 0.8).float()

    def step():
        optimizer.zero_grad()
        loss(network(patches), labels).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()

    return step


def peak(folder, name, kind, threads):
    """Bytes that a process of PyTorch's holds at most."""
    command = [sys.executable, __file__, "-", name, "--peak-of", kind, "--peak-in", str(folder), "--threads", str(threads)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def print_peak(folder, name, kind):
    case = CASES[name]
    network = make(case)
    network.load_state_dict(load_file(folder / "weights.safetensors"), strict=False)
    if kind == "forward":
        with torch.inference_mode():
            for _ in range(2):
                network.eval()(volume(case, 1))
    else:
        step = their_step(network.train(), case)
        step(), step()
    print(own_peak())


def write_case(folder, case, network, patch):
    """What `program.forward` reads; the weights say themselves what they are of, so that they can be exported."""
    tables = settings(case)
    (folder / "recipe.toml").write_text(recipe(**tables))
    model = tables["model"] | {key.split(".")[1]: table for key, table in tables.items() if key != "model"}
    # nnU-Net's blocks name each layer twice.
    state = {key: value.contiguous() for key, value in network.state_dict().items() if ".all_modules." not in key}
    save_file(state, folder / "weights.safetensors", {"inkling.model": json.dumps(model), "inkling.input": "{}"})
    np.save(folder / "in.npy", np.ascontiguousarray(patch.permute(0, 2, 3, 1)[:, None].numpy()))


def time_forward(binary, folder, name, case, flags):
    network = make(case).eval()
    patch = volume(case, 1)
    write_case(folder, case, network, patch)
    words = ["--threads", flags.threads, "--repeat", REPEAT, "--device", "flex"]
    ours, theirs, memory = [], [], 0
    with torch.inference_mode():
        expected = network(patch)
        for _ in range(flags.rounds):
            found = forward(binary, folder, *words)
            ours.append(found["seconds"])
            memory = max(memory, found["resident_bytes"])
            theirs.append(median_seconds(lambda: network(patch), REPEAT))
    error = float((torch.from_numpy(np.load(folder / "out.npy")) - expected).abs().max() / expected.std())
    del network
    return statistics.median(ours), statistics.median(theirs), memory, peak(folder, name, "forward", flags.threads), error


def training(binary, folder, name, case, flags):
    data = dict(fragments=[str(folder / "phantoms" / n) for n in "12"], layers=[20, 44])
    train = dict(epochs=2, batch=BATCH, accumulate=1, validate_every=1000, samples_per_epoch=BATCH * STEPS)
    (folder / "train.toml").write_text(recipe(data=data, train=train, **settings(case)))
    step = their_step(make(case).train(), case)
    step()
    ours, theirs, memory = [], [], 0
    for _ in range(flags.rounds):
        run = folder / "run"
        found = json.loads(call(binary, "train", "--config", folder / "train.toml", "--out", run, "--force", "--threads", flags.threads, "--json"))
        epochs = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        ours.append(epochs[-1]["train_seconds"] / STEPS)
        memory = max(memory, found["resident_bytes"])
        theirs.append(median_seconds(step, 3))
    del step
    return statistics.median(ours), statistics.median(theirs), memory, peak(folder, name, "train", flags.threads)


def cells(ours, theirs, memory, peak):
    return f"{ours:.2f} s | {theirs:.2f} s | {ours / theirs:.2f} | {memory / 2**20:.0f} | {peak / 2**20:.0f} | {memory / peak:.2f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("names", nargs="*", help=", ".join(map(repr, CASES)))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-training", action="store_true")
    parser.add_argument("--peak-in", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--peak-of", help=argparse.SUPPRESS)
    flags = parser.parse_intermixed_args()
    torch.set_num_threads(flags.threads)
    if flags.peak_in:
        return print_peak(flags.peak_in, flags.names[0], flags.peak_of)
    head = "ours | PyTorch | ratio | ours, MiB | PyTorch's, MiB | ratio |"
    print(f"PyTorch {torch.__version__}, {flags.threads} threads, medians of {flags.rounds} rounds\n")
    print(f"| forward | {head} error by the logits' spread |\n|---|---|---|---|---|---|---|---|", flush=True)
    names, rows = flags.names or list(CASES), []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        call(flags.binary, "synth", folder / "phantoms", "--fragments", 2, "--size", "256x256")
        for name in names:
            case = CASES[name]
            *found, error = time_forward(flags.binary, folder, name, case, flags)
            print(f"| {name} | {cells(*found)} | {error:.0e} |", flush=True)
            if "encoder" in case and not flags.no_training:
                rows.append(f"| {name} | {cells(*training(flags.binary, folder, name, case, flags))} |")
    if rows:
        print(f"\n| training step | {head}\n|---|---|---|---|---|---|---|\n" + "\n".join(rows))


if __name__ == "__main__":
    main()
