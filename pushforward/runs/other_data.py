"""All rows of another source, read as the rows of data whose description is known."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pushforward.data.catalogue import open_dataset
from pushforward.data.dataset import Dataset, hold_out
from pushforward.data.formats import Progress
from pushforward.data.modality import modality
from pushforward.data.rows import JoinedRows, ReadRows, Rows
from pushforward.data.scaling import Scaling, UnitInterval
from pushforward.data.spec import DataSpec
from pushforward.data.split import UNKNOWN, Split
from pushforward.errors import ConfigError, DataError, PushforwardError
from pushforward.models import Model
from pushforward.runs.trained_model import differs, read_as
from pushforward.wording import option_name


def whole(data: Dataset) -> Split:
    """The training and the held-out rows of a data set, in the order of the source if it is known."""
    parts = (data.train, data.test)
    labels = [part.y for part in parts if part.y is not None]
    y = torch.cat(labels) if len(labels) == len(parts) else None
    tensors = [part.x for part in parts if isinstance(part.x, Tensor)]
    x = torch.cat(tensors) if len(tensors) == len(parts) else JoinedRows(data.train.x, data.test.x)
    every = Split(x, y, scaling=data.scaling)
    if not data.held_out_at_random:
        return every
    return every.rows(torch.cat(hold_out(len(every))).argsort())


def open_like(
    source: Any,
    spec: DataSpec,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    every_row: bool = False,
) -> Split:
    """All rows of a source, in the shape, the values and the classes of other data.

    Images are resized to those of ``spec``. Numbers are scaled as ``spec`` says, and not by what they are
    themselves: rows that are shifted stay so.

    Arguments:
        source: Whatever :func:`~pushforward.data.open_dataset` opens.
        spec: The description of the data.
        data_dir: Where the catalogue's files are kept.
        progress: Called with (done, total) while many files are read.
        every_row: Whether no row may be left out, as those of a table with unknown categories are.

    Raises:
        DataError: If the rows have another shape or modality, or values that rows of ``spec`` cannot have.

    >>> from pushforward.data import open_dataset
    >>> spec = open_dataset(torch.arange(20.0).view(10, 2)).spec
    >>> open_like(100 + torch.arange(20.0).view(10, 2), spec).batch(slice(0, 2)).x[0, 0] > 10
    tensor(True)
    """
    data = opened_like(source, spec, data_dir=data_dir, progress=progress, every_row=every_row)
    return rows_like(data, spec)


def opened_like(
    source: Any,
    spec: DataSpec,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    every_row: bool = False,
) -> Dataset:
    """A source that :func:`open_like` reads, before its values are those of ``spec``."""
    kind = spec.modality
    size = (
        (spec.shape[1], spec.shape[2]) if kind == "image" and isinstance(source, (str, os.PathLike)) else None
    )
    length = spec.shape[0] if kind == "text" else None
    data = open_dataset(
        source, data_dir=data_dir, image_size=size, max_length=length,
        codec=spec.codec, standardize=False, progress=progress,
    )  # fmt: skip
    if (data.modality, data.shape) != (kind, spec.shape):
        raise DataError(
            f"{data.name}: expected {kind} data of shape {spec.shape}, as {spec.name} is, "
            f"found {data.modality} data of shape {data.shape}"
        )
    if every_row and kind == "table" and not data.held_out_at_random:
        raise DataError(f"{data.name}: some rows have values that no training row of {spec.name} has")
    return data


def rows_like(data: Dataset, spec: DataSpec) -> Split:
    """All rows of data that :func:`opened_like` returned, in the values and classes of ``spec``."""
    kind, rows = spec.modality, whole(data)

    def read(x: Tensor) -> Tensor:
        x = x if spec.codec is not None else _in_values_of(x, data.scaling, spec)
        if modality(kind).is_continuous:
            try:
                spec.scaling.check(x)
            except DataError as error:
                raise DataError(f"{data.name}: {error}") from None
        return x

    x = read(rows.x) if isinstance(rows.x, Tensor) else _read_by(read, rows.x)
    return Split(x, _labels(rows.y, data.labels, spec.classes), scaling=spec.scaling)


def described(spec: DataSpec, name: str, train: Split, test: Split) -> Dataset:
    """A data set of a known description, with these rows and their labels."""
    train, test = (Split(part.x, part.y, scaling=spec.scaling) for part in (train, test))
    return Dataset(
        name, train, test, spec.in_unit_interval, spec.classes or None, codec=spec.codec, scaling=spec.scaling
    )


def own_or_other(
    config: dict[str, Any], spec: DataSpec, source: Any
) -> tuple[Dataset | None, tuple[str, Split] | None]:
    """The data that a run was trained on, if a source holds these; else name and rows of other data.

    Arguments:
        config: The configuration of the run.
        spec: The description of its data.
        source: The source; None for none.

    Raises:
        DataError: If it cannot be read, or its rows do not fit the run.
    """
    if source is None:
        return None, None
    try:
        found = read_as(config, spec.codec, source)
    except PushforwardError:
        found = None  # not read as the data of the run were, it is of other data
    if found is not None and differs(config, found) is None:
        return found, None
    fits = found is not None and found.shape == spec.shape
    data = opened_like(found if fits else source, spec, data_dir=config["data"]["data_dir"], every_row=True)
    return None, (data.name, rows_like(data, spec))


def check_labels(rows: Split, model: Model, path: Path) -> None:
    """Checks that rows have the labels that a model needs.

    Raises:
        ConfigError: If the model is conditional and the label of a row is not known.
    """
    if model.n_conditions and (rows.y is None or bool((rows.y < 0).any())):
        raise ConfigError(
            f"{path} was trained with {option_name('conditional', True)}: every row needs a label "
            f"of its classes, and {'there are none' if rows.y is None else 'some are unknown'}"
        )


def _read_by(read: Callable[[Tensor], Tensor], rows: Rows) -> Rows:
    """What a function makes of rows when they are read."""
    return ReadRows(
        len(rows), lambda index: read(rows[index if isinstance(index, slice) else torch.from_numpy(index)])
    )


def _in_values_of(x: Tensor, scaling: Scaling | None, spec: DataSpec) -> Tensor:
    """Grey values in the range of the other data; all other numbers are what they are.

    Whether 1 or 255 is white is known of floating-point numbers from their own range. Integers are read as
    those of the other data are; if these were no integers, from their own depth.
    """
    wanted = spec.scaling
    if not isinstance(scaling, UnitInterval) or not isinstance(wanted, UnitInterval):
        return x
    if x.is_floating_point() or wanted.integers is None:
        return scaling.apply(x) * wanted.floats
    return x


def _labels(y: Tensor | None, names: tuple[str, ...], classes: tuple[str, ...]) -> Tensor | None:
    """Labels as numbers of the classes of the other data; -1 where they are none of these."""
    if y is None or not classes:
        return None
    numbers = {name: number for number, name in enumerate(classes)}
    known = torch.tensor([*(numbers.get(name, UNKNOWN) for name in names), UNKNOWN])
    return known[y]  # -1, unknown, is the last


__all__ = ["check_labels", "described", "open_like", "own_or_other", "whole"]
