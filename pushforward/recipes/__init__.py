"""Recipes: named ways to build and train a model. Every module of this package is searched for them."""

from __future__ import annotations

import re
from typing import Any

from pushforward.recipes.recipe import FAMILIES, RECIPES, Option, OwnParts, Recipe, Setup, recipe
from pushforward.utils import import_submodules

import_submodules("pushforward.recipes")


def _place(name: str) -> tuple[int, str, int, int]:
    """Family first; within it by the date of the first paper that a recipe refers to, so that what others
    build on comes before them. What refers to no paper is older than all.
    """
    family = RECIPES[name].family
    papers = (RECIPES[name].__doc__ or "").partition("\n\nReferences:")[2].partition("\n\n")[0]
    year = re.search(r"\b(\d{4})\)", papers)
    month = re.search(r"arxiv\.org/abs/(\d{2})(\d{2})\.", papers)
    date = int(year.group(1)) * 12 if year else 0
    if month:
        date = (2000 + int(month.group(1))) * 12 + int(month.group(2))
    place = FAMILIES.index(family) if family in FAMILIES else len(FAMILIES)
    return place, family, date, list(RECIPES).index(name)


_ordered = {name: RECIPES[name] for name in sorted(RECIPES, key=_place)}
RECIPES.clear()
RECIPES.update(_ordered)
# Recipes are attributes of the package, also where a module has the same name.
globals().update({name.replace("-", "_"): found for name, found in RECIPES.items()})


def __getattr__(name: str) -> Recipe[Any]:
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["FAMILIES", "RECIPES", "Option", "OwnParts", "Recipe", "Setup", "recipe"]
