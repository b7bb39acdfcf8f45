"""Errors and intervals are those of the textbooks."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from pushforward.errors import ConfigError
from pushforward.evaluation import MetricSpec
from pushforward.evaluation.table import columns, written
from pushforward.metrics.uncertainty import jackknife, mean_interval


def test_jackknife_of_a_mean_is_its_standard_error():
    x = torch.randn(40, dtype=torch.float64)
    found = jackknife(40, lambda left: x[torch.arange(40) != (-1 if left is None else left)].mean().item())
    assert found.value == pytest.approx(x.mean().item())
    assert found.error == pytest.approx((x.std() / math.sqrt(40)).item())


def test_jackknife_of_a_linear_statistic_of_blocks():
    """Leaving out whole blocks of rows gives the error of the mean of block means."""
    blocks = torch.randn(10, 30, dtype=torch.float64)
    found = jackknife(
        10, lambda left: blocks[torch.arange(10) != (-1 if left is None else left)].mean().item()
    )
    assert found.error == pytest.approx((blocks.mean(1).std() / math.sqrt(10)).item())
    with pytest.raises(ConfigError, match="at least 2 blocks of rows, got 1"):
        jackknife(1, lambda left: 0.0)


def test_interval_is_that_of_scipy():
    values = [1.0, 4.0, 2.5, 3.0]
    middle, half = mean_interval(values)
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert (middle - half, middle + half) == pytest.approx((low, high))
    assert mean_interval([2.0])[0] == 2
    assert math.isnan(mean_interval([2.0])[1])


def test_intervals_cover():
    """Of three runs each, 95 % of the intervals hold the mean."""
    values = torch.randn(3000, 3)
    hits = sum(abs(middle) <= half for middle, half in (mean_interval(row) for row in values.tolist()))
    assert hits / 3000 == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.0, 0.1, "0.00 ± 0.10"),
        (99.96, 0.096, "99.96 ± 0.10"),
        (-1.25e-4, 1e-6, "-0.0001250 ± 0.0000010"),
        (7, 0, "7"),
    ],
)
def test_digits_follow_the_error(value, error, text):
    assert written(value, error) == text


def test_a_figure_that_is_not_there():
    figure = MetricSpec("x", ("a", "b"), "")
    assert figure.of({"a": {"b": {"value": 2, "error": 1}}}) == (2, 1)
    assert figure.of({"a": {"b": 3}})[0] == 3
    assert figure.of({"a": {}}) is None
    assert figure.of({"a": 5}) is None
    assert len({figure.name for figure in columns()}) == len(columns())


def test_an_unbiased_distance_below_0_is_as_good_as_0():
    kid = next(figure for figure in columns() if figure.name == "KID")
    assert kid.worse(-0.05) == kid.worse(0.0) < kid.worse(0.01)
    recall = next(figure for figure in columns() if figure.name == "recall")
    assert recall.worse(0.9) < recall.worse(0.1)
