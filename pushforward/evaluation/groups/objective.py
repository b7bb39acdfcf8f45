"""The terms of the model's objective on held-out rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pushforward.evaluation.context import EvaluationContext
from pushforward.evaluation.registry import MetricSpec, metric_group


def _sum(found: Mapping[str, Any]) -> Iterator[str]:
    terms = " + ".join(f"{name} {value:.4g}" for name, value in found["terms"].items())
    yield f"objective = {terms}, with codes drawn"


@metric_group(
    "objective",
    10,
    MetricSpec(
        "-ELBO",
        ("objective", "negative_elbo"),
        "nats, one draw of the code a row",
        0,
        ("observation model", ("objective", "observation")),
        column=80,
    ),
    MetricSpec(
        "I(c; x) lower bound",
        ("objective", "diagnostics", "information_class"),
        "nats that samples tell of the class they were generated from; at most the logarithm of the classes",
        1,
        column=190,
    ),
    MetricSpec(
        "L(G(z))/L(x)",
        ("objective", "diagnostics", "ratio"),
        "energy of samples over that of data; BEGAN holds it at gamma",
        column=200,
    ),
    MetricSpec(
        "M_global",
        ("objective", "diagnostics", "measure"),
        "BEGAN's measure of convergence; less is better",
        -1,
        column=210,
    ),
    default=True,
    sentences=_sum,
)
def objective(context: EvaluationContext) -> dict[str, Any]:
    """The objective's terms, their sum where it is the negative evidence lower bound, and diagnostics."""
    result: dict[str, Any] = {"terms": context.objective}
    if context.diagnostics:
        result["diagnostics"] = context.diagnostics
    if context.model.is_elbo:
        result["negative_elbo"] = sum(context.objective.values())
        result["observation"] = repr(context.model.cost)
    return result
