"""Labels that users pass: numbers or names of classes."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import shorten
from typing import Any

import torch
from torch import Tensor

from pushforward.data.values import as_array
from pushforward.errors import ConfigError, nearest

UNKNOWN = -1


def label_numbers(y: Any, names: Sequence[str], count: int) -> Tensor:
    """The numbers (N,) of classes.

    Arguments:
        y: Numbers of classes, counted from 0, with -1 for an unknown one; or names of classes.
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
    found = as_array(y, "labels")
    if found.dtype.kind in "OU" and all(isinstance(label, str) for label in found.flat):
        places = {name: number for number, name in enumerate(names)}
        unknown = [label for label in found.flat if label not in places]
        if unknown:
            raise ConfigError(f"unknown label {str(unknown[0])!r}: {nearest(unknown[0], names)}")
        return torch.tensor([places[label] for label in found.flat]).view(found.shape)
    expected = "labels must be whole numbers, or names of classes"
    if found.dtype.kind not in "buif" or (found % 1 != 0).any():
        raise ConfigError(f"{expected}, got {shorten(repr(y), 60)}")
    wrong = found[(found < UNKNOWN) | (found >= (count or 2**31))]
    if len(wrong):
        if count:
            expected = f"labels must be from 0 to {count - 1}, {UNKNOWN} for unknown, or names of classes"
        raise ConfigError(f"{expected}, got {wrong[0]:g}")
    return torch.from_numpy(found.astype("int64"))


__all__ = ["label_numbers"]
