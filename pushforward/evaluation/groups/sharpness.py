"""Sharpness of images."""

from __future__ import annotations

from typing import Any

from pushforward.evaluation.context import EvaluationContext
from pushforward.evaluation.registry import MetricSpec, metric_group


@metric_group(
    "sharpness",
    50,
    MetricSpec(
        "sharpness",
        ("sharpness", "samples"),
        "variance of the Laplacian of samples",
        0,
        ("data", ("sharpness", "data")),
        column=260,
    ),
    default=True,
)
def sharpness(context: EvaluationContext) -> dict[str, Any] | None:
    """The variance of the Laplacian of data, samples and reconstructions; of images."""
    shown = {"data": context.given.sharpness, "samples": context.samples.sharpness}
    if context.model.has_encoder:
        shown["reconstructions"] = context.encoded.reconstructions.sharpness
    return {name: value.mean().item() for name, value in shown.items() if value is not None} or None
