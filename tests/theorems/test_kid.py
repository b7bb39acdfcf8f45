"""14.2: the kernel distance is MMD² with the polynomial kernel, unbiased, and knows its error."""

import math

import checks
import pytest
import torch

from pushforward.discrepancies import MMD, Polynomial
from pushforward.errors import DataError
from pushforward.metrics.kid import kid, kid_of_subsets
from pushforward.rng import Noise

pytestmark = pytest.mark.usefixtures("float64")


def readable(q, p):
    """The U-statistic by the book."""
    n, m, d = len(q), len(p), q.shape[1]

    def k(a, b):
        return (a @ b.T / d + 1) ** 3

    inside = (k(q, q).sum() - k(q, q).trace()) / (n * (n - 1)) + (k(p, p).sum() - k(p, p).trace()) / (
        m * (m - 1)
    )
    return (inside - 2 * k(q, p).mean()).item()


@pytest.mark.parametrize(("n", "m", "d"), [(2, 2, 1), (37, 50, 4), (700, 513, 16), (41, 40, 300)])
def test_it_is_the_mmd(n, m, d):
    """KID equals MMD with the polynomial kernel, and the formula as it is printed."""
    q, p = torch.randn(n, d) + 0.2, torch.rand(m, d)
    value = kid(q, p).value if n > 3 else MMD(Polynomial())(q, p).item()
    assert value == pytest.approx(MMD(Polynomial())(q, p).item(), abs=1e-13, rel=1e-11)
    assert value == pytest.approx(readable(q, p), abs=1e-13, rel=1e-11)
    assert MMD(Polynomial(), fast=False)(q, p).item() == pytest.approx(value, rel=1e-11, abs=1e-13)


def test_float32_features_lose_nothing():
    """Blocks in float32, sums in float64: nine digits of the value survive."""
    q, p = torch.randn(1500, 64), 1.05 * torch.randn(1500, 64)
    assert kid(q.float(), p.float()).value == pytest.approx(kid(q, p).value, abs=1e-7)


def test_gaussians():
    """Of centred Gaussians the exact value is 3/d² |S - T|²."""
    d, n = 3, 4000
    S, T = torch.tensor([1.0, 2.0, 0.5]), torch.tensor([1.5, 0.5, 0.5])
    exact = 3 / d**2 * (S - T).square().sum().item()
    found = kid(torch.randn(n, d) * S.sqrt(), torch.randn(n, d) * T.sqrt())
    values = [
        kid(torch.randn(n, d) * S.sqrt(), torch.randn(n, d) * T.sqrt(), blocks=2).value for _ in range(12)
    ]
    mean, spread = torch.tensor(values).mean().item(), torch.tensor(values).std().item()
    assert abs(mean - exact) < 4 * spread / math.sqrt(12)
    assert spread < 0.1 * exact
    assert 0.3 * spread < found.error < 3 * spread


def test_unbiased():
    """Over all equally likely samples of three rows the mean is the MMD² of the distributions."""

    def k(a, b):
        return ((a @ b.T) / 2 + 1) ** 3

    Q, P = checks.ONE_SUPPORT, checks.OTHER_SUPPORT
    exact = (k(Q, Q).mean() - 2 * k(Q, P).mean() + k(P, P).mean()).item()
    assert checks.mean_over_all_samples(MMD(Polynomial()), 3, Q, P) == pytest.approx(exact, abs=1e-12)


def test_only_the_first_three_moments_are_seen():
    """Two distributions with the same three moments have distance 0; a fourth power distinguishes them."""
    coin = torch.tensor([[-1.0], [1.0]])
    other = torch.tensor(
        [[-math.sqrt(3)]] + [[0.0]] * 4 + [[math.sqrt(3)]]
    )  # moments 0, 1, 0, 3 by weight 1/6
    mmd3, mmd4 = (MMD(Polynomial(degree), "v") for degree in (3, 4))
    assert mmd3(coin, other).item() == pytest.approx(0, abs=1e-12)
    assert mmd4(coin, other).item() > 0.5


def test_standard_error():
    """The jackknife's error is the deviation over repeated made samples, given ones fixed."""
    given = torch.randn(500, 4)
    found = [kid(1.2 * torch.randn(300, 4), given) for _ in range(150)]
    deviation = torch.tensor([one.value for one in found]).std().item()
    reported = torch.tensor([one.error for one in found]).mean().item()
    assert reported == pytest.approx(deviation, rel=0.25)


def test_subsets():
    """The mean over subsets agrees with all pairs; whole samples as subsets give it exactly."""
    q, p = torch.randn(300, 4) + 0.3, torch.randn(300, 4)
    exact = kid(q, p).value
    mean, deviation = kid_of_subsets(q, p, Noise(0), subsets=200, size=100)
    assert abs(mean - exact) < 4 * deviation / math.sqrt(200) * 2
    mean, deviation = kid_of_subsets(q, p, Noise(0), subsets=3, size=1000)
    assert mean == pytest.approx(exact)
    assert deviation < 1e-12


def test_torchmetrics():
    theirs = pytest.importorskip("torchmetrics.image.kid")
    q, p = torch.randn(100, 8), torch.rand(100, 8)
    # Theirs is called with both samples of one size, as every subset is.
    assert theirs.poly_mmd(q, p).item() == pytest.approx(kid(q, p).value, rel=1e-9)


def test_bad_input():
    with pytest.raises(DataError, match="made and given differ in features: 2 and 3"):
        kid(torch.rand(9, 2), torch.rand(9, 3))
    with pytest.raises(DataError, match="finite"):
        kid(torch.full((9, 2), math.nan), torch.rand(9, 2))
