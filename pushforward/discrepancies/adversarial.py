"""Discrepancies learnt by a critic: each is a bound that the critic climbs and the model descends."""

from __future__ import annotations

from abc import abstractmethod

import torch.nn.functional as F
from torch import Tensor, nn

from pushforward.discrepancies.base import Discrepancy
from pushforward.distributions import Gaussian, Prior
from pushforward.errors import ConfigError


class Adversarial(Discrepancy):
    r"""A bound :math:`B_T(Q, P)` on a divergence, tight for the best critic T.

    The critic ascends :math:`B_T(Q, P)`. The model descends it or, with the roles exchanged,
    descends :math:`-B_T(P, Q)`: the *non-saturating* form, which has the same equilibrium and
    keeps a slope where the critic is sure. Both keep the term of the given sample, because
    that, too, may come out of a network.

    Arguments:
        critic: Maps (N, \*) to (N, 1) or (N,), unbounded.
        exchange: Whether the model plays with the roles exchanged.
        turns: Updates of the critic for each update of the model.
    """

    def __init__(self, critic: nn.Module, exchange: bool = True, turns: int = 1) -> None:
        super().__init__()
        if turns < 1:
            raise ConfigError(f"turns must be at least 1, got {turns}")
        self.critic = critic
        self.exchange = exchange
        self.turns = turns

    def extra_repr(self) -> str:
        return f"exchange={self.exchange}, turns={self.turns}"

    @abstractmethod
    def bound(self, Tq: Tensor, Tp: Tensor) -> Tensor:
        """The bound from the critic's values on both samples, shape ()."""

    def forward(self, q: Tensor, p: Tensor) -> Tensor:
        if self.exchange:
            return -self.bound(self.critic(p), self.critic(q))
        return self.bound(self.critic(q), self.critic(p))

    def advantage(self, q: Tensor, p: Tensor) -> Tensor:
        return self.bound(self.critic(q), self.critic(p))


class JensenShannon(Adversarial):
    r"""The game of GAN, AAE and WAE-GAN.

    .. math:: B_T(Q, P) = E_P \log \sigma(T) + E_Q \log(1 - \sigma(T))
        \;\le\; 2\,\mathrm{JS}(Q, P) - \log 4

    with equality for :math:`T = \log p/q`.

    References:
        | Generative Adversarial Nets (Goodfellow et al., 2014), equation 1, theorem 1, and section 3
          for the exchange of roles
        | https://arxiv.org/abs/1406.2661
        | Wasserstein Auto-Encoders (Tolstikhin et al., 2018), algorithm 1
        | https://arxiv.org/abs/1711.01558

    Example:
        >>> import math, torch
        >>> undecided = JensenShannon(nn.Linear(2, 1).requires_grad_(False))
        >>> _ = undecided.critic.weight.zero_(), undecided.critic.bias.zero_()
        >>> bool(undecided.advantage(torch.ones(3, 2), torch.zeros(3, 2)).isclose(torch.tensor(-math.log(4))))
        True
    """

    def bound(self, Tq: Tensor, Tp: Tensor) -> Tensor:
        return -F.softplus(-Tp).mean() - F.softplus(Tq).mean()


class DensityRatio(JensenShannon):
    r"""The divergence :math:`\mathrm{KL}(Q, P) = E_Q \log q/p`, the ratio read off the critic of a JS game.

    .. math:: D_T(Q, P) = -E_Q\, T \;=\; \mathrm{KL}(Q, P) \quad\text{for}\quad T = \log p/q

    It is no bound: a critic that is not the best one errs to either side. At the best one the model may move
    the sample and leave T alone, because :math:`E_Q \nabla \log q = 0` in the parameters of q.

    References:
        | Adversarial Variational Bayes (Mescheder et al., 2017), propositions 1 and 2
        | https://arxiv.org/abs/1701.04722
    """

    def forward(self, q: Tensor, p: Tensor) -> Tensor:
        return -self.critic(q).mean()


class PriorDensity(nn.Module):
    r"""A critic of codes that is told the prior: :math:`T(z) = h(z) + \log p_Z(z)`.

    The best logit is :math:`\log p_Z - \log q_Z`, so that the network h has only
    :math:`-\log q_Z` to learn.

    Arguments:
        net: The network h, maps (N, L) to (N, 1).
        prior: A prior with a density.

    References:
        | The official code of Wasserstein Auto-Encoders (Tolstikhin et al., 2018), ``gan_p_trick``,
          whose logits broadcast to (N, N) by mistake
        | https://github.com/tolstikhin/wae
    """

    def __init__(self, net: nn.Module, prior: Prior) -> None:
        super().__init__()
        self.net = net
        self.prior = prior

    def forward(self, z: Tensor) -> Tensor:
        p = self.prior(len(z))
        if not isinstance(p, Gaussian):
            raise ConfigError(f"the critic can be told the density of a normal prior only, got {self.prior}")
        return self.net(z).view(len(z), 1) + p.log_prob(z).unsqueeze(-1)
