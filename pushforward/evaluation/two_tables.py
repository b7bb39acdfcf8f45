"""The metrics that compare two tables, column by column, in pairs, as rows, and in use."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from pushforward.metrics.tabular import ROWS_OF_PAIRS, copying, fidelity, usefulness
from pushforward.tables.schema import Schema

FEW_ROWS = 50  # of either table, below which nothing is said


def compared_tables(
    schema: Schema, made: Tensor, given: Tensor, train: Tensor | None, seed: int
) -> dict[str, Any]:
    """Metrics of made rows of a table against given rows; and, with training rows, the same of these.

    Arguments:
        schema: The schema of all rows.
        made: The made rows (N, C), as cells.
        given: The given rows.
        train: The training rows, in random order: as many as are given are the train reference, and copying
            and use in training are compared with them.
        seed: The seed of the classifiers.
    """
    held, categorical = schema.numbers(schema.decode(given))
    q = schema.numbers(schema.decode(made))[0]
    result: dict[str, Any] = {"target": schema.label}
    result["samples"] = fidelity(q, held, categorical, schema.names, seed)
    if train is None:
        return result
    p = schema.numbers(schema.decode(train[: len(given)]))[0]
    result["reference"] = fidelity(p, held, categorical, schema.names, seed)
    if schema.label in schema.names:
        target = schema.names.index(schema.label)
        useful = usefulness(q, p, held, categorical, target, seed)
        result["samples"] |= {"usefulness": useful.made, "score": useful.score}
        result["reference"]["usefulness"] = useful.given
    few = slice(0, ROWS_OF_PAIRS)
    every = schema.numbers(schema.decode(train[few]))[0]
    distance, of_held_out, closer = copying(q[few], held[few], every, categorical)
    result["samples"] |= {
        "distance": distance,
        "held_out_distance": of_held_out,
        "closer_than_held_out": closer,
    }
    return result


__all__ = ["FEW_ROWS", "compared_tables"]
