"""Folders of shards: rows in many files, in order, that were written part by part and are read so.

Such a folder holds ``part-00000.npy``, ``part-00001.npy`` and so on (``.csv`` or ``.parquet`` of tables,
``.txt`` of text) and ``shards.json``, which tells what they are: the request that made them, and of each file
its number of rows, its bytes and their sha256.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.data.arrays import from_arrays
from pushforward.data.dataset import Dataset
from pushforward.data.formats import OpenOptions, data_format
from pushforward.data.frames import table_dataset
from pushforward.data.lines import TextFile, read_lines, split_lines, text_dataset
from pushforward.data.mapped import LazyArray, raw_rows
from pushforward.data.values import Array
from pushforward.errors import DataError, reason
from pushforward.reading import MIB, open_file, read_json
from pushforward.tables.csv import read_csv
from pushforward.tables.frames import read_arrow
from pushforward.tables.schema import Schema
from pushforward.wording import plural

MANIFEST = "shards.json"
VERSION = 1
SUFFIXES = (".npy", ".csv", ".parquet", ".txt")
OPEN = 64  # files that are open at once


@dataclass(frozen=True)
class Shard:
    """One file of a folder of shards.

    Attributes:
        name: Its name.
        rows: Number of rows.
        bytes: Its size.
        sha256: Of its content.
        made_of: The sha256 of the rows of a source that its rows were made of; None if there is no source.
    """

    name: str
    rows: int
    bytes: int
    sha256: str
    made_of: str | None = None

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Shard:
        """The file that a manifest describes."""
        made_of = None if found.get("made_of") is None else str(found["made_of"])
        return cls(str(found["name"]), int(found["rows"]), int(found["bytes"]), str(found["sha256"]), made_of)

    def as_json(self) -> dict[str, Any]:
        """What a manifest says of it."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class Shards:
    """A folder of shards.

    Attributes:
        folder: The folder.
        request: What was asked for: the run, the seed and so on.
        files: The files that there are, in the order of their rows.
        complete: Whether none is missing.
    """

    folder: Path
    request: Mapping[str, Any]
    files: tuple[Shard, ...]
    complete: bool = True

    @property
    def rows(self) -> int:
        """Number of rows in the files."""
        return sum(one.rows for one in self.files)

    @property
    def paths(self) -> list[Path]:
        """The files, in the order of their rows."""
        return [self.folder / one.name for one in self.files]

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(one.bytes for one in self.files)

    def __repr__(self) -> str:
        rows, files = plural(self.rows, "row"), plural(len(self.files), "shard")
        return f"{self.rows:,} {rows} in {len(self.files)} {files}: {self.folder}"

    def as_json(self) -> dict[str, Any]:
        """The manifest."""
        files = [one.as_json() for one in self.files]
        return {"shards": VERSION, "rows": self.rows, "request": dict(self.request), "files": files}


def is_shards(source: object) -> bool:
    """Whether a source is a folder of shards."""
    return isinstance(source, Path) and source.is_dir() and (source / MANIFEST).is_file()


def read_shards(folder: Path) -> Shards:
    """What the manifest of a folder of shards says.

    Raises:
        DataError: If it is none, or cannot be read.
    """
    path = folder / MANIFEST
    try:
        found = read_json(path)
        files = tuple(Shard.from_json(one) for one in found["files"])
        if found["shards"] != VERSION or not files or not isinstance(found["request"], dict):
            raise ValueError(f"no manifest of shards of version {VERSION}")
        if any(Path(one.name).name != one.name for one in files):
            raise ValueError("a shard lies in another folder")
        if {Path(one.name).suffix for one in files} - {*SUFFIXES}:
            raise ValueError(f"expected files that end in {', '.join(SUFFIXES)}")
        return Shards(folder, found["request"], files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} cannot be read: {type(error).__name__} {reason(error)}") from None


def check_shards(folder: Path) -> str | None:
    """What is wrong with the bytes of a folder of shards, by their sha256; None if nothing is."""
    shards = read_shards(folder)
    for one in shards.files:
        found = hashlib.sha256()
        with open_file(folder / one.name, most=2**62) as file:
            while part := file.read(4 * MIB):
                found.update(part)
        if found.hexdigest() != one.sha256:
            return f"the sha256 of {one.name} should be {one.sha256}, is {found.hexdigest()}"
    return None


@data_format("a folder of shards", accepts=is_shards, contents=f"shards ({MANIFEST})")
def open_shards(folder: Path, options: OpenOptions) -> Dataset:
    """The data set in a folder of shards; rows of arrays are read as they are needed if they are many.

    Raises:
        DataError: If a file is missing, damaged or has another size than the manifest says.
    """
    shards = read_shards(folder)
    paths, source, suffix = shards.paths, str(folder), Path(shards.files[0].name).suffix
    for path, one in zip(paths, shards.files, strict=True):
        size = path.stat().st_size if path.is_file() else 0
        if size != one.bytes or path.suffix != suffix:
            raise DataError(f"{path}: expected {one.bytes:,} bytes, found {size:,}")
    if suffix == ".npy":
        rows = _joined(paths, [one.rows for one in shards.files])
        return from_arrays({"x": rows}, folder.name, source, options)
    if suffix == ".txt":
        lines = all_lines(folder)
        train, test = split_lines({"": TextFile(lines, source)})
        return text_dataset(folder.name, train, test, options=options, source=source)
    first, *more = paths
    if suffix == ".parquet":
        table = read_arrow(first, more)
    else:
        known = options.codec.kinds if isinstance(options.codec, Schema) else {}
        table = read_csv(first, options.columns or known, more)
    return table_dataset(table, folder.name, source, options)


def all_lines(path: Path) -> list[str]:
    """The lines of a text file, or of a folder of shards of text, in their order.

    Raises:
        DataError: If it cannot be read.
    """
    paths = read_shards(path).paths if is_shards(path) else (path,)
    return [line for one in paths for line in read_lines(one).lines]


def _joined(paths: Sequence[Path], counts: Sequence[int]) -> LazyArray:
    """The rows of several ``.npy`` files, of which only some are open at once."""

    @lru_cache(maxsize=OPEN)
    def rows_of(number: int) -> LazyArray:
        path = paths[number]
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
            if not array.flags.c_contiguous or len(array) != counts[number]:
                raise ValueError(f"expected {counts[number]} rows, found shape {array.shape}")
            return raw_rows(path, array.dtype, array.shape, array.offset)
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"{path}: expected a .npy file of rows: {reason(error)}") from None

    first = rows_of(0)
    ends = np.cumsum(counts)

    def read(index: NDArray[np.int64]) -> Array:
        out = np.empty((len(index), *first.shape[1:]), first.dtype)
        files = np.searchsorted(ends, index, side="right")
        for number in np.unique(files):
            places, rows = np.flatnonzero(files == number), rows_of(int(number))
            if rows.shape[1:] != first.shape[1:] or rows.dtype != first.dtype:
                raise DataError(
                    f"{paths[number]}: expected rows of {first.dtype} {first.shape[1:]} as in {paths[0]}, "
                    f"found {rows.dtype} {rows.shape[1:]}"
                )
            out[places] = rows[index[places] - (ends[number] - counts[number])]
        return out

    return LazyArray((int(ends[-1]), *first.shape[1:]), first.dtype, read)


__all__ = [
    "MANIFEST",
    "Shard",
    "Shards",
    "all_lines",
    "check_shards",
    "is_shards",
    "open_shards",
    "read_shards",
]
