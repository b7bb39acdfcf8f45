"""14.7: precision, recall, density, coverage and PRD against exact cases and the authors' code."""

import math

import pytest
import torch
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

import pushforward.metrics.precision_recall as manifold
from pushforward.errors import ConfigError, DataError
from pushforward.metrics.precision_recall import best_f, prd, prd_curve, prdc

pytestmark = pytest.mark.usefixtures("float64")


def figures(found):
    return (found.precision, found.recall, found.density, found.coverage)


def at_edges(k):
    """A density of 1 of copied rows: each ball ends at one of them, where rounding decides."""
    return pytest.approx(1 + 1 / (2 * k), abs=1 / (2 * k) + 1e-12)


def modes_of(count, rows=30, away=1000.0):
    """So many far modes of equal size, on a line."""
    return [torch.randn(rows, 3) + away * i for i in range(count)]


def readable(made, given, k):
    """The four formulas by whole matrices, one distance at a time."""
    radius = {}
    for name, x in (("made", made), ("given", given)):
        distances = [
            sorted((a - b).norm().item() for j, b in enumerate(x) if j != i) for i, a in enumerate(x)
        ]
        radius[name] = torch.tensor([row[k - 1] for row in distances])
    across = torch.tensor([[(p - q).norm().item() for q in made] for p in given])
    inside = across < radius["given"][:, None]
    return (
        inside.any(0).double().mean().item(),
        (across < radius["made"]).any(1).double().mean().item(),
        inside.double().sum().item() / (k * len(made)),
        inside.any(1).double().mean().item(),
    )


# -------------------------------------------------------------------------------- exact cases


@pytest.mark.parametrize("k", [1, 3, 5])
def test_identical_and_far_samples(k):
    """14.7: a sample against itself scores 1, 1, 1, 1; against one far away 0, 0, 0, 0."""
    x = torch.randn(60, 4)
    assert figures(prdc(x, x, k)) == (1, 1, 1, 1)
    assert figures(prdc(x[torch.randperm(60)], x, k)) == (1, 1, at_edges(k), 1)
    assert figures(prdc(x + 1000, x, k)) == (0, 0, 0, 0)


def test_by_hand():
    """On a line: given 0, 1, 3, 7 have radii 1, 1, 2, 4; made 5, 1, 1.5, 20 have 3.5, .5, .5, 15; k = 1."""
    given, made = torch.tensor([[0.0], [1.0], [3.0], [7.0]]), torch.tensor([[5.0], [1.0], [1.5], [20.0]])
    found = prdc(made, given, k=1)
    # Open balls of given: (-1, 1), (0, 2), (1, 5), (3, 11). Made 5 is in one of them (its edge of (1, 5) is
    # not), 1 in one (edges of two others are not), 1.5 in two, 20 in none.
    assert found.precision == 3 / 4
    assert found.density == 4 / 4
    assert found.coverage == 3 / 4  # the ball of 0 is empty
    # Open balls of made: (1.5, 8.5), (.5, 1.5), (1, 2), (5, 35): 0 is in none.
    assert found.recall == 3 / 4
    assert (found.k, found.rows) == (1, (4, 4))


@pytest.mark.parametrize("kept", [1, 2, 3])
def test_dropped_modes(kept):
    """Of 4 equal far modes the made ones are copied: recall and coverage are their share, precision 1."""
    modes = modes_of(4)
    found = prdc(torch.cat(modes[:kept]), torch.cat(modes))
    assert figures(found) == (1, kept / 4, at_edges(5), kept / 4)


@pytest.mark.parametrize("kept", [1, 2, 3])
def test_invented_modes(kept):
    """The roles exchanged: precision is the share of made rows where data are; recall and coverage 1."""
    modes = modes_of(4)
    found = prdc(torch.cat(modes), torch.cat(modes[:kept]))
    assert (found.precision, found.recall, found.coverage) == (kept / 4, 1, 1)
    assert found.density * 4 / kept == at_edges(5)


def test_collapse_onto_one_row():
    """Copies of one given row are precise, recall it alone, and cover those whose balls reach it."""
    given = torch.cat(modes_of(2, rows=20))
    made = given[:1].repeat(40, 1)
    found = prdc(made, given, k=3)
    assert found.precision == 1
    assert found.recall == 1 / 40  # its balls have radius 0 and hold nothing but that row
    near = sum(
        (given[0] - given[i]).norm() < (given - given[i]).norm(dim=1).sort().values[3] for i in range(40)
    )
    assert found.coverage == near / 40 < 0.5


# -------------------------------------------------------------------------------- discrete data

DISCRETE = {
    "bits": lambda n: torch.randint(0, 2, (n, 3)).to(torch.get_default_dtype()),
    "one-hot": lambda n: torch.eye(4)[torch.randint(0, 4, (n,))],
    "integers": lambda n: torch.randint(0, 10, (n, 1)).to(torch.get_default_dtype()),
    "rare": lambda n: torch.multinomial(torch.tensor([0.9, 0.06, 0.04]), n, True)[:, None] / 3,
    "constant": lambda n: torch.full((n, 2), 0.1),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", DISCRETE)
def test_a_perfect_sampler_of_discrete_data(name, dtype):
    """Every row has copies, so the k-th neighbour is at distance 0: all four are 1, density on average."""
    found = [figures(prdc(DISCRETE[name](400).to(dtype), DISCRETE[name](400).to(dtype))) for _ in range(20)]
    precision, recall, density, coverage = torch.tensor(found).T
    assert torch.stack([precision, recall, coverage]).eq(1).all()
    assert abs(density.mean() - 1) < 4 * density.std() / 20**0.5 + 1e-12


@pytest.mark.parametrize("name", DISCRETE)
def test_other_values_than_those_of_discrete_data(name):
    """However near: a ball of radius 0 holds nothing but its centre."""
    x = DISCRETE[name](400)
    for shift in (1e-3, 0.5, 100):
        assert figures(prdc(x + shift, x)) == (0, 0, 0, 0)


def test_some_values_of_discrete_data():
    """Of ten equally frequent values seven are made, in 155 of 200 rows, and two others."""
    given = torch.arange(10.0).repeat(40)[:, None]
    made = torch.tensor([*[0, 1, 2, 3, 4] * 28, *[5] * 6, *[6] * 9, *[20.5] * 20, *[21.5] * 25])[:, None]
    found = prdc(made, given)
    assert (found.precision, found.recall, found.coverage) == (155 / 200, 7 / 10, 7 / 10)
    assert found.density == pytest.approx(155 / 200)  # 40 balls of 40 rows hold each of the 155


def test_a_density_of_rows_with_neighbours_at_one_distance():
    """Corners of a cube in 12 dimensions: most neighbours are at the same few distances, and few are copies;
    a ball that ends at many of them holds fewer than k rows, which density takes into account.
    """
    found = [prdc(*torch.randint(0, 2, (2, 400, 12)).double(), 5).density for _ in range(10)]
    assert sum(found) / 10 == pytest.approx(1, abs=0.15)


def test_copies_in_features_of_a_network():
    """Features of equal rows differ by rounding where a batch differs: they are copies nevertheless."""
    given = torch.randn(4, 32, dtype=torch.float32)[torch.randint(0, 4, (200,))]
    made = given[torch.randperm(200)] * (1 + 1e-7 * torch.randn(200, 32, dtype=torch.float32).clamp(-2, 2))
    assert not made.equal(made.unique(dim=0)[:4])
    assert figures(prdc(made, given)) == (1, 1, pytest.approx(1), 1)


def test_one_feature_of_many_rows():
    """Neighbours on a line are as near as float32 rounds a product: the figures are those of float64."""
    q, p = torch.randn(2, 1500, 1, dtype=torch.float32)
    assert prdc(q, p) == prdc(q.double(), p.double())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_ties_the_formulas_of_the_papers(dtype):
    """To the last bit: balls of k rows, counted one by one."""
    q, p = (torch.randn(150, 6) + 0.3).to(dtype), torch.randn(130, 6).to(dtype)
    distances = torch.cdist(p.double(), p.double()).sort(1).values
    inside = torch.cdist(p.double(), q.double()) < distances[:, 3:4]
    found = prdc(q, p, 3)
    assert found.density == int(inside.sum()) / (3 * 150)
    assert found.coverage == int(inside.any(1).sum()) / 130
    assert found.precision == int(inside.any(0).sum()) / 150


def test_given_outlier():
    """An outlier's ball makes all rows up to it precise; density rises by 1/k alone, coverage by one row."""
    k, n = 4, 50
    cluster, outlier = torch.randn(n, 2), torch.tensor([[1000.0, 0.0]])
    made = torch.randn(n, 2) + torch.tensor([500.0, 0.0])
    assert figures(prdc(made, cluster, k)) == (0, 0, 0, 0)
    found = prdc(made, torch.cat([cluster, outlier]), k)
    assert figures(found) == (1, 0, pytest.approx(1 / k), pytest.approx(1 / (n + 1)))


def test_made_outlier():
    """A made outlier's ball recalls rows that nothing is near; coverage stays 0."""
    given, cluster = torch.randn(50, 2) + torch.tensor([500.0, 0.0]), torch.randn(50, 2)
    found = prdc(torch.cat([cluster, torch.tensor([[1000.0, 0.0]])]), given)
    assert (found.recall, found.coverage, found.precision) == (1, 0, 0)


# --------------------------------------------------------------------- expectations, equal distributions


@pytest.mark.parametrize(("n", "m", "k"), [(30, 30, 1), (20, 40, 3), (50, 25, 5)])
def test_expected_density_and_coverage(n, m, k):
    """For equal distributions E density = 1, E coverage = 1 - C(M-1, k) / C(M+N-1, k), whatever they are."""
    found = [prdc(torch.randn(n, 2).exp(), torch.randn(m, 2).exp(), k) for _ in range(300)]
    for name, expected in (
        ("density", 1.0),
        ("coverage", 1 - math.comb(m - 1, k) / math.comb(m + n - 1, k)),
    ):
        values = torch.tensor([getattr(one, name) for one in found])
        error = values.std().item() / 300**0.5
        assert abs(values.mean().item() - expected) < 4 * error
        assert error < 0.02


def test_precision_is_recall_with_the_samples_swapped():
    """Precision of Q against P is recall of P against Q."""
    q, p = torch.randn(80, 3) + 0.7, 2 * torch.randn(60, 3)
    assert prdc(q, p).precision == prdc(p, q).recall
    assert prdc(q, p).recall == prdc(p, q).precision


def test_coverage_is_at_most_precise_and_grows():
    """More made rows cover no fewer given rows, and a larger k's balls hold no fewer made rows."""
    q, p = torch.randn(100, 3) + 1, torch.randn(60, 3)
    covered = [prdc(q[:n], p, 3).coverage for n in (10, 30, 100)]
    assert covered == sorted(covered)
    by_k = [prdc(q, p, k) for k in (1, 3, 9)]
    for name in ("precision", "recall", "coverage"):
        values = [getattr(one, name) for one in by_k]
        assert values == sorted(values)
        assert values[0] < values[-1]


# -------------------------------------------------------------------------------- invariances


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_similarities_change_nothing(dtype):
    """A rotation, scale and shift of both samples together, and the order of rows, leave all four."""
    q, p = torch.randn(70, 5) + 0.5, torch.randn(90, 5)
    rotation = torch.linalg.qr(torch.randn(5, 5)).Q
    before = figures(prdc(q, p))
    for move in (
        lambda x: x @ rotation,
        lambda x: 1e-3 * x,
        lambda x: x + 300,
        lambda x: x[torch.randperm(len(x))],
    ):
        assert figures(prdc(move(q).to(dtype), move(p).to(dtype))) == before
    assert figures(prdc(q + 3, p)) != before


@pytest.mark.parametrize("cells", [1, 200, 1000, 10**6])
def test_blocks_change_nothing(cells, monkeypatch):
    """Blocks of one row, of some with a rest, or one block give the readable form; progress is complete."""
    q, p, reported = torch.randn(33, 3) + 0.5, torch.randn(47, 3), []
    monkeypatch.setattr(manifold, "CELLS", cells)
    found = prdc(q, p, 3, progress=lambda *done: reported.append(done))
    assert figures(found) == pytest.approx(readable(q, p, 3), abs=1e-12)
    assert reported[-1] == (33 + 2 * 47, 33 + 2 * 47)
    assert reported == sorted(reported)


@pytest.mark.parametrize(
    ("k", "dtype"), [(1, torch.float64), (3, torch.float32), (5, torch.float64), (5, torch.float32)]
)
def test_equal_to_the_authors_code(k, dtype, capsys):
    """The PyPI package ``prdc`` gives the same four figures; there given comes first."""
    oracle = pytest.importorskip("prdc")
    q, p = (torch.randn(150, 16) * 1.2 + 0.1).to(dtype), torch.randn(200, 16).to(dtype)
    found = oracle.compute_prdc(p.numpy(), q.numpy(), k)
    expected = [found[name] for name in ("precision", "recall", "density", "coverage")]
    assert figures(prdc(q, p, k)) == pytest.approx(expected, abs=1e-12)
    assert 0 < expected[0] < 1


# ---------------------------------------------------------------------------------------- PRD


def test_two_bins():
    """14.7: p = (½, ½), q = (1, 0): α(∞) = 1 and the largest β is ½, both exactly; α = min(λ/2, 1)."""
    q, p = torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.5])
    curve = prd_curve(q, p)
    assert curve[-1, 0] == 1
    assert curve[0, 1] == curve[:, 1].max() == 0.5
    slope = torch.linspace(0, math.pi / 2, 1001)[1:-1].tan()
    torch.testing.assert_close(curve[1:-1, 0], (slope / 2).clamp_max(1))
    torch.testing.assert_close(curve[1:-1, 1], (1 / slope).clamp_max(0.5))
    # Both are largest at the corner (1, ½), so F_b = (1 + b²) / (2 b² + 1).
    for weight in (1 / 8, 1.0, 8.0):
        assert best_f(q, p, weight) == pytest.approx((1 + weight**2) / (2 * weight**2 + 1), abs=1e-14)


histograms = st.lists(st.integers(0, 9), min_size=5, max_size=5).filter(any)


@settings(max_examples=40, deadline=None)
@drawn(histograms, histograms)
def test_properties_of_the_curve(first, second):
    """Exchange mirrors the curve; F is the largest of a fine curve; at λ = 1 both are 1 - TV."""
    q, p = (torch.tensor(h, dtype=torch.float64) / sum(h) for h in (first, second))
    curve = prd_curve(q, p)
    torch.testing.assert_close(prd_curve(p, q), curve.flip(0, 1), rtol=1e-9, atol=1e-12)
    variation = (q - p).abs().sum() / 2
    torch.testing.assert_close(curve[500], (1 - variation).expand(2), rtol=0, atol=1e-12)
    assert (curve[:, 0].diff() >= -1e-12).all()
    assert (curve[:, 1].diff() <= 1e-12).all()
    for weight in (1 / 8, 8.0):
        alpha, beta = prd_curve(q, p, 20_001).T
        values = (1 + weight**2) * alpha * beta / (weight**2 * alpha + beta).clamp_min(1e-30)
        assert best_f(q, p, weight) == pytest.approx(values.max().item(), abs=2e-3)
        assert best_f(q, p, weight) >= values.max().item() - 1e-12
        assert best_f(q, p, weight) == pytest.approx(best_f(p, q, 1 / weight), abs=1e-12)


def test_equal_and_disjoint_histograms():
    """Equal histograms reach (1, 1); disjoint ones stay at (0, 0)."""
    p = torch.tensor([0.2, 0.3, 0.5, 0.0])
    assert prd_curve(p, p)[500].tolist() == pytest.approx([1, 1], abs=1e-12)
    assert best_f(p, p, 8.0) == pytest.approx(1)
    q = torch.tensor([0.0, 0.0, 0.0, 1.0])
    assert prd_curve(q, p).abs().max() == 0
    assert best_f(q, p, 8.0) == 0


@pytest.mark.parametrize("kept", [1, 2, 3])
def test_prd_of_dropped_and_invented_modes(kept):
    """With a cluster for each of 4 far modes, q uniform on some of them: α(∞) = 1, β(0) their share."""
    modes = modes_of(4)
    some, all_ = torch.cat(modes[:kept]), torch.cat(modes)
    share, runs = kept / 4, []
    dropped = prd(some, all_, clusters=4, runs=3, progress=lambda *done: runs.append(done))
    invented = prd(all_, some, clusters=4, runs=3)
    assert runs == [(1, 3), (2, 3), (3, 3)]
    q, p = torch.tensor([1 / kept] * kept + [0.0] * (4 - kept)), torch.full((4,), 0.25)
    torch.testing.assert_close(dropped.curve, prd_curve(q, p))
    torch.testing.assert_close(invented.curve, prd_curve(p, q))
    assert (dropped.curve[-1, 0].item(), dropped.curve[0, 1].item()) == pytest.approx((1, share))
    # The corner (1, share) is on the curve: F_8 there is nearly the share, F_1/8 nearly 1.
    assert dropped.recall == invented.precision == pytest.approx(65 * share / (64 + share))
    assert dropped.precision == invented.recall == pytest.approx(65 * share / (1 + 64 * share))


def test_prd_at_home_and_away():
    """Identical samples score 1, 1; far ones 0, 0; equal distributions nearly 1; seeds repeat."""
    x = torch.randn(300, 3)
    for other, expected in ((x, 1.0), (x + 1000, 0.0)):
        found = prd(other, x, runs=3)
        assert (found.precision, found.recall) == pytest.approx((expected, expected))
    again = prd(torch.randn(300, 3), x, runs=3)
    assert 0.9 < again.recall < 1
    few = prd(x[:1].repeat(30, 1), x[:1].repeat(30, 1), runs=1)  # one distinct row, twenty clusters
    assert (few.precision, few.recall) == pytest.approx((1, 1))
    y = torch.randn(300, 3)
    assert (
        prd(y, x, seed=1, runs=2).recall
        == prd(y, x, seed=1, runs=2).recall
        != prd(y, x, seed=2, runs=2).recall
    )


def test_prd_sees_frequencies():
    """Unlike balls, histograms see that a mode is made too often: 3/4 and 1/4 against halves."""
    a, b = modes_of(2, rows=80)
    found = prd(torch.cat([a[:60], b[:20]]), torch.cat([a[:40], b[:40]]), clusters=2)
    q, p = torch.tensor([0.75, 0.25]), torch.tensor([0.5, 0.5])
    assert found.precision == pytest.approx(best_f(q, p, 1 / 8))
    assert found.recall == pytest.approx(best_f(q, p, 8.0))
    # α(λ) = min(λ/2, ¾) + min(λ/2, ¼): at the ratio ½ it is ½, and β = 1 there.
    assert best_f(q, p, 8.0) == pytest.approx(max(65 * 0.5 / (64 * 0.5 + 1), 65 / (64 * 1.5 + 1)))


# ------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("made", "given", "k", "words"),
    [
        (torch.zeros(9), torch.zeros(9, 2), 3, r"made must have shape \(N, D\), got \(9,\)"),
        (torch.zeros(9, 2), torch.zeros(9, 3), 3, "differ in features: 2 and 3"),
        (torch.zeros(9, 2), torch.zeros(3, 2), 3, "given must have at least 4 rows, got 3"),
        (torch.full((9, 2), torch.nan), torch.zeros(9, 2), 3, "made must be finite"),
        (torch.zeros(9, 2), torch.zeros(9, 2), 0, "k must be at least 1, got 0"),
    ],
)
def test_refusals(made, given, k, words):
    """What cannot be evaluated is refused by name."""
    with pytest.raises((DataError, ConfigError), match=words):
        prdc(made, given, k)


def test_refusals_of_histograms():
    """Clusters without rows, and what is no histogram."""
    with pytest.raises(DataError, match="20 clusters need at least as many rows, got 8"):
        prd(torch.randn(4, 2), torch.randn(4, 2))
    with pytest.raises(DataError, match="given histogram must be at least 0 and sum to 1; its sum is 2"):
        prd_curve(torch.tensor([0.5, 0.5]), torch.tensor([1.0, 1.0]))
    with pytest.raises(DataError, match=r"one shape \(K,\), got \(2,\) and \(3,\)"):
        best_f(torch.tensor([0.5, 0.5]), torch.ones(3) / 3, 8.0)
