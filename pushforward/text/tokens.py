"""Rows of tokens: T whole numbers a line, ``END`` last, and ``PAD`` up to the longest line."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from pushforward.rng import Noise

PAD, END, UNKNOWN, BEGIN = range(4)
SPECIAL = ("<pad>", "<end>", "<unknown>", "<begin>")


def lengths(x: Tensor) -> Tensor:
    """Tokens in each row (N, T), ``END`` included and padding not, shape (N,).

    >>> lengths(torch.tensor([[7, 8, END, PAD], [END, PAD, PAD, PAD], [7, 8, 9, 7]]))
    tensor([3, 1, 4])
    """
    ends = (x == END).int()
    return torch.where(ends.any(1), ends.argmax(1) + 1, x.shape[1])


def told_before(x: Tensor) -> Tensor:
    """The token before each of rows (N, T): ``BEGIN`` before the first.

    >>> told_before(torch.tensor([[7, 8, END, PAD]]))
    tensor([[3, 7, 8, 1]])
    """
    return F.pad(x[:, :-1], (1, 0), value=BEGIN)


def padded(rows: Sequence[Sequence[int]], longest: int) -> Tensor:
    """Rows of one length (N, longest), int64."""
    x = torch.full((len(rows), longest), PAD)
    for place, row in enumerate(rows):
        x[place, : len(row)] = torch.tensor(row)
    return x


def blanked(x: Tensor, share: float) -> Tensor:
    """Tokens of which a share at random is unknown, by torch's own generator; ends and padding stay."""
    chosen = torch.rand(x.shape, device=x.device) < share
    return x.masked_fill(chosen & (x > BEGIN), UNKNOWN)


def swapped(x: Tensor, noise: Noise, share: float) -> Tensor:
    """Rows of which every second one, in the mean, has a share of its tokens swapped for others at random.

    The others are drawn from all of ``x``; ends and padding stay.

    References:
        | SwitchOut: an Efficient Data Augmentation Algorithm for Neural Machine Translation (Wang et al.,
          2018)
        | https://arxiv.org/abs/1808.07512

    >>> x = torch.tensor([[7, 8, 9, END, PAD], [10, 11, 12, 13, END]])
    >>> swapped(x, Noise(1), 0.5)
    tensor([[ 7,  8,  9,  1,  0],
            [10,  8,  9, 11,  1]])
    """
    words = x > BEGIN
    rows = noise("rows").uniform(len(x), 1).to(x.device) < 0.5
    places = noise("places").uniform(*x.shape).to(x.device) < share
    others = x[words]
    drawn = (noise("words").uniform(*x.shape).to(x.device) * len(others)).long()
    return torch.where(rows & places & words, others[drawn], x) if len(others) else x


__all__ = [
    "BEGIN",
    "END",
    "PAD",
    "SPECIAL",
    "UNKNOWN",
    "blanked",
    "lengths",
    "padded",
    "swapped",
    "told_before",
]
