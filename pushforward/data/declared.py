"""What files of arrays say of themselves is checked before memory is allocated for it."""

from __future__ import annotations

import math
import os
import zipfile
from typing import IO, Any

import numpy as np

from pushforward.reading import GIB, size_in_words

# An archive may unpack to so many bytes, or to so many times its own size: that of dSprites has a factor of
# 115, and nothing can have more than 1032.
MOST_UNPACKED, MOST_RATIO = GIB, 200


def check_declared(file: IO[bytes]) -> None:
    """Checks the headers of a ``.npy`` or ``.npz`` file against the sizes of what they describe.

    Afterwards the file is at its beginning.

    Arguments:
        file: The file.

    Raises:
        ValueError: If an array declares another size than it has, or an archive unpacks to far more than it
            is.
    """
    size = file.seek(0, os.SEEK_END)
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            unpacked, most = sum(one.file_size for one in members), max(MOST_UNPACKED, MOST_RATIO * size)
            if unpacked > most:
                raise ValueError(
                    f"an archive of {size_in_words(size)} may unpack to {size_in_words(most)}, this one "
                    f"unpacks to {size_in_words(unpacked)}"
                )
            for one in members:
                if one.filename.endswith(".npy"):
                    with archive.open(one) as member:
                        _check_header(member, one.file_size, f"{one.filename}: ")
    else:
        file.seek(0)
        _check_header(file, size, "")
    file.seek(0)


def read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order (whether that of Fortran) and type of the array that begins here; then its values follow.

    Raises:
        ValueError: If none does.
        KeyError: If it is of a version for types that are no numbers.
    """
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    return readers[np.lib.format.read_magic(file)](file)


def _check_header(file: IO[bytes], size: int, what: str) -> None:
    try:
        shape, _, kind = read_header(file)
    except (ValueError, KeyError):
        return  # it is no such file, and numpy's reader will say so
    declared, found = math.prod(shape) * kind.itemsize, size - file.tell()
    if declared != found and not kind.hasobject:
        raise ValueError(
            f"{what}the header declares {kind} {shape}, {size_in_words(declared)}, "
            f"and {size_in_words(found)} follow"
        )


__all__ = ["check_declared", "read_header"]
