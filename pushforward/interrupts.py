"""Signals that ask a process to stop: SIGINT, SIGTERM, SIGHUP and SIGUSR1, which schedulers send.

Within :func:`stop_on_signals` a signal raises :class:`StopRequested`, wherever the program is. Files are
written so that this harms nothing. Where there is something to save first, :func:`deferred` turns the first
signal into a flag.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from pushforward.errors import InterruptedRunError

# Windows has the first two alone.
SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1") if hasattr(signal, name)
)


class StopRequested(BaseException):
    """Raised by a signal that asks the process to stop; no handler of ordinary errors catches it.

    Attributes:
        number: The number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class _Requests:
    """What was asked of this process; signals belong to the whole of it.

    Attributes:
        listening: Whether handlers are installed.
        deferred: Whether the first signal is only noted.
        noted: The signal that was noted.
    """

    def __init__(self) -> None:
        self.listening = False
        self.deferred = False
        self.noted: int | None = None

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Notes the signal, or raises it."""
        if self.deferred and self.noted is None:
            self.noted = number
            return
        raise StopRequested(number)


_requests = _Requests()


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Within, a signal raises :class:`StopRequested`; one that the process ignores, as under nohup, still is.

    Only the main thread hears signals; in others this does nothing.
    """
    if _requests.listening or threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[int, Any] = {}
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, _requests.handle)
    _requests.listening, _requests.noted = True, None
    try:
        yield
    finally:
        _requests.listening = False
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def deferred() -> Iterator[Callable[[], bool]]:
    """Within, the first signal is noted and the second raises; the function tells whether one was noted.

    A signal that was noted is raised at the end, unless the block ends in an error.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    _requests.deferred = True
    try:
        yield lambda: _requests.noted is not None
        noted = _requests.noted
    finally:
        _requests.deferred, _requests.noted = False, None
    if noted is not None:
        raise StopRequested(noted)


@contextmanager
def resumable(where: Callable[[], str]) -> Iterator[None]:
    """Turns a request to stop into the error that tells how to go on.

    Arguments:
        where: Tells how far the work was, and how to go on.

    Raises:
        InterruptedRunError: If a signal asked to stop.
    """
    try:
        yield
    except StopRequested as stop:
        raise InterruptedRunError(f"stopped by {stop} {where()}") from None


__all__ = ["SIGNALS", "StopRequested", "deferred", "resumable", "stop_on_signals"]
