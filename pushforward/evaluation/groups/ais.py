"""Log-likelihood by annealed importance sampling."""

from __future__ import annotations

from typing import Any

import torch

from pushforward.costs import GaussianLikelihood
from pushforward.distributions import Gaussian
from pushforward.evaluation.context import EvaluationContext
from pushforward.evaluation.registry import MetricSpec, metric_group
from pushforward.metrics.ais import annealed
from pushforward.metrics.uncertainty import mean_of
from pushforward.torch_state import in_double

ROWS = 100
TEMPERATURES = 300
CHAINS = 8
OBSERVATION_STD = 0.1  # of the Gaussian noise on decoders without a likelihood


@metric_group(
    "ais",
    120,
    MetricSpec(
        "log p(x), AIS",
        ("ais", "log_likelihood"),
        "nats, a stochastic lower bound",
        0,
        ("observation model", ("ais", "observation")),
        column=100,
    ),
)
def ais(context: EvaluationContext) -> dict[str, Any] | None:
    """A stochastic lower bound of log p(x) in nats by annealing, of any decoder of a normal prior.

    A cost that is no likelihood is replaced by Gaussian noise of a fixed deviation, which the results name.
    """
    model = context.model
    if not isinstance(model.prior(1), Gaussian) or model.n_conditions or not context.modality.is_continuous:
        return None
    cost = model.cost if model.cost.likelihood else GaussianLikelihood(OBSERVATION_STD)
    x = torch.cat(list(context.batches(context.data.test, context.order[:ROWS])))
    found = annealed(
        model,
        x,
        context.noise("annealing"),
        TEMPERATURES,
        chains=CHAINS,
        observation=cost,
        progress=context.progress,
    )
    bound = in_double(found)
    return {
        "log_likelihood": mean_of(bound)._asdict(),
        "n_samples": len(x),
        "observation": repr(cost),
        "temperatures": TEMPERATURES,
        "chains": CHAINS,
    }
