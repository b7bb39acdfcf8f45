"""The table of all recipes on docs/choose.md is what the recipes are."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from pushforward.data import open_dataset
from pushforward.errors import ConfigError, DataError
from pushforward.recipes import RECIPES

PAGE = Path(__file__).parents[2] / "docs" / "choose.md"
COLUMNS = (
    "recipe", "images", "vectors", "tables", "text", "codes", "ELBO", "labels", "samples of one class",
    "critic",
)  # fmt: skip
TWO = ("no", "yes")
YES = {True: "yes", False: "–"}


@pytest.fixture(scope="module")
def specs(tmp_path_factory):
    """Descriptions of data of each modality, without labels and with those of two classes."""
    table = tmp_path_factory.mktemp("choose") / "people.csv"
    table.write_text(
        "age,town,paid\n"
        + "".join(f"{age},{'Rome' if age % 3 else 'Oslo'},{TWO[age % 2]}\n" for age in range(40))
    )
    plain = {
        "images": replace(open_dataset("digits").spec, classes=()),
        "vectors": open_dataset("ring").spec,
        "tables": open_dataset(table).spec,
        "text": replace(open_dataset("phrases").spec, classes=()),
    }
    labelled = {name: replace(spec, classes=TWO) for name, spec in plain.items()}
    return plain, labelled | {"tables": open_dataset(table, target="paid").spec}


def built(recipe, spec):
    """The model of a recipe for data of a description, or None if it refuses them."""
    try:
        return recipe(spec).model
    except (ConfigError, DataError):
        return None


def described(name, specs):
    """The row of a recipe."""
    recipe, (plain, labelled) = RECIPES[name], specs
    models = {kind: built(recipe, spec) for kind, spec in labelled.items()}
    some = next(model for model in models.values() if model is not None)
    elbo = "yes" if some.is_elbo else "estimate" if some.estimates_elbo else "–"
    optional = any(option.name == "conditional" for option in recipe.options)
    needed = all(built(recipe, spec) is None for spec in plain.values())
    labels = "needed" if needed else "`--conditional`" if optional else "–"
    classes = (
        "`--conditional`" if optional else YES[True] if some.classes_are_labels
        else "clusters" if some.classes else YES[False]
    )  # fmt: skip
    critic = any(player.name.startswith("critic") for player in some.players())
    kinds = [YES[models[kind] is not None] for kind in plain]
    return (f"`{name}`", *kinds, YES[some.has_encoder], elbo, labels, classes, YES[critic])


def test_the_table_is_what_recipes_are(specs):
    lines = PAGE.read_text().splitlines()
    start = lines.index("| " + " | ".join(COLUMNS) + " |") + 2
    rows = {}
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        cells = tuple(cell.strip() for cell in line.strip("|").split("|"))
        rows[cells[0].strip("`")] = cells
    assert list(rows) == list(RECIPES)
    assert rows == {name: described(name, specs) for name in RECIPES}


def test_every_recipe_on_the_page_is_one():
    named = set(re.findall(r"pushforward train ([\w-]+)", PAGE.read_text()))
    assert named <= set(RECIPES)
