"""MMD whose kernel is learnt: a critic learns features in which the samples differ most."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pushforward.costs import SquaredError
from pushforward.discrepancies.base import CriticDiscrepancy, Discrepancy
from pushforward.discrepancies.constraints import Constraint
from pushforward.discrepancies.kernel import Kernel
from pushforward.discrepancies.mmd import MMD
from pushforward.distributed import all_gather, gather_replicated, gathered
from pushforward.errors import ConfigError


class SquareRoot(Discrepancy):
    r"""The root :math:`\sqrt{D + \varepsilon} - \sqrt\varepsilon` of a discrepancy that is at least 0.

    Its slope stays where a squared distance flattens out; the constant keeps it finite at 0. An estimate
    below 0 counts as 0, and has no gradient.

    Arguments:
        square: The discrepancy D, such as MMD² by its V-statistic.
        eps: The constant.

    References:
        | Generative Moment Matching Networks (Li et al., 2015), section 4
        | https://arxiv.org/abs/1502.02761
    """

    def __init__(self, square: Discrepancy, eps: float = 1e-8) -> None:
        super().__init__()
        if not eps > 0:
            raise ConfigError(f"eps must be above 0, got {eps}")
        self.square = square
        self.eps = eps

    def forward(self, q: Tensor, p: Tensor) -> Tensor:
        """The square root of the inner discrepancy."""
        q, p = gather_replicated(q, p)
        with gathered():  # a mean over processes of squares would have another root
            return (self.square(q, p).relu() + self.eps).sqrt() - self.eps**0.5


class DeepKernelMMD(CriticDiscrepancy):
    r"""MMD of features that a critic makes as different as possible: the discrepancy of MMD-GAN.

    .. math:: B_f(Q, P) = M_f - o\, h_f - \tfrac{b}{d}\,\big(E_P + E_Q\big) \|x - g(f(x))\|^2, \qquad
        D_f(Q, P) = M_f - o\, h_f, \qquad M_f = \mathrm{MMD}_k(f_\# Q, f_\# P)

    with :math:`h_f` the mean over features of :math:`(\bar f(q) - \bar f(p))_+`, which keeps given features
    above made ones. A decoder g keeps f injective, without which the features' MMD is no distance.

    Arguments:
        critic: The features f, from (N, \*) to (N, M).
        kernel: Compares features.
        decoder: g, from (N, M) back to (N, \*); None for features that are not decoded.
        back: The factor b of the decoder's squared error, which is a mean over the d features of the data.
        order: The factor o of the order of means.
        estimator: "v" is never below 0; "u" is unbiased, and then the root of ``root`` makes no sense.
        root: Whether M is MMD rather than MMD².
        n_critic: Updates of the critic for each update of the model.
        constraint: A constraint on the features: clipping in the paper. A gradient penalty is one on the
            *witness* :math:`t \mapsto E\,k(f(t), f(p)) - E\,k(f(t), f(q))`.

    Raises:
        ConfigError: If a factor is below 0, or the constraint cannot be put on these features.

    References:
        | MMD GAN: Towards Deeper Understanding of Moment Matching Network (Li et al., 2017), equation 5
        | https://arxiv.org/abs/1705.08584
        | Demystifying MMD GANs (Bińkowski et al., 2018), section 2.1, for the penalty on the witness
        | https://arxiv.org/abs/1801.01401
    """

    def __init__(
        self,
        critic: nn.Module,
        kernel: Kernel,
        decoder: nn.Module | None = None,
        back: float = 8.0,
        order: float = 16.0,
        estimator: Literal["u", "v"] = "v",
        root: bool = True,
        n_critic: int = 5,
        constraint: Constraint | None = None,
    ) -> None:
        super().__init__(critic, n_critic, constraint)
        for name, value in (("back", back), ("order", order)):
            if not value >= 0:
                raise ConfigError(f"{name} must be at least 0, got {value}")
        self.decoder = decoder
        square = MMD(kernel, estimator)
        self.distance = SquareRoot(square) if root else square
        self.cost = SquaredError()
        self.back = back
        self.order = order

    def extra_repr(self) -> str:
        """The settings that ``repr`` shows."""
        return f"back={self.back:g}, order={self.order:g}, {super().extra_repr()}"

    @property
    def kernel(self) -> Kernel:
        """The kernel between features."""
        square = self.distance.square if isinstance(self.distance, SquareRoot) else self.distance
        assert isinstance(square, MMD)
        return square.kernel

    def compare(self, fq: Tensor, fp: Tensor) -> Tensor:
        """The discrepancy of the features, shape ()."""
        fq, fp = gather_replicated(fq, fp)
        disorder = F.relu(fq.mean(0) - fp.mean(0)).mean() if self.order else fq.new_zeros(())
        with gathered():
            return self.distance(fq, fp) - self.order * disorder

    def forward(self, q: Tensor, p: Tensor) -> Tensor:
        """The MMD of two samples in the network's features, a scalar."""
        return self.compare(self.critic(q), self.critic(p))

    def critic_objective(self, q: Tensor, p: Tensor) -> Tensor:
        """What the critic ascends, a scalar."""
        fq, fp = self.critic(q), self.critic(p)
        value = self.compare(fq, fp)
        if self.decoder is None:
            return value
        lost = self.cost(self.decoder(fq), q) + self.cost(self.decoder(fp), p)
        return value - self.back * lost / q[0].numel()

    def witness(self, q: Tensor, p: Tensor) -> Callable[[Tensor], Tensor]:
        """The function whose means differ most between the two samples, of the kernel as it is."""

        def gap(t: Tensor) -> Tensor:
            fq, fp = all_gather(torch.cat([self.critic(q), self.critic(p)], 1)).chunk(2, 1)
            ft = self.critic(t)
            return self.kernel.gram(ft, fp).mean(1) - self.kernel.gram(ft, fq).mean(1)

        return gap


__all__ = ["DeepKernelMMD", "SquareRoot"]
