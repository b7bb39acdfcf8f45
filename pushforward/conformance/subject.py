"""What a conformance check is given: a model that stays as it was, rows, and a way to train copies of it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pushforward.data.dataset import Dataset, Split
from pushforward.errors import ConformanceError
from pushforward.models.base import Model, Player
from pushforward.rng import Noise
from pushforward.square import Square
from pushforward.training import Loop, Training

ROWS = 64  # training rows of a check, at most
STATE = dict[str, Tensor]


def expect(holds: bool, expected: str, found: object) -> None:
    """Does nothing if a promise holds.

    Raises:
        ConformanceError: If it does not, with what was expected and what was found.
    """
    if not holds:
        raise ConformanceError(f"expected {expected}, found {found}")


@dataclass(frozen=True)
class Subject:
    """A model under examination.

    Attributes:
        model: The model. No check changes it: they work on copies.
        data: A few rows for it.
        training: How it is trained.
    """

    model: Model
    data: Dataset
    training: Training

    def fresh(self) -> Model:
        """A copy of the model."""
        return copy.deepcopy(self.model)

    def loop(self, seed: int = 0, model: Model | None = None) -> Loop:
        """The training of a copy, at its first step."""
        model = (self.fresh() if model is None else model).train()
        return Loop(model, self.data.train, self.training, total=100, seed=seed)

    def rows(self, count: int = ROWS, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor | None]:
        """The first rows, and their labels; tokens stay whole numbers."""
        x, y = self.data.train.batch(slice(0, count))
        return (x.to(dtype) if x.is_floating_point() else x).clone(), None if y is None else y.clone()

    def square(self, model: Model, player: Player, x: Tensor, y: Tensor | None) -> Square:
        """What a player sees of rows: those with a label, if it needs one."""
        if player.labelled and y is not None:
            x, y = x[y >= 0], y[y >= 0]
        return Square(model, x, Noise("conformance"), y)


def few_rows(data: Dataset) -> Dataset:
    """At most :data:`ROWS` random training rows and as many held-out rows, so that checks are quick."""

    def some(split: Split) -> Split:
        return split.rows(Noise("conformance").permutation(len(split))[:ROWS])

    return replace(data, train=some(data.train), test=some(data.test), classes=data.labels)


def rows_for(model: Model) -> Dataset:
    """Random rows of the shape that the decoder makes, in [0, 1], with a label of every class.

    Raises:
        ConformanceError: If the model makes text, which random rows are not.
    """
    with torch.no_grad():
        made = copy.deepcopy(model).eval().sample(2, Noise("conformance"))
    expect(made.is_floating_point(), "data= for a model of text, whose rows are tokens", "none")
    x = Noise("conformance").uniform(2 * ROWS, *made.shape[1:])
    y = torch.arange(2 * ROWS) % max(model.classes, 2)
    rows = Split(x, y)
    first, second = torch.arange(2 * ROWS).split(ROWS)
    return Dataset("random rows", rows.rows(first), rows.rows(second), in_unit_interval=True)


def same_bits(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors have the same type, shape and bits; a NaN equals itself."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    one, other = (value.detach().cpu().reshape(-1).contiguous().view(torch.uint8) for value in (a, b))
    return torch.equal(one, other)


def differing(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> list[str]:
    """The names of tensors that are not the same in both."""
    return [name for name in {**a, **b} if name not in a or name not in b or not same_bits(a[name], b[name])]


def state_of(loop: Loop) -> STATE:
    """All tensors of a loop's state, by file and name."""
    return {f"{file}/{name}": value for file, part in loop.state()[0].items() for name, value in part.items()}


__all__ = [
    "ROWS",
    "Subject",
    "differing",
    "expect",
    "few_rows",
    "rows_for",
    "same_bits",
    "state_of",
]
