#!/usr/bin/env python3
"""Reference values for fine-tuning: layers, frozen tensors, and AdamW over both.

    oracles/fine_tuning_reference.py

writes crates/model/tests/data/layers.json, the layer that timm's own groups give each parameter of
encoders of every family that it has groups for (names as its features_only model has them), and
crates/train/tests/data/fine_tuning.json, what three steps of torch.optim.AdamW in f64 make of a
small network (seeded_weights.py) whose learning rates fall from layer to layer, part of which is
frozen for two steps and part of it for good, frozen norms being in inference mode.
"""
import fnmatch
import json

import timm
import torch
from timm.models import group_parameters
from torch.nn.modules.batchnorm import _BatchNorm

from gradient_reference import BATCH, make, seeded
from model_reference import DATA, even

# timm has no groups for CAFormer and ConvFormer.
ENCODERS = [
    "maxvit_rmlp_pico_rw_256",
    "maxvit_tiny_tf_224",
    "convnext_atto",
    "convnextv2_atto",
    "resnet18",
    "resnet50",
    "swinv2_tiny_window8_256",
    "eva02_tiny_patch14_224",
]
LISTS = ("stages.", "layers.", "stem.")
CASE = dict(encoder="maxvit_rmlp_pico_rw_256", image=64, depth=3, window=3, decoder=[16, 8, 8])
OPTIMIZER = dict(learning_rate=3e-3, weight_decay=0.05, epsilon=1e-3, betas=[0.9, 0.99], clip_norm=0.5, layer_decay=0.7)
FREEZE = [
    dict(pattern="encoder.stem.*", until=2),
    dict(pattern="encoder.stages_0.*", until=2),
    dict(pattern="decoder.blocks.1.*"),
]
STEPS = 3
TRAIN = DATA.parent.parent.parent / "train" / "tests" / "data"


def layers(encoder):
    """timm's layer of every parameter, from 0, by features_only's name of it."""
    model = timm.create_model(encoder, num_classes=0)
    groups = group_parameters(model, model.group_matcher(coarse=False), reverse=True)
    known = {name for name, _ in timm.create_model(encoder, features_only=True).named_parameters()}
    found = {}
    for name, layer in groups.items():
        flat = next((f"{start[:-1]}_{name[len(start):]}" for start in LISTS if name.startswith(start)), name)
        for spelling in (name, flat, f"model.{name}"):
            if spelling in known:
                found[spelling] = layer
    assert known == found.keys(), known - found.keys()
    return found


def by_layer(found):
    return [sorted(name for name, layer in found.items() if layer == wanted) for wanted in range(max(found.values()) + 1)]


def is_frozen(name, epoch):
    holds = (fnmatch.fnmatchcase(name, f["pattern"]) for f in FREEZE if epoch <= f.get("until", epoch))
    return any(holds)


def optimizer(network):
    found = layers(CASE["encoder"])
    last = max(found.values()) + 1
    groups = []
    for name, parameter in network.named_parameters():
        layer = found.get(name.removeprefix("encoder."), last)
        rate = OPTIMIZER["learning_rate"] * OPTIMIZER["layer_decay"] ** (last - layer)
        groups.append(dict(params=[parameter], lr=rate))
    settings = dict(betas=OPTIMIZER["betas"], eps=OPTIMIZER["epsilon"], weight_decay=OPTIMIZER["weight_decay"])
    return torch.optim.AdamW(groups, **settings)


def freeze(network, epoch):
    network.train()
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(not is_frozen(name, epoch))
    for name, module in network.named_modules():
        if isinstance(module, _BatchNorm) and is_frozen(f"{name}.weight", epoch):
            module.eval()


def fine_tuning():
    network = make(CASE)
    first = {name: value.clone() for name, value in network.state_dict().items()}
    adamw = optimizer(network)
    size, norms, losses = CASE["image"], [], []
    for epoch in range(1, STEPS + 1):
        freeze(network, epoch)
        adamw.zero_grad(set_to_none=True)
        logits = network(seeded(f"input {epoch}", BATCH, CASE["depth"], size, size))
        loss = ((logits - seeded("target", BATCH, size, size)) ** 2).mean()
        loss.backward()
        trained = [p for p in network.parameters() if p.grad is not None]
        norms.append(float(torch.nn.utils.clip_grad_norm_(trained, OPTIMIZER["clip_norm"])))
        losses.append(loss.item())
        adamw.step()
    changes = {}
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            change = (value - first[name]).numpy()
            rms = float(f"{(change**2).mean() ** 0.5:.6g}")
            changes[name] = [rms, [float(f"{v:.6g}") for v in even(change, min(3, change.size))] if rms else []]
    return dict(case=CASE, optimizer=OPTIMIZER, freeze=FREEZE, losses=losses, norms=norms, changes=changes)


def write(path, text):
    path.write_text(text)
    print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(by_layer(layers(name)))}" for name in ENCODERS)
    write(DATA / "layers.json", f"{{{lines}}}\n")
    found = fine_tuning()
    changes = ",\n".join(f" {json.dumps(name)}: {json.dumps(values)}" for name, values in found.pop("changes").items())
    head = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in found.items())
    write(TRAIN / "fine_tuning.json", f'{{{head},\n"changes": {{\n{changes}\n}}}}\n')
    print("losses", found["losses"], "norms", found["norms"])
