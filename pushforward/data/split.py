"""Rows of a data set: one batch, and one split kept whole, from which batches are drawn by index.

Small image sets are kept whole, as bytes: on 28x28 images this is some twenty times faster than a loader with
worker processes, and the order of the batches is a function of (seed, epoch) alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward.errors import DataError
from pushforward.rng import Noise


class Batch(NamedTuple):
    """One batch: data ``x`` of shape (N, \\*), labels ``y`` of shape (N,) or None; -1 is "unknown"."""

    x: Tensor
    y: Tensor | None = None

    def to(self, device: torch.device | str) -> Batch:
        """The same on a device."""
        return Batch(self.x.to(device), None if self.y is None else self.y.to(device))


@dataclass(frozen=True)
class Split:
    """Rows of one split: ``x`` (N, \\*), uint8, float32 or tokens in int64, and labels ``y`` (N,) or None.

    ``factors`` (N, K), int64, or None are the values of the factors of variation that made each row. Judges
    ask for them; no batch holds them, for nothing learns from them. ``paired`` (N, \\*) or None are rows that
    say the same under the other of two labels, -1 where there is none.
    """

    x: Tensor
    y: Tensor | None = None
    factors: Tensor | None = None
    paired: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    def rows(self, index: Tensor) -> Split:
        """The split that holds the rows at ``index`` alone."""
        parts = (None if part is None else part[index] for part in (self.y, self.factors, self.paired))
        return Split(self.x[index], *parts)

    def subsample(self, count: int, noise: Noise) -> Batch:
        """At most so many rows at random: the first ones of a split may all be of one class."""
        return self.batch(noise.permutation(len(self))[:count])

    def keep_labels(self, labels: int, noise: Noise) -> Split:
        """The same rows with so many labels known, spread evenly over the classes; the others become -1.

        Raises:
            DataError: If there are fewer labels than that.
        """
        order = noise.permutation(len(self))
        y = torch.full((len(self),), -1) if self.y is None else self.y
        known = order[y[order] >= 0]
        if labels > len(known):
            raise DataError(f"{labels} labels are to be shown, the rows to learn from have {len(known)}")
        # Each row's turn within its class: the first of every class, then the second of every class, ...
        place = torch.empty_like(known)
        for label in y[known].unique():
            members = (y[known] == label).nonzero().flatten()
            place[members] = torch.arange(len(members))
        shown = known[place.argsort(stable=True)[:labels]]
        hidden = torch.full_like(y, -1)
        hidden[shown] = y[shown]
        return replace(self, y=hidden)

    def labelled(self) -> Split:
        """The rows whose label is known.

        Raises:
            DataError: If there is none.
        """
        known = torch.empty(0).long() if self.y is None else (self.y >= 0).nonzero().flatten()
        if not len(known):
            raise DataError("rows with labels are needed, and there is none")
        return self.rows(known)

    def keep_pairs(self, share: float, noise: Noise) -> Split:
        """The same rows with a share at random of the pairs known; the twins of the others become -1.

        Raises:
            DataError: If there is no pair to be known.
        """
        if share == 0:
            return replace(self, paired=None)
        if self.paired is None or self.y is None:
            raise DataError(f"a share of {share:g} of the pairs is to be known, and the rows have none")
        # Both rows of a pair are asked for the same number, which is a function of what they say.
        first = torch.where((self.y == 0).unsqueeze(1), self.x, self.paired)
        _, pair = first.unique(dim=0, return_inverse=True)
        known = (noise.uniform(int(pair.max()) + 1) < share)[pair]
        return replace(self, paired=self.paired.masked_fill(~known.unsqueeze(1), -1))

    def batch(self, index: Tensor | slice) -> Batch:
        """The rows at ``index``: tokens as they are, all else as float32; bytes become numbers in [0, 1]."""
        x = self.x[index] if isinstance(index, slice) else self.x.index_select(0, index)
        if x.dtype == torch.uint8:
            x = x.float().div_(255)
        return Batch(x, None if self.y is None else self.y[index])

    def paired_rows(self, index: Tensor) -> Tensor | None:
        """The twins of the rows at ``index``, -1 where there is none; None of rows without any."""
        return None if self.paired is None else self.paired[index]


__all__ = ["Batch", "Split"]
