"""Every tutorial runs, and its notebook is that of its script, with what was shown when it ran in full."""

import importlib.util
import re
import tomllib
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
TUTORIALS = ROOT / "docs" / "tutorials"
NAMES = sorted(path.stem for path in TUTORIALS.glob("*.py"))


@pytest.fixture(scope="module")
def made():
    """The script that makes notebooks."""
    spec = importlib.util.spec_from_file_location("tutorials", ROOT / "docs" / "_ext" / "tutorials.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", NAMES)
def test_it_runs(name, folder, capped, made):
    names = {"__name__": "__main__"}
    for cell in made.notebook(TUTORIALS / f"{name}.py").cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, name, "exec"), names)


@pytest.mark.parametrize("name", NAMES)
def test_its_notebook_is_that_of_the_script(name, made):
    stored = nbformat.read(TUTORIALS / f"{name}.ipynb", 4)
    cells = made.notebook(TUTORIALS / f"{name}.py").cells
    again = f"run: make tutorials TUTORIALS={name}"
    assert [(c.cell_type, c.source) for c in stored.cells] == [(c.cell_type, c.source) for c in cells], again
    kinds = {kind for cell in stored.cells for out in cell.get("outputs", ()) for kind in out.get("data", ())}
    assert "image/png" in kinds, "it shows no picture"
    text = (TUTORIALS / f"{name}.ipynb").read_text()
    assert len(text) < 400_000
    assert not re.search(r"/tmp/|/home/|/work/", text), "it shows where it was run"


@pytest.mark.parametrize("name", NAMES)
def test_its_first_picture_is_in_the_gallery(name, made):
    ending, content = made.cover(nbformat.read(TUTORIALS / f"{name}.ipynb", 4))
    kept = ROOT / "docs" / "images" / "tutorials" / f"{name}{ending}"
    assert kept.read_bytes() == content, f"run: make tutorials TUTORIALS={name}"
    assert len(content) < 150_000
    page = (TUTORIALS / "index.md").read_text()
    card = page.split(f":link: {name}\n")[1].split(":::\n")[0]
    assert f":img-top: ../images/tutorials/{kept.name}\n" in card


@pytest.mark.parametrize("name", NAMES)
def test_it_is_linked(name):
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
    repository = urls["Repository"].removeprefix("https://github.com/")
    opened = f"https://colab.research.google.com/github/{repository}/blob/main/docs/tutorials/{name}.ipynb"
    assert opened in (TUTORIALS / f"{name}.py").read_text()
    assert f"\n{name}\n" in (TUTORIALS / "index.md").read_text()
