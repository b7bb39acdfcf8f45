"""Rows given what is known of them, against the exact conditional distribution of a small model."""

import math

import pytest
import torch

from pushforward.distributions import Gaussian
from pushforward.rng import Noise
from pushforward.tables.distribution import TableDistribution
from pushforward.tables.given import known_cells, resampled

N = 4000
SLOPES = torch.tensor([-6.0, 0.0, 6.0])  # of the logits of three cells in the code


class Linked:
    """Two columns that both nearly tell in which third of the line the code lies."""

    is_autoregressive = False
    sizes = (3, 3)

    def logits(self, z, x):
        part = SLOPES * z - SLOPES.square() / 12
        return part, part

    def column_logits(self, z, x, column):
        return self.logits(z, x)[column]


def exact():
    """p(second | first) by a sum over a fine grid of codes."""
    z = torch.linspace(-6, 6, 4001)[:, None]
    p = (SLOPES * z - SLOPES.square() / 12).softmax(1) * (-z.square() / 2).exp()
    given = (SLOPES * z - SLOPES.square() / 12).softmax(1)
    joint = p.T @ given
    return joint / joint.sum(1, keepdim=True)


def encode(rows):
    """A rough posterior: too narrow by far, and with shifted means."""
    means = (rows[:, 1:].floor() - 1) * 1.2 + 0.3
    return Gaussian(means, torch.full_like(means, math.log(0.3)))


def kept(first, candidates, with_encoder):
    prior = Gaussian(torch.zeros(N, 1), torch.zeros(N, 1))
    allowed = known_cells(torch.tensor([[first + 0.5, -1.0]]).expand(N, -1), Linked.sizes)
    rows, effective = resampled(
        prior, lambda z: TableDistribution(Linked(), z), Noise(3), allowed, candidates,
        encode if with_encoder else None,
    )  # fmt: skip
    assert (rows[:, 0].long() == first).all()
    return torch.bincount(rows[:, 1].long(), minlength=3) / N, effective.mean().item()


@pytest.mark.parametrize("with_encoder", [False, True])
@pytest.mark.parametrize("first", [1, 2])
def test_rows_given_a_column_have_its_conditional_distribution(first, with_encoder):
    """Also where the later proposals are far from the posterior."""
    shares, _ = kept(first, 64, with_encoder)
    assert (shares - exact()[first]).abs().max().item() < 4 * math.sqrt(0.25 / N)


def test_with_proposals_of_the_encoder_more_candidates_have_weight():
    assert kept(2, 32, True)[1] > kept(2, 32, False)[1]
