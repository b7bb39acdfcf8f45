r"""Networks of lines: a line to numbers, and a code to the law of lines.

.. math:: p(x \mid z) = \prod_t p(x_t \mid x_{<t}, z)

A decoder of lines does not make a line but a law of lines (:class:`~pushforward.text.distribution.TokenDistribution`), which knows the probability of
given ones and can be read out: it stands wherever a decoder's output stands.

References:
    | Generating Sentences from a Continuous Space (Bowman et al., 2016), section 3
    | https://arxiv.org/abs/1511.06349
    | Adversarially Regularized Autoencoders (Zhao et al., 2018), section 4: the code is fed at every step
    | https://arxiv.org/abs/1706.04223
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from pushforward.text.distribution import TokenDistribution
from pushforward.text.recurrent import GRU
from pushforward.text.tokens import blanked, lengths

WIDTH = 256  # of hidden states
EMBEDDING = 128
LAYERS = 2  # of transformers


def packed(rows: Tensor, sizes: Tensor) -> PackedSequence:
    r"""Rows (N, T, \*) without what comes after their sizes (N,)."""
    return pack_padded_sequence(rows, sizes.cpu(), batch_first=True, enforce_sorted=False)


class LineEncoder(nn.Module, ABC):
    """Numbers (N, outputs) from tokens (N, T); padding is never read.

    Arguments:
        pieces: Size of the vocabulary.
        embedding: Numbers that stand for a token.
        blank: Share of tokens that are made unknown in training.
    """

    def __init__(self, pieces: int, embedding: int, blank: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(pieces, embedding)
        self.blank = blank

    def forward(self, x: Tensor) -> Tensor:
        x = x.long()
        sizes = lengths(x)
        x = x[:, : int(sizes.max())]
        if self.training and self.blank:
            x = blanked(x, self.blank)
        return self.read(self.embedding(x), sizes)

    @abstractmethod
    def read(self, rows: Tensor, sizes: Tensor) -> Tensor:
        """Numbers from vectors (N, T, embedding), of which the first ``sizes`` (N,) are there."""


class GRULineEncoder(LineEncoder):
    """A recurrent reader in both directions.

    Arguments:
        pieces: Size of the vocabulary.
        outputs: Numbers that come out.
        width: Units of each direction's hidden state.
        embedding: Numbers that stand for a token.
        blank: Share of tokens that are made unknown in training.

    Example:
        >>> from pushforward.text.tokens import END, PAD
        >>> net = GRULineEncoder(50, 8).eval()
        >>> line = torch.tensor([[7, 9, END]])
        >>> bool(torch.allclose(net(line), net(F.pad(line, (0, 5), value=PAD)), atol=1e-6))
        True
    """

    def __init__(
        self, pieces: int, outputs: int, width: int = WIDTH, embedding: int = EMBEDDING, blank: float = 0.0
    ) -> None:
        super().__init__(pieces, embedding, blank)
        self.reader = GRU(embedding, width, bidirectional=True)
        self.head = nn.Linear(2 * width, outputs)

    def read(self, rows: Tensor, sizes: Tensor) -> Tensor:
        _, last = self.reader(packed(rows, sizes))
        return self.head(torch.cat([last[0], last[1]], dim=1))


class TransformerLineEncoder(LineEncoder):
    """A small transformer, of whose states the mean is read.

    Arguments:
        pieces: Size of the vocabulary.
        outputs: Numbers that come out.
        longest: Tokens of a line at most.
        width: Numbers of a state.
        layers: Blocks of attention and a perceptron.
        blank: Share of tokens that are made unknown in training.
    """

    def __init__(
        self,
        pieces: int,
        outputs: int,
        longest: int,
        width: int = EMBEDDING,
        layers: int = LAYERS,
        blank: float = 0.0,
    ) -> None:
        super().__init__(pieces, width, blank)
        self.places = nn.Parameter(torch.randn(longest, width) * width**-0.5)
        self.blocks = _blocks(width, layers)
        self.head = nn.Linear(width, outputs)

    def read(self, rows: Tensor, sizes: Tensor) -> Tensor:
        there = torch.arange(rows.shape[1], device=rows.device) < sizes.unsqueeze(1).to(rows.device)
        states = self.blocks(rows + self.places[: rows.shape[1]], src_key_padding_mask=~there)
        kept = there.unsqueeze(-1)
        return self.head(states.masked_fill(~kept, 0).sum(1) / kept.sum(1))


def _blocks(width: int, layers: int) -> nn.TransformerEncoder:
    block = nn.TransformerEncoderLayer(
        width, nhead=4, dim_feedforward=4 * width, dropout=0.1, batch_first=True, norm_first=True
    )
    return nn.TransformerEncoder(block, layers, norm=nn.LayerNorm(width), enable_nested_tensor=False)


class LineDecoder(nn.Module, ABC):
    """The law of lines of T tokens at most for every code (N, L).

    What a state says of the next token is compared with the very vectors that stand for tokens.

    Arguments:
        pieces: Size of the vocabulary.
        longest: Tokens of a line at most, its end included.
        width: Numbers of a state.
        embedding: Numbers that stand for a token.
        blank: Share of what was said so far that is made unknown in training, so that the code is needed.
    """

    def __init__(self, pieces: int, longest: int, width: int, embedding: int, blank: float) -> None:
        super().__init__()
        self.longest = longest
        self.blank = blank
        self.embedding = nn.Embedding(pieces, embedding)
        nn.init.normal_(self.embedding.weight, std=embedding**-0.5)
        self.project = nn.Linear(width, embedding)
        self.bias = nn.Parameter(torch.zeros(pieces))

    def forward(self, z: Tensor) -> TokenDistribution:
        return TokenDistribution(self, z)

    def scores(self, states: Tensor) -> Tensor:
        r"""Logits (\*, V) of the next token."""
        return F.linear(self.project(states), self.embedding.weight, self.bias)

    @abstractmethod
    def states(self, z: Tensor, before: Tensor, sizes: Tensor) -> Tensor:
        """States (N, T, H) from codes and the tokens before each place (N, T); void after ``sizes``."""

    @abstractmethod
    def begin(self, z: Tensor) -> Any:
        """What is remembered before the first token."""

    @abstractmethod
    def step(self, z: Tensor, before: Tensor, memory: Any) -> tuple[Tensor, Any]:
        """States (N, H) after the tokens ``before`` (N,), and what is remembered after them."""


class GRULineDecoder(LineDecoder):
    """A recurrent writer, to which the code is fed at every step.

    Arguments:
        latent_dim: Dimensions of a code.
        pieces: Size of the vocabulary.
        longest: Tokens of a line at most, its end included.
        width: Units of the hidden state.
        embedding: Numbers that stand for a token.
        blank: Share of what was said so far that is made unknown in training.

    Example:
        >>> from pushforward.text.tokens import END, PAD
        >>> law = GRULineDecoder(8, pieces=50, longest=6)(torch.zeros(2, 8))
        >>> law.log_prob(torch.tensor([[7, END, PAD], [7, 9, END]])).shape, law.greedy().shape
        (torch.Size([2]), torch.Size([2, 6]))
    """

    def __init__(
        self,
        latent_dim: int,
        pieces: int,
        longest: int,
        width: int = WIDTH,
        embedding: int = EMBEDDING,
        blank: float = 0.0,
    ) -> None:
        super().__init__(pieces, longest, width, embedding, blank)
        self.first = nn.Linear(latent_dim, width)
        self.writer = GRU(embedding + latent_dim, width)

    def states(self, z: Tensor, before: Tensor, sizes: Tensor) -> Tensor:
        fed = torch.cat([self.embedding(before), z.unsqueeze(1).expand(-1, before.shape[1], -1)], dim=-1)
        states, _ = self.writer(packed(fed, sizes), self.begin(z))
        padded: Tensor = pad_packed_sequence(states, batch_first=True, total_length=before.shape[1])[0]
        return padded

    def begin(self, z: Tensor) -> Tensor:
        return self.first(z).tanh().unsqueeze(0)

    def step(self, z: Tensor, before: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        fed = torch.cat([self.embedding(before), z], dim=-1).unsqueeze(1)
        said, memory = self.writer(fed, memory)
        return said[:, 0], memory


class TransformerLineDecoder(LineDecoder):
    """A small transformer: each place attends to those before it, and the code is added to every token.

    Arguments:
        latent_dim: Dimensions of a code.
        pieces: Size of the vocabulary.
        longest: Tokens of a line at most, its end included.
        width: Numbers of a state.
        layers: Blocks of attention and a perceptron.
        blank: Share of what was said so far that is made unknown in training.

    References:
        | Attention Is All You Need (Vaswani et al., 2017)
        | https://arxiv.org/abs/1706.03762
    """

    def __init__(
        self,
        latent_dim: int,
        pieces: int,
        longest: int,
        width: int = EMBEDDING,
        layers: int = LAYERS,
        blank: float = 0.0,
    ) -> None:
        super().__init__(pieces, longest, width, width, blank)
        self.code = nn.Linear(latent_dim, width)
        self.places = nn.Parameter(torch.randn(longest, width) * width**-0.5)
        self.blocks = _blocks(width, layers)

    def states(self, z: Tensor, before: Tensor, sizes: Tensor) -> Tensor:
        rows = self.embedding(before) + self.places[: before.shape[1]] + self.code(z).unsqueeze(1)
        ahead = nn.Transformer.generate_square_subsequent_mask(
            before.shape[1], device=z.device, dtype=z.dtype
        )
        made: Tensor = self.blocks(rows, mask=ahead, is_causal=True)
        return made

    def begin(self, z: Tensor) -> Tensor:
        return torch.empty(len(z), 0, dtype=torch.int64, device=z.device)

    def step(self, z: Tensor, before: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        memory = torch.cat([memory, before.unsqueeze(1)], dim=1)
        sizes = torch.full((len(z),), memory.shape[1])
        return self.states(z, memory, sizes)[:, -1], memory


class DecoderPerClass(LineDecoder):
    """A writer for each label, who share the vectors that stand for tokens.

    Takes codes and, in the last K columns, labels as :class:`~pushforward.networks.conditional.Conditional` appends
    them; rows of
    unknown label are the first writer's.

    Arguments:
        writers: Decoders of codes (N, L), one for each of K labels.

    References:
        | Adversarially Regularized Autoencoders (Zhao et al., 2018), section 3, "unaligned transfer"
        | https://arxiv.org/abs/1706.04223

    Example:
        >>> both = DecoderPerClass([GRULineDecoder(8, pieces=50, longest=6) for label in range(2)])
        >>> both(torch.zeros(3, 8 + 2)).greedy().shape
        torch.Size([3, 6])
    """

    def __init__(self, writers: Sequence[LineDecoder]) -> None:
        first = writers[0]
        pieces, embedding = first.embedding.weight.shape
        super().__init__(pieces, first.longest, first.project.in_features, embedding, first.blank)
        self.writers = nn.ModuleList(writers)
        for writer in writers:
            writer.embedding, writer.project, writer.bias = self.embedding, self.project, self.bias

    def hands(self, z: Tensor) -> list[tuple[LineDecoder, Tensor, Tensor]]:
        """Each writer with its rows (M,) and their codes (M, L)."""
        labels = z[:, -len(self.writers) :].argmax(1)
        rows = [(labels == label).nonzero().flatten() for label in range(len(self.writers))]
        codes = z[:, : -len(self.writers)]
        writers = (writer for writer in self.writers if isinstance(writer, LineDecoder))
        return [(writer, some, codes[some]) for writer, some in zip(writers, rows, strict=True) if len(some)]

    def states(self, z: Tensor, before: Tensor, sizes: Tensor) -> Tensor:
        made = z.new_zeros(*before.shape, self.project.in_features)
        for writer, some, codes in self.hands(z):
            made[some] = writer.states(codes, before[some], sizes[some.to(sizes.device)])
        return made

    def begin(self, z: Tensor) -> list[Any]:
        return [writer.begin(codes) for writer, _, codes in self.hands(z)]

    def step(self, z: Tensor, before: Tensor, memory: list[Any]) -> tuple[Tensor, list[Any]]:
        made, after = z.new_zeros(len(z), self.project.in_features), []
        for (writer, some, codes), known in zip(self.hands(z), memory, strict=True):
            made[some], kept = writer.step(codes, before[some], known)
            after.append(kept)
        return made, after


__all__ = [
    "DecoderPerClass",
    "GRULineDecoder",
    "GRULineEncoder",
    "LineDecoder",
    "LineEncoder",
    "TransformerLineDecoder",
    "TransformerLineEncoder",
]
