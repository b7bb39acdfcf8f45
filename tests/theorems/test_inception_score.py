"""14.3: the Inception score against its extremes, its decomposition and torchmetrics' formula."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pushforward.errors import ConfigError, DataError
from pushforward.metrics.inception_score import inception_score

pytestmark = pytest.mark.usefixtures("float64")


@pytest.mark.parametrize("K", [1, 2, 10, 1000])
def test_extremes(K):
    """One sure row for each class: K. All rows alike, sure or not: 1. A sure row for half of them: K/2."""
    assert inception_score(torch.eye(K), 1) == (pytest.approx(K), 0)
    distribution = torch.rand(K) + 0.01
    assert inception_score((distribution / distribution.sum()).expand(40, K), 4) == (
        pytest.approx(1),
        pytest.approx(0, abs=1e-12),
    )
    assert inception_score(torch.eye(K)[:1].expand(40, K)) == (pytest.approx(1), 0)
    if K % 2 == 0:
        assert inception_score(torch.eye(K)[: K // 2], 1)[0] == pytest.approx(K / 2)


def test_decomposition():
    """exp(H(y) - H(y|x)) by hand: rows (¾, ¼) and (¼, ¾) have H(y) = log 2 and H(y|x) = 2 log 2 - ¾ log 3."""
    rows = torch.tensor([[0.75, 0.25], [0.25, 0.75]])
    assert inception_score(rows, 1)[0] == pytest.approx(math.exp(0.75 * math.log(3) - math.log(2)))


def test_the_mean_kl():
    """The exponential of the mean of KL(p(y|x) || p(y)), by torch's own KL; not the mean of exponentials."""
    rows = torch.randn(200, 6).mul(2).softmax(1)
    distributions = (
        torch.distributions.Categorical(rows),
        torch.distributions.Categorical(rows.mean(0).expand(200, 6)),
    )
    kl = torch.distributions.kl_divergence(*distributions)
    assert inception_score(rows, 1)[0] == pytest.approx(kl.mean().exp().item(), rel=1e-12)
    assert abs(kl.exp().mean() - kl.mean().exp()) > 0.1


def test_independent_labels_multiply():
    """Of two independent labels, each pair of rows together, the score is the product of the scores."""
    one, other = torch.randn(12, 3).softmax(1), torch.randn(9, 4).softmax(1)
    both = torch.einsum("ia,jb->ijab", one, other).reshape(12 * 9, 3 * 4)
    product = inception_score(one, 1)[0] * inception_score(other, 1)[0]
    assert inception_score(both, 1)[0] == pytest.approx(product, rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 20), st.floats(0, 50), st.integers(0, 99))
def test_range(K, n, sharpness, seed):
    """From 1 to K, and to the number of rows of a split; zeros are no trouble, nor are permutations."""
    generator = torch.Generator().manual_seed(seed)
    rows = (sharpness * torch.randn(n, K, generator=generator)).softmax(1)
    value, spread = inception_score(rows, 1)
    assert 1 - 1e-12 <= value <= min(K, n) + 1e-9
    assert spread == 0
    mixed = rows[torch.randperm(n, generator=generator)][:, torch.randperm(K, generator=generator)]
    assert inception_score(mixed, 1)[0] == pytest.approx(value, rel=1e-12)


def test_splits():
    """Runs of consecutive rows, scored alone: 4 sure classes in one half and 2 in the other give 3 ± 1."""
    rows = torch.eye(4)[[0, 1, 2, 3, 0, 1, 0, 1]]
    assert inception_score(rows, 2) == (pytest.approx(3), pytest.approx(1))
    assert inception_score(rows, 8) == (1, 0)  # a split of one row cannot see two classes
    # 5 rows in 2 splits are 2 and 3: none is left out.
    assert inception_score(torch.eye(5), 2) == (pytest.approx(2.5), pytest.approx(0.5))


def test_equal_to_torchmetrics():
    """Its compute(), on logits without a network: the same mean; its deviation divides by splits - 1."""
    inception = pytest.importorskip("torchmetrics.image.inception")

    class Formula:
        splits = 4
        features = (3 * torch.randn(400, 7),)

    torch.manual_seed(7)
    mean, spread = inception.InceptionScore.compute(Formula())
    torch.manual_seed(7)
    rows = Formula.features[0][torch.randperm(400)].softmax(1)
    ours, ours_spread = inception_score(rows, 4)
    assert ours == pytest.approx(mean.item(), rel=1e-9)
    assert ours_spread == pytest.approx(spread.item() * (3 / 4) ** 0.5, rel=1e-9)


def test_rounded_rows():
    """A softmax in single precision sums to 1 only nearly, and scores the same."""
    rows = torch.randn(500, 100).softmax(1)
    assert inception_score(rows.float())[0] == pytest.approx(inception_score(rows)[0], rel=1e-6)
    assert inception_score(rows * 1.001)[0] == pytest.approx(inception_score(rows)[0], rel=1e-12)


@pytest.mark.parametrize(
    ("rows", "splits", "words"),
    [
        (torch.eye(3), 0, "splits must be at least 1, got 0"),
        (torch.eye(3), 4, "at least 4 rows, one a split, got 3"),
        (torch.ones(3), 1, r"shape \(N, K\), got \(3,\)"),
        (torch.randn(30, 3), 1, "sum to 1 in each row"),
        (torch.full((2, 3), 0.5), 1, "sum to 1 in each row"),
        (torch.tensor([[1.5, -0.5]]), 1, "must be at least 0"),
        (torch.tensor([[torch.nan, 1.0]]), 1, "must be at least 0"),
    ],
)
def test_refusals(rows, splits, words):
    """Logits and other rows that are no probabilities are refused."""
    with pytest.raises((ConfigError, DataError), match=words):
        inception_score(rows, splits)
