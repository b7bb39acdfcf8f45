"""Labels as numbers that a network can read."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pushforward.errors import DataError


def one_hot(y: Tensor, classes: int, unknown: bool = False) -> Tensor:
    """Rows of K numbers, 1 at the label y (N,) and else 0; of an unknown label, -1, all are 0.

    With ``unknown`` there is one more column, which is 1 where the label is not known.

    >>> one_hot(torch.tensor([1, -1]), 2, unknown=True)
    tensor([[0., 1., 0.],
            [0., 0., 1.]])
    """
    columns = torch.arange(classes + 1, device=y.device)
    rows = torch.where(y < 0, classes, y).unsqueeze(-1) == columns
    return rows[:, : classes + unknown].float()


class Conditional(nn.Module):
    """A network of its input and the label: ``conditional(x, y)`` is ``net`` of both, concatenated.

    The K numbers of :func:`one_hot` are K more features of a vector, or K more channels of an image.

    Arguments:
        net: Maps (N, C + K, \\*) to whatever it makes.
        classes: Number of labels K.

    Raises:
        DataError: When called without labels.

    >>> Conditional(nn.Flatten(), 10)(torch.zeros(2, 1, 4, 4), torch.tensor([3, -1])).shape
    torch.Size([2, 176])
    """

    def __init__(self, net: nn.Module, classes: int) -> None:
        super().__init__()
        self.net = net
        self.classes = classes

    def extra_repr(self) -> str:
        """The settings that ``repr`` shows."""
        return f"classes={self.classes}"

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The network's output for x and labels y (N,); -1 stands for an unknown label."""
        if y is None or len(y) != len(x):
            found = "none" if y is None else f"{len(y)}"
            raise DataError(f"a conditional model needs labels: {len(x)} (-1 for unknown), got {found}")
        beside = one_hot(y.to(x.device), self.classes).to(x)
        beside = beside.view(*beside.shape, *[1] * (x.ndim - 2)).expand(-1, -1, *x.shape[2:])
        return self.net(torch.cat([x, beside], dim=1))


__all__ = ["Conditional", "one_hot"]
