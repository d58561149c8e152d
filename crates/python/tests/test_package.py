"""The package itself: its examples, types, command line and pages."""

import ast
import doctest
import importlib.util
import inspect
import logging
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import inkling
import numpy as np
from phantoms import command_line, phantom

PACKAGE = pathlib.Path(inkling.__file__).parent


def documented():
    """Public functions, classes and their methods, by name."""
    for name in inkling.__all__:
        thing = getattr(inkling, name)
        if not callable(thing):
            continue
        yield name, thing
        if inspect.isclass(thing) and not issubclass(thing, Exception):
            for member, value in vars(thing).items():
                if not member.startswith("_"):
                    yield f"{name}.{member}", value


class Package(unittest.TestCase):
    def test_everything_is_described(self):
        for name, thing in documented():
            self.assertGreater(len(thing.__doc__ or ""), 3, name)

    def test_examples_are_true(self):
        runner, examples = doctest.DocTestRunner(verbose=False), 0
        for name, thing in documented():
            test = doctest.DocTestParser().get_doctest(thing.__doc__ or "", {}, name, None, 0)
            examples += len(test.examples)
            said = []
            runner.run(test, out=said.append)
            self.assertFalse(said, "".join(said))
        self.assertGreater(examples, 15)

    def test_types_name_what_there_is(self):
        stubs = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
        typed = {}
        for node in stubs.body:
            if isinstance(node, ast.FunctionDef):
                typed[node.name] = node.args
            elif isinstance(node, ast.ClassDef):
                typed[node.name] = None
                for member in node.body:
                    if isinstance(member, ast.FunctionDef):
                        typed[f"{node.name}.{member.name}"] = member.args
        for name, thing in documented():
            self.assertIn(name, typed)
            arguments = typed[name]
            if arguments is None or isinstance(thing, property) or not callable(getattr(thing, "__call__", None)):
                continue
            named = [argument.arg for argument in arguments.args + arguments.kwonlyargs]
            named += [argument.arg for argument in (arguments.vararg, arguments.kwarg) if argument]
            parameters = inspect.signature(getattr(thing, "__func__", thing)).parameters
            self.assertEqual(sorted(set(named) - {"self"}), sorted(set(parameters) - {"self"}), name)
        for name in typed:
            owner, _, member = name.partition(".")
            self.assertTrue(hasattr(getattr(inkling, owner), member) if member else hasattr(inkling, owner), name)

    def test_the_page_is_of_these_docstrings(self):
        script = pathlib.Path(__file__).parents[1] / "docs.py"
        done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_the_import_is_light(self):
        script = "import sys, inkling; sys.exit('numpy' in sys.modules)"
        self.assertEqual(subprocess.run([sys.executable, "-c", script]).returncode, 0)

    def test_the_command_line_comes_with_it(self):
        said = command_line("--version", check=True)
        self.assertIn(inkling.__version__, said.stdout)
        self.assertIn("doctor", command_line("--help", check=True).stdout)
        self.assertEqual(command_line("align").returncode, 2)
        failed = command_line("info", "nothing-of-this-name")
        self.assertEqual(failed.returncode, 1)
        self.assertIn("nothing-of-this-name", failed.stderr)

    def test_warnings_go_to_logging(self):
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/bare"
            inkling.write_phantom(path, size=(40, 40), depth=8)
            os.remove(f"{path}/mask.png")
            with self.assertLogs("inkling", logging.WARNING) as heard:
                inkling.open(path).mask
        self.assertIn("no mask", heard.output[0])

    def test_threads_are_counted(self):
        self.assertGreaterEqual(inkling.num_threads(), 1)
        with self.assertRaisesRegex(inkling.InputError, "threads that have started"):
            inkling.set_num_threads(2)
        with self.assertRaisesRegex(inkling.InputError, "expected 1 to 1024"):
            inkling.set_num_threads(0)
        script = "import inkling; inkling.set_num_threads(1); print(inkling.num_threads())"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        self.assertEqual(done.stdout.strip(), "1")

    def test_phantoms_beyond_reason_are_refused(self):
        for settings in [{"size": (0, 5)}, {"depth": 0}, {"depth": 2000}, {"scale": 0.0}, {"letter_height": 0}]:
            with self.subTest(settings), self.assertRaisesRegex(inkling.InputError, "found a phantom of"):
                inkling.write_phantom("phantom", **settings)
        with self.assertRaisesRegex(inkling.FileError, "existing"):
            inkling.write_phantom(phantom(), size=(150, 131), depth=30)

    def test_layers_for_napari(self):
        from inkling.napari import prediction_layers

        fragment = inkling.open(phantom())
        layers = prediction_layers(np.full((150, 131), 0.7, np.float32), fragment)
        self.assertEqual([kind for _, _, kind in layers], ["image", "labels", "labels", "image", "labels"])
        self.assertTrue((layers[-1][0] == 1).all())

    @unittest.skipUnless(importlib.util.find_spec("torch"), "there is no PyTorch here")
    def test_datasets_for_torch(self):
        from inkling.torch import SampleDataset
        from torch.utils.data import DataLoader

        sheet = inkling.Sheet(inkling.open(phantom()))
        dataset = SampleDataset([sheet], inkling.Augment(image_size=48, depth=12), length=6, seed=1)
        alone = [dataset[index] for index in range(6)]
        for batch, sample in zip(DataLoader(dataset, batch_size=1, num_workers=2), alone):
            self.assertTrue((batch["volume"][0] == sample["volume"]).all())
            self.assertTrue((batch["labels"][0] == sample["labels"]).all())
        dataset.set_epoch(1)
        self.assertFalse((dataset[0]["volume"] == alone[0]["volume"]).all())
        with self.assertRaises(IndexError):
            dataset[6]

    @unittest.skipUnless(importlib.util.find_spec("torch"), "there is no PyTorch here")
    def test_batches_for_torch(self):
        from inkling.torch import SampleBatches, SampleDataset
        from torch.utils.data import DataLoader

        fragment = inkling.open(phantom())
        half = np.arange(131)[None] < 70 + np.zeros((150, 1))
        sheets = [inkling.Sheet(fragment), inkling.Sheet(fragment, supervision=half)]
        augment = inkling.Augment(image_size=48, depth=12)
        dataset = SampleDataset(sheets, augment, length=11, seed=1)
        batches = SampleBatches(sheets, augment, length=11, batch_size=4, seed=1)
        self.assertEqual(len(batches), 3)
        for epoch in range(2):
            dataset.set_epoch(epoch)
            batches.set_epoch(epoch)
            expected = list(DataLoader(dataset, batch_size=4))
            for workers in (0, 2):
                found = list(DataLoader(batches, batch_size=None, num_workers=workers))
                self.assertEqual([len(batch["volume"]) for batch in found], [4, 4, 3])
                for batch, other in zip(found, expected):
                    self.assertEqual(batch.keys(), other.keys())
                    for name, tensor in other.items():
                        self.assertTrue((batch[name] == tensor).all(), name)
        # Who stops early is not waited for, nor are mistakes in a thread lost.
        next(iter(batches))
        small = inkling.Sheet(np.full((5, 40, 40), 9, np.uint16), np.ones((40, 40), bool))
        with self.assertRaises(inkling.InputError):
            list(SampleBatches([small], augment, length=2, batch_size=2))
