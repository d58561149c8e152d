#!/usr/bin/env python3
"""Runs every check and every bench against a binary, in the environment that requirements.txt pins.

    python3 -m venv oracles/.venv && oracles/.venv/bin/pip install -r oracles/requirements.txt
    oracles/.venv/bin/python oracles/run.py target/release/inkling              # all checks
    oracles/.venv/bin/python oracles/run.py target/release/inkling --benches    # all benches
    oracles/.venv/bin/python oracles/run.py --references                        # committed reference files
    oracles/.venv/bin/python oracles/run.py --list

Checks compare the binary with the field's own libraries, and fail when they disagree. Benches time it
beside its peers, on a quiet machine: `--only bench_forward bench_train bench_predict` prints the tables of a processor,
as it is and held to AVX2. References write the small files that `cargo test` compares with,
into the crates' tests/data; `git diff` then shows what another version of a library computes otherwise.
`--quick` takes the small cases: minutes instead of hours. `--only NAME …` runs some of them. Every
script also runs by itself; its first lines say how.
"""
import argparse
import contextlib
import importlib.metadata
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import date

from program import ROOT, call, recipe

HERE = pathlib.Path(__file__).resolve().parent


@dataclass
class Job:
    """A script: what it does, its arguments, those that make it quick, what it needs beforehand, and whether it
    runs once more with everything held to AVX2."""

    script: str
    about: str
    words: list = field(default_factory=lambda: ["{binary}"])
    quick: list = field(default_factory=list)
    needs: str = ""
    held: bool = False


CHECKS = [
    Job("check_networks", "features and logits of every encoder against timm", quick=["maxvit_rmlp_pico_rw_256:256", "resnet18:256"]),
    Job("check_export", "exported weights in timm and segmentation_models_pytorch", quick=["convnextv2_atto", "resnet18"]),
    Job("check_onnx", "exported ONNX files in ONNX Runtime", quick=["convnextv2_atto", "resnet18", "hybrid"]),
    Job("check_volumes", "the oracles' 3D operations against ACSConv and torchvision", []),
    Job("independent_phantom", "fitted depths of phantoms that share no code with ours", quick=["--seeds", "1", "2"]),
    Job("check_trust", "controls, limits and calibration on phantoms of two generators", ["{binary}", "--folder", "{work}/trust"], ["--generators", "synth"]),
    Job("check_tensorboard", "a run's event files by TensorBoard's reader", ["{work}/run"], needs="run"),
    Job("check_remote", "a segment in a bucket of moto's S3 server, its map and what is moved"),
    Job("check_zarr", "OME-Zarr of a warped fragment by zarr-python", ["{work}/warped/surface_volume.zarr"], needs="warped"),
]
# Encoders whose training steps are timed, with their image sizes.
TRAINED = ["convnextv2_atto:128", "maxvit_rmlp_pico_rw_256:128", "caformer_s18:128", "swinv2_tiny_window8_256:256"]
BENCHES = [
    Job("bench_forward", "networks beside PyTorch, ONNX Runtime and OpenVINO", ["{binary}", "--rounds", "3"], ["convnextv2_atto:128", "--rounds", "1"], held=True),
    Job("bench_approaches", "approaches and published networks beside PyTorch", quick=["2d", "hybrid", "--rounds", "1"]),
    Job("bench_train", "training steps beside PyTorch's", ["{binary}", *TRAINED, "--no-operations", "--steps", "6"], ["--rounds", "1", "--steps", "2"], held=True),
    Job("bench_predict", "a prediction beside PyTorch's", ["{binary}", "--size", "384x384"], ["--size", "256x256"], held=True),
    Job("bench_align", "fits and warps beside scipy's", quick=["--size", "1536", "--large", "0"]),
    Job("bench_augment", "training transforms beside albumentations'", ["--rounds", "1"]),
    Job("bench_python", "the Python package beside the command line, scipy and albumentations", ["--rounds", "1"]),
    Job("bench_reading", "layouts beside tifffile and zarr-python", ["{binary}", "{work}/layouts"], ["--layers", "8", "--side", "512", "--rounds", "1"]),
    Job("transforms_benefit", "scores with and without the training transforms", ["{binary}", "--folder", "{work}/benefit"], ["--seeds", "0", "--epochs", "1"]),
]
REFERENCES = [
    Job("adapt_reference", "weights brought to other shapes, by timm", []),
    Job("align_reference", "depth fits, by scipy", []),
    Job("augment_reference", "transforms, by albumentations and OpenCV", []),
    Job("draw_masks", "docs/masks.png", []),
    Job("fine_tuning_reference", "layer decay and frozen norms, by timm", []),
    Job("gradient_reference", "gradients, by PyTorch", []),
    Job("metrics_reference", "metrics beside F0.5, by scikit-learn", []),
    Job("model_reference", "features and logits, by timm", []),
    Job("predict_reference", "blending and scores, by scipy and torchmetrics", []),
    Job("published_files", "checkpoints as the community publishes them", []),
    Job("production_inference", "small segments' maps by the rules of the networks' publishers", []),
    Job("pytorch_files", "files of torch.save", []),
    Job("tiff_flavours", "kinds of TIFF, by tifffile", []),
    Job("train_reference", "losses, schedules, optimisers, by PyTorch", []),
    Job("zarr_flavours", "kinds of Zarr, by zarr-python", []),
]


def pinned():
    """The versions of requirements.txt."""
    for line in (HERE / "requirements.txt").read_text().splitlines():
        if "==" in line and not line.startswith("#"):
            name, version = line.split(";")[0].strip().split("==")
            yield name, version


def check_environment():
    """Says how the installed packages differ from the pinned ones; whether they do."""
    wrong = []
    for name, version in pinned():
        try:
            # Without extras, as in moto[s3,server].
            found = importlib.metadata.version(name.split("[")[0])
        except importlib.metadata.PackageNotFoundError:
            found = "not installed"
        # PyPI's torch calls itself 2.x.y+cu…
        if found.split("+")[0] != version:
            wrong.append(f"{name}: found {found}, expected {version}")
    for line in wrong:
        print(line, file=sys.stderr)
    return not wrong


def prepare(binary, need, work):
    """Makes what a check reads: a short run, or a warped fragment."""
    sheets = work / "sheets"
    if need and not sheets.exists():
        call(binary, "synth", sheets, "--fragments", 2, "--size", "192x160")
    if need == "run" and not (work / "run").exists():
        (work / "recipe.toml").write_text(recipe(
            data=dict(fragments=[str(sheets / "1"), str(sheets / "2")], layers=[20, 44]),
            model=dict(encoder="convnextv2_atto", image_size=64, depth=18),
            train=dict(epochs=2, batch=2, accumulate=1, samples_per_epoch=4),
            predict=dict(tta="none"),
        ))
        call(binary, "train", "--config", work / "recipe.toml", "--out", work / "run")
    if need == "warped" and not (work / "warped").exists():
        call(binary, "align", sheets / "1", "--out", work / "maps")
        words = ["--maps", work / "maps", "--format", "zarr", "--out", work / "warped"]
        call(binary, "warp", sheets / "1", *words)


def run(job, binary, quick, work):
    """A row for each run of the script: its name, whether it ends well, and its seconds."""
    prepare(binary, job.needs, work)
    words = [word.format(binary=binary, work=work) for word in job.words + (job.quick if quick else [])]
    for hold in [[], ["--hold", "avx2"]] if job.held else [[]]:
        print(f"\n== {' '.join([job.script, *words, *hold])}", flush=True)
        began = time.monotonic()
        done = subprocess.run([sys.executable, HERE / f"{job.script}.py", *words, *hold], cwd=ROOT)
        yield " ".join([job.script, *hold]), done.returncode == 0, time.monotonic() - began


def machine(binary):
    """The date, the processor and its vector instructions, as a table's head."""
    found = {"model name": platform.processor()}
    with contextlib.suppress(OSError):
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        found |= {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    simd = next(line for line in call(binary, "--version").splitlines() if line.startswith("simd"))
    return f"{date.today()}, {os.cpu_count()} processors, {found['model name']}; {simd.split(None, 1)[1]}"


def show(kinds):
    for kind, jobs in kinds.items():
        print(kind)
        for job in jobs:
            print(f"  {job.script:24}{job.about}")


def main():
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("binary", nargs="?", type=pathlib.Path)
    flags.add_argument("--benches", action="store_true", help="benches instead of checks")
    flags.add_argument("--references", action="store_true", help="reference files; needs no binary")
    flags.add_argument("--quick", action="store_true", help="small cases only")
    flags.add_argument("--only", nargs="+", metavar="NAME")
    flags.add_argument("--any-version", action="store_true", help="whichever packages are installed")
    flags.add_argument("--list", action="store_true")
    flags = flags.parse_args()
    if flags.list:
        return show({"checks": CHECKS, "benches": BENCHES, "references": REFERENCES})
    jobs = REFERENCES if flags.references else BENCHES if flags.benches else CHECKS
    if flags.only:
        known = {job.script: job for job in CHECKS + BENCHES + REFERENCES}
        jobs = [known[name] for name in flags.only]
    needs_binary = any(job not in REFERENCES for job in jobs)
    if needs_binary and not flags.binary:
        raise SystemExit("expected a binary, such as target/release/inkling")
    if not check_environment() and not flags.any_version:
        raise SystemExit("hint: pip install -r oracles/requirements.txt, or --any-version")
    binary = flags.binary.resolve() if needs_binary else None
    if any(job in BENCHES for job in jobs):
        print(machine(binary), flush=True)
    with tempfile.TemporaryDirectory() as work:
        results = [row for job in jobs for row in run(job, binary, flags.quick, pathlib.Path(work))]
    print("\n| script | passes | seconds |\n| --- | --- | --- |")
    for script, passes, seconds in results:
        print(f"| {script} | {'yes' if passes else 'NO'} | {seconds:.0f} |")
    sys.exit(0 if all(passes for _, passes, _ in results) else 1)


if __name__ == "__main__":
    main()
