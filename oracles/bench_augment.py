#!/usr/bin/env python3
"""Times the training transforms beside albumentations', in one run, on the same sizes.

    oracles/bench_augment.py

480 × 480 × 18 voxels of 16 bits with a mask and labels become a sample of 384 × 384 × 18, with one
thread and with two (for Python: processes). Draws are each side's own, with the same probabilities.
"""
import argparse
import sys
import time
from multiprocessing import get_context

import albumentations as A
import cv2
import numpy as np

from program import bench

CROP, SIDE, DEPTH, SAMPLES = 480, 384, 18, 100
OLD = A.__version__.startswith("1.")


def resize(image, **_):
    plane = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    if plane.ndim == 2 or plane.shape[2] == DEPTH:
        return plane
    flat = plane.reshape(SIDE * SIDE, -1)
    return cv2.resize(flat, (DEPTH, SIDE * SIDE), interpolation=cv2.INTER_LINEAR).reshape(SIDE, SIDE, DEPTH)


def resize_mask(mask, **_):
    return cv2.resize(mask, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)


def pipeline():
    hole = int(SIDE * 0.3)
    if OLD:
        always = {"always_apply": True}
        noise = A.GaussNoise(var_limit=[10, 50])
        dropout = A.CoarseDropout(max_holes=1, max_width=hole, max_height=hole, mask_fill_value=0, p=0.5)
        rotate = A.Rotate(p=0.5, limit=45, crop_border=False)
    else:
        always = {"p": 1.0}
        noise = A.GaussNoise(std_range=(3 / 65535, 7 / 65535))
        dropout = A.CoarseDropout(num_holes_range=(1, 1), hole_height_range=(hole, hole),
                                  hole_width_range=(hole, hole), fill_mask=0, p=0.5)
        rotate = A.Rotate(p=0.5, limit=45, border_mode=cv2.BORDER_REFLECT_101)
    return A.Compose([
        rotate,
        A.Lambda(image=resize, mask=resize_mask, **always),
        A.HorizontalFlip(p=0.5),
        A.VerticalFlip(p=0.5),
        A.RandomRotate90(p=0.5),
        A.RandomBrightnessContrast(p=0.5, brightness_limit=0.1, contrast_limit=0.1),
        A.OneOf([noise, A.GaussianBlur(), A.MotionBlur()], p=0.4),
        A.GridDistortion(num_steps=5, distort_limit=0.3, p=0.5),
        dropout,
        A.Normalize(max_pixel_value=65536.0, mean=[0.449] * DEPTH, std=[0.226] * DEPTH, **always),
    ])


def sheet():
    rng = np.random.default_rng(0)
    voxels = rng.integers(0, 60000, (900, 900, 24), dtype=np.uint16)
    return voxels, np.ones((900, 900), np.uint8), rng.integers(0, 2, (900, 900), dtype=np.uint8)


def times(seed):
    """Milliseconds of each sample, crop to tensor: on the clock, and of the processor, which leaves out
    what others on the machine take."""
    cv2.setNumThreads(1)
    voxels, mask, labels = sheet()
    rng, transform, found = np.random.default_rng(seed), pipeline(), []
    for _ in range(SAMPLES):
        began = time.perf_counter(), time.thread_time()
        y, x = rng.integers(0, 900 - CROP, 2)
        cut = np.s_[y:y + CROP, x:x + CROP]
        out = transform(image=np.ascontiguousarray(voxels[cut][..., 3:21]), masks=[mask[cut], labels[cut]])
        np.ascontiguousarray(np.moveaxis(out["image"], 2, 0), dtype=np.float32)
        ended = time.perf_counter(), time.thread_time()
        found.append([(end - begin) * 1e3 for begin, end in zip(began, ended)])
    return np.array(found)


def two_processes():
    with get_context("fork").Pool(2) as pool:
        pool.map(times, [1, 2])  # warm
        began = time.perf_counter()
        pool.map(times, [3, 4])
        return (time.perf_counter() - began) * 1e3 / (2 * SAMPLES)


def theirs():
    one = times(0)
    return {
        "one_thread_ms": np.median(one[:, 0]),
        "one_thread_mean_ms": np.mean(one[:, 0]),
        "one_thread_processor_ms": np.median(one[:, 1]),
        "one_thread_mean_processor_ms": np.mean(one[:, 1]),
        "two_threads_ms": two_processes(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="the median of so many is printed")
    rounds = parser.parse_args().rounds
    found = []
    for _ in range(rounds):
        found.append((bench("inkling-augment", "samples"), theirs()))
    median = lambda side, key: np.median([figures[side][key] for figures in found])
    print(f"milliseconds a sample: ours, albumentations {A.__version__}, ratio")
    for key in found[0][1]:
        ours, other = median(0, key), median(1, key)
        print(f"{key}: {ours:.2f} {other:.1f} {other / ours:.1f}")
    one, two = median(1, "one_thread_ms"), median(0, "two_threads_ms")
    print(f"our two threads against their one: {one / two:.1f}")


if __name__ == "__main__":
    sys.exit(main())
