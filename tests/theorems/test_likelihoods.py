"""The two decoders' likelihoods: the Gaussian, fixed and learnt, and the Bernoulli."""

import math

import pytest
import torch

from pushforward import Bernoulli, GaussianLikelihood, SquaredError
from pushforward.data import Dataset, Split
from pushforward.errors import ConfigError
from pushforward.recipes import RECIPES


@pytest.mark.usefixtures("float64")
def test_half_variance_is_the_squared_error():
    """With s² = ½ the negative log-likelihood is the squared error plus (D/2) log π."""
    made, given = torch.randn(6, 2, 3), torch.rand(6, 2, 3)
    constant = 6 / 2 * math.log(math.pi)
    torch.testing.assert_close(
        GaussianLikelihood().rows(made, given), SquaredError().rows(made, given) + constant
    )


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("std", [0.1, 1.0, 3.0])
@pytest.mark.parametrize("learnt", [True, False])
def test_gaussian_likelihood_agrees_with_torch(std, learnt):
    """Nats, summed over features."""
    cost = GaussianLikelihood(std, learnt)
    made, given = torch.randn(6, 2, 3), torch.rand(6, 2, 3)
    expected = -torch.distributions.Normal(made, std).log_prob(given).sum((1, 2))
    torch.testing.assert_close(cost.rows(made, given), expected)
    assert cost.std.item() == pytest.approx(std)
    assert len(list(cost.parameters())) == learnt


def fitted(cost, errors, steps=400):
    optimizer = torch.optim.Adam(cost.parameters(), lr=0.05, betas=(0.9, 0.9))
    for _ in range(steps):
        optimizer.zero_grad()
        cost(errors, torch.zeros_like(errors)).backward()
        optimizer.step()
    return cost.std.item()


@pytest.mark.parametrize("rms", [0.05, 0.3, 2.0])
@pytest.mark.parametrize("start", [0.1, 1.0])
def test_learnt_deviation_is_the_error(rms, start):
    """The best s is the root mean square error per feature."""
    errors = torch.randn(50, 4)
    errors *= rms / errors.square().mean().sqrt()
    assert fitted(GaussianLikelihood(start, learnt=True), errors) == pytest.approx(rms, rel=0.01)


def test_learnt_deviation_has_a_floor():
    """On data without error s falls towards `least` and never below it: the likelihood stays bounded."""
    cost = GaussianLikelihood(0.5, learnt=True, least=0.1)
    assert 0.1 <= fitted(cost, torch.zeros(5, 4), steps=1000) < 0.12
    cost.excess.data.fill_(-200.0)
    assert cost.std.item() == pytest.approx(0.1)
    assert cost(torch.zeros(5, 4), torch.zeros(5, 4)).isfinite()


@pytest.mark.parametrize(
    "bad", [{"std": 0.0}, {"std": -1.0}, {"least": 0.0}, {"std": 0.01, "learnt": True}, {"std": float("nan")}]
)
def test_impossible_deviations(bad):
    """A deviation of 0, below 0, or not above its minimum is refused."""
    with pytest.raises(ConfigError):
        GaussianLikelihood(**bad)


@pytest.mark.usefixtures("float64")
def test_bernoulli_is_the_cross_entropy():
    """-log p = -Σ x log σ(l) + (1 - x) log(1 - σ(l)), summed over pixels."""
    logits, x = 3 * torch.randn(5, 2, 3), torch.rand(5, 2, 3)
    on = logits.sigmoid()
    expected = -(x * on.log() + (1 - x) * (1 - on).log()).sum((1, 2))
    torch.testing.assert_close(Bernoulli().rows(logits, x), expected)
    torch.testing.assert_close(Bernoulli().point(logits), on)


@pytest.mark.usefixtures("float64")
def test_bernoulli_is_least_at_the_pixels_own_entropy():
    """Of grey pixels the minimum is their entropy, at σ(l) = x."""
    x = torch.rand(1, 30) * 0.98 + 0.01
    least = Bernoulli()(x.logit(), x)
    entropy = -(x * x.log() + (1 - x) * (1 - x).log()).sum()
    torch.testing.assert_close(least, entropy)
    assert Bernoulli()(x.logit() + 0.1 * torch.randn_like(x), x) > least


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("pixel", [0.0, 0.25, 1.0])
def test_bernoulli_is_stable(dtype, pixel):
    """At logits of ±200 the value is max(l, 0) - x l and the slope σ(l) - x, exactly."""
    logits = torch.tensor([[-200.0], [-20.0], [0.0], [20.0], [200.0]], dtype=dtype, requires_grad=True)
    x = torch.full_like(logits, pixel)
    rows = Bernoulli().rows(logits, x)
    (slopes,) = torch.autograd.grad(rows.sum(), logits)
    plain = logits.detach().double().flatten()
    torch.testing.assert_close(
        rows.double(), plain.clamp_min(0) + (-plain.abs()).exp().log1p() - pixel * plain
    )
    tail = (-plain.abs()).exp()
    sigmoid = torch.where(plain < 0, tail / (1 + tail), 1 / (1 + tail)).unsqueeze(1)
    torch.testing.assert_close(
        slopes.double(), sigmoid - pixel, rtol=1e-6, atol=1e-7 if dtype == torch.float32 else 0
    )
    assert slopes[0].item() == pytest.approx(-pixel, abs=1e-80)
    assert slopes[-1].item() == 1 - pixel


@pytest.mark.parametrize(
    ("recipe", "cost", "learnt"),
    [("vae", "gaussian", False), ("vae", "gaussian-learnt", True), ("avb", "gaussian", False),
     ("beta-vae", "gaussian", False), ("info-vae", "gaussian-learnt", True)],
)  # fmt: skip
def test_likelihood_std_of_recipes(recipe, cost, learnt):
    """``likelihood_std`` is that of a Gaussian cost, its first value if learnt; without it s² = 1/2."""
    data = Dataset("toy", Split(torch.rand(20, 3)), Split(torch.rand(20, 3)), in_unit_interval=True)
    found = RECIPES[recipe](data.spec, cost=cost, likelihood_std=0.3).model.cost
    assert found.std.item() == pytest.approx(0.3)
    assert found.learnt == learnt
    assert RECIPES[recipe](data.spec, cost=cost).model.cost.std.item() == pytest.approx(math.sqrt(0.5))
    for other in ("bernoulli", "squared"):
        with pytest.raises(ConfigError, match=f"likelihood_std is for Gaussian costs, got cost '{other}'"):
            RECIPES[recipe](data.spec, cost=other, likelihood_std=0.3)
    with pytest.raises(ConfigError, match="std must be above 0"):
        RECIPES[recipe](data.spec, cost=cost, likelihood_std=0.0)
