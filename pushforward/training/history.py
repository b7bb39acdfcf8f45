"""The history of a run: what was logged in training, one JSON object a line."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pushforward.files import Log, write_atomic
from pushforward.reading import MOST_TEXT, parse_json, read_file
from pushforward.wording import plural

NAME = "history.jsonl"


class History:
    """The history while it is written: every line is at once in the file, and here for checkpoints to hold.

    Arguments:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.content = b""
        self._log: Log | None = None

    def begin(self, content: bytes = b"") -> str:
        """Sets the content that lines are appended to, and that of the file.

        Arguments:
            content: The lines up to the step at which training goes on.

        Returns:
            What was wrong with the file, or "".
        """
        self.content = content
        found = read_file(self.path, MOST_TEXT) if self.path.is_file() else b""
        if found != content or not self.path.is_file():
            write_atomic(self.path, content)
        if found.startswith(content):  # what follows was logged after the checkpoint
            return ""
        return f"{self.path} is damaged; it was restored from the copy in the checkpoint"

    @contextmanager
    def open(self) -> Iterator[None]:
        """Within, lines can be appended."""
        with Log(self.path) as self._log:
            yield
        self._log = None

    def append(self, line: dict[str, Any]) -> None:
        """Appends a line."""
        assert self._log is not None
        content = json.dumps(line).encode() + b"\n"
        self._log.append(content)
        self.content += content

    def sync(self) -> None:
        """Once it returns, all lines survive a loss of power."""
        if self._log is not None:
            self._log.sync()


class UnwrittenHistory(History):
    """The history in a process that does not write: what the file holds, and no file."""

    def begin(self, content: bytes = b"") -> str:
        """Sets the content that lines are appended to."""
        self.content = content
        return ""

    @contextmanager
    def open(self) -> Iterator[None]:
        """Within, lines can be appended."""
        yield

    def append(self, line: dict[str, Any]) -> None:
        """Appends a line."""
        self.content += json.dumps(line).encode() + b"\n"


def parse(content: bytes) -> tuple[list[dict[str, Any]], list[int]]:
    """The lines of a history, and the numbers of those that cannot be read.

    A last line without an end was cut off while it was written, and is no damage.

    >>> parse(b'{"step": 1, "terms": {}}\\n{"step": 2, "te\\n{"step": 3, "terms": {}}\\n{"st')
    ([{'step': 1, 'terms': {}}, {'step': 3, 'terms': {}}], [2])
    """
    found, damaged = [], []
    *lines, _ = content.split(b"\n")
    for number, text in enumerate(lines, start=1):
        line = _line(text)
        if line is None:
            damaged.append(number)
        else:
            found.append(line)
    return found, damaged


def _line(text: bytes) -> dict[str, Any] | None:
    """A line of a history, or None if it is not one."""
    try:
        line = parse_json(text)
    except ValueError:
        return None
    if not isinstance(line, dict) or isinstance(line.get("step"), bool):
        return None
    if not isinstance(line.get("step"), int) or not isinstance(line.get("terms"), dict):
        return None
    diagnostics = line.get("diagnostics", {})
    if not isinstance(diagnostics, dict):
        return None
    numbers = [*line["terms"].values(), *diagnostics.values()]
    return line if all(isinstance(value, int | float) for value in numbers) else None


def read_history(path: Path, kept: bytes = b"") -> list[dict[str, Any]]:
    """The lines of a history.

    Lines that cannot be read are left out, with a warning.

    Arguments:
        path: The file.
        kept: The copy in the newest checkpoint. If the file does not begin with it, the file is damaged: the
            copy is read, and of the file the later lines.
    """
    try:
        content = read_file(path, MOST_TEXT)
    except OSError:
        content = b""
    if content.startswith(kept):
        found, damaged = parse(content)
        if damaged:
            numbers = ", ".join(map(str, damaged[:10])) + (", …" if len(damaged) > 10 else "")
            warnings.warn(
                f"{path}: left out {len(damaged)} damaged {plural(len(damaged), 'line')}: {numbers}",
                stacklevel=3,
            )
        return found
    lines, _ = parse(kept)
    last = lines[-1]["step"] if lines else 0
    warnings.warn(
        f"{path} is damaged or missing; its copy in the checkpoint is read, up to step {last}", stacklevel=3
    )
    return lines + [line for line in parse(content)[0] if line["step"] > last]


__all__ = ["NAME", "History", "UnwrittenHistory", "parse", "read_history"]
