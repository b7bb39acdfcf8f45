"""Theorems of the sliced Wasserstein distance."""

import pytest
import torch

from pushforward.discrepancies import SlicedWasserstein
from pushforward.discrepancies.sliced import squared_w2
from pushforward.distributions import NormalPrior
from pushforward.models import GAN
from pushforward.rng import Noise
from pushforward.square import Square

pytestmark = pytest.mark.usefixtures("float64")


def test_normal_distributions():
    """Of N(m, s^2 I) and N(0, I) in d dimensions it is |m|^2 / d + (s - 1)^2."""
    d, mean, std = 4, torch.tensor([1.0, -2.0, 0.0, 2.0]), 1.5
    q, p = torch.randn(3000, d), torch.randn(3000, d)
    expected = mean.square().sum().item() / d + (std - 1) ** 2
    assert SlicedWasserstein(2000)(mean + std * q, p).item() == pytest.approx(expected, rel=0.05)


def test_translation():
    """Of a sample and the same sample moved by m it is the mean of (theta . m)^2, which d = 1 makes m^2."""
    x = torch.randn(30, 3)
    m = torch.tensor([1.0, 2.0, -2.0])
    assert SlicedWasserstein(20_000)(x + m, x).item() == pytest.approx(9 / 3, rel=0.03)
    assert SlicedWasserstein(1)(x[:, :1] + 2.5, x[:, :1]).item() == pytest.approx(6.25)


def test_one_dimension_is_the_integral_of_quantiles():
    """Samples of two sizes: each row of one repeated leaves the distance as it is."""
    q, p = torch.randn(6, 5), torch.randn(4, 5)
    expected = squared_w2(q.repeat_interleave(2, 0), p.repeat_interleave(3, 0))
    torch.testing.assert_close(squared_w2(q, p), expected)
    torch.testing.assert_close(squared_w2(p, q), expected)


def test_a_step_takes_new_directions():
    """Directions change at the end of a step, and only then; the step is saved with the model."""
    discrepancy = SlicedWasserstein(3)
    q, p = torch.randn(10, 4), torch.randn(10, 4)
    before = discrepancy(q, p)
    assert discrepancy(q, p) == before
    model = GAN(NormalPrior(2), torch.nn.Linear(2, 4), discrepancy)
    model.update_state(Square(model, p, Noise(0)), 0, 1.0)
    assert discrepancy(q, p) != before
    assert model.state_dict()["discrepancy.step"] == 1
