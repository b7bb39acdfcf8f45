"""Adversarial discrepancies: each is a bound that a critic ascends and the model descends."""

from __future__ import annotations

from abc import abstractmethod

import torch.nn.functional as F
from torch import Tensor, nn

from pushforward.discrepancies.base import CriticDiscrepancy
from pushforward.discrepancies.constraints import Clipping, Constraint, GradientPenalty
from pushforward.discrepancies.registry import DiscrepancyContext, register_discrepancy
from pushforward.distributions import Gaussian, Prior
from pushforward.errors import ConfigError


class Adversarial(CriticDiscrepancy):
    r"""A bound :math:`B_T(Q, P)` on a divergence, tight for the best critic T.

    The critic ascends :math:`B_T(Q, P)`. The model descends it or, with the roles exchanged,
    descends :math:`-B_T(P, Q)`: the *non-saturating* form, which has the same equilibrium and
    keeps a gradient where the critic is confident. Both keep the term of the given sample, because
    that, too, may come out of a network.

    Arguments:
        critic: Maps (N, \*) to (N, 1) or (N,), unbounded.
        non_saturating: Whether the model descends the non-saturating form.
        n_critic: Updates of the critic for each update of the model.
        constraint: A gradient penalty or clipping.

    Raises:
        ConfigError: If ``n_critic`` is below 1, or the constraint cannot be put on this critic.
    """

    def __init__(
        self,
        critic: nn.Module,
        non_saturating: bool = True,
        n_critic: int = 1,
        constraint: Constraint | None = None,
    ) -> None:
        super().__init__(critic, n_critic, constraint)
        self.non_saturating = non_saturating

    def extra_repr(self) -> str:
        """The settings that ``repr`` shows."""
        return f"non_saturating={self.non_saturating}, {super().extra_repr()}"

    @property
    def boundary(self) -> float | None:
        """The best critic's value where both densities are equal; rows above it are taken for given ones.

        None of critics that only say how far apart the samples are.
        """
        return 0.0

    @abstractmethod
    def bound(self, Tq: Tensor, Tp: Tensor) -> Tensor:
        """The bound from the critic's values on both samples, shape ()."""

    def forward(self, q: Tensor, p: Tensor) -> Tensor:
        """The value that the model descends, a scalar."""
        if self.non_saturating:
            return -self.bound(self.critic(p), self.critic(q))
        return self.bound(self.critic(q), self.critic(p))

    def critic_objective(self, q: Tensor, p: Tensor) -> Tensor:
        """What the critic ascends, a scalar."""
        return self.bound(self.critic(q), self.critic(p))


class JensenShannon(Adversarial):
    r"""The discrepancy of GAN, AAE and WAE-GAN.

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
        >>> value = undecided.critic_objective(torch.ones(3, 2), torch.zeros(3, 2))
        >>> bool(value.isclose(torch.tensor(-math.log(4))))
        True
    """

    def bound(self, Tq: Tensor, Tp: Tensor) -> Tensor:
        """The two log-likelihoods of a classifier with logit T, whose maximum is 2 JS - log 4."""
        return -F.softplus(-Tp).mean() - F.softplus(Tq).mean()


class LeastSquares(Adversarial):
    r"""The discrepancy of LSGAN: the critic regresses made rows to a and given rows to b.

    .. math:: B_T(Q, P) = -\tfrac12 E_P (T - b)^2 - \tfrac12 E_Q (T - a)^2

    The model regresses its own values to c; with :math:`b - c = 1, b - a = 2` and the best critic
    :math:`T = (b p + a q) / (p + q)` it descends half of :math:`\int (2q - (p + q))^2 / (p + q)`, Pearson's
    :math:`\chi^2`. Where the given sample comes out of a network too, that pulls to the mirror image
    :math:`a + b - c`. In the saturating form the model descends the bound itself.

    Arguments:
        critic: Maps (N, \*) to (N, 1) or (N,), unbounded.
        targets: The numbers (a, b, c): (0, 1, 1), or (-1, 1, 0) for Pearson's.
        non_saturating: Whether the model regresses to c; else it descends the bound.
        n_critic: Updates of the critic for each update of the model.
        constraint: A gradient penalty or clipping.

    References:
        | Least Squares Generative Adversarial Networks (Mao et al., 2017), equations 2, 8 and 9
        | https://arxiv.org/abs/1611.04076

    Example:
        >>> import torch
        >>> home = LeastSquares(nn.Linear(2, 1).requires_grad_(False), (-1, 1, 0))
        >>> _ = home.critic.weight.zero_(), home.critic.bias.zero_()
        >>> x = torch.ones(3, 2)
        >>> home.critic_objective(x, x), home(x, x)
        (tensor(-1.), tensor(0.))
    """

    def __init__(
        self,
        critic: nn.Module,
        targets: tuple[float, float, float] = (0.0, 1.0, 1.0),
        non_saturating: bool = True,
        n_critic: int = 1,
        constraint: Constraint | None = None,
    ) -> None:
        super().__init__(critic, non_saturating, n_critic, constraint)
        a, b, _ = targets
        if a == b:
            raise ConfigError(f"the targets of made and given must differ, both are {a:g}")
        self.targets = targets

    def extra_repr(self) -> str:
        """The settings that ``repr`` shows."""
        return f"targets={self.targets}, {super().extra_repr()}"

    @property
    def boundary(self) -> float:
        """The middle of both targets."""
        a, b, _ = self.targets
        return (a + b) / 2

    def bound(self, Tq: Tensor, Tp: Tensor) -> Tensor:
        """Minus half the squared distances of T from its two targets."""
        a, b, _ = self.targets
        return -((Tp - b).square().mean() + (Tq - a).square().mean()) / 2

    def forward(self, q: Tensor, p: Tensor) -> Tensor:
        """The value that the model descends, a scalar."""
        if not self.non_saturating:
            return super().forward(q, p)
        a, b, c = self.targets
        Tq, Tp = self.critic(q), self.critic(p)
        return ((Tq - c).square().mean() + (Tp - (a + b - c)).square().mean()) / 2


class Wasserstein(Adversarial):
    r"""The dual of the transport distance.

    .. math:: B_T(Q, P) = E_P\, T - E_Q\, T \;\le\; K\, W_1(Q, P) \quad\text{for K-Lipschitz } T

    Without a constraint on the critic it has no supremum. Exchanging the roles changes nothing.

    Arguments:
        critic: Maps (N, \*) to (N, 1) or (N,), unbounded.
        constraint: A gradient penalty or clipping; None if the critic's layers do it, as spectral
            normalisation.
        n_critic: Updates of the critic for each update of the model.

    References:
        | Wasserstein GAN (Arjovsky et al., 2017), equation 2
        | https://arxiv.org/abs/1701.07875
    """

    def __init__(self, critic: nn.Module, constraint: Constraint | None = None, n_critic: int = 5) -> None:
        super().__init__(critic, False, n_critic, constraint)

    @property
    def boundary(self) -> None:
        """None, since a constant may be added to the critic."""
        return None

    def bound(self, Tq: Tensor, Tp: Tensor) -> Tensor:
        """The difference of the critic's means."""
        return Tp.mean() - Tq.mean()


class Hinge(Adversarial):
    r"""The hinge loss: the critic stops where it is right by a margin of 1; the model has no hinge.

    .. math:: B_T(Q, P) = -E_P (1 - T)_+ - E_Q (1 + T)_+, \qquad D_T(Q, P) = E_P\, T - E_Q\, T

    The best critic is :math:`\mathrm{sign}(p - q)`, so that :math:`B = -2 (1 - \mathrm{TV})` and D = 2 TV.

    References:
        | Geometric GAN (Lim & Ye, 2017), equations 13 and 14
        | https://arxiv.org/abs/1705.02894
    """

    def bound(self, Tq: Tensor, Tp: Tensor) -> Tensor:
        """Minus the two hinge losses of the critic."""
        return -F.relu(1 - Tp).mean() - F.relu(1 + Tq).mean()

    def forward(self, q: Tensor, p: Tensor) -> Tensor:
        """The value that the model descends, a scalar."""
        return self.critic(p).mean() - self.critic(q).mean()


class DensityRatio(JensenShannon):
    r"""The divergence :math:`\mathrm{KL}(Q, P) = E_Q \log q/p`, with the ratio taken from a critic.

    .. math:: D_T(Q, P) = -E_Q\, T \;=\; \mathrm{KL}(Q, P) \quad\text{for}\quad T = \log p/q

    It is no bound: a critic that is not the best one errs to either side. At the best one the model may move
    the sample and leave T alone, because :math:`E_Q \nabla \log q = 0` in the parameters of q.

    References:
        | Adversarial Variational Bayes (Mescheder et al., 2017), propositions 1 and 2
        | https://arxiv.org/abs/1701.04722
    """

    def forward(self, q: Tensor, p: Tensor) -> Tensor:
        """The value that the model descends, a scalar."""
        return -self.critic(q).mean()


@register_discrepancy("js")
def _(context: DiscrepancyContext) -> JensenShannon:
    return JensenShannon(context.critic(), context.non_saturating, context.n_critic)


@register_discrepancy("ls")
def _(context: DiscrepancyContext) -> LeastSquares:
    return LeastSquares(context.critic(), non_saturating=context.non_saturating, n_critic=context.n_critic)


@register_discrepancy("hinge")
def _(context: DiscrepancyContext) -> Hinge:
    return Hinge(context.critic(), n_critic=context.n_critic)


@register_discrepancy("w1")
def _(context: DiscrepancyContext) -> Wasserstein:
    return Wasserstein(context.critic(), GradientPenalty(context.gp_weight), context.n_critic)


@register_discrepancy("w1-clip")
def _(context: DiscrepancyContext) -> Wasserstein:
    return Wasserstein(context.critic(), Clipping(context.weight_clip), context.n_critic)


class LogPriorCritic(nn.Module):
    r"""A critic of codes with the prior's log-density added to its output: :math:`T(z) = h(z) + \log p_Z(z)`.

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
        """The critic's output plus the log-density of the prior, (N, 1)."""
        p = self.prior(len(z))
        if not isinstance(p, Gaussian):
            raise ConfigError(f"LogPriorCritic needs a normal prior, got {self.prior}")
        return self.net(z).view(len(z), 1) + p.log_prob(z).unsqueeze(-1)
