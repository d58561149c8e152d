"""Training samples: the same address, the same sample, wherever it is made."""

import os
import pickle
import subprocess
import sys
import unittest

import inkling
import numpy as np
from phantoms import phantom, recipe

NAMES = ["volume", "labels", "validity"]


class Augmented(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.fragment = inkling.open(phantom())
        cls.augment = inkling.Augment(image_size=48, depth=12)
        cls.sheet = inkling.Sheet(cls.fragment)

    def assert_same(self, one, other):
        for name in NAMES:
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))

    def test_samples_are_float_arrays(self):
        sample = self.augment(self.sheet, seed=3, epoch=1, index=4)
        self.assertEqual((sample.volume.shape, sample.volume.dtype), ((12, 48, 48), np.float32))
        self.assertEqual((sample.labels.shape, sample.labels.dtype), ((48, 48), np.float32))
        self.assertTrue(np.isfinite(sample.volume).all())
        self.assertIsNone(sample.supervision)
        again = self.augment(self.sheet, seed=3, epoch=1, index=4)
        self.assert_same(sample, again)
        other = self.augment(self.sheet, seed=3, epoch=1, index=5)
        self.assertFalse(np.array_equal(sample.volume, other.volume))

    def test_sheets_arrays_and_fragments_give_the_same(self):
        volume, mask, labels = np.asarray(self.fragment), self.fragment.mask, self.fragment.ink_labels
        for index in range(6):
            sample = self.augment(self.sheet, seed=7, index=index)
            self.assert_same(sample, self.augment(volume, mask, labels, 7, 0, index))
            self.assert_same(sample, self.augment(self.fragment, seed=7, index=index))
            self.assert_same(sample, self.augment(np.asfortranarray(volume), mask, labels, 7, 0, index))

    def test_both_can_be_pickled(self):
        augment = pickle.loads(pickle.dumps(inkling.Augment(recipe(), depth=8, rotate=1.0)))
        self.assertEqual((augment.image_size, augment.depth, augment.layers), (32, 8, (5, 17)))
        sheet = pickle.loads(pickle.dumps(self.sheet))
        sample = self.augment(self.sheet, seed=1)
        self.assert_same(sample, pickle.loads(pickle.dumps(self.augment))(sheet, seed=1))

    @unittest.skipUnless(hasattr(os, "fork"), "there is no fork here")
    def test_a_forked_process_gives_the_same(self):
        script = (
            "import os, sys, inkling\n"
            "sheet = inkling.Sheet(inkling.open(sys.argv[1]))\n"
            "augment = inkling.Augment(image_size=48, depth=12)\n"
            "here = augment(sheet, seed=5).volume\n"
            "child = os.fork()\n"
            "if child == 0:\n"
            "    same = (augment(sheet, seed=5).volume == here).all() and inkling.num_threads() == 1\n"
            "    os._exit(0 if same else 3)\n"
            "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        )
        done = subprocess.run([sys.executable, "-W", "ignore", "-c", script, phantom()], timeout=60)
        self.assertEqual(done.returncode, 0)

    def test_supervision_is_given_back(self):
        supervision = np.zeros((150, 131), bool)
        supervision[20:130, 20:120] = True
        sheet = inkling.Sheet(self.fragment, supervision=supervision)
        self.assertLess(sheet.papyrus, self.sheet.papyrus)
        sample = self.augment(sheet, seed=2, index=3)
        self.assertEqual(sample.supervision.shape, (48, 48))
        self.assertTrue((sample.labels[sample.supervision == 0] == 0).all())

    def test_batches_are_their_samples(self):
        left = np.arange(131)[None] < 70 + np.zeros((150, 1))
        sheets = [self.sheet, inkling.Sheet(self.fragment, supervision=left)]
        batch = self.augment.batch([(sheets[index % 2], index) for index in range(5)], seed=2, epoch=1)
        self.assertEqual(batch["volume"].shape, (5, 12, 48, 48))
        for index in range(5):
            sample = self.augment(sheets[index % 2], seed=2, epoch=1, index=index)
            for name in NAMES:
                np.testing.assert_array_equal(batch[name][index], getattr(sample, name))
            expected = 1 if sample.supervision is None else sample.supervision
            self.assertTrue((batch["supervision"][index] == expected).all())
        self.assertLess(batch["supervision"].mean(), 1)
        with self.assertRaisesRegex(inkling.InputError, "found none"):
            self.augment.batch([])

    def test_memory_of_a_batch_is_used_again_once_it_is_gone(self):
        augment = inkling.Augment(image_size=48, depth=12)
        first = augment.batch([(self.sheet, 0)])
        address = first["volume"].ctypes.data
        part, expected = first["labels"][0, 8:], first["labels"][0, 8:].copy()
        del first
        second = augment.batch([(self.sheet, 1)])
        self.assertNotEqual(second["volume"].ctypes.data, address)
        np.testing.assert_array_equal(part, expected)
        del part
        self.assertEqual(augment.batch([(self.sheet, 2)])["volume"].ctypes.data, address)

    def test_layers_of_a_sheet(self):
        sheet = inkling.Sheet(self.fragment, layers=(4, 20))
        self.assertEqual(sheet.shape, (16, 150, 131))
        augment = inkling.Augment(image_size=48, depth=12, layers=(4, 20))
        self.assert_same(self.augment(sheet, seed=1), augment(self.fragment, seed=1))
        with self.assertRaisesRegex(inkling.InputError, "layers: found"):
            inkling.Sheet(self.fragment, layers=(4, 31))

    def test_settings_out_of_range_are_refused(self):
        for settings, words in [
            ({"image_size": 0}, "at least 1 each"),
            ({"rotate": 2.0}, "augment.rotate: found 2"),
            ({"rotat": 0.5}, "rotat"),
            ({"config": "nothing.toml"}, "nothing.toml"),
        ]:
            with self.subTest(words), self.assertRaisesRegex(inkling.InklingError, words):
                inkling.Augment(**settings)
        large = inkling.Augment(image_size=480, depth=12)
        with self.assertRaisesRegex(inkling.InputError, "found no place for a crop"):
            large(self.sheet)
        deep = inkling.Augment(image_size=48, depth=40)
        with self.assertRaisesRegex(inkling.InputError, "found 30 layers"):
            deep(self.sheet)
