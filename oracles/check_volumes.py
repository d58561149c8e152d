#!/usr/bin/env python3
"""Compares the 3D operations of volumes.py, by which the suite's reference files are made, with packages of others.

    oracles/check_volumes.py

Axial-coronal-sagittal convolutions with the package ACSConv 0.1.1 (Yang et al. 2021), to rounding; the
partition into windows and the mask of shifted windows with torchvision's Video Swin, whose attention is
Swin's first and which coincides with ours in these.
"""
import itertools

import torch
from torch import nn
from torchvision.models.video import swin_transformer

from acsconv.operators import ACSConv
from volumes import Conv, partition, shift_mask


def check_acs():
    cases = 0
    for side, stride, channels, groups in itertools.product((1, 3, 5, 7), (1, 2), ((4, 8), (6, 7), (3, 64)), (1,)):
        theirs = ACSConv(*channels, kernel_size=side, stride=stride, padding=side // 2, groups=groups)
        plane = nn.Conv2d(*channels, side, stride, side // 2, groups=groups)
        ours = Conv(plane, stride, "zeros", acs=True)
        with torch.no_grad():
            weight = torch.randn(*theirs.weight.shape)
            theirs.weight.copy_(weight)
            ours.weight.copy_(weight.reshape(ours.weight.shape))
            bias = torch.randn(channels[1])
            theirs.bias.copy_(bias)
            ours.bias.copy_(bias)
            volume = torch.randn(2, channels[0], 9, 10, 11)
            a, b = theirs(volume), ours(volume)
        assert a.shape == b.shape and torch.allclose(a, b, rtol=0, atol=1e-5 * float(a.std())), (side, stride, channels)
        cases += 1
    print(f"ACSConv: {cases} convolutions agree")


def check_windows():
    cases = 0
    for size, window in itertools.product(((8, 16, 16), (16, 8, 24), (4, 16, 8)), ((4, 4, 4), (2, 8, 8), (4, 8, 8))):
        if any(s % w for s, w in zip(size, window)):
            continue
        shift = [w // 2 if s > w else 0 for s, w in zip(size, window)]
        found, kept = swin_transformer._get_window_and_shift_size([w // 2 for w in window], list(size), list(window))
        assert list(found) == list(window) and list(kept) == shift
        rolled = torch.randn(1, *size, 5)
        mask = shift_mask(size, window, shift)
        if sum(shift):
            windows = partition(rolled, window)
            theirs = swin_transformer._compute_attention_mask_3d(windows, size, window, shift)
            assert torch.equal(mask, theirs), (size, window)
        else:
            assert not mask.any()
        cases += 1
    print(f"torchvision: {cases} partitions into shifted windows agree")


if __name__ == "__main__":
    check_acs()
    check_windows()
