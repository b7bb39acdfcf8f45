"""Parzen-window log-likelihood, next to the baselines that show what it is worth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import torch

from pushforward.evaluation.context import EvaluationContext
from pushforward.evaluation.registry import metric_group
from pushforward.metrics.parzen import parzen_with_baselines

ROWS = 1000
TRAINING = 20_000  # training rows, at most, that centroids are of


def _scores(found: Mapping[str, Any]) -> Iterator[str]:
    for name, score in found.items():
        yield (
            f"Parzen, {score['samples']} {name}: {score['mean']:.1f} ± {score['error']:.1f} nats (do not "
            "rank models by it)"
        )


@metric_group("parzen", 130, sentences=_scores)
def parzen(context: EvaluationContext) -> dict[str, Any] | None:
    """The Parzen window's log-likelihood in nats, next to its two baselines; not of text."""
    if not context.modality.is_continuous:
        return None
    data, count = context.data, min(ROWS, context.n_samples // 2)
    with torch.inference_mode():
        made = torch.cat([x.flatten(1).cpu() for x in context.drawn()])
    held = data.test.batch(context.order).x.flatten(1)
    learnt = data.train.subsample(TRAINING, context.noise("parzen")).x.flatten(1)
    # As many centroids as rows would be the rows themselves.
    centroids = min(len(made), max(1, len(learnt) // 2))
    found = parzen_with_baselines(
        made, learnt, held[:count], held[count:], seed=context.seed, centroids=centroids
    )
    return {name: asdict(value) for name, value in found.items()}
