"""14.10: captured modes, high quality and KL against known answers and the expectations of fair draws."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import binom

import pushforward.metrics.modes as modes
from pushforward.data.points import grid, ring
from pushforward.errors import ConfigError, DataError
from pushforward.metrics.modes import Modes, label_modes, point_modes, stacked_labels

pytestmark = pytest.mark.usefixtures("float64")


def expected_kl(K, n):
    """E KL(counts / n || uniform) of n fair draws of K modes, exactly: K binomial terms."""
    k = np.arange(1, n + 1)
    return math.log(K) + K * float((binom.pmf(k, n, 1 / K) * (k / n) * np.log(k / n)).sum())


def sampler(centres, sigma, rows):
    """Exact draws of the mixture."""
    return centres[torch.randint(len(centres), (rows,))] + sigma * torch.randn(rows, 2)


# ------------------------------------------------------------------------------------ centres


@pytest.mark.parametrize("K", [1, 2, 8, 25])
def test_ring_has_as_many_distinct_modes(K):
    """T40: K centres at radius r, each 2π/K from the next: neighbours are 2 r sin(π/K) apart."""
    centres = ring(K, 3.0)
    assert centres.shape == (K, 2)
    torch.testing.assert_close(centres.norm(dim=1), torch.full((K,), 3.0))
    gaps = (centres - centres.roll(-1, 0)).norm(dim=1)
    torch.testing.assert_close(gaps, torch.full((K,), 6 * math.sin(math.pi / K)), rtol=0, atol=1e-12)
    if K > 1:
        assert torch.pdist(centres).min() > 0.1
    torch.testing.assert_close(centres[0], torch.tensor([3.0, 0.0]))


def test_linspace_is_caught():
    """T40: 8 angles from 0 to 2π inclusive hold 7 modes; such centres lie at other places and are refused."""
    angles = torch.linspace(0, 2 * math.pi, 8)
    wrong = 2 * torch.stack([angles.cos(), angles.sin()], dim=1)
    assert (torch.cdist(wrong, wrong) < 1e-9).sum() == 10  # each with itself, two with each other
    wrong[-1] = wrong[0]
    with pytest.raises(ConfigError, match="centres must be distinct, got 8"):
        point_modes(wrong, wrong, 0.02)
    found = point_modes(wrong, ring(), 0.02)
    assert found.captured == 1


def test_grid():
    """14.10: 25 centres, spacing 2, around 0."""
    centres = grid()
    assert {tuple(c) for c in centres.tolist()} == {
        (float(x), float(y)) for x in range(-4, 5, 2) for y in range(-4, 5, 2)
    }
    assert len(grid(3, 0.5)) == 9
    assert torch.pdist(grid(3, 0.5)).min() == 0.5


# ------------------------------------------------------------------------------------- points


@pytest.mark.parametrize(("centres", "sigma"), [(ring(), 0.02), (ring(8, 1.0), 0.01), (grid(), 0.05)])
def test_perfect_sampler(centres, sigma):
    """All modes; a share 1 - exp(-w²/2) within w σ; KL by chance alone."""
    rows = 20_000
    points = sampler(centres.double(), sigma, rows)
    for within in (1.0, 2.0, 3.0):
        found = point_modes(points, centres, sigma, within)
        share = 1 - math.exp(-(within**2) / 2)
        assert abs(found.high_quality - share) < 4 * (share * (1 - share) / rows) ** 0.5
    K = len(centres)
    assert (found.captured, found.held) == (K, K)
    assert found.high_quality == sum(found.counts) / rows
    # 2 n KL follows the chi-square distribution with K - 1 degrees of freedom.
    assert abs(2 * rows * found.kl - (K - 1)) < 4 * (2 * (K - 1)) ** 0.5


def test_the_radius_is_exact():
    """On the axis through one centre, points inside 3σ count and points outside do not."""
    offsets = torch.tensor([0.0, 2.999, -2.999, 3.001, -3.001, 2.2])
    points = ring(4, 2.0)[:1] + 0.1 * torch.stack([offsets, torch.zeros(6)], dim=1)
    found = point_modes(points, ring(4, 2.0), 0.1)
    assert found.counts == (4, 0, 0, 0)
    assert found.high_quality == 4 / 6
    # Across the diagonal (2.2, 2.2)σ is 3.11σ away: a ball, not a square.
    assert math.isnan(point_modes(ring(4)[:1] + 0.22, ring(4), 0.1).kl)


def test_two_notions_of_captured():
    """Of 1000 points 600, 3, 8 and 10 are in modes: 4 are captured, 2 held by 1 % of all 1000."""
    points = ring()[[0] * 600 + [1] * 3 + [2] * 8 + [3] * 10 + [4] * 379]
    points[-379:] += 0.5
    found = point_modes(points, ring(), 0.02)
    assert found.counts == (600, 3, 8, 10, 0, 0, 0, 0)
    assert (found.captured, found.held) == (4, 2)
    assert found.high_quality == 0.621
    assert point_modes(points, ring(), 0.02, least=0.0).held == 4
    assert point_modes(points, ring(), 0.02, least=0.1).held == 1
    shares = np.array([600, 3, 8, 10]) / 621
    assert found.kl == pytest.approx(float((shares * np.log(8 * shares)).sum()))


@pytest.mark.parametrize("kept", [1, 2, 4, 8])
def test_dropped_modes(kept):
    """Uniform on some of 8 modes: KL = log(8 / some)."""
    found = point_modes(ring()[:kept].repeat(6, 1), ring(), 0.02)
    assert (found.captured, found.held, found.high_quality) == (kept, kept, 1)
    assert found.kl == pytest.approx(math.log(8 / kept), abs=1e-14)


def test_overlapping_modes_share_no_point():
    """A point within 3σ of two centres belongs to the nearer one alone."""
    centres = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    found = point_modes(torch.tensor([[0.4, 0.0], [0.6, 0.0], [0.7, 0.0]]), centres, sigma=1.0)
    assert found.counts == (1, 2)


def test_nothing_in_any_mode():
    """Without a point in a mode there are no frequencies, so the KL is not a number."""
    found = point_modes(torch.zeros(5, 2), ring(), 0.02)
    assert (found.captured, found.held, found.high_quality, sum(found.counts)) == (0, 0, 0, 0)
    assert math.isnan(found.kl)


def test_invariances(monkeypatch):
    """Order, rotation, shift and scale change nothing, nor do blocks; float32 is as good."""
    points = sampler(ring().double(), 0.2, 500)
    found = point_modes(points, ring(), 0.2)
    rotation = torch.linalg.qr(torch.randn(2, 2)).Q
    assert point_modes(points[torch.randperm(500)], ring(), 0.2) == found
    assert point_modes(points @ rotation + 50, ring() @ rotation + 50, 0.2) == found
    assert point_modes(3 * points, 3 * ring(), 0.6) == found
    assert point_modes(points.float(), ring().float(), 0.2) == found
    for cells in (1, 100):
        monkeypatch.setattr(modes, "CELLS", cells)
        assert point_modes(points, ring(), 0.2) == found


# ------------------------------------------------------------------------------------- labels


def test_known_labels():
    """All in one class: log K; each class once: 0; frequencies ½, ¼, ¼, 0: log 4 - 1.5 log 2."""
    assert label_modes(torch.full((7,), 3), 10).kl == pytest.approx(math.log(10))
    assert label_modes(torch.arange(8), 8) == Modes(8, 8, 1.0, 0.0, (1,) * 8)
    found = label_modes(torch.tensor([0, 0, 1, 2]), 4)
    assert found.kl == pytest.approx(math.log(4) - 1.5 * math.log(2))
    assert (found.captured, found.counts) == (3, (2, 1, 1, 0))
    assert label_modes(torch.tensor([0, 0, 1, 2]), 4, least=0.25).held == 3
    assert label_modes(torch.tensor([0, 0, 0, 0, 1]), 4, least=0.25).held == 1


def test_three_digits_are_a_thousand_modes():
    """Every triple once: 1000 modes, KL 0; digits (a, b, c) are the number abc."""
    digits = torch.cartesian_prod(*[torch.arange(10)] * 3)
    assert label_modes(digits, 10) == label_modes(torch.arange(1000), 1000)
    assert label_modes(digits, 10).captured == 1000
    assert label_modes(digits, 10).kl == pytest.approx(0, abs=1e-12)
    assert label_modes(torch.tensor([[3, 0, 9]]), 10).counts.index(1) == 309
    # Digits that always agree are 10 of the 1000: log 100.
    found = label_modes(torch.arange(10)[:, None].expand(10, 3), 10)
    assert (found.captured, found.kl) == (10, pytest.approx(math.log(100)))


def test_perfect_sampler_of_stacked_digits():
    """14.10: 26,000 fair draws of 1000 modes: KL .0192 = 999/52000 on average, and all modes."""
    exact, rough = expected_kl(1000, 26_000), 999 / (2 * 26_000)
    assert rough == pytest.approx(0.0192, abs=5e-5)
    assert exact == pytest.approx(rough, rel=0.01)
    found = [label_modes(torch.randint(10, (26_000, 3)), 10) for _ in range(30)]
    values = torch.tensor([one.kl for one in found])
    error = (2 * 999) ** 0.5 / 52_000 / 30**0.5
    assert abs(values.mean().item() - exact) < 4 * error
    assert values.std().item() == pytest.approx(error * 30**0.5, rel=0.6)
    assert all(one.captured == one.held == 1000 for one in found)


@pytest.mark.parametrize(("K", "n"), [(8, 40), (25, 100)])
def test_expected_kl_of_few_draws(K, n):
    """With few draws (K - 1)/2n is rough; the mean is the exact binomial expectation."""
    values = torch.tensor([label_modes(torch.randint(K, (n,)), K).kl for _ in range(500)])
    assert abs(values.mean().item() - expected_kl(K, n)) < 4 * values.std().item() / 500**0.5


def test_channels_are_classified_one_by_one():
    """Red is the first digit: the classifier sees one grey channel at a time, in that order."""
    numbers = torch.tensor([[1, 2, 3], [9, 0, 0], [0, 0, 4]])
    images = numbers[:, :, None, None] * torch.ones(5, 6)
    seen = []

    def classify(x):
        seen.append(tuple(x.shape))
        return x[:, 0, 2, 2].long()

    assert stacked_labels(classify, images).tolist() == [123, 900, 4]
    assert seen == [(3, 1, 5, 6)] * 3
    assert stacked_labels(lambda x: x[:, 0, 0, 0].long(), images[:1] - 1, classes=3).tolist() == [
        0 * 9 + 1 * 3 + 2
    ]


# ------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: point_modes(torch.zeros(5, 2), ring(), 0.0),
            "sigma and within must be above 0, got sigma = 0.0",
        ),
        (lambda: point_modes(torch.zeros(5, 2), ring(), 0.1, least=0.2), "least must be from 0 to 1/8"),
        (
            lambda: point_modes(torch.zeros(5, 3), ring(), 0.1),
            "points and centres differ in features: 3 and 2",
        ),
        (lambda: point_modes(torch.full((5, 2), torch.nan), ring(), 0.1), "points must be finite"),
        (lambda: point_modes(torch.zeros(0, 2), ring(), 0.1), "points must have at least 1 rows, got 0"),
        (lambda: label_modes(torch.tensor([0, 10]), 10), "labels must be from 0 to 9, got 0 to 10"),
        (lambda: label_modes(torch.tensor([-1, 0]), 10), "got -1 to 0"),
        (lambda: label_modes(torch.zeros(3), 10), "labels must be whole numbers, got torch.float64"),
        (lambda: label_modes(torch.zeros(0).long(), 10), r"shape \(N,\) or \(N, L\), got \(0,\)"),
        (lambda: label_modes(torch.zeros(3, 8).long(), 10), "8 digits of 10 classes are more than"),
        (lambda: label_modes(torch.zeros(3).long(), 0), "classes must be at least 1, got 0"),
        (lambda: stacked_labels(len, torch.zeros(2, 1, 8, 8)), r"\(N, 3, H, W\), got \(2, 1, 8, 8\)"),
        (lambda: stacked_labels(lambda x: x, torch.zeros(2, 3, 8, 8)), "one label of each of 2 images"),
        (lambda: ring(0), "modes must be at least 1, got 0"),
        (lambda: grid(0), "side must be at least 1, got 0"),
    ],
)
def test_refusals(call, words):
    """What cannot be counted is refused by name."""
    with pytest.raises((ConfigError, DataError), match=words):
        call()
