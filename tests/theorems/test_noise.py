"""Random numbers are a function of (seed, place, stream, row), and of nothing else."""

import pytest
import torch
from scipy.stats import kstest

from pushforward.rng import BLOCK, Noise, derive

DRAWS = pytest.mark.parametrize("draw", ["normal", "uniform"])


def rows(noise, draw, *shape):
    return getattr(noise, draw)(*shape)


@DRAWS
@pytest.mark.parametrize("edge", [1, 150, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK])
def test_chunks_equal_the_whole(draw, edge):
    """Samples are the same whether they are made at once or in chunks, cut anywhere."""
    noise, total = Noise(3)("prior"), 3 * BLOCK
    whole = rows(noise, draw, total, 5)
    parts = [rows(noise, draw, edge, 5), rows(noise.rows(edge), draw, total - edge, 5)]
    assert torch.equal(whole, torch.cat(parts))


@DRAWS
def test_a_row_does_not_know_how_many_are_asked_for(draw):
    """Row i is the same in a batch of any size, and in any start."""
    noise = Noise(0)
    for i in (0, 1, BLOCK - 1, BLOCK, BLOCK + 2):
        one = rows(noise.rows(i), draw, 1, 2, 3)
        assert torch.equal(one[0], rows(noise, draw, BLOCK + 3, 2, 3)[i])


@DRAWS
def test_asking_again_gives_the_same(draw):
    """There is no state: the same place gives the same numbers, whatever was drawn in between."""
    noise = Noise(0)("step", 7)
    first = rows(noise("prior"), draw, 10, 3)
    rows(noise("encoder"), draw, 99, 7)
    torch.randn(5)
    assert torch.equal(first, rows(noise("prior"), draw, 10, 3))


def test_the_global_generators_are_left_alone():
    """Drawing moves no global generator, and a global seed moves no draw."""
    before = torch.random.get_rng_state()
    first = Noise(0).normal(4, 4)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(123)
    assert torch.equal(Noise(0).normal(4, 4), first)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Noise(0), Noise(1)),
        (Noise(0)("prior"), Noise(0)("encoder")),
        (Noise(0)("step", 1), Noise(0)("step", 2)),
        (Noise(0)("step", 1)(0), Noise(0)("step", 1)(1)),
        (Noise(0)("step", 1, 2), Noise(0)("step", 12)),
        (Noise(0), Noise("0")),
    ],
)
def test_streams_are_independent(one, other):
    """Seeds, streams, steps and updates differ in every number and are uncorrelated."""
    a, b = one.normal(20_000, 1).flatten(), other.normal(20_000, 1).flatten()
    assert not (a == b).any()
    assert abs((a * b).mean()) < 4 / 20_000**0.5
    assert derive(*one.key) != derive(*other.key)


def test_blocks_are_independent():
    """Rows of different blocks, and columns of one row, are uncorrelated."""
    x = Noise(0).normal(200 * BLOCK, 4).double()
    assert ((x.T @ x / len(x) - torch.eye(4)).abs() < 4 * (2 / len(x)) ** 0.5).all()
    blocks = x.reshape(200, -1)
    correlation = (blocks @ blocks.T / blocks.shape[1]).fill_diagonal_(0)
    assert correlation.abs().max() < 6 / blocks.shape[1] ** 0.5


def test_normal_moments():
    """Standard normal: mean 0, variance 1, fourth moment 3, by the Kolmogorov-Smirnov test too."""
    x = Noise(5).normal(100_000, 1).flatten().double()
    n = len(x)
    assert abs(x.mean()) < 4 / n**0.5
    assert abs(x.square().mean() - 1) < 4 * (2 / n) ** 0.5
    assert abs(x.pow(4).mean() - 3) < 4 * (96 / n) ** 0.5
    assert kstest(x.numpy(), "norm").pvalue > 1e-3


def test_uniform_moments():
    """Uniform on [0, 1): mean 1/2, variance 1/12."""
    u = Noise(5).uniform(100_000, 1).flatten().double()
    n = len(u)
    assert u.min() >= 0
    assert u.max() < 1
    assert abs(u.mean() - 0.5) < 4 * (1 / 12 / n) ** 0.5
    assert abs(u.var() - 1 / 12) < 4 * (1 / 180 / n) ** 0.5
    assert kstest(u.numpy(), "uniform").pvalue > 1e-3


def test_permutation():
    """Each number once; another epoch, another order; every place equally likely."""
    orders = torch.stack([Noise(0, "order", epoch).permutation(10) for epoch in range(2000)])
    assert (orders.sort(dim=1).values == torch.arange(10)).all()
    assert len({tuple(order.tolist()) for order in orders}) == 2000
    assert ((orders.double().mean(0) - 4.5).abs() < 4 * (8.25 / 2000) ** 0.5).all()


@pytest.mark.parametrize("shape", [(0, 3), (1, 3), (5,), (2, 3, 4, 5)])
def test_shapes(shape):
    """Any number of rows of any shape, float32."""
    assert Noise(0).normal(*shape).shape == shape
    assert Noise(0).normal(*shape).dtype == torch.float32


def test_integers():
    """A seed for other generators lies in 0..2^63 - 1 and differs from place to place."""
    numbers = [Noise(0)("modules", step).integer() for step in range(1000)]
    assert len(set(numbers)) == 1000
    assert all(0 <= number < 2**63 for number in numbers)
    assert max(numbers) > 2**62
