"""The tutorial and the notebook are run, block by block, as a reader would."""

import contextlib
import importlib.util
import io
import json
import os
import pathlib
import re
import tempfile
import unittest

from phantoms import command_line

DOCS = pathlib.Path(__file__).parents[3] / "docs"


class Run(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(folder.name)
        self.names: dict[str, object] = {}

    def call(self, line: str):
        program, *words = line.split()
        self.assertEqual(program, "inkling", line)
        command_line(*words, check=True)

    def test_the_tutorial(self):
        text = (DOCS / "getting-started" / "python.md").read_text(encoding="utf-8")
        blocks = re.findall(r"^```(python|toml|sh)\n(.*?)^```", text, re.M | re.S)
        self.assertEqual([kind for kind, _ in blocks].count("python"), 4)
        said = io.StringIO()
        for kind, block in blocks:
            if kind == "toml":
                name = re.match(r"# (\S+)\n", block)[1]
                pathlib.Path(name).write_text(block)
            elif kind == "sh":
                for line in block.splitlines():
                    self.call(line)
            else:
                with contextlib.redirect_stdout(said):
                    exec(compile(block, "docs/getting-started/python.md", "exec"), self.names)
        self.assertIn("65 × 192 × 160 uint16", said.getvalue())
        self.assertEqual(self.names["probability"].shape, (192, 160))

    @unittest.skipUnless(importlib.util.find_spec("matplotlib"), "there is no matplotlib here")
    def test_the_notebook(self):
        import matplotlib

        matplotlib.use("Agg")
        path = DOCS / "notebooks" / "phantom-to-map.ipynb"
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        self.assertGreater(len(code), 5)
        for source in code:
            for line in source.splitlines():
                if line.startswith("!"):
                    self.call(line[1:])
            plain = "\n".join(line for line in source.splitlines() if not line.startswith("!"))
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(plain, str(path), "exec"), self.names)
        self.assertGreater(self.names["score"]["best_f05"], 0.3)
