"""Locks: one process at a time writes to a folder.

The lock is the operating system's, so it ends with the process that holds it, however that ends. It is
advisory: who only reads does not ask for it.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from pushforward.errors import OutputError
from pushforward.files import disk, writing

TAKEN = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK)  # by another process
FAR = 1 << 30  # Windows locks bytes, and nobody can read those: one that is far behind the text


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds the lock of a file, in which it writes who holds it.

    Raises:
        OutputError: If another process holds it, or the file cannot be written.
    """
    with writing(path.parent):
        file = disk.append(path)
    with file:
        try:
            _lock(file)
        except OSError as error:
            if error.errno in TAKEN:
                raise OutputError(_holder(path)) from None
            warnings.warn(
                f"{path.parent} cannot be locked ({error.strerror}): do not run two commands on it at once",
                stacklevel=3,
            )
        with writing(path.parent):
            disk.truncate(file)
            disk.write(file, _about().encode())
        try:
            yield
        finally:
            with suppress(OSError):
                disk.truncate(file)


def _lock(file: FileIO) -> None:
    if sys.platform == "win32":
        import msvcrt

        os.lseek(file.fileno(), FAR, os.SEEK_SET)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


def _about() -> str:
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    return f"process {os.getpid()} on {socket.gethostname()}, since {since}\n"


def _holder(path: Path) -> str:
    """Who holds a lock, and what to do about it."""
    try:
        holder = path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        holder = ""
    return (
        f"{path.parent} is in use: {holder or 'another process'} trains in it; "
        "wait until it has ended, or choose another out"
    )


__all__ = ["locked"]
