"""Samples against held-out rows, and training rows in their place: the train reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pushforward.evaluation.context import EvaluationContext
from pushforward.evaluation.registry import metric_group
from pushforward.evaluation.two_samples import FEW, SPECS, compared


def _too_few(found: Mapping[str, Any]) -> Iterator[str]:
    if "fd" not in found:
        yield (
            f"samples: at least {FEW} held-out rows are needed to compare samples, found {found['n_samples']}"
        )


@metric_group("samples", 30, *SPECS, default=True, sentences=_too_few)
def samples(context: EvaluationContext) -> dict[str, Any]:
    """Two-sample metrics of samples against held-out rows."""
    return compared(context.samples.features, context.given.features, context.features, context.seed)


@metric_group("reference", 40, default=True)
def reference(context: EvaluationContext) -> dict[str, Any]:
    """The same of training rows in place of samples: what a perfect sampler would score at this size."""
    return compared(context.learnt.features, context.given.features, context.features, context.seed)
