r"""f-divergences by their variational bound: the table as data.

.. math:: D_f(P \| Q) = E_Q\, f(p/q) \;\ge\; E_P\, T - E_Q\, f^*(T), \qquad T^* = f'(p/q)

References:
    | f-GAN: Training Generative Neural Samplers using Variational Divergence Minimization
      (Nowozin et al., 2016), tables 1, 2 and 5
    | https://arxiv.org/abs/1606.00709
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pushforward.discrepancies.adversarial import Adversarial
from pushforward.discrepancies.constraints import Constraint
from pushforward.discrepancies.registry import DiscrepancyContext, register_discrepancy
from pushforward.errors import ConfigError, nearest

LINEAR = 30.0  # logits beyond which exponentials go on as lines
LOG2 = math.log(2)

Map = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Row:
    """One divergence.

    Attributes:
        f: The convex function of the ratio u = p/q, with f(1) = 0 unless ``at_one`` says otherwise.
        conjugate: Its conjugate f*(t), the supremum of ut - f(u) over u > 0.
        activation: g, which makes T = g(v), in the domain of f*, of any logit v; increasing.
        conjugate_of_activation: f*(g(v)) in a form that loses no digits.
        optimum: The logit of the best critic as a function of log p/q.
        threshold: f'(1): critics above it classify a row as given.
        at_one: f(1): the value when both distributions are equal.
        exponential: Whether ``activation`` or ``conjugate_of_activation`` grows like an exponential, which
            float32 does not hold for logits of 100.
    """

    f: Map
    conjugate: Map
    activation: Map
    conjugate_of_activation: Map
    optimum: Map
    threshold: float
    at_one: float = 0.0
    exponential: bool = True


ROWS: dict[str, Row] = {
    "kl": Row(
        f=lambda u: u * u.log(),
        conjugate=lambda t: (t - 1).exp(),
        activation=lambda v: v,
        conjugate_of_activation=lambda v: (v - 1).exp(),
        optimum=lambda r: 1 + r,
        threshold=1.0,
    ),
    "reverse-kl": Row(
        f=lambda u: -u.log(),
        conjugate=lambda t: -1 - (-t).log(),
        activation=lambda v: -(-v).exp(),
        conjugate_of_activation=lambda v: v - 1,
        optimum=lambda r: r,
        threshold=-1.0,
    ),
    "pearson": Row(
        f=lambda u: (u - 1).square(),
        # below -2 the supremum lies at u = 0; the table's t²/4 + t would rise again
        conjugate=lambda t: torch.where(t < -2, -1.0, t.square() / 4 + t),
        activation=lambda v: v,
        conjugate_of_activation=lambda v: torch.where(v < -2, -1.0, v.square() / 4 + v),
        optimum=lambda r: 2 * r.expm1(),
        threshold=0.0,
        exponential=False,
    ),
    "squared-hellinger": Row(
        f=lambda u: (u.sqrt() - 1).square(),
        conjugate=lambda t: t / (1 - t),
        activation=lambda v: -(-v).expm1(),
        conjugate_of_activation=lambda v: v.expm1(),
        optimum=lambda r: r / 2,
        threshold=0.0,
    ),
    "jensen-shannon": Row(  # twice the JS of the textbooks
        f=lambda u: u * u.log() - (u + 1) * ((u + 1) / 2).log(),
        conjugate=lambda t: -(2 - t.exp()).log(),
        activation=lambda v: LOG2 - F.softplus(-v),
        conjugate_of_activation=lambda v: F.softplus(v) - LOG2,
        optimum=lambda r: r,
        threshold=0.0,
    ),
    "gan": Row(  # 2 JS - log 4
        f=lambda u: u * u.log() - (u + 1) * (u + 1).log(),
        conjugate=lambda t: -torch.log1p(-t.exp()),
        activation=lambda v: -F.softplus(-v),
        conjugate_of_activation=lambda v: F.softplus(v),
        optimum=lambda r: r,
        threshold=-LOG2,
        at_one=-2 * LOG2,
    ),
}


def soft_clip(v: Tensor) -> Tensor:
    """Logits that grow logarithmically beyond 30, so that their exponentials grow linearly.

    Any function of the rows may be a critic, so the bound stays one; float32 stays finite.

    >>> soft_clip(torch.tensor([-3.0, 30.0, 100.0])).round(decimals=3)
    tensor([-3.0000, 30.0000, 34.2630])
    """
    over = v.abs() - LINEAR
    return torch.where(over > 0, v.sign() * (LINEAR + over.clamp_min(0).log1p()), v)


class FDivergence(Adversarial):
    r"""The variational bound on :math:`D_f(P \| Q)`.

    .. math:: B_V(Q, P) = E_P\, g(V) - E_Q\, f^*(g(V))

    Unlike the divergence the order of the arguments is that of the library, made first: "kl" is
    :math:`\mathrm{KL}(P \| Q)`, of the data from the model.

    Arguments:
        critic: Maps (N, \*) to (N, 1) or (N,), unbounded: the logits V.
        divergence: A name in :data:`ROWS`, or a row of your own.
        non_saturating: Whether the model descends the non-saturating form,
            :math:`-E_Q\, g(V)`, as in the paper's practical form.
        n_critic: Updates of the critic for each update of the model.
        constraint: A gradient penalty or clipping.

    Raises:
        ConfigError: If there is no such divergence.

    References:
        | f-GAN (Nowozin et al., 2016), equation 6 and table 2
        | https://arxiv.org/abs/1606.00709

    Example:
        >>> even = FDivergence(nn.Linear(2, 1).requires_grad_(False), "pearson")
        >>> _ = even.critic.weight.zero_(), even.critic.bias.zero_()
        >>> even.critic_objective(torch.ones(3, 2), torch.zeros(3, 2))
        tensor(0.)
    """

    def __init__(
        self,
        critic: nn.Module,
        divergence: str | Row = "kl",
        non_saturating: bool = True,
        n_critic: int = 1,
        constraint: Constraint | None = None,
    ) -> None:
        super().__init__(critic, non_saturating, n_critic, constraint)
        if isinstance(divergence, str) and divergence not in ROWS:
            raise ConfigError(f"unknown divergence {divergence!r}: {nearest(divergence, ROWS)}")
        self.name = divergence if isinstance(divergence, str) else "own"
        self.row = ROWS[divergence] if isinstance(divergence, str) else divergence

    def extra_repr(self) -> str:
        """The settings that ``repr`` shows."""
        return f"{self.name}, {super().extra_repr()}"

    @property
    def boundary(self) -> float:
        """The best logit where the log-ratio of the densities is 0."""
        return self.row.optimum(torch.zeros(())).item()

    def bound(self, Tq: Tensor, Tp: Tensor) -> Tensor:
        """The mean of g_f(T) over q less the mean of the conjugate f* of it over p."""
        row = self.row
        if row.exponential:
            Tq, Tp = soft_clip(Tq), soft_clip(Tp)
        return row.activation(Tp).mean() - row.conjugate_of_activation(Tq).mean()


def _register(name: str) -> None:
    @register_discrepancy(f"f-{name}")
    def _(context: DiscrepancyContext) -> FDivergence:
        return FDivergence(context.critic(), name, context.non_saturating, context.n_critic)


for _name in ROWS:
    _register(_name)


__all__ = ["ROWS", "FDivergence", "Row", "soft_clip"]
