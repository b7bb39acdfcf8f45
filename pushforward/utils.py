"""Helpers of the whole package: discovery of modules, a lazy attribute, and a module in evaluation mode."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

if TYPE_CHECKING:  # the command line answers --help without loading torch
    from torch import nn

T = TypeVar("T")
M = TypeVar("M", bound="nn.Module")


def import_submodules(package: str) -> list[ModuleType]:
    """Imports every module of a package, so that what they register is known; in the order of their names."""
    path = import_module(package).__path__
    return [import_module(f"{package}.{found.name}") for found in pkgutil.iter_modules(path)]


class lazy(Generic[T]):  # noqa: N801
    """An attribute computed when first asked for. (``cached_property`` locks before Python 3.12.)"""

    def __init__(self, function: Callable[[Any], T]) -> None:
        self.function = function
        self.__doc__ = function.__doc__

    @overload
    def __get__(self, owner: None, kind: type) -> lazy[T]: ...
    @overload
    def __get__(self, owner: object, kind: type) -> T: ...
    def __get__(self, owner: object | None, kind: type) -> lazy[T] | T:
        if owner is None:
            return self
        value = owner.__dict__[self.function.__name__] = self.function(owner)
        return value


@contextmanager
def eval_mode(module: M) -> Iterator[M]:
    """A module as it will be after training; what was in training mode is again afterwards."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield module
    finally:
        for part in training:  # not module.train(): parts that were in evaluation mode before stay so
            part.training = True
