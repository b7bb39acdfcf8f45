"""Writing packs: :func:`pack`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pushforward.data import Dataset, open_dataset
from pushforward.data.catalogue import open_for
from pushforward.data.formats import Channels
from pushforward.data.packs import need_new, write_pack
from pushforward.data.sizes import Size
from pushforward.files import expanded
from pushforward.interrupts import resumable
from pushforward.report.progress import bar


def pack(
    source: Any,
    out: str | os.PathLike[str],
    *,
    data_dir: str | os.PathLike[str] | None = None,
    image_size: int | Size | None = None,
    columns: Mapping[str, str] | None = None,
    target: str | None = None,
    standardize: bool = True,
    channels: Channels | None = None,
    test: Any = None,
    group: Any = None,
    progress: bool = True,
) -> Dataset:
    """Decodes data once into a pack: a folder from which rows are read without filling the memory.

    A call that was stopped goes on where it was. It first reads the rows that were written again, to compare
    them: if one has changed in the source, it begins anew. A run on the pack is the run on the data
    themselves.

    Arguments:
        source: Whatever :func:`~pushforward.data.open_dataset` opens, but text.
        out: The folder of the pack.
        data_dir: The folder of the files of catalogue data.
        image_size: Height and width to which images are resized, or one number for both.
        columns: Kinds of columns of a table by their names.
        target: Name of the column of a table whose values are the labels.
        standardize: Whether columns of real numbers are centred and scaled for the model.
        channels: "first" or "last": where the channels of an array of images are.
        test: The held-out rows: data of their own, or numbers or a mask of rows of the source.
        group: The name of a column, or one value a row: rows with the same value are on the same side.
        progress: Whether to show progress on standard error.

    Returns:
        The data set in the pack.

    Raises:
        DataError: If the data cannot be read.
        OutputError: If the folder exists or cannot be written.

    Example:
        >>> import tempfile
        >>> data = pack("digits", f"{tempfile.mkdtemp()}/digits", progress=False)
        >>> len(data.train), data.shape, data.fingerprint == open_dataset("digits").fingerprint
        (1438, (1, 8, 8), True)
    """
    folder = Path(os.path.abspath(expanded(out)))
    need_new(folder)
    with bar("reading", progress) as show:
        data = open_for(
            source, data_dir=data_dir, image_size=image_size, columns=columns, target=target,
            standardize=standardize, channels=channels, test=test, group=group, later=True, progress=show,
        )  # fmt: skip
    with bar("packing", progress) as show, resumable(lambda: "with a part packed; the same command goes on"):
        write_pack(data, folder, show)
    return open_dataset(folder)


__all__ = ["pack"]
