"""Progress on standard error: a live bar on a terminal, some twenty lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from pushforward.console import echo, printable

SHARE = 0.1  # of the time of all parts, above which a part is named
LEAST, MOST = 10.0, 300.0  # seconds between two lines where standard error is not a terminal
LINES = 20  # of the whole work, where that allows it


class Bar(Protocol):
    """Shows how much of some work is done."""

    def __call__(self, done: int, total: int, words: str = "") -> None:
        """Shows that ``done`` of ``total`` units are done, and a few words about them."""

    def say(self, line: str) -> None:
        """Prints a line."""


class Silent:
    """Shows nothing."""

    def __call__(self, done: int, total: int, words: str = "") -> None:
        """Does nothing."""

    def say(self, line: str) -> None:
        """Does nothing."""


class PlainProgress:
    """Prints some twenty lines, for logs: fewer of short work, and more of very long work."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.begun = self.last = time.monotonic()
        self.first = self.done = sys.maxsize
        self.finished = False

    def __call__(self, done: int, total: int, words: str = "") -> None:
        """Prints a line if the last one is long enough ago, or all is done."""
        now = time.monotonic()
        if done < self.done:  # a new pass begins: what was done before says nothing about its speed
            self.first, self.begun = done, now
        self.done = done
        seen = done - self.first
        each = (now - self.begun) / seen if seen else 0.0
        interval = min(max(each * total / LINES, LEAST), MOST)
        if now - self.last < interval and (done < total or self.finished):
            return
        self.finished = self.finished or done >= total  # work in several passes is reported finished once
        self.last = now
        left = f"{duration(each * (total - done))} left" if seen else ""
        self.say(f"{self.what} {done}/{total}  {words}  {left}".rstrip())

    def say(self, line: str) -> None:
        """Prints a line on standard error."""
        echo(line, err=True)


class Live:
    """Shows a progress bar of rich."""

    def __init__(self, what: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[words]}", markup=False),
            TimeRemainingColumn(),
            refresh_per_second=5,
            console=Console(file=sys.stderr),
        )
        self.task = self.progress.add_task(printable(what, sys.stderr), words="")

    def __call__(self, done: int, total: int, words: str = "") -> None:
        """Moves the bar."""
        self.progress.update(self.task, completed=done, total=total, words=printable(words, sys.stderr))

    def say(self, line: str) -> None:
        """Prints a line above the bar."""
        self.progress.console.print(printable(line, sys.stderr), highlight=False, markup=False)


@contextmanager
def bar(what: str, show: bool = True) -> Iterator[Bar]:
    """Shows the progress of the work within the context, in the way that suits standard error.

    Arguments:
        what: What the work is called.
        show: Whether anything is shown.
    """
    if not show or sys.stderr is None:
        yield Silent()
    elif sys.stderr.isatty():
        live = Live(what)
        with live.progress:
            yield live
    else:
        yield PlainProgress(what)


def duration(seconds: float) -> str:
    """A duration in hours, minutes and seconds.

    >>> duration(75), duration(42 * 3600), duration(9)
    ('1 min 15 s', '42 h', '9 s')
    """
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 600:
        return f"{round(minutes / 60)} h"
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def longest(parts: Mapping[str, float]) -> str:
    """How long all parts took in seconds, and those of them that took most.

    >>> longest({"features": 40.0, "samples": 25.2, "latent": 1.0})
    '1 min 6 s: features 40 s, samples 25 s'
    """
    total = sum(parts.values())
    most = sorted((name for name in parts if parts[name] > SHARE * total), key=lambda name: -parts[name])
    return f"{duration(total)}: {', '.join(f'{name} {duration(parts[name])}' for name in most)}"


__all__ = ["Bar", "Live", "PlainProgress", "Silent", "bar", "duration", "longest"]
