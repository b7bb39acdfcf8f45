"""Rows of tokens: T whole numbers for each line, ``END`` last, and ``PAD`` up to the maximum length."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from pushforward.distributed import all_gather
from pushforward.rng import Noise
from pushforward.shared_numbers import layer_numbers
from pushforward.torch_state import at_hand, to_device

PAD, END, UNKNOWN, BEGIN = range(4)
SPECIAL = ("<pad>", "<end>", "<unknown>", "<begin>")


def lengths(x: Tensor) -> Tensor:
    """Number of tokens in each row (N, T), with ``END`` and without padding, shape (N,).

    >>> lengths(torch.tensor([[7, 8, END, PAD], [END, PAD, PAD, PAD], [7, 8, 9, 7]]))
    tensor([3, 1, 4])
    """
    ends = (x == END).int()
    return torch.where(ends.any(1), ends.argmax(1) + 1, x.shape[1])


def without_padding(x: Tensor, sizes: Tensor) -> Tensor:
    """Rows (N, T) of lengths ``sizes`` (N,) without the last places, which are padding in all of them.

    On a GPU, which would be waited for, these places stay.

    >>> without_padding(torch.tensor([[7, END, PAD, PAD], [7, 8, END, PAD]]), torch.tensor([2, 3]))
    tensor([[7, 1, 0],
            [7, 8, 1]])
    """
    return x[:, : int(sizes.max())] if at_hand(sizes) else x


def shift_right(x: Tensor) -> Tensor:
    """The token before each token of rows (N, T), ``BEGIN`` before the first: the input of teacher forcing.

    >>> shift_right(torch.tensor([[7, 8, END, PAD]]))
    tensor([[3, 7, 8, 1]])
    """
    return F.pad(x[:, :-1], (1, 0), value=BEGIN)


def padded(rows: Sequence[Sequence[int]], max_length: int) -> Tensor:
    """Rows of tokens padded to one length, (N, max_length), int64."""
    x = torch.full((len(rows), max_length), PAD)
    for place, row in enumerate(rows):
        x[place, : len(row)] = torch.tensor(row)
    return x


def drop_tokens(x: Tensor, rate: float) -> Tensor:
    """Word dropout: each token becomes ``UNKNOWN`` with probability ``rate``; ends and padding stay.

    The draws come from torch's own generator.

    References:
        | Generating Sentences from a Continuous Space (Bowman et al., 2016), section 3.1
        | https://arxiv.org/abs/1511.06349
    """
    dropped = layer_numbers(torch.rand, *x.shape, device=x.device) < rate
    return x.masked_fill(dropped & (x > BEGIN), UNKNOWN)


def replace_tokens(x: Tensor, noise: Noise, rate: float) -> Tensor:
    """Each row with probability 1/2; in it, each token with probability ``rate`` becomes another at random.

    The replacements are drawn from all tokens of ``x``; ends and padding stay.

    References:
        | SwitchOut: an Efficient Data Augmentation Algorithm for Neural Machine Translation (Wang et al.,
          2018)
        | https://arxiv.org/abs/1808.07512

    >>> x = torch.tensor([[7, 8, 9, END, PAD], [10, 11, 12, 13, END]])
    >>> replace_tokens(x, Noise(1), 0.5)
    tensor([[ 7,  8,  9,  1,  0],
            [10,  8,  9, 11,  1]])
    """
    replaceable = x > BEGIN
    rows = to_device(noise("rows").uniform(len(x), 1), x.device) < 0.5
    places = to_device(noise("places").uniform(*x.shape), x.device) < rate
    of_batch = all_gather(x).flatten()
    counted = (of_batch > BEGIN).cumsum(0)
    # The tokens in front, by their number among them, and all else behind: how many there are is not read.
    order = torch.where(of_batch > BEGIN, counted - 1, len(of_batch))
    tokens = of_batch.new_zeros(len(of_batch) + 1).scatter_(0, order, of_batch)
    drawn = (to_device(noise("words").uniform(*x.shape), x.device) * counted[-1]).long()
    return torch.where(rows & places & replaceable, tokens[drawn], x)


__all__ = [
    "BEGIN",
    "END",
    "PAD",
    "SPECIAL",
    "UNKNOWN",
    "drop_tokens",
    "lengths",
    "padded",
    "replace_tokens",
    "shift_right",
    "without_padding",
]
