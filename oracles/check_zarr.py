#!/usr/bin/env python3
"""Opens OME-Zarr volumes that Inkling wrote with whichever zarr-python is installed.

    pip install 'zarr==2.17.*' 'numcodecs==0.12.*' 'numpy<2'     # Zarr 2 only
    pip install zarr ome-zarr                                    # Zarr 2 and 3, and napari's reader
    inkling warp FRAGMENT --maps MAPS --format zarr --out DIR    # or zarr3
    oracles/check_zarr.py DIR/surface_volume.zarr …

Every level is read whole and must have the shape that its scale announces; axes must be named and
have units; chunks must be nested (`/`), as viewers over HTTP and n5 expect; none may be missing.
With ome-zarr installed, the reader that napari uses must find the same levels.
"""
import json
import pathlib
import sys

import numpy as np
import zarr


def files_of(level, shape, chunks, prefix):
    """Every chunk's file, so that none counts as lost."""
    counts = [-(-size // side) for size, side in zip(shape, chunks)]
    for position in np.ndindex(*counts):
        yield level.joinpath(*prefix, *map(str, position))


def check_header(level):
    header = level / ".zarray"
    if header.exists():
        metadata = json.loads(header.read_text())
        assert metadata["dimension_separator"] == "/", metadata
        blosc = {"id", "cname", "clevel", "shuffle", "blocksize"}
        assert set(metadata["compressor"]) == blosc, metadata["compressor"]
        return []
    metadata = json.loads((level / "zarr.json").read_text())
    assert metadata["dimension_names"] == ["z", "y", "x"], metadata
    return ["c"]


def check_napari(path, levels):
    try:
        from ome_zarr.io import parse_url
        from ome_zarr.reader import Reader
    except ImportError:
        print("   ome-zarr is not installed: napari's reader was not tried")
        return
    nodes = list(Reader(parse_url(str(path)))())
    found = [data.shape for data in nodes[0].data]
    assert found == levels, (found, levels)
    assert (np.asarray(nodes[0].data[-1]) == zarr.open_group(str(path), mode="r")[str(len(levels) - 1)][...]).all()
    print("   napari's reader finds", found)


def check(path):
    path = pathlib.Path(path)
    group = zarr.open_group(str(path), mode="r")
    attributes = dict(group.attrs)
    image = attributes.get("ome", attributes)["multiscales"][0]
    assert [axis["name"] for axis in image["axes"]] == ["z", "y", "x"], image["axes"]
    assert all(axis["type"] == "space" and axis["unit"] for axis in image["axes"]), image["axes"]
    levels = []
    for dataset in image["datasets"]:
        array = group[dataset["path"]]
        voxels = array[...]
        assert voxels.dtype == np.uint16, voxels.dtype
        scale = dataset["coordinateTransformations"][0]["scale"]
        finest = levels[0] if levels else voxels.shape
        expected = tuple(-(-size // int(step)) for size, step in zip(finest, scale))
        assert voxels.shape == expected, (voxels.shape, expected)
        level = path / dataset["path"]
        for file in files_of(level, array.shape, array.chunks, check_header(level)):
            assert file.is_file(), f"{file} is missing"
        levels.append(voxels.shape)
        print("  ", dataset["path"], voxels.shape, array.chunks, "mean", round(float(voxels.mean()), 2))
    check_napari(path, levels)


if __name__ == "__main__":
    import numcodecs

    print("zarr", zarr.__version__, "numcodecs", numcodecs.__version__)
    for name in sys.argv[1:]:
        print(name)
        check(name)
