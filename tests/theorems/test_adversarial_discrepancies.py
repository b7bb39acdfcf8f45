"""GAN objectives in closed form: best critics, what the model then descends, penalties and bounds."""

import math

import pytest
import torch
from torch import nn

from pushforward.discrepancies import (
    Clipping,
    GradientPenalty,
    Hinge,
    JensenShannon,
    LeastSquares,
    Wasserstein,
    spectral,
)
from pushforward.errors import ConfigError
from pushforward.networks import mlp
from pushforward.rng import Noise

P = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
Q = torch.tensor([0.2, 0.2, 0.6], dtype=torch.float64)


class Table(nn.Module):
    """A critic that is a table: row i of the data is the number i."""

    def __init__(self, values):
        super().__init__()
        self.values = nn.Parameter(values.clone())

    def forward(self, x):
        return self.values[x.long().flatten()]


def rows(distribution):
    """A sample whose frequencies are exactly those of the distribution."""
    return torch.arange(3).repeat_interleave((distribution * 10).round().long())[:, None]


def on_tables(make, values):
    discrepancy = make(Table(values)).double()
    return discrepancy.critic_objective(rows(Q), rows(P)).item(), discrepancy(rows(Q), rows(P)).item()


# ------------------------------------------------------------------------------------ least squares


@pytest.mark.parametrize(("targets", "paid"), [((0, 1, 1), 0.206429), ((-1, 1, 0), 0.825714)])
def test_least_squares_has_its_best_critic_in_closed_form(targets, paid):
    """T* = (b p + a q) / (p + q) pays ½(a - b)² Σ pq/(p + q); any other critic pays more (T8)."""
    a, b, _ = targets
    best = (b * P + a * Q) / (P + Q)
    value, _ = on_tables(lambda critic: LeastSquares(critic, targets), best)
    assert -value == pytest.approx(paid, abs=1e-6)
    assert paid == pytest.approx(0.5 * (a - b) ** 2 * (P * Q / (P + Q)).sum().item(), abs=1e-6)
    for _ in range(10):
        other = best + 0.1 * torch.randn(3, dtype=torch.float64)
        assert on_tables(lambda critic: LeastSquares(critic, targets), other)[0] < value


def test_least_squares_with_pearson_s_targets_is_pearson_s_divergence():
    """With (-1, 1, 0) and the best critic the model descends ½ Σ (p - q)²/(p + q) = .174286 (T8)."""
    best = (P - Q) / (P + Q)
    _, descended = on_tables(lambda critic: LeastSquares(critic, (-1, 1, 0)), best)
    assert descended == pytest.approx(0.174286, abs=1e-6)


def test_binary_targets_are_non_saturating():
    """With (0, 1, 1) the model's loss is that of a critic with made and given exchanged."""
    values = torch.randn(3, dtype=torch.float64)
    q, p = rows(Q), rows(P)
    discrepancy = LeastSquares(Table(values)).double()
    torch.testing.assert_close(discrepancy(q, p), -discrepancy.critic_objective(p, q))


# ------------------------------------------------------------------------------------ saturation


@pytest.mark.parametrize(("non_saturating", "slope"), [(False, -4.5398e-5), (True, -0.99995460)])
def test_the_non_saturating_form_keeps_a_gradient(non_saturating, slope):
    """d/da at the logit a = -10: -σ(a) min-max, -(1 - σ(a)) exchanged (T7)."""
    discrepancy = JensenShannon(nn.Identity(), non_saturating)
    q = torch.full((4, 1), -10.0, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(discrepancy(q, q.detach()), q)
    assert 4 * gradient[0].item() == pytest.approx(slope, rel=1e-4)


# ------------------------------------------------------------------------------------ hinge


def test_the_hinge_s_best_critic_makes_it_the_total_variation():
    """T* = sign(p - q): the bound is -2(1 - TV), and the model descends 2 TV; TV is .4 here."""
    value, descended = on_tables(Hinge, (P - Q).sign())
    assert value == pytest.approx(-2 * (1 - 0.4))
    assert descended == pytest.approx(2 * 0.4)
    for _ in range(10):
        assert on_tables(Hinge, torch.randn(3, dtype=torch.float64) * 2)[0] <= value + 1e-12


# ------------------------------------------------------------------------------------ Wasserstein


def test_wasserstein_does_not_know_saturation():
    """Non-saturating or not, the model descends E_P T - E_Q T, the bound itself."""
    values = torch.randn(3, dtype=torch.float64)
    critic_objective, descended = on_tables(Wasserstein, values)
    assert descended == pytest.approx(critic_objective)
    assert critic_objective == pytest.approx((values * (P - Q)).sum().item())


class Slope(nn.Module):
    """The linear critic T(x) = w·x."""

    def __init__(self, w):
        super().__init__()
        self.w = nn.Parameter(torch.as_tensor(w, dtype=torch.float64))

    def forward(self, x):
        return x.flatten(1) @ self.w.unsqueeze(1)


@pytest.mark.parametrize(("theta", "weight", "slope"), [(1.0, 10.0, 1.05), (2.0, 0.1, 11.0)])
def test_the_penalised_bound_is_not_w1(theta, weight, slope):
    """δ_0 given, δ_θ made, T = wx: |w*| = 1 + θ/2λ and the value is θ + θ²/4λ, above W1 = θ (T23)."""
    given, made = torch.zeros(4, 1, dtype=torch.float64), torch.full((4, 1), theta, dtype=torch.float64)
    discrepancy = Wasserstein(Slope([-0.5]), GradientPenalty(weight))
    optimizer = torch.optim.LBFGS(discrepancy.parameters(), max_iter=50, line_search_fn="strong_wolfe")

    def loss():
        optimizer.zero_grad()
        value = discrepancy.penalties(made, given, Noise(0))["penalty"] - discrepancy.critic_objective(
            made, given
        )
        value.backward()
        return value

    optimizer.step(loss)
    assert abs(discrepancy.critic.w.item()) == pytest.approx(slope, rel=1e-5)
    assert -loss().item() == pytest.approx(theta + theta**2 / (4 * weight), rel=1e-5)
    assert discrepancy.critic_objective(made, given).item() == pytest.approx(theta * slope, rel=1e-5)


@pytest.mark.parametrize("n", [1, 7, 64])
def test_the_penalty_is_on_each_row_s_own_slope(n):
    """T = a·x pays λ(‖a‖ - 1)², whatever the size of the batch (T25); ‖x‖ and a norm of 1 pay nothing."""
    a = [3.0, 0.0, 4.0, 0.0]
    q, p = torch.randn(2, n, 2, 2, dtype=torch.float64)
    paid = GradientPenalty(10.0).penalties(Slope(a), q, p, Noise(1))["penalty"]
    assert paid.item() == pytest.approx(10 * (5 - 1) ** 2)
    assert GradientPenalty().penalties(Slope([0.6, 0.0, 0.8, 0.0]), q, p, Noise(1))["penalty"].item() < 1e-20
    norm = GradientPenalty().penalties(lambda x: x.flatten(1).norm(dim=1), q + 5, p + 5, Noise(1))["penalty"]
    assert norm.item() < 1e-20


def test_one_sided_penalties_let_flat_critics_be():
    q, p = torch.randn(2, 8, 2, dtype=torch.float64)
    flat, steep = Slope([0.3, 0.4]), Slope([3.0, 4.0])
    one_sided = GradientPenalty(1.0, one_sided=True)
    assert one_sided.penalties(flat, q, p, Noise(0))["penalty"] == 0
    assert one_sided.penalties(steep, q, p, Noise(0))["penalty"].item() == pytest.approx(16)
    towards_none = GradientPenalty(1.0, slope=0.0).penalties(flat, q, p, Noise(0))["penalty"]
    assert towards_none.item() == pytest.approx(0.25)


def test_a_flat_critic_has_a_finite_gradient():
    """Where the slope is exactly 0, the norm has no derivative; its gradient is 0 and not a NaN."""
    critic = Slope([0.0, 0.0])
    q, p = torch.randn(2, 8, 2, dtype=torch.float64)
    paid = GradientPenalty(1.0).penalties(critic, q, p, Noise(0))["penalty"]
    assert paid == 1
    assert torch.autograd.grad(paid, critic.w)[0].isfinite().all()


def test_the_penalty_looks_at_one_point_on_each_segment():
    """Every row has its own α in [0, 1]; the points lie between; α is a function of the noise (T26)."""
    seen = []

    def critic(x):
        seen.append(x.detach())
        return x.flatten(1).sum(1)

    q, p = torch.zeros(500, 1, 2, 2), torch.ones(500, 1, 2, 2)
    for noise in (Noise(0), Noise(0), Noise(1)):
        GradientPenalty().penalties(critic, q, p, noise)
    first, again, other = seen
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(first, first[:, :1, :1, :1].expand_as(first))  # one α for all values of a row
    alpha = first[:, 0, 0, 0]
    assert alpha.min() >= 0
    assert alpha.max() <= 1
    assert alpha.mean().item() == pytest.approx(0.5, abs=4 * 0.29 / 500**0.5)
    assert alpha.var().item() == pytest.approx(1 / 12, rel=0.2)


def test_the_penalty_moves_the_critic_alone():
    q = torch.randn(8, 2, dtype=torch.float64, requires_grad=True)
    critic = Slope([1.0, 2.0])
    paid = GradientPenalty().penalties(critic, q, torch.randn(8, 2, dtype=torch.float64), Noise(0))["penalty"]
    assert torch.autograd.grad(paid, (q, critic.w), allow_unused=True)[0] is None


def test_clipping_bounds_the_linear_critic_by_the_gap_of_means():
    """Over |w_j| <= c the best linear critic has c ‖E x - E G‖₁ exactly (T24)."""
    q, p = torch.randn(50, 3, dtype=torch.float64), torch.randn(50, 3, dtype=torch.float64) + 1
    discrepancy = Wasserstein(Slope([5.0, -5.0, 5.0]), Clipping(0.01))
    assert discrepancy.critic.w.abs().max() <= 0.01  # from the start
    optimizer = torch.optim.SGD(discrepancy.parameters(), lr=1.0)
    for _ in range(3):
        optimizer.zero_grad()
        (-discrepancy.critic_objective(q, p)).backward()
        optimizer.step()
        discrepancy.project()
    expected = 0.01 * (p.mean(0) - q.mean(0)).abs().sum()
    torch.testing.assert_close(discrepancy.critic_objective(q, p), expected)


def test_spectral_normalisation_makes_a_critic_of_slope_one():
    """Every layer's largest singular value is 1, so no two rows are further apart in value than in space."""
    critic = spectral(mlp(4, 1, [32, 32], norm=None, activation=nn.LeakyReLU))
    for _ in range(200):
        critic(torch.randn(2, 4))
    critic.eval()
    for layer in critic:
        if isinstance(layer, nn.Linear):
            assert torch.linalg.matrix_norm(layer.weight, 2).item() == pytest.approx(1, abs=1e-3)
    a, b = torch.randn(2, 1000, 4)
    assert ((critic(a) - critic(b)).abs().squeeze(1) <= 1.003 * (a - b).norm(dim=1)).all()


def test_a_penalised_critic_comes_close_to_w1():
    """W1(N(0, 1), N(2, 1)) = 2, and the penalised critic comes close: its best slope is 1 + 2 / 2λ = 1.1, so
    that it sees 2.2 and pays λ / 100 = 0.1."""
    discrepancy = Wasserstein(mlp(1, 1, [32, 32], norm=None, activation=nn.LeakyReLU), GradientPenalty(10.0))
    optimizer = torch.optim.Adam(discrepancy.parameters(), lr=3e-3, betas=(0.5, 0.9))
    for step in range(300):
        made, given = Noise(0, step)("q").normal(256, 1) + 2, Noise(0, step)("p").normal(256, 1)
        optimizer.zero_grad()
        (
            discrepancy.penalties(made, given, Noise(1, step))["penalty"]
            - discrepancy.critic_objective(made, given)
        ).backward()
        optimizer.step()
    made, given = Noise(2).normal(20_000, 1) + 2, Noise(3).normal(20_000, 1)
    seen = discrepancy.critic_objective(made, given).item()
    paid = discrepancy.penalties(made, given, Noise(4))["penalty"].item()
    assert seen == pytest.approx(2.2, rel=0.05)
    assert seen - paid == pytest.approx(2.1, rel=0.03)  # above W1, not below


# ------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize("norm", [nn.BatchNorm1d(4), nn.BatchNorm1d(4, track_running_stats=False)])
def test_a_penalty_on_a_critic_with_batch_norm_is_refused(norm):
    critic = nn.Sequential(nn.Linear(2, 4), norm, nn.Linear(4, 1))
    with pytest.raises(ConfigError, match=r"BatchNorm makes .* at one row depend on the others"):
        Wasserstein(critic, GradientPenalty())
    Wasserstein(critic, Clipping())  # which is no penalty on single rows


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: GradientPenalty(0.0),
        lambda: GradientPenalty(math.inf),
        lambda: GradientPenalty(1.0, slope=-1.0),
        lambda: Clipping(0.0),
        lambda: LeastSquares(nn.Linear(1, 1), (1.0, 1.0, 0.0)),
        lambda: Wasserstein(nn.Linear(1, 1), n_critic=0),
    ],
)
def test_impossible_settings(wrong):
    with pytest.raises(ConfigError):
        wrong()
