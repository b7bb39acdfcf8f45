"""T2, T6, T7, T27: the table of divergences of two Gaussians, and the critic that finds one of them."""

import math

import checks
import pytest
import torch
from closed_forms import (
    TABLE,
    chi_squared,
    integral,
    jensen_shannon,
    kl,
    log_ratio,
    quantiles,
    squared_hellinger,
    total_variation,
    wasserstein,
)
from scipy.stats import norm
from torch import nn

from pushforward import KL, JensenShannon
from pushforward.discrepancies import LogPriorCritic
from pushforward.distributions import Gaussian, NormalPrior, SpherePrior
from pushforward.errors import ConfigError

pytestmark = pytest.mark.usefixtures("float64")
SHIFTS = pytest.mark.parametrize("shift", TABLE)


class Logit(nn.Module):
    """The best critic of N(0, 1), given, and N(shift, 1), made; tilted, it is no longer the best."""

    def __init__(self, shift, tilt=0.0):
        super().__init__()
        self.shift, self.tilt = shift, tilt

    def forward(self, x):
        return log_ratio(x, self.shift) + self.tilt * x.sin()


@SHIFTS
def test_table_closed_forms(shift):
    """T2: every column of the table is its closed form."""
    js = jensen_shannon(shift)
    closed = (
        kl(shift),
        chi_squared(shift),
        squared_hellinger(shift),
        js,
        2 * js - math.log(4),
        None,
        total_variation(shift),
        wasserstein(shift),
    )
    for found, printed in zip(closed, TABLE[shift], strict=True):
        assert found is None or found == pytest.approx(printed, rel=2e-4, abs=6e-7)


@SHIFTS
def test_table_by_quadrature(shift):
    """T2: every column of the table is the integral that defines it."""

    def p(x):
        return norm.pdf(x)

    def q(x):
        return norm.pdf(x - shift)

    def triangular(x):
        return (p(x) - q(x)) ** 2 / (p(x) + q(x))

    low, high = -10 - shift, 10 + 2 * shift  # p²/q peaks at -shift
    at = {"low": low, "high": high, "points": [-shift, 0, shift / 2, shift]}
    columns = (
        integral(lambda x: p(x) * (norm.logpdf(x) - norm.logpdf(x - shift)), **at),
        integral(lambda x: math.exp(2 * norm.logpdf(x) - norm.logpdf(x - shift)), **at) - 1,
        integral(lambda x: (math.sqrt(p(x)) - math.sqrt(q(x))) ** 2, **at),
        jensen_shannon(shift),
        integral(lambda x: p(x) * math.log(p(x) / (p(x) + q(x))), **at)
        + integral(lambda x: q(x) * math.log(q(x) / (p(x) + q(x))), **at),
        integral(triangular, **at),
        integral(lambda x: abs(p(x) - q(x)), **at) / 2,
        integral(lambda x: abs(norm.cdf(x) - norm.cdf(x - shift)), **at),
    )
    for found, printed in zip(columns, TABLE[shift], strict=True):
        assert found == pytest.approx(printed, rel=2e-4, abs=6e-7)


@SHIFTS
def test_kl_of_shifted_gaussians(shift):
    """T2: KL(N(shift, 1), N(0, 1)) = KL(N(0, 1), N(shift, 1)) = shift²/2."""
    zero, far = (Gaussian(torch.full((1, 1), at), torch.zeros(1, 1)) for at in (0.0, shift))
    assert KL()(far, zero).item() == pytest.approx(TABLE[shift][0], abs=1e-12)
    assert KL()(zero, far).item() == pytest.approx(TABLE[shift][0], abs=1e-12)


@SHIFTS
def test_best_critic_attains_the_divergence(shift):
    """T2: with T = log p/q the bound equals -log 4 + 2 JS (Goodfellow et al., theorem 1)."""
    given = quantiles(200_000).unsqueeze(1)
    value = JensenShannon(Logit(shift)).critic_objective(given + shift, given)
    assert value.item() == pytest.approx(TABLE[shift][4], abs=3e-6)
    assert value.item() == pytest.approx(2 * jensen_shannon(shift) - math.log(4), abs=3e-6)


@SHIFTS
@pytest.mark.parametrize("tilt", [-0.3, 0.3])
def test_any_other_critic_stays_below(shift, tilt):
    """T2: the objective is a lower bound for every critic."""
    given = quantiles(20_000).unsqueeze(1)
    best, other = (JensenShannon(Logit(shift, t)).critic_objective(given + shift, given) for t in (0.0, tilt))
    assert other < best - 1e-4


@pytest.mark.parametrize("shift", [0.5, 1.0])
def test_logistic_regression_is_the_best_critic(shift):
    """T6: maximising the bound with an affine critic finds slope -shift and the value -log 4 + 2 JS."""
    n = 100_000
    given, made = torch.randn(n, 1), torch.randn(n, 1) + shift
    discrepancy = JensenShannon(nn.Linear(1, 1))
    optimizer = torch.optim.LBFGS(discrepancy.parameters(), max_iter=12, line_search_fn="strong_wolfe")

    def descend():
        optimizer.zero_grad()
        loss = -discrepancy.critic_objective(made, given)
        loss.backward()
        return loss

    optimizer.step(descend)
    assert discrepancy.critic.weight.item() == pytest.approx(-shift, rel=0.02)
    assert discrepancy.critic.bias.item() == pytest.approx(shift**2 / 2, abs=0.02)
    with torch.no_grad():
        terms = [
            nn.functional.logsigmoid(sign * discrepancy.critic(x)) for sign, x in ((1, given), (-1, made))
        ]
        error = math.sqrt(sum(term.var().item() / n for term in terms))
        assert abs(discrepancy.critic_objective(made, given).item() - TABLE[shift][4]) < 4 * error + 2 / n


@pytest.mark.parametrize("logit", [-200.0, -30.0, -10.0, -1.0, 0.0, 2.0, 10.0, 30.0])
def test_slopes_of_the_adversarial_discrepancy(logit):
    """T7: the model's slope is -σ(a) saturating, -(1 - σ(a)) with the roles exchanged."""
    checks.slopes_of_the_loss(JensenShannon, logit)


def test_a_confident_critic_leaves_a_gradient_only_if_non_saturating():
    """T7: at a logit of -10 the slopes are -4.5398e-5 and -.99995460."""
    slopes = [
        checks.slope(JensenShannon(nn.Identity(), non_saturating), -10.0) for non_saturating in (False, True)
    ]
    assert slopes[0] == pytest.approx(-4.5398e-5, rel=1e-5)
    assert slopes[1] == pytest.approx(-0.99995460, abs=1e-8)


@pytest.mark.parametrize("non_saturating", [True, False])
def test_equilibrium(non_saturating):
    """T7: an undecided critic loses log 4 = 1.386294, and so does the model with the roles exchanged."""
    discrepancy = JensenShannon(nn.Identity(), non_saturating)
    undecided = torch.zeros(5, 1)
    assert -discrepancy.critic_objective(undecided, undecided).item() == pytest.approx(1.386294, abs=5e-7)
    assert discrepancy(undecided, undecided).item() == pytest.approx(
        1.386294 if non_saturating else -1.386294, abs=5e-7
    )


class HalfSquare(nn.Module):
    """h(z) = scale ‖z‖²/2 + bias: -log of a Gaussian density."""

    def __init__(self, latent_dim):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.bias = nn.Parameter(torch.tensor(latent_dim / 2 * math.log(2 * math.pi)))

    def forward(self, z):
        return self.scale * z.square().sum(1, keepdim=True) / 2 + self.bias


@pytest.mark.parametrize("sigma", [1.0, 2.0])
def test_critic_with_the_log_prior(sigma):
    """T27: logits have shape (N, 1): one for each code, its own log-density added."""
    checks.one_logit_for_each_code(LogPriorCritic, sigma)


def test_critic_with_the_log_prior_at_home():
    """T27: for Q = P the best total logit is 0, so h(z) = ‖z‖²/2 + const; there the updates stop."""
    z = torch.randn(50, 3)
    discrepancy = JensenShannon(LogPriorCritic(HalfSquare(3), NormalPrior(3)))
    torch.testing.assert_close(discrepancy.critic(z), torch.zeros(50, 1), atol=1e-12, rtol=0)
    value = discrepancy.critic_objective(z, z)
    assert value.item() == pytest.approx(-math.log(4), abs=1e-12)
    for gradient in torch.autograd.grad(value, list(discrepancy.parameters())):
        assert gradient.abs() < 1e-12
    discrepancy.critic.net.scale.data += 0.1
    assert discrepancy.critic_objective(z, z) < value


def test_critic_with_the_log_prior_of_a_prior_without_density():
    """T27: a prior without a density is refused by name."""
    with pytest.raises(ConfigError, match="SpherePrior"):
        LogPriorCritic(nn.Linear(2, 1), SpherePrior(2))(torch.zeros(4, 2))
