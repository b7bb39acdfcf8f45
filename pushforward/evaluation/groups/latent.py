"""Whether the aggregate posterior matches the prior."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from pushforward.evaluation.context import EvaluationContext
from pushforward.evaluation.registry import MetricSpec, metric_group
from pushforward.metrics.latent_fit import latent_fit


def _tests(found: Mapping[str, Any]) -> Iterator[str]:
    for test in found.get("tests", ()):
        yield (
            f"two-sample test of {test['n_samples']} codes and as many draws of the prior: p = "
            f"{test['p_value']:.3g}, the probability of so large an MMD² if codes followed the prior"
        )


@metric_group(
    "latent",
    60,
    MetricSpec(
        "latent MMD²", ("latent", "mmd"), "of codes to the prior, seven scales; 0 is perfect", -1, column=110
    ),
    MetricSpec(
        "prior coverage",
        ("latent", "prior_coverage"),
        "share of the prior's draws with a code nearby; less means holes",
        1,
        column=120,
    ),
    MetricSpec(
        "log-variance of the least active unit",
        ("latent", "least_active_log_var"),
        "in units of the prior: 0 is the prior's variance",
        column=130,
    ),
    MetricSpec(
        "active units",
        ("latent", "active_units"),
        "latent dimensions whose posterior mean varies with the data",
        column=250,
    ),
    MetricSpec("latent mean", ("latent", "mean"), "largest gap of a dimension's mean to the prior's"),
    MetricSpec("latent covariance", ("latent", "covariance"), "largest gap of an entry to the prior's"),
    MetricSpec(
        "latent marginals", ("latent", "marginal"), "largest Kolmogorov-Smirnov distance of a dimension"
    ),
    MetricSpec(
        "latent radius",
        ("latent", "radius"),
        "mean norm of a code",
        0,
        ("of draws", ("latent", "radius_prior")),
    ),
    MetricSpec("I(x; z)", ("latent", "mutual_information"), "nats that codes carry about the data"),
    default=True,
    sentences=_tests,
)
def latent(context: EvaluationContext) -> dict[str, Any] | None:
    """How far the codes of held-out rows are from draws of the prior."""
    if not context.model.has_encoder:
        return None
    encoded = context.encoded
    fit = latent_fit(
        encoded.codes, context.model.prior, context.seed, context.test_sizes, encoded.distributions
    )
    return {name: value for name, value in asdict(fit).items() if value is not None}
