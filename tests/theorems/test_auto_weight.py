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
    """A WAE of the plane whose decoder is given, so that cost and discrepancy disagree (T14)."""
    prior = NormalPrior(2)
    A = torch.tensor([[0.7, 0.2], [-0.3, 1.4]])
    decoder, encoder = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
    decoder.weight.data, encoder.weight.data = A, torch.linalg.inv(A)
    decoder.requires_grad_(False)
    return WAE(
        prior, decoder, DeterministicEncoder(encoder), MMD(IMQ(prior.expected_sq_distance)), weight=weight
    )


@pytest.mark.slow
def test_one_result_from_a_tenth_to_a_thousand():
    """From .1 and from 1000 the weight ends at one value, and D where the tolerance is."""
    S = torch.tensor([[2.0, 0.6], [0.6, 0.5]])
    x = whitened(512, 2).float() @ root(S)
    ends, gaps = [], []
    for start in (0.1, 1000.0):
        weight = AutoWeight(
            NormalPrior(2), batch_size=64, start=start, up=0.05, down=0.02, memory=20, every=1
        )
        optimizers = {"model": adam(3e-2, (0.9, 0.95))}  # Adam at .999 remembers a thousand steps
        loop = Loop(linear_wae(weight), Split(x), Training(64, optimizers), total=650)
        logs, averages = [], []
        for step in range(650):
            loop.advance()
            if step >= 550:
                logs.append(math.log(float(weight)))
                averages.append(weight.average.item())
        ends.append(sum(logs) / len(logs))
        gaps.append(sum(averages) / len(averages))
    assert max(ends) - min(ends) < 0.1  # of 9.2 at the start
    assert all(1.5 < gap < 3 for gap in gaps)  # τ = 9/4 at full rate


def batch(made):
    """A square of which only the codes matter."""
    return SimpleNamespace(Ex=made, eval_codes=made, z=torch.randn(64, 2), fresh_prior=torch.randn(64, 2))


def settled(weight, made, steps):
    for step in range(steps):
        weight.update_state(batch(made(step)), 0, 1.0)
    return float(weight)


UP, DOWN = 0.01, 0.002


@pytest.mark.parametrize(
    ("average", "longer", "lr_factor", "step"),
    [
        (2.65, 2.65, 1.0, UP * 0.4),  # at full rate the tolerance is nine quarters of a deviation of chance
        (9.0, 9.0, 1.0, UP),
        (1.75, 1.75, 1.0, -DOWN * 0.5),
        (-3.0, -3.0, 1.0, -DOWN),
        (1.0, 1.0, 0.5, 0.5**0.5 * UP * 0.25),
        (0.5, 0.5, 0.1, 0.1**0.5 * UP * 0.23),  # at the end of a schedule it is a quarter of that
        (9.0, 9.0, 0.0, 0.0),
        (2.5, 8.0, 1.0, 0.0),  # while the gap falls by itself the weight does not rise
        (1.75, 8.0, 1.0, -DOWN * 0.5),
    ],
)
def test_the_multiplier_is_dual_ascent(average, longer, lr_factor, step):
    """log λ moves by η √r clip(D/s - τ, -1, 1) with τ = 1/4 + 2 r²: η upwards, another η downwards."""
    weight = AutoWeight(NormalPrior(2), 64, start=3.0, up=UP, down=DOWN, memory=10**12, every=1)
    weight.average.fill_(average)
    weight.longer.fill_(longer)
    weight.update_state(batch(torch.randn(64, 2)), 0, lr_factor)
    assert math.log(float(weight) / 3.0) == pytest.approx(step, abs=1e-9)


def test_the_gauge_is_in_deviations_of_chance():
    """D is measured in deviations of the statistic at P = Q: near 0 at home, far above 1 away."""
    home, away = (AutoWeight(NormalPrior(2), 64, start=1.0, memory=200) for _ in range(2))
    settled(home, lambda _: torch.randn(64, 2), 200)
    settled(away, lambda _: torch.randn(64, 2) + 1, 200)
    assert abs(home.average.item()) < 1
    assert away.average.item() > 10


def test_weight_is_saved():
    """The multiplier and its average are in the state_dict; a number is, too."""
    weight = AutoWeight(NormalPrior(2), 64, start=1.0)
    settled(weight, lambda _: torch.randn(64, 2) + 1, 30)
    other = AutoWeight(NormalPrior(2), 64, start=77.0)
    assert set(weight.state_dict()) == {"log_value", "average", "longer"}
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
    """A fixed weight is the number it was given, before and after."""
    weight = Weight(value)
    assert float(weight) == pytest.approx(value, rel=1e-12)
    weight.update_state(batch(torch.randn(64, 2) + 9), 0, 1.0)
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
    weight.update_state(batch(codes), 0, 1.0)
    assert codes.grad is None
    assert not weight.average.requires_grad
