#!/usr/bin/env python3
"""Writes crates/model/tests/data/pytorch/*: small files of torch.save, good and bad.

    oracles/pytorch_files.py

The good ones hold a float tensor `weight` of shape [3, 4] with values sin(0.1 * index) and a few
more in other types and layouts.
"""
import argparse
import os
import pathlib
from collections import OrderedDict

import numpy as np
import torch

DATA = pathlib.Path(__file__).parent.parent / "crates" / "model" / "tests" / "data" / "pytorch"


def made(*shape):
    return torch.from_numpy(np.sin(0.1 * np.arange(np.prod(shape))).astype(np.float32).reshape(shape))


def state_dict(prefix=""):
    tensors = OrderedDict(
        weight=made(3, 4),
        transposed=made(3, 4).t(),
        row=made(3, 4)[1],
        half=made(6).half(),
        brain=made(6).bfloat16(),
        double=made(6).double(),
        parameter=torch.nn.Parameter(made(2, 2)),
        scalar=torch.tensor(0.5),
        num_batches_tracked=torch.tensor(7),
    )
    tensors["shared"] = tensors["weight"][:2]
    return OrderedDict((prefix + name, tensor) for name, tensor in tensors.items())


class Attack:
    def __reduce__(self):
        return os.system, ("true",)


def lightning():
    return dict(
        epoch=3,
        global_step=100,
        hyper_parameters=dict(path=pathlib.PurePosixPath.__subclasses__()[0]("/data"), args=argparse.Namespace(lr=1e-3)),
        callbacks={"best": dict(score=torch.tensor(0.5), path="best.ckpt")},
        optimizer_states=[dict(state={0: dict(exp_avg=made(2))}, param_groups=[dict(betas=(0.9, 0.99), params=[0])])],
        state_dict=state_dict("model."),
    )


if __name__ == "__main__":
    DATA.mkdir(parents=True, exist_ok=True)
    torch.save(state_dict(), DATA / "plain.pth")
    torch.save(lightning(), DATA / "lightning.ckpt")
    torch.save(dict(model=state_dict("module."), epoch=1), DATA / "distributed.bin")
    torch.save(dict(state_dict=state_dict(), extra=Attack()), DATA / "attack.pth")
    torch.save(torch.nn.Linear(2, 2), DATA / "whole_module.pth")
    torch.save(state_dict(), DATA / "legacy.pth", _use_new_zipfile_serialization=False)
    torch.save(dict(epoch=1), DATA / "no_weights.pth")
