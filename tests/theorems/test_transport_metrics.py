"""T11 to T13: exact and sliced Wasserstein distances against closed forms, optimal maps and POT."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, wasserstein_distance

import pushforward.metrics.transport as transport
from pushforward.errors import ConfigError, DataError
from pushforward.metrics.transport import sliced_wasserstein, wasserstein
from pushforward.rng import Noise

pytestmark = pytest.mark.usefixtures("float64")

POWERS = pytest.mark.parametrize("power", [1, 2])


def enumerated(q, p, power):
    """The cheapest of all assignments of a few rows."""
    n = len(q)
    costs = [[(a - b).norm().item() ** power for b in p] for a in q]
    totals = [sum(costs[i][j] for i, j in enumerate(order)) for order in itertools.permutations(range(n))]
    return (min(totals) / n) ** (1 / power)


# ------------------------------------------------------------------------------- one dimension


@POWERS
@pytest.mark.parametrize("shift", [-2.5, 0.0, 1e-3, 40.0])
def test_shift_on_a_line(power, shift):
    """T11: W(x, x + δ) = |δ|, exactly."""
    x = torch.randn(50, 1)
    assert wasserstein(x, x[torch.randperm(50)] + shift, power) == pytest.approx(abs(shift), abs=1e-13)


@POWERS
def test_sorting_is_the_cheapest_assignment(power):
    """T11: on a line the sorted pairing costs as much as the linear programme's, at n = 50."""
    q, p = torch.randn(50, 1), 2 * torch.randn(50, 1) + 1
    sorted_cost = (q.sort(0).values - p.sort(0).values).abs().pow(power).mean().item() ** (1 / power)
    assert wasserstein(q, p, power) == pytest.approx(sorted_cost, rel=1e-13)
    padded = [torch.cat([x, torch.zeros(50, 1)], dim=1) for x in (q, p)]
    assert wasserstein(*padded, power) == pytest.approx(sorted_cost, rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 99))
def test_quantiles_of_unequal_samples(n, m, seed):
    """For any N and M: W1 is scipy's ∫ |F - G|; W2 that of samples repeated to N M rows each."""
    noise = Noise(seed)
    q, p = noise("q").normal(n, 1).double(), noise("p").normal(m, 1).double() + 0.5
    assert wasserstein(q, p, 1) == pytest.approx(wasserstein_distance(q[:, 0], p[:, 0]), rel=1e-10)
    for power in (1, 2):
        many, more = q.repeat_interleave(m, 0), p.repeat_interleave(n, 0)
        gaps = many.sort(0).values - more.sort(0).values
        expected = gaps.abs().pow(power).mean().item() ** (1 / power)
        assert wasserstein(q, p, power) == pytest.approx(expected, rel=1e-10)


def test_one_point_against_a_sample():
    """W2² to a point mass is variance plus squared bias; W1 the mean distance."""
    q = torch.tensor([[1.0], [2.0], [6.0]])
    assert wasserstein(q, torch.tensor([[2.0]]), 1) == pytest.approx(5 / 3)
    assert wasserstein(q, torch.tensor([[2.0]])) == pytest.approx(math.sqrt((1 + 0 + 16) / 3))


@pytest.mark.parametrize(("shift", "scale"), [(0.5, 1.0), (0.0, 2.0), (1.0, 0.5)])
def test_normal_distributions(shift, scale):
    """T2, T13: W2² of N(0,1) and N(δ,s²) is δ² + (1 - s)²; at the quantiles of many levels nearly so."""
    levels = (torch.arange(20_000) + 0.5) / 20_000
    q = torch.from_numpy(norm.ppf(levels.numpy()))[:, None]
    p = shift + scale * q[:-1:3]
    assert wasserstein(q, p) == pytest.approx(math.hypot(shift, 1 - scale), abs=2e-3)
    assert wasserstein(q, q * scale + shift, 1) == pytest.approx(
        torch.abs(q * (scale - 1) + shift).mean().item(), abs=1e-12
    )


# ------------------------------------------------------------------------------ the assignment


@POWERS
@pytest.mark.parametrize(("n", "d"), [(1, 3), (2, 2), (6, 2), (7, 5)])
def test_all_assignments(power, n, d):
    """Of few rows it is the least over all permutations."""
    q, p = torch.randn(n, d), torch.randn(n, d) + 0.3
    assert wasserstein(q, p, power) == pytest.approx(enumerated(q, p, power), rel=1e-12)


@POWERS
def test_segments(power):
    """T12: uniform on two parallel segments at distance θ: W = |θ|, and little more with other points."""
    u, theta = torch.rand(200), 0.7
    q, p = (torch.stack([torch.full((200,), x), u], dim=1) for x in (0.0, theta))
    assert wasserstein(q, p[torch.randperm(200)], power) == pytest.approx(theta, abs=1e-13)
    p[:, 1] = torch.rand(200)
    assert theta <= wasserstein(q, p, power) < theta + 1 / 200**0.5


@POWERS
def test_shift(power):
    """A shift by m costs |m|: no pairing is cheaper than the parallel one."""
    q, m = torch.randn(100, 4), torch.tensor([3.0, 0.0, -4.0, 12.0])
    assert wasserstein(q, q[torch.randperm(100)] + m, power) == pytest.approx(13, rel=1e-13)


def test_symmetric_maps_are_optimal():
    """T13: for A > 0, W2²(q, A q) = mean |A q - q|²; of white rows that is Bures, Σ (√a - √b)²."""
    q = torch.randn(150, 3)
    q = q - q.mean(0)
    q = q @ torch.linalg.inv(torch.linalg.cholesky(q.T @ q / 150)).T  # covariance I exactly
    axes = torch.linalg.qr(torch.randn(3, 3)).Q
    roots = torch.tensor([0.5, 1.0, 3.0])
    A = axes @ roots.diag() @ axes.T
    p = (q @ A)[torch.randperm(150)]
    assert wasserstein(q, p) == pytest.approx((roots - 1).norm().item(), rel=1e-12)
    # Under a map that is not symmetric, a rotation by 90°, something else is cheaper.
    turned = q @ axes.new_tensor([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    assert wasserstein(q, turned) < 0.9 * (turned - q).norm(dim=1).square().mean().sqrt().item()


@POWERS
def test_a_distance(power):
    """0 at home, symmetric, blind to order, and no shorter by a way round."""
    q, p, r = torch.randn(40, 3), torch.randn(40, 3) + 1, 2 * torch.randn(40, 3)
    assert wasserstein(q, q[torch.randperm(40)], power) == 0
    assert wasserstein(q, p, power) == pytest.approx(wasserstein(p, q, power), rel=1e-12)
    assert wasserstein(q, p, power) <= wasserstein(q, r, power) + wasserstein(r, p, power)
    assert wasserstein(q, p, 1) <= wasserstein(q, p, 2)


@POWERS
def test_similarities(power):
    """Rotations and shifts of both change nothing, a scale multiplies; far from 0 no digits are lost."""
    q, p = torch.randn(60, 3), torch.randn(60, 3) + 0.2
    rotation = torch.linalg.qr(torch.randn(3, 3)).Q
    value = wasserstein(q, p, power)
    assert wasserstein(q @ rotation, p @ rotation, power) == pytest.approx(value, rel=1e-12)
    assert wasserstein(q + 1e8, p + 1e8, power) == pytest.approx(value, rel=1e-6)
    assert wasserstein(-7 * q, -7 * p, power) == pytest.approx(7 * value, rel=1e-12)


# ------------------------------------------------------------------------------------- slices


@pytest.mark.parametrize("d", [2, 5, 30])
def test_sliced_shift(d):
    """SW2(q, q + m) averages to |m|/√d, and SW1 to |m| Γ(d/2) / (√π Γ((d+1)/2)), within 4 errors."""
    q, m, L = torch.randn(40, d), torch.randn(d), 4000
    length = m.norm().item()
    spread = 2 * (d - 1) / (d**2 * (d + 2))  # the variance of (θ·m/|m|)², a Beta(½, (d-1)/2)
    squared = (sliced_wasserstein(q, q + m, L, 2) / length) ** 2
    assert abs(squared - 1 / d) < 4 * (spread / L) ** 0.5
    first = math.gamma(d / 2) / (math.pi**0.5 * math.gamma((d + 1) / 2))
    value = sliced_wasserstein(q, q + m, L, 1) / length
    assert abs(value - first) < 4 * ((1 / d - first**2) / L) ** 0.5


def test_sliced_shift_along_its_directions():
    """Along each drawn θ a shift costs |θ·m|: the mean is over powers, the root comes last."""
    noise, m = Noise(5, "directions"), torch.tensor([1.0, -2.0, 0.5])
    along = (torch.nn.functional.normalize(noise.normal(7, 3).double(), dim=1) @ m).abs()
    q = torch.randn(20, 3)
    assert sliced_wasserstein(q, q + m, 7, 2, noise) == pytest.approx(along.square().mean().sqrt().item())
    assert sliced_wasserstein(q, q + m, 7, 1, noise) == pytest.approx(along.mean().item())


def test_sliced_distance_of_normal_distributions():
    """N(0, I) to N(m, s² I): SW2² = |m|²/d + (1 - s)², by samples of unequal sizes."""
    q, p = torch.randn(8000, 3), 1.5 * torch.randn(5000, 3) + torch.tensor([2.0, 0.0, 0.0])
    exact = math.sqrt(4 / 3 + 0.25)
    assert sliced_wasserstein(q, p, 512) == pytest.approx(exact, abs=0.1)
    assert sliced_wasserstein(q[:4000], q[4000:], 64) < 0.08


@POWERS
def test_one_dimension_has_one_slice(power):
    """With D = 1 every direction is ±1: the sliced distance is the exact one, for any N and M."""
    q, p = torch.randn(40, 1), torch.randn(27, 1) + 0.4
    assert sliced_wasserstein(q, p, 3, power) == pytest.approx(wasserstein(q, p, power), rel=1e-12)


@POWERS
def test_a_sliced_distance(power):
    """0 at home, symmetric, at most the exact one, obeys the triangle; copies of all rows change nothing."""
    q, p, r = torch.randn(50, 4), torch.randn(50, 4) + 1, 2 * torch.randn(30, 4)
    value = sliced_wasserstein(q, p, power=power)
    assert sliced_wasserstein(q, q[torch.randperm(50)], power=power) < 1e-14
    assert sliced_wasserstein(p, q, power=power) == pytest.approx(value, rel=1e-12)
    assert value < wasserstein(q, p, power)
    assert value <= sliced_wasserstein(q, r, power=power) + sliced_wasserstein(r, p, power=power)
    assert sliced_wasserstein(q.repeat(3, 1), p, power=power) == pytest.approx(value, rel=1e-12)
    assert sliced_wasserstein(-2 * q, -2 * p, power=power) == pytest.approx(2 * value, rel=1e-12)
    assert sliced_wasserstein(q + 100, p + 100, power=power) == pytest.approx(value, rel=1e-9)


def test_rotation_on_average():
    """A rotation of both changes which directions are seen, and nothing beyond their chance."""
    q, p = torch.randn(60, 3), torch.randn(60, 3) @ torch.diag(torch.tensor([3.0, 1.0, 0.2]))
    rotation = torch.linalg.qr(torch.randn(3, 3)).Q
    squares = [
        torch.tensor([sliced_wasserstein(a, b, 64, noise=Noise(i, name)) ** 2 for i in range(40)])
        for name, a, b in (("one", q, p), ("other", q @ rotation, p @ rotation))
    ]
    error = sum(s.var().item() / 40 for s in squares) ** 0.5
    assert abs(squares[0].mean() - squares[1].mean()) < 4 * error
    assert error < 0.03 * squares[0].mean()


def test_directions_are_derived(monkeypatch):
    """The same noise gives the same value, in blocks of any size; other noise another."""
    q, p = torch.randn(30, 4), torch.randn(20, 4) + 1
    value = sliced_wasserstein(q, p, 50, noise=Noise(1))
    assert sliced_wasserstein(q, p, 50, noise=Noise(2)) != value
    for cells in (1, 350):
        monkeypatch.setattr(transport, "CELLS", cells)
        assert sliced_wasserstein(q, p, 50, noise=Noise(1)) == pytest.approx(value, rel=1e-12)


# ------------------------------------------------------------------------------------- oracle


@POWERS
def test_equal_to_pot(power):
    """POT: the exact plan, one dimension, and slices along the same directions."""
    ot = pytest.importorskip("ot")
    q, p = torch.randn(80, 3).numpy(), (torch.randn(80, 3) * 1.5 + 0.3).numpy()
    made, rows = torch.from_numpy(q), torch.from_numpy(p)
    metric = {1: "euclidean", 2: "sqeuclidean"}[power]
    plan = ot.emd2([], [], ot.dist(q, p, metric=metric)) ** (1 / power)
    assert wasserstein(made, rows, power) == pytest.approx(plan, rel=1e-9)
    line = ot.wasserstein_1d(q[:, 0], p[:50, 0], p=power) ** (1 / power)
    assert wasserstein(made[:, :1], rows[:50, :1], power) == pytest.approx(line, rel=1e-9)
    noise = Noise(3, "oracle")
    sphere = torch.nn.functional.normalize(noise.normal(100, 3).double(), dim=1).T.numpy()
    sliced = ot.sliced_wasserstein_distance(q, p[:50], projections=sphere, p=power)
    assert sliced_wasserstein(made, rows[:50], 100, power, noise) == pytest.approx(float(sliced), rel=1e-9)


# ------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: wasserstein(torch.zeros(5, 2), torch.zeros(4, 2)),
            "equal size, got 5 and 4: .*sliced_wasserstein",
        ),
        (
            lambda: wasserstein(torch.zeros(5001, 2), torch.zeros(5001, 2)),
            "at most 5000 rows, got 5001: .*sliced_",
        ),
        (lambda: wasserstein(torch.zeros(5, 2), torch.zeros(5, 2), 3), "power must be 1 or 2, got 3"),
        (
            lambda: sliced_wasserstein(torch.zeros(5, 2), torch.zeros(5, 2), power=0),
            "power must be 1 or 2, got 0",
        ),
        (
            lambda: sliced_wasserstein(torch.zeros(5, 2), torch.zeros(5, 2), 0),
            "directions must be at least 1, got 0",
        ),
        (lambda: sliced_wasserstein(torch.zeros(5, 2), torch.zeros(5, 3)), "differ in features: 2 and 3"),
        (lambda: wasserstein(torch.zeros(5), torch.zeros(5)), r"made must have shape \(N, D\), got \(5,\)"),
        (lambda: wasserstein(torch.zeros(5, 1), torch.full((5, 1), torch.inf)), "given must be finite"),
        (lambda: wasserstein(torch.zeros(0, 1), torch.zeros(5, 1)), "made must have at least 1 rows, got 0"),
    ],
)
def test_refusals(call, words):
    """What cannot be compared is refused by name; large samples are sent to the sliced distance."""
    with pytest.raises((ConfigError, DataError), match=words):
        call()
