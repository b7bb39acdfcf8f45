"""Rows of other data, read as the rows of data whose description is known."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.data.dataset import Dataset, hold_out_places
from pushforward.data.modality import modality
from pushforward.data.rows import JoinedRows, read_by
from pushforward.data.scaling import Scaling, UnitInterval
from pushforward.data.spec import DataSpec
from pushforward.data.split import UNKNOWN, Split
from pushforward.errors import DataError


def whole(data: Dataset, with_labels: bool = True) -> Split:
    """The training and the held-out rows of a data set, in the order of the source if it is known."""
    parts = (data.train, data.test)
    labels = [part.y for part in parts if part.y is not None and with_labels]
    y = torch.cat(labels) if len(labels) == len(parts) else None
    tensors = [part.x for part in parts if isinstance(part.x, Tensor)]
    x = torch.cat(tensors) if len(tensors) == len(parts) else JoinedRows(data.train.x, data.test.x)
    every = Split(x, y, scaling=data.scaling)
    if not data.held_out_at_random:
        return every
    return every.rows(hold_out_places(len(every)))


def rows_like(rows: Split, data: Dataset, spec: DataSpec) -> Split:
    """Rows of some data in the values and classes of ``spec``."""
    kind = spec.modality

    def read(x: Tensor, numbers: Sequence[int] | None = None) -> Tensor:
        x = x if spec.codec is not None else _in_values_of(x, data.scaling, spec)
        if modality(kind).is_continuous:
            try:
                spec.scaling.check(x, numbers)
            except DataError as error:
                raise DataError(f"{data.name}: {error}") from None
        return x

    x = read(rows.x) if isinstance(rows.x, Tensor) else read_by(read, rows.x)
    return Split(x, _labels(rows.y, data.labels, spec.classes), scaling=spec.scaling)


def described(spec: DataSpec, name: str, train: Split, test: Split) -> Dataset:
    """A data set of a known description, with these rows and their labels."""
    train, test = (Split(part.x, part.y, scaling=spec.scaling) for part in (train, test))
    return Dataset(
        name, train, test, spec.in_unit_interval, spec.classes or None, codec=spec.codec, scaling=spec.scaling
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


__all__ = ["described", "rows_like", "whole"]
