"""Types of the package; what each function does is said by `help`."""

import os
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

__version__: str
build: str

_Path = str | os.PathLike[str]
_Config = _Path | Sequence[_Path]
_Volume = Fragment | npt.ArrayLike

class InklingError(Exception): ...
class InputError(InklingError, ValueError): ...
class FileError(InklingError, OSError): ...

class Fragment:
    @property
    def shape(self) -> tuple[int, int, int]: ...
    @property
    def ndim(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def dtype(self) -> np.dtype[np.uint16]: ...
    @property
    def id(self) -> str: ...
    @property
    def path(self) -> os.PathLike[str]: ...
    @property
    def levels(self) -> list[str]: ...
    @property
    def mask(self) -> npt.NDArray[np.bool_]: ...
    @property
    def ink_labels(self) -> npt.NDArray[np.bool_] | None: ...
    @property
    def supervision_mask(self) -> npt.NDArray[np.bool_] | None: ...
    @property
    def validation_mask(self) -> npt.NDArray[np.bool_] | None: ...
    @property
    def infrared(self) -> npt.NDArray[np.uint8] | None: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: Any) -> Any: ...
    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]: ...
    def close(self) -> None: ...
    def __enter__(self) -> Fragment: ...
    def __exit__(self, *_exception: object) -> None: ...

class Alignment:
    @property
    def z_shift(self) -> npt.NDArray[np.float32]: ...
    @property
    def z_scale(self) -> npt.NDArray[np.float32]: ...
    @property
    def scale(self) -> float: ...
    @property
    def shift(self) -> float: ...
    @property
    def misfit(self) -> tuple[float, float]: ...
    @property
    def target_layers(self) -> int: ...
    @property
    def warnings(self) -> list[str]: ...
    def to_dict(self) -> dict[str, Any]: ...

class Sample:
    @property
    def volume(self) -> npt.NDArray[np.float32]: ...
    @property
    def labels(self) -> npt.NDArray[np.float32]: ...
    @property
    def validity(self) -> npt.NDArray[np.float32]: ...
    @property
    def supervision(self) -> npt.NDArray[np.float32] | None: ...

class Sheet:
    def __init__(
        self,
        volume: _Volume,
        mask: npt.ArrayLike | None = None,
        labels: npt.ArrayLike | None = None,
        supervision: npt.ArrayLike | None = None,
        layers: tuple[int, int] | None = None,
    ) -> None: ...
    @property
    def shape(self) -> tuple[int, int, int]: ...
    @property
    def papyrus(self) -> int: ...

class Augment:
    def __init__(
        self,
        config: _Config | None = None,
        *,
        image_size: int | None = None,
        depth: int | None = None,
        layers: tuple[int, int] | None = None,
        **settings: Any,
    ) -> None: ...
    @property
    def image_size(self) -> int: ...
    @property
    def depth(self) -> int: ...
    @property
    def layers(self) -> tuple[int, int] | None: ...
    def __call__(
        self,
        volume: Sheet | _Volume,
        mask: npt.ArrayLike | None = None,
        labels: npt.ArrayLike | None = None,
        seed: int = 0,
        epoch: int = 0,
        index: int = 0,
        *,
        supervision: npt.ArrayLike | None = None,
    ) -> Sample: ...
    def batch(
        self, samples: Sequence[tuple[Sheet, int]], *, seed: int = 0, epoch: int = 0
    ) -> dict[str, npt.NDArray[np.float32]]: ...

class Model:
    @staticmethod
    def load(
        *paths: _Path,
        device: str = "auto",
        layers: tuple[int, int] | None = None,
        weights: Sequence[float] = ...,
        **settings: Any,
    ) -> Model: ...
    def predict(
        self,
        volume: _Volume,
        mask: npt.ArrayLike | None = None,
        *,
        maps: Alignment | tuple[npt.ArrayLike, npt.ArrayLike] | _Path | None = None,
        **settings: Any,
    ) -> npt.NDArray[np.float32]: ...
    @property
    def members(self) -> list[dict[str, Any]]: ...
    @property
    def image_size(self) -> int: ...
    @property
    def layers(self) -> tuple[int, int]: ...
    @property
    def aligned(self) -> bool: ...
    @property
    def device(self) -> str: ...

def open(
    path: _Path,
    *,
    level: int = 0,
    flip: bool = False,
    voxels: Literal["auto", "as-is"] = "auto",
    labels_ink: int | None = None,
    invert_labels: bool = False,
) -> Fragment: ...
def curves(
    volume: _Volume, mask: npt.ArrayLike | None = None, labels: npt.ArrayLike | None = None
) -> dict[str, npt.NDArray[np.float64] | None]: ...
def align(
    volume: _Volume,
    mask: npt.ArrayLike | None = None,
    *,
    target: Fragment | _Path | Sequence[float] | npt.NDArray[Any] | None = None,
    config: _Config | None = None,
    **settings: Any,
) -> Alignment: ...
def warp(
    volume: _Volume,
    z_shift: npt.ArrayLike,
    z_scale: npt.ArrayLike,
    *,
    z: tuple[int, int] | None = None,
    out: npt.NDArray[np.uint16] | None = None,
) -> npt.NDArray[np.uint16]: ...
def tile_places(mask: npt.ArrayLike, side: int, step: int | None = None) -> npt.NDArray[np.int64]: ...
def spline_weights(side: int) -> npt.NDArray[np.float64]: ...
def blend(tiles: npt.ArrayLike, places: npt.ArrayLike, mask: npt.ArrayLike) -> npt.NDArray[np.float32]: ...
def score(
    prediction: npt.ArrayLike,
    labels: npt.ArrayLike,
    mask: npt.ArrayLike | None = None,
    *,
    threshold: float | tuple[float, float] = 0.5,
) -> dict[str, Any]: ...
def threshold(
    predictions: Sequence[npt.ArrayLike],
    labels: Sequence[npt.ArrayLike],
    masks: Sequence[npt.ArrayLike] | None = None,
    *,
    bare: Sequence[npt.ArrayLike] = (),
    bare_masks: Sequence[npt.ArrayLike] | None = None,
    bare_share: float = 0.001,
) -> dict[str, Any]: ...
def write_phantom(
    path: _Path,
    *,
    size: tuple[int, int] = (768, 640),
    depth: int = 65,
    seed: int = 1,
    scale: float = 1.0,
    letter_height: int = 88,
    force: bool = False,
) -> None: ...
def num_threads() -> int: ...
def set_num_threads(threads: int) -> None: ...
