"""T13 and 14.1: the Fréchet distance against closed forms, other formulas and itself in pieces."""

import math
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from pushforward.errors import DataError
from pushforward.metrics.frechet import (
    BLOCK,
    Moments,
    MomentTree,
    frechet,
    frechet_distance,
    moments,
    trace_of_root,
)

pytestmark = pytest.mark.usefixtures("float64")


def distribution(mean, covariance, count=10**9):
    """Exact moments of a distribution."""
    mean, covariance = torch.as_tensor(mean), torch.as_tensor(covariance)
    return Moments(count, mean.double(), covariance.double() * (count - 1))


def some_covariance(d, rank=None):
    factor = torch.randn(d, rank or d)
    return factor @ factor.T


# ------------------------------------------------------------------------------ closed forms


def test_one_dimension():
    """W2² of N(m, s²) and N(n, t²) is (m - n)² + (s - t)²."""
    assert frechet_distance(distribution([1.0], [[4.0]]), distribution([4.0], [[25.0]])) == pytest.approx(
        9 + 9
    )


def test_commuting_covariances():
    """T13: with common axes it is the sum of (√a - √b)², whatever the axes are."""
    a, b = torch.tensor([1.0, 4.0, 0.25]), torch.tensor([9.0, 0.01, 1.0])
    axes = torch.linalg.qr(torch.randn(3, 3)).Q
    found = frechet_distance(
        distribution([0.0] * 3, axes @ a.diag() @ axes.T), distribution([0.0] * 3, axes @ b.diag() @ axes.T)
    )
    assert found == pytest.approx((a.sqrt() - b.sqrt()).square().sum().item())


@pytest.mark.parametrize("d", [2, 5, 40])
def test_bures(d):
    """T13: tr(A + B - 2 (√A B √A)^½), with the roots of scipy."""
    A, B = some_covariance(d), some_covariance(d)
    root = sqrtm(A.numpy())
    expected = A.trace().item() + B.trace().item() - 2 * sqrtm(root @ B.numpy() @ root).trace().real
    assert frechet_distance(distribution([0.0] * d, A), distribution([0.0] * d, B)) == pytest.approx(
        expected, rel=1e-9
    )
    assert frechet_distance(distribution([0.0] * d, B), distribution([0.0] * d, A)) == pytest.approx(
        expected, rel=1e-9
    )


@pytest.mark.parametrize(
    ("n", "m", "d"), [(30, 30, 80), (30, 200, 80), (200, 30, 80), (2, 2, 50), (81, 80, 80)]
)
def test_fewer_rows_than_features(n, m, d):
    """Of singular covariances the trace is the sum of singular values of X Y' / √(n-1)(m-1)."""
    x, y = torch.randn(n, d) @ torch.randn(d, d), torch.randn(m, d) + 2
    X, Y = x - x.mean(0), y - y.mean(0)
    nuclear = torch.linalg.svdvals(X @ Y.T).sum() / math.sqrt((n - 1) * (m - 1))
    expected = (
        (x.mean(0) - y.mean(0)).square().sum() + X.square().sum() / (n - 1) + Y.square().sum() / (m - 1)
    )
    assert frechet_distance(moments(x), moments(y)) == pytest.approx(
        (expected - 2 * nuclear).item(), rel=1e-9
    )


@pytest.mark.parametrize("m", [30, 60, 200])
def test_few_rows_have_the_distance_and_the_error_of_their_moments(m):
    """No root of a covariance is needed then; the given rows may be few, many, or known by moments alone."""
    made, given = torch.randn(40, 60) * 1.3, torch.randn(m, 60) + 0.2
    there, parts = moments(given), made.tensor_split(20)
    left_out = [frechet_distance(moments(torch.cat([*parts[:i], *parts[i + 1 :]])), there) for i in range(20)]
    error = math.sqrt(19 / 20 * sum((one - sum(left_out) / 20) ** 2 for one in left_out))
    for known in (given, there):
        found = frechet(made, known)
        assert found.value == pytest.approx(frechet_distance(moments(made), there), rel=1e-9)
        assert found.error == pytest.approx(error, rel=1e-6)


def test_a_constant_feature():
    """Dead features have no variance on either side; they change nothing."""
    x, y = torch.randn(300, 3), 2 * torch.randn(300, 3)
    dead = torch.full((300, 2), 7.0)
    padded = frechet_distance(moments(torch.cat([x, dead], 1)), moments(torch.cat([y, dead], 1)))
    assert padded == pytest.approx(frechet_distance(moments(x), moments(y)), rel=1e-9)
    assert frechet_distance(moments(dead), moments(dead)) == 0


def test_invariances():
    """A rotation or a shift of both changes nothing; a scale s multiplies by s²; equal ones give 0."""
    x, y = torch.randn(200, 4), torch.rand(150, 4)
    value = frechet_distance(moments(x), moments(y))
    rotation = torch.linalg.qr(torch.randn(4, 4)).Q
    assert frechet_distance(moments(x @ rotation + 1), moments(y @ rotation + 1)) == pytest.approx(value)
    assert frechet_distance(moments(3 * x), moments(3 * y)) == pytest.approx(9 * value)
    assert frechet_distance(moments(x), moments(x)) == pytest.approx(0, abs=1e-12)
    assert frechet_distance(moments(x + 2), moments(x)) == pytest.approx(16)


def test_bias():
    """14.1: of n rows of one distribution it is (1/n) [2 Σλ + Σ λi λj (1 + δij) / (λi + λj)] on average."""
    n, trials = 300, 400
    spectrum = torch.tensor([1.0, 0.5, 2.0])
    pairs = torch.outer(spectrum, spectrum) / (spectrum[:, None] + spectrum)
    expected = (2 * spectrum.sum() + pairs.sum() + pairs.diagonal().sum()).item() / n
    values = torch.tensor(
        [
            frechet_distance(*(moments(torch.randn(n, 3) * spectrum.sqrt()) for _ in range(2)))
            for _ in range(trials)
        ]
    )
    error = values.std().item() / math.sqrt(trials)
    assert abs(values.mean().item() - expected) < 3 * error + 0.02 * expected
    assert error < 0.05 * expected


def test_torchmetrics():
    fid = pytest.importorskip("torchmetrics.image.fid")
    x, y = torch.randn(500, 32) @ torch.randn(32, 32), torch.randn(400, 32)
    q, p = moments(x), moments(y)
    theirs = fid._compute_fid(q.mean, q.covariance, p.mean, p.covariance).item()
    assert frechet_distance(q, p) == pytest.approx(theirs, rel=1e-9)


# ------------------------------------------------------------------------------------ in pieces


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 9 * BLOCK),
    workers=st.sampled_from([1, 2, 3, 4, 7]),
    order=st.randoms(use_true_random=False),
)
def test_any_split_gives_the_same_bits(rows, workers, order):
    """However blocks are shared out, and in whatever order workers and blocks come, no bit changes."""
    x = torch.randn(rows, 3, generator=torch.Generator().manual_seed(rows), dtype=torch.float32)
    whole = moments(x)
    starts = list(range(0, rows, BLOCK))
    order.shuffle(starts)
    trees = [MomentTree() for _ in range(workers)]
    for i, start in enumerate(starts):
        trees[i % workers].add(x[start : start + BLOCK], start)
    order.shuffle(trees)
    total = MomentTree()
    for tree in trees:
        total.merge(tree)
    merged = total.total()
    assert merged.count == whole.count == rows
    assert torch.equal(merged.mean, whole.mean)
    assert torch.equal(merged.scatter, whole.scatter)


def test_parts_of_any_size_stream():
    x = torch.randn(3000, 2)
    parts = iter(x.split([1, 700, 2, 1500, 797]))
    assert torch.equal(moments(parts).scatter, moments(x).scatter)


def test_few_nodes_are_kept():
    """A stream of n blocks keeps at most log2(n) + 1 sets of moments."""
    tree = MomentTree()
    block = torch.zeros(BLOCK, 1)
    most = 0
    for number in range(300):
        tree.add(block, number * BLOCK)
        most = max(most, len(tree.nodes))
    assert most == 8  # 255 blocks are eight full trees


def test_a_large_mean_costs_no_digits():
    """With mean 5 and deviation .01 raw float64 sums lose ten digits."""
    x = 5 + 0.01 * torch.randn(20_000, 2)
    centred = x - x.mean(0)
    exact = centred.T @ centred / (len(x) - 1)
    assert (moments(x).covariance / exact - 1).abs().max() < 1e-12
    assert (moments(x).covariance / (x + 1e4).T.cov() - 1).abs().max() < 1e-7


def test_moments_are_those_of_torch():
    x = torch.randn(1300, 5)
    torch.testing.assert_close(moments(x).mean, x.mean(0))
    torch.testing.assert_close(moments(x).covariance, x.T.cov())


# ---------------------------------------------------------------------------- error, bad input


def test_standard_error():
    """The jackknife's error is the deviation over repeated samples."""
    given_moments = distribution([0.0] * 2, torch.eye(2))
    found = [frechet(torch.randn(400, 2) * 1.3 + 0.2, given_moments) for _ in range(150)]
    deviation = torch.tensor([one.value for one in found]).std().item()
    reported = torch.tensor([one.error for one in found]).mean().item()
    assert reported == pytest.approx(deviation, rel=0.2)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: moments(torch.zeros(3)),
            r"features must have shape \(N, D\) with N of at least 1, got \(3,\)",
        ),
        (lambda: moments(torch.zeros(0, 3)), r"no rows were added|got \(0, 3\)"),
        (lambda: moments(torch.tensor([[math.nan]])), "features must be finite"),
        (lambda: moments(torch.zeros(1, 2)).covariance, "at least 2 rows, got 1"),
        (lambda: frechet_distance(moments(torch.rand(5, 2)), moments(torch.rand(5, 3))), "features: 2 and 3"),
        (lambda: MomentTree().add(torch.rand(5, 2), start=5), "multiple of 512, got 5"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(DataError, match=words):
        call()


def test_rows_added_twice():
    tree = MomentTree()
    tree.add(torch.rand(5, 2))
    with pytest.raises(DataError, match="rows from 0 on were added twice"):
        tree.add(torch.rand(5, 2))


def test_rows_added_twice_after_a_merge():
    rows = torch.rand(4 * BLOCK, 2)
    for first, again, start in (
        (slice(0, 2 * BLOCK), slice(0, BLOCK), 0),
        (slice(0, BLOCK), slice(0, 2 * BLOCK), 0),
    ):
        tree = MomentTree()
        tree.add(rows[first])
        with pytest.raises(DataError, match="were added twice"):
            tree.add(rows[again], start)


def test_rows_that_are_missing():
    tree = MomentTree()
    tree.add(torch.rand(600, 2))
    tree.add(torch.rand(BLOCK, 2), 2 * BLOCK)
    with pytest.raises(DataError, match="rows are missing: those from 1024 on follow 600"):
        tree.total()


def test_layout_in_memory_changes_no_bit():
    x = torch.randn(700, 9, dtype=torch.float32)
    assert torch.equal(moments(x).scatter, moments(x.T.contiguous().T).scatter)


def test_a_part_taken_away():
    """Moments of all rows less those of a part are those of the rest."""
    x = 3 + torch.randn(900, 4)
    rest = moments(x) - moments(x[:200])
    assert rest.count == 700
    torch.testing.assert_close(rest.mean, x[200:].mean(0))
    torch.testing.assert_close(rest.covariance, x[200:].T.cov())


def test_many_features_have_no_error(monkeypatch):
    module = sys.modules["pushforward.metrics.frechet"]
    assert module.MANY == 4096
    monkeypatch.setattr(module, "MANY", 7)
    few, many = (frechet(torch.randn(40, n), moments(torch.randn(30, n))) for n in (7, 8))
    assert few.error > 0
    assert math.isnan(many.error)
    with pytest.raises(DataError, match="features must be finite"):
        frechet(torch.tensor([[math.nan]] * 9), moments(torch.rand(9, 1)))


def test_trace_of_root_of_products():
    """tr (A B)^½ of commuting, of scaled and of inverse matrices."""
    A = some_covariance(6)
    assert trace_of_root(A, A).item() == pytest.approx(A.trace().item())
    assert trace_of_root(A, 4 * A).item() == pytest.approx(2 * A.trace().item())
    assert trace_of_root(A, A.inverse()).item() == pytest.approx(6)
