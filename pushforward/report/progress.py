"""Progress: a live bar on a terminal and in a notebook, some twenty lines on standard error elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from html import escape
from typing import Any, Protocol

from pushforward.console import echo, printable, visible

SHARE = 0.1  # of the time of all parts, above which a part is named
LEAST, MOST = 10.0, 300.0  # seconds between two lines where standard error is not a terminal
LINES = 20  # of the whole work, where that allows it
REFRESH = 0.2  # seconds between two states of a bar in a notebook


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


class NotebookProgress:
    """Shows a bar in a cell of a notebook, below the lines that were said, in one output that is updated.

    It needs no widgets, so that it is the same in Jupyter, VS Code and Colab, and what a stored notebook
    keeps of it is its last state.

    Arguments:
        what: What the work is called.
        display: Shows an object in the cell; what it returns has a method ``update``.
    """

    def __init__(self, what: str, display: Any) -> None:
        self.what, self.words = what, ""
        self.done = self.total = 0
        self.lines: list[str] = []
        self.begun = self.shown = time.monotonic()
        self.display, self.handle = display, None

    def __call__(self, done: int, total: int, words: str = "") -> None:
        """Moves the bar."""
        self.done, self.total, self.words = done, total, words
        if done >= total or time.monotonic() - self.shown >= REFRESH:
            self.update()

    def say(self, line: str) -> None:
        """Adds a line above the bar."""
        self.lines.append(line)
        self.update()

    def update(self) -> None:
        """Shows the state of now, if there is anything to show."""
        self.shown = time.monotonic()
        if self.handle is not None:
            self.handle.update(self)
        elif self.lines or self.total:
            self.handle = self.display(self)

    def __repr__(self) -> str:
        return "\n".join([*self.lines, *([f"{self.what} {self._count()}"] if self.total else [])])

    def _repr_html_(self) -> str:
        parts = [escape(visible(line)) for line in self.lines]
        if self.total:
            state = f'<progress max="{self.total}" value="{self.done}"></progress>'
            parts.append(f"{escape(visible(self.what))} {state} {escape(visible(self._count()))}")
        return f'<div style="font-size: 0.9em">{"<br>".join(parts)}</div>'

    def _count(self) -> str:
        """How much is done, in words, and how much time is left or was taken."""
        taken = time.monotonic() - self.begun
        left = f"{duration(taken * (self.total - self.done) / self.done)} left" if self.done else ""
        time_words = f"{duration(taken)}" if self.done >= self.total else left
        return f"{self.done}/{self.total}  {self.words}  {time_words}".rstrip()


def notebook_display() -> Any:
    """How an object is shown in the running cell of a notebook; None outside of notebooks."""
    ipython = sys.modules.get("IPython")  # if it is not imported, this is no notebook
    shell = None if ipython is None else ipython.get_ipython()
    if getattr(shell, "kernel", None) is None:
        return None
    from IPython.display import display

    return partial(display, display_id=True)


@contextmanager
def bar(what: str, show: bool = True) -> Iterator[Bar]:
    """Shows the progress of the work within the context, in the way that suits the place.

    In a notebook that is one bar, on a terminal another, elsewhere some lines on standard error.

    Arguments:
        what: What the work is called.
        show: Whether anything is shown.
    """
    if not show:
        yield Silent()
    elif display := notebook_display():
        notebook = NotebookProgress(what, display)
        try:
            yield notebook
        finally:
            notebook.update()
    elif sys.stderr is None:
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


__all__ = ["Bar", "Live", "NotebookProgress", "PlainProgress", "Silent", "bar", "duration", "longest"]
