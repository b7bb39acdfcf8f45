"""Atomic writes: a reader finds the old content or the new, never a part of either."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path


def write_atomic(path: Path, content: str | bytes) -> None:
    """Writes a file completely or not at all, even if several processes write it; text in UTF-8."""
    stage = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    stage.write_bytes(content.encode() if isinstance(content, str) else content)
    stage.replace(path)


def write_folder_atomic(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes a folder of files completely or not at all; once it returns, they survive a loss of power.

    What is left of an interrupted write beside the folder is removed. An existing folder is replaced.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left_over in folder.parent.glob(".tmp-*"):
        shutil.rmtree(left_over)
    stage = folder.with_name(f".tmp-{folder.name}")
    stage.mkdir()
    for name, content in files.items():
        with (stage / name).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    sync_folder(stage)
    if folder.exists():
        shutil.rmtree(folder)
    stage.rename(folder)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Writes a folder's directory entries to the disk, so that renames in it survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


__all__ = ["sync_folder", "write_atomic", "write_folder_atomic"]
