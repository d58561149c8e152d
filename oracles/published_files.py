#!/usr/bin/env python3
"""Writes crates/model/tests/data/published/*: small checkpoints as the community publishes them, with
seeded weights (see seeded_weights.py).

    oracles/published_files.py
"""
import pathlib

import torch

import published_networks
import seeded_weights

DATA = pathlib.Path(__file__).parent.parent / "crates" / "model" / "tests" / "data" / "published"


def seeded(approach, **shape):
    network = published_networks.make({"approach": approach, approach: shape})
    seeded_weights.fill(network)
    return network


def hybrid():
    """villa's training: every layer twice, averaged weights besides, its resolved configuration."""
    network = seeded("hybrid", features=[4, 8], blocks=[1, 2], stem=4)
    other = {name: torch.zeros_like(value) for name, value in network.state_dict().items()}
    config = dict(
        mode="flat", model_type="vesuvius_unet_3d_stem_2d", patch_size=[17, 32, 32],
        image_normalization=dict(mode="robust_mad", percentile_lower=1, percentile_upper=98.5),
        mixed_precision=True, model_config=dict(autoconfigure=True, stem_channels=4),
        targets=dict(ink=dict(out_channels=1, activation="none")),
    )
    return dict(model=other, ema_model=network.state_dict(), config=config, step=75000)


def lightning():
    """Lightning: names behind `model.`, a classifier, heads of training, whole optimisers and schedulers."""
    network = seeded("resnet3d", blocks=[1, 1, 1, 1], width=2, decoder="3d", input_norm="batch")
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    state = {"model." + name: value for name, value in network.state_dict().items()}
    state |= {"model.backbone.fc.weight": torch.zeros(3, 64), "model.backbone.fc.bias": torch.zeros(3)}
    for head, channels in (("s1", 4), ("s2", 8)):
        state |= {f"model.decoder.aux_head_{head}.conv.{kind}": torch.zeros(*shape) for kind, shape in (("weight", (1, channels, 1, 1)), ("bias", (1,)))}
    return {
        "epoch": 13, "global_step": 113246, "pytorch-lightning_version": "2.0.9", "state_dict": state,
        "loops": {}, "callbacks": {"ModelCheckpoint": dict(best_model_score=torch.tensor(0.25))},
        "optimizer_states": [optimizer.state_dict()], "lr_schedulers": [dict(after_scheduler=scheduler, multiplier=1.0)],
        "MixedPrecision": dict(scale=65536.0), "hparams_name": "kwargs",
        "hyper_parameters": dict(pred_shape=[4608, 13824], size=64, enc="r152", with_norm=True, total_steps=8089),
    }


if __name__ == "__main__":
    DATA.mkdir(parents=True, exist_ok=True)
    torch.save(hybrid(), DATA / "hybrid.pth")
    torch.save(lightning(), DATA / "lightning.ckpt")
