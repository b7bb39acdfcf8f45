"""Packs: data sets decoded once into one raw file, from which rows are read without filling the memory.

A pack is a folder of ``rows.bin``, the training rows and then the held-out ones as they lie in memory;
``labels.bin``, if there are labels; and ``pack.json``, which describes them. The fingerprint in it is that of
the data which were packed, so that a run on a pack is the run on these data.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.data.dataset import Dataset, Stated
from pushforward.data.formats import OpenOptions, Progress, data_format
from pushforward.data.mapped import LazyArray, raw_rows
from pushforward.data.rows import PART, ReadRows, Rows, SelectedRows, row_bytes
from pushforward.data.scaling import scaling_from_json
from pushforward.data.split import Split
from pushforward.errors import ConfigError, DataError, OutputError, reason
from pushforward.files import Log, disk, make_folder, make_place, remove, sync_folder, write_atomic, writing
from pushforward.reading import MIB, open_file, read_json, size_in_words

HEADER, ROWS, LABELS = "pack.json", "rows.bin", "labels.bin"
VERSION = 1
DTYPES = {"uint8": np.uint8, "float32": np.float32, "float64": np.float64}
ABOUT = "about.json"  # the header of a pack that is not finished
FILES = "files"  # the sha256 that such a header has besides
PARTIAL = ".part"  # how the folder of a pack ends that is not finished


def is_pack(source: object) -> bool:
    """Whether a source is a folder of a pack."""
    return isinstance(source, Path) and source.is_dir() and (source / HEADER).is_file()


@data_format("a pack", accepts=is_pack, contents=f"a pack ({HEADER})")
def open_pack(folder: Path, options: OpenOptions) -> Dataset:
    """The data set in a pack; its rows are read as they are needed.

    Raises:
        DataError: If a file is missing, damaged or has another size than the header says.
    """
    header = _header(folder)
    shape = (header["n_train"] + header["n_test"], *header["shape"])
    x = _raw(folder / ROWS, DTYPES[header["dtype"]], shape)
    y = _raw(folder / LABELS, np.int64, shape[:1]) if header["labels"] else None
    rows = _tensors(x)
    labels = None if y is None else torch.from_numpy(np.array(y))
    cut, total = header["n_train"], len(rows)
    train, test = (
        Split(SelectedRows(rows, range(*ends)), None if labels is None else labels[slice(*ends)])
        for ends in ((0, cut), (cut, total))
    )
    data = Dataset(
        header["name"],
        train,
        test,
        in_unit_interval=header["in_unit_interval"],
        classes=None if header["classes"] is None else tuple(header["classes"]),
        notes=(*header["notes"], f"{size_in_words(x.nbytes)} are read from the pack as they are needed"),
        source=str(folder),
        scaling=scaling_from_json(header["scaling"]),
        held_out_at_random=header["held_out_at_random"],
    )
    return replace(data, stated=Stated.of(data.train, data.test, header["fingerprint"]))


def need_new(out: Path) -> None:
    """Checks that a pack can be written as a folder.

    Raises:
        OutputError: If there is one, or it cannot be made.
    """
    make_place(out, folder=True)
    stage = out.with_name(out.name + PARTIAL)
    if (
        stage.is_dir()
        and any(stage.iterdir())
        and not any((stage / name).exists() for name in (ABOUT, HEADER))
    ):
        raise OutputError(
            f"{stage}, where the pack would be begun, holds something else: choose another folder"
        )
    if out.exists():
        raise OutputError(f"{out} exists: remove it, or choose another folder")


def write_pack(data: Dataset, out: Path, progress: Progress | None = None) -> None:
    """Writes a pack; one that was stopped goes on where it was, with the same call.

    If a file of the source has changed since, the rows that were written are read again and compared, and if
    one differs, the pack begins anew. Until it is finished the folder's name ends in ``.part``.

    Arguments:
        data: Images or vectors.
        out: The folder.
        progress: Called with (done, total) rows.

    Raises:
        ConfigError: If the data are lines of text or have factors.
        OutputError: If the folder exists, or cannot be written.
    """
    if data.codec is not None or data.factors is not None or data.train.paired is not None:
        raise ConfigError(f"{data.name}: a pack holds images or vectors, found {data.modality} data")
    need_new(out)
    stage = out.with_name(out.name + PARTIAL)
    about = _about(data)
    with writing(stage):
        make_folder(stage)
        if not _goes_on(stage, data, about, progress):
            remove(stage)
            make_folder(stage)
            write_atomic(stage / ABOUT, json.dumps({**about, FILES: _files_sha256(data.source)}))
        _append_rows(stage / ROWS, data, progress)
        labels = [part.y for part in (data.train, data.test) if part.y is not None]
        if labels:
            write_atomic(stage / LABELS, torch.cat(labels).numpy().astype("<i8").tobytes())
        digests = {"sha256": _sha256(stage / ROWS), "fingerprint": _fingerprint(stage, data)}
        write_atomic(stage / HEADER, json.dumps({**about, **digests}, indent=1) + "\n")
        remove(stage / ABOUT)
        sync_folder(stage)
        disk.replace(stage, out)
        sync_folder(out.parent)


def check_pack(folder: Path) -> str | None:
    """What is wrong with the bytes of a pack, by their sha256; None if nothing is."""
    wanted, found = _header(folder)["sha256"], _sha256(folder / ROWS)
    return None if wanted == found else f"the sha256 of {ROWS} should be {wanted}, is {found}"


def _about(data: Dataset) -> dict[str, Any]:
    """The header of a pack, without what is known when it has been written."""
    labels = data.train.y is not None and data.test.y is not None
    assert data.scaling is not None
    return {
        "pack": VERSION,
        "name": data.name,
        "shape": list(data.shape),
        "dtype": str(data.train.x.dtype).removeprefix("torch."),
        "n_train": len(data.train),
        "n_test": len(data.test),
        "labels": labels,
        "classes": list(data.labels) if labels else None,
        "in_unit_interval": data.in_unit_interval,
        "scaling": data.scaling.as_json(),
        "notes": list(data.notes),
        "held_out_at_random": data.held_out_at_random,
    }


def _goes_on(stage: Path, data: Dataset, about: dict[str, Any], progress: Progress | None) -> bool:
    """Whether what is there is the beginning of this pack: its description is the same, and so are all rows.

    Rows are those of before if no file of the source has another size or time than before. Otherwise, and of
    rows in memory, they are read again and compared.
    """
    try:
        there = read_json(stage / ABOUT)
        files = there.pop(FILES, None)
        if there != about:
            return False
    except (OSError, ValueError, AttributeError):
        return False
    size, width, total = _size(stage / ROWS), row_bytes(data.train.x), _count(data)
    if size == 0 or size > total * width:
        return size == 0
    if files is not None and files == _files_sha256(data.source):
        return True
    done = 0
    with open_file(stage / ROWS, most=2**62) as file:
        for rows in _rows_from(data, 0, math.ceil(size / width)):
            wanted = _bytes(rows)
            found = file.read(len(wanted))  # of the last row there may be a part
            if not wanted.startswith(found):
                return False
            done += len(rows)
            if progress:
                progress(done, total)
    return True


def _files_sha256(source: str | None) -> str | None:
    """The sha256 of names, sizes and times of all files of a source; None of one that is no path."""
    if source is None or not os.path.exists(source):
        return None
    paths = [source]
    for folder, folders, names in os.walk(source):
        folders.sort()
        paths += [os.path.join(folder, name) for name in sorted(names)]
    digest = hashlib.sha256()
    for path in paths:
        try:
            found = os.stat(path)
        except OSError:  # a link to nothing
            continue
        digest.update(f"{path}\0{found.st_size} {found.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _count(data: Dataset) -> int:
    return len(data.train) + len(data.test)


def _bytes(rows: Tensor) -> bytes:
    return rows.contiguous().numpy().tobytes()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _append_rows(path: Path, data: Dataset, progress: Progress | None) -> None:
    width, total = row_bytes(data.train.x), _count(data)
    done, rest = divmod(_size(path), width)  # the last row may have been written in part
    with Log(path) as log:
        for rows in _rows_from(data, done, total):
            log.append(_bytes(rows)[rest:])
            rest, done = 0, done + len(rows)
            if progress:
                progress(done, total)
        log.sync()


def _rows_from(data: Dataset, start: int, stop: int) -> Iterator[Tensor]:
    """Rows from one number to another, training rows first, in parts."""
    step = max(min(PART // max(row_bytes(data.train.x), 1), 2000), 1)
    first = 0
    for split in (data.train, data.test):
        x: Rows = split.x
        begin, end = max(start - first, 0), min(stop - first, len(split))
        for place in range(begin, end, step):
            yield x[slice(place, min(place + step, end))]
        first += len(split)


def _fingerprint(stage: Path, data: Dataset) -> str:
    """The fingerprint of the data, of the rows as they were written."""
    shape = (_count(data), *data.shape)
    rows = _tensors(_raw(stage / ROWS, DTYPES[_about(data)["dtype"]], shape))
    cut = len(data.train)
    train, test = (
        replace(split, x=SelectedRows(rows, numbers))
        for split, numbers in ((data.train, range(cut)), (data.test, range(cut, len(rows))))
    )
    return replace(data, train=train, test=test).fingerprint


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open_file(path, most=2**62) as file:
        while part := file.read(4 * MIB):
            digest.update(part)
    return digest.hexdigest()


def _tensors(x: LazyArray) -> ReadRows:
    """Rows of a file as tensors."""
    native = x.dtype.newbyteorder("=")
    return ReadRows(len(x), lambda index: torch.from_numpy(x[index].astype(native, copy=False)))


def _raw(path: Path, dtype: Any, shape: tuple[int, ...]) -> LazyArray:
    kind = np.dtype(dtype).newbyteorder("<")
    wanted = math.prod(shape) * kind.itemsize
    try:
        with open_file(path, most=2**62):
            pass
        found = path.stat().st_size
        if found != wanted:
            raise DataError(f"{path}: expected {wanted:,} bytes of {kind.name} {shape}, found {found:,}")
        return raw_rows(path, kind, shape)
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} cannot be read: {reason(error)}") from None


def _header(folder: Path) -> dict[str, Any]:
    path = folder / HEADER
    kinds = {
        "pack": int, "name": str, "shape": list, "dtype": str, "n_train": int, "n_test": int, "labels": bool,
        "in_unit_interval": bool, "held_out_at_random": bool,
        "scaling": dict, "notes": list, "sha256": str, "fingerprint": str,
    }  # fmt: skip
    try:
        header = read_json(path)
        wrong = [name for name, kind in kinds.items() if not isinstance(header[name], kind)]
        known = header["dtype"] in DTYPES and header["pack"] == VERSION
        if wrong or not known or min(header["n_train"], header["n_test"], *header["shape"]) < 1:
            raise ValueError(f"no header of a pack of version {VERSION}")
        scaling_from_json(header["scaling"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} cannot be read: {type(error).__name__} {reason(error)}") from None
    return dict(header)


__all__ = ["check_pack", "is_pack", "need_new", "open_pack", "write_pack"]
