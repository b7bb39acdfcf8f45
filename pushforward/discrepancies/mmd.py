r"""The maximum mean discrepancy (MMD).

.. math:: \mathrm{MMD}^2(Q, P) = E\,k(q, q') - 2\,E\,k(q, p) + E\,k(p, p')

References:
    | A Kernel Two-Sample Test (Gretton et al., 2012), lemma 6
    | https://jmlr.org/papers/v13/gretton12a.html
    | Wasserstein Auto-Encoders (Tolstikhin et al., 2018), algorithm 2
    | https://arxiv.org/abs/1711.01558
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from pushforward.discrepancies.base import Discrepancy
from pushforward.discrepancies.kernel import IMQ, GaussianKernel, Kernel, Radial
from pushforward.discrepancies.pair_sums import Weights
from pushforward.discrepancies.registry import DiscrepancyContext, register_discrepancy
from pushforward.distributed import gather_replicated
from pushforward.errors import ConfigError, nearest
from pushforward.wording import option_name


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
            q, p = gather_replicated(q.flatten(1), p.flatten(1))
            q, p = (sample if sample.dtype == torch.float64 else sample.float() for sample in (q, p))
            return self.kernel.weighted_sum(q, p, self.weights(len(q), len(p)), self.fast)

    def within(self, x: Tensor) -> Tensor:
        """The mean of the kernel over pairs of one sample, shape ()."""
        weights = self.weights(len(x), len(x))._replace(across=0.0, within_y=0.0)
        return self.kernel.weighted_sum(x, x[:0], weights, self.fast)

    def weights(self, n: int, m: int) -> Weights:
        """The factors of pairs of rows, of samples of n and m.

        Raises:
            ConfigError: If a U-statistic is asked for and a sample has a single row.
        """
        unbiased = int(self.estimator == "u")
        if unbiased and min(n, m) < 2:
            raise ConfigError(
                f"the U-statistic needs at least 2 samples in a batch, got {min(n, m)}; or use "
                f"{option_name('estimator', 'v')}"
            )
        return Weights(1 / (n * (n - unbiased)), -2 / (n * m), 1 / (m * (m - unbiased)), not unbiased)


KERNELS: dict[str, Callable[[float], Radial]] = {
    "imq": IMQ,
    "gaussian": lambda scale: GaussianKernel([math.sqrt(scale / 2)]),
}
"""Kernels by name, as functions of the expected squared distance of two draws of the given distribution."""


def kernel_of(context: DiscrepancyContext) -> Radial:
    """The kernel that a context names.

    Raises:
        ConfigError: If there is none of this name.
    """
    if context.kernel not in KERNELS:
        raise ConfigError(f"unknown kernel {context.kernel!r}: {nearest(context.kernel, KERNELS)}")
    return KERNELS[context.kernel](context.scale)


@register_discrepancy("mmd")
def _(context: DiscrepancyContext) -> MMD:
    return MMD(kernel_of(context), context.estimator)  # type: ignore[arg-type]
