"""Data sets of PyTorch: map-style ones, and those of a ``DataLoader``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch.utils.data import DataLoader, IterableDataset
from torch.utils.data import Dataset as TorchDataset

from pushforward.data.arrays import NAMED_BY, from_arrays
from pushforward.data.dataset import Dataset
from pushforward.data.formats import OpenOptions, data_format
from pushforward.data.items import read_items
from pushforward.errors import DataError


def _is_torch_data(source: object) -> bool:
    return isinstance(source, (TorchDataset, DataLoader))


@data_format("a map-style Dataset of PyTorch or the DataLoader of one", accepts=_is_torch_data)
def open_torch_data(source: Any, options: OpenOptions) -> Dataset:
    """The items of a map-style data set: images or arrays x, tuples (x, y), or dicts.

    Of a dict the data are the first of ``image``, ``img``, ``pixel_values``, ``x`` and ``data``, and the
    labels the first of ``label``, ``labels``, ``y`` and ``target``. The attribute ``classes``, as of the data
    sets of torchvision, names the labels.

    Of a ``DataLoader`` only the data set is used: the order of rows is a function of the seed.

    Raises:
        DataError: If it is a stream, or an item cannot be read or differs from the first in shape or type.
    """
    notes = []
    if isinstance(source, DataLoader):
        notes = ["batches and order of the DataLoader are not used: the order is a function of the seed"]
        source = source.dataset
    name = type(source).__name__
    if isinstance(source, IterableDataset) or not hasattr(source, "__len__"):
        raise DataError(
            f"{name}: expected a data set with len() and [number], found a stream, whose rows cannot be read "
            "by number; collect it in a list first"
        )
    found = read_items(source, name, options)
    data = from_arrays(found.arrays, name.lower(), None, replace(options, channels=None))
    names: Any = getattr(source, "classes", None)
    if data.train.y is not None and _are_names(names, data.labels):
        data = replace(data, classes=tuple(names))
    data = data.noted(*found.notes, *notes)
    return replace(data, name=f"{data.name}-{data.fingerprint[:NAMED_BY]}")


def _are_names(names: Any, labels: Sequence[str]) -> bool:
    """Whether names are those of the labels 0, 1, ... that occur."""
    known = isinstance(names, Sequence) and all(isinstance(name, str) for name in names)
    return known and not isinstance(names, str) and list(labels) == [str(n) for n in range(len(names))]


__all__ = ["open_torch_data"]
