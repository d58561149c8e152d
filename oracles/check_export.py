#!/usr/bin/env python3
"""Proves that what `inkling export` writes is what PyTorch's libraries load.

    oracles/check_export.py target/release/inkling [ENCODER ...]

For one encoder per family a network with seeded weights (seeded_weights.py) is exported under each
of the three kinds of names and loaded with strict=True: in parts into timm's features_only model
and segmentation_models_pytorch's decoder, whose logits must be `inkling forward`'s; as a whole into
segmentation_models_pytorch's Unet over the same encoder, likewise; and the encoder alone into
timm's classifier, which may lack nothing but the norm and the head that come after the last stage,
and whose feature maps must be those of the first. Then the way back: `inkling forward` reads each
file. Prints a Markdown table; exit code 1 when something does not fit.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import segmentation_models_pytorch as smp
import timm
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import seeded_weights
from model_reference import MADE_FROM, Network
from program import forward, write_patch

TOLERANCE = 1e-4
CASES = {
    "maxvit_rmlp_pico_rw_256": 64,
    "maxvit_tiny_tf_224": 64,
    "convnext_atto": 64,
    "convnextv2_atto": 64,
    "caformer_s18": 64,
    "convformer_s18": 64,
    "swinv2_tiny_window8_256": 64,
    "resnet18": 64,
    "resnet50": 64,
    "eva02_tiny_patch14_224": 56,
    "eva02_base_patch16_512": 64,
}
DEPTH, WINDOW, BLOCKS = 6, 3, [32, 16, 16, 8, 8]


def settings(encoder, size):
    shape = dict(approach="2d-agg", encoder=encoder, image_size=size, depth=DEPTH, window=WINDOW)
    if encoder.startswith("eva"):
        return shape | dict(architecture="upernet", decoder=[16], dropout=0.0)
    return shape | dict(architecture="unet", decoder=BLOCKS)


def reference(encoder, size):
    chosen = settings(encoder, size)
    network = Network(encoder, size, DEPTH, WINDOW, decoder=chosen["decoder"], architecture=chosen["architecture"])
    seeded_weights.fill(network)
    return network.eval()


def loaded(network, path):
    """The network with all of the file's tensors, and no others."""
    seeded_weights.fill(network)
    with torch.no_grad():
        for value in network.parameters():
            value.zero_()
    network.load_state_dict(load_file(path), strict=True)
    return network.eval()


def difference(found, expected):
    return float((found - expected).abs().max() / expected.std())


class Windows(torch.nn.Module):
    """segmentation_models_pytorch's Unet on every window, then the mean: what the file leaves out."""

    def __init__(self, unet, weight, bias):
        super().__init__()
        self.unet, self.weight, self.bias = unet, weight, bias

    def forward(self, volume):
        batch, _, height, width = volume.shape
        logits = self.unet(volume.reshape(-1, WINDOW, height, width)).reshape(batch, -1, height, width)
        return torch.nn.functional.conv2d(logits, self.weight, self.bias)[:, 0]


def check_parts(path, encoder, size, volume, expected):
    chosen = settings(encoder, size)
    network = Network(encoder, size, DEPTH, WINDOW, decoder=chosen["decoder"], architecture=chosen["architecture"])
    return difference(loaded(network, path)(volume), expected)


def check_smp(path, parts, encoder, size, volume, expected):
    changes = dict(img_size=size) if encoder.startswith(("maxvit", "swin")) else {}
    unet = smp.Unet(f"tu-{encoder}", encoder_weights=None, decoder_channels=BLOCKS, in_channels=WINDOW, classes=1, **changes)
    combine = load_file(parts)
    windows = Windows(loaded(unet, path), combine["aggregate.weight"], combine["aggregate.bias"])
    return difference(windows(volume), expected)


def check_timm(path, encoder, size, volume, network):
    """The classifier's own blocks, and feature maps of the classifier's class read by its loader."""
    sized = dict(img_size=size) if encoder.startswith(("maxvit", "swin", "eva")) else {}
    name, changes = MADE_FROM.get(encoder, (encoder, {}))
    plain = timm.create_model(name, num_classes=0, in_chans=WINDOW, **sized, **changes)
    missing, unexpected = plain.load_state_dict(load_file(path), strict=False)
    strange = [key for key in missing if not key.startswith(("norm", "head", "fc_norm"))]
    assert not strange and not unexpected, (strange, unexpected)
    overlay = dict(file=str(path), num_classes=0, custom_load=False)
    if encoder.startswith("eva"):
        depth = 24 if "large" in encoder else 12
        changes = changes | dict(out_indices=[depth * quarter // 4 - 1 for quarter in (1, 2, 3, 4)])
    again = timm.create_model(
        name,
        pretrained=True,
        pretrained_strict=False,
        pretrained_cfg_overlay=overlay,
        features_only=True,
        in_chans=WINDOW,
        **sized,
        **changes,
    ).eval()
    images = volume.reshape(-1, WINDOW, size, size)
    return max(difference(a, b) for a, b in zip(again(images), network.encoder(images), strict=True))


def check(binary, encoder, size, folder):
    network = reference(encoder, size)
    volume = torch.from_numpy(seeded_weights.tensor("input", (DEPTH * size * size,)).reshape(1, DEPTH, size, size) * 5)
    chosen = settings(encoder, size)
    # Without metadata of ours a file is no network of ours: it says what it is by these settings.
    given = folder / "given.safetensors"
    metadata = {"inkling.model": json.dumps(chosen), "inkling.input": "{}"}
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, given, metadata)
    files = {}
    for names in ("parts", "smp", "timm"):
        files[names] = folder / f"{names}.safetensors"
        command = [binary, "export", given, "--names", names, "--out", files[names], "-q"]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        if names == "smp" and encoder.startswith("eva"):
            assert done.returncode == 2 and "--names" in done.stderr, done.stderr
            del files[names]
            continue
        assert done.returncode == 0, done.stderr
        with safe_open(files[names], "pt") as file:
            assert json.loads(file.metadata()["inkling.model"])["encoder"] == encoder
    write_patch(folder, chosen, network, volume)
    forward(binary, folder, weights=files["parts"])
    expected = torch.from_numpy(np.load(folder / "out.npy"))
    with torch.inference_mode():
        errors = [
            check_parts(files["parts"], encoder, size, volume, expected),
            check_smp(files["smp"], files["parts"], encoder, size, volume, expected) if "smp" in files else None,
            check_timm(files["timm"], encoder, size, volume, network),
        ]
    passed = all(error is None or error < TOLERANCE for error in errors)
    cells = ["none fits" if error is None else f"{error:.1e}" for error in errors]
    print(f"| {encoder} | {' | '.join(cells)} | {'yes' if passed else 'NO'} |", flush=True)
    return passed


if __name__ == "__main__":
    binary = sys.argv[1]
    print("| encoder | parts: logits | segmentation_models_pytorch's Unet: logits | timm's classifier: features | passes |")
    print("| --- | --- | --- | --- | --- |", flush=True)
    results = []
    for encoder in sys.argv[2:] or CASES:
        with tempfile.TemporaryDirectory() as folder:
            results.append(check(binary, encoder, CASES[encoder], pathlib.Path(folder)))
    sys.exit(0 if all(results) else 1)
