"""How well held-out rows are reconstructed."""

from __future__ import annotations

from typing import Any

from pushforward.evaluation.context import EvaluationContext
from pushforward.evaluation.registry import MetricSpec, metric_group
from pushforward.evaluation.two_samples import compared
from pushforward.metrics.uncertainty import mean_of


@metric_group(
    "reconstruction",
    20,
    MetricSpec(
        "squared error",
        ("reconstruction", "squared_error"),
        "of a held-out row, summed over its values",
        -1,
        column=10,
    ),
    MetricSpec(
        "wrong tokens",
        ("reconstruction", "wrong_tokens"),
        "tokens of a held-out line that its reconstruction has wrong",
        -1,
    ),
    MetricSpec(
        "reconstruction FD",
        ("reconstruction", "fd"),
        "Fréchet distance of reconstructions of one half of the rows to the other half",
        -1,
        column=75,
    ),
    default=True,
)
def reconstruction(context: EvaluationContext) -> dict[str, Any] | None:
    """The reconstruction error of held-out rows from the centres of their codes.

    Reconstructions of one half of the rows are compared with the other half: see
    :attr:`~pushforward.evaluation.context.EvaluationContext.unpaired`.
    """
    if not context.model.has_encoder:
        return None
    error = mean_of(context.encoded.errors)._asdict()
    made, given = context.unpaired
    return {context.modality.error_name: error} | compared(
        made.features, given.features, context.features, context.seed, brief=True
    )
