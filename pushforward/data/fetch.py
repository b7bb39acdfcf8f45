"""Files of known content: found in the user's folder of data sets, or downloaded and verified."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterable
from pathlib import Path

from pushforward.errors import DataError, reason
from pushforward.reading import open_file, read_up_to, unpacked

VARIABLE = "PUSHFORWARD_DATA"
MOST_BYTES = 256 * 2**20  # of a decompressed file: five times the largest of the catalogue


def data_folder(data_dir: str | os.PathLike[str] | None) -> Path:
    """The folder of the data sets: ``data_dir``, else ``PUSHFORWARD_DATA``, else in the user's cache.

    Raises:
        DataError: If it is a file.

    >>> data_folder("/data/sets").as_posix()
    '/data/sets'
    """
    given = data_dir or os.environ.get(VARIABLE)
    if given:
        folder = Path(given).expanduser().absolute()
    else:
        import pooch

        folder = Path(pooch.os_cache("pushforward"))
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder}: expected the folder of the data sets, found a file")
    return folder


def find(names: Iterable[str], folders: Iterable[Path]) -> Path | None:
    """The first file of one of these names in the first of these folders that has one."""
    candidates = (folder / name for folder in folders for name in names)
    return next((path for path in candidates if path.is_file()), None)


def download(url: str, md5: str, folder: Path) -> Path:
    """Downloads the file at ``url`` into ``folder``.

    Raises:
        DataError: If it cannot be downloaded or written, or has another content; the message names the
            address and the folder to put it into by hand.
    """
    import pooch

    name = url.rsplit("/", 1)[1]
    try:
        return Path(pooch.retrieve(url, known_hash=f"md5:{md5}", fname=name, path=folder))
    except (OSError, ValueError) as error:  # every error of the network is an OSError
        by_hand = f"get {url} by hand and put it into {folder}"
        raise DataError(
            f"{name} was not found and cannot be downloaded; {by_hand} ({reason(error)})"
        ) from None


def content(path: Path) -> bytes:
    """The bytes of a file, decompressed if its name ends in ``.gz``.

    Raises:
        DataError: If it cannot be read or unpacked, or is larger than any file of the catalogue.
    """
    try:
        with open_file(path) as file, unpacked(file, path) as plain:
            read = read_up_to(plain, MOST_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: damaged or not readable: {reason(error)}") from None
    if len(read) > MOST_BYTES:
        raise DataError(f"{path}: expected at most {MOST_BYTES} bytes, found more")
    return read


def verify(read: bytes, expected: str, path: Path) -> None:
    """Compares the content of a file with its published md5.

    Raises:
        DataError: If they differ.

    >>> verify(b"", "d41d8cd98f00b204e9800998ecf8427e", Path("empty"))
    """
    found = hashlib.md5(read, usedforsecurity=False).hexdigest()
    if found != expected:
        raise DataError(
            f"{path}: damaged, or another file: expected content of md5 {expected}, found {found}"
        )
