"""Recipes: named ways to build and train a model. Every module of this package is searched for them."""

from __future__ import annotations

from typing import Any

from pushforward.recipes.recipe import FAMILIES, RECIPES, Option, OwnParts, Recipe, Setup, recipe
from pushforward.utils import import_submodules

import_submodules("pushforward.recipes")


def _place(name: str) -> tuple[int, str]:
    family = RECIPES[name].family
    return (FAMILIES.index(family) if family in FAMILIES else len(FAMILIES), family)


_ordered = {name: RECIPES[name] for name in sorted(RECIPES, key=_place)}
RECIPES.clear()
RECIPES.update(_ordered)
# Recipes are attributes of the package, also where a module has the same name.
globals().update({name.replace("-", "_"): found for name, found in RECIPES.items()})


def __getattr__(name: str) -> Recipe[Any]:
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["FAMILIES", "RECIPES", "Option", "OwnParts", "Recipe", "Setup", "recipe"]
