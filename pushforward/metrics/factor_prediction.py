"""Scores of classifiers that tell which factor a group of rows shares: beta-VAE and FactorVAE."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import check_int
from pushforward.metrics.arrays import takes_arrays
from pushforward.metrics.factors import (
    BLOCK,
    INACTIVE_STD,
    Groups,
    active_dimensions,
    checked_table,
    split_rows,
    standardised,
)
from pushforward.rng import Noise


@takes_arrays
def beta_vae_score(
    codes: Tensor, factors: Tensor, seed: int = 0, pairs: int = 64, train: int = 10_000, evaluate: int = 5_000
) -> float:
    r"""How well a linear classifier tells which factor two rows share, from :math:`E\,|z - z'|`.

    A point is the mean over pairs of distinct rows, each pair with one value of the factor. Factors
    have equally many points. Two independent factors of one distribution, rotated by 45°, cannot be
    distinguished: the accuracy on them is 1/2.

    Arguments:
        codes: Shape (N, L).
        factors: Shape (N, K), whole numbers; K of at least 2.
        pairs: Pairs in a point; the score grows with it.
        train, evaluate: Points that fit the classifier, and that evaluate it, over all factors; the
            table is halved for the two.

    Returns:
        The accuracy, in [0, 1]; chance is 1/K.

    References:
        | beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework
        | (Higgins et al., 2017), section 3
        | https://openreview.net/forum?id=Sy2fzU9gl

    Example:
        >>> factors = torch.cartesian_prod(torch.arange(4), torch.arange(4)).repeat(4, 1)
        >>> beta_vae_score(factors.flip(1) * 3.0, factors)
        1.0
    """
    from sklearn.linear_model import LogisticRegression

    z, v = checked_table(codes, factors, least=2)
    z, K = standardised(z), v.shape[1]
    pairs, train, evaluate = (
        check_int("pairs", pairs, 1),
        check_int("train", train, 1),
        check_int("evaluate", evaluate, 1),
    )
    noise = Noise(seed, "beta-VAE score")

    def points(rows: Tensor, count: int, noise: Noise) -> Tensor:
        found = []
        for k in range(K):
            group = Groups.of(v[:, k], rows, k)
            for start in range(0, count, BLOCK):
                one, other = group.pairs(min(BLOCK, count - start), pairs, noise(k).rows(start))
                found.append((z[one] - z[other]).abs().mean(1))
        return torch.cat(found)

    fit, held_out = split_rows(v, len(v), len(v), noise)
    shares = [-(-count // K) for count in (train, evaluate)]
    truth = [torch.arange(K).repeat_interleave(share).numpy() for share in shares]
    classifier = LogisticRegression(max_iter=1000)
    classifier.fit(points(fit, shares[0], noise("train")).numpy(), truth[0])
    return float(classifier.score(points(held_out, shares[1], noise("evaluate")).numpy(), truth[1]))


@takes_arrays
def factor_vae_score(
    codes: Tensor,
    factors: Tensor,
    seed: int = 0,
    batch: int = 64,
    train: int = 10_000,
    evaluate: int = 5_000,
    inactive_std: float = INACTIVE_STD,
) -> float:
    """How well the dimension that varies least, relative to all rows, tells which factor a batch shares.

    A dimension stands for the factor that most often made it vary least in training.

    Arguments:
        codes, factors: As for :func:`beta_vae_score`.
        batch: Rows of one value, drawn with replacement; at least 2.
        train, evaluate: Batches that choose what dimensions stand for, and that evaluate it, over all
            factors; the table is halved for the two.
        inactive_std: Dimensions of a smaller standard deviation are left out; in units of the codes.

    Returns:
        The accuracy, in [0, 1]; chance is 1/K. It is 0 if no dimension is left.

    References:
        | Disentangling by Factorising (Kim & Mnih, 2018), section 4
        | https://arxiv.org/abs/1802.05983

    Example:
        >>> factors = torch.cartesian_prod(torch.arange(4), torch.arange(4)).repeat(4, 1)
        >>> factor_vae_score(factors.flip(1) * 3.0, factors)
        1.0
    """
    z, v = checked_table(codes, factors, least=2)
    noise, active = Noise(seed, "FactorVAE score"), active_dimensions(z, inactive_std)
    fit, held_out = split_rows(v, len(v), len(v), noise)
    chosen = factor_votes(z, v, fit, active, noise("train"), batch, check_int("train", train, 1)).argmax(0)
    votes = factor_votes(z, v, held_out, active, noise("evaluate"), batch, check_int("evaluate", evaluate, 1))
    return votes.gather(0, chosen[None]).sum().item() / max(votes.sum().item(), 1)


def factor_votes(
    z: Tensor, v: Tensor, rows: Tensor, active: Tensor, noise: Noise, batch: int, count: int
) -> Tensor:
    """How often fixing factor k among these rows made dimension i vary least: shape (K, L), int64.

    A column is a dimension of the codes, pruned ones too: theirs hold 0.
    """
    votes = torch.zeros(v.shape[1], z.shape[1], dtype=torch.int64)
    if not active.any():
        return votes
    numbers, z = active.nonzero()[:, 0], standardised(z[:, active])
    share, batch = -(-count // len(votes)), check_int("batch", batch, least=2)
    for k, winners in enumerate(votes):
        group = Groups.of(v[:, k], rows, k)
        for start in range(0, share, BLOCK):
            drawn = group.batches(min(BLOCK, share - start), batch, noise(k).rows(start))
            # The least is sought among active dimensions, so its place is not yet its number.
            winners += numbers[z[drawn].var(1).argmin(1)].bincount(minlength=len(winners))
    return votes


__all__ = [
    "beta_vae_score",
    "factor_vae_score",
    "factor_votes",
]
