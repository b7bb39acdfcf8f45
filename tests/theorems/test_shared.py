"""Features that several heads read: the numbers and gradients of reading twice, at the price of once."""

import copy

import pytest
import torch
from torch import nn

from pushforward.networks import Shared


class Counting(nn.Linear):
    """A linear layer that counts how often it is asked."""

    asked = 0

    def forward(self, x):
        self.asked += 1
        return super().forward(x)


def heads():
    torch.manual_seed(0)
    return Counting(3, 4), nn.Linear(4, 1), nn.Linear(4, 2)


def test_two_heads_have_the_gradients_of_two_readings():
    layer, one, two = heads()
    x = torch.randn(8, 3)
    found = []
    for trunk in (Shared(layer, nn.Tanh()), nn.Sequential(layer, nn.Tanh())):
        layer.zero_grad()
        (one(trunk(x)).square().mean() + two(trunk(x)).exp().mean()).backward()
        found.append(layer.weight.grad.clone())
    torch.testing.assert_close(*found)
    assert layer.asked == 1 + 2


def test_batch_norm_counts_a_sample_once():
    torch.manual_seed(0)
    norm = nn.BatchNorm1d(3)
    trunk, x = Shared(norm), torch.randn(8, 3)
    trunk(x)
    trunk(x)
    assert norm.num_batches_tracked == 1


def moved(layer, x):
    torch.optim.SGD(layer.parameters(), 0.1).step()


def written(layer, x):
    x.add_(1.0)


def asleep(layer, x):
    layer.requires_grad_(False)


@pytest.mark.parametrize("change", [moved, written, asleep])
def test_it_forgets_what_is_no_longer_so(change):
    """An update of the weights, a row that is written to, a layer put to sleep: then it reads anew."""
    layer, one, _ = heads()
    trunk, x = Shared(layer), torch.randn(8, 3)
    one(trunk(x)).sum().backward()
    change(layer, x)
    torch.testing.assert_close(trunk(x), layer(x))
    assert trunk(x).requires_grad == (change is not asleep)


def test_a_reading_without_gradients_is_not_taken_for_one_with():
    layer, _, _ = heads()
    trunk, x = Shared(layer), torch.randn(8, 3)
    with torch.no_grad():
        trunk(x)
    assert trunk(x).requires_grad


def test_at_rest_and_in_copies_nothing_is_remembered():
    layer, _, _ = heads()
    trunk, x = Shared(layer), torch.randn(8, 3)
    kept = trunk(x)
    again = copy.deepcopy(trunk)
    torch.testing.assert_close(again(x), kept)
    assert again(x) is not kept
    trunk.eval()
    assert trunk(x) is not trunk(x)
    with torch.inference_mode():
        assert trunk(torch.randn(2, 3)).shape == (2, 4)
