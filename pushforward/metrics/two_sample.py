"""Whether a fresh classifier can tell two samples apart: the two-sample test by held-out accuracy."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.errors import DataError, check_int
from pushforward.metrics.arrays import takes_arrays
from pushforward.rng import Noise

FEWEST = 10  # distinct rows of a sample; below, no p-value is small and a half may lack a sample


def pair(
    q: Tensor, p: Tensor, least: int = 1, names: tuple[str, str] = ("made", "given")
) -> tuple[Tensor, Tensor]:
    """Two samples (N, D) and (M, D), without their graph, as float64 if they are and float32 otherwise.

    Raises:
        DataError: If they have other shapes, differ in D, have fewer than ``least`` rows, or are not finite.

    >>> pair(torch.zeros(3, 2), torch.zeros(4, 5))
    Traceback (most recent call last):
    ...
    pushforward.errors.DataError: made and given differ in features: 2 and 5
    """
    for name, sample in zip(names, (q, p), strict=True):
        if sample.ndim != 2 or not sample.shape[1]:
            raise DataError(f"{name} must have shape (N, D), got {tuple(sample.shape)}")
        if len(sample) < least:
            raise DataError(f"{name} must have at least {least} rows, got {len(sample)}")
        if not sample.isfinite().all():
            raise DataError(f"{name} must be finite; some numbers are not")
    if q.shape[1] != p.shape[1]:
        raise DataError(f"{' and '.join(names)} differ in features: {q.shape[1]} and {p.shape[1]}")
    dtype = torch.float64 if torch.float64 in (q.dtype, p.dtype) else torch.float32
    return q.detach().to(dtype), p.detach().to(dtype)


@dataclass(frozen=True)
class ClassifierTest:
    """How well a fresh classifier tells made from given rows that it has not seen.

    Attributes:
        accuracy: The share of held-out rows it names rightly; 1/2 is chance.
        auc: The chance that it puts a made row before a given one; 1/2 is chance.
        p_value: The chance of so many right names if both samples have one distribution, in (0, 1].
        rows: How many rows were held out.
    """

    accuracy: float
    auc: float
    p_value: float
    rows: int


@takes_arrays
def classifier_test(
    q: Tensor, p: Tensor, seed: int = 0, hidden: int = 0, distinct: bool = True
) -> ClassifierTest:
    r"""Trains a classifier on a random half of both samples and counts its right names on the other half.

    If both samples have one distribution, names are a random arrangement over the held-out rows. With T of
    those, n of them made, and m called made, the number of made rows called made then has
    *exactly* the distribution

    .. math:: P(k) = \binom{n}{k} \binom{T - n}{m - k} \Big/ \binom{T}{m}

    and the p-value is its upper tail: what the paper's binomial :math:`B(T, 1/2)` becomes when n and m
    are known. One split alone is used: folds of a cross-validation are not independent, so their pooled
    accuracy has neither distribution. What the classifier cannot see, the test cannot: logistic regression
    sees means alone.

    Arguments:
        q: Made rows (N, D).
        p: Given rows (M, D). Of unequal samples the larger is thinned at random.
        seed: For the halves and the classifier.
        hidden: Width of the one hidden layer of a network; 0 for logistic regression.
        distinct: Whether copies of a row count once within their sample, and copies in both samples stay
            in one half. Else what was memorised from one half is tested on the other, and samples
            that were filled up with copies always differ. False is for distributions with atoms (counts,
            categories), whose copies are independent draws.

    Raises:
        ConfigError: If ``hidden`` is below 0.
        DataError: If shapes do not fit, numbers are not finite, or a sample has fewer than 10 rows (distinct
            ones, if copies count once).

    References:
        | Revisiting Classifier Two-Sample Tests (Lopez-Paz & Oquab, 2017), section 3
        | https://arxiv.org/abs/1610.06545

    Example:
        >>> noise = Noise(0)
        >>> made, given = noise("made").normal(500, 2), noise("given").normal(500, 2)
        >>> classifier_test(made, given).p_value > 0.05, classifier_test(made + 1, given).p_value < 1e-9
        (True, True)
    """
    from scipy.stats import hypergeom
    from sklearn.metrics import roc_auc_score

    check_int("hidden", hidden, least=0)
    q, p = (sample.cpu() for sample in pair(q, p, FEWEST))
    if distinct:
        q, p = q.unique(dim=0), p.unique(dim=0)
    rows = min(len(q), len(p))
    if rows < FEWEST:
        name = "made" if len(q) < len(p) else "given"
        raise DataError(f"{name} must have at least {FEWEST} distinct rows, got {rows}")
    noise = Noise(seed, "classifier test")
    q, p = (sample[noise(name).permutation(len(sample))[:rows]] for name, sample in (("q", q), ("p", p)))
    x = torch.cat([q, p]).double()
    made = torch.arange(2 * rows) < rows
    copies = x.unique(dim=0, return_inverse=True)[1] if distinct else torch.arange(2 * rows)
    held = _half(copies, made, noise("halves"))[copies]
    score = _scores(x[~held], made[~held], x[held], hidden, noise("classifier").integer() % 2**32)
    truth, called = made[held], score > 0.5
    right = int((truth & called).sum())
    return ClassifierTest(
        accuracy=(truth == called).double().mean().item(),
        auc=float(roc_auc_score(truth.numpy(), score.numpy())),
        p_value=float(hypergeom.sf(right - 1, len(truth), int(truth.sum()), int(called.sum()))),
        rows=len(truth),
    )


def _half(copies: Tensor, made: Tensor, noise: Noise) -> Tensor:
    """Which groups of equal rows are held out: of those that are made, given and both, half each."""
    groups = int(copies.max()) + 1
    kind = torch.zeros(groups, dtype=torch.int64)
    kind[copies[made]] += 1
    kind[copies[~made]] += 2
    order = noise.permutation(groups)
    order = order[kind[order].argsort(stable=True)]
    held = torch.zeros(groups, dtype=torch.bool)
    held[order[::2]] = True
    return held


def _scores(x: Tensor, made: Tensor, held: Tensor, hidden: int, state: int) -> Tensor:
    """The probabilities of being made, of held-out rows, by a classifier fitted to the others."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    network = MLPClassifier((hidden,), early_stopping=len(x) >= 1000, random_state=state)
    classifier = make_pipeline(StandardScaler(), network if hidden else LogisticRegression(max_iter=1000))
    with warnings.catch_warnings():  # stopping early costs power, not the level of the test
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier.fit(x.numpy(), made.numpy())
    return torch.from_numpy(classifier.predict_proba(held.numpy())[:, 1])


__all__ = ["ClassifierTest", "classifier_test", "pair"]
