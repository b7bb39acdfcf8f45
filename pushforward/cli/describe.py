"""Writes the file from which the command line takes recipes and their options.

    python -m pushforward.cli.describe

after a recipe, an option or a default has changed; a test compares the file with the recipes.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from docstring_parser import parse

from pushforward.cli.defaults import shown_defaults
from pushforward.cli.described import FILE, MODALITIES, PLAIN
from pushforward.cli.options import Columns
from pushforward.files import write_atomic
from pushforward.recipes import RECIPES
from pushforward.runs.api import train


def describe() -> dict[str, Any]:
    """All that the file holds, asked from the recipes and from :func:`pushforward.train`."""
    described = {}
    for name, recipe in RECIPES.items():
        usual = shown_defaults(recipe, None)
        described[name] = {
            "family": recipe.family,
            "summary": recipe.summary,
            "presets": list(recipe.presets),
            "options": [
                _written(option.name, option.type, option.default, option.help, option.modality)
                for option in recipe.options
                if not option.python_only
            ],
            "defaults": usual,
            "defaults_of": {kind: _difference(usual, shown_defaults(recipe, kind)) for kind in MODALITIES},
        }
    hints, words = get_type_hints(train), argument_help(train)
    hints |= {"out": Path | None, "data_dir": Path | None, "image_size": int | None, "device": str}
    hints |= {"columns": str | None, "test": str | None, "group": str | None}
    words |= {"columns": get_args(Columns)[1].help}
    shared = [
        _written(one.name, hints[one.name], one.default, words[one.name], None)
        for one in inspect.signature(train).parameters.values()
        if one.kind is one.KEYWORD_ONLY and one.name not in ("training", "progress")
    ]
    return {"recipes": described, "train": shared}


def _written(name: str, kind: Any, default: Any, words: str, modality: str | None) -> dict[str, Any]:
    made = {"name": name, "type": write_type(kind), "default": default, "help": words}
    return made | ({"modality": modality} if modality else {})


def _difference(usual: dict[str, str], found: dict[str, str]) -> dict[str, str | None]:
    names = dict.fromkeys((*usual, *found))
    return {name: found.get(name) for name in names if found.get(name) != usual.get(name)}


def write_type(kind: Any) -> list[Any]:
    """A type as a list of its alternatives: names of types, and lists of the values of a Literal.

    >>> write_type(float | Literal["auto"] | None)
    ['float', ['auto'], 'NoneType']
    """
    if get_origin(kind) in (Union, UnionType):
        return [part for one in get_args(kind) for part in write_type(one)]
    return [list(get_args(kind))] if get_origin(kind) is Literal else [PLAIN[kind.__name__].__name__]


def argument_help(function: Callable[..., Any]) -> dict[str, str]:
    """The descriptions of the arguments of a function, from its docstring."""
    described = parse(inspect.getdoc(function) or "").params
    return {argument.arg_name: " ".join((argument.description or "").split()) for argument in described}


def main() -> None:
    """Writes the file anew."""
    write_atomic(FILE, json.dumps(describe(), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
