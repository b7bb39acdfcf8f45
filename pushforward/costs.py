r"""Costs: comparisons of made and given rows, one by one.

A cost sums over the features of a row and averages over the batch. It also says what a
decoder's output *stands for* (:meth:`Cost.point`): the data themselves for most costs, the
logits of the pixels for :class:`Bernoulli`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pushforward.distributed import gather_replicated
from pushforward.distributions import Distribution, Gaussian
from pushforward.errors import ConfigError
from pushforward.networks.precision import InFloat32
from pushforward.rng import Noise
from pushforward.torch_state import to_like


class Cost(InFloat32, ABC):
    """The cost of every row, ``cost.rows(made, given)``, and its mean, ``cost(made, given)``.

    Shapes: ``made`` and ``given`` (N, \\*), rows (N,), the mean ().
    """

    logits = False  # whether a decoder of data in [0, 1] should end without a sigmoid
    likelihood = False  # whether the cost is a negative log-likelihood in nats

    @abstractmethod
    def rows(self, made: Tensor, given: Tensor) -> Tensor:
        """The cost of every row, summed over features, shape (N,)."""

    def forward(self, made: Tensor, given: Tensor) -> Tensor:
        """The mean cost of the batch, shape (); ``made`` and ``given`` have one shape, (N, \\*)."""
        return self.rows(made, given).mean()

    def point(self, made: Tensor) -> Tensor:
        """The data (N, \\*) that a decoder's output (N, \\*) stands for; here the output itself."""
        return made

    def sample(self, made: Tensor, noise: Noise) -> Tensor:
        """The data (N, \\*) of samples; by default without noise, :meth:`point`."""
        return self.point(made)


class SquaredError(Cost):
    r""":math:`\|x - \hat x\|^2`, the cost of W2 and of every experiment of the WAE paper.

    >>> SquaredError()(torch.zeros(2, 3), torch.ones(2, 3))
    tensor(3.)
    """

    def rows(self, made: Tensor, given: Tensor) -> Tensor:
        """The squared error of every row, shape (N,)."""
        return (made - given).square().flatten(1).sum(dim=1)


class L2(Cost):
    r""":math:`\sqrt{\|x - \hat x\|^2 + 10^{-8}}`, the cost of W1, its slope finite at 0."""

    def rows(self, made: Tensor, given: Tensor) -> Tensor:
        """The Euclidean distance of every row from its counterpart, shape (N,), at least 1e-4."""
        return ((made - given).square().flatten(1).sum(dim=1) + 1e-8).sqrt()


class L1(Cost):
    r""":math:`\sum_j |x_j - \hat x_j|`."""

    def rows(self, made: Tensor, given: Tensor) -> Tensor:
        """The sum of absolute errors of every row, shape (N,)."""
        return (made - given).abs().flatten(1).sum(dim=1)


class Bernoulli(Cost):
    r"""The negative log-likelihood of pixels in [0, 1] under a Bernoulli distribution, in nats.

    .. math:: -\log p(x \mid z) = \sum_j \mathrm{softplus}(l_j) - x_j l_j

    with the *logits* l as made. Of grey pixels it is a pseudo-likelihood: its minimum is the
    entropy of the pixels, not 0.

    >>> Bernoulli()(torch.zeros(1, 2), torch.ones(1, 2)) / math.log(2)
    tensor(2.)
    """

    logits = True
    likelihood = True

    def rows(self, made: Tensor, given: Tensor) -> Tensor:
        """The negative log-likelihood of every row in nats, shape (N,), from logits and pixels in [0, 1]."""
        return F.binary_cross_entropy_with_logits(made, given, reduction="none").flatten(1).sum(dim=1)

    def point(self, made: Tensor) -> Tensor:
        """The probabilities, in [0, 1], of logits (N, \\*)."""
        return made.sigmoid()

    def guided(self, made: Tensor, away: Tensor, guidance_scale: float) -> Tensor:
        r"""The logits of the normalised product :math:`p^s \tilde p^{1-s}`, from the logits of both, (N, \*).

        Arguments:
            made: The logits of p.
            away: The logits of :math:`\tilde p`.
            guidance_scale: The power s: 1 for p itself; above 1 p is exaggerated.
        """
        return torch.lerp(away, made, guidance_scale)


class GaussianLikelihood(Cost):
    r"""The negative log-likelihood of real data under :math:`N(\hat x, s^2 I)`, in nats.

    .. math:: \sum_j \frac{(x_j - \hat x_j)^2}{2 s^2} + \frac12 \log 2\pi s^2

    With :math:`s^2 = 1/2` it is the squared error plus a constant. A learnt deviation is kept
    above ``least`` smoothly: on constant pixels the likelihood is unbounded as s falls to 0.

    Arguments:
        std: The deviation s, or its first value if learnt.
        learnt: Whether s is a parameter, one for all features.
        least: What a learnt s stays above.

    Raises:
        ConfigError: If ``std`` or ``least`` is not above 0, or a learnt ``std`` not above ``least``.
    """

    likelihood = True

    def __init__(self, std: float = math.sqrt(0.5), learnt: bool = False, least: float = 0.01) -> None:
        super().__init__()
        if not std > 0 or not least > 0 or (learnt and not std > least):
            raise ConfigError(f"std must be above 0 (learnt: above least = {least}), got {std}")
        self.least = least
        # The inverse of softplus; log(expm1(y)) would overflow from y = 710 on.
        above = std - least
        excess = torch.tensor(above + math.log(-math.expm1(-above)) if learnt else std)
        self.excess: Tensor
        self.learnt = learnt
        if learnt:
            self.excess = nn.Parameter(excess)
        else:
            self.register_buffer("excess", excess)

    def extra_repr(self) -> str:
        """The settings that ``repr`` shows."""
        return f"std={self.std.item():.3g}, learnt={self.learnt}"

    @property
    def std(self) -> Tensor:
        """The deviation s, shape ()."""
        return self.least + F.softplus(self.excess) if self.learnt else self.excess

    def rows(self, made: Tensor, given: Tensor) -> Tensor:
        """The negative log-likelihood of every row in nats, shape (N,); it may be below 0."""
        squares = ((made - given) / self.std).square() + 2 * self.std.log() + math.log(2 * math.pi)
        return 0.5 * squares.flatten(1).sum(dim=1)

    def sample(self, made: Tensor, noise: Noise) -> Tensor:
        """Draws of the likelihood, of vectors (N, D) with a learnt deviation; else the means.

        Means alone vary less than the data, by what the deviation has learnt. Of images they are what is
        usually shown: noise that is independent in every pixel is no part of a photograph.
        """
        if not self.learnt or made.ndim > 2:
            return made
        return made + self.std * to_like(noise.normal(*made.shape), made)


class Tokens(Cost):
    r"""The negative log-likelihood of lines under the decoder's distribution, in nats.

    .. math:: -\log p(x \mid z) = -\sum_t \log p(x_t \mid x_{<t}, z)

    Made are distributions of lines (:class:`~pushforward.text.distribution.TokenDistribution`), given are
    tokens (N, T); padding costs nothing. Their point is the line that is most likely token by token.
    """

    likelihood = True

    def rows(self, made: Any, given: Tensor) -> Tensor:
        """The negative log-likelihood of every line in nats, shape (N,); ``given`` are tokens (N, T)."""
        return -made.log_prob(given)

    def point(self, made: Any) -> Tensor:
        """The lines (N, T) of the distributions that take the most probable next token at each place."""
        return made.greedy()

    def guided(self, made: Any, away: Any, guidance_scale: float) -> Any:
        """The distribution of lines that the scale moves away from ``away``: see
        :class:`~pushforward.text.distribution.Guided`."""
        return made.guided(away, guidance_scale)


class Columns(Cost):
    r"""The negative log-likelihood of rows of a table under the decoder's distribution, in nats.

    .. math:: -\log p(x \mid z) = -\sum_j \log p(x_j \mid x_{<j}, z)

    Made are distributions of rows (:class:`~pushforward.tables.distribution.TableDistribution`), given are
    cells (N, C). Their point has the most probable cell of each column; samples are drawn from the
    distributions.
    """

    likelihood = True

    def rows(self, made: Any, given: Tensor) -> Tensor:
        """The negative log-likelihood of every row in nats, shape (N,); ``given`` are cells (N, C)."""
        return -made.log_prob(given)

    def point(self, made: Any) -> Tensor:
        """The rows (N, C) of the distributions that have the most probable cell of each column."""
        return made.greedy()

    def sample(self, made: Any, noise: Noise) -> Tensor:
        """One row (N, C) drawn from each of the distributions."""
        return made.sample(noise)


class KL(InFloat32):
    r"""The divergence of each code's distribution from the prior, averaged over the batch, in nats.

    .. math:: \mathrm{KL}(q \,\|\, p) = \tfrac12 \sum_j \left( \frac{\sigma_j^2 + (\mu_j - m_j)^2}{s_j^2}
        - 1 - \log \frac{\sigma_j^2}{s_j^2} \right)

    It takes the place of a discrepancy but compares *distributions*, code by code, and so is
    a cost: :math:`E_x\,\mathrm{KL}(q(Z \mid x), p) = \mathrm{KL}(Q_Z, p) + I(X; Z)`.

    With ``free`` above 0 the mean over a batch counts each dimension as at least so many nats,
    :math:`\sum_j \max(E_x \mathrm{KL}_j, f)`: up to there information costs nothing.

    Arguments:
        free: Free nats f of each dimension.

    Raises:
        ConfigError: If ``free`` is negative; when called, if a distribution is not Gaussian.

    References:
        | Auto-Encoding Variational Bayes (Kingma & Welling, 2014), appendix B
        | https://arxiv.org/abs/1312.6114
        | Improved Variational Inference with Inverse Autoregressive Flow (Kingma et al., 2016), appendix C.8
        | https://arxiv.org/abs/1606.04934

    Example:
        >>> zero, one = torch.zeros(1, 1), torch.ones(1, 1)
        >>> KL()(Gaussian(one, zero), Gaussian(zero, zero))
        tensor(0.5000)
    """

    def __init__(self, free: float = 0.0) -> None:
        super().__init__()
        if not 0 <= free < math.inf:
            raise ConfigError(f"free must be at least 0 nats, got {free}")
        self.free = free

    def extra_repr(self) -> str:
        """The settings that ``repr`` shows."""
        return f"free={self.free:g}" if self.free else ""

    def rows(self, q: Distribution, p: Distribution) -> Tensor:
        """The divergence of every row in nats, shape (N,), free nats apart."""
        return self.dimensions(q, p).sum(dim=-1)

    def dimensions(self, q: Distribution, p: Distribution) -> Tensor:
        """The divergence of every dimension of every row in nats, shape (N, L), free nats apart."""
        if not isinstance(q, Gaussian) or not isinstance(p, Gaussian):
            raise ConfigError(
                "KL needs a Gaussian encoder and a normal prior, "
                f"got {type(q).__name__} codes and a {type(p).__name__} prior"
            )
        ratio = q.log_var - p.log_var
        squares = (q.center - p.center).square() * (-p.log_var).exp()
        return 0.5 * (ratio.exp() + squares - 1 - ratio)

    def forward(self, q: Distribution, p: Distribution) -> Tensor:
        """The mean divergence over the batch in nats, shape (), with free nats if there are any."""
        if self.free:
            (nats,) = gather_replicated(self.dimensions(q, p))
            return nats.mean(0).clamp_min(self.free).sum()
        return self.rows(q, p).mean()


# Costs by name.
COSTS: dict[str, Callable[[], Cost]] = {
    "squared": SquaredError,
    "l2": L2,
    "l1": L1,
    "bernoulli": Bernoulli,
    "gaussian": GaussianLikelihood,
    "gaussian-learnt": lambda: GaussianLikelihood(learnt=True),
    "tokens": Tokens,
    "columns": Columns,
}
