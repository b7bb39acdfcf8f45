"""Metrics take arrays of numpy wherever they take tensors: they are converted here, once, at the boundary."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch

from pushforward.errors import DataError

P = ParamSpec("P")
T = TypeVar("T")


def takes_arrays(metric: Callable[P, T]) -> Callable[P, T]:
    """Decorates a metric: arrays among its arguments, and what looks like one to numpy, become tensors.

    Raises:
        DataError: If an array holds something else than numbers.

    >>> takes_arrays(lambda rows: rows.dtype)(np.zeros((2, 3)))
    torch.float64
    """

    @wraps(metric)
    def wrapper(*arguments: P.args, **named: P.kwargs) -> T:
        return metric(*map(_tensor, arguments), **{name: _tensor(value) for name, value in named.items()})

    return wrapper


def _tensor(value: Any) -> Any:
    """An array as a tensor that shares no memory with it; anything else as it is."""
    if isinstance(value, (torch.Tensor, torch.nn.Module)) or not hasattr(value, "__array__"):
        return value
    array = np.asarray(value)
    if array.dtype.kind not in "buif":
        raise DataError(f"expected an array of numbers, got one of {array.dtype}")
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), order="C"))


__all__ = ["takes_arrays"]
