"""Layers that treat some columns or channels differently from others."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class BatchNormColumns(nn.Module):
    """BatchNorm of the first columns of rows (N, C), such as logits of classes, so that none stays unused.

    >>> rows = torch.arange(8.0).view(4, 2)
    >>> BatchNormColumns(1)(rows).round(decimals=2)
    tensor([[-1.3400,  1.0000],
            [-0.4500,  3.0000],
            [ 0.4500,  5.0000],
            [ 1.3400,  7.0000]], grad_fn=...)
    """

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.columns = columns
        self.norm = nn.BatchNorm1d(columns)

    def forward(self, rows: Tensor) -> Tensor:
        """The rows (N, C), the first columns normalised over the batch and the others as they are."""
        return torch.cat([self.norm(rows[:, : self.columns]), rows[:, self.columns :]], dim=1)


class Concatenated(nn.Module):
    """Rows (N, \\*), flattened, with the output of a network for them appended.

    >>> Concatenated(nn.Linear(2, 3))(torch.zeros(5, 2)).shape
    torch.Size([5, 5])
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        """The rows, flattened to (N, D), followed by the network's output (N, K): shape (N, D + K)."""
        return torch.cat([x.flatten(1), self.net(x)], dim=1)


class GatedTanh(nn.Module):
    r"""A gated activation, :math:`\sigma(a) \tanh(b)` of the halves of (N, 2C, \*), shape (N, C, \*).

    >>> GatedTanh()(torch.tensor([[0.0, 1.0]])).round(decimals=3)
    tensor([[0.3810]])
    """

    def forward(self, x: Tensor) -> Tensor:
        """The gated second half of the channels, shape (N, C, \\*), in (-1, 1)."""
        a, b = x.chunk(2, dim=1)
        return a.sigmoid() * b.tanh()
