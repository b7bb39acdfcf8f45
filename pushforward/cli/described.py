"""What the help of ``train`` says of every recipe, read from a file: the recipes import torch, which takes
seconds.

The file is written by :mod:`pushforward.cli.describe`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Any, Literal, Union

from pushforward.reading import read_json

FILE = Path(__file__).with_name("recipes.json")
MODALITIES = ("image", "vector", "text", "table")
PLAIN = {kind.__name__: kind for kind in (bool, int, float, str, Path, NoneType)}


@dataclass(frozen=True)
class OptionHelp:
    """An option of a command.

    Attributes:
        name: Its name in Python.
        type: Its type on the command line.
        default: Its value where it is not given.
        help: What it is.
        modality: The modality of data that it is for; None for all.
    """

    name: str
    type: Any
    default: Any
    help: str
    modality: str | None = None


@dataclass(frozen=True)
class RecipeHelp:
    """A recipe, as the command line describes it.

    Attributes:
        name: Its name.
        family: The family that it is listed in.
        summary: What it is in one line.
        presets: The names of its presets.
        options: Its options.
        defaults: For each modality of data, or None if that is not known, the defaults of the preset "small"
            as the command line writes them.
    """

    name: str
    family: str
    summary: str
    presets: tuple[str, ...]
    options: tuple[OptionHelp, ...]
    defaults: dict[str | None, dict[str, str]]


@cache
def recipes() -> dict[str, RecipeHelp]:
    """All recipes by name."""
    return {
        name: RecipeHelp(
            name,
            found["family"],
            found["summary"],
            tuple(found["presets"]),
            tuple(map(_option, found["options"])),
            {None: found["defaults"]} | {kind: _changed(found, kind) for kind in MODALITIES},
        )
        for name, found in _stored()["recipes"].items()
    }


@cache
def options_of_train() -> dict[str, OptionHelp]:
    """The options of training that all recipes share, by name."""
    return {found["name"]: _option(found) for found in _stored()["train"]}


@cache
def _stored() -> dict[str, Any]:
    found: dict[str, Any] = read_json(FILE)
    return found


def _option(found: dict[str, Any]) -> OptionHelp:
    return OptionHelp(**found | {"type": read_type(found["type"])})


def _changed(found: dict[str, Any], modality: str) -> dict[str, str]:
    both = found["defaults"] | found["defaults_of"][modality]
    return {name: words for name, words in both.items() if words is not None}


def read_type(parts: list[Any]) -> Any:
    """The type of a list of its alternatives.

    >>> read_type(["float", ["auto"], "NoneType"]) == float | Literal["auto"] | None
    True
    """
    return Union[tuple(Literal[tuple(one)] if isinstance(one, list) else PLAIN[one] for one in parts)]  # noqa: UP007
