"""Log-likelihood by importance weighting."""

from __future__ import annotations

from typing import Any

import torch

from pushforward.distributions import Dirac, Gaussian
from pushforward.evaluation.context import EvaluationContext
from pushforward.evaluation.registry import MetricSpec, metric_group
from pushforward.metrics.likelihood import importance_weighted
from pushforward.metrics.uncertainty import mean_of

ROWS = 1000
IMPORTANCE_SAMPLES = 200


@metric_group(
    "likelihood",
    110,
    MetricSpec(
        "log p(x)",
        ("likelihood", "log_likelihood"),
        "nats, an importance-weighted lower bound",
        0,
        ("observation model", ("likelihood", "observation")),
        column=90,
    ),
    MetricSpec(
        "critic's ELBO",
        ("likelihood", "critic_elbo"),
        "nats, estimated by the critic: no bound, to be read next to log p(x)",
        column=95,
    ),
)
def likelihood(context: EvaluationContext) -> dict[str, Any] | None:
    """The importance-weighted bound of log p(x) in nats, of models with a likelihood and random codes.

    A critic's estimate of the evidence lower bound is given next to it, and nowhere else: it is no bound.
    """
    model = context.model
    has_density = isinstance(model.prior(1), Gaussian)
    if not (model.has_encoder and model.cost.likelihood and has_density) or model.n_conditions:
        return None
    x = torch.cat(list(context.batches(context.data.test, context.order[:ROWS])))
    if isinstance(model.encoder(x[:2]), Dirac):
        return None
    bound = importance_weighted(model, x, IMPORTANCE_SAMPLES, context.noise("importance")).double()
    claim = {"critic_elbo": -sum(context.objective.values())} if model.estimates_elbo else {}
    return {
        "log_likelihood": mean_of(bound)._asdict(),
        **claim,
        "observation": repr(model.cost),
        "importance_samples": IMPORTANCE_SAMPLES,
        "n_samples": len(x),
    }
