"""The folder of a run: whether it can be written, and the configuration in it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from pushforward.errors import DataError, OutputError
from pushforward.recipes import RECIPES
from pushforward.text.vocabulary import Vocabulary

# What a run writes, and so all that overwriting may remove.
OURS = (
    "config.json",
    "vocabulary.json",
    "history.jsonl",
    "checkpoints",
    "samples",
    "samplers",
    "overview.png",
    "evaluation.json",
    "evaluation-gmm.json",
    "evaluation-flow.json",
    "report.html",
)
# Raised when older configurations can no longer be read; such runs are refused.
SCHEMA = 3
# What two calls must agree in to be one run; the device and the number of threads may differ.
IDENTITY = ("recipe", "preset", "arguments", "own", "seed", "budget")


def continued(folder: Path, config: dict[str, Any]) -> dict[str, Any]:
    """The configuration in a folder that holds this very run.

    Raises:
        OutputError: If it holds another.
    """
    there = read_config(folder)
    same = there["resolved"] == config["resolved"]  # such as an option that repeats the preset's value
    pairs = [(name, there[name], config[name]) for name in IDENTITY if not (same and name == "arguments")]
    if "model" in config["own"]:
        pairs.append(("training", there["resolved"], config["resolved"]))
    pairs.append(("data", there["data"]["sha256"], config["data"]["sha256"]))
    for name, was, now in pairs:
        if json.dumps(was) != json.dumps(now):
            raise OutputError(
                f"{folder} holds another run (its {name}: {_short(was)}, now: {_short(now)}); "
                "choose another out, or overwrite"
            )
    return there


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 80 else text[:60] + "…"


def claim(folder: Path, overwrite: bool) -> None:
    """Prepares the folder for a new run; files that are not a run's are never touched.

    Raises:
        OutputError: If it holds something else, or cannot be written.
    """
    try:
        if folder.exists() and any(folder.iterdir()):
            try:
                _any_config(folder)
            except OutputError:
                raise OutputError(f"{folder} is not empty and holds no run; choose another out") from None
            for name in OURS if overwrite else ():
                place = folder / name
                shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}") from error
    probe(folder)


def probe(folder: Path) -> None:
    """Writes and removes a file, to learn before training that a folder can be written."""
    try:
        (folder / ".probe").write_bytes(b"")
        (folder / ".probe").unlink()
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}") from error


def read_vocabulary(folder: Path) -> Vocabulary | None:
    """The vocabulary of a run on text; None of a run on other data.

    Raises:
        OutputError: If it cannot be read.
    """
    place = folder / "vocabulary.json"
    try:
        return Vocabulary(place.read_text(encoding="utf-8")) if place.exists() else None
    except (OSError, DataError) as error:
        raise OutputError(f"{place} cannot be read: {error}") from error


def read_config(folder: Path) -> dict[str, Any]:
    """The configuration of a run.

    Raises:
        OutputError: If the folder holds no run, or one of a version whose configurations cannot be read.
    """
    config = _any_config(folder)
    maker = f"{folder} was made by pushforward {config.get('versions', {}).get('pushforward', '(unknown)')}"
    if config["schema"] != SCHEMA:
        found = f"its configuration has schema {config['schema']}, this version reads schema {SCHEMA}"
        raise OutputError(f"{maker}: {found}; use that version, or train again")
    if config["recipe"] not in RECIPES and "model" not in config["own"]:
        raise OutputError(f"{maker} with the recipe {config['recipe']!r}, which this version does not have")
    return config


def _any_config(folder: Path) -> dict[str, Any]:
    """The configuration of a run of any version.

    Raises:
        OutputError: If the folder holds no run.
    """
    try:
        config = json.loads((folder / "config.json").read_text())
    except FileNotFoundError:
        raise OutputError(f"{folder} holds no run: there is no config.json") from None
    except (OSError, ValueError) as error:
        raise OutputError(f"{folder / 'config.json'} cannot be read: {error}") from error
    if not isinstance(config, dict) or "schema" not in config or "recipe" not in config:
        raise OutputError(f"{folder / 'config.json'} is not the configuration of a run")
    return config
