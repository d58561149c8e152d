"""A network's ONNX file, run by ONNX Runtime."""

import importlib.util
import json
import os
import unittest

import inkling
import numpy as np
from phantoms import FOLDER, command_line, recipe, run


class Exported(unittest.TestCase):
    def export(self, name: str, *words: str):
        path = os.path.join(FOLDER, name)
        done = command_line("export", run(), "--format", "onnx", "--out", path, "--json", *words)
        return path, done

    def test_it_says_what_the_file_takes(self):
        path, done = self.export("two.onnx", "--batch", "2")
        self.assertEqual(done.returncode, 0, done.stderr)
        told = json.loads(done.stdout)
        self.assertEqual(told["onnx"]["opset"], 17)
        self.assertEqual(told["onnx"]["input"], [2, 6, 32, 32])
        self.assertEqual(told["onnx"]["output"], [2, 32, 32])
        self.assertGreater(told["onnx"]["operators"]["Conv"], 10)
        self.assertGreater(os.path.getsize(path), 100_000)

    def test_flags_of_the_other_format_are_refused(self):
        path, done = self.export("no.onnx", "--names", "timm")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--names", done.stderr)
        self.assertFalse(os.path.exists(path))
        done = command_line("export", run(), "--batch", "2", "--out", path)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--batch", done.stderr)

    @unittest.skipUnless(importlib.util.find_spec("onnxruntime"), "there is no ONNX Runtime here")
    def test_onnx_runtime_gives_the_same_logits(self):
        import onnxruntime

        path, done = self.export("one.onnx")
        self.assertEqual(done.returncode, 0, done.stderr)
        volume = np.random.default_rng(1).normal(size=(1, 6, 32, 32)).astype(np.float32)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (found,) = session.run(None, {"volume": volume})
        given, out = os.path.join(FOLDER, "in.npy"), os.path.join(FOLDER, "out.npy")
        np.save(given, np.ascontiguousarray(volume.transpose(0, 2, 3, 1)[:, None]))
        weights = os.path.join(run(), "best.safetensors")
        words = ["--model", recipe(), "--weights", weights, "--input", given, "--output", out]
        command_line("forward", *words, "--device", "flex", check=True)
        expected = np.load(out)
        self.assertEqual(found.shape, expected.shape)
        self.assertLess(np.abs(found - expected).max(), 1e-4 * expected.std())
        metadata = session.get_modelmeta().custom_metadata_map
        self.assertEqual(json.loads(metadata["inkling.model"])["depth"], 6)
        self.assertEqual(metadata["inkling.sha256"], inkling.Model.load(run()).members[0]["sha256"])

