#!/usr/bin/env python3
"""Writes crates/model/tests/data/gradients/<case>.json: the gradient of every parameter, as PyTorch
computes it in f64 in training mode (batch statistics in norms, nothing dropped), of the mean squared
difference of a network's logits from a seeded target. Weights and input are those of
seeded_weights.py.

    oracles/gradient_reference.py [CASE ...]

For each parameter a file holds the gradient's root mean square and up to six values at even places
(none where the parameter has no part in the logits).

A ReLU whose input lies within rounding of 0 passes the gradient on one processor and not on another,
and the gradients differ by their size. So the input is the first of several whose gradients hold
still, to a third of the test's tolerance, when all weights move by a few roundings of f32 and
everything is computed in f32. Deep networks of ReLUs have no such input, unless the biases of all their norms
are raised (LIFTS), which leaves one in a thousand of their ReLUs' inputs below 0. Gradients much fainter than
the network's loudest one are compared by a share of that one, FAINT, or what FAINTER says of a network whose
layers amplify roundings.
"""
import json
import sys

import numpy as np
import torch
from timm.layers import DropPath

import seeded_weights
import model_reference
from model_reference import DATA, even

CASES = {
    "maxvit_pico": dict(encoder="maxvit_rmlp_pico_rw_256", image=64, depth=6, window=3, decoder=[32, 16, 8]),
    "maxvit_tiny_tf": dict(encoder="maxvit_tiny_tf_224", image=64, depth=3, window=3, decoder=[16, 8, 8]),
    "convnextv2_atto": dict(encoder="convnextv2_atto", image=64, depth=3, window=3, decoder=[32, 16, 16, 16, 16], attention="scse"),
    "convnext_atto": dict(encoder="convnext_atto", image=64, depth=3, window=3, decoder=[32, 16, 8]),
    "caformer_s18": dict(encoder="caformer_s18", image=64, depth=3, window=3, decoder=[32, 16, 8]),
    "convformer_s18": dict(encoder="convformer_s18", image=64, depth=3, window=3, decoder=[32, 16, 8]),
    "swinv2_tiny": dict(encoder="swinv2_tiny_window8_256", image=128, depth=3, window=3, decoder=[32, 16, 8]),
    "resnet18": dict(encoder="resnet18", image=64, depth=2, window=2, decoder=[32, 16, 8]),
    "convnextv2_atto_3d": dict(encoder="convnextv2_atto", image=64, depth=4, approach="3d", decoder=[16, 16, 8]),
    "maxvit_pico_3d": dict(encoder="maxvit_rmlp_pico_rw_256", image=64, depth=3, approach="3d", depth_strides=[1, 1, 1, 1, 1], decoder=[8, 8, 8]),
    "convnextv2_atto_acs": dict(encoder="convnextv2_atto", image=64, depth=4, approach="3d", conversion="acs", depth_strides=[2, 1, 2, 1], aggregation="attention", decoder=[16, 16, 8]),
    "resnet18_3d": dict(encoder="resnet18", image=64, depth=4, approach="3d", depth_strides=[2, 2, 1, 1, 1], depth_padding="zeros", decoder=[16, 16, 8]),
    "swinv2_tiny_3d": dict(encoder="swinv2_tiny_window8_256", image=32, depth=4, approach="3d-swin", depth_strides=[2, 1, 1, 1], depth_window=2, decoder=[8, 8, 4]),
    "swinv2_tiny_pseudo_3d": dict(encoder="swinv2_tiny_window8_256", image=32, depth=2, approach="pseudo-3d-swin", decoder=[4, 4, 4]),
    "convnext_atto_2d": dict(encoder="convnext_atto", image=64, depth=5, window=3, approach="2d", decoder=[16, 8, 8]),
    "convnext_atto_max": dict(encoder="convnext_atto", image=64, depth=5, window=3, step=2, aggregation="max", decoder=[16, 8, 8]),
    "convnext_atto_attention": dict(encoder="convnext_atto", image=64, depth=5, window=3, step=1, aggregation="attention", decoder=[16, 8, 8]),
    "hybrid": dict(approach="hybrid", image=16, depth=3, hybrid=dict(features=[4, 6, 6], blocks=[1, 2, 1], stem=2)),
    "resnet3d": dict(approach="resnet3d", image=64, depth=3, resnet3d=dict(blocks=[1, 1, 1, 1], width=2)),
    "resnet3d_attention": dict(approach="resnet3d", image=64, depth=3, resnet3d=dict(blocks=[1, 1, 1, 1], width=2, decoder="3d")),
    "timesformer": dict(approach="timesformer", image=32, depth=3, timesformer=dict(dim=24, depth=2, heads=3, head_size=16, patch=8)),
    "i3d": dict(approach="i3d", image=64, depth=6, i3d=dict(narrow=16)),
    "eva02_tiny": dict(encoder="eva02_tiny_patch14_224", image=112, depth=3, window=3, architecture="upernet", decoder=[32]),
}
LIFTS = {"i3d": 3.0}
FAINTER = {"i3d": 3e-3}
BATCH = 4
# As in crates/model/tests/gradients.rs.
TOLERANCE = 1e-3
FAINT = 1e-4
ROUNDINGS = 16 * 2.0**-24
SHAKES = 8
INPUTS = 100


def make(case, lift):
    network = model_reference.make(case).double().train()
    for module in network.modules():
        if isinstance(module, (torch.nn.BatchNorm2d, torch.nn.BatchNorm3d)):
            module.bias.data += lift
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(module, DropPath):
            module.drop_prob = 0.0
    return network


def seeded(label, *shape):
    return torch.from_numpy(seeded_weights.tensor(label, (int(np.prod(shape)),)).reshape(shape).astype(np.float64) * 5)


def gradients(network, case, label):
    """The loss and every parameter's gradient (None where it has no part)."""
    image, depth = case["image"], case["depth"]
    network.zero_grad()
    kind = next(network.parameters()).dtype
    logits = network(seeded(label, BATCH, depth, image, image).to(kind))
    loss = ((logits - seeded("target", BATCH, image, image).to(kind)) ** 2).mean()
    loss.backward()
    return loss.item(), {name: None if p.grad is None else p.grad.clone().numpy() for name, p in network.named_parameters()}


def unrest(case, label, found, lift, faint):
    """How far gradients move with roundings, of the weights and on the way, as the test measures it."""
    def rms(values):
        return float(np.sqrt((values**2).mean()))

    floor = faint * max(rms(g) for g in found.values() if g is not None)
    worst = 0.0
    for shake in range(SHAKES):
        random = torch.Generator().manual_seed(shake)
        network = make(case, lift)
        with torch.no_grad():
            for p in network.parameters():
                p *= 1 + ROUNDINGS * (2 * torch.rand(p.shape, generator=random, dtype=p.dtype) - 1)
        _, moved = gradients(network.float(), case, label)
        for name, gradient in found.items():
            if gradient is not None:
                worst = max(worst, np.abs(moved[name] - gradient).max() / max(rms(gradient), floor))
        if worst > TOLERANCE / 3:
            break
    return worst


def write(name, case):
    lift, faint = LIFTS.get(name, 0.0), FAINTER.get(name, FAINT)
    for label in ["input", *(f"input {k}" for k in range(1, INPUTS))]:
        loss, found = gradients(make(case, lift), case, label)
        if (worst := unrest(case, label, found, lift, faint)) <= TOLERANCE / 3:
            break
    else:
        sys.exit(f"{name}: no input holds still")
    kept = {}
    for parameter, gradient in found.items():
        if gradient is None:
            kept[parameter] = [0.0, []]
            continue
        values = even(gradient, min(6, gradient.size))
        rms = float(np.sqrt((gradient**2).mean()))
        kept[parameter] = [rms, [float(f"{value:.6g}") for value in values]]
    file = DATA / "gradients" / f"{name}.json"
    file.parent.mkdir(exist_ok=True)
    lines = ",\n".join(f" {json.dumps(label)}: {json.dumps(values)}" for label, values in kept.items())
    changes = "".join(f'"{key}": {value},\n' for key, value in [("lift", LIFTS.get(name)), ("faint", FAINTER.get(name))] if value)
    file.write_text(f'{{"case": {json.dumps(case)},\n{changes}"input": {json.dumps(label)},\n"loss": {loss},\n"gradients": {{\n{lines}\n}}}}\n')
    print(name, label, f"moves by {worst:.1e}", "loss", loss, "parameters", len(kept), "bytes", file.stat().st_size, flush=True)


if __name__ == "__main__":
    for name in sys.argv[1:] or CASES:
        write(name, CASES[name])
