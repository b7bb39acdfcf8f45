r"""The log-likelihood of data under an explicit decoder.

.. math:: \log p(x) = \log \int p(x \mid z)\, p(z)\, dz

The integral has no closed form. Estimates are weights whose mean over draws is :math:`p(x)`, so that
their logarithm is too low on average, and less so with more work. :func:`importance_weighted` draws codes
from the encoder: cheap, and loose where the encoder is; :mod:`~pushforward.metrics.ais` needs none.

All of them are in nats, of networks in evaluation mode. A decoder whose cost is no likelihood (WAE, AAE, GAN)
has none by itself: give it ``observation``, for instance ``GaussianLikelihood(std=0.1)``, and state that
deviation beside every figure, which means nothing without it. Of pixels in [0, 1] that are not
0 or 1 the Bernoulli cost is only a pseudo-likelihood.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from pushforward.costs import Cost
from pushforward.distributions import Dirac, Distribution, Encoder, Gaussian, Prior, moments
from pushforward.errors import ConfigError, DataError, check_int
from pushforward.metrics.arrays import takes_arrays
from pushforward.parts import map_parts
from pushforward.rng import Noise
from pushforward.torch_state import in_double
from pushforward.utils import eval_mode

CHUNK = 1024  # codes that are decoded together
PROPOSAL_DRAWS = 64  # from which the moments of an implicit distribution are estimated


class Generative(Protocol):
    """What has a likelihood: a prior and a decoder, and a cost unless an observation model is given."""

    prior: Prior
    decoder: nn.Module


class Encoding(Generative, Protocol):
    """The same with an encoder."""

    encoder: Encoder


@dataclass(frozen=True)
class Joint:
    """log p(z) and log p(x | z) of a model.

    Attributes:
        prior: The distribution of codes, one row of it.
        decoder: Maps codes (N, L) to outputs (N, \\*).
        point: Turns outputs into what the observation model takes.
        observation: A likelihood.
    """

    prior: Gaussian
    decoder: nn.Module
    point: Callable[[Tensor], Tensor]
    observation: Cost

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x | z) in nats (N,), of data (N, \\*) and codes (N, L)."""
        made = self.point(self.decoder(z))
        if isinstance(made, Tensor) and made.shape != x.shape:  # or they would be broadcast
            raise DataError(
                f"the decoder makes rows of shape {tuple(made.shape[1:])}, data {tuple(x.shape[1:])}"
            )
        return -self.observation.rows(made, x)


def joint(model: Generative, observation: Cost | None = None) -> Joint:
    """The densities of a model.

    Raises:
        ConfigError: If the observation model is no likelihood, or the prior has no density.
    """
    own: Cost | None = getattr(model, "cost", None)
    chosen = own if observation is None else observation
    if chosen is None or not chosen.likelihood:
        name = f"{type(chosen).__name__} as cost" if chosen else "no cost"
        raise ConfigError(
            f"log p(x) needs a likelihood, got {name}; give observation=GaussianLikelihood(std=...) with a "
            "fixed std, and state that std beside the figure"
        )
    if chosen.logits and own is not None and not own.logits:
        raise ConfigError(f"{type(chosen).__name__} observes logits, but the decoder makes data")
    # Outputs that stand for something else (logits) become data, unless that is what is observed.
    point = own.point if own is not None and chosen is not own and not chosen.logits else lambda made: made
    prior = model.prior(1)
    if not isinstance(prior, Gaussian):
        raise ConfigError(f"log p(x) needs the density of the prior: a normal prior, got {model.prior}")
    return Joint(prior, model.decoder, point, chosen)


# ------------------------------------------------------------------------ importance weighting


@torch.no_grad()
@takes_arrays
def importance_weighted(
    model: Encoding,
    x: Tensor,
    samples: int,
    noise: Noise,
    chunk: int = CHUNK,
    observation: Cost | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    r"""The importance weighted bound of every row, in nats.

    .. math:: \log \frac1K \sum_{k=1}^K \frac{p(x, z_k)}{q(z_k \mid x)}, \qquad z_k \sim q(Z \mid x)

    With K = 1 it is the evidence lower bound on average; it rises with K on average, towards
    :math:`\log p(x)`. If q is the exact posterior it is :math:`\log p(x)` at every K. More draws continue
    fewer: the first of K = 5000 are those of K = 50. A distribution without a density is replaced by
    the Gaussian with its moments.

    Arguments:
        model: With a random encoder and a normal prior.
        x: Data, shape (N, \*).
        samples: The number K of draws for each row.
        noise: Where the draws come from; the row n of ``x`` takes the row n of it.
        chunk: How many codes are decoded together; the draws do not depend on it.
        observation: The likelihood, if the model's cost is none.
        progress: Called with the rows done and N.

    Returns:
        One number for each row, shape (N,), float64.

    Raises:
        ConfigError: If there is no likelihood, the prior has no density, or codes are not random.
        DataError: If ``x`` is empty or not finite.

    References:
        | Importance Weighted Autoencoders (Burda et al., 2016), equation 8
        | https://arxiv.org/abs/1509.00519

    Example:
        >>> from types import SimpleNamespace
        >>> from torch import nn
        >>> from pushforward.costs import GaussianLikelihood
        >>> from pushforward.distributions import GaussianEncoder, NormalPrior
        >>> parts = nn.Linear(1, 1), nn.Linear(1, 2)  # x = z + ε has the posterior N(x/2, 1/2)
        >>> for part, value in zip((*parts[0].parameters(), *parts[1].parameters()), (
        ...         [[1.0]], [0.0], [[0.5], [0.0]], [0.0, math.log(0.5)])):
        ...     part.data = torch.tensor(value)
        >>> model = SimpleNamespace(prior=NormalPrior(1), decoder=parts[0], cost=GaussianLikelihood(1.0),
        ...                         encoder=GaussianEncoder(parts[1]))
        >>> importance_weighted(model, torch.tensor([[2.0]]), 3, Noise(0))  # log N(2; 0, 2) = -1 - log(4π)/2
        tensor([-2.2655], dtype=torch.float64)
    """
    p = joint(model, observation)
    samples, chunk = check_int("samples", samples, least=1), check_int("chunk", chunk, least=1)
    x = rows_of(model, x)

    def bound(rows: slice) -> Tensor:
        given = x[rows]
        q = proposal(model.encoder(given), noise.rows(noise.start + rows.start))
        weights = []
        q = Gaussian(q.center.unsqueeze(1), q.log_var.unsqueeze(1))
        for part in parts_of(samples, chunk):
            draws = [
                # A row has a stream of its own, whose rows are its draws.
                Noise(*noise.key, "row", noise.start + n)
                .rows(part.start)
                .normal(part.stop - part.start, q.center.shape[-1])
                for n in range(rows.start, rows.stop)
            ]
            z = q.center + (q.log_var / 2).exp() * torch.stack(draws).to(q.center)
            repeated = given.repeat_interleave(z.shape[1], 0)
            likelihood = p.log_likelihood(repeated, z.flatten(0, 1)).view(z.shape[:2])
            weights.append(in_double(likelihood + p.prior.log_prob(z) - q.log_prob(z)))
        if progress:
            progress(rows.stop, len(x))
        return log_mean_exp(torch.cat(weights, dim=1))

    with eval_mode(model.encoder), eval_mode(p.decoder):
        return torch.cat([*map_parts(bound, parts_of(len(x), max(1, chunk // samples)))])


def proposal(distribution: Distribution, noise: Noise) -> Gaussian:
    """The density that codes are drawn from: a Gaussian distribution itself, or one with an implicit
    distribution's moments.

    Raises:
        ConfigError: If the distribution is a single point.
    """
    if isinstance(distribution, Dirac):
        raise ConfigError("importance weights need a random encoder; got Dirac codes, a single point a row")
    return (
        distribution if isinstance(distribution, Gaussian) else moments(distribution, noise, PROPOSAL_DRAWS)
    )


def log_mean_exp(weights: Tensor) -> Tensor:
    """log of the mean of exp over the second axis of log-weights (N, K), shape (N,)."""
    return weights.logsumexp(1) - math.log(weights.shape[1])


def parts_of(total: int, size: int) -> Iterator[slice]:
    """Slices of at most ``size`` that cover ``total``."""
    return (slice(start, min(start + size, total)) for start in range(0, total, size))


def rows_of(model: Generative, x: Tensor) -> Tensor:
    """Data (N, \\*) on the model's device and in its precision.

    Raises:
        DataError: If there are none, or a number is not finite.
    """
    if x.ndim < 2 or not x.numel():
        raise DataError(f"data must have shape (N, *) with N of at least 1, got {tuple(x.shape)}")
    if not x.isfinite().all():
        raise DataError("data must be finite; some numbers are not")
    return x.to(model.prior.device_buffer)


__all__ = ["Encoding", "Generative", "Joint", "importance_weighted", "joint"]
