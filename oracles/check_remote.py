#!/usr/bin/env python3
"""Predicts a segment in a bucket of moto's S3 server, and the same segment on disk.

    oracles/check_remote.py target/release/inkling

A segment of 109 layers as the open data have them (Zarr 2, 8 bits, chunks of all layers by 128 x 128, Blosc)
is uploaded; a region of 512 x 512 of it must become the very map that it becomes on disk, by the rules of the
network's publishers, be verified from what it says of itself, and move less than 100 MB. The second call must move
nothing but what tells whether the segment has changed. Buckets that are not there are named.
"""
import pathlib
import subprocess
import sys
import tempfile
import time

import boto3
import numpy as np
import zarr
from numcodecs import Blosc
from PIL import Image

from program import ROOT

MODEL = ROOT / "crates" / "model" / "tests" / "data" / "published" / "lightning.ckpt"
REGION = "512:1024,256:768"
PORT = 5599


def papyrus(side):
    """Fibres, grain and two faint letters: what compresses about as scans do."""
    rng = np.random.default_rng(0)
    coarse = rng.normal(size=(109, side // 8, side // 8)).repeat(8, 1).repeat(8, 2)
    grain = rng.normal(size=(109, side, side))
    depth = np.exp(-(((np.arange(109) - 54) / 20) ** 2))[:, None, None]
    voxels = 90 + 50 * depth + 12 * coarse + 6 * grain
    voxels[40:60, 600:900, 400:460] += 12
    return np.clip(voxels, 1, 255).astype(np.uint8)


def write_zarr(folder, voxels):
    group = zarr.open_group(folder, mode="w", zarr_format=2)
    datasets = []
    for level in range(3):
        levelled = voxels[:, :: 1 << level, :: 1 << level]
        array = group.create_array(
            str(level), shape=levelled.shape, chunks=(109, 128, 128), dtype="u1", fill_value=0,
            compressors=Blosc(cname="zstd", clevel=3, shuffle=Blosc.SHUFFLE),
            chunk_key_encoding={"name": "v2", "separator": "/"},
        )
        array[:] = levelled
        scale = [2.399, 2.399 * (1 << level), 2.399 * (1 << level)]
        datasets.append({"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": scale}]})
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]


class Server:
    """moto's server in a process of its own, and the bytes that go through a port before it."""

    def __enter__(self):
        command = [sys.executable, "-m", "moto.server", "-p", str(PORT)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.address = f"http://127.0.0.1:{PORT}"
        self.client = boto3.client("s3", endpoint_url=self.address, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
        for _ in range(100):
            try:
                self.client.create_bucket(Bucket="open")
                return self
            except Exception:
                time.sleep(0.2)
        raise SystemExit("moto's server does not answer")

    def __exit__(self, *_):
        self.process.terminate()

    def upload(self, folder, key):
        for path in folder.rglob("*"):
            if path.is_file():
                self.client.upload_file(str(path), "open", f"{key}/{path.relative_to(folder)}")


def bytes_of(folder):
    return sum(path.stat().st_size for path in pathlib.Path(folder).rglob("*") if path.is_file())


def predict(binary, segment, out, environment=None):
    command = [
        binary, "predict", f"s={segment}", "--model", MODEL, "--set", "model.image_size=256", "--step", "0.5",
        "--as", "production", "--region", REGION, "--out", out, "--force", "--json",
    ]
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, env=environment)


def main():
    binary = sys.argv[1]
    with tempfile.TemporaryDirectory() as work, Server() as server:
        work = pathlib.Path(work)
        write_zarr(work / "w07.zarr", papyrus(1280))
        print(f"the segment: {bytes_of(work / 'w07.zarr' / '0') / 1e6:.0f} MB")
        server.upload(work / "w07.zarr", "PHerc/w07.zarr")
        environment = {
            "PATH": "", "AWS_ENDPOINT_URL": server.address, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
            "AWS_REGION": "us-east-1", "INKLING_CACHE": str(work / "cache"),
        }
        local = predict(binary, work / "w07.zarr", work / "local")
        assert local.returncode == 0, local.stderr
        began = time.monotonic()
        remote = predict(binary, "s3://open/PHerc/w07.zarr", work / "remote", environment)
        seconds = time.monotonic() - began
        assert remote.returncode == 0, remote.stderr
        maps = [np.asarray(Image.open(work / name / "s.png")) for name in ("local", "remote")]
        assert maps[0].any() and (maps[0] == maps[1]).all(), "the maps differ"
        moved = bytes_of(work / "cache") / 1e6
        print(f"a region of 512 x 512: the same map, {moved:.1f} MB moved, {seconds:.1f} s")
        assert moved < 100, "too much was moved"
        verified = subprocess.run([binary, "verify", str(work / "remote" / "s.png"), "--json"], capture_output=True, text=True, env=environment)
        assert verified.returncode == 0, verified.stderr
        print("verified:", verified.stderr.strip().splitlines()[-1])
        missing = predict(binary, "s3://closed/w07.zarr", work / "missing", environment)
        assert missing.returncode == 1 and "no such bucket" in missing.stderr, missing.stderr
        print("a bucket that is not there:", missing.stderr.strip().splitlines()[-1])


if __name__ == "__main__":
    main()
