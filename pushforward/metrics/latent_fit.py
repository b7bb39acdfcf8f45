r"""Whether codes follow the prior: moments, marginals, radius, a kernel test, and what is behind a KL.

.. math:: E\,\mathrm{KL}(Q(Z \mid X), P_Z) = \mathrm{KL}(Q_Z, P_Z) + I(X; Z)

A VAE pays for the left side, a WAE for the first term on the right: mutual information is what a VAE
charges for codes that say something about the data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.costs import KL
from pushforward.discrepancies import IMQ, MMD
from pushforward.distributions import Distribution, Gaussian, Prior
from pushforward.errors import DataError
from pushforward.metrics.arrays import takes_arrays
from pushforward.metrics.precision_recall import prdc
from pushforward.rng import Noise

TEST_SIZES = (200, 1000)  # rows of each sample in the two-sample tests; their power grows with these
ACTIVE = 0.01  # of the prior's variance: a dimension whose centres vary less says nothing about the data
MI_ROWS = 5000  # rows of the mixture in the mutual information, whose cost grows with their square
HOLE_ROWS = 5000


@dataclass(frozen=True)
class LatentFit:
    """How far the codes of data are from draws of the prior.

    Attributes:
        mean: The largest absolute difference of the means over dimensions.
        covariance: The largest absolute difference of the covariances over pairs of dimensions.
        smallest_std: The smallest standard deviation of a dimension.
        marginal: The largest Kolmogorov-Smirnov distance over dimensions, in [0, 1].
        marginal_p: Its p-value, times the number of dimensions, at most 1.
        radius: The mean norm of a code; ``radius_prior`` that of a draw.
        radius_prior: See there.
        radius_distance: The Kolmogorov-Smirnov distance of both norms' distributions, in [0, 1].
        least_gaussian: How far mean and covariance are off in the plane where they are furthest
            (:func:`least_gaussian_plane`); ``least_gaussian_prior`` is what draws of the prior score.
        least_gaussian_prior: See there.
        prior_coverage: The share of the prior's draws that have a code among their five nearest draws'
            radius; ``prior_coverage_reference`` is what fresh draws reach. Less means holes, where the
            decoder never learnt.
        prior_coverage_reference: See there.
        active_units: Dimensions whose centres vary with the data, by more than 1 % of the prior's variance.
        inactive_units: The numbers of the others.
        mmd: Seven-scale MMD², U-statistic, over all rows; negative values are as good as 0.
        n_samples: Number of codes.
        tests: For each size of sample, ``n_samples`` and ``p_value``: the chance of an MMD² as large if
            codes followed the prior, by permutation.
        least_active_log_var: The mean log-variance, for Gaussian distributions, of the dimension whose
            centres vary least, in units of the prior: 0 where it holds the prior's noise; else None.
        kl: The mean KL of a code's distribution from the prior in nats, for Gaussian distributions; else
            None.
        mutual_information: The part of it that is I(X; Z), at most ``information_limit``.
        information_limit: The logarithm of the rows that it was estimated from.
        marginal_kl: The rest, KL(Q_Z, P_Z); None where the information is within a nat of its limit.
    """

    mean: float
    covariance: float
    smallest_std: float
    marginal: float
    marginal_p: float
    radius: float
    radius_prior: float
    radius_distance: float
    least_gaussian: float
    least_gaussian_prior: float
    prior_coverage: float | None
    prior_coverage_reference: float | None
    active_units: int
    inactive_units: tuple[int, ...]
    mmd: float
    n_samples: int
    tests: tuple[dict[str, float], ...]
    least_active_log_var: float | None = None
    kl: float | None = None
    mutual_information: float | None = None
    information_limit: float | None = None
    marginal_kl: float | None = None


@takes_arrays
def latent_fit(
    codes: Tensor,
    prior: Prior,
    seed: int = 0,
    test_sizes: Sequence[int] = TEST_SIZES,
    distributions: Distribution | None = None,
) -> LatentFit:
    """Compares codes (N, L) with as many draws of the prior.

    Each test takes so many codes at random. Its p-value is uniform if the codes follow the
    prior, so one run in twenty falls below 0.05 by chance; with enough codes, any network's
    differ from any prior, so a p-value means nothing without its size.

    Arguments:
        codes: One drawn code of every row.
        prior: What they should look like.
        seed: Which draws of the prior.
        test_sizes: Rows in each two-sample test.
        distributions: The codes' distributions, for active units and mutual information; else codes
            stand for them.

    Raises:
        DataError: If codes have another shape than those of the prior, or there are fewer than 2.

    References:
        | A Kernel Two-Sample Test (Gretton et al., 2012)
        | https://jmlr.org/papers/v13/gretton12a.html
    """
    if codes.ndim != 2 or codes.shape[1] != prior.latent_dim or len(codes) < 2:
        raise DataError(
            f"codes must have shape (N, {prior.latent_dim}) with N of at least 2, got {tuple(codes.shape)}"
        )
    from scipy.stats import ks_2samp

    noise = Noise(seed, "latent fit")
    rows = len(codes)
    given, fresh = (prior(rows).rsample(noise(stream)).detach().to(codes) for stream in ("prior", "fresh"))
    mmd = MMD(IMQ(prior.expected_sq_distance))
    order = noise("rows").permutation(rows)
    sizes = sorted({min(size, rows) for size in test_sizes if size > 1})
    marginals = [ks_2samp(*pair) for pair in zip(codes.T.numpy(), given.T.numpy(), strict=True)]
    norms, norms_given = (sample.norm(dim=1) for sample in (codes, given))
    few = order[:HOLE_ROWS]
    centers = codes if distributions is None else distributions.center.to(codes)
    # In units of the prior: a uniform distribution on a box and a sphere have variances below 1.
    active = centers.var(0, correction=0) > ACTIVE * prior.variance
    known = isinstance(distributions, Gaussian) and isinstance(prior(1), Gaussian)
    information = information_split(distributions, prior, noise) if known else None
    return LatentFit(
        mean=(codes.mean(0) - given.mean(0)).abs().max().item(),
        covariance=(codes.T.cov() - given.T.cov()).abs().max().item(),
        smallest_std=codes.std(0).min().item(),
        marginal=max(float(test.statistic) for test in marginals),
        marginal_p=min(1.0, len(marginals) * min(float(test.pvalue) for test in marginals)),
        radius=norms.mean().item(),
        radius_prior=norms_given.mean().item(),
        radius_distance=float(ks_2samp(norms.numpy(), norms_given.numpy()).statistic),
        least_gaussian=least_gaussian_plane(codes, given, noise)[1],
        least_gaussian_prior=least_gaussian_plane(fresh, given, noise)[1],
        prior_coverage=prdc(codes[few], given[few]).coverage if rows > 5 else None,
        prior_coverage_reference=prdc(fresh[few], given[few]).coverage if rows > 5 else None,
        active_units=int(active.sum()),
        inactive_units=tuple((~active).nonzero().flatten().tolist()),
        mmd=mmd(codes, given).item(),
        n_samples=rows,
        tests=tuple(
            {
                "n_samples": size,
                "p_value": permutation_test(mmd, codes[order[:size]], given[order[:size]], noise(size)),
            }
            for size in sizes
        ),
        least_active_log_var=_least_active(distributions, prior)
        if isinstance(distributions, Gaussian)
        else None,
        **(information or {}),
    )


def _least_active(distributions: Gaussian, prior: Prior) -> float:
    least = distributions.center.var(0, correction=0).argmin()
    return distributions.log_var.mean(0)[least].item() - math.log(prior.variance)


@takes_arrays
def least_gaussian_plane(
    codes: Tensor, given: Tensor, noise: Noise, restarts: int = 3
) -> tuple[Tensor, float]:
    r"""The plane in which the first two moments of codes and of draws of the prior differ most.

    .. math:: \max_{V^\top V = I_2}\; \|V^\top (\Sigma_Q - \Sigma_P) V\|_F^2 + \|V^\top (\mu_Q - \mu_P)\|^2

    by gradient ascent, from the best plane of the covariances alone and from random ones. With one
    latent dimension the plane is that line.

    Returns:
        The plane's axes (L, 2) and the maximum, 0 where all moments agree.

    References:
        | The official code of Wasserstein Auto-Encoders (Tolstikhin et al., 2018), ``least_gaussian_2d``
        | https://github.com/tolstikhin/wae
    """
    codes, given = codes.double(), given.double()
    gap = codes.T.cov().reshape(codes.shape[1], -1) - given.T.cov().reshape(codes.shape[1], -1)
    shift = codes.mean(0) - given.mean(0)
    axes = min(2, len(gap))

    def score(planes: Tensor) -> Tensor:
        covariance = (planes.mT @ gap @ planes).square().sum((-2, -1))
        return covariance + (planes.mT @ shift).square().sum(-1)

    values, vectors = torch.linalg.eigh(gap @ gap + torch.outer(shift, shift))
    best = vectors[:, values.argsort(descending=True)[:axes]]
    random = [noise("plane", i).normal(len(gap), axes).double() for i in range(restarts - 1)]
    with torch.inference_mode(False):
        gap, shift = gap.clone(), shift.clone()
        starts = torch.stack([best, *random])
        free = starts.clone().requires_grad_()  # all starts ascend at once, each by itself
        optimizer = torch.optim.Adam([free], lr=0.05)
        scale = 1e-12 + gap.square().sum() + shift.square().sum()
        for _ in range(150):
            free.grad = -_slope(free.detach(), gap, shift) / scale
            optimizer.step()
        found = torch.linalg.qr(torch.cat([starts, free.detach()])).Q
        scores = score(found)
        return found[scores.argmax()], scores.max().item()


def _slope(free: Tensor, gap: Tensor, shift: Tensor) -> Tensor:
    """The gradient of the score of the planes that the columns of ``free`` (restarts, L, 2) span.

    The score depends on the plane alone, so that only the part of its gradient across the plane counts; the
    factor R of the QR decomposition carries it from the axes to the columns. By hand it takes a third of
    the time of automatic differentiation.
    """
    axes, R = torch.linalg.qr(free)
    pulled = gap @ axes
    along = 4 * pulled @ (axes.mT @ pulled) + 2 * shift[:, None] * (shift @ axes)[..., None, :]
    across = along - axes @ (axes.mT @ along)
    return torch.linalg.solve_triangular(R, across.mT, upper=True).mT


def information_split(distributions: Distribution | None, prior: Prior, noise: Noise) -> dict[str, float]:
    r"""The KL that a VAE pays, split into mutual information and the mismatch of the codes' distribution.

    .. math:: I = E_x E_{z \sim q(z \mid x)} \left[\log q(z \mid x) - \log \frac1N \sum_i q(z \mid x_i)\right]

    for x uniform over the N rows, one draw of the code each; exactly that distribution's information on
    average, and at most :math:`\log N`. Within a nat of that limit N rows are too few to separate the two
    parts, and the mismatch is left out.

    References:
        | ELBO surgery: yet another way to carve up the variational evidence lower bound (Hoffman &
          Johnson, 2016), section 3
        | http://approximateinference.org/accepted/HoffmanJohnson2016.pdf
    """
    assert isinstance(distributions, Gaussian)
    rows = noise("mixture").permutation(len(distributions.center))[:MI_ROWS]
    distribution = Gaussian(
        distributions.center[rows].double().cpu(), distributions.log_var[rows].double().cpu()
    )
    z = distribution.rsample(noise("information"))
    own = distribution.log_prob(z)
    precision = (-distribution.log_var).exp()
    # log q(z_j | x_i) for all pairs, by matrix products
    level = (distribution.log_var + distribution.center.square() * precision + math.log(2 * math.pi)).sum(1)
    mixture = []
    for part in z.split(512):
        pairs = part.square() @ precision.T - 2 * part @ (distribution.center * precision).T + level
        mixture.append(torch.logsumexp(-pairs / 2, 1) - math.log(len(rows)))
    information = (own - torch.cat(mixture)).mean().item()
    p = prior(len(rows))
    assert isinstance(p, Gaussian)
    kl = KL()(
        distribution, Gaussian(p.center.to(distribution.center), p.log_var.to(distribution.center))
    ).item()
    found = {"kl": kl, "mutual_information": information, "information_limit": math.log(len(rows))}
    if information < found["information_limit"] - 1:
        found["marginal_kl"] = kl - information
    return found


@takes_arrays
def permutation_test(mmd: MMD, q: Tensor, p: Tensor, noise: Noise, permutations: int = 999) -> float:
    r"""The p-value of an MMD between two samples of equal size, by permuting who made which row.

    With :math:`s = \pm 1` for the two samples and K the kernel matrix without its diagonal, the
    statistic is :math:`s^\top K s` up to constants that a permutation does not change, so one
    matrix product serves all permutations.

    Arguments:
        mmd: Whose kernel is used, by the U-statistic whatever its estimator.
        q: The made sample (n, D).
        p: The given sample (n, D).
        noise: Where the permutations come from.
        permutations: Their number P.

    Returns:
        The p-value, from 1/(P + 1) to 1.

    Raises:
        DataError: If the samples differ in size, or have fewer than 2 rows.

    Example:
        >>> noise = Noise(0)
        >>> x, y = noise("x").normal(100, 2), noise("y").normal(100, 2)
        >>> mmd = MMD(IMQ(4.0))
        >>> permutation_test(mmd, x, y, noise) > 0.05, permutation_test(mmd, x, y + 1, noise)
        (True, 0.001)
    """
    n = len(q)
    if n < 2 or len(p) != n:
        raise DataError(f"two samples of one size, at least 2, are needed, got {n} and {len(p)} rows")
    pooled = torch.cat([q, p]).double()
    pooled = pooled - pooled.mean(0)
    kernel = mmd.kernel.gram(pooled, pooled).fill_diagonal_(0).float()
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
