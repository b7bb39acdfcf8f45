"""Labels that users pass: numbers or names of classes."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import shorten
from typing import Any

import torch
from torch import Tensor

from pushforward.data.classes import label_array
from pushforward.data.split import UNKNOWN
from pushforward.data.values import as_array
from pushforward.errors import ConfigError, nearest


def _are_numbers(names: Sequence[str]) -> bool:
    """Whether classes are named by whole numbers, so that a label that is a number is a name."""
    return bool(names) and all(name.isdecimal() for name in names)


def class_number(label: int | str, names: Sequence[str], count: int) -> int:
    """The number of one class.

    Arguments:
        label: Its name, or its number, counted from 0. If the names are numbers themselves, a number is a
            name.
        names: The names of classes; empty if they have none.
        count: Number of classes.

    Raises:
        ConfigError: If there is no such class.

    >>> class_number("dog", ["cat", "dog"], 2), class_number(1, ["cat", "dog"], 2)
    (1, 1)
    >>> class_number(20, ["10", "20"], 2)
    1
    """
    if str(label) in names:
        return names.index(str(label))
    if str(label).isdecimal() and int(label) < count and not _are_numbers(names):
        return int(label)
    known = names if len(names) == count else [str(i) for i in range(count)]
    raise ConfigError(f"unknown label {label!r}: {nearest(label, known)}")


def label_values(y: Tensor, names: Sequence[str]) -> Tensor:
    """The labels (N,) that users know classes of the given numbers by: their names, if these are numbers.

    >>> label_values(torch.tensor([1, -1]), ["10", "20"])
    tensor([20, -1])
    """
    if not _are_numbers(names):
        return y
    return torch.tensor([*map(int, names), UNKNOWN])[y]


def label_numbers(y: Any, names: Sequence[str], count: int) -> Tensor:
    """The numbers (N,) of classes.

    Arguments:
        y: Names of classes, or their numbers, counted from 0; -1 stands for an unknown one. If the names are
            numbers themselves, a number is a name.
        names: The names.
        count: Number of classes; 0 if any number is allowed.

    Raises:
        ConfigError: If there is no such class, or the labels are neither whole numbers nor names.

    >>> label_numbers(["cat", "dog", "cat"], ["cat", "dog"], 2)
    tensor([0, 1, 0])
    >>> label_numbers([7], ["cat", "dog"], 2)
    Traceback (most recent call last):
    pushforward.errors.ConfigError: labels must be from 0 to 1, -1 for unknown, or names of classes, got 7
    """
    found = as_array(label_array(y), "labels")
    if found.dtype.kind in "OU" and all(isinstance(label, str) for label in found.flat):
        places = {name: number for number, name in enumerate(names)}
        unknown = [label for label in found.flat if label not in places]
        if unknown:
            raise ConfigError(f"unknown label {str(unknown[0])!r}: {nearest(unknown[0], names)}")
        return torch.tensor([places[label] for label in found.flat]).view(found.shape)
    expected = "labels must be whole numbers, or names of classes"
    if found.dtype.kind not in "buif" or (found % 1 != 0).any():
        raise ConfigError(f"{expected}, got {shorten(repr(y), 60)}")
    if _are_numbers(names) and count == len(names):
        values = dict(zip(map(int, names), range(count), strict=True)) | {UNKNOWN: UNKNOWN}
        for label in found.flat:
            if label not in values:
                raise ConfigError(f"labels must be among {', '.join(names)}, or -1, got {label:g}")
        return torch.tensor([values[label] for label in found.flat]).view(found.shape)
    wrong = found[(found < UNKNOWN) | (found >= (count or 2**31))]
    if len(wrong):
        if count:
            expected = f"labels must be from 0 to {count - 1}, {UNKNOWN} for unknown, or names of classes"
        raise ConfigError(f"{expected}, got {wrong[0]:g}")
    return torch.from_numpy(found.astype("int64"))


__all__ = ["class_number", "label_numbers", "label_values"]
