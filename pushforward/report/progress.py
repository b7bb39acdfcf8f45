"""What is shown while long work runs: a live bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

EVERY = 10.0  # seconds between lines where nobody watches a bar


class Bar(Protocol):
    """Shows how far some work is."""

    def __call__(self, done: int, total: int, words: str = "") -> None: ...

    def say(self, line: str) -> None:
        """A line that stays."""


class Silent:
    """Shows nothing."""

    def __call__(self, done: int, total: int, words: str = "") -> None:
        pass

    def say(self, line: str) -> None:
        pass


class PlainProgress:
    """A line every few seconds, for logs."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.begun = self.last = time.monotonic()
        self.first = self.done = sys.maxsize
        self.finished = False

    def __call__(self, done: int, total: int, words: str = "") -> None:
        now = time.monotonic()
        if done < self.done:  # the first word of a pass: what was done before is no measure of speed
            self.first, self.begun = done, now
        self.done = done
        if now - self.last < EVERY and (done < total or self.finished):
            return
        self.finished = self.finished or done >= total  # work in several passes says so once
        self.last = now
        seen = done - self.first
        left = f"{clock((now - self.begun) / seen * (total - done))} left" if seen else ""
        self.say(f"{self.what} {done}/{total}  {words}  {left}".rstrip())

    def say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)  # noqa: T201


class Live:
    """A rich progress bar."""

    def __init__(self, what: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.progress = Progress(
            TextColumn(what),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[words]}"),
            TimeRemainingColumn(),
            refresh_per_second=5,
            console=Console(file=sys.stderr),
        )
        self.task = self.progress.add_task(what, words="")

    def __call__(self, done: int, total: int, words: str = "") -> None:
        self.progress.update(self.task, completed=done, total=total, words=words)

    def say(self, line: str) -> None:
        self.progress.console.print(line, highlight=False, markup=False)


@contextmanager
def bar(what: str, show: bool = True) -> Iterator[Bar]:
    """Something that shows progress and fits where standard error goes."""
    if not show:
        yield Silent()
    elif sys.stderr.isatty():
        live = Live(what)
        with live.progress:
            yield live
    else:
        yield PlainProgress(what)


def clock(seconds: float) -> str:
    """A duration in words.

    >>> clock(75), clock(42 * 3600), clock(9)
    ('1 min 15 s', '42 h', '9 s')
    """
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 600:
        return f"{round(minutes / 60)} h"
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
