#!/usr/bin/env python3
"""Checks `inkling` on graphics cards against PyTorch, and times it beside PyTorch with autocast; started by
check_device.sh, which finds the libraries.

    oracles/check_device.sh [...] BINARY [--peer cuda|cpu] [--quick] [--only PART ...]

Prints Markdown: features and logits of every encoder and published network in f32, by their spread (at most 1e-4, or
what PyTorch's f32 is from its f64; TF32 is off on both sides); the losses of a short training beside the processor's (at most 1e-3 apart) and the time
of a step; a prediction's largest difference (at most 1e-4) and its time; passes of full-size networks in f32, as each
library multiplies it by default, and in bf16. What matters most comes first; encoders of a family beyond its first
come last, smallest first, as many as the time allows: those that were not reached are named. `--quick` takes small
cases, for a rehearsal on a processor. Exit code 1 when something disagrees, or a program fails.
"""
import argparse
import contextlib
import os
import pathlib
import platform
import signal
import subprocess
import sys
import tempfile
import time
from datetime import date

import numpy as np
import timm
import torch

import bench_approaches
import bench_predict
import bench_train
from check_networks import UNET, UPERNET, differences, ours, randomise, settings, theirs
from model_reference import Network
from program import call, figures, forward, median_seconds, write_patch

DEPTH = WINDOW = 3
TOLERANCE, LOSS_TOLERANCE = 1e-4, 1e-3
# Full-size networks, and those of a rehearsal.
TIMED = ["convnextv2_atto:384", "swinv2_tiny_window8_256:256", "caformer_s18:384", "eva02_tiny_patch14_336:336", "maxvit_rmlp_base_rw_384:384"]
TIMED_QUICK = ["convnextv2_atto:128", "resnet18:128"]
PUBLISHED = {
    "hybrid": dict(approach="hybrid", image=128, depth=17),
    "resnet3d 50": dict(approach="resnet3d", image=64, depth=30, resnet3d=dict(layers=50)),
    "i3d": dict(approach="i3d", image=64, depth=30),
    "3d, resnet18": dict(approach="3d", encoder="resnet18", image=64, depth=18, decoder=[64, 32, 16], depth_strides=[2, 3, 1, 1, 1]),
    "3d-swin": dict(approach="3d-swin", encoder="swinv2_tiny_window8_256", image=64, depth=18, decoder=[64, 32, 16], depth_strides=[2, 3, 1, 1], depth_window=3),
}
REPEAT, IMAGES, STEPS = 9, 8, 8
# Seconds of one attempt.
LONGEST = 120


class Report:
    """What was found, and the time that is left for more."""

    def __init__(self, seconds):
        self.end, self.failures = time.monotonic() + seconds, []

    def left(self):
        return self.end - time.monotonic()

    def table(self, *columns):
        print("\n| " + " | ".join(columns) + " |\n" + "| --- " * len(columns) + "|", flush=True)

    def row(self, *cells):
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)

    def verdict(self, name, error, tolerance):
        """The error as a cell, kept as a failure when it is too large or not a number."""
        if not error < tolerance:
            self.failures.append(f"{name}: {error:.1e}, expected less than {tolerance:.0e}")
        return f"{error:.1e}" + ("" if error < tolerance else " **NO**")

    @contextlib.contextmanager
    def attempt(self, name):
        """One program or library that fails, or hangs, does not end the others."""
        try:
            signal.alarm(max(1, min(LONGEST, int(self.left()))))
            yield
        except (Exception, SystemExit) as problem:
            # The last lines say what failed; those before, which command.
            text = "; ".join(str(problem).strip().splitlines()[-3:])
            self.failures.append(f"{name}: {text}")
        finally:
            signal.alarm(0)


def too_long(*_):
    raise TimeoutError("not done in its time")


@contextlib.contextmanager
def exact():
    """Products of 32 bits are products of 32 bits, in this process and in those it starts."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    os.environ["NVIDIA_TF32_OVERRIDE"] = "0"
    try:
        yield
    finally:
        del os.environ["NVIDIA_TF32_OVERRIDE"]
        torch.backends.cudnn.allow_tf32 = True


def cleared(flags):
    """Waits for the peer, so that a time counts all of its work."""
    if flags.peer == "cuda":
        torch.cuda.synchronize()


def on_processor(tensors):
    return [tensor.float().cpu() for tensor in tensors]


def agreement(case, flags, report):
    """The errors of features and logits of an encoder, one pair of cells for each device."""
    encoder, size = case.split(":")
    shape = UPERNET if encoder.startswith("eva") else UNET
    with torch.device(flags.peer):
        network = Network(encoder, int(size), DEPTH, WINDOW, **shape)
    volume = torch.randn(1, DEPTH, int(size), int(size), generator=torch.Generator().manual_seed(1))
    # Draws on the processor, so that every peer has the same weights; norms of a single pixel want two images.
    randomise(network.cpu(), volume.expand(2, -1, -1, -1))
    expected = on_processor(theirs(network.to(flags.peer), volume.to(flags.peer)))
    double = on_processor(theirs(network.double(), volume.to(flags.peer).double()))
    # Where PyTorch's own f32 is further from its f64, that is all that can be asked.
    bounds = [max(TOLERANCE, own) for own in differences(expected, double)]
    network.cpu().float()
    model = settings(encoder, int(size), **shape) | dict(depth=DEPTH)
    for device in flags.devices:
        with report.attempt(f"{encoder} on {device}"):
            found = ours(flags.binary, network, volume, model, "--device", device)
            errors = differences(found, expected)
            cells = (report.verdict(f"{encoder} on {device}", *pair) for pair in zip(errors, bounds))
            report.row(encoder, size, device, *cells)


def published_agreement(name, flags, report):
    """The error of the logits of a network over volumes."""
    case = PUBLISHED[name]
    network = bench_approaches.make(case).eval()
    volume = bench_approaches.volume(case, 1)
    with torch.inference_mode():
        expected = network.to(flags.peer)(volume.to(flags.peer)).float().cpu()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        bench_approaches.write_case(folder, case, network.cpu(), volume)
        for device in flags.devices:
            with report.attempt(f"{name} on {device}"):
                forward(flags.binary, folder, "--device", device)
                found = torch.from_numpy(np.load(folder / "out.npy"))
                error = float((found - expected).abs().max() / expected.std())
                report.row(name, case["image"], device, "", report.verdict(f"{name} on {device}", error, TOLERANCE))


def families(encoders):
    """The smallest encoder of each family, and all others, smallest first, as NAME:SIZE."""
    encoders = sorted(encoders, key=lambda encoder: encoder["multiply_adds"])
    first = {}
    for encoder in encoders:
        first.setdefault(encoder["family"], encoder)
    case = lambda encoder: f"{encoder['name']}:{encoder['image_size']}"
    return [case(e) for e in first.values()], [case(e) for e in encoders if e not in first.values()]


def agree(cases, flags, report, spare=0):
    """Checks encoders while more than `spare` seconds are left; those that it did not reach."""
    for index, case in enumerate(cases):
        if report.left() < spare:
            return cases[index:]
        with exact(), report.attempt(case):
            agreement(case, flags, report)
    return []


def train(folder, flags, report):
    """The losses of a short training beside flex's, and the time of a step beside PyTorch's."""
    (folder / "recipe.toml").write_text(bench_train.training_recipe())
    call(flags.binary, "synth", folder / "phantoms", "--fragments", 2, "--size", "256x256")
    os.chdir(folder)
    with exact():
        steps = lambda device, *words: bench_train.our_steps(flags.binary, folder, STEPS, "--device", device, *words)
        _, expected = steps("flex")
        losses = {}
        for device in flags.devices:
            with report.attempt(f"training on {device}"):
                losses[device] = steps(device)[1]
    report.table("training", "precision", "loss, from flex's", "a step", "PyTorch's", "ratio")
    for precision in ("f32", "bf16"):
        peer = bench_train.their_steps(STEPS, flags.peer, precision == "bf16")
        for device in losses:
            with report.attempt(f"training in {precision} on {device}"):
                seconds, loss = steps(device, "--set", f"train.precision={precision}")
                error = abs(losses[device] / expected - 1)
                cell = report.verdict(f"training on {device}", error, LOSS_TOLERANCE) if precision == "f32" else f"{abs(loss / expected - 1):.1e}"
                report.row(device, precision, cell, f"{1e3 * seconds:.1f} ms", f"{1e3 * peer:.1f} ms", f"{seconds / peer:.2f}")


def predict(folder, flags, report):
    """A prediction with twelve passes beside PyTorch's; the whole time of `inkling predict`, its start included."""
    wanted = argparse.Namespace(encoder="convnextv2_atto", side=128, size="256x256" if flags.quick else "1024x896", batch=16)
    network = bench_predict.prepare(flags.binary, folder, wanted)
    fragment = folder / "fragments/2"
    report.table("prediction", "precision", "largest difference", "whole time", "PyTorch's", "ratio")
    with exact():
        expected, tiles = bench_predict.theirs(network, fragment, folder / "theirs.png", wanted, flags.peer)
    for precision in ("f32", "bf16"):
        # In f32 without TF32, whose map would be another, on both sides.
        with exact() if precision == "f32" else contextlib.nullcontext():
            began = time.perf_counter()
            bench_predict.theirs(network, fragment, folder / "theirs.png", wanted, flags.peer, precision == "bf16")
            peer = time.perf_counter() - began
            for device in flags.devices:
                with report.attempt(f"prediction in {precision} on {device}"):
                    seconds, found, image = predict_once(folder, fragment, device, precision, flags)
                    assert found["tiles"] == tiles, (found["tiles"], tiles)
                    error = float(np.abs(image - expected).max())
                    cell = report.verdict(f"prediction on {device}", error, TOLERANCE) if precision == "f32" else f"{error:.1e}"
                    report.row(device, precision, cell, f"{seconds:.1f} s", f"{peer:.1f} s", f"{seconds / peer:.2f}")


def predict_once(folder, fragment, device, precision, flags):
    """Seconds, figures and map of a prediction by the run in `folder`."""
    out = folder / f"{precision}-{device.replace(':', '-')}"
    words = ["--model", folder / "run", "--out", out, "--float", "--device", device, "--precision", precision]
    began = time.perf_counter()
    found = figures(flags.binary, "predict", fragment, *words)["fragments"][0]
    return time.perf_counter() - began, found, bench_predict.tifffile.imread(out / "2.tif")


def time_passes(case, flags, report):
    """Passes of full-size networks over several images, in f32 and bf16."""
    encoder, size = case.split(":")
    images = 1 if flags.quick else IMAGES
    network = Network(encoder, int(size), DEPTH, WINDOW, **UNET).eval()
    volume = torch.randn(images, DEPTH, int(size), int(size), generator=torch.Generator().manual_seed(1))
    randomise(network, volume[:1])
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        folder = pathlib.Path(folder)
        write_patch(folder, settings(encoder, int(size), **UNET) | dict(depth=DEPTH), network, volume)
        network, volume = network.to(flags.peer), volume.to(flags.peer)

        def peer_pass():
            network(volume)
            cleared(flags)

        for precision in ("f32", "bf16"):
            with torch.autocast(flags.peer, torch.bfloat16, precision == "bf16"):
                peer_pass()
                peer = median_seconds(peer_pass, REPEAT)
            for device in flags.devices:
                with report.attempt(f"{encoder} in {precision} on {device}"):
                    found = forward(flags.binary, folder, "--device", device, "--precision", precision, "--repeat", REPEAT)
                    report.row(encoder, size, images, device, precision, f"{1e3 * found['seconds']:.1f} ms", f"{1e3 * peer:.1f} ms", f"{found['seconds'] / peer:.2f}")


def machine(flags):
    """Date, machine and versions, for the table's head."""
    card = platform.processor() or platform.machine()
    if flags.peer == "cuda":
        card = torch.cuda.get_device_name()
    version = subprocess.run([flags.binary, "--version"], capture_output=True, text=True, check=True).stdout.split("\n")[0]
    return f"{date.today()}, {card}, {os.cpu_count()} processors; PyTorch {torch.__version__} on {flags.peer}, timm {timm.__version__}; {version}"


def compare(flags, report):
    """All parts, what matters most first."""
    first, others = families(figures(flags.binary, "models")["encoders"])
    published = list(PUBLISHED)
    if flags.quick:
        first, others = first[:2], []
    wanted = lambda part: not flags.only or part in flags.only
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        if wanted("agreement"):
            report.table("network", "px", "device", "features", "logits")
            agree(first, flags, report)
            for name in published:
                with exact(), report.attempt(name):
                    published_agreement(name, flags, report)
        for name, part in dict(training=train, prediction=predict).items():
            folder = work / name
            folder.mkdir()
            if wanted(name):
                with report.attempt(name):
                    part(folder, flags, report)
        if wanted("passes"):
            report.table("network", "px", "images", "device", "precision", "ours", "PyTorch", "ratio")
            for case in TIMED_QUICK if flags.quick else TIMED:
                if report.left() > 20:
                    with report.attempt(case):
                        time_passes(case, flags, report)
        if wanted("agreement") and others:
            report.table("network", "px", "device", "features", "logits")
            missed = agree(others, flags, report, spare=20)
            if missed:
                print(f"\nNot reached in the time: {', '.join(missed)}.")


def main():
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("binary", type=pathlib.Path)
    flags.add_argument("--devices", nargs="+", default=["libtorch:cuda", "vulkan"])
    flags.add_argument("--peer", choices=["cuda", "cpu"], default="cuda" if torch.cuda.is_available() else "cpu")
    flags.add_argument("--seconds", type=float, default=470)
    flags.add_argument("--quick", action="store_true")
    flags.add_argument("--only", nargs="+", choices=["agreement", "training", "prediction", "passes"])
    flags = flags.parse_args()
    flags.binary = flags.binary.resolve()
    if "INKLING_LIBRARIES" in os.environ:
        os.environ["LD_LIBRARY_PATH"] = os.environ["INKLING_LIBRARIES"]
    report = Report(flags.seconds)
    signal.signal(signal.SIGALRM, too_long)
    print(machine(flags), flush=True)
    compare(flags, report)
    print(f"\n{flags.seconds - report.left():.0f} s")
    if report.failures:
        print("\nFailed:\n- " + "\n- ".join(report.failures))
    sys.exit(1 if report.failures else 0)


if __name__ == "__main__":
    main()
