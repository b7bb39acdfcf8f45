"""Metrics of tables against what they must be on samples of known distributions."""

import numpy as np
import pytest
from scipy import stats

from pushforward.errors import DataError
from pushforward.metrics.tabular import (
    c2st_auc,
    contingency_gap,
    copying,
    correlation_gap,
    kolmogorov_smirnov,
    pair_gaps,
    total_variation,
    usefulness,
)

DRAW = np.random.default_rng(0)
MIXED = np.array([False, False, True])


def rows(n, correlation=0.8, seed=0):
    """Two correlated numbers, and a category that says whether the first is above 0, with noise."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=n)
    y = correlation * x + (1 - correlation**2) ** 0.5 * draw.normal(size=n)
    return np.stack([x, y, (x + 0.3 * draw.normal(size=n) > 0).astype(float)], axis=1)


def test_ks_is_that_of_scipy():
    one, other = DRAW.normal(size=200), DRAW.normal(0.3, size=150)
    assert kolmogorov_smirnov(one, other) == pytest.approx(stats.ks_2samp(one, other).statistic)


def test_shares_of_missing_values_count():
    one = np.where(np.arange(100) < 30, np.nan, 1.0)
    assert kolmogorov_smirnov(one, np.ones(50)) == pytest.approx(0.3)
    assert total_variation(one, np.ones(50)) == pytest.approx(0.3)
    assert kolmogorov_smirnov(np.full(3, np.nan), np.full(3, np.nan)) == 0


def test_total_variation_of_disjoint_samples_is_1():
    assert total_variation(np.zeros(5), np.ones(7)) == 1
    assert total_variation(np.array([0.0, 1, 1, 2]), np.array([1.0, 2, 0, 1])) == 0


def test_gaps_of_pairs_see_what_columns_do_not():
    given, made = rows(4000), rows(4000, correlation=0.0, seed=1)
    assert kolmogorov_smirnov(made[:, 1], given[:, 1]) < 0.05
    assert correlation_gap(made[:, :2], given[:, :2]) == pytest.approx(0.78, abs=0.05)
    gaps = pair_gaps(made, given, MIXED)
    assert {pair: kind for pair, (kind, _) in gaps.items()} == {
        (0, 1): "correlation", (0, 2): "contingency", (1, 2): "contingency"
    }  # fmt: skip
    assert gaps[1, 2][1] > 0.2 > 0.05 > pair_gaps(rows(4000, seed=2), given, MIXED)[1, 2][1]
    assert contingency_gap(np.array([[0.0, 0], [1, 1]]), np.array([[0.0, 1], [1, 0]])) == 1


def test_the_two_sample_test_is_at_chance_on_equal_distributions_and_sure_on_others():
    given = rows(600)
    assert c2st_auc(rows(600, seed=1), given, MIXED) == pytest.approx(0.5, abs=0.06)
    assert c2st_auc(rows(600, correlation=-0.95, seed=1), given, MIXED) > 0.9
    with pytest.raises(DataError, match="at least 20 rows of each, got 5"):
        c2st_auc(given[:5], given, MIXED)


@pytest.mark.parametrize("target", [1, 2])
def test_samples_of_the_right_distribution_are_as_useful_as_data(target):
    train, test = rows(600, seed=1), rows(600, seed=2)
    good = usefulness(rows(600, seed=3), train, test, MIXED, target)
    bad = usefulness(rows(600, correlation=0.0, seed=3)[:, [1, 0, 2]], train, test, MIXED, target)
    assert abs(good.made - good.given) < 0.06
    assert bad.made < good.made - 0.1
    assert good.score == ("AUC" if target == 2 else "R²")


def test_copies_of_training_rows_are_seen():
    train, held_out = rows(500), rows(200, seed=1)
    assert copying(train[:200], held_out, train, MIXED)[2] > 0.95
    assert copying(rows(200, seed=2), held_out, train, MIXED)[2] == pytest.approx(0.5, abs=0.08)
    absent = train.copy()
    absent[::3, 0] = np.nan
    assert copying(absent[:50], held_out, absent, MIXED)[0] == 0
