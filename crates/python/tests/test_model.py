"""Predictions of arrays and fragments."""

import os
import signal
import threading
import unittest

import inkling
import numpy as np
from phantoms import FOLDER, command_line, phantom, run


def image_of(path: str) -> np.ndarray:
    """The floats (y, x) of an uncompressed or packed TIFF, read by the package itself."""
    return np.asarray(inkling.open(path))[0]


class Predicted(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.fragment = inkling.open(phantom())
        cls.volume, cls.mask = np.asarray(cls.fragment), cls.fragment.mask
        cls.model = inkling.Model.load(run(), device="flex")

    def test_it_says_what_it_reads(self):
        self.assertEqual((self.model.layers, self.model.image_size), ((5, 17), 32))
        self.assertFalse(self.model.aligned)
        self.assertEqual(self.model.device, "flex")
        member = self.model.members[0]
        self.assertEqual(member["model"]["encoder"], "maxvit_rmlp_pico_rw_256")
        self.assertEqual(len(member["sha256"]), 64)

    def test_arrays_fragments_and_the_command_line_agree(self):
        ink = self.model.predict(self.volume, self.mask)
        self.assertEqual((ink.shape, ink.dtype), ((150, 131), np.float32))
        self.assertTrue(((0 <= ink) & (ink <= 1)).all())
        self.assertTrue((ink[~self.mask] == 0).all())
        np.testing.assert_array_equal(self.model.predict(self.fragment), ink)
        out = os.path.join(FOLDER, "predicted")
        command_line("predict", phantom(), "--model", run(), "--out", out, "--device", "flex", check=True)
        labels = os.path.join(phantom(), "inklabels.png")
        mask = os.path.join(phantom(), "mask.png")
        said = command_line("score", f"{out}/1.png", "--labels", labels, "--mask", mask, "--json", check=True)
        score = inkling.score(ink, self.fragment.ink_labels, self.mask)
        for name in ["f05", "average_precision", "brier"]:
            self.assertIn(f'"{name}":{score[name]!r}', said.stdout)

    def test_settings_change_the_prediction(self):
        plain = self.model.predict(self.volume, self.mask, tta="none", step=1.0)
        full = self.model.predict(self.volume, self.mask)
        self.assertFalse(np.array_equal(plain, full))
        with self.assertRaisesRegex(inkling.InputError, "step"):
            self.model.predict(self.volume, self.mask, step=0.0)
        with self.assertRaisesRegex(inkling.InputError, "tta"):
            self.model.predict(self.volume, self.mask, tta="some")

    def test_maps_are_applied(self):
        fitted = inkling.align(self.volume, self.mask)
        through = self.model.predict(self.volume, self.mask, maps=fitted)
        flat = inkling.warp(self.volume, fitted.z_shift, fitted.z_scale, z=(0, 65))
        np.testing.assert_array_equal(self.model.predict(flat, self.mask), through)
        both = self.model.predict(self.fragment, maps=(fitted.z_shift, fitted.z_scale))
        np.testing.assert_array_equal(both, through)
        with self.assertRaisesRegex(inkling.InputError, "expected one of them"):
            self.model.predict(self.volume, maps=3)

    def test_too_few_layers_are_refused(self):
        with self.assertRaisesRegex(inkling.InputError, "the array"):
            self.model.predict(self.volume[:10])
        with self.assertRaisesRegex(inkling.InputError, "expected 12"):
            inkling.Model.load(run(), layers=(5, 16))
        other = inkling.Model.load(run(), layers=(6, 18))
        self.assertEqual(other.layers, (6, 18))

    def test_files_that_are_no_weights_are_refused(self):
        path = os.path.join(FOLDER, "no.safetensors")
        with open(path, "wb") as file:
            file.write(b"nothing of this kind")
        with self.assertRaisesRegex(inkling.InklingError, "no.safetensors"):
            inkling.Model.load(path)
        with self.assertRaisesRegex(inkling.InputError, "a run or a weights file"):
            inkling.Model.load()

    @unittest.skipIf(os.name == "nt", "a signal of one's own ends the process there")
    def test_ctrl_c_ends_a_long_call(self):
        # Ignored where a shell began the tests in the background; Python then raises nothing.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, before)
        timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))
        timer.start()
        with self.assertRaises(KeyboardInterrupt):
            # 12,000 tiles of eight passes each.
            self.model.predict(self.volume, self.mask, step=1 / 32)
        timer.join()
        self.assertEqual(self.model.predict(self.volume, self.mask, step=1.0).shape, (150, 131))
