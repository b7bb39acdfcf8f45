"""Parts for codes whose law has no density, and for critics of densities."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pushforward.networks.mlp import mlp


class Mixing(nn.Module):
    r"""A random code :math:`z = \mu(x) + \sum_{i=1}^M a_i(x)\, v_i(\eta)` from numbers and noise.

    Noise is bent by networks v and then mixed as each row of data wishes: any scale, skewed and with several
    modes. It is the head of an :class:`~pushforward.distributions.ImplicitEncoder`.

    Arguments:
        latent: Dimensions L of a code.
        noise: Dimensions of the noise.
        basis: Number M of functions v; the trunk makes (1 + M) L numbers.

    References:
        | Adversarial Variational Bayes (Mescheder et al., 2017), section 4 and its official code
        | https://arxiv.org/abs/1701.04722

    >>> Mixing(2, noise=16, basis=4)(torch.zeros(3, 10 + 16)).shape
    torch.Size([3, 2])
    """

    def __init__(self, latent: int, noise: int, basis: int) -> None:
        super().__init__()
        self.shape = (basis, latent)
        self.noise = noise
        self.basis = mlp(noise, self.shape, [128, 128], norm=False, activation=nn.ELU)

    def forward(self, rows: Tensor) -> Tensor:
        numbers, eta = rows[:, : -self.noise], rows[:, -self.noise :]
        latent = self.shape[1]
        mean, factors = numbers[:, :latent], numbers[:, latent:].unflatten(1, self.shape)
        return mean + (factors * self.basis(eta)).sum(1)


class Squares(nn.Module):
    """A network that sees the squares of the last columns too: the log-ratio of two normal laws is quadratic.

    Arguments:
        net: Maps (N, D + L) to whatever it makes.
        columns: The last L columns of D.

    >>> Squares(nn.Identity(), 1)(torch.tensor([[2.0, 3.0]]))
    tensor([[2., 3., 9.]])
    """

    def __init__(self, net: nn.Module, columns: int) -> None:
        super().__init__()
        self.net = net
        self.columns = columns

    def forward(self, rows: Tensor) -> Tensor:
        return self.net(torch.cat([rows, rows[:, -self.columns :].square()], dim=1))
