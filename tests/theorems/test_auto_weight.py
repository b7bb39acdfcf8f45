"""The weight that finds itself: five decades of starts, one result."""

import math
from types import SimpleNamespace

import pytest
import torch
from closed_forms import root, whitened
from torch import nn

from pushforward import IMQ, MMD, WAE, AutoWeight
from pushforward.data import Split
from pushforward.distributions import DeterministicEncoder, NormalPrior
from pushforward.errors import ConfigError
from pushforward.models import Weight
from pushforward.training import Loop, Training, adam


def linear_wae(weight):
    """A WAE of the plane whose decoder is given, so that cost and match disagree (T14)."""
    prior = NormalPrior(2)
    A = torch.tensor([[0.7, 0.2], [-0.3, 1.4]])
    decoder, encoder = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
    decoder.weight.data, encoder.weight.data = A, torch.linalg.inv(A)
    decoder.requires_grad_(False)
    return WAE(prior, decoder, DeterministicEncoder(encoder), MMD(IMQ(prior.spread)), weight=weight)


def test_one_result_from_a_tenth_to_a_thousand():
    """From starts .1 to 1000 the weight ends at one value, and D where a test could not tell it from 0."""
    S = torch.tensor([[2.0, 0.6], [0.6, 0.5]])
    x = whitened(512, 2).float() @ root(S)
    ends, gaps = [], []
    for start in (0.1, 10.0, 1000.0):
        weight = AutoWeight(NormalPrior(2), batch=64, start=start, rate=0.05, memory=20)
        optimizers = {"model": adam(2e-2, (0.9, 0.98))}  # Adam at .999 remembers a thousand steps
        loop = Loop(linear_wae(weight), Split(x), Training(64, optimizers), total=900)
        logs, averages = [], []
        for step in range(900):
            loop.advance()
            if step >= 600:
                logs.append(math.log(float(weight)))
                averages.append(weight.average.item() / weight.spread)
        ends.append(sum(logs) / len(logs))
        gaps.append(sum(averages) / len(averages))
    assert max(ends) - min(ends) < 0.3  # of 9.2 at the start
    assert all(0 < gap < 1 for gap in gaps)


def batch(made):
    """A square of which only the codes matter."""
    return SimpleNamespace(Ex=made, resting=made, z=torch.randn(64, 2))


def settled(weight, made, steps):
    for step in range(steps):
        weight.settle(batch(made(step)))
    return float(weight)


def test_the_multiplier_is_dual_ascent():
    """log λ rises by at most η a step while codes are away, and falls by η/4 when there is no gap."""
    away = AutoWeight(NormalPrior(2), 64, start=1.0, rate=0.01, memory=1)
    assert settled(away, lambda _: torch.randn(64, 2) + 3, 100) == pytest.approx(math.exp(1.0), rel=1e-9)
    home = AutoWeight(NormalPrior(2), 64, start=1.0, rate=0.01, memory=10_000)
    assert settled(home, lambda _: torch.randn(64, 2), 100) == pytest.approx(math.exp(-0.25), rel=0.02)


def test_weight_is_saved():
    """The multiplier and its average are in the state_dict; a number is, too."""
    weight = AutoWeight(NormalPrior(2), 64, start=1.0)
    settled(weight, lambda _: torch.randn(64, 2) + 1, 30)
    other = AutoWeight(NormalPrior(2), 64, start=77.0)
    assert set(weight.state_dict()) == {"log_value", "average"}
    other.load_state_dict(weight.state_dict())
    assert float(other) == float(weight) != 1.0
    assert other.average == weight.average > 0
    torch.manual_seed(5)
    one = settled(weight, lambda _: torch.randn(64, 2), 5)
    torch.manual_seed(5)
    assert settled(other, lambda _: torch.randn(64, 2), 5) == one
    assert set(Weight(3.0).state_dict()) == {"log_value"}


@pytest.mark.parametrize("value", [0.0, 0.5, 10.0, 1000.0])
def test_fixed_weight_stays(value):
    """A fixed weight is the number it was told, before and after."""
    weight = Weight(value)
    assert float(weight) == pytest.approx(value, rel=1e-12)
    weight.settle(batch(torch.randn(64, 2) + 9))
    assert float(weight) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("value", [-1.0, math.inf, math.nan])
def test_impossible_weights(value):
    """A negative or infinite weight is refused: it would drive codes away from the prior."""
    with pytest.raises(ConfigError):
        Weight(value)
    with pytest.raises(ConfigError):
        AutoWeight(NormalPrior(2), 64, start=value)


def test_automatic_weight_starts_above_zero():
    """A multiplier of 0 would stay 0."""
    with pytest.raises(ConfigError):
        AutoWeight(NormalPrior(2), 64, start=0.0)


def test_the_gauge_sees_no_gradient():
    """Settling leaves codes and their graph alone."""
    codes = torch.randn(64, 2, requires_grad=True)
    weight = AutoWeight(NormalPrior(2), 64, start=1.0)
    weight.settle(batch(codes))
    assert codes.grad is None
    assert not weight.average.requires_grad
