"""Every recipe has a page, which is generated from what it declares, with a picture."""

import re
from pathlib import Path

import pytest

from pushforward.recipes import RECIPES

MODELS = Path(__file__).parents[2] / "docs" / "models"


def test_every_recipe_has_a_page_and_nothing_else_has():
    assert {page.stem for page in MODELS.glob("*.md")} == {*RECIPES, "index"}
    assert set(re.findall(r"^\| \[`(.*?)`\]", (MODELS / "index.md").read_text(), re.MULTILINE)) == set(
        RECIPES
    )


@pytest.mark.parametrize("name", RECIPES)
def test_a_page_shows_formula_options_picture_and_results(name):
    page = (MODELS / f"{name}.md").read_text()
    for part in (f"```{{recipe}} {name}\n", f"```{{recipe-options}} {name}\n", "../results/", "## Limits\n"):
        assert part in page
    picture = MODELS.parent / "images" / "models" / f"{name}.png"
    assert picture.exists() == (f"](../images/models/{name}.png)" in page)
    shown = picture.exists() or "```text\n" in page or "| samples of |" in page
    assert shown, f"{name}: neither a picture nor lines of text"


@pytest.mark.parametrize("name", RECIPES)
def test_the_summary_is_that_of_the_recipe(name):
    assert f"| {RECIPES[name].summary} |" in (MODELS / "index.md").read_text()
