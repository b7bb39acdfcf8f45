"""The configuration of a run, as ``config.json`` holds it: with a sum, so that damage is noticed."""

from __future__ import annotations

import hashlib
import json
import platform
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import UnionType
from typing import Any

import torch

from pushforward._version import __version__
from pushforward.data.dataset import Dataset
from pushforward.errors import OutputError
from pushforward.launch import program
from pushforward.reading import parse_json
from pushforward.recipes import RECIPES
from pushforward.runs.budget import Budget
from pushforward.wording import option_name, typed

# Raised when parts are added or change their meaning; runs of versions that are not in ADDED are refused.
SCHEMA = 9
# What older configurations, by their schema, lack, and what it stands for.
ADDED: dict[int, dict[str, Any]] = {8: {"compile": False}}
# What two calls must agree in to be one run; the device, the number of threads and on_nonfinite may differ.
IDENTITY = ("recipe", "preset", "arguments", "own", "seed", "precision", "compile")
# The parts of the data in which two calls must agree: rows, what values stand for, and classes.
DATA = ("sha256", "scaling", "classes")
SUM = "sha256"
# What the parts of a configuration are, besides its schema.
PARTS: dict[str, type | UnionType] = {
    "id": str, "recipe": str, "own": list, "resolved": dict, "description": str, "seed": int, "budget": dict,
    "on_nonfinite": str, "total_steps": int | None, "earlier_budgets": list, "codec": str | None,
    "data": dict, "device": str, "threads": int, "precision": str, "compile": bool,
    "versions": dict,
}  # fmt: skip


def new_config(
    about: Mapping[str, Any], dataset: Dataset, reading: Mapping[str, Any], budget: Budget, **how: Any
) -> dict[str, Any]:
    """The configuration of a run that has not begun.

    Arguments:
        about: What is said of its model: :meth:`~pushforward.runs.setups.ModelSource.as_json`.
        dataset: Its data.
        reading: The options that the data were read with.
        budget: How long it is to be trained.
        how: How it is to be trained: ``seed``, ``on_nonfinite``, ``device``, ``threads``, ``precision`` and
            ``compile``.
    """
    config = {
        "schema": SCHEMA,
        "id": uuid.uuid4().hex,
        **about,
        **how,
        "budget": asdict(budget),
        "total_steps": None,
        "earlier_budgets": [],
        "codec": None if dataset.codec is None else dataset.codec.sha256,
        "data": {
            **dataset.spec.as_json(),
            **reading,
            "test": None,
            "group": None,
            **(dataset.own_split or {}),
            "source": dataset.source,
            "sha256": dataset.fingerprint,
        },
        "versions": {
            "pushforward": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    }
    return dict(json.loads(json.dumps(config, default=lambda value: value.item())))  # as it will be read


def encode(config: dict[str, Any]) -> bytes:
    """The content of ``config.json``."""
    return (json.dumps(config | {SUM: _sum(config)}, indent=1) + "\n").encode()


def decode(content: bytes) -> dict[str, Any]:
    """The configuration in a ``config.json``, as this version writes it.

    Raises:
        ValueError: If it is damaged, or of a version that cannot be read.
    """
    config = parse(content)
    if not readable(config):
        raise ValueError(f"it has schema {config['schema']!r}, this version reads schema {SCHEMA}")
    wanted, found = config.pop(SUM, None), _sum(config)
    if wanted != found:
        raise ValueError(f"its sha256 should be {wanted}, is {found}")
    config |= ADDED.get(config["schema"], {}) | {"schema": SCHEMA}
    for name, kind in PARTS.items():
        if name not in config or not isinstance(config[name], kind):
            expected = getattr(kind, "__name__", str(kind))
            raise ValueError(f"its {name} should be of the type {expected}, is {config.get(name)!r:.60}")
    if not all(isinstance(name, str) for name in config["own"]):
        raise ValueError(f"its own should be names of parts, is {config['own']!r:.60}")
    return config


def parse(content: bytes) -> dict[str, Any]:
    """The configuration of a run of any version.

    Raises:
        ValueError: If it is not one.
    """
    config = parse_json(content)
    if not isinstance(config, dict) or not isinstance(config.get("recipe"), str) or "schema" not in config:
        raise ValueError("it is not the configuration of a run")
    return config


def readable(config: dict[str, Any]) -> bool:
    """Whether this version can read a configuration."""
    return config["schema"] in (SCHEMA, *ADDED)


def check_version(config: dict[str, Any], folder: Path) -> None:
    """Checks that this version can read a run.

    Raises:
        OutputError: If it cannot.
    """
    versions = config.get("versions")
    version = versions.get("pushforward", "(unknown)") if isinstance(versions, dict) else "(unknown)"
    maker = f"{folder} was made by pushforward {version}"
    if not readable(config):
        found = f"its configuration has schema {config['schema']}, this version reads schema {SCHEMA}"
        raise OutputError(f"{maker}: {found}; use that version, or train again")
    if config["recipe"] not in RECIPES and "model" not in config["own"]:
        raise OutputError(f"{maker} with the recipe {config['recipe']!r}, which this version does not have")


def check_same(folder: Path, there: dict[str, Any], config: dict[str, Any]) -> None:
    """Checks that the run in a folder is the very one that was asked for.

    Raises:
        OutputError: If it is another.
    """
    same = there["resolved"] == config["resolved"]  # such as an option that repeats the preset's value
    pairs = [(name, there[name], config[name]) for name in IDENTITY if not (same and name == "arguments")]
    if "model" in config["own"]:
        pairs.append(("training", there["resolved"], config["resolved"]))
    pairs += [(f"data's {part}", there["data"][part], config["data"][part]) for part in DATA]
    for name, was, now in pairs:
        if json.dumps(was) != json.dumps(now):
            raise OutputError(
                f"{folder} holds another run (its {name}: {_short(was)}, now: {_short(now)}); "
                f"choose another {option_name('out')}, or {option_name('overwrite', True)}"
            )
    earlier = [one["budget"] for one in there["earlier_budgets"]]
    if config["budget"] not in [there["budget"], *earlier]:
        was, now = (Budget(**one["budget"]) for one in (there, config))
        longer = command("resume", folder, there, steps="+1000")
        raise OutputError(
            f"{folder} holds this run with another budget ({was.words}, now: {now.words}); to train it "
            f"longer, for example: {longer}; to begin again: "
            f"{option_name('overwrite', True)}"
        )


def command(verb: str, folder: Path, config: dict[str, Any], **options: object) -> str:
    """What does something with a stored run: see :func:`~pushforward.wording.typed`.

    As many processes as there are go on with a run; other commands are started by themselves.

    Arguments:
        verb: The command, such as "resume".
        folder: The run's folder.
        config: Its configuration.
        options: Options and their values.
    """
    in_memory, own = config["data"]["source"] is None, config["own"]
    start = program() if verb == "resume" else "pushforward"
    return typed(verb, folder, in_memory, own, start, **options)


def _sum(config: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 80 else text[:60] + "…"


__all__ = ["SCHEMA", "check_same", "check_version", "command", "decode", "encode", "new_config", "parse"]
