r"""The distribution of rows of a table given a code, column by column.

.. math:: p(x \mid z) = \prod_j p(x_j \mid z, x_{<j})

or without :math:`x_{<j}`, where columns are independent given the code.
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from pushforward.rng import Noise
from pushforward.tables.cells import MARGIN
from pushforward.torch_state import in_double


class CellPredictor(Protocol):
    """A network that predicts the cell of each column, such as
    :class:`~pushforward.tables.networks.TableDecoder`.

    Attributes:
        sizes: Number of cells of each column.
        is_autoregressive: Whether a column is predicted from those before it.
    """

    sizes: tuple[int, ...]
    is_autoregressive: bool

    def logits(self, z: Tensor, x: Tensor) -> tuple[Tensor, ...]:
        """Logits (N, n) of the n cells of each column, from codes (N, L) and rows (N, C)."""

    def column_logits(self, z: Tensor, x: Tensor, column: int) -> Tensor:
        """Those of one column."""


class TableDistribution:
    """The distribution of rows given each of N codes.

    Arguments:
        decoder: The network that predicts cells.
        z: Codes (N, L).
    """

    def __init__(self, decoder: CellPredictor, z: Tensor) -> None:
        self.decoder = decoder
        self.z = z

    def __len__(self) -> int:
        return len(self.z)

    def log_probs(self, x: Tensor) -> Tensor:
        """The log-probability in nats of each column's cell in rows (N, C), shape (N, C)."""
        cells = x.long()
        logits = self.decoder.logits(self.z, x)
        terms = [-F.cross_entropy(part, cells[:, j], reduction="none") for j, part in enumerate(logits)]
        return torch.stack(terms, dim=1)

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-probability in nats of the cells of rows (N, C), shape (N,)."""
        return self.log_probs(x).sum(1)

    @torch.no_grad()
    def greedy(self) -> Tensor:
        """Rows (N, C) of the most probable cell of each column given those before it, in the middle of the
        cell.
        """
        if not self.decoder.is_autoregressive:
            empty = self.z.new_full((len(self.z), len(self.decoder.sizes)), 0.5)
            return torch.stack([part.argmax(1) + 0.5 for part in self.decoder.logits(self.z, empty)], dim=1)
        x = self.z.new_full((len(self.z), len(self.decoder.sizes)), 0.5)
        for column in range(x.shape[1]):
            x[:, column] = self.decoder.column_logits(self.z, x, column).argmax(1) + 0.5
        return x

    def sample(self, noise: Noise) -> Tensor:
        """One row (N, C) for each code, drawn column by column; the draws are a function of the noise and the
        row.
        """
        return self.sample_given(noise, None)[0]

    @torch.no_grad()
    def sample_given(self, noise: Noise, allowed: tuple[Tensor | None, ...] | None) -> tuple[Tensor, Tensor]:
        """Rows (N, C) whose cells are drawn among those that are allowed, and their log-weights (N,).

        The weight is the product over columns of the probability of what is allowed, given the columns
        before.

        Arguments:
            noise: The random numbers.
            allowed: For each column the cells that are allowed, (n,) or (N, n) bool, or None if all are.
        """
        sizes = self.decoder.sizes
        cells, places = (
            noise(name).uniform(len(self.z), len(sizes)).to(self.z) for name in ("cells", "places")
        )
        places = places.clamp(MARGIN, 1 - MARGIN)
        x = self.z.new_full((len(self.z), len(sizes)), 0.5)
        weights = self.z.new_zeros(len(self.z))
        every = None if self.decoder.is_autoregressive else self.decoder.logits(self.z, x)
        for column in range(len(sizes)):
            logits = self.decoder.column_logits(self.z, x, column) if every is None else every[column]
            only = None if allowed is None else allowed[column]
            if only is not None:
                log_probs = logits.log_softmax(1).masked_fill(~only, -torch.inf)
                weights = weights + log_probs.logsumexp(1)
                logits = log_probs
            x[:, column] = draw(logits, cells[:, column]) + places[:, column]
        return x, weights


def draw(logits: Tensor, u: Tensor) -> Tensor:
    """One cell (N,) for each row of logits (N, n), by uniform numbers (N,).

    >>> draw(torch.tensor([[0.0, 0.0], [-torch.inf, 0.0]]), torch.tensor([0.25, 0.0]))
    tensor([0, 1])
    """
    mass = in_double(logits).softmax(1).cumsum(1)
    wanted = in_double(u).unsqueeze(1) * mass[:, -1:]
    return (mass <= wanted).sum(1).clamp_max(logits.shape[1] - 1).to(logits.device)


__all__ = ["CellPredictor", "TableDistribution", "draw"]
