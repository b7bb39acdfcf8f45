"""Atomic checkpoints: safetensors and JSON under a manifest of sizes and sha256 sums.

A checkpoint is staged beside its place, every file is synced, and one rename makes it appear. Older ones go
only after that. There is no "latest" pointer: the newest folder whose manifest verifies is the latest. A
checkpoint names its run, and holds copies of the run's other files, from which they can be restored. Nothing
is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

from pushforward.errors import CheckpointError, reason
from pushforward.files import remove, write_folder_atomic, writing
from pushforward.reading import parse_json, read_file, read_json

KEEP = 2
# Raised when older checkpoints can no longer be read.
SCHEMA = 3
MANIFEST, STATE = "manifest.json", "state.json"
TENSORS = ".safetensors"
Tensors = Mapping[str, Mapping[str, Tensor]]


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds.

    Attributes:
        step: The step.
        tensors: Tensors, by the name of their file and their own.
        numbers: Plain values.
        copies: Copies of other files of the run, by name.
    """

    step: int
    tensors: dict[str, dict[str, Tensor]]
    numbers: dict[str, Any]
    copies: dict[str, bytes]


class Checkpoints:
    """The checkpoints of a run: ``folder/<step>``, of which the newest :data:`KEEP` that verify are kept.

    Arguments:
        folder: The folder.
        run: The id of the run; checkpoints of another run are not believed. None for those of any run.
    """

    def __init__(self, folder: Path, run: str | None = None) -> None:
        self.folder = folder
        self.run = run
        self._verified: set[int] = set()  # by this object, which need not read them again

    def steps(self) -> list[int]:
        """The steps of all the folders of checkpoints, whatever they hold, in order."""
        if not self.folder.is_dir():
            return []
        return sorted(int(place.name) for place in self.folder.iterdir() if _is_step(place.name))

    def place(self, step: int) -> Path:
        """The folder of a checkpoint."""
        return self.folder / f"{step:08d}"

    def write(
        self,
        step: int,
        tensors: Tensors,
        numbers: Mapping[str, Any],
        copies: Mapping[str, bytes] | None = None,
        spare: int | None = None,
    ) -> Path:
        """Writes a checkpoint, then removes all but the newest :data:`KEEP` of this run that verify.

        Arguments:
            step: The step.
            tensors: Tensors, by the name of their file and their own.
            numbers: Plain values.
            copies: Contents of other files of the run, by name.
            spare: The step of a checkpoint that is kept however old it is.

        Raises:
            OutputError: If it cannot be written; those that were there are there still.
        """
        files = {
            f"{name}{TENSORS}": save({key: value.contiguous().cpu() for key, value in part.items()})
            for name, part in tensors.items()
        }
        files[STATE] = json.dumps(dict(numbers), indent=1).encode()
        files |= copies or {}
        sums = {
            name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in files.items()
        }
        manifest = {"schema": SCHEMA, "run": self.run, "step": step, "files": sums}
        files[MANIFEST] = json.dumps(manifest, indent=1).encode()
        place = self.place(step)
        write_folder_atomic(place, files)
        self._verified.add(step)
        self._prune(step, spare)
        return place

    def discard_after(self, step: int) -> None:
        """Removes all checkpoints of later steps.

        Raises:
            OutputError: If one cannot be removed.
        """
        for later in self.steps():
            if later > step:
                self._discard(later)

    def _discard(self, step: int) -> None:
        self._verified.discard(step)
        with writing(self.place(step)):
            remove(self.place(step))

    def _prune(self, written: int, spare: int | None) -> None:
        """Removes old checkpoints that verify; never the one just written, nor the one before it."""
        kept = 1
        for step in reversed(self.steps()):
            if step != written and self._verifies(step):
                kept += 1
                if kept > KEEP and step != spare:
                    self._discard(step)

    def _verifies(self, step: int) -> bool:
        """Whether a checkpoint is whole: read once, after that by the sizes of its files."""
        try:
            if step in self._verified:
                for name, about in self._manifest(step).items():
                    if (self.place(step) / name).stat().st_size != about["bytes"]:
                        return False
            else:
                self._read(step)
        except (OSError, CheckpointError):
            return False
        self._verified.add(step)
        return True

    def read(self, step: int) -> Checkpoint:
        """One checkpoint.

        Raises:
            CheckpointError: If it is of another run, or a file is missing, has another size or sha256 than
                the manifest says, or cannot be parsed.
        """
        place = self.place(step)
        contents = self._read(step)
        try:
            numbers = parse_json(contents.pop(STATE))
            if numbers["step"] != step:
                raise ValueError(f"its state is of step {numbers['step']}")
            tensors = {
                name.removesuffix(TENSORS): load(contents.pop(name))
                for name in list(contents)
                if name.endswith(TENSORS)
            }
        except Exception as error:  # whatever a damaged file may raise
            raise CheckpointError(f"{place} is not a whole checkpoint: {reason(error)}") from error
        return Checkpoint(step, tensors, numbers, contents)

    def newest(self) -> tuple[Checkpoint, list[str]]:
        """The newest checkpoint that verifies, and what was wrong with newer ones.

        Raises:
            CheckpointError: If there is none.
        """
        while True:
            steps = self.steps()
            faults: list[str] = []
            for step in reversed(steps):
                try:
                    return self.read(step), faults
                except CheckpointError as error:
                    if self.place(step).exists():  # else it has just been pruned
                        faults.append(str(error))
            if steps == self.steps():  # else a run that trains has written newer ones
                raise CheckpointError("; ".join(faults) or f"{self.folder} holds no checkpoint")

    def copy(self, name: str) -> tuple[int, bytes] | None:
        """The newest copy of another file of the run that verifies, and its step; None if there is none."""
        for step in reversed(self.steps()):
            try:
                return step, self._content(step, name, self._manifest(step)[name])
            except (CheckpointError, KeyError):
                continue
        return None

    def _read(self, step: int) -> dict[str, bytes]:
        """The contents of all files of a checkpoint, verified."""
        return {name: self._content(step, name, about) for name, about in self._manifest(step).items()}

    def _manifest(self, step: int) -> dict[str, dict[str, Any]]:
        """The size and sha256 of every file of a checkpoint, by name."""
        place = self.place(step)
        try:
            manifest = read_json(place / MANIFEST)
            found = {
                name: {"bytes": int(about["bytes"]), "sha256": str(about["sha256"])}
                for name, about in manifest["files"].items()
                if Path(name).name == name
            }
            if manifest["schema"] != SCHEMA:
                raise ValueError(f"its schema is {manifest['schema']}, this version reads {SCHEMA}")
            if manifest["step"] != step:
                raise ValueError(f"it is of step {manifest['step']}")
            run = manifest["run"]
        except Exception as error:  # whatever a damaged file may raise
            raise CheckpointError(f"{place} is not a whole checkpoint: {reason(error)}") from error
        if self.run is not None and run != self.run:
            raise CheckpointError(f"{place} belongs to another run: its id should be {self.run}, is {run}")
        return found

    def _content(self, step: int, name: str, about: Mapping[str, Any]) -> bytes:
        """The content of a file of a checkpoint, verified."""
        path = self.place(step) / name
        try:
            size = path.stat().st_size
            if size != about["bytes"]:
                raise CheckpointError(f"{path} is damaged: it should have {about['bytes']} bytes, has {size}")
            content = read_file(path, about["bytes"])
        except OSError as error:
            raise CheckpointError(f"{path.parent} is not a whole checkpoint: {reason(error)}") from error
        found = hashlib.sha256(content).hexdigest()
        if found != about["sha256"]:
            raise CheckpointError(f"{path} is damaged: sha256 should be {about['sha256']}, is {found}")
        return content


def _is_step(name: str) -> bool:
    return name.isascii() and name.isdigit() and f"{int(name):08d}" == name


__all__ = ["KEEP", "Checkpoint", "Checkpoints", "Tensors"]
