"""The table of f-divergences defends itself: conjugates, bounds, best critics, and float32."""

import math

import pytest
import torch
from torch import nn

from pushforward.discrepancies import FDivergence, spectral
from pushforward.discrepancies.f_divergences import ROWS, soft_clip
from pushforward.errors import ConfigError

LOG4 = math.log(4)
P = torch.tensor([0.5, 0.5], dtype=torch.float64)
Q = torch.tensor([0.25, 0.75], dtype=torch.float64)
U = torch.logspace(-4, 4, 81, dtype=torch.float64)
V = torch.linspace(-30, 30, 121, dtype=torch.float64)

# D_f(P || Q) of the two distributions above, by hand: each is a sum of two terms.
VALUES = {
    "kl": 0.5 * math.log(2) + 0.5 * math.log(2 / 3),
    "reverse-kl": 0.25 * math.log(0.5) + 0.75 * math.log(1.5),
    "pearson": 0.25 + 0.25 / 3,
    "squared-hellinger": 2 - 2 * (math.sqrt(0.125) + math.sqrt(0.375)),
    "jensen-shannon": 0.067644,
    "gan": -1.318650,
}
every = pytest.mark.parametrize("name", ROWS)


@every
def test_the_conjugate_is_the_supremum(name):
    """Fenchel and Young: f(u) + f*(t) >= u t for u > 0 and t in the domain, with equality at t = f'(u)."""
    row = ROWS[name]
    t = row.activation(V)
    gap = row.f(U)[:, None] + row.conjugate(t) - U[:, None] * t
    assert (gap >= -1e-9 * (1 + (U[:, None] * t).abs())).all()
    u = U.clone().requires_grad_()
    (slope,) = torch.autograd.grad(row.f(u).sum(), u)
    inside = slope.abs() < 1e3  # far out the conjugate's argument loses its digits
    torch.testing.assert_close(row.f(U)[inside] + row.conjugate(slope[inside]), (U * slope)[inside])


@every
def test_the_activation_stays_in_the_domain_and_rises(name):
    """g maps every logit to where f* is finite, and greater logits to greater numbers."""
    row = ROWS[name]
    t = row.activation(V)
    assert row.conjugate(t[V.abs() <= 20]).isfinite().all()
    near = V.abs() <= 10  # beyond, float64 cannot distinguish a bounded g from its bound
    assert (row.activation(V[near]).diff() > 0).all()
    assert (t.diff() >= 0).all()


@every
def test_the_stable_form_is_the_conjugate_of_the_activation(name):
    """f*(g(v)) in one step is f* of g, wherever two steps keep their digits."""
    row = ROWS[name]
    near = V[V.abs() <= 12]
    torch.testing.assert_close(
        row.conjugate_of_activation(near), row.conjugate(row.activation(near)), rtol=1e-6, atol=1e-9
    )
    assert row.conjugate_of_activation(V).isfinite().all()


@every
def test_thresholds_and_values_at_one(name):
    row = ROWS[name]
    one = torch.ones((), dtype=torch.float64, requires_grad=True)
    value = row.f(one)
    assert value.item() == pytest.approx(row.at_one)
    assert torch.autograd.grad(value, one)[0].item() == pytest.approx(row.threshold, abs=1e-12)
    undecided = row.optimum(torch.zeros((), dtype=torch.float64))
    assert row.activation(undecided).item() == pytest.approx(row.threshold, abs=1e-12)


class Logits(nn.Module):
    """A critic that is a table: row i of the data is the number i."""

    def __init__(self, values):
        super().__init__()
        self.values = nn.Parameter(values.clone())

    def forward(self, x):
        return self.values[x.long().flatten()]


def bound(name, logits):
    """B_V(Q, P) with samples whose frequencies are exactly those of the distributions."""
    discrepancy = FDivergence(Logits(logits), name).double()
    q, p = (torch.arange(2).repeat_interleave((distribution * 4).long())[:, None] for distribution in (Q, P))
    return discrepancy.critic_objective(q, p)


@every
def test_the_bound_is_tight_at_the_best_critic(name):
    """At T* = f'(p/q) the bound is the divergence; every other critic gives less."""
    best = ROWS[name].optimum((P / Q).log())
    assert bound(name, best).item() == pytest.approx(VALUES[name], abs=1e-5)
    for move in torch.randn(20, 2, dtype=torch.float64):
        assert bound(name, best + 0.3 * move) < bound(name, best)


@every
def test_a_critic_reaches_the_divergence_of_distant_distributions(name):
    """Where p is a hundred times q the best logit may be far from 0; the bound is tight there too."""
    p, q = torch.tensor([[0.5, 0.5], [0.005, 0.995]], dtype=torch.float64)
    row = ROWS[name]
    expected = (q * row.f(p / q)).sum()
    discrepancy = FDivergence(Logits(row.optimum((p / q).log())), name).double()
    made, given = (torch.tensor([0] * count + [1] * (1000 - count))[:, None] for count in (5, 500))
    assert discrepancy.critic_objective(made, given).item() == pytest.approx(expected.item(), rel=1e-9)


@every
def test_the_gap_is_of_second_order(name):
    """B(V* + e h) = D_f - O(e²): on logarithmic axes the gap has slope 2."""
    best, move = ROWS[name].optimum((P / Q).log()), torch.tensor([1.0, -0.7], dtype=torch.float64)
    steps = (1e-2, 1e-3)
    gaps = [(bound(name, best) - bound(name, best + step * move)).item() for step in steps]
    assert math.log10(gaps[0] / gaps[1]) == pytest.approx(2, abs=0.03)


# of N(0, 1) from N(d, 1), d = 1/2 and 1; systems.md T2
GAUSSIANS = {
    "kl": {0.5: 0.1250, 1.0: 0.5000},
    "reverse-kl": {0.5: 0.1250, 1.0: 0.5000},
    "squared-hellinger": {0.5: 0.061534, 1.0: 0.235006},
    "jensen-shannon": {0.5: 2 * 0.030311, 1.0: 2 * 0.111421},
    "gan": {0.5: -1.325672, 1.0: -1.163451},
}


@pytest.mark.parametrize("shift", [0.5, 1.0])
@pytest.mark.parametrize("name", GAUSSIANS)
def test_an_affine_critic_finds_the_divergence_of_gaussians(name, shift):
    """log p/q of N(0, 1) and N(d, 1) is affine, and so is the best logit: the bound gets there."""
    p, q = torch.randn(2, 100_000, 1, dtype=torch.float64)
    q = q + shift
    discrepancy = FDivergence(nn.Linear(1, 1).double(), name)
    optimizer = torch.optim.LBFGS(discrepancy.parameters(), max_iter=60, line_search_fn="strong_wolfe")

    def loss():
        optimizer.zero_grad()
        value = -discrepancy.critic_objective(q, p)
        value.backward()
        return value

    optimizer.step(loss)
    expected = GAUSSIANS[name][shift]
    from_zero = expected - ROWS[name].at_one
    assert discrepancy.critic_objective(q, p).item() - ROWS[name].at_one == pytest.approx(from_zero, rel=0.05)
    assert discrepancy.critic.weight.item() < 0


@pytest.mark.parametrize("apart", [0.5, 2.0])
def test_a_bounded_slope_makes_the_kl_of_points_their_distance(apart):
    """The KL of point masses is infinite; min over R of W1(P, R) + KL(R || Q) moves P to Q and pays r."""
    given, made = torch.full((8, 1), apart).double(), torch.zeros(8, 1).double()

    def critic_loss(bound):
        line = nn.Linear(1, 1).double()
        nn.init.constant_(line.weight, 0.3)  # one weight over its size keeps its sign
        discrepancy = FDivergence(bound(line), "kl")
        optimizer = torch.optim.Adam(discrepancy.parameters(), lr=0.1)
        for _ in range(300):
            optimizer.zero_grad()
            (-discrepancy.critic_objective(made, given)).backward()
            optimizer.step()
        return discrepancy.critic_objective(made, given).item()

    assert critic_loss(spectral) == pytest.approx(apart, abs=1e-3)
    assert critic_loss(lambda critic: critic) > 5 * apart


@every
def test_float32_stays_finite_for_logits_to_a_hundred(name):
    """Values and gradients of both players are finite for logits in [-100, 100]."""
    logits = torch.linspace(-100, 100, 401)
    for non_saturating in (True, False):
        discrepancy = FDivergence(Logits(logits), name, non_saturating)
        rows = torch.arange(401)[:, None]
        for value in (discrepancy.critic_objective(rows, rows), discrepancy(rows, rows)):
            assert value.isfinite()
            (gradient,) = torch.autograd.grad(value, discrepancy.critic.values)
            assert gradient.isfinite().all()


def test_soft_clipped_logits_are_the_logits_up_to_thirty():
    """It changes nothing up to 30, rises everywhere, is odd, and has no corner."""
    v = torch.linspace(-100, 100, 2001, dtype=torch.float64, requires_grad=True)
    t = soft_clip(v)
    inside = v.abs() <= 30
    assert torch.equal(t[inside], v[inside])
    assert (t.diff() > 0).all()
    torch.testing.assert_close(t, -t.flip(0))
    (slope,) = torch.autograd.grad(t.sum(), v)
    assert slope.diff().abs().max() < 0.1


@every
def test_the_non_saturating_form_descends_minus_g(name):
    """With the roles exchanged the model descends -E_Q g(V), as the paper's practical form has it."""
    discrepancy = FDivergence(Logits(torch.zeros(2)), name).double()
    logits = torch.tensor([0.3, -0.4], dtype=torch.float64)
    discrepancy.critic.values.data = logits
    rows = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    difference = discrepancy(rows[:1], rows) - discrepancy(rows[1:], rows)
    g = ROWS[name].activation(logits)
    assert difference.item() == pytest.approx((g[1] - g[0]).item())


def test_unknown_divergences_are_refused():
    with pytest.raises(ConfigError, match="did you mean 'pearson'"):
        FDivergence(nn.Linear(1, 1), "pearsn")


def test_a_row_of_ones_own():
    """Any convex function will do: half of Pearson's has half its value."""
    row = ROWS["pearson"]
    half = type(row)(
        lambda u: row.f(u) / 2, lambda t: row.conjugate(2 * t) / 2, lambda v: v / 2,
        lambda v: row.conjugate_of_activation(v) / 2, row.optimum, 0.0,
    )  # fmt: skip
    q, p = torch.randn(2, 50, 1)
    critic = nn.Linear(1, 1)
    whole = FDivergence(critic, "pearson").critic_objective(q, p)
    torch.testing.assert_close(FDivergence(critic, half).critic_objective(q, p), whole / 2)
