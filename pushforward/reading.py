"""Reading files of others: only regular files, and only as many bytes as are expected.

A pipe in the place of a file would wait for ever, and a link to ``/dev/zero`` never ends. Whatever the
package reads is opened here, except images, which Pillow opens (:mod:`pushforward.data.pixels`).
"""

from __future__ import annotations

import errno
import gzip
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

KIB, MIB, GIB = 2**10, 2**20, 2**30
MOST_JSON = 64 * MIB  # of a configuration, a vocabulary, results and the like
MOST_TEXT = 4 * GIB  # of a file of lines, and of a history
MOST_WEIGHTS = 64 * GIB  # of a file of weights or arrays


def size_in_words(count: float) -> str:
    """A number of bytes in the unit that suits it.

    >>> size_in_words(3), size_in_words(3 * 2**30)
    ('3 bytes', '3 GiB')
    """
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if count >= unit:
            return f"{count / unit:,.3g} {name}" if count < 1000 * unit else f"{count / unit:,.0f} {name}"
    return f"{count:g} bytes"


@contextmanager
def open_file(path: Path, most: int = MOST_WEIGHTS) -> Iterator[IO[bytes]]:
    """Opens a regular file, or a link to one, to read its bytes.

    Arguments:
        path: The file.
        most: The most bytes that it may have.

    Raises:
        OSError: If there is none, it cannot be read, is anything but a regular file, or is larger.
    """
    # A pipe must not be waited for: it is looked at before and, since it may be replaced, after it is opened.
    _check(os.stat(path), path, most)
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        _check(os.fstat(descriptor), path, most)
        yield file


@contextmanager
def unpacked(file: IO[bytes], path: Path) -> Iterator[IO[bytes]]:
    """The content of an open file, decompressed if its name ends in ``.gz``."""
    if path.suffix == ".gz":
        with gzip.open(file) as plain:
            yield cast(IO[bytes], plain)
    else:
        yield file


def read_up_to(file: IO[bytes], most: int) -> bytes:
    """The bytes of an open file, at most one more than so many; no room is made for more than there are."""
    parts, left = [], most + 1
    while left and (part := file.read(min(MIB, left))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def read_file(path: Path, most: int = MOST_WEIGHTS) -> bytes:
    """The bytes of a regular file of at most so many.

    Raises:
        OSError: As :func:`open_file`.
    """
    with open_file(path, most) as file:
        content = read_up_to(file, most)
    if len(content) > most:  # it grew, or is one of those files of the system that claim to have no bytes
        raise _too_large(path, len(content), most)
    return content


def parse_json(content: bytes | str) -> Any:
    """The value in a JSON text.

    Raises:
        ValueError: If it is none, or nested too deeply.
    """
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_json(path: Path, most: int = MOST_JSON) -> Any:
    """The value in a JSON file.

    Raises:
        OSError: As :func:`open_file`.
        ValueError: If it holds none.
    """
    return parse_json(read_file(path, most))


def _check(found: os.stat_result, path: Path, most: int) -> None:
    kinds = (
        (stat.S_ISDIR, "folder"),
        (stat.S_ISFIFO, "pipe"),
        (stat.S_ISCHR, "device"),
        (stat.S_ISBLK, "device"),
        (stat.S_ISSOCK, "socket"),
    )
    if not stat.S_ISREG(found.st_mode):
        kind = next((name for test, name in kinds if test(found.st_mode)), "something else")
        raise OSError(errno.EINVAL, f"expected a regular file, found a {kind}", str(path))
    if found.st_size > most:
        raise _too_large(path, found.st_size, most)


def _too_large(path: Path, found: int, most: int) -> OSError:
    sizes = f"expected at most {size_in_words(most)}, found {size_in_words(found)}"
    return OSError(errno.EFBIG, sizes, str(path))


__all__ = ["MOST_JSON", "MOST_TEXT", "MOST_WEIGHTS", "open_file", "parse_json", "read_file", "read_json",
           "size_in_words", "unpacked"]  # fmt: skip
