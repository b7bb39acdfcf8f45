"""How close samples of a table come to held-out rows, column by column, in pairs, as rows, and in use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from pushforward.evaluation.context import EvaluationContext
from pushforward.evaluation.registry import MetricSpec, metric_group
from pushforward.evaluation.two_tables import FEW_ROWS, compared_tables
from pushforward.tables.schema import Schema

COPIED = (
    0.6  # probability that a sample is closer to a training row than a held-out row is, from which it is said
)


def _spec(name: str, key: str, explanation: str, column: int) -> MetricSpec:
    beside = ("training rows", ("table", "reference", key))
    return MetricSpec(name, ("table", "samples", key), explanation, -1, beside, column)


def _sentences(found: Mapping[str, Any]) -> Iterator[str]:
    made = found["samples"]
    for key, name in (("ks", "KS"), ("total_variation", "total variation")):
        if f"worst_{key}" in made:
            worst = made[f"worst_{key}"]
            yield f"table: the worst column by {name} is {worst['column']!r}, {worst['value']:.3f}"
    if made.get("closer_than_held_out", 0.0) > COPIED:
        yield (
            f"table: samples lie closer to training rows than held-out rows do, "
            f"{made['closer_than_held_out']:.0%} of the time: "
            "training rows are copied"
        )


@metric_group(
    "table",
    95,
    _spec("column KS", "ks", "difference of distribution functions, mean over columns of numbers", 320),
    _spec("column TV", "total_variation", "total variation, mean over columns of categories", 321),
    _spec("correlation gap", "correlation", "of rank correlations, mean over pairs of numbers", 322),
    _spec("contingency gap", "contingency", "total variation, mean over other pairs of columns", 323),
    _spec("C2ST AUC", "c2st_auc", "of gradient boosting, samples against held-out rows; 0.5 is chance", 324),
    MetricSpec(
        "trained on samples",
        ("table", "samples", "usefulness"),
        "AUC or R² of the target on held-out rows, after training on samples",
        1,
        ("training rows", ("table", "reference", "usefulness")),
        325,
    ),
    MetricSpec(
        "closer than held-out",
        ("table", "samples", "closer_than_held_out"),
        "how often a sample is closer to a training row than a held-out row is; 0.5 copies nothing",
        column=326,
    ),
    default=True,
    sentences=_sentences,
)  # fmt: skip
def table(context: EvaluationContext) -> dict[str, Any] | None:
    """Samples against held-out rows, and training rows in their place; of models of tables with at least 50
    held-out rows.

    Numbers are compared by the Kolmogorov-Smirnov statistic, categories by total variation; pairs by rank
    correlation and joint shares; rows by a classifier two-sample test (gradient boosting, cross-validated);
    use by a model that is trained on samples to predict the target of held-out rows. The test of copying
    compares distances to the closest training row.
    """
    schema = context.data.codec
    if not isinstance(schema, Schema) or context.n_samples < FEW_ROWS:
        return None
    train = context.data.train
    order = context.noise("table rows").permutation(len(train))
    made = torch.cat([part.cpu() for part in context.drawn()])
    held = context.data.test.x[context.order]
    return compared_tables(schema, made, held, train.x[order], context.seed)


__all__ = ["table"]
