"""2D networks of timm turned 3D, in PyTorch's own operations on [batch, channels, depth, height, width].

`over_volumes(encoder, case)` replaces what looks at the plane by its 3D counterpart, under the same
names; `UnetVolume` is segmentation_models_pytorch's U-Net decoder with 3D convolutions. Weights are
filled in afterwards (seeded_weights.py), so nothing is converted here.
"""
import math
import re

import torch
import torch.nn as nn
import torch.nn.functional as F
from timm.layers import BatchNormAct2d, LayerNorm2d, SEModule
from timm.layers.grn import GlobalResponseNorm
from timm.models.maxxvit import MaxxVitBlock


def depth_strides(case, maps):
    """Where none are given depth is halved wherever it is even."""
    if case.get("depth_strides"):
        return case["depth_strides"]
    strides, left = [], case["depth"]
    for index in range(maps):
        halves = left % 2 == 0 and (index == 0 or case["approach"] != "pseudo-3d-swin")
        strides.append(2 if halves else 1)
        left //= strides[-1]
    return strides


def step_of(name):
    """The feature map whose stride arises in the module `name`; None if none does there."""
    if re.fullmatch(r"(stem\.)?conv1|stem_0|patch_embed\.proj", name):
        return 0
    if name == "maxpool":
        return 1
    for pattern, first in ((r"layer(\d)\.0\.(conv[12]|downsample\.0)", 0), (r"stages_(\d)\.downsample\.1", 0), (r"stages_(\d)\.blocks\.0\.conv\.(conv2_kxk|shortcut\.pool)", 1)):
        if found := re.fullmatch(pattern, name):
            return int(found[1]) + first
    return None


class Conv(nn.Module):
    """A 3D convolution; with `acs` a kernel of the plane, laid into one of three planes."""

    def __init__(self, plane, stride, padding, acs):
        super().__init__()
        outputs, inputs, side, _ = plane.weight.shape
        self.groups, self.side, self.mode = plane.groups, side, padding
        self.stride = (stride, *plane.stride)
        self.patches = side > 1 and side == plane.stride[0] and plane.padding[0] == 0
        self.acs = acs and side > 1 and not (self.patches and stride != side)
        deep = stride if self.patches else side
        self.border = 0 if self.patches else side // 2
        self.padding = plane.padding
        self.weight = nn.Parameter(torch.empty(outputs, inputs, *(() if self.acs else (deep,)), side, side))
        self.bias = None if plane.bias is None else nn.Parameter(torch.empty(outputs))

    def kernel(self):
        if not self.acs:
            return self.weight
        outputs, inputs, side, _ = self.weight.shape
        middle = 0 if side == 2 else side // 2
        counts = [outputs // 3 + (plane < outputs % 3) for plane in range(3)]
        parts = []
        for plane, third in enumerate(self.weight.split(counts)):
            zeros = third.new_zeros(len(third), inputs, side, side, side)
            flat = third.unsqueeze(2 + plane)
            before = [0, 0] * 3
            before[2 * (2 - plane)], before[2 * (2 - plane) + 1] = middle, side - 1 - middle
            parts.append(zeros + F.pad(flat, before))
        return torch.cat(parts)

    def forward(self, x):
        if self.border:
            sides = (0, 0, 0, 0, self.border, self.border)
            x = F.pad(x, sides, mode="replicate") if self.mode == "replicate" else F.pad(x, sides)
        return F.conv3d(x, self.kernel(), self.bias, self.stride, (0, *self.padding), 1, self.groups)


class MaxPool(nn.Module):
    def __init__(self, stride):
        super().__init__()
        self.stride = stride

    def forward(self, x):
        deep = 3 if self.stride > 1 else 1
        return F.max_pool3d(x, (deep, 3, 3), (self.stride, 2, 2), (deep // 2, 1, 1))


class AvgPool(nn.Module):
    def __init__(self, stride):
        super().__init__()
        self.stride = stride

    def forward(self, x):
        return F.avg_pool3d(x, (self.stride, 2, 2), (self.stride, 2, 2))


class NormAct(nn.BatchNorm3d):
    def __init__(self, plane):
        super().__init__(plane.num_features, eps=plane.eps)
        self.act = plane.act

    def forward(self, x):
        return self.act(super().forward(x))


class ChannelNorm(nn.LayerNorm):
    def forward(self, x):
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class ResponseNorm(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.empty(features)), nn.Parameter(torch.empty(features))

    def forward(self, x):
        norm = (x**2).sum((2, 3, 4), keepdim=True).sqrt()
        share = norm / (norm.mean(1, keepdim=True) + 1e-6)
        wide = (1, -1, 1, 1, 1)
        return x + self.weight.view(wide) * x * share + self.bias.view(wide)


class SqueezeExcite(nn.Module):
    def __init__(self, plane, padding):
        super().__init__()
        self.fc1, self.fc2 = Conv(plane.fc1, 1, padding, False), Conv(plane.fc2, 1, padding, False)
        self.act, self.gate = plane.act, plane.gate

    def forward(self, x):
        return x * self.gate(self.fc2(self.act(self.fc1(x.mean((2, 3, 4), keepdim=True)))))


def maxvit_forward(block):
    def forward(x):
        x = block.conv(x)
        batch, channels, depth, height, width = x.shape
        x = x.permute(0, 2, 3, 4, 1).reshape(batch * depth, height, width, channels)
        x = block.attn_grid(block.attn_block(x))
        return x.reshape(batch, depth, height, width, channels).permute(0, 4, 1, 2, 3)

    return forward


def over_volumes(encoder, case):
    """The encoder of images (timm's features_only model) as one of volumes."""
    if case["approach"] != "3d":
        return Swin(encoder, case)
    strides = depth_strides(case, len(encoder.feature_info.channels()))
    padding, acs = case.get("depth_padding", "replicate"), case.get("conversion") == "acs"

    def replace(module, path):
        for name, child in list(module.named_children()):
            full = f"{path}{name}"
            step = step_of(full)
            if isinstance(child, nn.Conv2d):
                halves = step is not None and child.stride[0] > 1
                new = Conv(child, strides[step] if halves else 1, padding, acs)
            elif isinstance(child, BatchNormAct2d):
                new = NormAct(child)
            elif isinstance(child, nn.BatchNorm2d):
                new = nn.BatchNorm3d(child.num_features, eps=child.eps)
            elif isinstance(child, LayerNorm2d):
                new = ChannelNorm(child.normalized_shape, eps=child.eps)
            elif isinstance(child, GlobalResponseNorm):
                new = ResponseNorm(child.weight.numel())
            elif isinstance(child, SEModule):
                new = SqueezeExcite(child, padding)
            elif isinstance(child, nn.MaxPool2d):
                new = MaxPool(strides[step])
            elif isinstance(child, nn.AvgPool2d):
                new = AvgPool(strides[step])
            else:
                replace(child, full + ".")
                if isinstance(child, MaxxVitBlock):
                    child.forward = maxvit_forward(child)
                continue
            setattr(module, name, new)

    replace(encoder, "")
    return encoder


def partition(x, window):
    """[batch, depth, height, width, …] as windows of places, [windows, places, …]."""
    _, *size = x.shape[:4]
    rest = x.shape[4:]
    counts = [v for s, w in zip(size, window) for v in (s // w, w)]
    x = x.reshape(-1, *counts, *rest)
    return x.permute(0, 1, 3, 5, 2, 4, 6, *range(7, 7 + len(rest))).reshape(-1, math.prod(window), *rest)


def shift_mask(size, window, shift):
    """0 where two places of a window were neighbours before the shift, else -100; [windows, places, places]."""
    regions = torch.zeros(size, dtype=torch.long)
    for axis in range(3):
        place = torch.arange(size[axis])
        band = (place >= size[axis] - window[axis]).long() + (place >= size[axis] - shift[axis]).long() if shift[axis] else 0 * place
        shape = [1, 1, 1]
        shape[axis] = size[axis]
        regions = regions * 3 + band.view(shape)
    bands = partition(regions[None], window)
    return torch.where(bands[:, None] == bands[:, :, None], 0.0, -100.0)


class Swin(nn.Module):
    """Swin V2 with windows of `depth_window` layers, or with a first block over all layers."""

    def __init__(self, plane, case):
        super().__init__()
        self.feature_info = plane.feature_info
        self.pseudo = case["approach"] == "pseudo-3d-swin"
        strides = depth_strides(case, 4)
        self.window, self.strides = case.get("depth_window", 8), strides
        padding = case.get("depth_padding", "replicate")
        plane.patch_embed.proj = Conv(plane.patch_embed.proj, strides[0], padding, False)
        for stage, layer in enumerate(self.layers_of(plane)):
            if stage and not self.pseudo:
                old = layer.downsample.reduction
                layer.downsample.reduction = nn.Linear(old.in_features * strides[stage], old.out_features, bias=False)
            for index, block in enumerate(layer.blocks):
                if not self.pseudo or (stage == 0 and index == 0):
                    block.attn.cpb_mlp[0] = nn.Linear(3, block.attn.cpb_mlp[0].out_features)
        for name, child in plane.named_children():
            self.add_module(name, child)

    @staticmethod
    def layers_of(module):
        return [getattr(module, f"layers_{stage}") for stage in range(4)]

    def forward(self, x):
        x = self.patch_embed.norm(self.patch_embed.proj(x).permute(0, 2, 3, 4, 1))
        features = []
        for stage, layer in enumerate(self.layers_of(self)):
            if stage:
                x = self.merge(layer.downsample, x, self.strides[stage])
            for index, block in enumerate(layer.blocks):
                deep = x.shape[1] if self.pseudo else min(self.window, x.shape[1])
                shifted = index % 2 == 1
                mixed = block.norm1(self.attend(block, x, deep, shifted, self.pseudo and (stage or index)))
                x = x + mixed
                if self.pseudo and x.shape[1] > 1:
                    x = x.mean(1, keepdim=True)
                x = x + block.norm2(block.mlp(x))
            features.append(x.permute(0, 4, 1, 2, 3))
        return features

    def merge(self, merging, x, stride):
        batch, depth, height, width, channels = x.shape
        # timm's order within a layer: rows fastest, then columns.
        parts = [x[:, layer::stride, row::2, column::2] for layer in range(stride) for column in (0, 1) for row in (0, 1)]
        return merging.norm(merging.reduction(torch.cat(parts, -1)))

    def attend(self, block, x, deep, shifted, plane):
        batch, *size, channels = x.shape
        side = min(block.window_size[0], size[1])
        window = [deep, side, side]
        shift = [w // 2 if shifted and s > w else 0 for s, w in zip(size, window)]
        x = torch.roll(x, [-s for s in shift], (1, 2, 3))
        mask = shift_mask(size, window, shift).to(x.dtype)
        out = self.attention(block.attn, partition(x, window), window, mask, plane)
        counts = [s // w for s, w in zip(size, window)]
        out = out.reshape(batch, *counts, *window, channels).permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(batch, *size, channels)
        return torch.roll(out, shift, (1, 2, 3))

    @staticmethod
    def attention(attn, x, window, mask, plane):
        groups, positions, channels = x.shape
        heads = attn.num_heads
        bias = torch.cat([attn.q_bias, torch.zeros_like(attn.q_bias), attn.v_bias])
        q, k, v = F.linear(x, attn.qkv.weight, bias).reshape(groups, positions, 3, heads, -1).permute(2, 0, 3, 1, 4)
        scale = attn.logit_scale.clamp(max=math.log(100.0)).exp()
        scores = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1) * scale
        places = torch.cartesian_prod(*(torch.arange(w) for w in window)).reshape(positions, 3)
        distances = (places[:, None] - places[None]).to(x.dtype)
        distances = distances / torch.tensor([max(w - 1, 1) for w in window]).to(x.dtype) * 8
        distances = distances.sign() * (distances.abs() + 1).log2() / 3
        table = attn.cpb_mlp(distances[..., 1:] if plane else distances)
        scores = scores + 16 * table.sigmoid().permute(2, 0, 1)
        scores = (scores.reshape(-1, len(mask), heads, positions, positions) + mask[:, None]).reshape(scores.shape)
        return attn.proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(groups, positions, channels))


class UnetVolume(nn.Module):
    """Nearest neighbours twice in the plane and along depth to the skip's layers, then two 3D convolutions."""

    def __init__(self, channels, widths, padding, acs):
        super().__init__()
        coarse_to_fine = channels[::-1]
        inputs, blocks = coarse_to_fine[0], []
        for index, width in enumerate(widths):
            skip = coarse_to_fine[index + 1] if index + 1 < len(coarse_to_fine) else 0
            block = nn.Module()
            for name, start in (("conv1", inputs + skip), ("conv2", width)):
                conv = Conv(nn.Conv2d(start, width, 3, padding=1, bias=False), 1, padding, acs)
                setattr(block, name, nn.Sequential(conv, nn.BatchNorm3d(width)))
            blocks.append(block)
            inputs = width
        self.blocks = nn.ModuleList(blocks)

    def forward(self, maps):
        x, *skips = maps[::-1]
        for block, skip in zip(self.blocks, skips + [None] * len(self.blocks)):
            layers = x.shape[2] if skip is None else skip.shape[2]
            x = F.interpolate(x, size=(layers, 2 * x.shape[3], 2 * x.shape[4]), mode="nearest")
            if skip is not None:
                x = torch.cat([x, skip], 1)
            x = F.relu(block.conv2(F.relu(block.conv1(x))))
        return x
