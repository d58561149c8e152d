#!/usr/bin/env python3
"""Reference values of losses, schedules, AdamW, clipping, averaged weights and loss scaling.

    oracles/train_reference.py

writes crates/train/tests/data/{losses,schedules,optimizer,loss_scale}.json. Everything is computed in f64
from values that f32 holds exactly, so that the tests see only our own rounding.
"""

import json
from pathlib import Path

import segmentation_models_pytorch as smp
import torch
from torch import nn
from torch.optim import lr_scheduler as lr
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

OUT = Path(__file__).parent.parent / "crates/train/tests/data"


def flat(tensor):
    return [float(value) for value in tensor.detach().reshape(-1)]


def f32(tensor):
    return tensor.float().double()


def losses():
    torch.manual_seed(0)
    shape = (2, 4, 5)
    logits = f32(3 * torch.randn(shape, dtype=torch.float64)).requires_grad_()
    hard = (torch.rand(shape) > 0.6).double()
    hard[1, 2:] = 0
    soft = f32(torch.rand(shape, dtype=torch.float64))
    validity = (torch.rand(shape) > 0.3).double()

    def bce(y, weight=1.0):
        pos = torch.tensor(weight, dtype=torch.float64)
        return nn.BCEWithLogitsLoss(pos_weight=pos)(logits, y)

    def focal(y, gamma, alpha=None):
        return smp.losses.FocalLoss("binary", gamma=gamma, alpha=alpha)(logits, y)

    def dice(y, smooth=0.0):
        return smp.losses.DiceLoss("binary", smooth=smooth)(logits[:, None], y[:, None])

    def smooth_bce(y, factor):
        return smp.losses.SoftBCEWithLogitsLoss(smooth_factor=factor)(logits, y)

    def masked(y):
        each = nn.BCEWithLogitsLoss(reduction="none")(logits, y)
        return (each * validity).sum() / validity.sum()

    def masked_dice(y):
        # segmentation_models_pytorch multiplies both by the mask of what is not ignored.
        p, y = logits.sigmoid() * validity, y * validity
        return smp.losses.DiceLoss("binary", from_logits=False)(p[:, None], y[:, None])

    cases = [
        ("reference", {"positive_weight": 0.5}, hard, lambda y: bce(y, 0.5)),
        ("soft labels", {"positive_weight": 2.0}, soft, lambda y: bce(y, 2.0)),
        ("focal", {"bce": 0.0, "focal": 1.0, "focal_gamma": 2.0}, hard, lambda y: focal(y, 2.0)),
        (
            "focal with alpha",
            {"bce": 0.0, "focal": 1.0, "focal_gamma": 1.5, "focal_alpha": 0.25},
            hard,
            lambda y: focal(y, 1.5, 0.25),
        ),
        ("dice", {"bce": 0.0, "dice": 1.0}, hard, dice),
        (
            "smooth dice of soft labels",
            {"bce": 0.0, "dice": 1.0, "dice_smooth": 1.0},
            soft,
            lambda y: dice(y, 1.0),
        ),
        (
            "smoothed labels",
            {"positive_weight": 1.0, "label_smoothing": 0.1},
            hard,
            lambda y: smooth_bce(y, 0.1),
        ),
        ("masked", {"positive_weight": 1.0, "masked": True}, hard, masked),
        ("masked dice", {"bce": 0.0, "dice": 1.0, "masked": True}, hard, masked_dice),
        (
            "all together",
            {"bce": 0.5, "focal": 0.3, "dice": 0.2, "positive_weight": 0.5},
            hard,
            lambda y: 0.5 * bce(y, 0.5) + 0.3 * focal(y, 2.0) + 0.2 * dice(y),
        ),
    ]
    entries = []
    for name, settings, labels, function in cases:
        logits.grad = None
        value = function(labels)
        value.backward()
        entries.append(
            {
                "name": name,
                "settings": settings,
                "labels": flat(labels),
                "loss": float(value),
                "gradient": flat(logits.grad),
            }
        )
    return {
        "shape": shape,
        "logits": flat(logits),
        "validity": flat(validity),
        "cases": entries,
    }


def factors(steps, make):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def schedules():
    def write_up(o):
        parts = [
            lr.LinearLR(o, start_factor=0.1, total_iters=20),
            lr.CosineAnnealingLR(o, T_max=180, eta_min=0.01),
        ]
        return lr.SequentialLR(o, parts, milestones=[20])

    def four(o):
        parts = [
            lr.ConstantLR(o, factor=0.25, total_iters=1000),
            lr.LinearLR(o, start_factor=0.25, total_iters=25),
            lr.CosineAnnealingLR(o, T_max=50, eta_min=0.5),
            lr.ExponentialLR(o, gamma=0.01 ** (1 / 100)),
        ]
        return lr.SequentialLR(o, parts, milestones=[25, 50, 100])

    def piece(shape, start, end, until):
        return {"shape": shape, "from": start, "to": end, "until": until}

    return [
        {
            "name": "reference",
            "steps": 200,
            "pieces": [piece("linear", 0.1, 1.0, 0.1), piece("cosine", 1.0, 0.01, 1.0)],
            "factors": factors(200, write_up),
        },
        {
            "name": "every shape",
            "steps": 200,
            "pieces": [
                {"shape": "constant", "from": 0.25, "until": 0.125},
                piece("linear", 0.25, 1.0, 0.25),
                piece("cosine", 1.0, 0.5, 0.5),
                piece("exponential", 1.0, 0.01, 1.0),
            ],
            "factors": factors(200, four),
        },
    ]


def optimizer():
    torch.manual_seed(1)
    cases = []
    for name, settings in [
        ("reference", {"learning_rate": 1e-4, "weight_decay": 1e-6, "epsilon": 1e-8}),
        ("large decay and epsilon", {"learning_rate": 1e-2, "weight_decay": 0.3, "epsilon": 1e-3}),
        ("other betas", {"learning_rate": 3e-3, "weight_decay": 0.05, "betas": [0.8, 0.95]}),
    ]:
        first = f32(torch.randn(6, dtype=torch.float64))
        # Over eight decades, so that epsilon shows.
        scale = torch.logspace(-8, 0, 6, dtype=torch.float64)
        parameter = nn.Parameter(first.clone())
        adamw = torch.optim.AdamW(
            [parameter],
            lr=settings["learning_rate"],
            betas=settings.get("betas", [0.9, 0.999]),
            eps=settings.get("epsilon", 1e-8),
            weight_decay=settings["weight_decay"],
        )
        steps = []
        for _ in range(8):
            parameter.grad = f32(scale * torch.randn(6, dtype=torch.float64))
            adamw.step()
            steps.append({"gradient": flat(parameter.grad), "parameter": flat(parameter)})
        cases.append({"name": name, "settings": settings, "first": flat(first), "steps": steps})

    descents = []
    for settings in (
        {"learning_rate": 0.1, "momentum": 0.9, "nesterov": False, "weight_decay": 0.0},
        {"learning_rate": 0.05, "momentum": 0.99, "nesterov": True, "weight_decay": 0.01},
    ):
        descent = torch.Generator().manual_seed(7)
        first = f32(torch.randn(6, dtype=torch.float64, generator=descent))
        parameter = nn.Parameter(first.clone())
        sgd = torch.optim.SGD([parameter], **{"lr" if k == "learning_rate" else k: v for k, v in settings.items()})
        steps = []
        for _ in range(8):
            parameter.grad = f32(torch.randn(6, dtype=torch.float64, generator=descent))
            sgd.step()
            steps.append({"gradient": flat(parameter.grad), "parameter": flat(parameter)})
        descents.append({"settings": {"kind": "sgd", **settings}, "first": flat(first), "steps": steps})

    gradients = [f32(torch.randn(n, dtype=torch.float64)) for n in (3, 5)]
    clips = []
    for limit in (1.0, 100.0):
        parameters = [nn.Parameter(torch.zeros_like(g)) for g in gradients]
        for parameter, gradient in zip(parameters, gradients):
            parameter.grad = gradient.clone()
        norm = nn.utils.clip_grad_norm_(parameters, limit)
        clips.append(
            {"limit": limit, "norm": float(norm), "clipped": [flat(p.grad) for p in parameters]}
        )

    module = nn.Linear(4, 1, bias=False).double()
    average = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    moving = []
    for _ in range(5):
        with torch.no_grad():
            module.weight.copy_(f32(torch.randn(1, 4, dtype=torch.float64)))
        average.update_parameters(module)
        moving.append({"weights": flat(module.weight), "average": flat(average.module.weight)})
    return {
        "adamw": cases,
        "sgd": descents,
        "clip": {"gradients": [flat(g) for g in gradients], "cases": clips},
        "average": {"decay": 0.9, "steps": moving},
    }


def loss_scale():
    """GradScaler's factor after runs of steps whose gradients are numbers or not."""
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.0)
    scaler = torch.amp.GradScaler("cpu")
    runs = []
    for steps, finite in [
        (1, False),
        (3, False),
        (1999, True),
        (1, True),
        (2500, True),
        (1, False),
        (1999, True),
        (2, False),
        (2000, True),
    ]:
        for _ in range(steps):
            loss = scaler.scale(parameter.sum() * (1.0 if finite else float("inf")))
            optimizer.zero_grad()
            loss.backward()
            scaler.step(optimizer)
            scaler.update()
        runs.append({"steps": steps, "finite": finite, "factor": scaler.get_scale()})
    return {"runs": runs}


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for name, values in [
        ("losses", losses()),
        ("schedules", schedules()),
        ("optimizer", optimizer()),
        ("loss_scale", loss_scale()),
    ]:
        path = OUT / f"{name}.json"
        path.write_text(json.dumps(values) + "\n")
        print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
