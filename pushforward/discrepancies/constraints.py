"""Constraints on a critic: penalties, and sets that its parameters must stay in."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import is_parametrized

from pushforward.errors import ConfigError
from pushforward.rng import Noise
from pushforward.torch_state import to_like

Critic = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Constraint:
    """A penalty on a critic, a set that it must stay in, or both; the base class is neither."""

    def validate(self, critic: nn.Module) -> None:
        """Checks a critic before training.

        Raises:
            ConfigError: If the constraint does not apply to it.
        """

    def penalties(self, critic: Critic, q: Tensor, p: Tensor, noise: Noise) -> dict[str, Tensor]:
        """The penalties, by name, each of shape ()."""
        return {}

    def project(self, critic: nn.Module) -> None:
        """Projects the critic's parameters to the allowed set, after each of its updates."""


@dataclass(frozen=True)
class GradientPenalty(Constraint):
    r"""Penalises gradients of the critic whose norm is not ``slope``, between the samples.

    .. math:: \lambda\, E_{\hat x} \big(\|\nabla T(\hat x)\|_2 - s\big)^2,
        \qquad \hat x = \alpha q + (1 - \alpha) p, \quad \alpha \sim U[0, 1]

    The norm is that of each row's own gradient, over all its features: a norm over the whole batch asks for
    another slope at every batch size. For the same reason the critic must not mix rows.

    The supremum of the penalised bound is not W1: between point masses at a distance r it is
    :math:`r + r^2 / 4 \lambda`.

    Attributes:
        weight: The factor :math:`\lambda`.
        slope: The norm s that is aimed at: 1 for W1; 0 keeps the critic flat (R1 has it at the data alone).
        one_sided: Whether smaller norms cost nothing.

    Raises:
        ConfigError: If the weight is not above 0, or the critic has a BatchNorm.

    References:
        | Improved Training of Wasserstein GANs (Gulrajani et al., 2017), equation 3
        | https://arxiv.org/abs/1704.00028
    """

    weight: float = 10.0
    slope: float = 1.0
    one_sided: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.weight < math.inf:
            raise ConfigError(f"the penalty's weight must be above 0, got {self.weight}")
        if not 0 <= self.slope < math.inf:
            raise ConfigError(f"the slope must be at least 0, got {self.slope}")

    def validate(self, critic: nn.Module) -> None:
        """Refuses a critic that the constraint cannot hold."""
        if any(isinstance(module, _BatchNorm) for module in critic.modules()):
            raise ConfigError(
                "a gradient penalty is on each row's own gradient, and BatchNorm makes a critic's value "
                "at one row depend on the others: use LayerNorm or none in the critic"
            )

    def penalties(self, critic: Critic, q: Tensor, p: Tensor, noise: Noise) -> dict[str, Tensor]:
        """The mean squared excess of the critic's gradient norm over 1, between the samples."""
        rows = min(len(q), len(p))
        q, p = q[:rows].detach(), p[:rows].detach()
        alpha = to_like(noise.uniform(rows), p).view(-1, *[1] * (p.ndim - 1))
        slopes = gradients_at(critic, torch.lerp(p, q, alpha))
        excess = torch.linalg.vector_norm(slopes.flatten(1), dim=1) - self.slope
        if self.one_sided:
            excess = excess.relu()
        return {"penalty": self.weight * excess.square().mean()}


def gradients_at(critic: Critic, rows: Tensor) -> Tensor:
    """The gradient of a critic at each of its rows (N, \\*), of the same shape, which can be differentiated.

    >>> gradients_at(lambda x: x.square().sum(1), torch.tensor([[1.0, 2.0], [0.0, -3.0]])).tolist()
    [[2.0, 4.0], [0.0, -6.0]]
    """
    if torch.compiler.is_compiling():  # torch.compile follows this form alone
        return torch.func.grad(lambda rows: critic(rows).sum())(rows)
    rows = rows.detach().requires_grad_()
    with torch.enable_grad():
        # A critic that does not depend on its rows has slope 0, and no path to them.
        total = critic(rows).sum() + 0 * rows.sum()
        (gradients,) = torch.autograd.grad(total, rows, create_graph=True)
    return gradients


@dataclass(frozen=True)
class Clipping(Constraint):
    r"""Keeps every parameter of the critic in :math:`[-c, c]`.

    It bounds the slope, but nobody knows by how much, and pulls critics towards simple functions: the bound
    then estimates K times W1, K unknown.

    Attributes:
        limit: The bound c.

    References:
        | Wasserstein GAN (Arjovsky et al., 2017), algorithm 1
        | https://arxiv.org/abs/1701.07875
    """

    limit: float = 0.01

    def __post_init__(self) -> None:
        if not 0 < self.limit < math.inf:
            raise ConfigError(f"the limit of clipping must be above 0, got {self.limit}")

    @torch.no_grad()
    def project(self, critic: nn.Module) -> None:
        """Clips every parameter of the critic to the limit."""
        for parameter in critic.parameters():
            parameter.clamp_(-self.limit, self.limit)


def spectral(critic: nn.Module) -> nn.Module:
    """The critic with every linear and convolutional layer divided by its largest singular value.

    Layers that are 1-Lipschitz, with activations that are, make a critic that is; of a convolution it is the
    value of its matrix of filters. One power iteration at each call follows the weights.

    References:
        | Spectral Normalization for Generative Adversarial Networks (Miyato et al., 2018), algorithm 1
        | https://arxiv.org/abs/1802.05957

    Example:
        >>> _ = torch.manual_seed(0)
        >>> layer = spectral(nn.Linear(3, 5))
        >>> for _ in range(50): _ = layer(torch.zeros(1, 3))
        >>> torch.linalg.matrix_norm(layer.weight, 2).round(decimals=3)
        tensor(1., grad_fn=...)
    """
    for module in list(critic.modules()):
        layer = isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)
        if layer and not is_parametrized(module, "weight"):  # a critic that is handed back has been here
            spectral_norm(module)
    return critic


__all__ = ["Clipping", "Constraint", "GradientPenalty", "spectral"]
