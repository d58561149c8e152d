"""The program under test: its calls, figures, time and memory."""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def hold(level):
    """Starts the script again with our kernels, PyTorch's, oneDNN's and MKL's held to the instructions of older
    processors, which libraries look up when they are loaded."""
    held = dict(INKLING_SIMD=level, ATEN_CPU_CAPABILITY=level, ONEDNN_MAX_CPU_ISA=level.upper(), MKL_ENABLE_INSTRUCTIONS=level.upper())
    if any(os.environ.get(key) != value for key, value in held.items()):
        sys.stdout.flush()
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | held)


def call(binary, *words):
    """Runs `inkling WORDS -q`; ends with its message where it fails."""
    done = subprocess.run([binary, *map(str, words), "-q"], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"inkling {' '.join(map(str, words))}\nexit code {done.returncode}\n{done.stderr}")
    return done.stdout


def figures(binary, *words):
    """What `inkling WORDS --json` prints."""
    return json.loads(call(binary, *words, "--json"))


def measured(binary, *words):
    """Figures, seconds and peak memory in MiB of a call.

    A child's peak is never below its parent's at its start: measure before large arrays are made.
    """
    command = [str(word) for word in (binary, *words, "--json", "-q")]
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - began
        if status:
            raise SystemExit(f"{' '.join(command)}\nexit code {process.returncode}")
        out.seek(0)
        return json.loads(out.read()), seconds, usage.ru_maxrss / 1024


def own_peak():
    """Bytes that this process has held at most."""
    status = pathlib.Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def recipe(**tables):
    """Settings as TOML: recipe(model=dict(depth=6))."""
    return "".join(
        f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
        for name, table in tables.items()
    )


def write_patch(folder, model, network, volume):
    """recipe.toml, weights.safetensors and in.npy, for `forward`: a network of PyTorch's with the
    settings `model`, and a volume [batch, depth, height, width]."""
    # These alone need PyTorch's packages.
    import numpy as np
    from safetensors.torch import save_file

    state = {key: value.contiguous() for key, value in network.state_dict().items()}
    save_file(state, folder / "weights.safetensors")
    (folder / "recipe.toml").write_text(recipe(model=model))
    np.save(folder / "in.npy", np.ascontiguousarray(volume.permute(0, 2, 3, 1)[:, None].numpy()))


def forward(binary, folder, *words, weights="weights.safetensors", output="out.npy"):
    """Figures of `inkling forward` on what `write_patch` wrote; the logits are in `output`."""
    return figures(
        binary, "forward", "--model", folder / "recipe.toml", "--weights", folder / weights,
        "--input", folder / "in.npy", "--output", folder / output, "--force", *words,
    )


def bench(package, name):
    """The figures of `cargo bench`."""
    command = ["cargo", "bench", "-q", "-p", package, "--bench", name, "--", "--json"]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def seconds(work):
    """How long a call of `work` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def median_seconds(work, times):
    """The median of so many calls."""
    return statistics.median(seconds(work) for _ in range(times))
