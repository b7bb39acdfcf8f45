"""Atomic checkpoints: safetensors and JSON under a manifest of sha256 sums.

A checkpoint is staged beside its place, every file is synced, and one rename makes it appear.
Older ones go only after that. There is no "latest" pointer: the newest folder whose manifest
verifies is the latest. Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

from pushforward.errors import CheckpointError
from pushforward.files import write_folder_atomic

KEEP = 2
Tensors = Mapping[str, Mapping[str, Tensor]]


def write(folder: Path, step: int, tensors: Tensors, numbers: Mapping[str, Any]) -> Path:
    """Writes ``folder/<step>``, then removes all but the newest :data:`KEEP`."""
    files = {
        f"{name}.safetensors": save({key: value.contiguous().cpu() for key, value in part.items()})
        for name, part in tensors.items()
    }
    files["state.json"] = json.dumps(dict(numbers), indent=1).encode()
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    files["manifest.json"] = json.dumps({"schema": 1, "sha256": sums}, indent=1).encode()
    place = folder / f"{step:08d}"
    write_folder_atomic(place, files)
    for old in sorted(steps(folder))[:-KEEP]:
        shutil.rmtree(folder / f"{old:08d}")
    return place


def read(place: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """The tensors and numbers of one checkpoint.

    Raises:
        CheckpointError: If a file is missing, has another sha256 than the manifest says, or
            cannot be parsed.
    """
    try:
        sums = json.loads((place / "manifest.json").read_bytes())["sha256"]
        files = {name: (place / Path(name).name).read_bytes() for name in sums}
        for name, content in files.items():
            found = hashlib.sha256(content).hexdigest()
            if found != sums[name]:
                raise CheckpointError(f"{place / name} is damaged: sha256 should be {sums[name]}, is {found}")
        numbers = json.loads(files.pop("state.json"))
        return {Path(name).stem: load(content) for name, content in files.items()}, numbers
    except CheckpointError:
        raise
    except Exception as error:  # whatever a damaged file may raise
        raise CheckpointError(f"{place} is not a whole checkpoint: {error}") from error


def newest(folder: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any], list[str]]:
    """The newest checkpoint that verifies, and what was wrong with newer ones.

    Raises:
        CheckpointError: If there is none.
    """
    faults: list[str] = []
    for step in sorted(steps(folder), reverse=True):
        try:
            return *read(folder / f"{step:08d}"), faults
        except CheckpointError as error:
            faults.append(str(error))
    raise CheckpointError("; ".join(faults) or f"{folder} holds no checkpoint")


def steps(folder: Path) -> list[int]:
    """The steps of the checkpoints in a folder."""
    if not folder.is_dir():
        return []
    return [int(place.name) for place in folder.iterdir() if place.name.isdigit()]
