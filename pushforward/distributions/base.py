"""Distributions of the rows of a batch, as priors and encoders return them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from pushforward.rng import Noise
from pushforward.torch_state import to_like

LEAST = 1e-4  # lower bound of variances that are estimated; the official code of AVB adds the same


class Distribution(ABC):
    """N independent distributions, one for each row of a batch.

    Attributes:
        center: The point that represents the distribution when no noise is wanted, shape (N, \\*).
    """

    center: Tensor

    @abstractmethod
    def rsample(self, noise: Noise) -> Tensor:
        """One draw of every row, differentiable, of the shape of ``center``."""


class Dirac(Distribution):
    """All mass in one point: z = center."""

    def __init__(self, center: Tensor) -> None:
        self.center = center

    def rsample(self, noise: Noise) -> Tensor:
        """The point itself, shape (N, \\*); no noise is used."""
        return self.center


class Gaussian(Distribution):
    r"""The diagonal Gaussian :math:`N(\mu, \mathrm{diag}\,\sigma^2)`.

    Arguments:
        center: The mean, shape (N, L).
        log_var: The logarithm of the variance, shape (N, L).
    """

    def __init__(self, center: Tensor, log_var: Tensor) -> None:
        self.center = center
        self.log_var = log_var

    def rsample(self, noise: Noise) -> Tensor:
        """μ + σ ε with ε standard normal, shape (N, L)."""
        return self.center + (self.log_var / 2).exp() * to_like(noise.normal(*self.center.shape), self.center)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log-density at ``z`` in nats, shape (N,)."""
        squares = (z - self.center).square() * (-self.log_var).exp()
        return -0.5 * (squares + self.log_var + math.log(2 * math.pi)).sum(dim=-1)


class Uniform(Distribution):
    r"""The uniform distribution on a box with given centre and variances: sides :math:`\sqrt{12}\,\sigma`.

    Arguments:
        center: The mean, shape (N, L).
        log_var: The logarithm of the variance, shape (N, L).
    """

    def __init__(self, center: Tensor, log_var: Tensor) -> None:
        self.center = center
        self.log_var = log_var

    def rsample(self, noise: Noise) -> Tensor:
        """A draw of each row from its box, shape (N, L)."""
        place = to_like(noise.uniform(*self.center.shape), self.center) - 0.5
        return self.center + math.sqrt(12) * (self.log_var / 2).exp() * place


class Implicit(Distribution):
    r"""The distribution of :math:`f(\eta)` for noise :math:`\eta`; it can be sampled and has no density.

    Arguments:
        draw: The map from a source of noise to one draw of every row.
        center: Computes the point that represents the distribution without noise: of an encoder
            :math:`f(0)`, of a prior the origin. Neither is the mean in general.
    """

    def __init__(self, draw: Callable[[Noise], Tensor], center: Callable[[], Tensor]) -> None:
        self.draw = draw
        self._center = center

    @property
    def center(self) -> Tensor:  # type: ignore[override]
        """The encoder's output where its noise is zero."""
        return self._center()

    def rsample(self, noise: Noise) -> Tensor:
        """One draw of every row, shape (N, L)."""
        return self.draw(noise)


@torch.no_grad()
def moments(distribution: Distribution, noise: Noise, draws: int = 16) -> Gaussian:
    """The Gaussian with each row's mean and variances, without a graph, of shape (N, L).

    Those of Gaussian and uniform distributions are known; of others they are those of ``draws`` draws, and
    1e-4 is added to the variances.
    """
    if isinstance(distribution, Gaussian | Uniform):
        return Gaussian(distribution.center.detach(), distribution.log_var.detach())
    drawn = torch.stack([distribution.rsample(noise("moments", i)) for i in range(draws)])
    return Gaussian(drawn.mean(0), (drawn.var(0) + LEAST).log())
