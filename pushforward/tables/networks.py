"""Networks of tables: an encoder of cells, and decoders whose output is a distribution of rows.

References:
    | MADE: Masked Autoencoder for Distribution Estimation (Germain et al., 2015)
    | https://arxiv.org/abs/1502.03509
    | Deep Unsupervised Cardinality Estimation (Yang et al., 2019), sections 4.2 and 5.2: residual MADE of
      tables, and columns that are hidden at random
    | https://arxiv.org/abs/1905.04278
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pushforward.networks.architectures import NETWORKS, EncoderDecoder
from pushforward.networks.precision import InFloat32
from pushforward.shared_numbers import layer_numbers
from pushforward.tables.distribution import TableDistribution

WIDTH = 256
EMBEDDING = 16  # numbers of one cell
WAVES = 4  # of which a position on the axis of a column is made


class CellEmbedding(nn.Module):
    """Embeddings (N, C, D) of rows (N, C): of the cell, and of its place on the axis of the column.

    The place makes neighbouring cells of numbers alike from the start. Where a value is below 0 it is not
    known, and has an embedding of its own.

    Arguments:
        sizes: Number of cells of each column.
        embedding_dim: Dimensions D.
        dropout: Share of the values that are hidden in training, as if they were not known; it differs from
            row to row, so that some have nearly all values and others hardly any.
        row_dropout: Share of the rows all of whose values are hidden in training.
    """

    def __init__(
        self,
        sizes: tuple[int, ...],
        embedding_dim: int = EMBEDDING,
        dropout: float = 0.0,
        row_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.row_dropout = row_dropout
        self.sizes: Tensor
        self.starts: Tensor
        counts = torch.tensor(sizes)
        self.register_buffer("sizes", counts.float(), persistent=False)
        self.register_buffer("starts", counts.cumsum(0) - counts, persistent=False)
        self.cells = nn.Embedding(int(counts.sum()), embedding_dim)
        nn.init.normal_(self.cells.weight, std=0.3)
        waves = 1 + 2 * WAVES
        self.axes = nn.Parameter(torch.randn(len(sizes), waves, embedding_dim) * waves**-0.5)
        self.unknown = nn.Parameter(torch.randn(len(sizes), embedding_dim) * 0.3)

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings (N, C, D) of rows (N, C)."""
        hidden = x < 0
        if self.training and self.dropout:
            least, most = max(0.0, 2 * self.dropout - 1), min(1.0, 2 * self.dropout)
            rates = least + (most - least) * layer_numbers(torch.rand, len(x), 1, device=x.device)
            hidden = hidden | (layer_numbers(torch.rand, *x.shape, device=x.device) < rates)
        if self.training and self.row_dropout:
            hidden = hidden | (layer_numbers(torch.rand, len(x), 1, device=x.device) < self.row_dropout)
        x = x.clamp_min(0)
        share = x / self.sizes - 0.5
        angles = [share * (math.pi * 2**wave) for wave in range(WAVES)]
        waves = torch.stack([2 * share, *(f(a) for a in angles for f in (torch.sin, torch.cos))], dim=-1)
        placed = torch.einsum("ncw,cwd->ncd", waves, self.axes)
        made = self.cells(x.long() + self.starts) + placed
        return torch.where(hidden.unsqueeze(-1), self.unknown.expand_as(made), made)


class EmbeddedRows(nn.Module):
    """Numbers (N, C D + L) of rows of cells beside L other numbers (N, C + L): the cells are embedded.

    Arguments:
        sizes: Number of cells of each column.

    Attributes:
        outputs: The count C D of numbers of a row.

    >>> EmbeddedRows((3, 5))(torch.full((4, 2 + 7), 1.5)).shape
    torch.Size([4, 39])
    """

    def __init__(self, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.embedding = CellEmbedding(sizes)
        self.columns = len(sizes)
        self.outputs = len(sizes) * EMBEDDING

    def forward(self, x: Tensor) -> Tensor:
        """Numbers (N, C D + L) of rows beside others (N, C + L)."""
        rows, others = x[:, : self.columns], x[:, self.columns :]
        return torch.cat([self.embedding(rows).flatten(1), others], dim=1)


class TableEncoder(InFloat32):
    """Numbers (N, outputs) from rows (N, C).

    Arguments:
        sizes: Number of cells of each column.
        outputs: Number of outputs.
        width: Hidden units of each of two layers.
        dropout: Share of the values that are hidden in training.
    """

    def __init__(
        self, sizes: tuple[int, ...], outputs: int, width: int = WIDTH, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.embedding = CellEmbedding(sizes, dropout=dropout)
        self.layers = nn.Sequential(
            nn.Linear(len(sizes) * EMBEDDING, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, outputs),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Numbers (N, outputs) from rows (N, C)."""
        return self.layers(self.embedding(x).flatten(1))


class MaskedLinear(nn.Linear):
    """A linear layer some of whose weights stay 0.

    Arguments:
        mask: Which weights do not, (outputs, inputs).
    """

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.mask: Tensor
        self.register_buffer("mask", mask.float(), persistent=False)
        with torch.no_grad():  # as if each output had as many inputs as it has
            bound = (3 / mask.sum(1, keepdim=True).clamp_min(1).float()).sqrt()
            self.weight.copy_((torch.rand_like(self.weight) * 2 - 1) * bound)
            self.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output (N, outputs)."""
        return F.linear(x, self.weight * self.mask, self.bias)


class TableDecoder(InFloat32):
    """Columns that are independent given the code.

    Arguments:
        latent_dim: Dimensions of a code.
        sizes: Number of cells of each column.
        width: Hidden units of each of two layers.

    Example:
        >>> distribution = TableDecoder(2, (3, 5))(torch.zeros(4, 2))
        >>> distribution.log_prob(torch.full((4, 2), 1.5)).shape, distribution.greedy().shape
        (torch.Size([4]), torch.Size([4, 2]))
    """

    is_autoregressive = False

    def __init__(self, latent_dim: int, sizes: tuple[int, ...], width: int = WIDTH) -> None:
        super().__init__()
        self.sizes = sizes
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, sum(sizes)),
        )

    def forward(self, z: Tensor) -> TableDistribution:
        """The distribution of rows given codes (N, L)."""
        return TableDistribution(self, z)

    def logits(self, z: Tensor, x: Tensor) -> tuple[Tensor, ...]:
        """Logits (N, n) of the n cells of each column."""
        made: Tensor = self.layers(z)
        return made.split(self.sizes, dim=1)

    def column_logits(self, z: Tensor, x: Tensor, column: int) -> Tensor:
        """Those of one column."""
        return self.logits(z, x)[column]


class AutoregressiveTableDecoder(InFloat32):
    """Each column is predicted from the code and the columns before it, by one masked residual network.

    A hidden unit sees the code and the columns before a certain one; column j sees the units that see none of
    the columns from j on.

    Arguments:
        latent_dim: Dimensions of a code.
        sizes: Number of cells of each column.
        width: Hidden units of each layer.
        blocks: Number of residual blocks of two layers.
        dropout: Share of the rows in training of which each column is predicted from the code alone, so that
            the code is needed. From the other rows the network learns the exact conditional distributions.
    """

    is_autoregressive = True

    def __init__(
        self,
        latent_dim: int,
        sizes: tuple[int, ...],
        width: int = WIDTH,
        blocks: int = 2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.sizes = sizes
        columns = len(sizes)
        seen = (
            torch.arange(max(width, columns)) * columns // max(width, columns)
        )  # columns that each hidden unit sees
        inputs = torch.arange(columns).repeat_interleave(EMBEDDING)
        outputs = torch.arange(columns).repeat_interleave(torch.tensor(sizes))
        self.embedding = CellEmbedding(sizes, row_dropout=dropout)
        self.code = nn.Linear(latent_dim, len(seen))
        self.first = MaskedLinear(seen.unsqueeze(1) > inputs)
        within = seen.unsqueeze(1) >= seen
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.ReLU(), MaskedLinear(within), nn.ReLU(), MaskedLinear(within))
            for _ in range(blocks)
        )
        self.last = MaskedLinear(outputs.unsqueeze(1) >= seen)
        with torch.no_grad():
            self.last.weight.mul_(0.1)

    def forward(self, z: Tensor) -> TableDistribution:
        """The distribution of rows given codes (N, L)."""
        return TableDistribution(self, z)

    def states(self, z: Tensor, x: Tensor) -> Tensor:
        """Hidden states (N, H) of codes (N, L) and rows (N, C)."""
        states = self.code(z) + self.first(self.embedding(x).flatten(1))
        for block in self.blocks:
            states = states + block(states)
        return F.relu(states)

    def logits(self, z: Tensor, x: Tensor) -> tuple[Tensor, ...]:
        """Logits (N, n) of the n cells of each column, given the columns before it in x."""
        made: Tensor = self.last(self.states(z, x))
        return made.split(self.sizes, dim=1)

    def column_logits(self, z: Tensor, x: Tensor, column: int) -> Tensor:
        """Those of one column; what x holds from there on does not matter."""
        start = sum(self.sizes[:column])
        rows = slice(start, start + self.sizes[column])
        weight = self.last.weight[rows] * self.last.mask[rows]
        return F.linear(self.states(z, x), weight, self.last.bias[rows])


NETWORKS["table-autoregressive"] = EncoderDecoder(
    lambda s, n, dropout: TableEncoder(s, n, dropout=dropout),
    lambda n, s, dropout: AutoregressiveTableDecoder(n, s, dropout=dropout),
    ("table",),
)
NETWORKS["table-mlp"] = EncoderDecoder(
    lambda s, n, dropout: TableEncoder(s, n, dropout=dropout),
    lambda n, s, dropout: TableDecoder(n, s),
    ("table",),
)

__all__ = ["AutoregressiveTableDecoder", "CellEmbedding", "EmbeddedRows", "TableDecoder", "TableEncoder"]
