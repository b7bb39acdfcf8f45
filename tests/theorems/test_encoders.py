"""T33: kinds of encoders and priors, and the distributions they draw from."""

import math

import checks
import pytest
import torch
from scipy.stats import kstest, truncnorm
from torch import nn

from pushforward import VAE, Bernoulli
from pushforward.distributions import (
    DeterministicEncoder,
    Dirac,
    GaussianEncoder,
    ImplicitEncoder,
    NoisyInput,
    NormalPrior,
    SpherePrior,
    UniformPrior,
)
from pushforward.distributions.encoders import truncated_normal
from pushforward.errors import ConfigError
from pushforward.rng import Noise
from pushforward.square import Square

MANY = 100_000


def repeats(encoder, x, times=5):
    return torch.stack([encoder(x).rsample(Noise(seed)) for seed in range(times)]).detach()


def test_deterministic_encoder():
    """T33: a deterministic encoder has zero variance over repeats, and is its own centre."""
    encoder, x = DeterministicEncoder(nn.Linear(3, 2)), torch.randn(4, 3)
    assert isinstance(encoder(x), Dirac)
    assert (repeats(encoder, x).var(0) == 0).all()
    assert torch.equal(encoder(x).center, encoder.net(x))


def test_gaussian_encoder():
    """T33: over 100,000 draws the mean is μ and the covariance diag σ², within 4 standard errors."""
    mean, variance = torch.tensor([0.5, -2.0, 1.0]), torch.tensor([0.25, 4.0, 1.0])
    encoder = GaussianEncoder(checks.Constant(*mean.tolist(), *variance.log().tolist()))
    with torch.no_grad():
        z = encoder(torch.zeros(MANY, 1)).rsample(Noise(0)).double()
    root_n = MANY**0.5
    assert ((z.mean(0) - mean).abs() < 4 * variance.sqrt() / root_n).all()
    expected = variance.diag().double()
    errors = (variance.outer(variance) * (1 + torch.eye(3))).sqrt() / root_n
    assert ((z.T.cov() - expected).abs() < 4 * errors).all()


def test_gaussian_encoder_is_differentiable_in_both_heads():
    """T33: z = μ + σ ε: dz/dμ = 1 and dz/d log σ² = ½ σ ε."""
    net = checks.Constant(0.3, math.log(4.0))
    noise = Noise(0)
    z = GaussianEncoder(net)(torch.zeros(1, 1)).rsample(noise)
    z.sum().backward()
    torch.testing.assert_close(net.values.grad, torch.tensor([1.0, noise.normal(1, 1).item()]))


def test_clamp_of_the_log_variance():
    """T33: the logarithm of the variance is clamped in [-30, 20], not the deviation."""
    checks.clamps_the_log_variance(GaussianEncoder)


class Squared(nn.Module):
    """The head h(e, η) = e + η²: a chi-square distribution around the trunk."""

    def forward(self, joined):
        trunk, eta = joined.chunk(2, dim=-1)
        return trunk + eta.square()


def test_implicit_encoder_need_not_be_gaussian():
    """T33: z = e + η² has mean e + 1, variance 2 and skewness √8, which no Gaussian has."""
    encoder = ImplicitEncoder(checks.Constant(0.5), Squared(), noise=1)
    with torch.no_grad():
        q = encoder(torch.zeros(MANY, 1))
        z = q.rsample(Noise(0)).double()
    assert z.mean().item() == pytest.approx(1.5, abs=4 * (2 / MANY) ** 0.5)
    assert z.var().item() == pytest.approx(2, abs=4 * (56 / MANY) ** 0.5)
    standard = (z - z.mean()) / z.std()
    assert standard.pow(3).mean().item() == pytest.approx(8**0.5, abs=0.2)
    assert (q.center == 0.5).all()  # f(0), not the mean


def test_implicit_encoder_depends_on_its_noise():
    """T33: the noise goes through the network: codes of one x differ, and both parts are trained."""
    encoder = ImplicitEncoder(nn.Linear(3, 4), nn.Linear(4 + 2, 2), noise=2)
    assert (repeats(encoder, torch.randn(4, 3)).var(0) > 0).all()
    encoder(torch.randn(4, 3)).rsample(Noise(0)).square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in encoder.parameters())


def test_implicit_encoder_asks_its_head_once_for_a_draw():
    """T33: a BatchNorm in the head keeps the statistics of codes that were drawn, and of nothing else."""
    head = nn.Sequential(nn.Linear(4 + 2, 2), nn.BatchNorm1d(2))
    encoder = ImplicitEncoder(nn.Linear(3, 4), head, noise=2)
    encoder(torch.randn(8, 3)).rsample(Noise(0))
    assert head[1].num_batches_tracked == 1


def test_noisy_input():
    """T33: noise on the pixels in training only, of the stated deviation, within two of them."""
    x = torch.full((MANY, 1), 0.5)
    encoder = NoisyInput(DeterministicEncoder(nn.Identity()), std=0.01)
    noise = (encoder(x).rsample(Noise(0)) - x).double() / 0.01
    assert 1.99 < noise.abs().max() < 2 + 1e-3
    distribution = truncnorm(-2, 2)
    assert noise.mean().item() == pytest.approx(0, abs=4 * distribution.std() / MANY**0.5)
    assert noise.var().item() == pytest.approx(distribution.var(), rel=0.02)
    encoder.eval()
    assert torch.equal(encoder(x).rsample(Noise(0)), x)
    assert torch.equal(encoder(x).center, x)


def test_noisy_input_has_a_centre():
    """T33: without noise the code is that of the data as they are, in training as well."""
    x = torch.randn(4, 3)
    encoder = NoisyInput(DeterministicEncoder(nn.Linear(3, 2)), std=0.1)
    assert torch.equal(encoder(x).center, encoder.encoder(x).center)


def test_noisy_input_of_images():
    """T33: every pixel of an image has its own noise."""
    x = torch.zeros(3, 1, 4, 4)
    made = NoisyInput(DeterministicEncoder(nn.Identity()), std=1.0)(x).rsample(Noise(0))
    assert made.shape == x.shape
    assert made.unique().numel() == x.numel()


def test_noisy_input_and_the_code_s_own_noise_are_independent():
    """T33: a Gaussian encoder behind noisy pixels draws its noise from another stream."""

    class Both(nn.Module):
        def forward(self, x):
            return torch.cat([x, torch.zeros_like(x)], 1)

    x = torch.zeros(MANY, 1)
    z = NoisyInput(GaussianEncoder(Both()), std=1.0)(x).rsample(Noise(0)).double()
    assert z.var().item() == pytest.approx(1 + truncnorm(-2, 2).var(), rel=0.02)


def test_truncated_normal():
    """T33: the normal distribution conditioned on [-2, 2]."""
    draws = truncated_normal(Noise(0), torch.empty(20_000, 1)).flatten().double()
    assert kstest(draws.numpy(), truncnorm(-2, 2).cdf).pvalue > 1e-3


@pytest.mark.parametrize("sigma", [1.0, 2.0])
@pytest.mark.parametrize("make", [NormalPrior, UniformPrior, SpherePrior])
def test_spread_of_priors(make, sigma):
    """The spread of a prior is E|z - z'|²: 2dσ² for N(0, σ²I), 2dσ²/3 for the box, 2σ² for the sphere."""
    d = 3
    prior = make(d, sigma)
    assert prior.expected_sq_distance == pytest.approx(
        {"N": 2 * d, "U": 2 * d / 3, "S": 2}[make.__name__[0]] * sigma**2
    )
    squares = [prior(MANY).rsample(Noise(seed)).double() for seed in (1, 2)]
    squares = (squares[0] - squares[1]).square().sum(1)
    assert abs(squares.mean() - prior.expected_sq_distance) < 4 * squares.std() / MANY**0.5
    assert torch.equal(prior(50).rsample(Noise(1)), prior.draw(50, Noise(1)))


@pytest.mark.parametrize("make", [NormalPrior, UniformPrior, SpherePrior])
def test_codes_live_where_the_prior_lives(make):
    """Encoders end with the prior's map: codes lie in the box, each on the sphere, or anywhere."""
    prior = make(3, 2.0)
    codes = DeterministicEncoder(nn.Linear(4, 3), prior.to_support)(10 * torch.randn(50, 4)).center
    drawn = prior(50).rsample(Noise(0))
    for z in (codes, drawn):
        if make is UniformPrior:
            assert z.abs().max() <= 2
        if make is SpherePrior:
            torch.testing.assert_close(z.norm(dim=1), torch.full((50,), 2.0))


@pytest.mark.parametrize("make", [NormalPrior, UniformPrior, SpherePrior])
@pytest.mark.parametrize(("latent_dim", "sigma"), [(0, 1.0), (2, 0.0), (2, -1.0)])
def test_impossible_priors(make, latent_dim, sigma):
    """A prior of no dimension or no width is refused."""
    with pytest.raises(ConfigError):
        make(latent_dim, sigma)


def test_vae_needs_a_gaussian_encoder():
    """T33: a VAE whose encoder has no density is refused by name."""
    encoder = NoisyInput(GaussianEncoder(nn.Linear(3, 4)), std=0.1)
    model = VAE(NormalPrior(2), nn.Linear(2, 3), encoder, Bernoulli())
    with pytest.raises(ConfigError, match="Implicit"):
        model.formula(Square(model, torch.rand(4, 3), Noise(0)))
