#!/usr/bin/env python3
"""Writes crates/model/tests/data/adapted.json: tensors that timm brings to another shape when it
loads weights for other input channels, image sizes or patches.

    oracles/adapt_reference.py

Every input is sin(0.1 * index); a case holds up to 64 values at even places of the result.
"""
import json
import pathlib

import numpy as np
import torch
from timm.layers import resample_abs_pos_embed, resample_patch_embed, resize_rel_pos_bias_table
from timm.models._manipulate import adapt_input_conv

DATA = pathlib.Path(__file__).parent.parent / "crates" / "model" / "tests" / "data" / "adapted.json"


def made(shape):
    return torch.from_numpy(np.sin(0.1 * np.arange(np.prod(shape))).astype(np.float32).reshape(shape))


def case(name, found, result):
    flat = result.contiguous().numpy().reshape(-1)
    places = np.linspace(0, flat.size - 1, min(64, flat.size)).round().astype(int)
    return dict(name=name, found=list(found), expected=list(result.shape), values=[float(v) for v in flat[places]])


def cases():
    for inputs in (1, 2, 4, 6, 18):
        shape = (4, 3, 7, 7)
        yield case("encoder.conv1.weight", shape, adapt_input_conv(inputs, made(shape)))
    for old, new in ((16, 8), (16, 24), (32, 37)):
        shape = (1, 1 + old * old, 6)
        result = resample_abs_pos_embed(made(shape), (new, new), (old, old))
        yield case("encoder.model.pos_embed", shape, result)
    for old, new in ((14, 16), (16, 14), (14, 8)):
        shape = (2, 3, old, old)
        yield case("encoder.model.patch_embed.proj.weight", shape, resample_patch_embed(made(shape), [new, new]))
    for old, new in ((7, 12), (7, 3), (12, 16), (7, 2)):
        shape = (2, 2 * old - 1, 2 * old - 1)
        result = resize_rel_pos_bias_table(made(shape), (new, new), (2, 2 * new - 1, 2 * new - 1))
        yield case("encoder.a.relative_position_bias_table", shape, result)


if __name__ == "__main__":
    DATA.write_text(json.dumps(list(cases()), indent=1) + "\n")
