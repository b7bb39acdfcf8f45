r"""Whether single dimensions of codes follow single factors of variation: five published scores.

All take one fixed table: codes (N, L), and the factors that made each row, whole numbers (N, K). No
generator of data is needed: where a paper asks for new rows that share a factor, rows of the table
with one value of that factor are drawn. So a score describes the table, which should hold the factors
in all combinations or at random. Values of factors are names; only which rows share one matters.
Codes are brought to mean 0 and deviation 1, and dimensions that never change are left out, so that
neither units nor constant dimensions enter. Whatever is fitted is judged on other rows of the table,
so a small one adds chance of its own: 0.015 to the first two scores at 4,096 rows of four factors.

References:
    | Challenging Common Assumptions in the Unsupervised Learning of Disentangled Representations
    | (Locatello et al., 2019), appendix C
    | https://arxiv.org/abs/1811.12359
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from pushforward.errors import ConfigError, DataError, check_int
from pushforward.rng import Noise

DEAD = 0.05  # a standard deviation below which a dimension holds nothing, where the prior's is 1
BLOCK = 64  # batches, or points of a classifier, that are drawn together


@dataclass(frozen=True)
class DCI:
    """Disentanglement and completeness of importances, and accuracy; all in [0, 1]."""

    disentanglement: float
    completeness: float
    informativeness: float


@dataclass(frozen=True)
class Disentanglement:
    """All scores of a table; 1 is best, but for SAP, whose best is ``sap_ceiling``.

    Attributes:
        beta_vae: Accuracy of telling which factor pairs share, from their mean differences; chance 1/K.
        factor_vae: Accuracy of telling it from the dimension that varies least; chance 1/K.
        mig: Gap of mutual information between the best two dimensions, per entropy; chance 0.
        disentanglement: Whether a dimension serves one factor; chance 0.
        completeness: Whether a factor is served by one dimension; chance 0.
        informativeness: Accuracy of predicting factors from all dimensions.
        sap: Gap of accuracy between the best two dimensions, each by itself; chance 0.
        sap_ceiling: The best SAP that codes of these factors can reach.
        rows: How many rows the table has.
        active: How many dimensions have a standard deviation of at least ``dead``.
    """

    beta_vae: float
    factor_vae: float
    mig: float
    disentanglement: float
    completeness: float
    informativeness: float
    sap: float
    sap_ceiling: float
    rows: int
    active: int


def disentanglement(
    codes: Tensor,
    factors: Tensor,
    seed: int = 0,
    dead: float = DEAD,
    progress: Callable[[int, int], None] | None = None,
) -> Disentanglement:
    """All scores of codes (N, L) against factors (N, K), K of at least 2, with their default sizes.

    The trees of :func:`dci` take most of the time: about 0.2 s for each value of each factor.

    Raises:
        DataError: If the table is malformed, not finite or too small, or a factor never changes.
        ConfigError: If ``dead`` is negative or not finite.

    Example:
        >>> factors = torch.cartesian_prod(*[torch.arange(4)] * 3).repeat(8, 1)
        >>> found = disentanglement(factors * 1.0, factors)
        >>> found.beta_vae, found.factor_vae, round(found.mig, 9), found.sap_ceiling, found.active
        (1.0, 1.0, 1.0, 0.75, 3)
    """
    z, v = _table(codes, factors, least=2)
    steps = iter(range(1, v.shape[1] + 5))

    def step(*_: int) -> None:
        done = next(steps)
        if progress:
            progress(done, v.shape[1] + 4)

    def after(score: float) -> float:
        step()
        return score

    return Disentanglement(
        beta_vae=after(beta_vae_score(z, v, seed)),
        factor_vae=after(factor_vae_score(z, v, seed, dead=dead)),
        mig=after(mig(z, v)),
        sap=after(sap(z, v, seed)),
        **asdict(dci(z, v, seed, progress=step)),
        sap_ceiling=sap_ceiling(v),
        rows=len(z),
        active=int(_active(z, dead).sum()),
    )


def beta_vae_score(
    codes: Tensor, factors: Tensor, seed: int = 0, pairs: int = 64, train: int = 10_000, evaluate: int = 5_000
) -> float:
    r"""How well a linear classifier tells which factor two rows share, from :math:`E\,|z - z'|`.

    A point is the mean over pairs of distinct rows, each pair with one value of the factor. Factors
    have equally many points. Two independent factors of one law, rotated by 45°, cannot be told
    apart: the accuracy on them is 1/2.

    Arguments:
        codes: Shape (N, L).
        factors: Shape (N, K), whole numbers; K of at least 2.
        pairs: Pairs in a point; the score grows with it.
        train, evaluate: Points that fit the classifier, and that judge it, over all factors; the
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

    z, v = _table(codes, factors, least=2)
    z, K = _standardised(z), v.shape[1]
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

    fit, held_out = _split(v, len(v), len(v), noise)
    shares = [-(-count // K) for count in (train, evaluate)]
    truth = [torch.arange(K).repeat_interleave(share).numpy() for share in shares]
    classifier = LogisticRegression(max_iter=1000)
    classifier.fit(points(fit, shares[0], noise("train")).numpy(), truth[0])
    return float(classifier.score(points(held_out, shares[1], noise("evaluate")).numpy(), truth[1]))


def factor_vae_score(
    codes: Tensor,
    factors: Tensor,
    seed: int = 0,
    batch: int = 64,
    train: int = 10_000,
    evaluate: int = 5_000,
    dead: float = DEAD,
) -> float:
    """How well the dimension that varies least, relative to all rows, tells which factor a batch shares.

    A dimension stands for the factor that most often made it vary least in training.

    Arguments:
        codes, factors: As for :func:`beta_vae_score`.
        batch: Rows of one value, drawn with replacement; at least 2.
        train, evaluate: Batches that choose what dimensions stand for, and that judge it, over all
            factors; the table is halved for the two.
        dead: Dimensions of a smaller standard deviation are left out; in units of the codes.

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
    z, v = _table(codes, factors, least=2)
    noise, active = Noise(seed, "FactorVAE score"), _active(z, dead)
    fit, held_out = _split(v, len(v), len(v), noise)
    chosen = factor_votes(z, v, fit, active, noise("train"), batch, check_int("train", train, 1)).argmax(0)
    judged = factor_votes(
        z, v, held_out, active, noise("evaluate"), batch, check_int("evaluate", evaluate, 1)
    )
    return judged.gather(0, chosen[None]).sum().item() / max(judged.sum().item(), 1)


def factor_votes(
    z: Tensor, v: Tensor, rows: Tensor, active: Tensor, noise: Noise, batch: int, count: int
) -> Tensor:
    """How often fixing factor k among these rows made dimension i vary least: shape (K, L), int64.

    A column is a dimension of the codes, pruned ones too: theirs hold 0.
    """
    votes = torch.zeros(v.shape[1], z.shape[1], dtype=torch.int64)
    if not active.any():
        return votes
    numbers, z = active.nonzero()[:, 0], _standardised(z[:, active])
    share, batch = -(-count // len(votes)), check_int("batch", batch, least=2)
    for k, winners in enumerate(votes):
        group = Groups.of(v[:, k], rows, k)
        for start in range(0, share, BLOCK):
            drawn = group.batches(min(BLOCK, share - start), batch, noise(k).rows(start))
            # The least is sought among active dimensions, so its place is not yet its number.
            winners += numbers[z[drawn].var(1).argmin(1)].bincount(minlength=len(winners))
    return votes


@dataclass(frozen=True)
class Groups:
    """Rows by their value of one factor: those of a value side by side, where each one's value begins
    in ``rows``, and how many rows have it. Rows whose value no other has are left out."""

    rows: Tensor
    start: Tensor
    size: Tensor

    @classmethod
    def of(cls, values: Tensor, rows: Tensor, k: int = 0) -> Groups:
        """The groups of some rows, by the values (N,) of factor k."""
        order = rows[values[rows].argsort(stable=True)]
        size = values[order].unique_consecutive(return_counts=True)[1]
        order, size = order[size.repeat_interleave(size) > 1], size[size > 1]
        if not len(order):
            raise DataError(
                f"factor {k} must have a value that rows share; all {len(rows)} rows differ in it"
            )
        return cls(order, (size.cumsum(0) - size).repeat_interleave(size), size.repeat_interleave(size))

    def pairs(self, points: int, count: int, noise: Noise) -> tuple[Tensor, Tensor]:
        """Pairs of distinct rows with one value, another for each pair: two of shape (points, count)."""
        first = _below(len(self.rows), noise("first").uniform(points, count))
        start, size = self.start[first], self.size[first]
        away = 1 + _below(size - 1, noise("second").uniform(points, count))
        return self.rows[first], self.rows[start + (first - start + away) % size]

    def batches(self, points: int, count: int, noise: Noise) -> Tensor:
        """Rows with one value, another for each batch: shape (points, count)."""
        one = _below(len(self.rows), noise("value").uniform(points, 1))
        return self.rows[self.start[one] + _below(self.size[one], noise("rows").uniform(points, count))]


def _below(limit: Tensor | int, uniform: Tensor) -> Tensor:
    return (uniform.double() * limit).long()


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
    z, v = _table(codes, factors)
    z = _standardised(z)
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


def sap(codes: Tensor, factors: Tensor, seed: int = 0, train: int = 10_000, evaluate: int = 5_000) -> float:
    """The separated attribute predictability: how far the best dimension is ahead of the second.

    Each dimension by itself predicts each factor by thresholds, one fewer than it has values, put by
    a decision tree. (A linear classifier, which others use here, finds only outer values.) Accuracy is
    balanced, a mean over values, so that chance is one over their number. No dimension counts as
    worse than chance, and where there is no second, chance is the second. So perfect codes have
    :func:`sap_ceiling`, not 1.

    Arguments:
        codes, factors: Shapes (N, L) and (N, K).
        train, evaluate: Rows that fit, and that judge, at most; fewer are divided in this proportion.

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

    z, v = _table(codes, factors)
    z = _standardised(z)
    fit, held_out = _split(v, train, evaluate, Noise(seed, "SAP"))
    score = torch.zeros(z.shape[1], v.shape[1], dtype=torch.float64)
    chance = score.new_zeros(v.shape[1])
    for k, values in enumerate(v.T):
        _, truth, counts = values[held_out].unique(return_inverse=True, return_counts=True)
        chance[k] = 1 / len(counts)
        leaves = len(values[fit].unique())
        for i, dimension in enumerate(z.T[:, :, None].numpy()):
            # Balanced weights let the tree climb what is judged.
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
        train, evaluate: Rows that fit, and that judge, at most; fewer are divided in this proportion.
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

    z, v = _table(codes, factors, least=2)
    fit, held_out = _split(v, train, evaluate, Noise(seed, "DCI"))
    z, rounds = _standardised(z), check_int("rounds", rounds, least=1)
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


def _table(codes: Tensor, factors: Tensor, least: int = 1) -> tuple[Tensor, Tensor]:
    """Codes in float64 and factors in int64, once both are sound."""
    shapes = f"{tuple(codes.shape)} and {tuple(factors.shape)}"
    if codes.ndim != 2 or factors.ndim != 2 or len(codes) != len(factors) or not codes.shape[1]:
        raise DataError(f"codes and factors must have shapes (N, L) and (N, K), got {shapes}")
    if factors.shape[1] < least or len(codes) < 4:
        raise DataError(f"a table must have at least 4 rows and {least} factors, got {shapes}")
    if factors.is_floating_point() or factors.is_complex():
        raise DataError(f"factors must be whole numbers, got {factors.dtype}")
    z, v = codes.detach().double().cpu(), factors.long().cpu()
    if not z.isfinite().all():
        raise DataError("codes must be finite; some are not")
    for k, values in enumerate(v.T):
        if (values == values[0]).all():
            raise DataError(f"factor {k} must have at least 2 values, got {values[0]} in all {len(v)} rows")
    return z, torch.stack([_numbered(values) for values in v.T], 1)


def _numbered(values: Tensor) -> Tensor:
    """Values (N,) by the order in which they appear, so that their names cannot matter."""
    names, places = values.unique(return_inverse=True)
    first = torch.full_like(names, len(values)).scatter_reduce(0, places, torch.arange(len(values)), "amin")
    return first.argsort().argsort()[places]


def _changes(z: Tensor) -> Tensor:
    return z.amax(0) > z.amin(0)  # the deviation of a constant may be off 0 by rounding


def _active(z: Tensor, dead: float) -> Tensor:
    """Which dimensions change, and by a standard deviation of at least ``dead``."""
    if not (math.isfinite(dead) and dead >= 0):
        raise ConfigError(f"dead must be at least 0 and finite, got {dead}")
    return _changes(z) & (z.std(0) >= dead)


def _standardised(z: Tensor) -> Tensor:
    """Dimensions that change, at mean 0 and deviation 1; one of zeros if there is none."""
    if not _changes(z).any():
        return torch.zeros_like(z[:, :1])
    z = z[:, _changes(z)]
    return (z - z.mean(0)) / z.std(0)


def _split(v: Tensor, train: int, evaluate: int, noise: Noise) -> tuple[Tensor, Tensor]:
    """Rows that fit and rows that judge, at random, in the proportion of the two numbers."""
    train, evaluate = check_int("train", train, least=1), check_int("evaluate", evaluate, least=1)
    kept = noise("rows").permutation(len(v))[: train + evaluate]
    cut = min(max(len(kept) * train // (train + evaluate), 2), len(kept) - 2)
    for k, values in enumerate(v[kept[:cut]].T):
        if (values == values[0]).all():
            raise DataError(f"factor {k} must have at least 2 values in the {cut} rows that fit, got 1")
    return kept[:cut], kept[cut:]


__all__ = [
    "DCI",
    "Disentanglement",
    "beta_vae_score",
    "concentration",
    "dci",
    "disentanglement",
    "factor_vae_score",
    "mig",
    "mutual_information",
    "sap",
    "sap_ceiling",
]
