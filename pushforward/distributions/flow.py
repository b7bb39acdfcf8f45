"""A prior that is learnt: a neural spline flow from normal numbers to codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pushforward.distributions.priors import Prior
from pushforward.errors import ConfigError
from pushforward.rng import Noise

BLOCK = 1000  # rows that are drawn together: splines keep some forty numbers for every one of a code


class FlowPrior(Prior):
    r"""A flow :math:`z = m + A f^{-1}(\varepsilon)`, :math:`\varepsilon \sim N(0, I)`, f of splines.

    Each layer of f moves a random half of the coordinates by monotone rational-quadratic splines whose knots
    are a network's answer to the other half. Splines act on [-5, 5]; what lies beyond stays where it is, so
    that :math:`A^{-1}(z - m)` should be of mean 0 and variance 1. All is in float64: the inverse of a
    spline subtracts numbers that are nearly equal. Before it is trained, f is the identity and the
    distribution :math:`N(m, A A^\top)`.

    Arguments:
        mean: The codes' mean m, shape (L,).
        root: A square root A of their covariance, shape (L, L), not singular.
        transforms: Number of layers.
        hidden: Widths of each layer's network.
        bins: Intervals of a spline.

    Raises:
        ConfigError: If zuko, whose layers these are, is not installed.

    References:
        | Neural Spline Flows (Durkan et al., 2019)
        | https://arxiv.org/abs/1906.04032

    Example:
        >>> prior = FlowPrior(torch.zeros(2), 3 * torch.eye(2))
        >>> prior(5).rsample(Noise(0)).shape, prior.expected_sq_distance
        (torch.Size([5, 2]), 36.0)
    """

    def __init__(
        self,
        mean: Tensor,
        root: Tensor,
        transforms: int = 4,
        hidden: Sequence[int] = (64, 64),
        bins: int = 8,
    ) -> None:
        super().__init__(len(mean))
        self.settings = {"transforms": transforms, "hidden": [*hidden], "bins": bins}
        self.mean: Tensor
        self.root: Tensor
        self.register_buffer("mean", mean.double())
        self.register_buffer("root", root.double())
        # Two passes: half of the coordinates given the other half, so that both directions are fast.
        self.flow = _zuko().flows.NSF(
            self.latent_dim, transforms=transforms, hidden_features=hidden, bins=bins, passes=2, randperm=True
        )
        self.flow.double()
        for layer in self.flow.transform.transforms:  # knots on the diagonal, slopes 1
            knots = layer.hyper[-1] if self.latent_dim > 1 else layer  # a single coordinate has no other half
            for value in knots.parameters():
                torch.nn.init.zeros_(value)

    def extra_repr(self) -> str:
        """The settings that ``repr`` shows."""
        return ", ".join(
            f"{name}={value}" for name, value in {"latent_dim": self.latent_dim, **self.settings}.items()
        )

    @property
    def expected_sq_distance(self) -> float:
        r""":math:`E\|z - z'\|^2` at covariance :math:`A A^\top`; that of the trained flow is near it."""
        return 2 * self.root.square().sum().item()

    def log_prob(self, z: Tensor) -> Tensor:
        """Log-density at codes ``z`` (N, L) in nats, shape (N,), float64."""
        standard = torch.linalg.solve(self.root, (z.to(self.mean) - self.mean).T).T
        scale = torch.linalg.slogdet(self.root).logabsdet
        inside: Tensor = self.flow().log_prob(standard)
        return inside - scale

    @torch.no_grad()
    def draw(self, n: int, noise: Noise, y: Tensor | None = None) -> Tensor:
        """n draws (n, L), float64; ``y`` is ignored, since a flow has no classes."""
        inverse = self.flow().transform.inv
        parts = noise.normal(n, self.latent_dim).to(self.mean).split(BLOCK)
        return torch.cat([self.mean + inverse(part) @ self.root.T for part in parts])


def _zuko() -> Any:
    """The library of flows.

    Raises:
        ConfigError: If it is not installed.
    """
    try:
        import zuko
    except ImportError as error:
        raise ConfigError(f"a flow needs zuko (pip install 'pushforward[flows]'): {error}") from error
    return zuko
