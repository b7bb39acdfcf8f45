"""T37: learning rates as the official code has them."""

import math

import checks
import pytest
import torch

from pushforward import AutoEncoder
from pushforward.distributions import NormalPrior
from pushforward.training.schedules import SCHEDULES, cosine, wae_celeba, wae_mnist


@pytest.mark.parametrize(
    ("epoch", "factor"),
    [(0, 1.0), (29, 1.0), (29.99, 1.0), (30, 0.5), (49, 0.5), (50, 0.1), (99, 0.1), (100, 0.01)],
)
def test_wae_mnist(epoch, factor):
    """T37: 1, .5, .1 and .01 at epochs 29, 30, 50 and 100."""
    assert wae_mnist(epoch, 120) == pytest.approx(factor, rel=1e-12)


@pytest.mark.parametrize("epochs", [1, 10, 50, 55])
def test_wae_celeba(epochs):
    """T37: 100^(-1/E) at the start of every epoch, the first included, so that the last has .01."""
    assert wae_celeba(epochs - 1, epochs) == pytest.approx(0.01)
    official = 1.0
    for epoch in range(epochs):
        official *= 100 ** (-1.0 / epochs)
        assert wae_celeba(epoch, epochs) == pytest.approx(official)
        assert wae_celeba(epoch + 0.9, epochs) == pytest.approx(official)


def test_cosine():
    """A rise over 5 % of the run, half a cosine down to 2 %; no step up after the top."""
    assert cosine(0, 100) == 0
    assert cosine(5, 100) == 1
    assert cosine(52.5, 100) == pytest.approx(0.02 + 0.98 / 2)
    assert cosine(100, 100) == pytest.approx(0.02)
    assert cosine(120, 100) == pytest.approx(0.02)
    values = [cosine(5 + e / 10, 100) for e in range(951)]
    assert values == sorted(values, reverse=True)
    for done in (0.3, 0.7):
        share = (done - 0.05) / 0.95
        assert cosine(done * 40, 40) == pytest.approx(0.02 + 0.49 * (1 + math.cos(math.pi * share)))


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_are_finite_and_at_most_one(name):
    """A schedule never exceeds the first learning rate, and is a function of place alone."""
    values = [SCHEDULES[name](e / 7, 110 / 7) for e in range(111)]
    assert all(0 <= value <= 1 for value in values)
    assert values == [SCHEDULES[name](e / 7, 110 / 7) for e in range(111)]


def test_the_loop_follows_the_schedule():
    """T37: at every step the loop's learning rate is the first one times the schedule at its epoch."""
    model = AutoEncoder(NormalPrior(2), *checks.networks(norm=None))
    loop = checks.looping(model, torch.rand(32, 6), batch_size=16, lr=0.5, schedule="wae-mnist")
    loop.total = 220
    seen = []
    for _ in range(220):
        loop.advance()
        seen.append(loop.player_states[0].optimizer.param_groups[0]["lr"])
    assert [seen[2 * epoch] for epoch in (29, 30, 50, 100)] == pytest.approx([0.5, 0.25, 0.05, 0.005])
    assert seen[59] == pytest.approx(0.5)
