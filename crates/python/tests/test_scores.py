"""Blending, scores and thresholds of arrays."""

import unittest

import inkling
import numpy as np


class Blended(unittest.TestCase):
    def setUp(self):
        self.mask = np.ones((37, 50), bool)
        self.mask[:5] = False
        self.places = inkling.tile_places(self.mask, 16)
        random = np.random.default_rng(2)
        self.tiles = random.random((len(self.places), 16, 16), np.float32)

    def test_it_is_the_weighted_mean(self):
        line = inkling.spline_weights(16)
        weights = np.outer(line, line)
        sums, weight = np.zeros((64, 80)), np.zeros((64, 80))
        for (y, x), tile in zip(self.places, self.tiles):
            sums[y : y + 16, x : x + 16] += weights * tile
            weight[y : y + 16, x : x + 16] += weights
        expected = np.where(self.mask, (sums / np.maximum(weight, 1e-12))[:37, :50], 0)
        found = inkling.blend(self.tiles, self.places, self.mask)
        self.assertEqual(found.dtype, np.float32)
        np.testing.assert_allclose(found, expected, atol=1e-6)

    def test_the_order_of_rows_does_not_matter(self):
        found = inkling.blend(self.tiles, self.places, self.mask)
        again = inkling.blend(self.tiles[::-1], self.places[::-1], self.mask)
        np.testing.assert_allclose(again, found, atol=1e-6)
        doubles = inkling.blend(np.asfortranarray(self.tiles.astype(np.float64)), self.places.astype(np.int32), self.mask)
        np.testing.assert_array_equal(doubles, found)

    def test_other_arrays_are_refused(self):
        broken = self.tiles.copy()
        broken[3, 2, 1] = np.nan
        for tiles, places, words in [
            (broken, self.places, "NaN or infinity in tile 3"),
            (self.tiles[:, :15], self.places, "15 × 16 px; expected squares"),
            (self.tiles, self.places[1:], "places: found"),
            (self.tiles, self.places + [0, 50], "within 37 × 50 px"),
            (self.tiles, -self.places - 1, "within 37 × 50 px"),
            (self.tiles, self.places.astype(float), "places: found float64"),
            (self.tiles[:0], self.places[:0], "an empty array"),
            ((self.tiles * 255).astype(np.uint8), self.places, "tiles: found uint8"),
        ]:
            with self.subTest(words), self.assertRaisesRegex(inkling.InputError, words):
                inkling.blend(tiles, places, self.mask)
        for side, step in [(0, 1), (8, 0)]:
            with self.assertRaisesRegex(inkling.InputError, "at least 1 px"):
                inkling.tile_places(self.mask, side, step)
        with self.assertRaisesRegex(inkling.InputError, "side: found 0"):
            inkling.spline_weights(0)


class Scored(unittest.TestCase):
    def setUp(self):
        random = np.random.default_rng(3)
        self.labels = random.random((60, 70)) < 0.3
        noise = random.random((60, 70))
        self.prediction = (0.6 * self.labels + 0.4 * noise).astype(np.float32)
        self.mask = random.random((60, 70)) < 0.9

    def test_f05_is_that_of_the_counts(self):
        for threshold in [0.5, 0.3]:
            found = inkling.score(self.prediction, self.labels, self.mask, threshold=threshold)
            levels = np.rint(self.prediction * np.float32(255))
            ink = levels >= np.ceil(threshold * 255 - 0.13)
            hits = (ink & self.labels & self.mask).sum()
            precision, recall = hits / (ink & self.mask).sum(), hits / (self.labels & self.mask).sum()
            self.assertAlmostEqual(found["precision"], precision, 12)
            self.assertAlmostEqual(found["recall"], recall, 12)
            self.assertAlmostEqual(found["f05"], 1.25 * precision * recall / (0.25 * precision + recall), 12)
        self.assertGreaterEqual(found["best_f05"], found["f05"])
        self.assertEqual(len(found["sweep"][0]), 4)

    def test_levels_and_floats_score_alike(self):
        levels = np.rint(self.prediction * np.float32(255)).astype(np.uint8)
        floats = inkling.score(self.prediction, self.labels, self.mask)
        self.assertEqual(inkling.score(levels, self.labels, self.mask), floats)
        across = np.asfortranarray(self.prediction.astype(np.float64))
        self.assertEqual(inkling.score(across, self.labels.astype(np.uint8) * 255, self.mask), floats)

    def test_thresholds_come_from_all_sheets(self):
        found = inkling.threshold([self.prediction] * 2, [self.labels] * 2, [self.mask] * 2)
        alone = inkling.score(self.prediction, self.labels, self.mask)
        self.assertEqual(found["threshold"], alone["best_threshold"])
        self.assertEqual(len(found["held_out"]), 2)
        with self.assertRaisesRegex(inkling.InputError, "lists of one length"):
            inkling.threshold([self.prediction], [])

    def test_two_thresholds_keep_bare_papyrus_bare(self):
        labels = np.zeros((40, 30), bool)
        labels[8:12, 4:26] = True
        speck = np.zeros((40, 30), np.float32)
        speck[25, 10] = 0.7
        stroke = np.where(labels, np.float32(0.6), 0)
        stroke[9, 15] = 0.9
        sheet = stroke + speck
        found = inkling.threshold([sheet], [labels], bare=[speck], bare_share=0.003)
        self.assertEqual((found["f05"], found["bare_share"]), (1.0, 0.0))
        pair = found["threshold"], found["high_threshold"]
        self.assertTrue(pair[0] <= 0.6 < 0.7 < pair[1] <= 0.9, pair)
        self.assertEqual(inkling.score(sheet, labels, threshold=pair)["f05"], 1.0)
        self.assertLess(inkling.score(sheet, labels, threshold=pair[0])["f05"], 1.0)
        for given, words in [
            (dict(bare=[speck], bare_masks=[]), "bare_masks: found 0"),
            (dict(bare=[speck], bare_share=1.5), "bare_share: found 1.5"),
            (dict(bare=[np.ones_like(speck)]), "thresholds that leave"),
        ]:
            with self.subTest(words), self.assertRaisesRegex(inkling.InputError, words):
                inkling.threshold([sheet], [labels], **given)
        with self.assertRaisesRegex(inkling.InputError, r"found \(0.9, 0.5\)"):
            inkling.score(sheet, labels, threshold=(0.9, 0.5))

    def test_other_arrays_are_refused(self):
        wrong = self.prediction.copy()
        wrong[7, 5] = np.nan
        for prediction, labels, words in [
            (wrong, self.labels, r"NaN at \(7, 5\); expected probabilities"),
            (self.prediction * 2, self.labels, "expected probabilities, 0 to 1"),
            (self.prediction.astype(np.int32), self.labels, "found int32"),
            (self.prediction, self.labels.T, "labels: found 70 × 60 px"),
            (self.prediction, np.zeros_like(self.labels), "found no ink within the mask"),
            (self.prediction[:0], self.labels, "an empty array"),
        ]:
            with self.subTest(words), self.assertRaisesRegex(inkling.InputError, words):
                inkling.score(prediction, labels)
        with self.assertRaisesRegex(inkling.InputError, "threshold: found 1.5"):
            inkling.score(self.prediction, self.labels, threshold=1.5)
