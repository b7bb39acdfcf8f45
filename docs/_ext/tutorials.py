"""Runs tutorials and stores them as notebooks with what they show: `python docs/_ext/tutorials.py [NAME]`.

A tutorial is a script docs/tutorials/NAME.py in jupytext's percent format. Its notebook NAME.ipynb is made
of it: edit the script, not the notebook.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

TUTORIALS = Path(__file__).parents[1] / "tutorials"


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
    made["metadata"]["language_info"] = {"name": "python"}
    target = script.with_suffix(".ipynb")
    nbformat.write(made, target)
    return target


if __name__ == "__main__":
    names = sys.argv[1:] or sorted(path.stem for path in TUTORIALS.glob("*.py"))
    for name in names:
        written = run(TUTORIALS / f"{name}.py")
        print(f"{written}: {written.stat().st_size / 1000:.0f} kB")
