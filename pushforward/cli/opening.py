"""How commands open runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pushforward.runs.run import Run


def run_with(folder: Path, data: str | None) -> Run:
    """The run of a folder, with the data that it was trained on if they are given.

    Raises:
        ConfigError: If these are other data.
    """
    from pushforward.runs.api import load

    run = load(folder, data)
    if data is not None:
        _ = run.data
    return run


__all__ = ["run_with"]
