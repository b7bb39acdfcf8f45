"""T29: a KL read off a critic, adaptive contrast, and what AVB is with a critic that is the best one."""

import math

import checks
import pytest
import torch
from torch import nn
from torch.distributions import Normal

from pushforward import VAE, GaussianLikelihood
from pushforward.costs import KL
from pushforward.discrepancies import DensityRatio
from pushforward.distributions import (
    DeterministicEncoder,
    Dirac,
    Gaussian,
    GaussianEncoder,
    Implicit,
    ImplicitEncoder,
    NormalPrior,
    Uniform,
    moments,
)
from pushforward.distributions.base import LEAST
from pushforward.models import AVB
from pushforward.rng import Noise
from pushforward.square import Square

pytestmark = pytest.mark.usefixtures("float64")
MANY = 100_000
GAUSSIANS = [(1.0, 1.0), (0.5, 0.6), (-2.0, 1.5)]  # q = N(m, t²) against p = N(0, 1)


def near(values, expected, errors=4.0):
    """Whether the mean of independent values is a number, within so many standard errors."""
    assert abs(values.mean().item() - expected) < errors * values.std().item() / len(values) ** 0.5 + 1e-12


def kl(m, t):
    return 0.5 * (m**2 + t**2 - 1 - 2 * math.log(t))


def coefficients(m, t):
    """log p/q = a + b z + c z²."""
    return torch.tensor([math.log(t) + m**2 / (2 * t**2), -m / t**2, 1 / (2 * t**2) - 0.5])


class Quadratic(nn.Module):
    """T(z) = a + b z + c z²."""

    def __init__(self, values):
        super().__init__()
        self.values = nn.Parameter(values.clone())

    def forward(self, z):
        return torch.cat([z**0, z, z**2], 1) @ self.values


# ------------------------------------------------------------------------------- density ratios


@pytest.mark.parametrize(("m", "t"), GAUSSIANS)
def test_the_exact_critic_reads_off_the_divergence(m, t):
    """T29: with T = log p/q the value is KL(q, p), on average over samples of q; those of p play no part."""
    z = m + t * torch.randn(MANY, 1)
    discrepancy = DensityRatio(Quadratic(coefficients(m, t)))
    near(-discrepancy.critic(z), kl(m, t))
    torch.testing.assert_close(discrepancy(z, torch.randn(3, 1)), -discrepancy.critic(z).mean())


@pytest.mark.parametrize(("m", "t"), GAUSSIANS)
def test_the_critic_finds_the_ratio(m, t):
    """T29: maximising its own objective on (1, z, z²), a critic comes to log p/q within 4 standard errors."""
    q, p = m + t * torch.randn(MANY, 1), torch.randn(MANY, 1)
    discrepancy = DensityRatio(Quadratic(torch.zeros(3)))
    optimizer = torch.optim.LBFGS(
        discrepancy.parameters(), max_iter=200, line_search_fn="strong_wolfe", tolerance_grad=1e-9
    )

    def closure():
        optimizer.zero_grad()
        loss = -discrepancy.critic_objective(q, p)
        loss.backward()
        return loss

    optimizer.step(closure)
    found = discrepancy.critic.values.detach()

    def logistic(values):
        sample = torch.cat([q, p])
        T = torch.cat([sample**0, sample, sample**2], 1) @ values
        return -(torch.nn.functional.logsigmoid(torch.cat([-T[:MANY], T[MANY:]])).sum())

    covariance = torch.linalg.inv(torch.autograd.functional.hessian(logistic, found))
    assert ((found - coefficients(m, t)).abs() < 4 * covariance.diag().sqrt() + 1e-6).all()
    near(-discrepancy.critic(q).detach(), kl(m, t), errors=8)  # the ratio's own error is as large again


def test_the_best_critic_s_own_gradient_vanishes():
    """T29: E_q ∇_φ T*_φ = 0 for both parameters of q, so that the sample alone has to be moved."""
    center = torch.full((MANY, 1), 0.7, requires_grad=True)
    log_var = torch.full((MANY, 1), -0.8, requires_grad=True)
    q, p = Gaussian(center, log_var), Gaussian(torch.zeros(MANY, 1), torch.zeros(MANY, 1))
    z = q.rsample(Noise(0)).detach()
    T = p.log_prob(z) - q.log_prob(z)
    for slopes in torch.autograd.grad(T.sum(), [center, log_var]):
        near(slopes, 0.0)


@pytest.mark.parametrize(("m", "t"), GAUSSIANS)
def test_moving_the_sample_descends_the_divergence(m, t):
    """T29: with T = log p/q held fixed, dD/dm is m and dD/d log t is t² - 1, those of KL."""
    noise = torch.randn(MANY, 1)
    critic = Quadratic(coefficients(m, t)).requires_grad_(False)
    z = (m + t * noise).requires_grad_()
    (slopes,) = torch.autograd.grad(len(z) * DensityRatio(critic)(z, z), z)
    near(slopes, m)
    near(slopes * t * noise, t**2 - 1)


# ------------------------------------------------------------------------------------- moments


def test_moments_that_are_known_are_exact():
    """T29: a Gaussian is the Gaussian of its own moments; a box has that of its centre and variances."""
    center, log_var = torch.randn(4, 3), torch.randn(4, 3)
    for distribution in (Gaussian(center, log_var), Uniform(center, log_var)):
        found = moments(distribution, Noise(0))
        assert isinstance(found, Gaussian)
        assert torch.equal(found.center, center)
        assert torch.equal(found.log_var, log_var)


def test_moments_of_draws_converge():
    """T29: of z = e + η² they come to e + 1 and 2, up to the least variance, as 1/√draws."""
    e = torch.tensor([[-1.0], [4.0]])
    distribution = Implicit(lambda noise: e + noise.normal(2, 1).to(e).square(), lambda: e)
    draws = 20_000
    found = moments(distribution, Noise(0), draws)
    assert ((found.center - e - 1).abs() < 4 * (2 / draws) ** 0.5).all()
    variance = found.log_var.exp() - LEAST
    assert ((variance - 2).abs() < 4 * (56 / draws) ** 0.5).all()
    assert not torch.equal(found.center, moments(distribution, Noise(1), draws).center)


def test_moments_of_a_point():
    """T29: a distribution without variance has the least one, so that codes can be divided by it."""
    found = moments(Dirac(torch.randn(3, 2)), Noise(0))
    torch.testing.assert_close(found.log_var.exp(), torch.full((3, 2), LEAST))


def test_draws_that_moments_come_from_are_not_the_code():
    """T29: the code is no one of the draws: E (z - μ̂)² is 1 + 1/16, and would be 1 - 1/16 of one of them."""
    prior = NormalPrior(1)
    head = nn.Identity()
    encoder = ImplicitEncoder(checks.Constant(), head, noise=1)
    model = AVB(prior, nn.Linear(1, 1), encoder, nn.Linear(2, 1), GaussianLikelihood())
    square = Square(model, torch.zeros(MANY, 1), Noise(0))
    near((square.Ex - square.moments.center).flatten().square(), 1 + 1 / 16)


# ----------------------------------------------------------------------------------------- AVB


def zero(inputs):
    critic = nn.Linear(inputs, 1)
    for parameter in critic.parameters():
        nn.init.zeros_(parameter)
    return critic


def gaussian(features=4, latent_dim=2):
    return GaussianEncoder(nn.Linear(features, 2 * latent_dim))


def avb(encoder, critic=None, adaptive_contrast=True, sigma=1.0):
    prior = NormalPrior(2, sigma)
    return AVB(prior, nn.Linear(2, 4), encoder, critic or zero(6), GaussianLikelihood(0.8), adaptive_contrast)


@pytest.mark.parametrize("sigma", [1.0, 2.0])
def test_contrast_is_the_whole_divergence_of_a_gaussian(sigma):
    """T29: with exact moments and T = 0, discrepancy and contrast sum to KL(q, p) on average."""
    model = avb(gaussian(), sigma=sigma)
    square = Square(model, torch.randn(MANY, 4), Noise(0))
    terms = model.formula(square)
    assert terms["discrepancy"] == 0
    rows = square.moments.log_prob(square.Ex) - square.p.log_prob(square.Ex)
    torch.testing.assert_close(terms["contrast"], rows.mean())
    near((rows - KL().rows(square.q, square.p)).detach(), 0.0)
    assert KL()(square.q, square.p) > 0.1


def test_the_terms_are_those_of_the_formula():
    """T29: the cost is that of the drawn code, the discrepancy -E T of the pair made."""
    model = avb(gaussian(), nn.Linear(6, 1))
    square = Square(model, torch.randn(30, 4), Noise(0))
    terms = model.formula(square)
    made, given = model.pair(square)
    torch.testing.assert_close(terms["discrepancy"], -model.discrepancy.critic(made).mean())
    torch.testing.assert_close(terms["reconstruction"], model.cost(model.decoder(square.Ex), square.x))
    assert set(terms) == {"reconstruction", "discrepancy", "contrast"}
    assert torch.equal(made[:, :4], square.x)
    assert torch.equal(given[:, :4], square.x)


@pytest.mark.parametrize("adaptive_contrast", [True, False])
def test_the_critic_sees_standard_codes(adaptive_contrast):
    """T29: given codes are N(0, I), independent of those made; with contrast a Gaussian's are N(0, I) too."""
    model = avb(gaussian(), adaptive_contrast=adaptive_contrast, sigma=3.0)
    square = Square(model, torch.randn(MANY, 4), Noise(0))
    made, given = (side[:, 4:].detach() for side in model.pair(square))
    error = 4 / MANY**0.5
    for z in (given, made) if adaptive_contrast else (given,):
        assert (z.mean(0).abs() < error).all()
        assert ((z.T.cov() - torch.eye(2)).abs() < 2**0.5 * error).all()
    if not adaptive_contrast:
        torch.testing.assert_close(made, square.Ex.detach() / 3)
    across = torch.cat([made, given], 1).T.corrcoef()[:2, 2:]
    assert (across.abs() < error).all()


def test_without_contrast_the_reference_is_the_prior():
    """T29: the contrast is then exactly 0, of any encoder."""
    encoder = ImplicitEncoder(nn.Linear(4, 3), nn.Linear(3 + 2, 2), noise=2)
    for sigma in (1.0, 2.5):
        model = avb(encoder, adaptive_contrast=False, sigma=sigma)
        square = Square(model, torch.randn(30, 4), Noise(0))
        assert model.formula(square)["contrast"] == 0
        assert torch.equal(model.reference(square).log_var, square.p.log_var)


@pytest.mark.parametrize("kind", ["gaussian", "implicit"])
def test_no_gradient_moves_the_moments(kind):
    """T29: r is held fixed, so that only the code moves."""
    encoder = (
        gaussian() if kind == "gaussian" else ImplicitEncoder(nn.Linear(4, 3), nn.Linear(3 + 2, 2), noise=2)
    )
    model = avb(encoder)
    square = Square(model, torch.randn(30, 4), Noise(0))
    r = model.reference(square)
    assert not r.center.requires_grad
    assert not r.log_var.requires_grad
    assert square.Ex.requires_grad
    # the gradient of the contrast is that of log r - log p along the code alone
    found = torch.autograd.grad(model.formula(square)["contrast"], list(encoder.parameters()))
    fixed = Gaussian(r.center.clone(), r.log_var.clone())
    again = Square(model, square.x, Noise(0))
    value = (fixed.log_prob(again.Ex) - again.p.log_prob(again.Ex)).mean()
    for one, other in zip(found, torch.autograd.grad(value, list(encoder.parameters())), strict=True):
        torch.testing.assert_close(one, other)


class Ratio(nn.Module):
    """T*(x, z) = log N(z; 0, I) - log q(σz | x) - L log σ, of an encoder with a density."""

    def __init__(self, encoder, sigma):
        super().__init__()
        self.encoder = [encoder]  # whose parameters are not the critic's
        self.sigma = sigma

    def forward(self, rows):
        x, z = rows[:, :4], rows[:, 4:]
        distribution = self.encoder[0](x)
        scaled = distribution.log_prob(self.sigma * z) + z.shape[1] * math.log(self.sigma)
        return Normal(0.0, 1.0).log_prob(z).sum(1) - scaled


@pytest.mark.parametrize("sigma", [1.0, 2.0])
def test_with_the_best_critic_it_is_the_vae(sigma):
    """T29: with T* the terms sum to the VAE's on average, the cost being that of the same draws."""
    encoder = gaussian()
    model = avb(encoder, Ratio(encoder, sigma), adaptive_contrast=False, sigma=sigma)
    vae = VAE(model.prior, model.decoder, encoder, model.cost)
    square = Square(model, torch.randn(MANY, 4), Noise(0))
    found, expected = model.formula(square), vae.formula(Square(vae, square.x, Noise(0)))
    assert torch.equal(found["reconstruction"], expected["reconstruction"])
    made, _ = model.pair(square)
    rows = -model.discrepancy.critic(made) - KL().rows(square.q, square.p)
    near(rows.detach(), 0.0)
    torch.testing.assert_close(found["discrepancy"], -model.discrepancy.critic(made).mean())
    assert (model.is_elbo, model.estimates_elbo) == (False, True)
    assert vae.is_elbo


def test_contrast_and_critic_share_a_distribution_that_is_not_gaussian():
    """T29: E log r - log p plus KL(q̃, N(0, I)) is KL(q, p) whatever q is; here a box, by its entropy."""
    center, log_var = torch.tensor([[0.5]]), torch.tensor([[-1.0]])
    distribution = Uniform(center.expand(MANY, 1), log_var.expand(MANY, 1))
    z, p = distribution.rsample(Noise(0)), Gaussian(torch.zeros(1, 1), torch.zeros(1, 1))
    r = moments(distribution, Noise(0))
    side = math.sqrt(12 * math.exp(-1.0))
    standard = (z - r.center) * (-r.log_var / 2).exp()
    ratio = -math.log(math.sqrt(12)) - Normal(0.0, 1.0).log_prob(standard).flatten()  # log q̃ - log N
    whole = r.log_prob(z) - p.log_prob(z) + ratio
    expected = -math.log(side) + 0.5 * math.log(2 * math.pi) + 0.5 * (0.25 + math.exp(-1.0))
    near(whole, expected)


def test_codes_of_a_point_can_be_distinguished_from_noise():
    """T29: a deterministic encoder has the contrast of the least variance, finite and far above 0."""
    model = avb(DeterministicEncoder(nn.Linear(4, 2)))
    adaptive_contrast = model.formula(Square(model, torch.randn(30, 4), Noise(0)))["contrast"]
    assert 5 < adaptive_contrast < 50
