"""The network whose backward pass is written out is PyTorch's own: its numbers and its gradients."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from pushforward.text.recurrent import GRU

SIZES = [[3, 5, 1, 5, 2], [4, 4], [1], [1, 1, 7]]


def paired_rows(bidirectional):
    torch.manual_seed(0)
    net = GRU(3, 4, bidirectional)
    own = nn.GRU(3, 4, batch_first=True, bidirectional=bidirectional)
    own.load_state_dict(net.state_dict())
    return net.double(), own.double()


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_it_is_torchs_own(sizes, started, bidirectional):
    found = []
    for net in paired_rows(bidirectional):
        torch.manual_seed(1)
        x = torch.randn(len(sizes), max(sizes), 3, dtype=torch.float64, requires_grad=True)
        first = torch.randn(1 + bidirectional, len(sizes), 4, dtype=torch.float64, requires_grad=True)
        rows = pack_padded_sequence(x, torch.tensor(sizes), batch_first=True, enforce_sorted=False)
        made, last = net(rows, first if started else None)
        ((made.data * torch.randn_like(made.data)).sum() + last.exp().sum()).backward()
        gradients = [x.grad, *(p.grad for p in net.parameters()), *([first.grad] if started else [])]
        found.append([made.data, made.batch_sizes, last, *gradients])
    for ours, theirs in zip(*found, strict=True):
        assert torch.allclose(ours.double(), theirs.double(), rtol=1e-12, atol=1e-14)


def test_without_gradients_it_is_torchs_very_network():
    net, own = paired_rows(True)
    rows = torch.randn(2, 5, 3, dtype=torch.float64)
    assert net(rows)[0].equal(own(rows)[0])
    packed = pack_padded_sequence(rows, torch.tensor([5, 2]), batch_first=True)
    with torch.no_grad():
        assert net(packed)[0].data.equal(own(packed)[0].data)


def test_it_says_that_gradients_cannot_be_differentiated_again():
    net, _ = paired_rows(False)
    x = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)
    made, _ = net(pack_padded_sequence(x, torch.tensor([5, 2]), batch_first=True))
    (slope,) = torch.autograd.grad(made.data.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate twice"):
        slope.sum().backward()
