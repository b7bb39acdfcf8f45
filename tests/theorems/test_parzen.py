"""The Parzen window: its density, the search for its width, and why nobody should rank by it."""

import math
import sys
from itertools import pairwise

import pytest
import torch
from sklearn.neighbors import KernelDensity

from pushforward.errors import ConfigError, DataError
from pushforward.metrics.parzen import Parzen, log_densities, parzen, parzen_with_baselines

pytestmark = pytest.mark.usefixtures("float64")


# --------------------------------------------------------------------------------- the density


@pytest.mark.parametrize("shape", [(1,), (3,), (2, 3, 4), (1, 28, 28)])
@pytest.mark.parametrize("width", [0.1, 1.0, 3.0])
def test_one_sample_is_a_gaussian(shape, width):
    """With one sample the density is N(s, σ²I), in any dimension and shape."""
    sample, row = torch.randn(1, *shape), torch.randn(1, *shape)
    score = parzen(sample, row, row, [width])
    exact = torch.distributions.Normal(sample, width).log_prob(row).sum().item()
    assert score.mean == pytest.approx(exact, rel=1e-12)
    assert math.isnan(score.error)
    assert (score.width, score.samples, score.tried) == (width, 1, (width,))


@pytest.mark.parametrize("width", [0.05, 0.3, 2.0])
@pytest.mark.parametrize(("n", "m", "d"), [(1, 7, 2), (50, 40, 1), (300, 65, 9)])
def test_density_is_that_of_scikit_learn(n, m, d, width, monkeypatch):
    """It is scikit-learn's KernelDensity to 1e-8, at every edge of a block."""
    samples, rows = torch.rand(n, d), torch.rand(m, d) + 0.2
    # All in one leaf: between leaves its bounds cancel, and rows far from all samples come out wrong.
    trusted = KernelDensity(bandwidth=width, leaf_size=1000).fit(samples.numpy())
    exact = trusted.score_samples(rows.numpy())
    for block in (1024, 64, 13):
        monkeypatch.setattr(sys.modules[parzen.__module__], "BLOCK", block)
        values = log_densities(samples, rows, [width, 1.0])[0]
        torch.testing.assert_close(values, torch.from_numpy(exact), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("width", [0.2, 1.0])
def test_density_integrates_to_one(width):
    """Its exponential is a density: on the line it integrates to one."""
    points = torch.linspace(-20, 20, 20_001)
    density = log_densities(torch.randn(30, 1), points.unsqueeze(1), [width])[0].exp()
    assert torch.trapezoid(density, points).item() == pytest.approx(1, abs=1e-10)


def test_units_and_origin():
    """In other units, x ↦ a x + b, the score moves by -D log a and the width is a times as wide."""
    samples, validation, test = (torch.randn(n, 5) for n in (40, 30, 20))
    widths = [0.5, 0.7, 1.0, 1.4]
    home = parzen(samples, validation, test, widths)
    away = parzen(*(3 * x + 70 for x in (samples, validation, test)), [3 * width for width in widths])
    assert away.mean == pytest.approx(home.mean - 5 * math.log(3), rel=1e-10)
    assert away.error == pytest.approx(home.error, rel=1e-8)
    assert away.width == pytest.approx(3 * home.width)


def test_repeated_samples_change_nothing_and_far_ones_cost_their_share():
    """Every sample twice is the same density; as many samples far away again take log 2 from it."""
    samples, rows = torch.randn(25, 4), torch.randn(10, 4)
    value = log_densities(samples, rows, [0.5])
    torch.testing.assert_close(log_densities(samples.repeat(2, 1), rows, [0.5]), value)
    away = log_densities(torch.cat([samples + 1e4, samples]), rows, [0.5])
    torch.testing.assert_close(away, value - math.log(2), rtol=0, atol=1e-6)


def test_double_rows_are_compared_in_double_whatever_the_default():
    """Of float64 rows the density has the digits of float64, though new tensors would be float32."""
    sample, row = torch.randn(1, 500), torch.randn(1, 500)
    exact = torch.distributions.Normal(sample, 0.3).log_prob(row).sum().item()
    torch.set_default_dtype(torch.float32)  # the fixture puts it back
    assert log_densities(sample, row, [0.3]).item() == pytest.approx(exact, rel=1e-13)


def test_rows_that_no_sample_is_near():
    """A row a thousand widths away has a finite log-density, that of its nearest sample, though exp is 0."""
    value = log_densities(torch.tensor([[0.0], [-50.0]]), torch.tensor([[100.0]]), [0.1]).item()
    assert value == pytest.approx(-0.5e6 - math.log(2) - math.log(0.1 * math.sqrt(2 * math.pi)), rel=1e-12)


def test_single_precision_far_from_the_origin():
    """Float32 rows around 1000 have the density of float64: distances are taken near 0."""
    samples, rows = ((torch.randn(n, 50) + 1000).float() for n in (2000, 20))
    values = log_densities(samples, rows, [0.5])
    assert values.dtype == torch.float64
    torch.testing.assert_close(
        values, log_densities(samples.double(), rows.double(), [0.5]), rtol=0, atol=2e-3
    )


# ----------------------------------------------------------------------------------- the score


@pytest.mark.parametrize("width", [0.2, 0.35, 0.6])
def test_search_finds_the_true_width(width):
    """Rows that are samples plus N(0, σ²I) have the Parzen density of σ, and no other width fits better."""
    atoms = 3 * torch.randn(20, 6)
    given = atoms[torch.randint(20, (1000,))] + width * torch.randn(1000, 6)
    score = parzen(atoms, given[:500], given[500:], [0.1, 0.15, 0.2, 0.26, 0.35, 0.46, 0.6, 0.8])
    assert score.width == width
    assert not score.at_edge
    # And where atoms are far apart, the entropy of that density is known: log 20 + (D/2) log 2πeσ².
    entropy = math.log(20) + 3 * math.log(2 * math.pi * math.e * width**2)
    if width == 0.2:
        assert abs(score.mean + entropy) < 4 * score.error


def test_width_is_chosen_on_validation_rows_alone():
    """Test rows are scored at the width that suits the validation rows, though another suits them."""
    samples = torch.zeros(1, 1)
    score = parzen(samples, torch.full((4, 1), 2.0), torch.full((5, 1), 0.1), [0.1, 2.0, 4.0])
    assert score.width == 2.0  # σ² is the mean square of the validation rows
    assert score.mean == pytest.approx(-0.5 * 0.05**2 - math.log(2.0 * math.sqrt(2 * math.pi)))
    assert score.error == pytest.approx(0, abs=1e-12)
    assert parzen(samples, torch.full((4, 1), 9.0), samples, [0.1, 2.0, 4.0]).at_edge


def test_standard_error():
    """Of test rows ±a around one sample, half of them at 0: values of two kinds, s/√K."""
    test = torch.tensor([[0.0], [2.0], [0.0], [2.0]])
    score = parzen(torch.zeros(1, 1), test, test, [1.0])
    assert score.mean == pytest.approx(-1 - 0.5 * math.log(2 * math.pi))
    assert score.error == pytest.approx(math.sqrt(4 / 3) / math.sqrt(4))  # values 0 and -2: s² = 4/3


def test_default_widths():
    """Ten widths from 0.1 to 1, evenly in the logarithm."""
    rows = torch.rand(30, 2)
    tried = parzen(rows[:10], rows[10:20], rows[20:]).tried
    assert len(tried) == 10
    assert (tried[0], tried[-1]) == (pytest.approx(0.1), 1.0)
    assert all(b / a == pytest.approx(10 ** (1 / 9)) for a, b in pairwise(tried))


# --------------------------------------------------------------------------- the embarrassment


def mixture(n, centres, width):
    return centres[torch.randint(len(centres), (n,))] + width * torch.randn(n, centres.shape[1])


def test_centroids_beat_the_data():
    """Of a mixture of 40 Gaussians in 30 dimensions, 40 centroids score above draws of the same mixture.

    Centroids near the centres have at least the entropy as score (the best any density has is minus
    the entropy); a perfect sampler's rows lie √2 times as far from test rows as the centres do, and some
    centres it misses.
    """
    centres, width = 2 * torch.randn(40, 30), 0.3
    train, validation, test = (mixture(n, centres, width) for n in (2000, 300, 500))
    perfect = mixture(40, centres, width)
    widths = [0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.4, 2.0]
    scores = parzen_with_baselines(perfect, train, validation, test, widths=widths)
    assert [score.samples for score in scores.values()] == [40, 40, 40]
    for name in ("samples", "training rows"):
        gap = scores["centroids"].mean - scores[name].mean
        assert gap > 5 * (scores["centroids"].error + scores[name].error)
    assert scores["samples"] == parzen(perfect, validation, test, widths)


def test_baselines_are_what_they_say():
    """Training rows are drawn from the training rows; one centroid is their mean, and R of R are the rows."""
    train, validation, test = (torch.randn(n, 3) for n in (60, 20, 20))
    scores = parzen_with_baselines(torch.randn(100, 3), train, validation, test, centroids=1)
    assert scores["training rows"].samples == 60  # there are no more
    assert scores["training rows"].mean == pytest.approx(parzen(train, validation, test).mean)
    mean = parzen(train.mean(0, keepdim=True), validation, test)
    assert scores["centroids"].samples == 1
    assert scores["centroids"].mean == pytest.approx(mean.mean, abs=0.1)  # of mini-batches, so about
    scores = parzen_with_baselines(torch.randn(100, 3), train, validation, test)
    assert scores["centroids"].mean == pytest.approx(scores["training rows"].mean)


def test_baselines_follow_the_seed():
    """The same seed gives the same three scores, another seed other training rows."""
    train, validation, test = (torch.randn(n, 3) for n in (60, 20, 20))
    one, again, other = (
        parzen_with_baselines(train[:10] + 1, train, validation, test, seed=seed) for seed in (0, 0, 1)
    )
    assert one == again
    assert one["samples"] == other["samples"]
    assert one["training rows"] != other["training rows"]


def test_progress_ends_at_the_total(monkeypatch):
    """Progress counts validation and test rows, of all three scores."""
    monkeypatch.setattr(sys.modules[parzen.__module__], "BLOCK", 8)
    rows, seen = torch.rand(50, 2), []
    parzen_with_baselines(
        rows[:5], rows[:20], rows[20:40], rows[40:], progress=lambda *done: seen.append(done)
    )
    assert seen == sorted(seen)
    assert {total for _, total in seen} == {90}
    assert seen[-1] == (90, 90)
    assert len(seen) == 3 * (3 + 2)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"widths": [0.0, 1.0]}, ConfigError, "widths must be above 0"),
        ({"widths": []}, ConfigError, "widths must be above 0"),
        ({"widths": [math.nan]}, ConfigError, "widths must be above 0"),
        ({"samples": torch.zeros(0, 2)}, DataError, r"samples must have shape \(N, \*\)"),
        ({"test": torch.zeros(3)}, DataError, r"test must have shape \(N, \*\)"),
        ({"test": torch.zeros(3, 4)}, DataError, r"rows of one shape, got \(2,\) and \(4,\)"),
        ({"validation": torch.tensor([[0.0, math.nan]])}, DataError, "validation must be finite"),
        ({"train": torch.zeros(2, 1, 2)}, DataError, "samples and train"),
        ({"centroids": 5}, ConfigError, "at most the number of training rows, 4, got 5"),
        ({"centroids": 0}, ConfigError, "centroids must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_scored(change, error, message):
    parts = {name: torch.rand(4, 2) for name in ("samples", "train", "validation", "test")}
    with pytest.raises(error, match=message):
        parzen_with_baselines(**(parts | change))


def test_score_is_frozen():
    score = Parzen(1.0, 0.1, 0.2, 10, (0.1, 0.2, 0.3))
    with pytest.raises(AttributeError):
        score.mean = 2.0
