"""Curves, fits and warps of arrays and fragments."""

import os
import threading
import unittest

import inkling
import numpy as np
from phantoms import FOLDER, command_line, phantom


def variants(volume: np.ndarray) -> dict[str, np.ndarray]:
    """The same numbers in memory otherwise."""
    read_only = volume.copy()
    read_only.setflags(write=False)
    wide = np.zeros((volume.shape[0], 2 * volume.shape[1], volume.shape[2] + 3), np.uint16)
    wide[:, ::2, 3:] = volume
    odd = np.zeros(2 * volume.size + 1, np.uint8)[1:].view(np.uint16).reshape(volume.shape)
    odd[...] = volume
    return {
        "Fortran's order": np.asfortranarray(volume),
        "reversed": volume[::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1],
        "with strides": wide[:, ::2, 3:],
        "read-only": read_only,
        "bytes swapped": volume.astype(volume.dtype.newbyteorder()),
        "not aligned": odd,
    }


class Aligned(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.fragment = inkling.open(phantom())
        cls.volume = np.asarray(cls.fragment)
        cls.mask, cls.labels = cls.fragment.mask, cls.fragment.ink_labels
        cls.fitted = inkling.align(cls.volume, cls.mask)

    def test_curves_are_means(self):
        found = inkling.curves(self.volume, self.mask, self.labels)
        ink, bare = self.mask & self.labels, self.mask & ~self.labels
        for name, where in [("all", self.mask), ("ink", ink), ("background", bare)]:
            expected = self.volume[:, where].mean(axis=1, dtype=np.float64)
            np.testing.assert_allclose(found[name], expected, rtol=1e-12)
        of_fragment = inkling.curves(self.fragment)
        for name, curve in found.items():
            np.testing.assert_array_equal(of_fragment[name], curve)
        alone = inkling.curves(self.volume, self.mask)
        self.assertIsNone(alone["ink"])
        self.assertIsNone(alone["background"])

    def test_arrays_fragments_and_the_command_line_agree(self):
        of_fragment = inkling.align(self.fragment)
        maps = os.path.join(FOLDER, "maps")
        command_line("align", phantom(), "--out", maps, check=True)
        for name in ["z_shift", "z_scale"]:
            found = getattr(self.fitted, name)
            self.assertEqual((found.shape, found.dtype), ((150, 131), np.float32))
            np.testing.assert_array_equal(getattr(of_fragment, name), found)
            np.testing.assert_array_equal(np.load(f"{maps}/1/{name}.npy"), found)
        out = os.path.join(FOLDER, "flat")
        command_line("warp", phantom(), "--maps", maps, "--z", "3..33", "--out", out, check=True)
        warped = inkling.warp(self.volume, self.fitted.z_shift, self.fitted.z_scale, z=(3, 33))
        np.testing.assert_array_equal(inkling.open(out, voxels="as-is")[...], warped)

    def test_figures_are_at_hand(self):
        self.assertEqual(self.fitted.target_layers, 65)
        self.assertEqual(self.fitted.to_dict()["scale"], self.fitted.scale)
        before, after = self.fitted.misfit
        self.assertLess(after, before)
        self.assertIn("scale", repr(self.fitted))

    def test_the_layout_in_memory_does_not_matter(self):
        warped = inkling.warp(self.volume, self.fitted.z_shift, self.fitted.z_scale)
        for name, volume in variants(self.volume).items():
            with self.subTest(name):
                found = inkling.align(volume, self.mask)
                np.testing.assert_array_equal(found.z_shift, self.fitted.z_shift)
                again = inkling.warp(volume, np.asfortranarray(self.fitted.z_shift), self.fitted.z_scale.tolist())
                np.testing.assert_array_equal(again, warped)

    def test_bytes_count_257_fold(self):
        small = (self.volume >> 8).astype(np.uint8)
        wide = small.astype(np.uint16) * 257
        np.testing.assert_array_equal(
            inkling.curves(small, self.mask)["all"], inkling.curves(wide, self.mask)["all"]
        )

    def test_warps_are_linear_between_layers(self):
        ramp = np.arange(0, 20000, 1000, dtype=np.uint16)[:, None, None] * np.ones((1, 3, 4), np.uint16)
        shift, scale = np.full((3, 4), 2.5), np.full((3, 4), 0.5)
        warped = inkling.warp(ramp, shift, scale, z=(3, 6))
        np.testing.assert_array_equal(warped[:, 1, 2], [1000, 3000, 5000])
        shift[0, 0] = np.nan
        np.testing.assert_array_equal(inkling.warp(ramp, shift, scale)[:, 0, 0], ramp[:, 0, 0])

    def test_warps_into_memory_that_is_there(self):
        volume = np.random.default_rng(1).integers(0, 65536, (9, 20, 70), np.uint16)
        shift = np.random.default_rng(2).normal(0, 2, (20, 70)).astype(np.float32)
        scale = np.full((20, 70), 0.8, np.float32)
        expected = inkling.warp(volume, shift, scale, z=(1, 8))
        out = np.zeros((7, 20, 70), np.uint16)
        self.assertIs(inkling.warp(volume, shift, scale, z=(1, 8), out=out), out)
        np.testing.assert_array_equal(out, expected)
        # Rows of other layouts are copied first, and give the same.
        np.testing.assert_array_equal(inkling.warp(np.asfortranarray(volume), shift, scale, z=(1, 8)), expected)
        fixed = out.copy()
        fixed.flags.writeable = False
        for other, said in [
            (out[1:], r"found \[6, 20, 70\]; expected an array of uint16, \[7, 20, 70\]"),
            (out.astype(np.float32), "no array of uint16"),
            (np.asfortranarray(out), "in another order"),
            (fixed, "read-only"),
        ]:
            with self.subTest(said), self.assertRaisesRegex(inkling.InputError, said):
                inkling.warp(volume, shift, scale, z=(1, 8), out=other)

    def test_large_warps_are_made_in_bands(self):
        volume = np.random.default_rng(1).integers(0, 65536, (9, 1200, 1500), np.uint16)
        ys, xs = np.mgrid[:1200, :1500]
        shift, scale = (ys / 700 - xs / 900).astype(np.float32), np.ones((1200, 1500), np.float32)
        warped = inkling.warp(volume, shift, scale)
        start = -shift
        for z in [0, 4, 8]:
            place = np.clip(np.float32(z) * np.float32(1.0) + start, 0, 8)
            below = place.astype(np.intp)
            above = np.minimum(below + 1, 8)
            low, high = (np.take_along_axis(volume, i[None], 0)[0].astype(np.float32) for i in (below, above))
            expected = np.floor(low + (high - low) * (place - below) + np.float32(0.5)).astype(np.uint16)
            # The kernels round a product and a sum at once: halves may fall to the other side.
            apart = np.abs(warped[z].astype(np.int32) - expected)
            self.assertLessEqual(apart.max(), 1)
            self.assertLess(np.count_nonzero(apart), apart.size / 500)

    def test_targets_of_all_kinds(self):
        curve = inkling.curves(self.fragment)["all"]
        of_curve = inkling.align(self.fragment, target=curve, layers=[2, 27])
        of_list = inkling.align(self.fragment, target=list(curve), layers=[2, 27])
        of_fragment = inkling.align(self.fragment, target=self.fragment, layers=[2, 27])
        of_path = inkling.align(self.fragment, target=phantom(), layers=[2, 27])
        for found in [of_list, of_fragment, of_path]:
            np.testing.assert_array_equal(found.z_shift, of_curve.z_shift)
        with self.assertRaisesRegex(inkling.InputError, "NaN among them"):
            inkling.align(self.fragment, target=np.full(65, np.nan))

    def test_other_arrays_are_refused(self):
        volume, mask = self.volume, self.mask
        for wrong, words in [
            (volume.astype(np.float32), "found float32; expected uint16"),
            (volume.astype(np.int32), "found int32; expected uint16.*hint"),
            (volume > 3, "found bool; expected uint16"),
            (volume[0], "2 axes, 150 × 131; expected 3, .z, y, x."),
            (volume[:0], "an empty array, 0 × 150 × 131"),
            (volume[:, :, :0], "an empty array"),
            (np.zeros_like(volume), "found 0 in every voxel"),
            ("1", "0 axes"),
            ([[[1], [2, 3]]], "NumPy makes no array"),
        ]:
            with self.subTest(words), self.assertRaisesRegex(inkling.InputError, words):
                inkling.curves(wrong)
        for wrong, words in [
            (mask.T, "mask: found 131 × 150 px .*the transpose"),
            (mask[1:], "mask: found 149 × 131 px .*expected 150 × 131"),
            (mask.astype(np.float32), "mask: found float32; expected bool"),
            (np.zeros_like(mask), "found no papyrus"),
        ]:
            with self.subTest(words), self.assertRaisesRegex(inkling.InputError, words):
                inkling.align(volume, wrong)
        with self.assertRaisesRegex(inkling.InputError, "z_scale: found 131 × 150"):
            inkling.warp(volume, self.fitted.z_shift, self.fitted.z_scale.T)
        with self.assertRaisesRegex(inkling.InputError, r"z: found \(5, 5\)"):
            inkling.warp(volume, self.fitted.z_shift, self.fitted.z_scale, z=(5, 5))

    def test_settings_are_those_of_recipes(self):
        coarse = inkling.align(self.volume, self.mask, patch=64, smoothness=0.1)
        self.assertEqual(coarse.to_dict()["patch"], 64)
        with self.assertRaisesRegex(ValueError, "align.patch: found 1;"):
            inkling.align(self.volume, self.mask, patch=1)
        with self.assertRaisesRegex(inkling.InputError, "patch"):
            inkling.align(self.volume, self.mask, pacth=48)

    def test_other_threads_go_on_meanwhile(self):
        counted, over = [0], threading.Event()

        def count():
            while not over.is_set():
                counted[0] += 1

        counter = threading.Thread(target=count)
        counter.start()
        try:
            before = counted[0]
            for _ in range(5):
                inkling.align(self.volume, self.mask)
            self.assertGreater(counted[0] - before, 1000)
        finally:
            over.set()
            counter.join()
