"""What the tests beside it work on: phantoms, and a network that was trained on them for a moment."""

import atexit
import functools
import os
import shutil
import subprocess
import sys
import tempfile

import inkling

FOLDER = tempfile.mkdtemp(prefix="inkling-tests-")
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)

RECIPE = """
[data]
fragments = ["1", "2"]
layers = [5, 17]
[model]
encoder = "maxvit_rmlp_pico_rw_256"
image_size = 32
depth = 6
decoder = [8, 8, 8]
[model.maxvit]
stem = [4, 4]
channels = [8, 8, 8, 8]
blocks = [1, 1, 1, 1]
head_width = 8
position_hidden = 8
position_dropout = 0.0
[train]
epochs = 1
batch = 2
samples_per_epoch = 4
"""


def phantom(name: str = "1") -> str:
    """The path of a phantom of 30 layers of 150 × 131 px."""
    return written_phantom(name)


@functools.cache
def written_phantom(name: str) -> str:
    path = os.path.join(FOLDER, name)
    inkling.write_phantom(path, size=(150, 131), depth=30, seed=int(name), letter_height=40)
    return path


@functools.cache
def recipe() -> str:
    """The path of a recipe on two phantoms."""
    phantom("1"), phantom("2")
    path = os.path.join(FOLDER, "recipe.toml")
    with open(path, "w") as file:
        file.write(RECIPE)
    return path


@functools.cache
def run() -> str:
    """The path of a run of that recipe."""
    path = os.path.join(FOLDER, "run")
    command_line("train", "--config", recipe(), "--out", path, check=True)
    return path


def command_line(*words: str, check: bool = False) -> subprocess.CompletedProcess:
    """Runs the package's command line."""
    done = subprocess.run([sys.executable, "-m", "inkling", *words], capture_output=True, text=True)
    if check and done.returncode:
        raise AssertionError(done.stderr)
    return done
