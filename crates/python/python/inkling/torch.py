"""Samples for training in PyTorch."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
from torch.utils.data import Dataset

from . import Augment, Sheet


class SampleDataset(Dataset):
    """Training samples of sheets, drawn with probability proportional to their papyrus.

    The same (seed, epoch, index) is the same sample, whatever the number of workers. Call `set_epoch` before
    each epoch; a loader with `persistent_workers=True` would go on with the old one.

    Args:
        sheets: What samples are cut from.
        augment: The transform of training.
        length: Samples in an epoch.
        seed: The run's seed.

    Each item is a dict of float32 tensors: "volume" (z, y, x), normalised; "labels", "validity" (y, x); and
    "supervision" (y, x), 1 where labels count.

    Examples:
        >>> dataset = SampleDataset([sheet], inkling.Augment(image_size=64, depth=16), length=1000)
        >>> loader = torch.utils.data.DataLoader(dataset, batch_size=8, num_workers=2)
    """

    def __init__(self, sheets: Sequence[Sheet], augment: Augment, length: int, seed: int = 0):
        if not sheets or length < 1:
            raise ValueError(f"found {len(sheets)} sheets and a length of {length}; expected at least 1 of each")
        self.sheets = list(sheets)
        self.augment = augment
        self.length = length
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Begins the epoch of this number, from 0."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        if not 0 <= index < self.length:
            raise IndexError(f"found index {index}; expected 0 to {self.length - 1}")
        draw = random.Random(f"{self.seed} {self.epoch} {index}")
        sheet = draw.choices(self.sheets, [sheet.papyrus for sheet in self.sheets])[0]
        sample = self.augment(sheet, seed=self.seed, epoch=self.epoch, index=index)
        validity = torch.from_numpy(sample.validity)
        supervision = sample.supervision
        return {
            "volume": torch.from_numpy(sample.volume),
            "labels": torch.from_numpy(sample.labels),
            "validity": validity,
            "supervision": torch.ones_like(validity) if supervision is None else torch.from_numpy(supervision),
        }
