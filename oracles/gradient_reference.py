#!/usr/bin/env python3
"""Writes crates/model/tests/data/gradients/<case>.json: the gradient of every parameter, as PyTorch
computes it in f64 in training mode (batch statistics in norms, nothing dropped), of the mean squared
difference of a network's logits from a seeded target. Weights and input are those of
seeded_weights.py.

    pip install torch timm segmentation_models_pytorch numpy
    oracles/gradient_reference.py [CASE ...]

For each parameter a file holds the gradient's root mean square and up to six values at even places
(none where the parameter has no part in the logits).

Deep networks of ReLUs are left out: between f32 and f64 some of a ResNet-50's ReLUs flip, and
PyTorch's own gradients differ by their size.
"""
import json
import sys

import numpy as np
import torch
from timm.layers import DropPath

import seeded_weights
from model_reference import DATA, Network, even

CASES = {
    "maxvit_pico": dict(encoder="maxvit_rmlp_pico_rw_256", image=64, depth=6, window=3, decoder=[32, 16, 8]),
    "maxvit_tiny_tf": dict(encoder="maxvit_tiny_tf_224", image=64, depth=3, window=3, decoder=[16, 8, 8]),
    "convnextv2_atto": dict(encoder="convnextv2_atto", image=64, depth=3, window=3, decoder=[32, 16, 16, 16, 16], attention="scse"),
    "convnext_atto": dict(encoder="convnext_atto", image=64, depth=3, window=3, decoder=[32, 16, 8]),
    "caformer_s18": dict(encoder="caformer_s18", image=64, depth=3, window=3, decoder=[32, 16, 8]),
    "convformer_s18": dict(encoder="convformer_s18", image=64, depth=3, window=3, decoder=[32, 16, 8]),
    "swinv2_tiny": dict(encoder="swinv2_tiny_window8_256", image=128, depth=3, window=3, decoder=[32, 16, 8]),
    "resnet18": dict(encoder="resnet18", image=64, depth=4, window=2, decoder=[32, 16, 16, 8, 8]),
    "eva02_tiny": dict(encoder="eva02_tiny_patch14_224", image=112, depth=3, window=3, architecture="upernet", decoder=[32]),
}
BATCH = 4


def write(name, case):
    network = Network(**case)
    seeded_weights.fill(network)
    network = network.double().train()
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(module, DropPath):
            module.drop_prob = 0.0
    image, depth = case["image"], case["depth"]

    def seeded(label, *shape):
        return torch.from_numpy(seeded_weights.tensor(label, (int(np.prod(shape)),)).reshape(shape).astype(np.float64) * 5)

    logits = network(seeded("input", BATCH, depth, image, image))
    loss = ((logits - seeded("target", BATCH, image, image)) ** 2).mean()
    loss.backward()
    gradients = {}
    for label, parameter in network.named_parameters():
        if parameter.grad is None:
            gradients[label] = [0.0, []]
            continue
        gradient = parameter.grad.numpy()
        values = even(gradient, min(6, gradient.size))
        rms = float(np.sqrt((gradient**2).mean()))
        gradients[label] = [rms, [float(f"{value:.6g}") for value in values]]
    file = DATA / "gradients" / f"{name}.json"
    file.parent.mkdir(exist_ok=True)
    lines = ",\n".join(f" {json.dumps(label)}: {json.dumps(values)}" for label, values in gradients.items())
    file.write_text(f'{{"case": {json.dumps(case)},\n"loss": {loss.item()},\n"gradients": {{\n{lines}\n}}}}\n')
    print(name, "loss", loss.item(), "parameters", len(gradients), "bytes", file.stat().st_size)


if __name__ == "__main__":
    for name in sys.argv[1:] or CASES:
        write(name, CASES[name])
