"""The registry of data formats and of named data sets: how a reader joins, in its own file.

Every module of this package is imported, so that a new reader needs no entry anywhere else. A *format*
opens sources of one kind, such as a file of a suffix or an array in memory. An *entry* of the catalogue opens
one data set by its name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from pushforward.codec import Codec
from pushforward.data.dataset import LEAST, Dataset
from pushforward.data.fetch import data_folder
from pushforward.data.partition import Partition, Parts, usual
from pushforward.data.scaling import Scaling
from pushforward.data.sizes import Size
from pushforward.errors import ConfigError, DataError, nearest
from pushforward.wording import option_name

Progress = Callable[[int, int], None]
Channels = Literal["first", "last"]
OnBad = Literal["error", "skip", "quarantine"]


@dataclass(frozen=True, kw_only=True)
class OpenOptions:
    """What was asked of a reader, besides the source.

    Attributes:
        data_dir: Where the files of the catalogue are kept; None for the default.
        image_size: Height and width of the images.
        max_length: Maximum number of tokens of a line of text, its end included.
        codec: The vocabulary of text or the schema of a table; None to learn one.
        columns: Kinds of the columns of a table, in the place of those that are inferred.
        target: The column of a table whose values are the labels.
        standardize: Whether real numbers are centred and scaled for the model.
        scaling: How values are scaled, if it is known; None to learn it from them.
        channels: Where the channels of arrays of images are, if there are not 1 or 3 of them.
        on_bad: What becomes of images in a folder that cannot be read.
        partition: The split that was asked for, if not the usual one.
        later: Whether rows that can be read as they are needed never lie in memory, however few they are:
            for who looks at some of them, or passes over them once.
        progress: Called with (done, total) while many files are read.

    Raises:
        ConfigError: If ``channels`` or ``on_bad`` is none of its choices.
    """

    data_dir: str | os.PathLike[str] | None = None
    image_size: Size | None = None
    max_length: int | None = None
    codec: Codec | None = None
    columns: Mapping[str, str] | None = None
    target: str | None = None
    standardize: bool = True
    scaling: Scaling | None = None
    channels: Channels | None = None
    on_bad: OnBad = "error"
    partition: Partition | None = None
    later: bool = False
    progress: Progress | None = None

    def __post_init__(self) -> None:
        if self.channels not in (None, "first", "last"):
            raise ConfigError(f"{option_name('channels')} must be 'first' or 'last', got {self.channels!r}")
        known = get_args(OnBad)
        if self.on_bad not in known:
            raise ConfigError(
                f"unknown {option_name('on_bad')} {self.on_bad!r}: {nearest(self.on_bad, known)}"
            )

    @property
    def folder(self) -> Path:
        """The folder of the catalogue's files."""
        return data_folder(self.data_dir)

    def parts(self, n: int, column: Callable[[str], Any], where: str, what: str = "rows") -> Parts:
        """Training and held-out rows of n.

        Arguments:
            n: Number of rows.
            column: Returns the values of a column by its name, None if there is none.
            where: What the data are called in messages.
            what: What rows are called.

        Raises:
            DataError: If there are too few rows to hold some out.
        """
        if self.partition is None:
            if n < 2 * LEAST:
                raise DataError(f"{where}: expected at least {2 * LEAST} {what}, found {n}")
            return usual(n, what)
        return self.partition.of_rows(n, None if self.grouped is None else column(self.grouped), where)

    @property
    def grouped(self) -> str | None:
        """The column whose values are groups, if one was named."""
        named = None if self.partition is None else self.partition.group
        return named if isinstance(named, str) else None

    def check(self, name: str, modality: str, takes_target: bool = False) -> None:
        """Refuses options that are for data of another modality.

        Arguments:
            name: What the data are called.
            modality: Their modality.
            takes_target: Whether a column of the source can be the labels, although it is no table.

        Raises:
            ConfigError: If there are such options.
            DataError: If the codec is for data of another modality.

        >>> OpenOptions(max_length=8).check("digits", "image")
        Traceback (most recent call last):
        pushforward.errors.ConfigError: max_length is for text, digits is image data; use image_size
        """
        text = modality == "text"
        if text and self.image_size is not None:
            raise ConfigError(
                f"{option_name('image_size')} is for images, {name} is text; use {option_name('max_length')}"
            )
        if not text and self.max_length is not None:
            hint = f"; use {option_name('image_size')}" if modality == "image" else ""
            raise ConfigError(f"{option_name('max_length')} is for text, {name} is {modality} data{hint}")
        if self.on_bad != "error" and modality != "image":
            raise ConfigError(f"{option_name('on_bad')} is for folders of images, {name} is {modality} data")
        for option in ("columns", "target"):
            if getattr(self, option) and modality != "table" and not (option == "target" and takes_target):
                raise ConfigError(f"{option_name(option)} is for tables, {name} is {modality} data")
        if self.codec is not None and self.codec.modality != modality:
            raise DataError(f"{name}: expected {self.codec.modality} data, found {modality} data")


@dataclass(frozen=True)
class Format:
    """Sources of one kind.

    Attributes:
        description: What such a source is, for messages: "a .npy or .npz file".
        accepts: Whether a source is of this kind; paths come as absolute paths of what exists.
        open: Opens a source.
        modality: Modality of the rows, if it is the same for all sources of this kind.
        suffixes: Suffixes of the files, in lower case.
        contents: The files that a folder of this kind holds, for messages: "images (.png .jpg)".
        general: Whether it also accepts sources of other formats, which are asked first.
        takes_target: Whether a column of it can be the labels, although it is no table.
    """

    description: str
    accepts: Callable[[object], bool]
    open: Callable[[Any, OpenOptions], Dataset]
    modality: str | None = None
    suffixes: tuple[str, ...] = ()
    contents: str | None = None
    general: bool = False
    takes_target: bool = False

    @property
    def of_files(self) -> bool:
        """Whether such a source is a file or a folder."""
        return bool(self.suffixes or self.contents)


@dataclass(frozen=True)
class Entry:
    """A data set of the catalogue.

    Attributes:
        description: One line about it.
        modality: "image", "vector" or "text".
        open: Opens it.
    """

    description: str
    modality: str
    open: Callable[[OpenOptions], Dataset]


FORMATS: list[Format] = []
CATALOGUE: dict[str, Entry] = {}

Opener = TypeVar("Opener", bound=Callable[[Any, OpenOptions], Dataset])
NamedOpener = TypeVar("NamedOpener", bound=Callable[[OpenOptions], Dataset])


def data_format(
    description: str,
    *,
    suffixes: tuple[str, ...] = (),
    accepts: Callable[[object], bool] | None = None,
    modality: str | None = None,
    contents: str | None = None,
    general: bool = False,
    takes_target: bool = False,
) -> Callable[[Opener], Opener]:
    """Registers an opener ``(source, options) -> Dataset`` of a format.

    Arguments:
        description: What such a source is, for messages.
        suffixes: Suffixes, in lower case, of the files that it opens.
        accepts: In place of suffixes, whether it opens a source.
        modality: Modality of the rows, if it is the same for all sources.
        contents: Of a format of folders, the files that such a folder holds, for messages.
        general: Whether it also accepts sources of other formats, which are asked first.
        takes_target: Whether a column of it can be the labels, although it is no table.

    Example:
        >>> @data_format("a .tensor file", suffixes=(".tensor",))
        ... def open_tensor(path: Path, options: OpenOptions) -> Dataset: ...
        >>> FORMATS.remove(next(one for one in FORMATS if one.suffixes == (".tensor",)))
    """

    def has_suffix(source: object) -> bool:
        return isinstance(source, Path) and source.suffix.lower() in suffixes and source.is_file()

    def register(opener: Opener) -> Opener:
        found = Format(
            description, accepts or has_suffix, opener, modality, suffixes, contents, general, takes_target
        )
        FORMATS.append(found)
        FORMATS.sort(key=lambda one: one.general)
        return opener

    return register


def named_dataset(name: str, description: str, *, modality: str) -> Callable[[NamedOpener], NamedOpener]:
    """Registers an opener ``(options) -> Dataset`` of one data set under a name of the catalogue.

    Images are resized to ``options.image_size`` afterwards, unless the opener has done so.

    Arguments:
        name: Its name.
        description: One line about it: how many rows of what, their shape, and where they come from.
        modality: "image", "vector" or "text".
    """

    def register(opener: NamedOpener) -> NamedOpener:
        CATALOGUE[name] = Entry(description, modality, opener)
        return opener

    return register


__all__ = [
    "CATALOGUE",
    "FORMATS",
    "Channels",
    "Entry",
    "Format",
    "OnBad",
    "OpenOptions",
    "Progress",
    "data_format",
    "named_dataset",
]
