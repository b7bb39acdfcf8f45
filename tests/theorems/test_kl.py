"""T1, T16, T17: the Kullback-Leibler divergence of codes, and what a VAE pays that a WAE does not."""

import math

import checks
import pytest
import torch
from closed_forms import gaussian_kl, integral, whitened
from torch import nn

from pushforward import KL
from pushforward.distributions import (
    DeterministicEncoder,
    Gaussian,
    GaussianEncoder,
    NormalPrior,
    UniformPrior,
)
from pushforward.errors import ConfigError

pytestmark = pytest.mark.usefixtures("float64")


def gaussian(mean, variance):
    mean, variance = torch.as_tensor(mean), torch.as_tensor(variance)
    return Gaussian(mean.reshape(1, -1), variance.log().reshape(1, -1))


HOME = gaussian([0.0], [1.0])


@pytest.mark.parametrize(
    ("mean", "variance", "nats"),
    [
        (0.0, 1.0, 0.0),
        (1.0, 1.0, 0.5),
        (0.0, math.e, (math.e - 2) / 2),
        (0.0, math.e**2, (math.e**2 - 3) / 2),
    ],
)
def test_kl_to_the_prior(mean, variance, nats):
    """T1: KL(N(μ, σ²), N(0, 1)) = ½(μ² + σ² - 1 - log σ²); 2.1945 for σ = e."""
    assert KL()(gaussian([mean], [variance]), HOME).item() == pytest.approx(nats, abs=1e-12)
    assert (math.e**2 - 3) / 2 == pytest.approx(2.1945, abs=5e-5)


def test_kl_gradients():
    """T1: the gradient by μ is μ, by the log-variance ½(e^v - 1)."""
    mean, log_var = torch.randn(5, 3, requires_grad=True), torch.randn(5, 3, requires_grad=True)
    KL().rows(Gaussian(mean, log_var), NormalPrior(3).double()(5)).sum().backward()
    torch.testing.assert_close(mean.grad, mean.detach())
    torch.testing.assert_close(log_var.grad, 0.5 * log_var.detach().expm1())


def test_kl_agrees_with_torch():
    """T1: the same number as torch.distributions, for any two diagonal Gaussians; summed over L."""
    m, v, n, w = (torch.randn(5, 3) for _ in range(4))
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(m, (v / 2).exp()), normal(n, (w / 2).exp())).sum(1)
    torch.testing.assert_close(KL().rows(Gaussian(m, v), Gaussian(n, w)), expected)
    torch.testing.assert_close(KL()(Gaussian(m, v), Gaussian(n, w)), expected.mean())


def test_log_density_agrees_with_torch():
    """T1: log q(z) in nats, summed over dimensions."""
    m, v, z = (torch.randn(5, 3) for _ in range(3))
    expected = torch.distributions.Normal(m, (v / 2).exp()).log_prob(z).sum(1)
    torch.testing.assert_close(Gaussian(m, v).log_prob(z), expected)


def test_kl_is_the_mean_log_ratio():
    """T1: KL = E_q [log q - log p], by Monte Carlo within 4 standard errors."""
    q = Gaussian(torch.full((1, 2), 0.7), torch.tensor([[-1.0, 0.5]]))
    p = NormalPrior(2, std=1.5).double()(1)
    z = q.center + (q.log_var / 2).exp() * torch.randn(100_000, 2)
    ratio = q.log_prob(z) - p.log_prob(z)
    assert abs(KL()(q, p) - ratio.mean()) < 4 * ratio.std() / len(z) ** 0.5


@pytest.mark.parametrize(("e", "tau2"), [(0.7, 0.5), (0.3, 0.1), (1.2, 1.0), (0.0, 1.0)])
def test_vae_pays_the_wae_s_term_plus_information(e, tau2):
    """T16: E KL(q(Z|x), P) = KL(Q_Z, P) + I(X; Z) for X ~ N(0, s²) and q = N(ex, τ²)."""
    s2 = 2.0
    x = s2**0.5 * whitened(100, 1)
    net = nn.Linear(1, 2)
    net.weight.data, net.bias.data = torch.tensor([[e], [0.0]]), torch.tensor([0.0, math.log(tau2)])
    vae_pays = KL()(GaussianEncoder(net)(x), NormalPrior(1).double()(100)).item()
    v = e**2 * s2 + tau2
    wae_pays = KL()(gaussian([0.0], [v]), HOME).item()
    information = 0.5 * math.log(v / tau2)
    assert wae_pays == pytest.approx(gaussian_kl(v), abs=1e-12)
    assert vae_pays == pytest.approx(0.5 * (v - 1 - math.log(tau2)), abs=1e-12)
    assert vae_pays == pytest.approx(wae_pays + information, abs=1e-12)


@pytest.mark.parametrize(("gap", "tight"), [(0.5, False), (2.0, False), (60.0, True)])
def test_information_about_n_points_is_at_most_log_n(gap, tight):
    """T16: I <= log N over N data points, with equality when their codes do not overlap."""
    centers = gap * torch.arange(-2.0, 3.0).unsqueeze(1)
    q = Gaussian(centers, torch.full_like(centers, -2.0))
    vae_pays = KL()(q, NormalPrior(1).double()(5)).item()
    prior = gaussian([0.0], [1.0])

    def log_mixture(z):
        return q.log_prob(torch.tensor([[z]])).logsumexp(0).item() - math.log(5)

    def integrand(z):
        log_q = log_mixture(z)
        return math.exp(log_q) * (log_q - prior.log_prob(torch.tensor([[z]])).item())

    wae_pays = sum(
        integral(integrand, c - gap / 2, c + gap / 2, points=[c]) for c in centers.flatten().tolist()
    )
    wae_pays += sum(
        integral(integrand, *ends) for ends in ((-2.5 * gap - 5, -2.5 * gap), (2.5 * gap, 2.5 * gap + 5))
    )
    information = vae_pays - wae_pays
    assert 0 < information <= math.log(5) + 1e-6
    assert (information > math.log(5) - 1e-6) is tight


def test_matched_codes_that_determine_the_data():
    """T17: at e = 1/s without noise the WAE's term is 0 and the VAE's is infinite."""
    s, pays = 1.7, []
    x = s * whitened(100, 1)
    for log_var in (-2.0, -8.0, -20.0):
        codes = Gaussian(x / s, torch.full_like(x, log_var))
        v = 1 + math.exp(log_var)
        wae_pays = KL()(gaussian([0.0], [v]), HOME).item()
        assert wae_pays == pytest.approx(0, abs=math.exp(log_var))
        pays.append(KL()(codes, NormalPrior(1).double()(100)).item())
    assert pays == pytest.approx([0.5 * (math.exp(v) - v) for v in (-2.0, -8.0, -20.0)])


def test_kl_of_what_has_no_density():
    """T17: the divergence of a point mass is infinite; the library refuses it by name."""
    x = torch.zeros(4, 1)
    with pytest.raises(ConfigError, match="Dirac"):
        KL()(DeterministicEncoder(nn.Linear(1, 1))(x), NormalPrior(1).double()(4))
    with pytest.raises(ConfigError, match="Implicit"):
        KL()(GaussianEncoder(nn.Linear(1, 2))(x), UniformPrior(1).double()(4))


@pytest.mark.parametrize("cost", [KL()])
def test_kl_sums_over_dimensions(cost):
    """T1: a code of twice the dimensions, the same again, pays twice; twice the rows pay the same."""
    m, v = torch.randn(4, 3), torch.randn(4, 3)
    home = Gaussian(torch.zeros(4, 3), torch.zeros(4, 3))
    wide = Gaussian(torch.zeros(4, 6), torch.zeros(4, 6))
    once = cost(Gaussian(m, v), home)
    torch.testing.assert_close(cost(Gaussian(m.repeat(1, 2), v.repeat(1, 2)), wide), 2 * once)
    long = Gaussian(torch.zeros(8, 3), torch.zeros(8, 3))
    torch.testing.assert_close(cost(Gaussian(m.repeat(2, 1), v.repeat(2, 1)), long), once)


def test_encoder_clamps_the_log_variance():
    """T1: the clamp acts on the log-variance, so that no KL overflows."""
    checks.clamps_the_log_variance(GaussianEncoder)
    for given in (-1e6, 1e6):
        q = GaussianEncoder(checks.Constant(0.0, given).float())(torch.zeros(3, 1))
        assert KL()(q, NormalPrior(1)(3)).isfinite()
