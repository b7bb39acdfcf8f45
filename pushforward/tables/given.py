r"""Rows of a table given what is known of them, by sampling-importance-resampling.

Candidates are drawn column by column with the known columns held fixed; the weight of a candidate is the
product over the known columns of their probability given the code and the columns before. One candidate is
kept, with a probability in proportion to its weight. As the number of candidates grows, what is kept has the
distribution :math:`p(x \mid \text{known})` exactly; where what is known are the first columns and the code
does not matter, one candidate is enough.

References:
    | The SIR algorithm (Rubin, 1987), comment on Tanner & Wong, Journal of the American Statistical
      Association 82
    | https://doi.org/10.1080/01621459.1987.10478461
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.errors import ConfigError, DataError, nearest
from pushforward.rng import Noise
from pushforward.tables.cells import NumberCells
from pushforward.tables.csv import parsed
from pushforward.tables.distribution import TableDistribution, draw
from pushforward.tables.frames import table_of
from pushforward.tables.schema import ColumnSchema, Schema
from pushforward.tables.table import Table
from pushforward.wording import option_name

Allowed = tuple[Tensor | None, ...]
BETWEEN = ".."  # the least and the greatest value of a range, in words


def allowed_by(schema: Schema, condition: Mapping[str, Any]) -> Allowed:
    """For each column the cells (n,) that a condition allows, None where it says nothing.

    Arguments:
        schema: The schema.
        condition: For each of some columns a value; a list of values; a pair (least, greatest) of numbers or
            dates; or None, for what is missing.

    Raises:
        ConfigError: If there is no such column, or it is not modelled.
        DataError: If no training row had such a value.

    >>> schema = Schema.of(table_of({"n": [1, 2, 3, 2], "town": ["Rome", "Oslo", "Rome", "Oslo"]}))
    >>> allowed_by(schema, {"n": (2, 3), "town": "Oslo"})
    (tensor([False,  True,  True]), tensor([ True, False]))
    """
    for name in condition:
        if name not in schema.names:
            raise ConfigError(f"there is no modelled column {name!r}: {nearest(name, schema.names)}")
    allowed: list[Tensor | None] = []
    for place, column in enumerate(schema.modelled):
        if column.name not in condition:
            allowed.append(None)
            continue
        wanted = condition[column.name]
        only = torch.zeros(column.n, dtype=torch.bool)
        if isinstance(wanted, tuple):
            if not isinstance(column.cells, NumberCells) or len(wanted) != 2:
                raise ConfigError(
                    f"a pair (least, greatest) is for numbers and dates, got {wanted!r} for {column.name!r}"
                )
            ends = _cells(schema, place, column.name, list(wanted))
            middles = column.cells.decode(np.arange(column.cells.n, dtype=np.float64) + 0.5)
            low, high = sorted(middles[ends.long().numpy()])
            only[: column.cells.n] = torch.from_numpy((middles >= low) & (middles <= high))
        else:
            only[
                _cells(schema, place, column.name, wanted if isinstance(wanted, list) else [wanted]).long()
            ] = True
        allowed.append(only)
    return tuple(allowed)


def condition_of(schema: Schema, words: Sequence[str]) -> dict[str, Any]:
    """The condition that words stand for: ``town=Rome``, ``age=30..40``, or ``town=`` for what is missing.

    A column that is named more than once has a list of values.

    Raises:
        ConfigError: If a word is no name=value, or names no column that is modelled.
        DataError: If a value cannot be one of the column.

    >>> schema = Schema.of(table_of({"n": [1, 2, 3, 2], "town": ["Rome", "Oslo", "Rome", "Oslo"]}))
    >>> condition_of(schema, ["n=2..3", "town=Rome", "town=Oslo"])
    {'n': (2, 3), 'town': ['Rome', 'Oslo']}
    """
    found: dict[str, list[Any]] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name:
            raise ConfigError(f"{option_name('condition')} must be column=value, got {word!r}")
        column = next((one for one in schema.modelled if one.name == name), None)
        if column is None:
            raise ConfigError(f"there is no modelled column {name!r}: {nearest(name, schema.names)}")
        ends = text.split(BETWEEN)
        if isinstance(column.cells, NumberCells) and len(ends) == 2:
            value: Any = tuple(_value(column, end) for end in ends)
        else:
            value = _value(column, text)
        found.setdefault(name, []).append(value)
    for name, values in found.items():
        if len(values) > 1 and any(isinstance(value, tuple) for value in values):
            raise ConfigError(
                f"{option_name('condition')} takes one range of a column, got more for {name!r}"
            )
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def _value(column: ColumnSchema, text: str) -> Any:
    """The value of a column that a word stands for; None for an empty one."""
    if not text:
        return None
    if column.type == "text":
        return text
    found = parsed(column.name, [text], Table({}, source="the condition"))
    return found.values[0] if found.type == "text" else found.values[0].item()


def _cells(schema: Schema, place: int, name: str, values: list[Any]) -> Tensor:
    """The cells of some values of one column."""
    known = [value for value in values if value is not None]
    made = {name: values, **({} if known else {name: [float("nan")] * len(values)})}
    x = schema.encode(table_of(made, "the condition"), lacking=True)[:, place]
    if (x < 0).any():
        column = schema.modelled[place]
        if not column.missing:
            raise DataError(f"the condition: column {name!r} has a value in all training rows, got None")
        x = torch.where(x < 0, column.n - 0.5, x)
    return x


def known_cells(x: Tensor, sizes: tuple[int, ...]) -> Allowed:
    """For each column the cells (N, n) that rows (N, C) allow: that of a value, any where it is not known
    (below 0).
    """
    allowed: list[Tensor | None] = []
    for column, n in zip(x.T, sizes, strict=True):
        only = torch.nn.functional.one_hot(column.clamp_min(0).long(), n).bool()
        allowed.append(None if (column < 0).all() else only | (column < 0).unsqueeze(1))
    return tuple(allowed)


def resampled(
    decode: Callable[[Noise], TableDistribution], noise: Noise, allowed: Allowed, candidates: int
) -> tuple[Tensor, Tensor]:
    """One row (N, C) for each code, among candidates by their weights, and the effective number of candidates
    (N,).

    Arguments:
        decode: Makes the distributions of N rows from the noise of a candidate, with codes of its own.
        noise: The random numbers.
        allowed: For each column the cells that are allowed.
        candidates: Candidates of each row.
    """
    rows, weights = [], []
    for number in range(candidates):
        own = noise("candidate", number)
        x, log_weight = decode(own).sample_given(own("row"), allowed)
        rows.append(x)
        weights.append(log_weight)
    stacked, log_weights = torch.stack(rows, 1), torch.stack(weights, 1)
    chosen = draw(log_weights, noise("choice").uniform(len(stacked), 1).to(log_weights)[:, 0])
    shares = log_weights.softmax(1)
    return stacked[torch.arange(len(stacked)), chosen], 1 / shares.square().sum(1)


__all__ = ["allowed_by", "condition_of", "known_cells", "resampled"]
