r"""Weighted sums of a radial kernel over pairs of rows, with their gradient in one pass.

.. math:: S = a \sum_{i, j} k(x_i, x_j) + c \sum_{i, j} k(x_i, y_j) + b \sum_{i, j} k(y_i, y_j)

The kernel matrix of the pooled rows is formed block by block and never kept: memory is that of the rows and
of one block. A block above the diagonal of a sample with itself stands for the one below, and where no
gradient is asked for only values are formed. Several processes that have gathered all rows of a batch share
the blocks out and add up what they have found; a single block is computed by each of them. With weights
:math:`w_{ij}` of pairs and :math:`W_{ij} = w_{ij}\, k'(D_{ij})`, the gradient is
:math:`4 (W 1 \odot r - W r)` for the pooled rows r.
"""

from __future__ import annotations

import math
from itertools import combinations_with_replacement, product
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from pushforward import distributed
from pushforward.torch_state import widest
from pushforward.utils import Setting

TILE = {"cpu": 256}  # the most rows of a block, so that its terms for seven scales (2 MB) fit a cache
LARGE_TILE = 2048  # on other devices, which only large blocks keep busy
MOST_ROWS: Setting[int | None] = Setting(None)  # of a block on whatever device; None for those of its kind
SMALL = 512  # pooled rows that are one block: the calls of three would cost more than they save


class Weights(NamedTuple):
    """The factors of a weighted sum of a kernel: of pairs within x, from x to y, and within y.

    Attributes:
        own_pairs: Whether the pairs of a row with itself count.
    """

    within_x: float
    across: float
    within_y: float
    own_pairs: bool = True


class _Block(NamedTuple):
    """Some pooled rows against others, or against themselves, with one weight or one for each pair."""

    first: slice
    second: slice
    weight: float | Tensor


class Memory:
    """Memory that each block uses again: what is new costs more to get than to fill.

    Arguments:
        like: A tensor of the dtype and on the device that the memory is to have.

    Example:
        >>> memory = Memory(torch.zeros(1))
        >>> memory("terms", 2, 3).shape, memory("terms", 1, 3).data_ptr() == memory("terms", 3, 2).data_ptr()
        (torch.Size([2, 3]), True)
    """

    def __init__(self, like: Tensor) -> None:
        self._like = like
        self._held: dict[str, Tensor] = {}

    def __call__(self, name: str, *shape: int) -> Tensor:
        """A tensor of a shape, whose values are those that were last written under the name, or any."""
        size = math.prod(shape)
        if name not in self._held or len(self._held[name]) < size:
            self._held[name] = self._like.new_empty(size)
        return self._held[name][:size].view(shape)


class RadialKernel(Protocol):
    """What a kernel must offer to be summed: its value at distance 0, and what a block needs."""

    peak: float

    def value_and_slope(
        self, squares: Tensor, memory: Memory, with_slope: bool = True
    ) -> tuple[Tensor, Tensor | None]:
        """The kernel of squared distances (N, M) and, if asked for, its derivative, both of their shape."""
        ...


class PairSum(torch.autograd.Function):
    """The weighted sum S of the module's docstring, shape (): ``apply(x, y, kernel, weights, dtype)``.

    Blocks are added up in the widest dtype of the device, whatever the dtype of the result.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, y: Tensor, kernel: RadialKernel, weights: Weights, dtype: torch.dtype
    ) -> Tensor:
        """The sum, with the gradient kept for :meth:`backward`."""
        n = len(x)
        of_x, of_y = ctx.needs_input_grad[:2]
        rows = torch.cat([x, y])
        rows -= rows.mean(0)  # distances from products are exact to rounding only near 0
        # Rows are columns below: a product of few rows with W is several times as fast as W with few columns.
        columns, ones = rows.T, rows.new_ones(1, len(rows))
        lengths = rows.square().sum(1).unsqueeze(0)
        right = torch.cat([columns, ones, lengths])
        left = torch.cat([columns * -2, lengths, ones]).T  # left @ right: all squared distances
        sums = torch.zeros_like(right[:-1])  # W r and, below it, W 1
        total = torch.zeros((), dtype=widest(x.device), device=x.device)
        memory = Memory(rows)
        blocks = _blocks(x, y, weights)
        shared = distributed.in_step() and len(blocks) > 1
        if shared:
            blocks = blocks[distributed.rank() :: distributed.size()]
        for first, second, weight in blocks:
            own = first == second
            shape = first.stop - first.start, second.stop - second.start
            squares = torch.mm(left[first], right[:, second], out=memory("squares", *shape)).clamp_min_(0)
            if own:
                squares.fill_diagonal_(0)
            to_first, to_second = (
                (of_x and part.start < n) or (of_y and part.stop > n) for part in (first, second)
            )
            value, slope = kernel.value_and_slope(squares, memory, to_first or to_second)
            factor = 1.0 if isinstance(weight, Tensor) else weight
            if isinstance(weight, Tensor):
                value, slope = value.mul_(weight), slope if slope is None else slope.mul_(weight)
            total.add_(value.sum(1).sum(dtype=total.dtype), alpha=factor)
            if slope is None:
                continue
            if to_first:  # of one sample with itself, a row is also on the other side
                sums[:, first].addmm_(right[:-1, second], slope.T, alpha=factor * (4 if own else 2))
            if to_second and not own:
                sums[:, second].addmm_(right[:-1, first], slope, alpha=2 * factor)
        if shared:
            total, sums = (distributed.size() * mean for mean in distributed.average(total, sums))
        if not weights.own_pairs:
            total -= kernel.peak * (n * weights.within_x + len(y) * weights.within_y)
        if of_x or of_y:
            gradient = sums[-1:].T * rows - sums[:-1].T
            ctx.save_for_backward(gradient[:n] if of_x else None, gradient[n:] if of_y else None)
        return total.to(dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        """The kept gradient times that of the sum."""
        if torch.is_grad_enabled():  # create_graph: the second derivative would be 0 without a word
            raise NotImplementedError("the fast MMD has no second derivative; use MMD(..., fast=False)")
        dx, dy = ctx.saved_tensors
        # A gradient of the sum in float64 is a number: the product keeps the dtype of the rows.
        return None if dx is None else grad * dx, None if dy is None else grad * dy, None, None, None


def _blocks(x: Tensor, y: Tensor, weights: Weights) -> list[_Block]:
    """The blocks on and above the diagonal of the pooled rows' kernel matrix whose weight is not 0."""
    n, m, tile = len(x), len(y), MOST_ROWS.value or TILE.get(x.device.type, LARGE_TILE)
    within_x, across, within_y, _ = weights
    if within_x and across and within_y and n + m <= SMALL:
        matrix = x.new_full((n + m, n + m), across / 2)
        matrix[:n, :n] = within_x
        matrix[n:, n:] = within_y
        whole = slice(0, n + m)
        return [_Block(whole, whole, matrix)]
    of_x, of_y = _tiles(0, n, tile), _tiles(n, n + m, tile)
    blocks = [_Block(i, j, across) for i, j in product(of_x, of_y)]
    for tiles, weight in ((of_x, within_x), (of_y, within_y)):
        blocks += [
            _Block(i, j, weight * (1 if i == j else 2)) for i, j in combinations_with_replacement(tiles, 2)
        ]
    return [block for block in blocks if block.weight]


def _tiles(start: int, stop: int, rows: int) -> list[slice]:
    """Consecutive slices from start to stop of nearly equal length, at most ``rows``."""
    if start == stop:
        return []
    step = math.ceil((stop - start) / math.ceil((stop - start) / rows))
    return [slice(i, min(i + step, stop)) for i in range(start, stop, step)]
