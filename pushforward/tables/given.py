r"""Rows of a table given what is known of them, by sampling-importance-resampling.

Candidates are drawn column by column with the known columns held fixed; the weight of a candidate is the
product over the known columns of their probability given the code and the columns before. One candidate is
kept, with a probability in proportion to its weight. As the number of candidates grows, what is kept has the
distribution :math:`p(x \mid \text{known})` exactly; where what is known are the first columns and the code
does not matter, one candidate is enough.

Codes of candidates are draws of the prior. Where codes are Gaussian those are only the first quarter; then a
row is chosen, encoded, and the codes of the next quarter are draws of its code, and so on. Weights are then
multiplied by the prior's density over that of the mixture of all that codes were drawn from, so that the
limit is the same.

References:
    | The SIR algorithm (Rubin, 1987), comment on Tanner & Wong, Journal of the American Statistical
      Association 82
    | https://doi.org/10.1080/01621459.1987.10478461
    | Adaptive Multiple Importance Sampling (Cornuet et al., 2012), https://arxiv.org/abs/0907.1254
    | Leveraging the Exact Likelihood of Deep Latent Variable Models (Mattei & Frellsen, 2018), section 4:
      imputation that goes through the encoder, https://arxiv.org/abs/1802.04826
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.distributions import Distribution, Gaussian
from pushforward.errors import ConfigError, DataError, nearest
from pushforward.rng import Noise
from pushforward.tables.cells import NumberCells
from pushforward.tables.csv import parsed
from pushforward.tables.distribution import TableDistribution, draw
from pushforward.tables.frames import table_of
from pushforward.tables.schema import ColumnSchema, Schema
from pushforward.tables.table import Table
from pushforward.wording import option_name

ROUNDS = 4  # of candidates, each with proposals of its own
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
    prior: Distribution,
    decode: Callable[[Tensor], TableDistribution],
    noise: Noise,
    allowed: Allowed,
    candidates: int,
    encode: Callable[[Tensor], Gaussian] | None = None,
) -> tuple[Tensor, Tensor]:
    """One row (N, C) for each of N codes, among candidates by their weights, and the effective number of
    candidates (N,).

    Arguments:
        prior: The distribution of the codes of N rows; a Gaussian if there is an ``encode``.
        decode: Makes the distributions of rows from codes (N, L).
        noise: The random numbers.
        allowed: For each column the cells that are allowed.
        candidates: Candidates of each row.
        encode: Makes the distributions of codes from rows (N, C), from which the later candidates are drawn.
    """
    rounds = min(ROUNDS, candidates) if encode else 1
    proposals: list[Any] = [prior]
    owners: list[int] = []
    rows: list[Tensor] = []
    codes: list[Tensor] = []
    weights: list[Tensor] = []
    for number in range(candidates):
        turn = number * rounds // candidates
        if encode and turn == len(proposals):
            shares = _log_weights(weights, codes, proposals, owners)
            proposals.append(encode(_chosen(rows, shares, noise("choice", turn))))
        own = noise("candidate", number)
        codes.append(proposals[turn].rsample(own("code")))
        x, log_weight = decode(codes[-1]).sample_given(own("row"), allowed)
        owners.append(turn)
        rows.append(x)
        weights.append(log_weight)
    shares = _log_weights(weights, codes, proposals, owners)
    return _chosen(rows, shares, noise("choice")), 1 / shares.softmax(1).square().sum(1)


def _log_weights(
    weights: list[Tensor], codes: list[Tensor], proposals: list[Any], owners: list[int]
) -> Tensor:
    """The log-weights (N, K) of candidates whose codes were drawn from several proposals, the first of which
    is the prior.
    """
    known = torch.stack(weights, 1)
    if len(proposals) == 1:
        return known
    of_each = torch.stack([torch.stack([one.log_prob(z) for z in codes], 1) for one in proposals], 2)
    shares = torch.bincount(torch.tensor(owners), minlength=len(proposals)).to(of_each) / len(owners)
    return known + of_each[:, :, 0] - (of_each + shares.log()).logsumexp(2)


def _chosen(rows: list[Tensor], log_weights: Tensor, noise: Noise) -> Tensor:
    """One of the candidates (N, C) of each row, by their weights."""
    chosen = draw(log_weights, noise.uniform(len(log_weights), 1).to(log_weights)[:, 0])
    return torch.stack(rows, 1)[torch.arange(len(chosen)), chosen]


__all__ = ["allowed_by", "condition_of", "known_cells", "resampled"]
