r"""Kernels, and their sums over all pairs of rows of two samples.

References:
    | Wasserstein Auto-Encoders (Tolstikhin et al., 2018), section 4, for the inverse multiquadric
    | https://arxiv.org/abs/1711.01558
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from pushforward.discrepancies.pair_sums import Memory, PairSum, Weights
from pushforward.errors import ConfigError, check_int
from pushforward.networks.precision import InFloat32
from pushforward.torch_state import widest

SEVEN = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
TILE = 512  # rows of a block of the kernel matrix
FUSED = 8192  # rows of a whole matrix: a compiler would write out a loop over blocks


class Kernel(InFloat32, ABC):
    """A positive definite function of two rows."""

    @abstractmethod
    def gram(self, x: Tensor, y: Tensor) -> Tensor:
        """The values at all pairs of rows of ``x`` (N, D) and ``y`` (M, D), shape (N, M)."""

    @abstractmethod
    def diagonal(self, x: Tensor) -> Tensor:
        """The values of every row with itself, shape (N,)."""

    def sum(self, x: Tensor, y: Tensor) -> Tensor:
        """The sum over all pairs, shape (), tile by tile, in the widest dtype of the device."""
        tile = FUSED if torch.compiler.is_compiling() else TILE
        if torch.compiler.is_compiling() and max(len(x), len(y)) > tile:
            torch._dynamo.graph_break()  # which ends the attempt to compile
        of_x = x.split(tile)
        of_y = of_x if x is y else y.split(tile)
        wide = widest(x.device)
        zero = torch.zeros((), dtype=wide, device=x.device)
        return sum((self.gram(a, b).sum(dtype=wide) for a in of_x for b in of_y), zero)

    def weighted_sum(
        self, x: Tensor, y: Tensor, weights: Weights, fast: bool = True, dtype: torch.dtype | None = None
    ) -> Tensor:
        """The sum over pairs within x, from x to y and within y, with a weight each, shape ().

        Arguments:
            x: A sample (N, D).
            y: Another sample (M, D).
            weights: The factors.
            fast: Whether the sum may be formed without a second derivative, where that is faster.
            dtype: That of the result; by default that of the rows.
        """
        total = weights.across * self.sum(x, y)
        for rows, weight in ((x, weights.within_x), (y, weights.within_y)):
            own = 0.0 if weights.own_pairs else self.diagonal(rows).sum(dtype=total.dtype)
            total = total + weight * (self.sum(rows, rows) - own)
        return total.to(dtype or x.dtype)


class Radial(Kernel):
    """A kernel of the squared distance: ``kernel(squares)``, elementwise."""

    peak: float  # the value at distance 0

    @abstractmethod
    def forward(self, squares: Tensor) -> Tensor:
        """The kernel of squared distances, elementwise: of any shape, and of the same shape."""

    @abstractmethod
    def value_and_slope(
        self, squares: Tensor, memory: Memory, with_slope: bool = True
    ) -> tuple[Tensor, Tensor | None]:
        """The kernel of squared distances (N, M) and, if asked for, its derivative, both of their shape.

        Neither has a graph: the fast sum forms its gradient from them. ``memory`` is where both, and whatever
        leads to them, can be written without asking for new memory in each block.
        """

    def gaussians(self) -> tuple[list[float], list[float]]:
        r"""The weights :math:`w_j` and rates :math:`a_j` of :math:`k = \sum_j w_j e^{-a_j r^2}`.

        Raises:
            ConfigError: If the kernel is not known to be such a sum.
        """
        raise ConfigError(f"{type(self).__name__} has no known form as a sum of Gaussian kernels")

    def gram(self, x: Tensor, y: Tensor) -> Tensor:
        """The kernel of every row of ``x`` (N, D) with every row of ``y`` (M, D), shape (N, M).

        If both are one tensor, the distance of a row to itself is exactly 0.
        """
        squares = squared_distances(x, y)
        if x is y:
            squares = squares * (1 - torch.eye(len(x), dtype=x.dtype, device=x.device))
        return self(squares)

    def diagonal(self, x: Tensor) -> Tensor:
        """The kernel of every row with itself, shape (N,): the peak."""
        return x.new_full((len(x),), self.peak)

    def weighted_sum(
        self, x: Tensor, y: Tensor, weights: Weights, fast: bool = True, dtype: torch.dtype | None = None
    ) -> Tensor:
        """The sum over pairs within x, from x to y and within y, with a weight each, shape ()."""
        if fast and not torch.compiler.is_compiling():  # a compiler makes one pass of the readable form
            return PairSum.apply(x, y, self, weights, dtype or x.dtype)  # type: ignore[no-untyped-call]
        middle = torch.cat([x, y]).detach().mean(0)  # products are exact to rounding only near 0
        return super().weighted_sum(x - middle, y - middle, weights, fast, dtype)


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

    def value_and_slope(
        self, squares: Tensor, memory: Memory, with_slope: bool = True
    ) -> tuple[Tensor, Tensor | None]:
        """The kernel of squared distances (N, M) and its derivative, from all scales at once."""
        C = constants(tuple(s * self.C for s in self.scales), squares.dtype, squares.device)
        terms = memory("terms", len(C), *squares.shape)
        torch.add(squares, C.view(-1, 1, 1), out=terms).reciprocal_()
        value = _combine(terms, C, memory("value", *squares.shape))
        if not with_slope:
            return value, None
        return value, _combine(terms.mul_(terms), -C, memory("slope", *squares.shape))

    def gaussians(self) -> tuple[list[float], list[float]]:
        r"""The weights :math:`w_j` and rates :math:`a_j` of a sum of Gaussian kernels that is this kernel.

        .. math:: \frac{C}{C + r^2} = \int C\,a\,e^{-a C} e^{-a r^2}\,d\log a

        by the trapezoidal rule in :math:`\log a`, whose error is near 1e-9 at this step; the ends leave out
        1e-8 of each scale.
        """
        constants = [s * self.C for s in self.scales]
        low, high, step = math.log(1e-8 / max(constants)), math.log(30 / min(constants)), 0.45
        rates = [math.exp(low + step * i) for i in range(math.ceil((high - low) / step) + 1)]
        return [step * sum(C * a * math.exp(-a * C) for C in constants) for a in rates], rates


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

    def value_and_slope(
        self, squares: Tensor, memory: Memory, with_slope: bool = True
    ) -> tuple[Tensor, Tensor | None]:
        """The kernel of squared distances (N, M) and its derivative, from all bandwidths at once."""
        rates = constants(tuple(-1 / (2 * h * h) for h in self.bandwidths), squares.dtype, squares.device)
        terms = memory("terms", len(rates), *squares.shape)
        torch.mul(squares, rates.view(-1, 1, 1), out=terms).exp_()
        value = torch.sum(terms, 0, out=memory("value", *squares.shape))
        return value, _combine(terms, rates, memory("slope", *squares.shape)) if with_slope else None

    def gaussians(self) -> tuple[list[float], list[float]]:
        """The weights and rates of the Gaussian kernels: 1 and 1/2h² for each bandwidth."""
        return [1.0] * len(self.bandwidths), [1 / (2 * h * h) for h in self.bandwidths]


@lru_cache(maxsize=64)
def constants(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Numbers as a tensor, copied to a device once: a copy waits for all that the device has still to do."""
    return torch.tensor(values, dtype=dtype, device=device)


def _combine(terms: Tensor, weights: Tensor, out: Tensor) -> Tensor:
    """Writes the sum over S of terms (S, N, M) with weights (S,) to ``out`` (N, M)."""
    torch.mv(terms.flatten(1).T, weights, out=out.view(-1))
    return out


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """All squared distances (N, M) between the rows of ``x`` (N, D) and ``y`` (M, D), never negative.

    By one matrix product; exact to rounding only where the rows are centred near 0.
    """
    return torch.addmm(x.square().sum(1, keepdim=True) + y.square().sum(1), x, y.T, alpha=-2).clamp_min(0)
