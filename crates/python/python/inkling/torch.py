"""Samples for training in PyTorch."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch.utils.data import Dataset, IterableDataset

from . import Augment, Sheet


class _Samples:
    """Training samples of sheets, by their index in an epoch."""

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

    def sheet_of(self, index: int, epoch: int) -> Sheet:
        """The sheet that the sample is cut from, drawn with probability proportional to its papyrus."""
        draw = random.Random(f"{self.seed} {epoch} {index}")
        return draw.choices(self.sheets, [sheet.papyrus for sheet in self.sheets])[0]


class SampleDataset(_Samples, Dataset):
    """Training samples of sheets, drawn with probability proportional to their papyrus, for a loader with any
    sampler. `SampleBatches` is faster where the order of an epoch is left alone.

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

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        if not 0 <= index < self.length:
            raise IndexError(f"found index {index}; expected 0 to {self.length - 1}")
        sample = self.augment(self.sheet_of(index, self.epoch), seed=self.seed, epoch=self.epoch, index=index)
        validity = torch.from_numpy(sample.validity)
        supervision = sample.supervision
        return {
            "volume": torch.from_numpy(sample.volume),
            "labels": torch.from_numpy(sample.labels),
            "validity": validity,
            "supervision": torch.ones_like(validity) if supervision is None else torch.from_numpy(supervision),
        }


class SampleBatches(_Samples, IterableDataset):
    """Batches of the samples of `SampleDataset`, in the order of their index, made ahead by threads of this
    process: nothing is pickled, copied from process to process or put together afterwards.

    A loader takes it with `batch_size=None`, and adds pinned memory; it can be iterated over by itself, too. As
    many threads work as `inkling.set_num_threads` was told, by default one for each processor. With workers of
    the loader's own, each makes its share of the batches, by one thread.

    Args:
        sheets: What samples are cut from.
        augment: The transform of training.
        length: Samples in an epoch.
        batch_size: Samples in a batch; the last may be smaller.
        seed: The run's seed.
        ahead: Batches that are made before they are asked for.

    Each item is a dict of float32 tensors: "volume" (n, z, y, x), normalised; "labels", "validity" and
    "supervision" (n, y, x). Their memory is used again once a batch is gone.

    Examples:
        >>> batches = SampleBatches([sheet], inkling.Augment(image_size=64, depth=16), length=1000, batch_size=8)
        >>> loader = torch.utils.data.DataLoader(batches, batch_size=None, pin_memory=True)
    """

    def __init__(
        self, sheets: Sequence[Sheet], augment: Augment, length: int, batch_size: int, seed: int = 0, ahead: int = 2
    ):
        super().__init__(sheets, augment, length, seed)
        if batch_size < 1 or ahead < 1:
            raise ValueError(f"found batches of {batch_size}, {ahead} ahead; expected at least 1 of each")
        self.batch_size = batch_size
        self.ahead = ahead

    def __len__(self) -> int:
        """Batches in an epoch."""
        return -(-self.length // self.batch_size)

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        worker = torch.utils.data.get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        waiting: deque = deque()
        # One thread asks; the samples of a batch are made on all.
        with ThreadPoolExecutor(1) as thread:
            try:
                for number in range(first, len(self), step):
                    waiting.append(thread.submit(self._batch, number, self.epoch))
                    if len(waiting) > self.ahead:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for batch in waiting:
                    batch.cancel()

    def _batch(self, number: int, epoch: int) -> dict[str, torch.Tensor]:
        indices = range(number * self.batch_size, min((number + 1) * self.batch_size, self.length))
        samples = [(self.sheet_of(index, epoch), index) for index in indices]
        arrays = self.augment.batch(samples, seed=self.seed, epoch=epoch)
        return {name: torch.from_numpy(array) for name, array in arrays.items()}
