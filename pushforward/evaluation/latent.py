"""Whether codes follow the prior: moments, and a kernel two-sample test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.discrepancies import IMQ, MMD
from pushforward.discrepancies.kernel import squared_distances
from pushforward.distributions import Prior
from pushforward.randomness import Noise

TEST_SIZES = (200, 1000)  # rows of each sample in the two-sample tests; their power grows with these


@dataclass(frozen=True)
class LatentFit:
    """How far the codes of data are from draws of the prior.

    Attributes:
        mean: The largest absolute difference of the means over dimensions.
        covariance: The largest absolute difference of the covariances over pairs of dimensions.
        smallest_std: The smallest standard deviation of a dimension.
        mmd: Seven-scale MMD², U-statistic, over all rows; negative values are as good as 0.
        rows: How many codes that was.
        tests: For each size of sample, ``rows`` and ``p_value``: the chance of an MMD² as large if
            codes followed the prior, by permutation.
    """

    mean: float
    covariance: float
    smallest_std: float
    mmd: float
    rows: int
    tests: tuple[dict[str, float], ...]


def latent_fit(
    codes: Tensor, prior: Prior, seed: int = 0, test_sizes: Sequence[int] = TEST_SIZES
) -> LatentFit:
    """Compares codes (N, L) with as many draws of the prior.

    Each test takes so many codes at random. Its p-value is uniform if the codes follow the
    prior, so one run in twenty falls below 0.05 by chance; with enough codes, any network's
    differ from any prior, so a p-value means nothing without its size.

    References:
        | A Kernel Two-Sample Test (Gretton et al., 2012)
        | https://jmlr.org/papers/v13/gretton12a.html
    """
    noise = Noise(seed, "latent fit")
    rows = len(codes)
    given = prior(rows).rsample(noise("prior")).to(codes)
    mmd = MMD(IMQ(prior.spread))
    order = noise("rows").permutation(rows)
    sizes = sorted({min(size, rows) for size in test_sizes})
    return LatentFit(
        mean=(codes.mean(0) - given.mean(0)).abs().max().item(),
        covariance=(codes.T.cov() - given.T.cov()).abs().max().item(),
        smallest_std=codes.std(0).min().item(),
        mmd=mmd(codes, given).item(),
        rows=rows,
        tests=tuple(
            {
                "rows": size,
                "p_value": permutation_test(mmd, codes[order[:size]], given[order[:size]], noise(size)),
            }
            for size in sizes
        ),
    )


def permutation_test(mmd: MMD, q: Tensor, p: Tensor, noise: Noise, permutations: int = 999) -> float:
    r"""The p-value of an MMD between two samples of equal size, by permuting who made which row.

    With :math:`s = \pm 1` for the two samples and K the kernel matrix without its diagonal, the
    statistic is :math:`s^\top K s` up to constants that a permutation does not change, so one
    matrix product serves all permutations.

    Example:
        >>> noise = Noise(0)
        >>> x, y = noise("x").normal(100, 2), noise("y").normal(100, 2)
        >>> mmd = MMD(IMQ(4.0))
        >>> permutation_test(mmd, x, y, noise) > 0.05, permutation_test(mmd, x, y + 1, noise)
        (True, 0.001)
    """
    n = len(q)
    pooled = torch.cat([q, p]).double()
    pooled = pooled - pooled.mean(0)
    kernel = mmd.kernel(squared_distances(pooled, pooled)).fill_diagonal_(0).float()
    sides = torch.ones(permutations + 1, 2 * n)
    for i in range(permutations + 1):
        made = noise(i).permutation(2 * n)[:n] if i else torch.arange(n)
        sides[i, made] = -1
    # For n rows each, the U-statistic weighs pairs inside by 1/n(n-1) and across by -1/n²: the
    # sum of K splits into inside and across, and s'Ks is their difference.
    difference = ((sides @ kernel) * sides).sum(1).double()
    whole = kernel.sum(dtype=torch.float64)
    inside, across = (whole + difference) / 2, (whole - difference) / 2
    statistics = inside / (n * (n - 1)) - across / n**2
    return ((statistics[1:] >= statistics[0]).sum().item() + 1) / (permutations + 1)
