"""Finds ink that nobody can see in X-ray scans of carbonised papyrus.

Arrays in, arrays out: volumes are (z, y, x) of uint16, images (y, x). Whatever reads a volume takes a fragment that
`open` opened, or an array; whatever works long lets other Python threads go on and ends at Ctrl-C.
Warnings go to the logger "inkling" of `logging`.
"""

from ._errors import FileError, InklingError, InputError
from ._inkling import (
    Alignment,
    Augment,
    Fragment,
    Model,
    Sample,
    Sheet,
    __version__,
    align,
    blend,
    build,
    curves,
    num_threads,
    open,
    score,
    set_num_threads,
    spline_weights,
    threshold,
    tile_places,
    warp,
    write_phantom,
)

__all__ = [
    "Alignment",
    "Augment",
    "FileError",
    "Fragment",
    "InklingError",
    "InputError",
    "Model",
    "Sample",
    "Sheet",
    "__version__",
    "align",
    "blend",
    "build",
    "curves",
    "num_threads",
    "open",
    "score",
    "set_num_threads",
    "spline_weights",
    "threshold",
    "tile_places",
    "warp",
    "write_phantom",
]
