"""Layers for encoders without a density, and for critics of log-ratios of densities."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pushforward.networks.mlp import mlp


class MixingHead(nn.Module):
    r"""A random code :math:`z_j = \mu_j(x) + \sum_{i=1}^M a_{ij}(x)\, v_i(\eta_j)` from numbers and noise.

    Every dimension bends noise of its own by the functions v, with factors that depend on the row: its
    distribution may be wide or narrow, skewed, or have several modes. Given x, dimensions are independent;
    where they may depend on each other a critic of codes has much more to see, and misses it. It is the head
    of an :class:`~pushforward.distributions.ImplicitEncoder`.

    Arguments:
        latent_dim: Dimensions L of a code.
        noise: Dimensions of the noise of each.
        basis: Number M of functions v; the trunk makes (1 + M) L numbers.

    References:
        | Adversarial Variational Bayes (Mescheder et al., 2017), section 4, whose basis functions are vectors
        | https://arxiv.org/abs/1701.04722

    >>> MixingHead(2, noise=3, basis=4)(torch.zeros(5, 10 + 6)).shape
    torch.Size([5, 2])
    """

    def __init__(self, latent_dim: int, noise: int, basis: int) -> None:
        super().__init__()
        self.latent_dim, self.noise, self.count = latent_dim, noise, basis
        self.basis = mlp(noise, basis, [64, 64], norm=None, activation=nn.ELU)

    def forward(self, rows: Tensor) -> Tensor:
        """The codes (N, L) of rows that hold μ (L numbers), a (M L) and the noise η (noise L)."""
        mean, factors, eta = rows.split(
            [self.latent_dim, self.latent_dim * self.count, self.latent_dim * self.noise], dim=1
        )
        bent = self.basis(eta.unflatten(1, (self.latent_dim, self.noise)))
        return mean + (factors.unflatten(1, (self.latent_dim, self.count)) * bent).sum(2)


class WithSquares(nn.Module):
    """A network of rows and the squares of their last columns, as log-ratios of normal densities have.

    Arguments:
        net: Maps (N, D + L) to whatever it makes.
        columns: The number L of last columns whose squares are appended.

    >>> WithSquares(nn.Identity(), 1)(torch.tensor([[2.0, 3.0]]))
    tensor([[2., 3., 9.]])
    """

    def __init__(self, net: nn.Module, columns: int) -> None:
        super().__init__()
        self.net = net
        self.columns = columns

    def forward(self, rows: Tensor) -> Tensor:
        """The network's output for rows (N, D) with the squares of their last L columns appended."""
        return self.net(torch.cat([rows, rows[:, -self.columns :].square()], dim=1))
