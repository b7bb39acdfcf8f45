"""``pushforward train``."""

from __future__ import annotations

from typing import Any

from cyclopts import Parameter

from pushforward.cli.options import Evaluate, JsonFlag
from pushforward.cli.output import finish
from pushforward.cli.recipe_commands import GROUPS, add_verb


def train(recipe: str, data: str, *, evaluate: str = "quick", json: bool = False, **given: Any) -> None:
    """Trains a recipe, and says how good the run is."""
    from pushforward.runs import api

    finish(api.train(recipe, data, **given), json, evaluate, given.get("pictures", True))


add_verb(
    "train",
    "Train a recipe on data; the same command again continues a run that was stopped.",
    call=train,
    run=("preset", "out", "seed", "steps", "epochs", "minutes", "on_nonfinite", "pictures"),
    machine=("device", "threads", "precision", "compile", "overwrite"),
    own={
        "evaluate": (Evaluate, "quick", Parameter(group=GROUPS["Run"])),
        "json": (JsonFlag, False, Parameter()),
    },
)
