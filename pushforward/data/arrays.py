"""Arrays in memory and in ``.npy`` and ``.npz`` files: which one is the data, and the order of its axes."""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pushforward.data.classes import LABELS, class_labels
from pushforward.data.dataset import Dataset, Split
from pushforward.data.declared import check_declared, read_header
from pushforward.data.formats import Channels, OpenOptions, data_format
from pushforward.data.mapped import LazyArray, Readable, in_parts, is_mapped, map_rows, raw_rows
from pushforward.data.pictures import with_pictures
from pushforward.data.rows import Rows
from pushforward.data.scaling import UnitInterval
from pushforward.data.sparse import dense_rows, is_sparse
from pushforward.data.values import Array, as_array, as_numbers, on_one_scale
from pushforward.errors import DataError, reason
from pushforward.reading import open_file, size_in_words
from pushforward.tables.frames import is_frame
from pushforward.wording import option_name

DATA = ("x_train", "x", "images", "imgs", "data")  # the first that exists holds the data
KEYS = (*DATA, "x_test", *LABELS, "y_test")
IMAGES = "(N, H, W), (N, H, W, C) or (N, C, H, W)"
SHAPES = f"(N, D), {IMAGES}"
LENGTHS = 26  # where the header of a member of an archive tells how long its name and what follows are
NAMED_BY = 6  # digits of the fingerprint in the name of arrays in memory


@data_format("a .npy or .npz file", suffixes=(".npy", ".npz"))
def open_array_file(path: Path, options: OpenOptions) -> Dataset:
    """The data set in a ``.npy`` or ``.npz`` file, arranged as for :func:`from_arrays`.

    Raises:
        DataError: If the file cannot be read or holds Python objects; and as :func:`from_arrays`.
    """
    try:
        arrays = _load(path, options)
    except Exception as error:  # numpy and zipfile raise a dozen types on a damaged file
        if "allow_pickle" in str(error):
            raise DataError(
                f"{path}: expected numbers, found Python objects, which are never unpickled"
            ) from None
        kind = f"a {path.suffix} file of numpy"
        raise DataError(f"{path}: expected {kind}, found something else: {reason(error)}") from None
    return from_arrays(arrays, path.stem, str(path), options)


def _load(path: Path, options: OpenOptions) -> dict[str, Readable]:
    with open_file(path) as file:  # np.load leaves a damaged file open that it opened itself
        check_declared(file)
        if path.suffix.lower() == ".npy" and (options.later or in_parts(path.stat().st_size)):
            return {"x": _later(path)}
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"x": loaded}
        # An archive may hold pickled objects besides its data, as that of dSprites does: they are not read.
        known = [key for key in loaded.files if key.lower() in (*KEYS, (options.grouped or "").lower())]
        wanted = known if any(key.lower() in DATA for key in known) else loaded.files
        return {key: _member(loaded, key, path, options.later) for key in wanted}


def _member(archive: Any, key: str, path: Path, later: bool) -> Readable:
    """An array of an archive; if it is not compressed, and large or wanted later, its rows are read then."""
    member = archive.zip.NameToInfo.get(f"{key}.npy")
    stored = member is not None and member.compress_type == zipfile.ZIP_STORED
    if not (stored and (later or in_parts(member.file_size))):
        return archive[key]
    with open_file(path) as file:
        file.seek(member.header_offset + LENGTHS)
        file.seek(sum(struct.unpack("<HH", file.read(4))), os.SEEK_CUR)
        shape, by_columns, kind = read_header(file)
        if by_columns or kind.hasobject or len(shape) < 2:
            return archive[key]
        return raw_rows(path, kind, shape, file.tell())


def _later(path: Path) -> Readable:
    """The array in a ``.npy`` file, whose rows are read as they are needed."""
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if not array.flags.c_contiguous:
        return array  # its rows do not lie together
    return raw_rows(path, array.dtype, array.shape, array.offset)


def _holds_arrays(source: object) -> bool:
    arrays = isinstance(source, (Mapping, tuple, list)) or hasattr(source, "__array__")
    return (arrays and not is_frame(source)) or is_sparse(source)


@data_format(
    "an array, a sparse matrix, a tuple (x, y) or a dict of arrays", accepts=_holds_arrays, general=True
)
def open_arrays(source: Any, options: OpenOptions) -> Dataset:
    """The data set in an array or tensor, a tuple ``(x,)`` or ``(x, y)``, or a dict of arrays.

    Its name holds the first digits of its fingerprint, so that runs on different arrays have different
    folders by default, and runs on the same arrays the same one.

    Raises:
        DataError: As :func:`from_arrays`, or if the tuple has another length.
    """
    if isinstance(source, tuple):
        if len(source) not in (1, 2):
            raise DataError(f"expected a tuple (x,) or (x, y), found one of {len(source)}")
        source = dict(zip(("x", "y"), source, strict=False))
    data = from_arrays(source if isinstance(source, Mapping) else {"x": source}, options=options)
    return replace(data, name=f"{data.name}-{data.fingerprint[:NAMED_BY]}")


def from_arrays(
    arrays: Mapping[str, Any],
    name: str = "array",
    source: str | None = None,
    options: OpenOptions | None = None,
) -> Dataset:
    """The data set in named arrays, tensors or lists.

    Arguments:
        arrays: The data under ``x`` (or ``images``, ``imgs``, ``data``, or any name if it is alone), labels
            under ``y`` or ``labels``. A list of PIL images is an array of them, and so is a sparse matrix of
            scipy. Held-out rows may come under ``x_test`` and ``y_test``, beside ``x_train`` and ``y_train``.
            Rows are vectors (N, D), grey images (N, H, W), or images (N, H, W, C) or (N, C, H, W) with C = 1
            or 3, or any C if ``options.channels`` says where they are; with three axes it says that these
            are series, (N, T, C) or (N, C, T). Labels are whole numbers, -1 for
            "unknown", or names; what is missing (None, NaN) is unknown.
            Classes are the values that occur.
        name: Name of the data set.
        source: Where the arrays come from.
        options: What was asked of the reader.

    Raises:
        DataError: If it is unclear which array is the data, if that has another shape, no rows, or values
            that are not finite numbers, or if the labels are invalid or not one for each row.

    >>> data = from_arrays({"x": np.eye(10) * 200, "y": [10, 20] * 5})
    >>> data.shape, data.range, data.classes
    ((10,), 'standardised real numbers', ('10', '20'))
    """
    options = options or OpenOptions()
    where = source or name  # in messages
    named = {str(key).lower(): dense_rows(value) for key, value in arrays.items()}
    named, pictures = with_pictures(named, options)
    groups = named.pop(options.grouped.lower(), None) if options.grouped else None
    first, notes = _data_key(named, where)
    keys = [first, "x_test"] if "x_test" in named else [first]
    channels = options.channels
    lazy = any(is_mapped(named[key], options.later) for key in keys)
    parts = {f"{where}: {key}": _rows(named[key], f"{where}: {key}", channels) for key in keys}
    if len({(part.shape[1:], part.dtype.newbyteorder("=")) for part in parts.values()}) > 1:
        found = " and ".join(f"{part.dtype} {part.shape}" for part in parts.values())
        raise DataError(f"{where}: expected rows of one shape and type in x and x_test, found {found}")
    shape = parts[f"{where}: {first}"].shape
    series = len(shape) == 3 and channels is not None
    images = len(shape) > 2 and not series

    def arrange(x: Array) -> Array:
        return _channels_first(x, channels)

    rows: Sequence[Rows]
    if lazy or any(in_parts(part.nbytes) for part in parts.values()):
        rows, values = map_rows(
            parts, images, options.standardize, arrange, options.progress, options.scaling
        )
    else:
        arranged = {what: arrange(as_array(np.asarray(part), what)) for what, part in parts.items()}
        values = on_one_scale(arranged, images, options.standardize, options.scaling)
        rows = values.parts
    labels, classes = class_labels(named, [len(part) for part in parts.values()], where)
    if lazy and not options.later:
        size = size_in_words(sum(part.nbytes for part in parts.values()))
        notes.append(f"{size} are read as they are needed")
    notes += pictures + values.notes + ([] if pictures else _layout_notes(shape, channels))
    train, *held_out = (Split(x, y) for x, y in zip(rows, labels, strict=True))
    if held_out:
        test = held_out[0]
    else:
        whole = train
        parts_of = options.parts(len(whole), lambda name: groups, where)
        train, test = whole.rows(parts_of.train), whole.rows(parts_of.test)
        notes += [parts_of.note] * bool(parts_of.note)
    if not lazy:  # only now, so that of many rows nothing but these is in memory
        train, test = (replace(part, x=part.tensor()) for part in (train, test))
    unit = isinstance(values.scaling, UnitInterval)
    return Dataset(
        name, train, test, unit, classes, tuple(notes), source,
        scaling=values.scaling, held_out_at_random=not held_out and options.partition is None,
    )  # fmt: skip


def _data_key(named: Mapping[str, Any], name: str) -> tuple[str, list[str]]:
    others = [key for key in named if key not in KEYS]
    key = next((key for key in DATA if key in named), others[0] if len(others) == 1 else None)
    if key is None:
        found = ", ".join(named) or "no array"
        raise DataError(f"{name}: expected the data as x, or as x_train and x_test, found {found}")
    used = {key, "x_test", "y_test", next((label for label in LABELS if label in named), None)}
    unused = ", ".join(other for other in named if other not in used)
    return key, [f"not used: {unused}"] if unused else []


def _rows(value: Any, what: str, channels: Channels | None) -> Readable:
    later = isinstance(value, LazyArray)
    numbers = as_numbers(np.empty(0, value.dtype) if later else value, what, copy=False)
    x: Readable = value if later else numbers
    if not 2 <= x.ndim <= 4:
        hint = "; for one number a row give x.reshape(-1, 1)" if x.ndim == 1 else ""
        raise DataError(f"{what}: expected shape {SHAPES}, found {x.shape}{hint}")
    if x.size == 0:
        missing = "no rows" if len(x) == 0 else "no values in a row"
        raise DataError(f"{what}: expected rows of numbers, found shape {x.shape}: {missing}")
    if channels and x.ndim == 2:
        raise DataError(
            f"{what}: {option_name('channels')} is for images, {IMAGES}, and series, found shape {x.shape}"
        )
    if x.ndim == 4 and not channels and not {1, 3} & {x.shape[1], x.shape[3]}:
        raise DataError(
            f"{what}: expected images of 1 or 3 channels, {IMAGES}, found shape {x.shape}; if these are "
            f"images of other channels, pass {option_name('channels', 'first', 'last')}"
        )
    return x


def _channels_first(x: Array, channels: Channels | None) -> Array:
    if x.ndim == 3 and channels:  # series, as (N, T, C)
        return x.transpose(0, 2, 1) if channels == "first" else x
    if x.ndim == 3:
        return x[:, None]
    last = channels == "last" if channels else x.ndim == 4 and x.shape[1] not in (1, 3)
    return x.transpose(0, 3, 1, 2) if last else x


def _layout_notes(shape: tuple[int, ...], channels: Channels | None) -> list[str]:
    if len(shape) == 3 and channels:
        steps, width = shape[1:] if channels == "last" else shape[:0:-1]
        return [f"shape {shape} read as series of {steps} steps with {width} numbers each, as vectors (T, C)"]
    if channels:
        return []
    if len(shape) == 4 and shape[1] in (1, 3) and shape[3] in (1, 3):
        return [f"shape {shape} read as (N, C, H, W); for (N, H, W, C) give x.transpose(0, 3, 1, 2)"]
    if len(shape) == 3:
        colour = "; one colour image would be x[None]" if shape[2] in (1, 3) else ""
        series = f"for series (N, T, C) pass {option_name('channels', 'last')}"
        return [f"shape {shape} read as {shape[0]} grey images (N, H, W); {series}{colour}"]
    return []
