"""How commands open runs, and what options of data stand for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pushforward.runs.run import Run


def run_with(folder: Path, data: str | None, device: str = "cpu") -> Run:
    """The run of a folder on a device, with the data that it was trained on if they are given.

    Raises:
        ConfigError: If these are other data.
    """
    from pushforward.runs.api import load

    run = load(folder, data, device)
    if data is not None:
        _ = run.data
    return run


def kinds_of(text: str | None) -> dict[str, str] | None:
    """Kinds of columns by name; None of none.

    Raises:
        ConfigError: If the text is not a list of name=kind.

    >>> kinds_of("age=integer,zip=categorical")
    {'age': 'integer', 'zip': 'categorical'}
    """
    from pushforward.errors import ConfigError
    from pushforward.wording import option_name

    if text is None:
        return None
    kinds = {}
    for part in text.split(","):
        name, _, kind = part.rpartition("=")
        if not name or not kind:
            raise ConfigError(f"{option_name('columns')} must be name=kind,name=kind, got {part!r}")
        kinds[name.strip()] = kind.strip()
    return kinds


__all__ = ["kinds_of", "run_with"]
