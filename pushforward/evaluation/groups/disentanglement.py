"""Whether single latent dimensions follow single factors of variation."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pushforward.evaluation.context import EvaluationContext
from pushforward.evaluation.registry import MetricSpec, metric_group
from pushforward.metrics.disentanglement import disentanglement as scores

GROUP = "disentanglement"


@metric_group(
    GROUP,
    140,
    MetricSpec(
        "beta-VAE score",
        (GROUP, "beta_vae"),
        "accuracy of telling which factor pairs of rows share; chance is 1 over their number",
        1,
        ("factors", (GROUP, "factors")),
        column=270,
    ),
    MetricSpec(
        "FactorVAE score",
        (GROUP, "factor_vae"),
        "accuracy of telling it from the dimension that varies least; chance is 1 over their number",
        1,
        column=271,
    ),
    MetricSpec(
        "MIG",
        (GROUP, "mig"),
        "gap of information between the best two dimensions; below 1 for factors of over 20 values",
        1,
        column=272,
    ),
    MetricSpec(
        "DCI disentanglement", (GROUP, "disentanglement"), "of dimensions to one factor", 1, column=273
    ),
    MetricSpec("DCI completeness", (GROUP, "completeness"), "of factors in one dimension", 1, column=274),
    MetricSpec(
        "DCI informativeness",
        (GROUP, "informativeness"),
        "of factors predicted from all dimensions",
        1,
        column=275,
    ),
    MetricSpec(
        "SAP",
        (GROUP, "sap"),
        "gap of accuracy between the best two dimensions",
        1,
        ("perfect codes", (GROUP, "sap_ceiling")),
        column=276,
    ),
)
def disentanglement(context: EvaluationContext) -> dict[str, Any] | None:
    """Disentanglement scores of the codes' centres; of data with at least 2 known factors.

    Factors that no two of the rows differ in are left out, and the results name those that are left.
    """
    names, factors = context.data.factors, context.data.test.factors
    if not context.model.has_encoder or names is None or factors is None:
        return None
    factors = factors[context.order]
    changes = (factors != factors[0]).any(0)
    if changes.sum() < 2:
        return None
    codes = context.encoded.distributions.center.flatten(1)
    found = scores(codes, factors[:, changes], context.seed, progress=context.progress)
    kept = [name for name, changed in zip(names, changes.tolist(), strict=True) if changed]
    return {"factors": kept} | asdict(found)
