"""Helpers of the whole package: discovery of modules, a lazy attribute, and what holds within a context."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
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
def changed(objects: Iterable[Any], name: str, value: Any) -> Iterator[None]:
    """Inside, an attribute of all objects has this value; afterwards each has its own again.

    >>> from torch import nn
    >>> norm = nn.BatchNorm1d(2)
    >>> with changed([norm], "training", False):
    ...     norm.training
    False
    >>> norm.training
    True
    """
    before = [(one, getattr(one, name)) for one in objects]
    for one, _ in before:
        setattr(one, name, value)
    try:
        yield
    finally:
        for one, own in before:
            setattr(one, name, own)


class Setting(Generic[T]):
    """What holds for the whole process, all its threads, and within :meth:`held` is something else."""

    def __init__(self, value: T) -> None:
        self.value = value

    def held(self, value: T) -> AbstractContextManager[None]:
        """Inside, it has this value."""
        return changed([self], "value", value)


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
