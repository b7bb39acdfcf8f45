"""Scores of how single latent dimensions align with single factors: MIG, SAP and DCI."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.errors import check_int
from pushforward.metrics.arrays import takes_arrays
from pushforward.metrics.factors import (
    checked_table,
    split_rows,
    standardised,
)
from pushforward.rng import Noise


@dataclass(frozen=True)
class DCI:
    """Disentanglement and completeness of importances, and accuracy; all in [0, 1]."""

    disentanglement: float
    completeness: float
    informativeness: float


@takes_arrays
def mig(codes: Tensor, factors: Tensor, bins: int = 20) -> float:
    r"""The mutual information gap, over all rows.

    .. math:: \frac{1}{K} \sum_k \frac{I(z_{(1)}; v_k) - I(z_{(2)}; v_k)}{H(v_k)}

    with the two dimensions that know most of factor k, each cut into ``bins`` of equal width from its
    smallest to its largest value; with a single dimension the second knows 0. A factor with more
    values than bins keeps even perfect codes below 1: 40 values at log 20 / log 40. Few rows raise
    every I, by about (bins - 1)(values - 1)/2N, and the gap little.

    Returns:
        The gap, in [0, 1].

    References:
        | Isolating Sources of Disentanglement in Variational Autoencoders (Chen et al., 2018), equation 6
        | https://arxiv.org/abs/1802.04942

    Example:
        >>> factors = torch.tensor([[0], [0], [0], [0], [1], [1], [1], [1]])
        >>> z = torch.tensor([[0.0], [0.0], [0.0], [9.0], [0.0], [9.0], [9.0], [9.0]])
        >>> round(mig(z, factors), 6)  # 1 - H(1/4) bits: a binary channel that errs once in four
        0.188722
    """
    z, v = checked_table(codes, factors)
    z = standardised(z)
    width = z.amax(0) - z.amin(0)
    cut = (
        ((z - z.amin(0)) / width.clamp_min(1e-300) * check_int("bins", bins, least=2))
        .long()
        .clamp_max(bins - 1)
    )
    known = mutual_information(cut, v)
    entropy = torch.cat([mutual_information(one[:, None], one[:, None])[0] for one in v.T])
    return (_gap(known, torch.zeros_like(entropy)) / entropy).mean().item()


def mutual_information(a: Tensor, b: Tensor) -> Tensor:
    r"""The mutual information :math:`\sum p(a, b) \log \frac{p(a, b)}{p(a)\,p(b)}` of whole numbers.

    Arguments:
        a, b: Shapes (N, A) and (N, B).

    Returns:
        Nats for each pair of columns, float64 of shape (A, B); a column's with itself is its entropy.

    Example:
        >>> a = torch.tensor([[7], [7], [3], [3]])
        >>> mutual_information(a, torch.cat([a + 1, a * 0], 1)) / math.log(2)
        tensor([[1., 0.]], dtype=torch.float64)
    """
    left, right = ([column.unique(return_inverse=True)[1] for column in x.T] for x in (a, b))
    found = torch.zeros(len(left), len(right), dtype=torch.float64)
    for i, one in enumerate(left):
        for j, other in enumerate(right):
            size = int(other.max()) + 1
            counts = (one * size + other).bincount(minlength=(int(one.max()) + 1) * size)
            joint = counts.view(-1, size).double() / len(a)
            found[i, j] = torch.xlogy(joint, joint / (joint.sum(1, keepdim=True) * joint.sum(0))).sum()
    return found.clamp_min(0)


@takes_arrays
def sap(codes: Tensor, factors: Tensor, seed: int = 0, train: int = 10_000, evaluate: int = 5_000) -> float:
    """The separated attribute predictability: how far the best dimension is ahead of the second.

    Each dimension by itself predicts each factor by thresholds, one fewer than it has values, put by
    a decision tree. (A linear classifier, which others use here, finds only outer values.) Accuracy is
    balanced, a mean over values, so that chance is one over their number. No dimension counts as
    worse than chance, and where there is no second, chance is the second. So perfect codes have
    :func:`sap_ceiling`, not 1.

    Arguments:
        codes, factors: Shapes (N, L) and (N, K).
        train, evaluate: Rows that fit, and that evaluate, at most; fewer are divided in this proportion.

    Returns:
        The mean gap over factors, at least 0.

    References:
        | Variational Inference of Disentangled Latent Concepts from Unlabeled Observations
        | (Kumar et al., 2018), section 3
        | https://arxiv.org/abs/1711.00848

    Example:
        >>> factors = torch.cartesian_prod(torch.arange(2), torch.arange(2)).repeat(500, 1)
        >>> abs(sap(factors * 3.0, factors) - sap_ceiling(factors)) < 0.1
        True
    """
    from sklearn.tree import DecisionTreeClassifier

    z, v = checked_table(codes, factors)
    z = standardised(z)
    fit, held_out = split_rows(v, train, evaluate, Noise(seed, "SAP"))
    score = torch.zeros(z.shape[1], v.shape[1], dtype=torch.float64)
    chance = score.new_zeros(v.shape[1])
    for k, values in enumerate(v.T):
        _, truth, counts = values[held_out].unique(return_inverse=True, return_counts=True)
        chance[k] = 1 / len(counts)
        leaves = len(values[fit].unique())
        for i, dimension in enumerate(z.T[:, :, None].numpy()):
            # Balanced weights let the tree optimise what is evaluated.
            tree = DecisionTreeClassifier(max_leaf_nodes=leaves, class_weight="balanced", random_state=0)
            tree.fit(dimension[fit], values[fit].numpy())
            right = values[held_out] == torch.from_numpy(tree.predict(dimension[held_out]))
            score[i, k] = (truth[right].bincount(minlength=len(counts)).double() / counts).mean()
    return _gap(score, chance).mean().item()


def sap_ceiling(factors: Tensor) -> float:
    """The SAP of perfect codes of factors (N, K): the mean over factors of 1 - 1/values.

    >>> round(sap_ceiling(torch.arange(480)[:, None] % torch.tensor([3, 6, 40, 32, 32])), 4)  # dSprites
    0.8825
    """
    return math.fsum(1 - 1 / len(values.unique()) for values in factors.T) / factors.shape[1]


def _gap(score: Tensor, chance: Tensor) -> Tensor:
    """How far the best of scores (L, K) is ahead of the second, or of chance (K,) if that is more."""
    best = torch.cat([score, chance.expand(2, -1)]).topk(2, dim=0).values
    return best[0] - best[1]


@takes_arrays
def dci(
    codes: Tensor,
    factors: Tensor,
    seed: int = 0,
    rounds: int = 20,
    train: int = 5_000,
    evaluate: int = 2_500,
    progress: Callable[[int, int], None] | None = None,
) -> DCI:
    r"""Disentanglement, completeness and informativeness, by importances R (L, K) in boosted trees.

    .. math::
        D = \sum_i \frac{R_i}{\sum_i R_i} \Bigl(1 - H_K\Bigl(\frac{R_{i\cdot}}{R_i}\Bigr)\Bigr),
        \qquad R_i = \sum_k R_{ik}

    with entropy to base K; C is D of the transpose, to the base of how many dimensions change at all.
    I is the accuracy on rows that were not fitted, a mean over factors. The model is scikit-learn's
    ``GradientBoostingClassifier`` (depth 3, rate 0.1; a tree for each round and value), whose
    importances are shares of the impurity removed. The published setting has 100 rounds and 10,000
    rows; 20 and 5,000 take a tenth of the time, and later rounds mostly fit noise.

    Arguments:
        codes, factors: As for :func:`beta_vae_score`.
        rounds: Rounds of boosting.
        train, evaluate: Rows that fit, and that evaluate, at most; fewer are divided in this proportion.
        progress: Called with (factors done, all factors).

    References:
        | A Framework for the Quantitative Evaluation of Disentangled Representations
        | (Eastwood & Williams, 2018), section 2
        | https://openreview.net/forum?id=By-7dz-AZ

    Example:
        >>> factors = torch.cartesian_prod(torch.arange(3), torch.arange(3)).repeat(20, 1)
        >>> scores = dci(factors * 1.0, factors)
        >>> scores.disentanglement > 0.99, scores.completeness > 0.99, scores.informativeness
        (True, True, 1.0)
    """
    from sklearn.ensemble import GradientBoostingClassifier

    z, v = checked_table(codes, factors, least=2)
    fit, held_out = split_rows(v, train, evaluate, Noise(seed, "DCI"))
    z, rounds = standardised(z), check_int("rounds", rounds, least=1)
    R, accuracies = [], []
    for k, values in enumerate(v.T):
        trees = GradientBoostingClassifier(n_estimators=rounds, random_state=0)
        trees.fit(z[fit].numpy(), values[fit].numpy())
        R.append(torch.from_numpy(trees.feature_importances_))
        accuracies.append(float(trees.score(z[held_out].numpy(), values[held_out].numpy())))
        if progress:
            progress(k + 1, v.shape[1])
    by_factor = torch.stack(R)
    return DCI(concentration(by_factor.T), concentration(by_factor), math.fsum(accuracies) / len(accuracies))


def concentration(importances: Tensor) -> float:
    """How far rows of importances (A, B) keep to one column each, weighted by their sums; in [0, 1].

    It is 0 if all importances are 0, and 1 if there is one column.

    >>> concentration(torch.tensor([[3.0, 0.0], [0.5, 0.5]]))  # 3/4 keeps to one column
    0.75
    """
    R = importances.double().clamp_min(0)  # trees say -1e-17 where they mean 0
    total = R.sum(1)
    entropy = torch.special.entr(R / total.clamp_min(1e-300)[:, None]).sum(1)
    kept = 1 - entropy / math.log(max(R.shape[1], 2))
    return ((total * kept).sum() / total.sum().clamp_min(1e-300)).clamp(0, 1).item()


__all__ = [
    "DCI",
    "concentration",
    "dci",
    "mig",
    "mutual_information",
    "sap",
    "sap_ceiling",
]
