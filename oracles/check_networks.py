#!/usr/bin/env python3
"""Compares `inkling forward` with PyTorch + timm at full size, and prints a Markdown table.

    oracles/check_networks.py target/release/inkling [ENCODER:SIZE ...]

Weights are drawn by torch, with a spread that keeps activations alive; running statistics are then
those of a batch in training mode, layer scales lie around a tenth and the norms that end a
bottleneck around a fifth, so that the network carries signals as a trained one does. Non-persistent buffers, which no weights file holds, stay as timm
computes them. Every feature map of the encoder and the logits must lie within 1e-4 of their
standard deviation from PyTorch's f32, or nearer to it than PyTorch's own f64 is. Exit code 1 when a
network does not pass.
"""
import pathlib
import sys
import tempfile

import numpy as np
import torch

from model_reference import Network
from program import forward, write_patch

TOLERANCE = 1e-4
DEPTH, WINDOW = 6, 3
UNET = dict(decoder=(256, 128, 64))
UPERNET = dict(architecture="upernet", decoder=(256,))
CASES = {
    "MaxViT": ["maxvit_rmlp_pico_rw_256:256", "maxvit_rmlp_small_rw_224:224", "maxvit_rmlp_base_rw_384:384"],
    "MaxViT (TF)": ["maxvit_tiny_tf_224:224", "maxvit_base_tf_384:384"],
    "ConvNeXt": ["convnext_atto:224", "convnext_base:384"],
    "ConvNeXt V2": ["convnextv2_atto:384", "convnextv2_base:384"],
    "Swin V2": ["swinv2_tiny_window8_256:256", "swinv2_base_window12to24_192to384:384"],
    "CAFormer": ["caformer_s18:224", "caformer_b36:384"],
    "ConvFormer": ["convformer_s18:224", "convformer_s36:224"],
    "EVA-02": [
        "eva02_tiny_patch14_336:336",
        "eva02_base_patch14_448:448",
        "eva02_base_patch16_512:512",
        "eva02_base_patch16_clip_224:224",
    ],
    "ResNet": ["resnet18:256", "resnet50:384", "resnet152:384"],
}
FAMILY = {case.split(":")[0]: family for family, cases in CASES.items() for case in cases}
HEADER = """| family | encoder | image | features | logits | PyTorch f32 − f64, features | logits | passes |
| --- | --- | --- | --- | --- | --- | --- | --- |"""
# Layer scales start at 1e-6 or 1e-5 and would hide the branches that they scale.
LAYER_SCALES = (".gamma", ".ls1.gamma", ".ls2.gamma")


def spread(name, value):
    if value.ndim > 1:
        return 0.0, 1.2 / value[0].numel() ** 0.5
    if name.endswith(LAYER_SCALES):
        return 0.1, 0.02
    if name.endswith(".bn3.weight"):
        return 0.2, 0.05
    return (1.0 if name.endswith(("weight", "scale")) else 0.0), 0.1


def randomise(network, volume):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, value in network.named_parameters():
            centre, deviation = spread(name, value)
            value.copy_(centre + deviation * torch.randn(value.shape, generator=generator))
        norms = [m for m in network.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
        for norm in norms:
            norm.train()
            norm.momentum = 1.0
        if norms:
            network(volume)
    return network.eval()


def settings(encoder, size, architecture="unet", decoder=()):
    return dict(
        encoder=encoder, image_size=size, depth=DEPTH, window=WINDOW,
        architecture=architecture, decoder=list(decoder),
    )


def ours(binary, network, volume, model, *words):
    """Every feature map, then the logits; `words` go to `inkling forward`."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write_patch(folder, model, network, volume)
        forward(binary, folder, "--features", folder / "maps", *words)
        maps = sorted((folder / "maps").glob("*.npy"), key=lambda path: int(path.stem))
        return [torch.from_numpy(np.load(path)) for path in [*maps, folder / "out.npy"]]


def theirs(network, volume):
    """Every feature map, then the logits."""
    images = volume.reshape(-1, WINDOW, *volume.shape[2:])
    kept = []
    features = network.features

    def keep(images):
        kept.extend(features(images))
        return list(kept)

    network.features = keep
    try:
        with torch.inference_mode():
            logits = network(volume)
    finally:
        network.features = features
    assert kept[0].shape[0] == images.shape[0]
    return [*kept, logits]


def differences(found, expected):
    """Largest differences by the expected's standard deviation: of the features, of the logits."""
    assert len(found) == len(expected)
    errors = []
    for a, b in zip(found, expected):
        assert a.shape == b.shape, (a.shape, b.shape)
        errors.append(float((a.double() - b.double()).abs().max() / b.double().std()))
    return max(errors[:-1]), errors[-1]


def check(binary, encoder, size):
    shape = UPERNET if encoder.startswith("eva") else UNET
    network = Network(encoder, size, DEPTH, WINDOW, **shape)
    volume = torch.randn(1, DEPTH, size, size, generator=torch.Generator().manual_seed(1))
    randomise(network, volume)
    found = ours(binary, network, volume, settings(encoder, size, **shape))
    single = theirs(network, volume)
    double = theirs(network.double(), volume.double())
    errors, own = differences(found, single), differences(single, double)
    passed = all(error < max(TOLERANCE, theirs) for error, theirs in zip(errors, own))
    columns = [FAMILY.get(encoder, ""), encoder, str(size), *(f"{e:.1e}" for e in (*errors, *own)), "yes" if passed else "NO"]
    print(f"| {' | '.join(columns)} |", flush=True)
    return passed


if __name__ == "__main__":
    binary = sys.argv[1]
    cases = sys.argv[2:] or [case for cases in CASES.values() for case in cases]
    print(HEADER, flush=True)
    results = []
    for case in cases:
        encoder, size = case.split(":")
        results.append(check(binary, encoder, int(size)))
    sys.exit(0 if all(results) else 1)
