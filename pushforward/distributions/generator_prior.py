"""A learnt prior: noise pushed through a network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pushforward.distributions.priors import Prior
from pushforward.rng import Noise
from pushforward.torch_state import to_like


class GeneratorPrior(Prior):
    r""":math:`P_Z = g_\# P_0`: draws of a simple distribution through a network.

    Arguments:
        net: g, maps draws of ``base`` (N, M) to codes (N, L).
        base: The simple distribution :math:`P_0`.
        latent_dim: Dimensions L of a code.
        path: The path between two codes, "linear" or "spherical", that stays where most of the mass is.

    Example:
        >>> from pushforward.distributions import NormalPrior
        >>> prior = GeneratorPrior(nn.Linear(2, 5), NormalPrior(2), latent_dim=5)
        >>> prior(3).rsample(Noise(0)).shape
        torch.Size([3, 5])
    """

    def __init__(self, net: nn.Module, base: Prior, latent_dim: int, path: str = "linear") -> None:
        super().__init__(latent_dim)
        self.path = path
        self.net = net
        self.base = base

    def extra_repr(self) -> str:
        """The settings that ``repr`` shows."""
        return f"latent_dim={self.latent_dim}"

    @property
    @torch.no_grad()
    def expected_sq_distance(self) -> float:
        r""":math:`E\|z - z'\|^2` of two draws, estimated from 1000 draws of the generator as it is now."""
        return 2 * float(self.draw(1000, Noise("spread")).var(0).sum())

    def draw(self, n: int, noise: Noise, y: Tensor | None = None) -> Tensor:
        """g of n draws of the base, shape (n, L); ``y`` is ignored."""
        drawn: Tensor = self.net(to_like(self.base.draw(n, noise), self.device_buffer))
        return drawn


__all__ = ["GeneratorPrior"]
