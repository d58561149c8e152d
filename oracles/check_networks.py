#!/usr/bin/env python3
"""Compares `inkling forward` with PyTorch + timm at full size, and prints a Markdown table.

    pip install torch timm segmentation_models_pytorch safetensors numpy
    oracles/check_networks.py target/release/inkling [ENCODER:SIZE ...]

Weights are drawn by torch, with a spread that keeps activations alive; running statistics are then
those of a batch in training mode, and layer scales lie around a tenth, so that the network carries
signals as a trained one does. Non-persistent buffers, which no weights file holds, stay as timm
computes them. Every feature map of the encoder and the logits must lie within 1e-4 of their
standard deviation from PyTorch's f32. PyTorch's own f32 - f64 stands beside, for scale. Exit code
1 when a network does not pass.
"""
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
from safetensors.torch import save_file

from model_reference import Network

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
    "ConvFormer": ["convformer_s18:224", "convformer_b36:384"],
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


def recipe(encoder, size, architecture="unet", decoder=()):
    return (
        f'[model]\nencoder = "{encoder}"\nimage_size = {size}\ndepth = {DEPTH}\nwindow = {WINDOW}\n'
        f'architecture = "{architecture}"\ndecoder = {list(decoder)}\n'
    )


def ours(binary, network, volume, text):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        save_file({k: v.contiguous() for k, v in network.state_dict().items()}, folder / "weights.safetensors")
        (folder / "recipe.toml").write_text(text)
        np.save(folder / "in.npy", np.ascontiguousarray(volume.permute(0, 2, 3, 1)[:, None].numpy()))
        command = [binary, "forward", "--model", folder / "recipe.toml", "--weights", folder / "weights.safetensors"]
        command += ["--input", folder / "in.npy", "--output", folder / "out.npy", "--features", folder / "maps"]
        subprocess.run([*command, "-q"], check=True)
        maps = sorted((folder / "maps").iterdir(), key=lambda path: int(path.stem))
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
    found = ours(binary, network, volume, recipe(encoder, size, **shape))
    single = theirs(network, volume)
    double = theirs(network.double(), volume.double())
    errors, own = differences(found, single), differences(single, double)
    passed = max(errors) < TOLERANCE
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
