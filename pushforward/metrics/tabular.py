"""How close made rows of a table come to given rows: columns, pairs of columns, rows as a whole, usefulness
and copying.

Rows are arrays (N, C) of numbers: NaN is missing, and categories are whole numbers from 0 on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.errors import DataError

Rows = NDArray[np.float64]
Mask = NDArray[np.bool_]
ROWS_OF_PAIRS = 5000  # rows that pairs of columns, and distances of rows, are measured on, at most
FOLDS = 3
BINS = 8  # of a column of numbers next to categories
MOST_CATEGORIES = 255  # that trees tell apart


@dataclass(frozen=True)
class Usefulness:
    """How well a model predicts the target of given rows, trained on made ones (TSTR) or on given ones
    (TRTR).

    Attributes:
        made: The score after training on made rows: the AUC, or R² of a target of numbers.
        given: The score after training on given rows.
        score: "AUC" or "R²".
    """

    made: float
    given: float
    score: str


def kolmogorov_smirnov(made: Rows, given: Rows) -> float:
    """The largest difference of the distribution functions of two samples (N,) and (M,) of numbers.

    Where values are missing (NaN), the difference of their shares counts as well.

    >>> kolmogorov_smirnov(np.array([0.0, 1.0]), np.array([0.0, np.nan]))
    0.5
    """
    absent = abs(float(np.isnan(made).mean() - np.isnan(given).mean()))
    q, p = np.sort(made[~np.isnan(made)]), np.sort(given[~np.isnan(given)])
    if not len(q) or not len(p):
        return max(absent, float(len(q) != len(p)))
    points = np.concatenate([q, p])
    levels = [np.searchsorted(part, points, "right") / len(part) for part in (q, p)]
    return max(absent, float(np.abs(levels[0] - levels[1]).max()))


def total_variation(made: Rows, given: Rows) -> float:
    """Half the sum of the differences of shares of two samples (N,) and (M,) of categories; NaN is one.

    >>> total_variation(np.array([0.0, 1.0]), np.array([0.0, 0.0]))
    0.5
    """
    both = np.concatenate([made, given])
    _, codes = np.unique(np.where(np.isnan(both), -1.0, both), return_inverse=True)
    shares = [
        np.bincount(part, minlength=codes.max() + 1) / len(part) for part in np.split(codes, [len(made)])
    ]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def column_distances(made: Rows, given: Rows, categorical: Mask) -> Rows:
    """The distance (C,) of each column: :func:`total_variation` of categories, else
    :func:`kolmogorov_smirnov`.

    >>> rows = np.array([[0.0, 1.0], [1.0, 1.0]])
    >>> column_distances(rows, rows[:1], np.array([False, True]))
    array([0.5, 0. ])
    """
    found = [
        (total_variation if is_categorical else kolmogorov_smirnov)(made[:, j], given[:, j])
        for j, is_categorical in enumerate(categorical)
    ]
    return np.array(found)


def correlation_gap(made: Rows, given: Rows) -> float:
    """The difference of the rank correlations of two columns of numbers in two samples (N, 2) and (M, 2)."""
    return abs(_rank_correlation(made) - _rank_correlation(given))


def contingency_gap(made: Rows, given: Rows) -> float:
    """The total variation of the joint distributions of two columns of categories, (N, 2) and (M, 2)."""
    both = np.concatenate([np.where(np.isnan(part), -1.0, part) for part in (made, given)])
    _, codes = np.unique(both, axis=0, return_inverse=True)
    numbers: Rows = codes.reshape(-1).astype(np.float64)
    return total_variation(numbers[: len(made)], numbers[len(made) :])


def _rank_correlation(rows: Rows) -> float:
    from scipy.stats import rankdata

    kept = rows[~np.isnan(rows).any(1)]
    if len(kept) < 3:
        return 0.0
    ranks = rankdata(kept, axis=0)
    if (ranks.std(0) == 0).any():
        return 0.0
    return float(np.corrcoef(ranks.T)[0, 1])


def pair_gaps(made: Rows, given: Rows, categorical: Mask) -> dict[tuple[int, int], tuple[str, float]]:
    """For each pair of columns the kind of the difference and its size.

    Two columns of numbers differ in rank correlation ("correlation"), others in their joint distribution
    ("contingency"), where numbers are cut at eight quantiles of the given rows.
    """
    binned = [given.copy(), made.copy()]
    for column in np.flatnonzero(~categorical):
        known = given[~np.isnan(given[:, column]), column]
        cuts = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1])) if len(known) else np.zeros(0)
        for rows in binned:
            absent = np.isnan(rows[:, column])
            rows[:, column] = np.where(absent, np.nan, np.searchsorted(cuts, rows[:, column], "right"))
    gaps = {}
    for i in range(len(categorical)):
        for j in range(i):
            pair = [j, i]
            if categorical[i] or categorical[j]:
                gaps[j, i] = ("contingency", contingency_gap(binned[1][:, pair], binned[0][:, pair]))
            else:
                gaps[j, i] = ("correlation", correlation_gap(made[:, pair], given[:, pair]))
    return gaps


def fidelity(
    made: Rows, given: Rows, categorical: Mask, names: Sequence[str], seed: int = 0
) -> dict[str, Any]:
    """Columns, pairs of columns, and rows, of made against given rows.

    The means over columns of :func:`kolmogorov_smirnov` ("ks") and :func:`total_variation`, the worst column
    of each and all columns; the means over pairs of :func:`pair_gaps` ("correlation", "contingency"), of the
    first 5000 rows; and :func:`c2st_auc`.

    Arguments:
        made: Made rows.
        given: Given rows.
        categorical: Which columns hold categories.
        names: The names of the columns.
        seed: Seed of the trees.

    >>> rows = np.arange(40.0)[:, None]
    >>> fidelity(rows, rows, np.array([False]), ["n"])["worst_ks"]
    {'column': 'n', 'value': 0.0}
    """
    found: dict[str, Any] = {}
    distances = column_distances(made, given, categorical)
    for key, columns in (("ks", ~categorical), ("total_variation", categorical)):
        values = {names[int(j)]: float(distances[j]) for j in np.flatnonzero(columns)}
        if values:
            worst = max(values, key=values.__getitem__)
            found[key] = float(np.mean(list(values.values())))
            found[f"worst_{key}"] = {"column": worst, "value": values[worst]}
            found[f"{key}_by_column"] = values
    gaps = list(pair_gaps(made[:ROWS_OF_PAIRS], given[:ROWS_OF_PAIRS], categorical).values())
    for kind in ("correlation", "contingency"):
        sizes = [gap for name, gap in gaps if name == kind]
        if sizes:
            found[kind] = float(np.mean(sizes))
    return found | {"c2st_auc": c2st_auc(made, given, categorical, seed)}


def _booster(classify: bool, categorical: Mask, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if classify else HistGradientBoostingRegressor
    return kind(categorical_features=categorical, random_state=seed, early_stopping=False)


def _codes(rows: Rows, categorical: Mask) -> Rows:
    """Rows whose categories are few enough for trees: rare ones, with large numbers, become one."""
    return np.where(categorical & (rows >= MOST_CATEGORIES), MOST_CATEGORIES - 1, rows)


def c2st_auc(made: Rows, given: Rows, categorical: Mask, seed: int = 0) -> float:
    """The area under the ROC curve of gradient boosting that tells made from given rows, cross-validated; 0.5
    is chance.

    Raises:
        DataError: If there are fewer than 20 rows of each.

    References:
        Revisiting Classifier Two-Sample Tests (Lopez-Paz & Oquab, 2017), https://arxiv.org/abs/1610.06545
    """
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    count = min(len(made), len(given))
    if count < 20:
        raise DataError(f"a two-sample test needs at least 20 rows of each, got {count}")
    x = _codes(np.concatenate([made[:count], given[:count]]), categorical)
    y = np.repeat([1, 0], count)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    scores = cross_val_predict(_booster(True, categorical, seed), x, y, cv=folds, method="predict_proba")
    return float(roc_auc_score(y, scores[:, 1]))


def usefulness(
    made: Rows, train: Rows, test: Rows, categorical: Mask, target: int, seed: int = 0
) -> Usefulness:
    """How well gradient boosting predicts one column of the test rows from the others.

    Arguments:
        made: Made rows.
        train: As many training rows.
        test: Held-out rows.
        categorical: Which columns hold categories.
        target: The column that is predicted.
        seed: Seed of the trees.
    """
    others = np.arange(len(categorical)) != target
    parts = [_codes(part[~np.isnan(part[:, target])], categorical) for part in (made, train, test)]
    (x, y) = parts[2][:, others], parts[2][:, target]
    found = []
    for part in parts[:2]:
        booster = _booster(bool(categorical[target]), categorical[others], seed)
        if categorical[target] and len(np.unique(part[:, target])) < 2:
            found.append(0.5)
            continue
        booster.fit(part[:, others], part[:, target])
        found.append(_auc(booster, x, y) if categorical[target] else float(booster.score(x, y)))
    return Usefulness(found[0], found[1], "AUC" if categorical[target] else "R²")


def _auc(booster: Any, x: Rows, y: Rows) -> float:
    """The mean area under the ROC curve of each class against the others, by their shares."""
    from sklearn.metrics import roc_auc_score

    probabilities = booster.predict_proba(x)
    total = weight = 0.0
    for label in np.unique(y):
        if 0 < (y == label).mean() < 1:
            known = np.flatnonzero(booster.classes_ == label)
            scores = probabilities[:, known[0]] if len(known) else np.zeros(len(y))
            share = float((y == label).mean())
            total, weight = total + share * roc_auc_score(y == label, scores), weight + share
    return total / weight if weight else 0.5


def closest_distances(rows: Rows, train: Rows, categorical: Mask) -> Rows:
    """The distance of each row (N,) to the closest training row.

    Numbers are their levels among the training rows, from 0 to 1; two categories are 1 apart, as is what is
    missing.
    """
    from sklearn.neighbors import NearestNeighbors

    parts = [_leveled(part, train, categorical) for part in (train, rows)]
    return NearestNeighbors(n_neighbors=1).fit(parts[0]).kneighbors(parts[1])[0][:, 0]


def _leveled(rows: Rows, train: Rows, categorical: Mask) -> Rows:
    parts = []
    for column, is_categorical in enumerate(categorical):
        values, known = rows[:, column], np.sort(train[~np.isnan(train[:, column]), column])
        absent = np.isnan(values)
        if is_categorical:
            every = np.unique(known)
            parts.append((values[:, None] == every) * 0.5**0.5)
        else:
            level = np.searchsorted(known, values, "left") + np.searchsorted(known, values, "right")
            parts.append(np.where(absent, 0.5, level / max(2 * len(known), 1))[:, None])
        if np.isnan(train[:, column]).any() or absent.any():
            parts.append(absent[:, None].astype(np.float64))
    return np.concatenate(parts, axis=1)


def copying(made: Rows, given: Rows, train: Rows, categorical: Mask) -> tuple[float, float, float]:
    """How much closer made rows lie to training rows than held-out rows do.

    Returns:
        The median distance of a made row to its closest training row, that of a held-out row, and the
        probability that the made one is closer (ties count half): 0.5 where nothing is copied, near 1 where
        everything is.

    >>> train = np.arange(10.0)[:, None]
    >>> copying(train, train + 0.4, train, np.array([False]))[2]
    1.0
    """
    q, p = (closest_distances(rows, train, categorical) for rows in (made, given))
    ordered = np.sort(p)
    below, upto = np.searchsorted(ordered, q, "left"), np.searchsorted(ordered, q, "right")
    closer = 1 - (below + upto) / (2 * len(p))
    return float(np.median(q)), float(np.median(p)), float(closer.mean())


__all__ = [
    "ROWS_OF_PAIRS",
    "Usefulness",
    "c2st_auc",
    "closest_distances",
    "column_distances",
    "contingency_gap",
    "copying",
    "correlation_gap",
    "fidelity",
    "kolmogorov_smirnov",
    "pair_gaps",
    "total_variation",
    "usefulness",
]
