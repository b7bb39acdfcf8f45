"""T30, section 1.7: InfoVAE's special cases as equalities, and random encoders that are kept random."""

import math

import checks
import pytest
import torch
from scipy.stats import kstest, uniform
from torch import nn

from pushforward import IMQ, MMD, VAE, WAE, GaussianLikelihood
from pushforward.costs import KL
from pushforward.distributions import (
    DeterministicEncoder,
    GaussianEncoder,
    NormalPrior,
    Uniform,
    UniformEncoder,
    UniformPrior,
)
from pushforward.errors import ConfigError
from pushforward.models import InfoVAE, RandomWAE
from pushforward.rng import Noise
from pushforward.square import Square

MANY = 100_000


def parts(sigma=1.0, kind=GaussianEncoder):
    prior = NormalPrior(3, sigma)
    return prior, nn.Linear(3, 5), kind(nn.Linear(5, 3 if kind is DeterministicEncoder else 6))


def mmd_of(prior):
    return MMD(IMQ(prior.expected_sq_distance))


def loss(model, x):
    return sum(model.formula(Square(model, x, Noise(0))).values())


# ------------------------------------------------------------------------------------- InfoVAE


@pytest.mark.usefixtures("float64")
class TestInfoVAE:
    """L = c + (1 - α) KL + (α + λ - 1) D."""

    def test_is_the_vae(self):
        """T30: with α = 0 and λ = 1 the loss is the VAE's, bit for bit, and is called a bound."""
        networks, x = parts(), torch.randn(20, 5)
        info = InfoVAE(*networks, mmd_of(networks[0]), GaussianLikelihood(0.7))
        vae = VAE(*networks, GaussianLikelihood(0.7))
        assert torch.equal(loss(info, x), loss(vae, x))
        assert info.is_elbo
        assert vae.is_elbo

    @pytest.mark.parametrize("beta", [0.0, 0.25, 1.0, 4.0, 4.994])
    def test_is_the_beta_vae(self, beta):
        """T30: with α + λ = 1, as far as rounding allows, it is the β-VAE with β = λ; a bound for β = 1."""
        networks, x = parts(), torch.randn(20, 5)
        info = InfoVAE(*networks, mmd_of(networks[0]), GaussianLikelihood(0.7), alpha=1 - beta, weight=beta)
        vae = VAE(*networks, GaussianLikelihood(0.7), beta)
        torch.testing.assert_close(loss(info, x), loss(vae, x), rtol=1e-14, atol=0)
        assert info.is_elbo == vae.is_elbo == (beta == 1)

    @pytest.mark.parametrize("kind", [GaussianEncoder, DeterministicEncoder])
    @pytest.mark.parametrize("weight", [0.0, 1.0, 30.0])
    def test_is_the_wae(self, weight, kind):
        """T30: with α = 1 the loss is that of the WAE of weight λ, and any encoder will do."""
        networks, x = parts(kind=kind), torch.randn(20, 5)
        info = InfoVAE(*networks, mmd_of(networks[0]), GaussianLikelihood(0.7), alpha=1.0, weight=weight)
        wae = WAE(*networks, mmd_of(networks[0]), GaussianLikelihood(0.7), weight)
        torch.testing.assert_close(loss(info, x), loss(wae, x), rtol=1e-14, atol=0)
        assert "kl" not in info.formula(Square(info, x, Noise(0)))
        assert not info.is_elbo

    @pytest.mark.parametrize(
        ("alpha", "weight"), [(0.3, 2.5), (0.0, 3.0), (-1.0, 2.0), (-2.0, 10.0), (0.5, 0.5)]
    )
    def test_coefficients(self, alpha, weight):
        """T30: the sum is c + (1 - α) KL + (α + λ - 1) D of the same draws."""
        prior, decoder, encoder = networks = parts(2.0)
        x = torch.randn(20, 5)
        info = InfoVAE(*networks, mmd_of(prior), GaussianLikelihood(0.7), alpha, weight)
        square = Square(info, x, Noise(0))
        divergence = KL()(encoder(x), prior(20))
        distance = mmd_of(prior)(square.Ex, square.z)
        cost = GaussianLikelihood(0.7)(decoder(square.Ex), x)
        assert divergence > 0
        expected = cost + (1 - alpha) * divergence + (alpha + weight - 1) * distance
        torch.testing.assert_close(loss(info, x), expected)
        assert info.discrepancy_weight == pytest.approx(alpha + weight - 1)
        assert not info.is_elbo

    @pytest.mark.parametrize(
        ("alpha", "weight"),
        [(0.0, 0.001), (1.01, 5.0), (0.0, 0.99), (-1.0, 1.0), (float("nan"), 1.0), (0.0, float("nan"))],
    )
    def test_codes_are_never_driven_away(self, alpha, weight):
        """T30: α > 1 or α + λ < 1 is refused; α = 0, λ = 0.001 is the default of a library in wide use."""
        with pytest.raises(ConfigError, match="alpha must be at most 1 and alpha \\+ weight at least 1"):
            InfoVAE(*parts(), mmd_of(NormalPrior(3)), GaussianLikelihood(), alpha, weight)

    def test_an_alpha_below_one_needs_densities(self):
        """T30: the KL of a deterministic code is refused by name."""
        networks = parts(kind=DeterministicEncoder)
        info = InfoVAE(*networks, mmd_of(networks[0]), GaussianLikelihood(), 0.5, 1.0)
        with pytest.raises(ConfigError, match="KL needs a Gaussian encoder"):
            loss(info, torch.randn(4, 5))


# ----------------------------------------------------------------------------- random encoders


def kept_random(log_vars, sigma=1.0, variance_weight=1.0, kind=GaussianEncoder):
    """A WAE whose codes have these log-variances on every row."""
    prior = NormalPrior(len(log_vars), sigma)
    encoder = kind(checks.Constant(*[0.5] * len(log_vars), *log_vars))
    return RandomWAE(
        prior, nn.Linear(len(log_vars), 5), encoder, mmd_of(prior), variance_weight=variance_weight
    )


@pytest.mark.usefixtures("float64")
class TestRandomWAE:
    """c + λ D + λ₁ E Σ_j |log σ_j² - log σ_P²|."""

    @pytest.mark.parametrize("kind", [GaussianEncoder, UniformEncoder])
    @pytest.mark.parametrize("sigma", [1.0, 0.5, 3.0])
    def test_penalty(self, sigma, kind):
        """Σ_j |log σ_j² - log σ_P²|, times λ₁, whatever the batch; 0 at the prior's own variance."""
        x, usual = torch.randn(7, 5), 2 * math.log(sigma)
        for log_vars in ([usual, usual], [usual - 2, usual], [usual + 1.5, usual - 0.25]):
            model = kept_random(log_vars, sigma, 3.0, kind)
            found = model.formula(Square(model, x, Noise(0)))["noise"].item()
            assert found == pytest.approx(3 * sum(abs(v - usual) for v in log_vars), abs=1e-12)

    def test_any_change_costs(self):
        """The penalty is 0 only there: every other log-variance, above or below, pays."""
        x = torch.randn(4, 5)
        for _ in range(20):
            model = kept_random(torch.randn(2).tolist())
            assert model.formula(Square(model, x, Noise(0)))["noise"] > 0

    @pytest.mark.parametrize("sigma", [1.0, 0.5])
    def test_the_divergence_pulls_at_no_mean(self, sigma):
        """With keep="kl" it is KL(N(μ, σ²), N(μ, σ_P²)), by torch, whatever μ is."""
        log_vars = torch.tensor([0.3, -2.0, 2 * math.log(sigma)])
        prior = NormalPrior(3, sigma)
        encoder = GaussianEncoder(checks.Constant(0.5, -7.0, 3.0, *log_vars.tolist()))
        model = RandomWAE(
            prior, nn.Linear(3, 5), encoder, mmd_of(prior), variance_weight=2.0, variance_penalty="kl"
        )
        distribution = torch.distributions.Normal
        wanted = torch.distributions.kl_divergence(
            distribution(0.0, (log_vars / 2).exp()), distribution(0.0, torch.tensor(sigma))
        )
        found = model.formula(Square(model, torch.randn(4, 5), Noise(0)))["noise"]
        assert found.item() == pytest.approx(2 * wanted.sum().item())
        with pytest.raises(ConfigError, match="unknown variance_penalty 'lg': did you mean 'log'"):
            RandomWAE(*parts(), mmd_of(NormalPrior(3)), variance_weight=1.0, variance_penalty="lg")

    def test_of_a_box(self):
        """σ_P² is the variance of a coordinate of the prior: σ²/3 of the box."""
        prior = UniformPrior(2, 1.5)
        encoder = UniformEncoder(checks.Constant(0.0, 0.0, *[math.log(1.5**2 / 3)] * 2))
        model = RandomWAE(prior, nn.Linear(2, 5), encoder, mmd_of(prior), variance_weight=1.0)
        noise = model.formula(Square(model, torch.randn(4, 5), Noise(0)))["noise"]
        assert noise.item() == pytest.approx(0, abs=1e-12)

    def test_rows_are_averaged(self):
        """The penalty of a batch is the mean of its rows' own."""
        prior, decoder, encoder = parts()
        model = RandomWAE(prior, decoder, encoder, mmd_of(prior), variance_weight=1.0)
        x = torch.randn(6, 5)
        found = model.formula(Square(model, x, Noise(0)))["noise"]
        torch.testing.assert_close(found, encoder(x).log_var.abs().sum(1).mean())

    def test_unpaid_it_is_the_wae(self):
        """With λ₁ = 0 the loss is the WAE's."""
        networks, x = parts(), torch.randn(20, 5)
        random = RandomWAE(*networks, mmd_of(networks[0]), weight=4.0, variance_weight=0.0)
        wae = WAE(*networks, mmd_of(networks[0]), weight=4.0)
        assert torch.equal(loss(random, x), loss(wae, x))

    def test_codes_must_be_random(self):
        """A deterministic encoder has no variance to be kept: it is refused by name."""
        networks = parts(kind=DeterministicEncoder)
        model = RandomWAE(*networks, mmd_of(networks[0]), variance_weight=1.0)
        with pytest.raises(
            ConfigError,
            match=r"RandomWAE needs an encoder with variances .*, got Dirac codes",
        ):
            loss(model, torch.randn(4, 5))

    @pytest.mark.parametrize("bad", [-1.0, math.inf, math.nan])
    def test_impossible_penalties(self, bad):
        """λ₁ below 0 would reward codes for being far from the prior's noise."""
        with pytest.raises(ConfigError, match="variance_weight"):
            RandomWAE(*parts(), mmd_of(NormalPrior(3)), variance_weight=bad)


def test_uniform_encoder():
    """U(μ - √3 σ, μ + √3 σ): over 100,000 draws the mean is μ, the variance σ², all within the box."""
    mean, variance = torch.tensor([0.5, -2.0, 1.0]), torch.tensor([0.25, 4.0, 1.0])
    encoder = UniformEncoder(checks.Constant(*mean.tolist(), *variance.log().tolist()))
    with torch.no_grad():
        distribution = encoder(torch.zeros(MANY, 1))
        z = distribution.rsample(Noise(0)).double()
    assert isinstance(distribution, Uniform)
    assert torch.equal(distribution.center[0], mean)
    assert ((z.mean(0) - mean).abs() < 4 * (variance / MANY).sqrt()).all()
    # the fourth central moment is 9/5 σ⁴, so that the variance of (z - μ)² is 4/5 σ⁴
    assert ((z.var(0) - variance).abs() < 4 * variance * (0.8 / MANY) ** 0.5).all()
    half = (3 * variance).sqrt()
    assert ((z - mean).abs() <= half * (1 + 1e-6)).all()
    for j in range(3):
        box = uniform((mean - half)[j].item(), 2 * half[j].item())
        assert kstest(z[:20_000, j].numpy(), box.cdf).pvalue > 1e-3
    correlation = z.T.corrcoef() - torch.eye(3)
    assert correlation.abs().max() < 4 / MANY**0.5


def test_uniform_encoder_is_differentiable_in_both_heads():
    """z = μ + √12 σ (u - ½): dz/dμ = 1 and dz/d log σ² = ½ (z - μ)."""
    net = checks.Constant(0.3, math.log(4.0))
    z = UniformEncoder(net)(torch.zeros(1, 1)).rsample(Noise(0))
    z.sum().backward()
    torch.testing.assert_close(net.values.grad, torch.tensor([1.0, (z.item() - 0.3) / 2]))


@pytest.mark.parametrize(("given", "kept"), [(-1e4, -30.0), (3.0, 3.0), (1e4, 20.0)])
def test_uniform_encoder_clamps_the_log_variance(given, kept):
    """The logarithm of the variance is held in [-30, 20]."""
    assert UniformEncoder(checks.Constant(0.0, given))(torch.zeros(1, 1)).log_var.item() == kept
