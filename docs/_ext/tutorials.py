"""Runs tutorials and stores them as notebooks with what they show: `python docs/_ext/tutorials.py [NAME]`.

The first picture or animation of each is kept in docs/images/tutorials, for the gallery of all tutorials.

A tutorial is a script docs/tutorials/NAME.py in jupytext's percent format. Its notebook NAME.ipynb is made
of it: edit the script, not the notebook.
"""

from __future__ import annotations

import base64
import os
import re
import sys
import tempfile
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

DOCS = Path(__file__).parents[1]
TUTORIALS, COVERS = DOCS / "tutorials", DOCS / "images" / "tutorials"
GIF = re.compile(r"data:image/gif;base64,([^\"]+)")


def notebook(script: Path) -> nbformat.NotebookNode:
    """The cells of a script, without outputs."""
    made = jupytext.read(script)
    for number, cell in enumerate(made.cells):
        cell["id"] = f"cell-{number}"
        cell["metadata"] = {}
    made["metadata"] = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return made


def run(script: Path) -> Path:
    """Runs a script in an empty folder, and writes its notebook beside it."""
    made = notebook(script)
    os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"  # of tqdm, which looks for widgets
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(made, timeout=900, resources={"metadata": {"path": folder}})
        client.record_timing = False
        client.execute()
        for cell in made.cells:
            for output in cell.get("outputs", ()):
                data = output.get("data", {})
                if "text/plain" in data:  # the paths of what was written
                    data["text/plain"] = data["text/plain"].replace(f"{folder}{os.sep}", "")
    made["metadata"]["language_info"] = {"name": "python"}
    target = script.with_suffix(".ipynb")
    nbformat.write(made, target)
    return target


def cover(made: nbformat.NotebookNode) -> tuple[str, bytes]:
    """The first picture that a notebook with outputs shows: the ending of its file, and its content."""
    for cell in made.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "image/png" in data:
                return ".png", base64.b64decode(data["image/png"])
            if moving := GIF.search(data.get("text/html", "")):
                return ".gif", base64.b64decode(moving[1])
    raise ValueError("the notebook shows no picture")


def keep_cover(name: str) -> None:
    """Writes the picture of a tutorial that was run."""
    ending, content = cover(nbformat.read(TUTORIALS / f"{name}.ipynb", 4))
    for old in COVERS.glob(f"{name}.*"):
        old.unlink()
    COVERS.mkdir(exist_ok=True)
    (COVERS / f"{name}{ending}").write_bytes(content)


if __name__ == "__main__":
    names = sys.argv[1:] or sorted(path.stem for path in TUTORIALS.glob("*.py"))
    for name in names:
        written = run(TUTORIALS / f"{name}.py")
        keep_cover(name)
        print(f"{written}: {written.stat().st_size / 1000:.0f} kB")
