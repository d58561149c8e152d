"""Weights that need no file: every value follows from its tensor's name and its place in it.

The Rust tests draw the same values (crates/model/tests/seeded), so that reference files hold only
inputs' seeds and outputs, a few kilobytes for any size of network.

A value is a uniform number in [-1, 1) from splitmix64 over FNV-1a(name) + index, scaled so that
activations stay alive through all blocks: matrices by 1.2 * sqrt(3 / fan_in), norms' weights around
1 and everything else around 0 with spread 0.1, running variances in [0.75, 1.25).
"""
import numpy as np


def _uniform(name, count):
    state = np.uint64(0xCBF29CE484222325)
    with np.errstate(over="ignore"):
        for byte in name.encode():
            state = (state ^ np.uint64(byte)) * np.uint64(0x100000001B3)
        z = state + (np.arange(count, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) / 2.0**23 - 1.0


def tensor(name, shape):
    """The values of the tensor `name`, float32."""
    u = _uniform(name, int(np.prod(shape))).reshape(shape)
    if name.endswith("running_var"):
        values = 1.0 + 0.25 * u
    elif len(shape) <= 1:
        centre = 1.0 if name.endswith(("weight", "gamma", "scale")) else 0.0
        values = centre + 0.1 * np.sqrt(3.0) * u
    else:
        values = 1.2 * np.sqrt(3.0 / np.prod(shape[1:])) * u
    return values.astype(np.float32)


def fill(module, skip=()):
    """Fills every float parameter and running statistic of a torch module."""
    import torch

    with torch.no_grad():
        named = list(module.named_parameters()) + list(module.named_buffers())
        for name, value in named:
            persistent = name in module.state_dict()
            if value.is_floating_point() and persistent and not name.startswith(tuple(skip)):
                value.copy_(torch.from_numpy(tensor(name, tuple(value.shape))))
