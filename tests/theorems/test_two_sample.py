"""14.11: the classifier two-sample test: its level, the Bayes accuracy, and no reward for memorised rows."""

import math

import pytest
import torch
from scipy.stats import fisher_exact, kstest, norm
from speed import quick

import pushforward.metrics.two_sample as two_sample
from pushforward.errors import ConfigError, DataError
from pushforward.evaluation.two_samples import compared
from pushforward.features.base import Pixels
from pushforward.metrics.two_sample import classifier_test, pair

pytestmark = pytest.mark.usefixtures("float64")


def bayes(shift):
    """The best accuracy between N(0, 1) and N(δ, 1): Φ(δ/2)."""
    return norm.cdf(shift / 2)


# -------------------------------------------------------------------------------------- level


@pytest.mark.parametrize(("n", "m"), quick([(50, 50), (30, 90)], (30, 90)))
def test_level(n, m):
    """Equal distributions: P(p ≤ α) is at most α, and the steps of the p-value leave it little below."""
    found = [classifier_test(torch.randn(n, 2), torch.randn(m, 2), seed) for seed in range(200)]
    values = torch.tensor([one.p_value for one in found])
    for alpha in (0.05, 0.2, 0.5, 0.8):
        share = (values <= alpha).double().mean().item()
        error = (alpha * (1 - alpha) / 200) ** 0.5
        assert share < alpha + 4 * error
        assert share > 0.4 * alpha - 4 * error
    accuracy = torch.tensor([one.accuracy for one in found])
    auc = torch.tensor([one.auc for one in found])
    for figure in (accuracy, auc):
        assert abs(figure.mean() - 0.5) < 4 * figure.std() / 200**0.5


def test_uniform_p_values():
    """With many rows the steps are fine: p-values of equal distributions are uniform."""
    values = [classifier_test(torch.randn(600, 1), torch.randn(600, 1), seed).p_value for seed in range(120)]
    assert kstest(values, "uniform").pvalue > 1e-3


def test_p_value_is_fisher_s(monkeypatch):
    """The upper tail of made rows called made is the exact test of the 2 x 2 table of held-out rows."""
    kept = {}

    def scores(x, made, held, *rest):
        kept["score"] = (held[:, 0] + 0.3).sigmoid()
        kept["made"] = held[:, 1] > 50
        return kept["score"]

    monkeypatch.setattr(two_sample, "_scores", scores)
    mark = torch.zeros(40, 1)
    q, p = torch.cat([torch.randn(40, 1) + 0.5, mark + 100], 1), torch.cat([torch.randn(40, 1), mark], 1)
    found = classifier_test(q, p)
    called, made = kept["score"] > 0.5, kept["made"]
    assert (len(made), int(made.sum())) == (40, 20)
    cells = [[int((a & b).sum()) for b in (made, ~made)] for a in (called, ~called)]
    assert found.p_value == pytest.approx(fisher_exact(cells, "greater").pvalue, rel=1e-9)
    assert found.accuracy == (cells[0][0] + cells[1][1]) / 40
    wins = kept["score"][made][:, None] > kept["score"][~made]
    assert found.auc == pytest.approx(wins.double().mean().item())


# -------------------------------------------------------------------------------------- power


@pytest.mark.parametrize("shift", [0.5, 1.0, 2.0])
def test_bayes_accuracy(shift):
    """T6: N(0,1) against N(δ,1): logistic regression reaches Φ(δ/2), .6915 at δ = 1; AUC Φ(δ/√2)."""
    assert bayes(1.0) == pytest.approx(0.6915, abs=5e-5)
    found = classifier_test(torch.randn(20_000, 1) + shift, torch.randn(20_000, 1))
    assert found.rows == 20_000
    error = (bayes(shift) * (1 - bayes(shift)) / found.rows) ** 0.5
    assert abs(found.accuracy - bayes(shift)) < 3 * error
    assert found.auc == pytest.approx(norm.cdf(shift / math.sqrt(2)), abs=4 * 0.5 / 10_000**0.5)
    assert found.p_value < 1e-12


def test_power_grows_to_one():
    """N(0,1) against N(1,1): rejected at 5 % sometimes with 10 rows, always with 200."""
    power = {
        n: sum(classifier_test(torch.randn(n, 1) + 1, torch.randn(n, 1), i).p_value < 0.05 for i in range(60))
        / 60
        for n in (10, 40, 200)
    }
    assert power[10] < power[40] < power[200] == 1


def test_what_a_line_cannot_see():
    """N(0, I) against N(0, 9 I): no line beats 1/2, a hidden layer nearly reaches the Bayes accuracy."""
    q, p = 3 * torch.randn(2000, 2), torch.randn(2000, 2)
    line, network = classifier_test(q, p), classifier_test(q, p, hidden=16)
    # The densities exp(-r²/18)/9 and exp(-r²/2) meet at this r²; P(R > r) = exp(-r²/2s²) in the plane.
    r2 = 2 * math.log(9) / (1 - 1 / 9)
    best = 0.5 * (math.exp(-r2 / 18) + 1 - math.exp(-r2 / 2))
    assert abs(line.accuracy - 0.5) < 0.06
    assert best - 0.04 < network.accuracy < best + 4 * 0.5 / 2000**0.5
    assert network.p_value < 1e-12


def test_far_samples():
    """Samples far apart are distinguished: accuracy and AUC 1, p = 1 / C(T, T/2)."""
    found = classifier_test(torch.randn(20, 3) + 100, torch.randn(20, 3))
    assert (found.accuracy, found.auc, found.rows) == (1, 1, 20)
    assert found.p_value == pytest.approx(1 / math.comb(20, 10))


# ------------------------------------------------------------------------- memorised rows


def test_a_sample_against_itself():
    """Both copies of a row are in one half, so each right name costs a wrong one: accuracy ½, exactly."""
    x = torch.randn(300, 2)
    for hidden in (0, 8):
        found = classifier_test(x, x[torch.randperm(300)], hidden=hidden)
        assert (found.accuracy, found.auc) == (0.5, pytest.approx(0.5, abs=1e-12))
        assert found.p_value > 0.4


def test_copies_do_not_leak():
    """40 rows repeated 20 times, one distribution: a network memorises copies, unless they count once."""
    rejections = {True: 0, False: 0}
    for seed in range(3):
        q, p = (torch.randn(40, 8).repeat(20, 1) for _ in range(2))
        for distinct in rejections:
            found = classifier_test(q, p, seed, hidden=32, distinct=distinct)
            assert found.rows == (40 if distinct else 800)
            rejections[distinct] += found.p_value < 1e-6
    assert rejections == {True: 0, False: 3}


def test_halves_share_no_row(monkeypatch):
    """No held-out row is a training row; together they are the distinct rows of both samples, half each."""
    kept = {}

    def scores(x, made, held, *rest):
        kept.update(x=x, made=made, held=held)
        return torch.linspace(0, 1, len(held))

    monkeypatch.setattr(two_sample, "_scores", scores)
    shared = torch.randn(30, 2)
    q, p = torch.cat([shared, torch.randn(70, 2)]), torch.cat([shared, torch.randn(70, 2)])
    classifier_test(q.repeat(2, 1), p)
    assert torch.cdist(kept["x"], kept["held"]).min() > 1e-9
    both = torch.cat([kept["x"], kept["held"]]).unique(dim=0)
    torch.testing.assert_close(both, torch.cat([q, p]).unique(dim=0))
    assert abs(len(kept["x"]) - 100) <= 2
    assert abs(int(kept["made"].sum()) - 50) <= 2


def test_atoms_are_independent_draws():
    """Coins of one distribution, and of two: with atoms, copies are evidence and must count."""

    def coins(share, n=400):
        return (torch.rand(n, 1) < share).double()

    same = [classifier_test(coins(0.5), coins(0.5), i, distinct=False).p_value for i in range(60)]
    assert sum(p < 0.05 for p in same) < 60 * 0.05 + 4 * (60 * 0.05) ** 0.5
    assert classifier_test(coins(0.7), coins(0.3), distinct=False).accuracy == pytest.approx(0.7, abs=0.1)
    with pytest.raises(DataError, match="made must have at least 10 distinct rows, got 1"):
        classifier_test(torch.zeros(50, 1), torch.randn(50, 1))


# -------------------------------------------------------------------------------- invariances


def test_order_scale_and_seed():
    """Features are standardised, so units change nothing; nor does the order; a seed gives one answer."""
    q, p = torch.randn(200, 3) + 0.3, torch.randn(200, 3)
    found = classifier_test(q, p)
    assert classifier_test(q.clone(), p.clone()) == found
    assert classifier_test(q[torch.randperm(200)], p[torch.randperm(200)]) == found
    units = torch.tensor([1e-3, 2.0, 1e4])
    scaled = classifier_test(q * units, p * units)
    assert (scaled.accuracy, scaled.p_value) == (found.accuracy, found.p_value)
    assert any(classifier_test(q, p, seed) != found for seed in (1, 2))
    assert classifier_test(q, p, hidden=4) == classifier_test(q, p, hidden=4)


def test_unequal_samples_are_thinned():
    """The larger is thinned to the smaller, so that always naming the larger gains nothing."""
    found = classifier_test(torch.randn(100, 2), torch.randn(900, 2))
    assert found.rows == 100
    assert abs(found.accuracy - 0.5) < 4 * 0.05


def test_constant_features():
    """A feature that is the same everywhere is no evidence and no trouble."""
    q, p = torch.randn(50, 1), torch.randn(50, 1)
    dead = torch.full((50, 1), 7.0)
    assert (
        classifier_test(torch.cat([q, dead], 1), torch.cat([p, dead], 1)).accuracy
        == classifier_test(q, p).accuracy
    )


@pytest.mark.parametrize(
    ("q", "p", "hidden", "words"),
    [
        (torch.randn(9, 2), torch.randn(20, 2), 0, "made must have at least 10 rows, got 9"),
        (
            torch.randn(20, 2),
            torch.randn(5, 2).repeat(4, 1),
            0,
            "given must have at least 10 distinct rows, got 5",
        ),
        (torch.randn(20, 2), torch.randn(20, 3), 0, "made and given differ in features: 2 and 3"),
        (torch.randn(20, 2), torch.full((20, 2), torch.inf), 0, "given must be finite"),
        (torch.randn(20, 2, 2), torch.randn(20, 2), 0, r"made must have shape \(N, D\), got \(20, 2, 2\)"),
        (torch.randn(20, 2), torch.randn(20, 2), -1, "hidden must be at least 0, got -1"),
    ],
)
def test_refusals(q, p, hidden, words):
    """What cannot be tested is refused by name."""
    with pytest.raises((ConfigError, DataError), match=words):
        classifier_test(q, p, hidden=hidden)


def test_pair_keeps_the_finer_precision():
    """float64 if either is, float32 otherwise, whatever came; and no graph."""
    half, double = torch.zeros(1, 1, dtype=torch.bfloat16), torch.zeros(1, 1, dtype=torch.float64)
    assert {x.dtype for x in pair(half, double)} == {torch.float64}
    assert {x.dtype for x in pair(half, torch.zeros(1, 1).long())} == {torch.float32}
    assert not pair(double.requires_grad_(), double)[0].requires_grad


@pytest.mark.parametrize("values", [2, 5, 30])
def test_evaluations_see_the_frequencies_of_discrete_data(values):
    """Copies of discrete data are independent draws: counted once, they hide how often a value comes."""
    made, given = torch.randint(0, values, (2, 600, 1)).double()
    skewed = (torch.rand(600, 1) ** 3 * values).floor()
    assert compared(made, given, Pixels(), seed=0)["c2st"]["p_value"] > 0.01
    assert compared(skewed, given, Pixels(), seed=0)["c2st"]["p_value"] < 1e-6
