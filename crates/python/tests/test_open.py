"""Fragments that are sliced like arrays."""

import pickle
import tempfile
import unittest

import inkling
import numpy as np
from phantoms import command_line, phantom


class Opened(unittest.TestCase):
    def setUp(self):
        self.fragment = inkling.open(phantom())
        self.whole = np.asarray(self.fragment)

    def test_it_looks_like_an_array(self):
        self.assertEqual(self.fragment.shape, (30, 150, 131))
        self.assertEqual((self.fragment.ndim, len(self.fragment)), (3, 30))
        self.assertEqual(self.fragment.dtype, np.uint16)
        self.assertEqual(self.fragment.size * 2, self.fragment.nbytes)
        self.assertEqual((self.whole.shape, self.whole.dtype), (self.fragment.shape, np.uint16))
        self.assertGreater(self.whole.max(), 10000)

    def test_indices_read_what_numpy_reads(self):
        for index in [
            np.s_[...],
            np.s_[3],
            np.s_[-1],
            np.s_[2:9, 10:20, 30:40],
            np.s_[::7, 5, ::-1],
            np.s_[::-1, ::3, -4],
            np.s_[20:4:-5, 100:2:-7, 3:90:11],
            np.s_[..., 4],
            np.s_[4, ...],
            np.s_[:, 20:20],
            np.s_[7:2, :, 3],
            np.s_[np.int64(3), np.uint8(7)],
            np.s_[-3:, -5:500],
            np.s_[1, 2, 3],
        ]:
            with self.subTest(index=index):
                found, expected = self.fragment[index], self.whole[index]
                self.assertEqual(type(found), type(expected))
                np.testing.assert_array_equal(found, expected)

    def test_layers_are_iterated(self):
        layers = list(self.fragment)
        np.testing.assert_array_equal(layers, self.whole)

    def test_other_indices_are_refused(self):
        for index in [30, -31, np.s_[0, 150], np.s_[0, 0, 0, 0], np.s_[..., ...]]:
            with self.subTest(index=index), self.assertRaisesRegex(IndexError, "expected"):
                self.fragment[index]
        for index in [None, "a", 1.0, True, [1, 2], np.array([1, 2])]:
            with self.subTest(index=index), self.assertRaisesRegex(inkling.InputError, "integers, slices"):
                self.fragment[index]

    def test_arrays_are_of_the_type_that_is_asked_for(self):
        floats = np.asarray(self.fragment, dtype=np.float32)
        np.testing.assert_array_equal(floats, self.whole.astype(np.float32))
        with self.assertRaises(TypeError):
            self.fragment.__array__(copy=False)

    def test_images_are_arrays(self):
        mask, labels = self.fragment.mask, self.fragment.ink_labels
        self.assertEqual((mask.shape, mask.dtype), ((150, 131), bool))
        self.assertTrue(0 < labels.sum() < mask.sum())
        self.assertEqual(self.fragment.infrared.dtype, np.uint8)
        self.assertIsNone(self.fragment.supervision_mask)
        self.assertIsNone(self.fragment.validation_mask)

    def test_layers_can_be_reversed(self):
        flipped = inkling.open(phantom(), flip=True)
        np.testing.assert_array_equal(flipped[:3], self.whole[:-4:-1])

    def test_a_name_can_be_given(self):
        self.assertEqual(inkling.open(f"other={phantom()}").id, "other")
        self.assertEqual(self.fragment.id, "1")

    def test_it_can_be_pickled(self):
        again = pickle.loads(pickle.dumps(inkling.open(phantom(), flip=True)))
        np.testing.assert_array_equal(again[0], self.whole[-1])

    def test_a_closed_fragment_says_so(self):
        with inkling.open(phantom()) as fragment:
            fragment[0]
        self.assertIn("closed", repr(fragment))
        for use in [
            lambda: fragment[0],
            lambda: fragment.shape,
            lambda: fragment.mask,
            lambda: inkling.curves(fragment),
            lambda: inkling.align(fragment),
        ]:
            with self.assertRaisesRegex(inkling.InputError, "closed; expected an open one. hint: open it again"):
                use()

    def test_what_is_not_there_has_the_words_of_the_command_line(self):
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaises(inkling.FileError) as raised:
                inkling.open(folder)
            said = command_line("info", folder)
        self.assertIsInstance(raised.exception, OSError)
        self.assertIn("found no layers", str(raised.exception))
        self.assertIn(str(raised.exception), said.stderr)
        with self.assertRaisesRegex(inkling.FileError, "found a folder of layers"):
            inkling.open(phantom(), level=2)
        with self.assertRaisesRegex(inkling.InputError, "auto or as-is"):
            inkling.open(phantom(), voxels="some")
