"""Writes docs/python.md from the docstrings of the package that is installed:

    python crates/python/docs.py          writes it
    python crates/python/docs.py --check  fails when it is stale
"""

import inspect
import pathlib
import re
import sys

import inkling

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "python.md"

HEAD = """# The Python package

Written from the package's docstrings by `crates/python/docs.py`; `help(inkling)` says the same. How to begin with
it is in [Python in ten minutes](getting-started/python.md).

Volumes are (z, y, x) of uint16, images (y, x). Arrays that are not laid out in NumPy's standard order, read-only
arrays and views with strides are read where they lie; bytes in the other order, uint8 volumes and 64-bit floats
are converted, which copies. Other types are refused: what was found, what is expected and how to convert is said.
While the libraries work, other Python threads go on; arrays must not be changed meanwhile. Ctrl-C ends long
calls. Warnings go to the logger `inkling` of `logging`.
"""

SECTIONS = {
    "Fragments": ["open", "Fragment", "write_phantom"],
    "Alignment": ["curves", "align", "Alignment", "warp"],
    "Training samples": ["Augment", "Sheet", "Sample"],
    "Prediction": ["Model", "tile_places", "spline_weights", "blend", "score", "threshold"],
    "Threads": ["num_threads", "set_num_threads"],
    "Errors": ["InklingError", "InputError", "FileError"],
}


def sentence(text: str) -> str:
    """One paragraph, fit for a table or list."""
    return " ".join(text.split()).replace("|", "\\|").replace("*", "\\*")


def entries(lines: list[str]) -> list[str]:
    """`name: text` with deeper lines that go on, as a list."""
    items: list[list[str]] = []
    for line in lines:
        if line.startswith(" ") and items:
            items[-1].append(line)
        else:
            items.append([line])
    listed = []
    for item in items:
        name, _, text = " ".join(part.strip() for part in item).partition(": ")
        listed.append(f"- `{name.lstrip('*') if text else name}`" + (f": {sentence(text)}" if text else ""))
    return listed


def body(doc: str) -> str:
    """A docstring as Markdown: its sections become lists, its examples code."""
    out: list[str] = []
    for part in re.split(r"\n(?=(?:Args|Returns|Raises|Calling|Examples):\n)", inspect.cleandoc(doc)):
        title, _, rest = part.partition(":\n")
        if title not in ("Args", "Returns", "Raises", "Calling", "Examples"):
            out.append(part.strip().replace("*", "\\*"))
            continue
        lines = inspect.cleandoc(rest).splitlines()
        if title == "Examples":
            out.append("```python\n" + "\n".join(lines).strip() + "\n```")
        elif title == "Calling":
            out.append("Calling it: " + " ".join(line.strip() for line in lines))
        elif title == "Returns":
            kind, _, text = " ".join(line.strip() for line in lines).partition(": ")
            out.append(f"Returns `{kind}`: {sentence(text)}")
        else:
            out.append(f"{title if title == 'Raises' else 'Arguments'}:\n\n" + "\n".join(entries(lines)))
    return "\n\n".join(out) + "\n"


def signature(name: str, thing: object) -> str:
    """How it is called."""
    text = str(inspect.signature(thing))
    return f"inkling.{name}{text}".replace("($self, ", "(").replace("(self, ", "(").replace("(self)", "()")


def members(name: str, thing: type) -> str:
    """Attributes and methods of a class."""
    text = []
    attributes = [
        f"| `{member}` | {sentence(value.__doc__)} |\n"
        for member, value in sorted(vars(thing).items())
        if inspect.isgetsetdescriptor(value) or inspect.ismemberdescriptor(value)
    ]
    if attributes:
        text.append("| attribute | |\n| --- | --- |\n" + "".join(attributes))
    for member, value in sorted(vars(thing).items()):
        function = getattr(thing, member)
        if not callable(function) or member.startswith("_"):
            continue
        title = f"{name}.{member}"
        text.append(f"#### {title}\n\n```python\n{signature(title, function)}\n```\n\n{body(function.__doc__)}")
    return "\n".join(text)


def page() -> str:
    """The whole page."""
    listed = [name for names in SECTIONS.values() for name in names]
    assert sorted(listed) == sorted(set(inkling.__all__) - {"__version__", "build"}), "name all in SECTIONS"
    text = [HEAD]
    for section, names in SECTIONS.items():
        text.append(f"## {section}\n")
        for name in names:
            thing = getattr(inkling, name)
            text.append(f"### {name}\n")
            made_by_users = not inspect.isclass(thing) or name in ("Augment", "Sheet")
            if made_by_users:
                text.append(f"```python\n{signature(name, thing)}\n```\n")
            text.append(body(thing.__doc__))
            if inspect.isclass(thing) and not issubclass(thing, Exception):
                text.append(members(name, thing))
    return "\n".join(text).rstrip() + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        if PAGE.read_text(encoding="utf-8") != page():
            sys.exit(f"{PAGE} is not of this package; write it anew with python crates/python/docs.py")
    else:
        PAGE.write_text(page(), encoding="utf-8")
