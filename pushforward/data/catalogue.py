"""Opens whatever a user means by data, as a :class:`Dataset`.

The formats and the named data sets are those that the other modules of this package register.
"""

from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from pushforward.codec import Codec
from pushforward.data.alike import described, rows_like, whole
from pushforward.data.dataset import Dataset
from pushforward.data.formats import CATALOGUE, FORMATS, Channels, Entry, Format, OnBad, OpenOptions, Progress
from pushforward.data.partition import Partition
from pushforward.data.sizes import Size, parse_size, resized
from pushforward.data.spec import DataSpec
from pushforward.data.split import UNKNOWN, Split
from pushforward.errors import ConfigError, DataError, check_int, nearest, reason
from pushforward.utils import import_submodules
from pushforward.wording import option_name, plural

import_submodules("pushforward.data")

ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
MOST_NAMES = 10_000  # in a folder, among which the name that may have been meant is looked for
LEAST_TOKENS = 4  # of a line of text


def open_dataset(
    source: object,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    image_size: int | Size | None = None,
    max_length: int | None = None,
    codec: Codec | None = None,
    columns: Mapping[str, str] | None = None,
    target: str | None = None,
    standardize: bool = True,
    channels: Channels | None = None,
    on_bad: OnBad = "error",
    test: object = None,
    group: object = None,
    progress: Progress | None = None,
) -> Dataset:
    """Opens a data set.

    Arguments:
        source: A name of the catalogue; the path of a folder of images or of text files, or of a ``.npy``,
            ``.npz`` or ``.txt`` file; an array or tensor; a tuple ``(x,)`` or ``(x, y)`` or a dict of arrays;
            or a Dataset. A name of the catalogue goes before a path; ``./mnist`` is a path.
        data_dir: Where the catalogue's files are kept: by default the folder in the environment
            variable ``PUSHFORWARD_DATA``, else a folder in the user's cache.
        image_size: Height and width to which images are resized, or one number for both.
        max_length: Maximum number of tokens of a line of text, its end included.
        codec: The vocabulary of text or the schema of a table, if it is known; by default it is learnt.
        columns: Kinds of columns of a table by their names, in the place of those that are inferred: numeric,
            integer, categorical, ordinal, boolean, date, constant or identifier.
        target: Name of the column of a table whose values are the labels.
        standardize: Whether columns of real numbers are centred and scaled for the model, and its samples
            scaled back.
        channels: "first" or "last": where the channels of an array of images are, if there are not 1 or 3 of
            them; of three axes, that it holds series, (N, T, C) or (N, C, T), not grey images.
        on_bad: What becomes of images in a folder that cannot be read: "error" refuses the data, "skip"
            leaves them out, "quarantine" also lists them in a file beside the folder, ``FOLDER.bad.txt``.
        test: The held-out rows, in the place of a tenth at random: any source of their own, or the numbers or
            a mask of rows of ``source``.
        group: The name of a column, or one value a row: rows with the same value are on the same side of the
            split.
        progress: Called with (done, total) while many images are read.

    Raises:
        ConfigError: If ``image_size`` or ``max_length`` is out of range, or for data of another modality, or
            ``channels`` is neither; or if data that have a split are given another.
        DataError: If the source is unknown, absent, damaged, or has too few rows; if held-out rows do not fit
            the training rows, or a group is on both sides.

    >>> open_dataset("digits").shape
    (1, 8, 8)
    >>> import torch
    >>> open_dataset(torch.rand(20, 3)).range
    '[0, 1]'
    """
    return open_for(
        source, data_dir=data_dir, image_size=image_size, max_length=max_length, codec=codec, columns=columns,
        target=target, standardize=standardize, channels=channels, on_bad=on_bad, test=test, group=group,
        progress=progress,
    )  # fmt: skip


def open_for(
    source: object,
    *,
    image_size: int | Size | None = None,
    max_length: int | None = None,
    test: object = None,
    group: object = None,
    **options: Any,
) -> Dataset:
    """Opens a data set of which more is known than :func:`open_dataset` asks: how it was scaled, or its use.

    Arguments:
        source: Whatever :func:`open_dataset` opens.
        image_size: As there.
        max_length: As there.
        test: As there.
        group: As there.
        options: Other attributes of :class:`OpenOptions`, among them ``scaling`` and ``later``.
    """
    partition = Partition.of(test, group)
    asked = OpenOptions(
        image_size=parse_size(image_size),
        max_length=None if max_length is None else check_int("max_length", max_length, least=LEAST_TOKENS),
        partition=partition,
        **options,
    )
    data = _read(source, asked)
    data = data if partition is None else _with_split(data, partition, asked)
    data.need_rows()
    return data


def _with_split(data: Dataset, partition: Partition, options: OpenOptions) -> Dataset:
    """Data with a split of one's own, which their reader may have made already."""
    data = partition.applied(data, whole)
    source = partition.source
    if source is not None:
        grouped = Partition(group=partition.group, against=partition, every=True)
        of_test = None if partition.group is None else grouped
        held_out, rows = opened_like(
            source, data.spec, data_dir=options.data_dir, later=options.later, partition=of_test
        )
        data = data.split_into(data.train, rows).noted(
            f"held out: all {len(rows)} {plural(len(rows), 'row')} of {held_out.name}"
        )
        unknown = 0 if rows.y is None else int((rows.y == UNKNOWN).sum())
        if unknown:
            data = data.noted(f"{unknown} held-out {plural(unknown, 'row')} of no class of training rows")
        if not isinstance(source, (str, os.PathLike)):
            data = replace(data, source=None)  # a run cannot open it again

    def sha256() -> str:
        return described(data.spec, data.name, data.test, data.test).fingerprint

    return replace(data, own_split=partition.as_json(sha256))


def open_every(
    source: Any,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    image_size: int | Size | None = None,
    columns: Mapping[str, str] | None = None,
    target: str | None = None,
    later: bool = False,
) -> tuple[Dataset, Split]:
    """A data set that is described by all of its rows, and all rows in the order of the source.

    Arguments:
        source: Whatever :func:`open_dataset` opens.
        data_dir: Where the catalogue's files are kept.
        image_size: Height and width to which images are resized.
        columns: Kinds of columns of a table by their names.
        target: Name of the column of a table whose values are the labels.
        later: As in :func:`open_like`.
    """
    if isinstance(source, Dataset):
        return source, whole(source)
    partition = Partition(every=True)
    options = OpenOptions(
        data_dir=data_dir, image_size=parse_size(image_size), columns=columns, target=target,
        partition=partition, later=later,
    )  # fmt: skip
    data = _read(source, options)
    return data, _every(data, partition)


def open_like(
    source: Any,
    spec: DataSpec,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    later: bool = False,
) -> Split:
    """All rows of a source, in the shape, the values and the classes of other data.

    Images are resized to those of ``spec``. Numbers are scaled as ``spec`` says, and not by what they are
    themselves: rows that are shifted stay so.

    Arguments:
        source: Whatever :func:`~pushforward.data.open_dataset` opens.
        spec: The description of the data; without classes the rows have no labels.
        data_dir: Where the catalogue's files are kept.
        progress: Called with (done, total) while many files are read.
        later: Whether rows that can be read as they are needed never lie in memory, however few they are:
            for who passes over them once.

    Raises:
        DataError: If the rows have another shape or modality, or values that rows of ``spec`` cannot have.

    >>> import torch
    >>> spec = open_dataset(torch.arange(20.0).view(10, 2)).spec
    >>> open_like(100 + torch.arange(20.0).view(10, 2), spec).batch(slice(0, 2)).x[0, 0] > 10
    tensor(True)
    """
    return opened_like(source, spec, data_dir=data_dir, progress=progress, later=later)[1]


def opened_like(
    source: Any,
    spec: DataSpec,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    later: bool = False,
    partition: Partition | None = None,
) -> tuple[Dataset, Split]:
    """A source as it was opened, with its name and notes, and the rows that :func:`open_like` returns."""
    partition = partition or Partition(every=True)
    kind = spec.modality
    files = kind == "image" and isinstance(source, (str, os.PathLike))
    size = (spec.shape[1], spec.shape[2]) if files else None
    options = OpenOptions(
        data_dir=data_dir, image_size=size, max_length=spec.shape[0] if kind == "text" else None,
        codec=spec.codec, standardize=False, partition=partition, later=later, progress=progress,
    )  # fmt: skip
    data = _read(source, options)
    if (data.modality, data.shape) != (kind, spec.shape):
        raise DataError(
            f"{data.name}: expected {kind} data of shape {spec.shape}, as {spec.name} is, "
            f"found {data.modality} data of shape {data.shape}"
        )
    return data, rows_like(_every(data, partition, bool(spec.classes)), data, spec)


def _every(data: Dataset, partition: Partition, with_labels: bool = True) -> Split:
    """All rows of data that were read without a split; of data with one of their own, both parts."""
    return data.train if partition.used else whole(data, with_labels)


def _read(source: object, options: OpenOptions) -> Dataset:
    """A source, and images in the size that was asked for."""
    return resized(_opened(source, options), options.image_size, options.later)


def _opened(source: object, options: OpenOptions) -> Dataset:
    if isinstance(source, Dataset):
        if options.partition is not None and not options.partition.every:
            raise ConfigError(
                f"{option_name('test')} and {option_name('group')} are for data that are yet to be read, "
                f"{source.name} is a Dataset, which has its split"
            )
        if options.max_length not in (None, source.shape[0]):
            raise ConfigError(
                f"{option_name('max_length')} is for data that are yet to be read, {source.name} is a Dataset"
            )
        options.check(source.name, source.modality)
        return source
    if isinstance(source, str) and source in CATALOGUE:
        entry = CATALOGUE[source]
        options.check(source, entry.modality)
        data = entry.open(options)
        shadowed = Path(source).exists()
        note = f"{source!r} is the data set of the catalogue; write './{source}' for the path"
        return data.noted(note) if shadowed else data
    found = _existing(source) if isinstance(source, (str, os.PathLike)) else source
    accepting = next((known for known in FORMATS if known.accepts(found)), None)
    if accepting is None:
        raise DataError(_unknown(found))
    if accepting.modality is not None:
        options.check(str(found), accepting.modality, accepting.takes_target)
    data = accepting.open(found, options)
    options.check(data.name, data.modality, accepting.takes_target)
    return data


def _existing(given: str | os.PathLike[str]) -> Path:
    if not os.fspath(given):
        raise DataError(f"expected data, found an empty name; {_sources()}")
    # os.path, because pathlib's questions raise on a name that is too long to exist.
    name = os.path.abspath(os.path.expanduser(os.fsdecode(os.fspath(given))))
    if not os.path.exists(name):
        shown = os.fsdecode(os.fspath(given))
        if os.path.dirname(shown) or os.path.splitext(shown)[1] or not isinstance(given, str):
            raise DataError(f"{shown!r} does not exist: {_in_its_place(name)}")
        hint = nearest(shown.lower().replace("_", "-"), CATALOGUE)
        raise DataError(f"{shown!r} is no file or folder and no name of the catalogue; {hint}; {_sources()}")
    return Path(name)


def _in_its_place(name: str) -> str:
    """What there is in the place of a path that does not exist."""
    folder, last = os.path.split(name)
    while not os.path.isdir(folder):
        folder, last = os.path.split(folder)
    try:
        with os.scandir(folder) as entries:
            there = [entry.name for entry in islice(entries, MOST_NAMES)]
    except OSError as error:
        return f"{folder} cannot be read: {reason(error)}"
    close = difflib.get_close_matches(last, there, n=1)
    return f"there is no {last!r} in {folder}" + (f"; did you mean {close[0]!r}?" if close else "")


def _sources() -> str:
    return f"a source is {', '.join(['a name of the catalogue', *(known.description for known in FORMATS)])}"


def _unknown(source: object) -> str:
    """What is wrong with a source that no format accepts."""
    if not isinstance(source, Path):
        return f"expected data, found {type(source).__name__}; {_sources()}"
    if source.is_dir():
        contents = " or ".join(known.contents for known in FORMATS if known.contents)
        return f"{source}: expected {contents}, found {_files_in(source)}"
    if not source.is_file():
        return f"{source}: expected a regular file or a folder, found neither; {_sources()}"
    if source.suffix.lower() in ARCHIVES:
        return f"{source}: expected a folder of images, found an archive: unzip it and give the folder"
    suffixes = ", ".join(suffix for known in FORMATS for suffix in known.suffixes)
    return f"{source}: expected a {suffixes} file or a folder; {_sources()}"


def _files_in(folder: Path) -> str:
    """The files in a folder that are data by themselves, and what to do with several of them.

    Whether each is one row or holds many cannot be seen, so that they are not joined here.
    """
    single = {suffix for known in FORMATS for suffix in known.suffixes}
    endings = (os.path.splitext(path)[1].lower() for path in islice(folder.rglob("*"), MOST_NAMES))
    counts = Counter(ending for ending in endings if ending in single).most_common()
    if not counts:
        return "none"
    listed = ", ".join(f"{count} {ending} {plural(count, 'file')}" for ending, count in counts)
    return (
        f"{listed}; such a file is data by itself: give one, or join several in one, as by numpy.concatenate "
        "(numpy.stack, if each is one row) or pandas.concat, or give a Dataset of PyTorch that reads them "
        "one by one"
    )


__all__ = [
    "CATALOGUE", "Entry", "Format", "OpenOptions", "open_dataset", "open_every", "open_for", "open_like",
    "opened_like",
]  # fmt: skip
