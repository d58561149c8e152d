#!/usr/bin/env python3
"""Writes the seeds that libFuzzer begins with into corpus/ (needs numpy, tifffile, imagecodecs,
pillow, zarr 3 and safetensors). They are kept in the repository; run it only to change them."""

import io
import json
import pathlib
import zipfile

import imagecodecs
import numpy as np
import tifffile
from PIL import Image
from safetensors.numpy import save

HERE = pathlib.Path(__file__).parent
CORPUS = HERE / "corpus"


def put(name, data):
    path = CORPUS / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())


def layers():
    image = (np.arange(256).reshape(16, 16) * 200).astype(np.uint16)
    kinds = {
        "plain": {},
        "lzw": {"compression": "lzw"},
        "lzw_tiles": {"compression": "lzw", "tile": (16, 16), "predictor": 2},
        "deflate": {"compression": "zlib", "predictor": 2},
        "packbits": {"compression": "packbits"},
        "zstd": {"compression": "zstd"},
        "white_is_zero": {"photometric": "miniswhite"},
        "strips": {"rowsperstrip": 3},
        "big_endian": {"byteorder": ">"},
        "ome": {"metadata": {"axes": "YX"}},
    }
    for name, options in kinds.items():
        data = io.BytesIO()
        with tifffile.TiffWriter(data, byteorder=options.pop("byteorder", "<")) as writer:
            writer.write(image, **options)
        put(f"tiff/{name}.tif", data.getvalue())
    data = io.BytesIO()
    tifffile.imwrite(data, image, bigtiff=True)
    put("tiff/big.tif", data.getvalue())
    data = io.BytesIO()
    tifffile.imwrite(data, (image >> 8).astype(np.uint8), compression="jpeg")
    put("tiff/jpeg.tif", data.getvalue())
    data = io.BytesIO()
    tifffile.imwrite(data, np.stack([image] * 3), imagej=True)
    put("tiff/pages.tif", data.getvalue())


def pictures():
    grey = Image.fromarray((np.indices((16, 16)).sum(0) % 2 * 255).astype(np.uint8))
    sixteen = Image.fromarray((np.indices((16, 16)).sum(0) * 2000).astype(np.uint16))
    for name, image in {
        "grey": grey,
        "sixteen": sixteen,
        "one_bit": grey.convert("1"),
        "rgb": grey.convert("RGB"),
        "alpha": grey.convert("RGBA"),
        "grey_alpha": grey.convert("LA"),
        "palette": grey.convert("P"),
    }.items():
        data = io.BytesIO()
        image.save(data, "PNG")
        put(f"picture/{name}.png", data.getvalue())
    data = io.BytesIO()
    grey.save(data, "JPEG")
    put("picture/grey.jpg", data.getvalue())
    data = io.BytesIO()
    tifffile.imwrite(data, np.asarray(grey))
    put("picture/grey.tif", data.getvalue())


def arrays():
    for name, array in {
        "floats": np.ones((4, 5), "<f4"),
        "doubles": np.ones((4, 5), "<f8"),
        "big": np.ones((4, 5), ">f4"),
        "fortran": np.asfortranarray(np.ones((4, 5), "<f4")),
        "record": np.zeros(3, [("a", "<f4")]),
    }.items():
        data = io.BytesIO()
        np.save(data, array)
        put(f"npy/{name}.npy", data.getvalue())
    data = io.BytesIO()
    np.lib.format.write_array(data, np.ones((2, 2), "<f4"), (3, 0))
    put("npy/version3.npy", data.getvalue())
    # What the parser of headers took longer than its patience for.
    header = b"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3," + b"{" * 14 + b"\n"
    put("npy/brackets.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)


def array2(compressor, shape=(4, 4, 4)):
    return {
        "zarr_format": 2, "shape": shape, "chunks": shape, "dtype": "<u2", "order": "C",
        "compressor": compressor, "filters": None, "fill_value": 0,
    }


def array3(codecs, chunk):
    return {
        "zarr_format": 3, "node_type": "array", "shape": [4, 4, 4], "data_type": "uint16",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0, "codecs": codecs, "attributes": {},
    }


def zarrs():
    little = {"name": "bytes", "configuration": {"endian": "little"}}
    gzip = {"name": "gzip", "configuration": {"level": 5}}
    crc = {"name": "crc32c"}
    shard = {"name": "sharding_indexed", "configuration": {
        "chunk_shape": [2, 4, 4], "codecs": [little, gzip], "index_codecs": [little, crc],
        "index_location": "end"}}
    blosc = {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0}
    values = np.arange(64, dtype="<u2")
    raw = values.tobytes()
    halves = [imagecodecs.gzip_encode(part.tobytes()) for part in np.split(values, 2)]
    index = np.array([0, len(halves[0]), len(halves[0]), len(halves[1])], "<u8").tobytes()
    sharded = b"".join(halves) + index
    import google_crc32c
    sharded += int.from_bytes(google_crc32c.Checksum(index).digest(), "big").to_bytes(4, "little")
    kinds = {
        "gzip": (array2({"id": "gzip", "level": 5}), imagecodecs.gzip_encode(raw)),
        "zlib": (array2({"id": "zlib", "level": 5}), imagecodecs.zlib_encode(raw)),
        "zstd": (array2({"id": "zstd", "level": 5}), imagecodecs.zstd_encode(raw)),
        "blosc": (array2(blosc), imagecodecs.blosc_encode(raw, compressor="lz4", typesize=2)),
        "raw": (array2(None), raw),
        "sharded": (array3([shard], [4, 4, 4]), sharded),
    }
    for number, (name, (metadata, chunk)) in enumerate(kinds.items()):
        put(f"zarr_arrays/{name}.json", json.dumps(metadata))
        put(f"zarr_chunk/{name}", bytes([number]) + chunk)
        which = 0 if metadata["zarr_format"] == 3 else 1
        put(f"zarr_metadata/{name}", bytes([which]) + json.dumps(metadata).encode())
    put("zarr_metadata/plain.zarray", json.dumps(array2(None)))
    plain = array3([{"name": "transpose", "configuration": {"order": [2, 1, 0]}}, little], [4, 4, 4])
    put("zarr_metadata/version3", b"\0" + json.dumps(plain).encode())
    axes = [{"name": name, "type": "space"} for name in "zyx"]
    scale = [{"type": "scale", "scale": [1, 1, 1]}]
    scales = {"multiscales": [{"version": "0.4", "axes": axes, "datasets": [
        {"path": "0", "coordinateTransformations": scale}]}]}
    put("zarr_metadata/multiscales", b"\6" + json.dumps(scales).encode())
    put("zarr_metadata/group2", b"\7" + json.dumps({"zarr_format": 2}).encode())
    group = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": scales}}
    put("zarr_metadata/group3", b"\4" + json.dumps(group).encode())


def weights():
    tensors = {"a.weight": np.ones((2, 3), "f4"), "b": np.ones(4, "f2"), "n": np.ones(1, "i8")}
    put("weights/plain.safetensors", save(tensors, {"inkling.model": "{}"}))
    moments = {"moment_1.a": np.ones(6, "f4"), "moment_2.a": np.ones(6, "f4"), "time.a": np.ones(1, "f4")}
    put("weights/resume.safetensors", save(moments, {"inkling.progress": '{"epochs":1}'}))
    for path in (HERE / "../crates/model/tests/data/pytorch").glob("*"):
        data = path.read_bytes()
        if len(data) < 6000:
            put(f"weights/{path.name}", data)
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
                if len(archive.read(name)) < 3000:
                    put(f"pickle/{path.stem}.pkl", archive.read(name))


def texts():
    put("curve/plain.csv", "z,value\n" + "".join(f"{z},{z * 0.5}\n" for z in range(8)))
    put("curve/curves.csv", "fragment,z,all,a\n" + "".join(f"f,{z},{z},1\n" for z in range(5)))
    put("part/plain.json", json.dumps({
        "scan": "s", "fingerprint": "f", "rows": [0, 8], "columns": [0, 8], "step": 1}))


def plans():
    plan = {
        "id": "w", "size": [32, 32], "image_size": 16, "step": 8, "tiles": 9, "tta": "none", "rotations": 0,
        "average": "probabilities", "precision": "f32", "channels": {"square": False, "members": False},
        "models": [{"sha256": "0" * 64, "weight": 1.0}], "input": {}, "data": "", "version": "0.1.0"}
    text = json.dumps({"plan": plan, "about": {}})
    put("plan/whole.json", text)
    put("plan/plan", b"\0" + text.encode())
    put("plan/tiles", b"\1INKLING1" + bytes(64))
    put("plan/records", b"\2" + bytes(4 + 4 * 256) * 2)


def recipes():
    for path in (HERE / "../configs").glob("*.toml"):
        put(f"recipe/{path.name}", path.read_bytes())
    put("recipe/set", 'data.fragments=["a=b", "c"]\n')
    put("recipe/data.toml", '[data]\nfolds = [["1"]]\nlayers = [1, 7]\nflip = ["a"]\nvoxels = "as-is"\n')


def checkpoints():
    progress = {"epochs": 1, "steps": 1, "skipped_in_a_row": 0, "ranking": {"by_metric": {}}}
    identity = {"settings": "", "version": "", "data": []}
    words = {"inkling.progress": json.dumps(progress), "inkling.identity": json.dumps(identity)}
    moments = {"moment_1.a": np.ones(6, "f4"), "moment_2.a": np.ones(6, "f4"), "time.a": np.ones(1, "f4")}
    put("resume/empty", save({}, words))
    put("resume/moments", save(moments, words))


if __name__ == "__main__":
    plans()
    recipes()
    checkpoints()
    layers()
    pictures()
    arrays()
    zarrs()
    weights()
    texts()
