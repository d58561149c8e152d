#!/usr/bin/env python3
"""Writes crates/model/tests/data/<case>.json: what PyTorch + timm + segmentation_models_pytorch compute
with seeded weights (see seeded_weights.py) on a seeded input.

    oracles/model_reference.py [CASE ...]

A file holds the case's settings, the logits' spread, 256 logits at even places, and for every
feature map its shape, spread and 64 values at even places.
"""
import json
import pathlib
import sys

import numpy as np
import timm
import torch
import torch.nn as nn
import torch.nn.functional as F
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder

import published_networks
import seeded_weights
from upernet import SimplePyramid, UperNet
from volumes import Conv, UnetVolume, over_volumes

CASES = {
    "maxvit_pico_64": dict(encoder="maxvit_rmlp_pico_rw_256", image=64, depth=6, window=3),
    "maxvit_pico_96": dict(encoder="maxvit_rmlp_pico_rw_256", image=96, depth=6, window=3, decoder=[32, 16, 8]),
    "maxvit_nano_64": dict(encoder="maxvit_rmlp_nano_rw_256", image=64, depth=4, window=2),
    "maxvit_small_64": dict(encoder="maxvit_rmlp_small_rw_224", image=64, depth=3, window=3),
    "maxvit_pico_64_25d": dict(encoder="maxvit_rmlp_pico_rw_256", image=64, depth=6, window=3, approach="2d"),
    "maxvit_tiny_tf_64": dict(encoder="maxvit_tiny_tf_224", image=64, depth=3, window=3, decoder=[32, 16, 8]),
    "maxvit_large_tf_64": dict(encoder="maxvit_large_tf_512", image=64, depth=3, window=3, decoder=[16, 8, 8]),
    "convnextv2_atto_64": dict(encoder="convnextv2_atto", image=64, depth=6, window=3),
    "convnext_tiny_64": dict(encoder="convnext_tiny", image=64, depth=3, window=3, decoder=[64, 32, 16]),
    "resnet18_64": dict(encoder="resnet18", image=64, depth=6, window=3),
    "resnet50_64": dict(encoder="resnet50", image=64, depth=4, window=2, decoder=[64, 32, 16, 16, 8]),
    "caformer_s18_64": dict(encoder="caformer_s18", image=64, depth=6, window=3),
    "convformer_s18_64": dict(encoder="convformer_s18", image=64, depth=3, window=3, decoder=[64, 32, 16]),
    "swinv2_tiny_128": dict(encoder="swinv2_tiny_window8_256", image=128, depth=3, window=3, decoder=[64, 32, 16]),
    "swinv2_base_resized_96": dict(encoder="swinv2_base_window12to24_192to384", image=96, depth=3, window=3, decoder=[16, 16, 16]),
    "resnet18_64_scse": dict(encoder="resnet18", image=64, depth=3, window=3, decoder=[64, 48, 32, 16, 16], attention="scse"),
    "convnextv2_atto_64_scse": dict(encoder="convnextv2_atto", image=64, depth=3, window=3, decoder=[64, 48, 32, 16, 16], attention="scse"),
    "convnextv2_atto_64_four": dict(encoder="convnextv2_atto", image=64, depth=3, window=3, decoder=[64, 48, 32, 16], attention="scse"),
    "eva02_tiny_112": dict(encoder="eva02_tiny_patch14_224", image=112, depth=3, window=3, architecture="upernet", decoder=[32]),
    "eva02_tiny_84_unet": dict(encoder="eva02_tiny_patch14_336", image=84, depth=6, window=3, decoder=[32, 16, 8]),
    "eva02_base_64": dict(encoder="eva02_base_patch16_512", image=64, depth=3, window=3, architecture="upernet", decoder=[16]),
    "eva02_base_clip_96": dict(encoder="eva02_base_patch16_clip_224", image=96, depth=4, window=2, architecture="upernet", decoder=[16]),
    "convnextv2_atto_64_upernet": dict(encoder="convnextv2_atto", image=64, depth=6, window=3, architecture="upernet", decoder=[32]),
    "resnet18_64_overlapping_mean": dict(encoder="resnet18", image=64, depth=7, window=3, step=2, aggregation="mean", decoder=[16, 16, 8]),
    "resnet18_64_max": dict(encoder="resnet18", image=64, depth=6, window=3, aggregation="max", decoder=[16, 16, 8]),
    "resnet18_64_attention": dict(encoder="resnet18", image=64, depth=7, window=3, step=4, aggregation="attention", decoder=[16, 16, 8]),
    "resnet18_64_3d": dict(encoder="resnet18", image=64, depth=8, approach="3d", decoder=[16, 16, 8]),
    "resnet18_64_3d_zeros": dict(encoder="resnet18", image=64, depth=6, approach="3d", depth_strides=[1, 3, 1, 2, 1], depth_padding="zeros", aggregation="attention", decoder=[16, 16, 8, 8, 8]),
    "resnet18_64_acs": dict(encoder="resnet18", image=64, depth=8, approach="3d", conversion="acs", depth_padding="zeros", aggregation="max", decoder=[16, 16, 8]),
    "resnet18_64_acs_replicate": dict(encoder="resnet18", image=64, depth=6, approach="3d", conversion="acs", decoder=[16, 16, 8]),
    "convnextv2_atto_64_3d": dict(encoder="convnextv2_atto", image=64, depth=8, approach="3d", decoder=[16, 16, 8]),
    "convnextv2_atto_64_acs": dict(encoder="convnextv2_atto", image=64, depth=8, approach="3d", conversion="acs", depth_strides=[4, 2, 1, 1], aggregation="mean", decoder=[16, 16, 8]),
    "maxvit_pico_64_3d": dict(encoder="maxvit_rmlp_pico_rw_256", image=64, depth=6, approach="3d", decoder=[16, 16, 8]),
    "maxvit_pico_64_acs": dict(encoder="maxvit_rmlp_pico_rw_256", image=64, depth=4, approach="3d", conversion="acs", decoder=[16, 16, 8]),
    "swinv2_tiny_64_3d": dict(encoder="swinv2_tiny_window8_256", image=64, depth=8, approach="3d-swin", depth_strides=[2, 1, 2, 1], depth_window=2, decoder=[16, 16, 8]),
    "swinv2_tiny_64_pseudo": dict(encoder="swinv2_tiny_window8_256", image=64, depth=6, approach="pseudo-3d-swin", decoder=[16, 16, 8]),
    "hybrid_64": dict(approach="hybrid", image=64, depth=5, hybrid=dict(features=[6, 8, 12, 12], blocks=[1, 2, 1, 2], stem=4)),
    "resnet3d50_32": dict(approach="resnet3d", image=32, depth=6, resnet3d=dict(layers=50, width=16)),
    "resnet3d_64_batch": dict(approach="resnet3d", image=64, depth=11, resnet3d=dict(blocks=[1, 2, 1, 2], width=8, decoder="3d", input_norm="batch")),
    "resnet3d_16_enlarged": dict(approach="resnet3d", image=16, depth=3, resnet3d=dict(blocks=[1, 1, 1, 1], width=8, input_norm="instance", enlarge=4)),
    "timesformer_64": dict(approach="timesformer", image=64, depth=7),
    "timesformer_32": dict(approach="timesformer", image=32, depth=3, timesformer=dict(dim=24, depth=2, heads=3, head_size=16, patch=8)),
    "i3d_64": dict(approach="i3d", image=64, depth=13),
    "i3d_32": dict(approach="i3d", image=32, depth=6, i3d=dict(narrow=16)),
    "resnet18_96_upernet": dict(encoder="resnet18", image=96, depth=3, window=3, architecture="upernet", decoder=[16]),
}
# What timm has no name of its own for.
MADE_FROM = {
    "eva02_base_patch16_512": ("eva02_base_patch14_224", dict(patch_size=16)),
    "eva02_large_patch16_512": ("eva02_large_patch14_224", dict(patch_size=16)),
    "eva02_large_patch16_640": ("eva02_large_patch14_224", dict(patch_size=16)),
}
HERE = pathlib.Path(__file__).parent
DATA = HERE.parent / "crates" / "model" / "tests" / "data"


class Unet(UnetDecoder):
    """segmentation_models_pytorch's decoder, over maps at strides 2 or 4 to 32."""

    def __init__(self, channels, widths, attention):
        self.missing = 5 - len(channels)
        super().__init__([1] + [0] * self.missing + channels, widths, len(widths), attention_type=attention)

    def forward(self, image, maps):
        batch, _, height, width = image.shape
        empty = [image.new_empty(batch, 0, height // 2, width // 2)] * self.missing
        return super().forward([image, *empty, *maps])


def make_encoder(name, image, inputs):
    """timm's model of features; EVA-02's are those after every quarter of its blocks."""
    sized = {"img_size": image} if name.startswith(("maxvit", "swin", "eva")) else {}
    if name.startswith("eva"):
        depth = 24 if "large" in name else 12
        sized["out_indices"] = [depth * quarter // 4 - 1 for quarter in (1, 2, 3, 4)]
    name, changes = MADE_FROM.get(name, (name, {}))
    return timm.create_model(name, features_only=True, in_chans=inputs, **sized, **changes)


class Network(nn.Module):
    def __init__(self, encoder, image, depth, window=3, step=None, decoder=(256, 128, 64), approach="2d-agg", architecture="unet", attention=None, aggregation="linear", **volume):
        super().__init__()
        self.window = window if approach == "2d-agg" else depth
        self.step = step or self.window
        self.volume, self.aggregation = approach not in ("2d", "2d-agg"), aggregation
        self.flat = approach == "pseudo-3d-swin"
        self.encoder = make_encoder(encoder, image, 1 if self.volume else self.window)
        channels = self.encoder.feature_info.channels()
        if self.volume:
            self.encoder = over_volumes(self.encoder, volume | dict(depth=depth, approach=approach))
        self.pyramid = SimplePyramid(channels[0]) if encoder.startswith("eva") else None
        if architecture == "upernet":
            self.decoder = UperNet(channels[-4:], *decoder)
            self.head = nn.Sequential(nn.Conv2d(decoder[-1], 1, 1))
            self.enlargement = dict(mode="bilinear", align_corners=False)
        else:
            self.decoder = Unet(channels, list(decoder), attention)
            self.head = nn.Sequential(nn.Conv2d(decoder[-1], 1, 3, padding=1))
            self.enlargement = dict(mode="nearest")
            if self.volume and not self.flat:
                padding, acs = volume.get("depth_padding", "replicate"), volume.get("conversion") == "acs"
                self.decoder = UnetVolume(channels, list(decoder), padding, acs)
                self.head = nn.Sequential(Conv(self.head[0], 1, padding, acs))
        if approach == "2d-agg" or self.volume and not self.flat:
            maps = self.layers(depth, len(decoder)) if self.volume else (depth - window) // self.step + 1
            if aggregation == "linear":
                self.aggregate = nn.Conv2d(maps, 1, 1)
            if aggregation == "attention":
                self.aggregate = nn.Module()
                self.aggregate.score = nn.Conv2d(decoder[-1], 1, 1)

    def layers(self, depth, blocks):
        """Layers of the decoder's result."""
        with torch.no_grad():
            side = 64
            maps = self.encoder.eval()(torch.zeros(1, 1, depth, side, side))
        return maps[max(len(maps) - blocks - 1, 0)].shape[2]

    def features(self, images):
        channels = self.encoder.feature_info.channels()
        maps = self.encoder(images)
        return [m if m.shape[1] == c else m.permute(0, 3, 1, 2) for m, c in zip(maps, channels)]

    def combine(self, logits, features):
        """Logits [batch, maps, rows, columns] of features [batch, maps, channels, rows, columns]."""
        if self.aggregation == "linear":
            return self.aggregate(logits)
        if self.aggregation == "mean":
            return logits.mean(1, keepdim=True)
        if self.aggregation == "max":
            return logits.amax(1, keepdim=True)
        scores = self.aggregate.score(features.flatten(0, 1)).reshape(logits.shape)
        return (scores.softmax(1) * logits).sum(1, keepdim=True)

    def forward_volume(self, volume):
        batch, depth, height, width = volume.shape
        maps = self.encoder(volume[:, None])
        if self.flat:
            maps = [m[:, :, 0] for m in maps]
            logits = self.head(self.decoder(volume[:, :1], maps))
        else:
            features = self.decoder(maps)
            logits = self.combine(self.head(features)[:, 0], features.transpose(1, 2))
        return F.interpolate(logits, size=(height, width), **self.enlargement)[:, 0]

    def forward(self, volume):
        if self.volume:
            return self.forward_volume(volume)
        if hasattr(self, "aggregation") and (self.aggregation != "linear" or self.step != self.window):
            return self.forward_windows(volume)
        batch, depth, height, width = volume.shape
        images = volume.reshape(-1, self.window, height, width)
        maps = self.features(images)
        if self.pyramid is not None:
            maps = self.pyramid(maps)
        uper = isinstance(self.decoder, UperNet)
        logits = self.head(self.decoder(maps[-4:]) if uper else self.decoder(images, maps))
        logits = F.interpolate(logits, size=(height, width), **self.enlargement)
        logits = logits.reshape(batch, -1, height, width)
        return self.aggregate(logits)[:, 0] if hasattr(self, "aggregate") else logits[:, 0]


    def forward_windows(self, volume):
        """Windows that may overlap, enlarged before they are combined, as the reference has it."""
        batch, _, height, width = volume.shape
        images = volume.unfold(1, self.window, self.step).movedim(-1, 2).flatten(0, 1)
        features = self.decoder(images, self.features(images))
        grow = lambda x: F.interpolate(x, size=(height, width), **self.enlargement)
        logits = grow(self.head(features)).reshape(batch, -1, height, width)
        features = grow(features).unflatten(0, (batch, -1))
        return self.combine(logits, features)[:, 0]


def even(values, count):
    flat = values.reshape(-1)
    places = np.linspace(0, flat.size - 1, count).round().astype(int)
    return [float(v) for v in flat[places]]


def make(case):
    """The network of a case, with seeded weights."""
    published = case.get("approach") in published_networks.NETWORKS
    network = published_networks.make(case) if published else Network(**case)
    # Constants of the rotations, not weights.
    seeded_weights.fill(network, ["backbone.frame_rot_emb", "backbone.image_rot_emb"])
    return network


def feature_maps(network, volume):
    if hasattr(network, "maps"):
        return network.maps(volume)
    if network.volume:
        return [m[0].transpose(0, 1) for m in network.encoder(volume[:, None])]
    return network.features(volume[:, : network.window])


def write(name, case):
    network = make(case).eval()
    shape = (2, case["depth"], case["image"], case["image"])
    volume = torch.from_numpy(seeded_weights.tensor("input", (int(np.prod(shape)),)).reshape(shape) * 5)
    with torch.inference_mode():
        logits = network(volume).numpy()
        maps = [m.numpy() for m in feature_maps(network, volume[:1])]
    reference = dict(
        case=case if hasattr(network, "maps") else case | dict(decoder=list(case.get("decoder", (256, 128, 64)))),
        made_with=dict(torch=torch.__version__, timm=timm.__version__),
        parameters=sum(p.numel() for p in network.parameters()),
        logits=dict(std=float(logits.std()), values=even(logits, 256)),
        features=[dict(shape=list(m.shape), std=float(m.std()), values=even(m, 64)) for m in maps],
    )
    (DATA / f"{name}.json").write_text(json.dumps(reference, indent=1) + "\n")
    print(name, "logits spread", reference["logits"]["std"])


if __name__ == "__main__":
    DATA.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or CASES:
        write(name, CASES[name])
