r"""The maximum mean discrepancy (MMD) and its kernels.

.. math:: \mathrm{MMD}^2(Q, P) = E\,k(q, q') - 2\,E\,k(q, p) + E\,k(p, p')

References:
    | A Kernel Two-Sample Test (Gretton et al., 2012), lemma 6
    | https://jmlr.org/papers/v13/gretton12a.html
    | Wasserstein Auto-Encoders (Tolstikhin et al., 2018), algorithm 2
    | https://arxiv.org/abs/1711.01558
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pushforward.discrepancies.base import Discrepancy
from pushforward.discrepancies.registry import DiscrepancyContext, register_discrepancy
from pushforward.distributed import all_gather
from pushforward.errors import ConfigError, check_int, nearest
from pushforward.wording import option_name

SEVEN = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
TILE = 512  # rows of a block of the kernel matrix


class Kernel(nn.Module, ABC):
    """A positive definite function of two rows."""

    shift_invariant = False  # whether moving both rows alike leaves the value as it is

    @abstractmethod
    def gram(self, x: Tensor, y: Tensor) -> Tensor:
        """The values at all pairs of rows of ``x`` (N, D) and ``y`` (M, D), shape (N, M)."""

    @abstractmethod
    def diagonal(self, x: Tensor) -> Tensor:
        """The values of every row with itself, shape (N,)."""

    def sum(self, x: Tensor, y: Tensor) -> Tensor:
        """The sum over all pairs, a float64 of shape (), tile by tile."""
        tiles = ((a, b) for a in x.split(TILE) for b in y.split(TILE))
        zero = torch.zeros((), dtype=torch.float64, device=x.device)
        return sum((self.gram(a, b).sum(dtype=torch.float64) for a, b in tiles), zero)


class Radial(Kernel):
    """A kernel of the squared distance: ``kernel(squares)``, elementwise."""

    shift_invariant = True
    peak: float  # the value at distance 0

    @abstractmethod
    def forward(self, squares: Tensor) -> Tensor:
        """The kernel of squared distances, elementwise: of any shape, and of the same shape."""

    @abstractmethod
    def value_and_slope(self, squares: Tensor) -> tuple[Tensor, Tensor]:
        """The kernel of squared distances and its derivative with respect to them, both of their shape.

        Neither has a graph: the fast sum forms its gradient from them.
        """

    def gram(self, x: Tensor, y: Tensor) -> Tensor:
        """The kernel of every row of ``x`` (N, D) with every row of ``y`` (M, D), shape (N, M).

        If both are one tensor, the distance of a row to itself is exactly 0.
        """
        squares = squared_distances(x, y)
        if x is y:
            squares = squares * (1 - torch.eye(len(x)).to(x))
        return self(squares)

    def diagonal(self, x: Tensor) -> Tensor:
        """The kernel of every row with itself, shape (N,): the peak."""
        return x.new_full((len(x),), self.peak)

    def sum(self, x: Tensor, y: Tensor) -> Tensor:
        """The sum over all pairs of rows, a float64 of shape (), with its gradient but no second one."""
        return _RadialSum.apply(x, y, self)  # type: ignore[no-untyped-call]


class Polynomial(Kernel):
    r"""The polynomial kernel :math:`(x \cdot y / D + 1)^m`, which sees the first m moments alone.

    MMD² with m = 3 on features of images is the kernel Inception distance.

    Arguments:
        degree: The power m.

    References:
        | Demystifying MMD GANs (Bińkowski et al., 2018), section 4
        | https://arxiv.org/abs/1801.01401

    Example:
        >>> Polynomial().gram(torch.ones(1, 4), torch.ones(1, 4))
        tensor([[8.]])
    """

    def __init__(self, degree: int = 3) -> None:
        super().__init__()
        self.degree = check_int("degree", degree, least=1)

    def extra_repr(self) -> str:
        """The settings that ``repr`` shows."""
        return f"degree={self.degree}"

    def gram(self, x: Tensor, y: Tensor) -> Tensor:
        """The kernel of every row of ``x`` (N, D) with every row of ``y`` (M, D), shape (N, M)."""
        return torch.addmm(x.new_ones(()), x, y.T, alpha=1 / x.shape[1]) ** self.degree

    def diagonal(self, x: Tensor) -> Tensor:
        """The kernel of every row with itself, shape (N,)."""
        return (x.square().mean(1) + 1) ** self.degree


class IMQ(Radial):
    r"""The inverse multiquadric, summed over scales: :math:`\sum_s C_s / (C_s + r^2)`, :math:`C_s = s\,C`.

    Its tail falls as :math:`1/r^2`, so that codes far out still have a gradient; that of a
    Gaussian kernel vanishes there.

    Arguments:
        C: The base constant: the expected squared distance of two draws of the prior,
            :math:`2 d \sigma^2` for :math:`N(0, \sigma^2 I_d)`.
        scales: The scales s. The WAE paper prints one kernel; its code sums these seven.

    Raises:
        ConfigError: If C or a scale is not above 0.

    Example:
        >>> IMQ(4.0, scales=[1.0])(torch.tensor([0.0, 4.0]))
        tensor([1.0000, 0.5000])
    """

    def __init__(self, C: float, scales: Sequence[float] = SEVEN) -> None:
        super().__init__()
        if not C > 0 or not scales or not min(scales) > 0:
            raise ConfigError(f"C and scales must be above 0, got C = {C}, scales = {tuple(scales)}")
        self.C = C
        self.scales = tuple(scales)
        self.peak = float(len(self.scales))

    def extra_repr(self) -> str:
        """The settings that ``repr`` shows."""
        return f"C={self.C:g}, scales={self.scales}"

    def forward(self, squares: Tensor) -> Tensor:
        """The sum over scales of the kernel of squared distances, elementwise."""
        return sum((s * self.C / (s * self.C + squares) for s in self.scales), torch.zeros_like(squares))

    def value_and_slope(self, squares: Tensor) -> tuple[Tensor, Tensor]:
        """The kernel of squared distances and its derivative with respect to them, elementwise."""
        value, slope = torch.zeros_like(squares), torch.zeros_like(squares)
        term = torch.empty_like(squares)
        for C in (s * self.C for s in self.scales):
            torch.add(squares, C, out=term).reciprocal_().mul_(C)
            value.add_(term)
            slope.addcmul_(term, term, value=-1 / C)
        return value, slope


class GaussianKernel(Radial):
    r"""The Gaussian kernel, summed over bandwidths h: :math:`\sum_h \exp(-r^2 / 2h^2)`.

    Arguments:
        bandwidths: The standard deviations h, in the units of the rows.

    Raises:
        ConfigError: If there is none, or one is not above 0.

    Example:
        >>> GaussianKernel([1.0])(torch.tensor([0.0, 2.0]))
        tensor([1.0000, 0.3679])
    """

    def __init__(self, bandwidths: Sequence[float]) -> None:
        super().__init__()
        if not bandwidths or not min(bandwidths) > 0:
            raise ConfigError(f"bandwidths must be above 0, got {tuple(bandwidths)}")
        self.bandwidths = tuple(bandwidths)
        self.peak = float(len(self.bandwidths))

    def extra_repr(self) -> str:
        """The settings that ``repr`` shows."""
        return f"bandwidths={self.bandwidths}"

    def forward(self, squares: Tensor) -> Tensor:
        """The sum over bandwidths of the kernel of squared distances, elementwise."""
        return sum(((-squares / (2 * h * h)).exp() for h in self.bandwidths), torch.zeros_like(squares))

    def value_and_slope(self, squares: Tensor) -> tuple[Tensor, Tensor]:
        """The kernel of squared distances and its derivative with respect to them, elementwise."""
        value, slope = torch.zeros_like(squares), torch.zeros_like(squares)
        term = torch.empty_like(squares)
        for rate in (1 / (2 * h * h) for h in self.bandwidths):
            torch.mul(squares, -rate, out=term).exp_()
            value.add_(term)
            slope.sub_(term, alpha=rate)
        return value, slope


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """All squared distances (N, M) between the rows of ``x`` (N, D) and ``y`` (M, D), never negative.

    By one matrix product; exact to rounding only where the rows are centred near 0.
    """
    return torch.addmm(x.square().sum(1, keepdim=True) + y.square().sum(1), x, y.T, alpha=-2).clamp_min(0)


class MMD(Discrepancy):
    r"""The squared maximum mean discrepancy of two samples.

    .. math:: \frac{1}{n(n-1)} \sum_{l \ne j} k(q_l, q_j) - \frac{2}{nm} \sum_{l, j} k(q_l, p_j)
        + \frac{1}{m(m-1)} \sum_{l \ne j} k(p_l, p_j)

    is the U-statistic: unbiased, and so *negative about half the time* when both samples have
    one distribution. The V-statistic keeps the pairs :math:`l = j` and divides by :math:`n^2, m^2`; it
    is never negative and, for two samples of n rows of one distribution, exceeds the truth by
    :math:`\frac{2}{n}(E\,k(q, q) - E\,k(q, q'))` on average.

    Arguments:
        kernel: A function of two rows.
        estimator: ``"u"`` or ``"v"``: the U- or the V-statistic.
        fast: Whether value and gradient are formed in one pass over tiles, without keeping
            an N x N matrix. It has no second derivative; ``fast=False`` has, and is the
            readable form that the fast one is tested against.

    Example:
        >>> mmd = MMD(IMQ(4.0))
        >>> x = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
        >>> bool(mmd(x[:250], x[250:]).abs() < 0.05), bool(mmd(x[:250] + 3, x[250:]) > 0.5)
        (True, True)
    """

    def __init__(self, kernel: Kernel, estimator: Literal["u", "v"] = "u", fast: bool = True) -> None:
        super().__init__()
        if estimator not in ("u", "v"):
            raise ConfigError(f"{option_name('estimator')} must be 'u' or 'v', got {estimator!r}")
        self.kernel = kernel
        self.estimator = estimator
        self.fast = fast

    def extra_repr(self) -> str:
        """The settings that ``repr`` shows."""
        return f"estimator={self.estimator!r}"

    def forward(self, q: Tensor, p: Tensor) -> Tensor:
        """The squared MMD of ``q`` (N, \\*) and ``p`` (M, \\*), shape (), over the rows of all processes.

        Raises:
            ConfigError: If a U-statistic is asked for and a sample has a single row.
        """
        with torch.autocast(q.device.type, enabled=False):  # bfloat16 distances are wrong by 100 %
            q, p = (all_gather(sample.flatten(1)) for sample in (q, p))
            q, p = (sample if sample.dtype == torch.float64 else sample.float() for sample in (q, p))
            if self.kernel.shift_invariant:  # matrix products are exact to rounding only near 0
                middle = torch.cat([q, p]).detach().mean(0)
                q, p = q - middle, p - middle
            across = self.sum(q, p) / (len(q) * len(p))
            return (self.within(q) + self.within(p) - 2 * across).to(q.dtype)

    def within(self, x: Tensor) -> Tensor:
        """The mean of the kernel over pairs of one sample, a float64 of shape ()."""
        n = len(x)
        if self.estimator == "v":
            return self.sum(x, x) / n**2
        if n < 2:
            raise ConfigError(
                f"the U-statistic needs at least 2 samples in a batch, got {n}; or use "
                f"{option_name('estimator', 'v')}"
            )
        return (self.sum(x, x) - self.kernel.diagonal(x).sum(dtype=torch.float64)) / (n * (n - 1))

    def sum(self, x: Tensor, y: Tensor) -> Tensor:
        """The sum of the kernel over all pairs, a float64 of shape ()."""
        return self.kernel.sum(x, y) if self.fast else self.kernel.gram(x, y).sum(dtype=torch.float64)


KERNELS: dict[str, Callable[[float], Kernel]] = {
    "imq": IMQ,
    "gaussian": lambda scale: GaussianKernel([math.sqrt(scale / 2)]),
}
"""Kernels by name, as functions of the expected squared distance of two draws of the given distribution."""


@register_discrepancy("mmd")
def _(context: DiscrepancyContext) -> MMD:
    if context.kernel not in KERNELS:
        raise ConfigError(f"unknown kernel {context.kernel!r}: {nearest(context.kernel, KERNELS)}")
    return MMD(KERNELS[context.kernel](context.scale), context.estimator)  # type: ignore[arg-type]


class _RadialSum(torch.autograd.Function):
    r"""The sum of a kernel over all pairs, and its gradient formed in the same pass over tiles.

    With :math:`W = k'(D)`, :math:`\partial_x = 2 (W 1 \odot x - W y)`.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, kernel: Radial) -> Tensor:
        one = x is y
        wanted = any(ctx.needs_input_grad[:2])
        total = torch.zeros((), dtype=torch.float64, device=x.device)
        dx = torch.zeros_like(x) if wanted else x
        dy = dx if one else torch.zeros_like(y) if wanted else y
        for i in range(0, len(x), TILE):
            a = x[i : i + TILE]
            for j in range(0, len(y), TILE):
                b = y[j : j + TILE]
                squares = squared_distances(a, b)
                if one and i == j:
                    squares.fill_diagonal_(0)
                if not wanted:
                    total += kernel(squares).sum(dtype=torch.float64)
                    continue
                value, slope = kernel.value_and_slope(squares)
                total += value.sum(dtype=torch.float64)
                dx[i : i + TILE] += 2 * (slope.sum(1, keepdim=True) * a - slope @ b)
                dy[j : j + TILE] += 2 * (slope.sum(0).unsqueeze(1) * b - slope.T @ a)
        ctx.save_for_backward(dx, dy)
        ctx.one = one
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        if torch.is_grad_enabled():  # create_graph: the second derivative would be 0 without a word
            raise NotImplementedError("the fast MMD has no second derivative; use MMD(..., fast=False)")
        dx, dy = ctx.saved_tensors
        # One sample against itself: dx already holds both sides, so the other must add nothing.
        return grad * dx, None if ctx.one else grad * dy, None
