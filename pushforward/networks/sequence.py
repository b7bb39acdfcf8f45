r"""Networks of lines: a line to numbers, and a code to the law of lines.

.. math:: p(x \mid z) = \prod_t p(x_t \mid x_{<t}, z)

A decoder of lines does not make a line but a law of lines (:class:`Lines`), which knows the probability of
given ones and can be read out: it stands wherever a decoder's output stands.

References:
    | Generating Sentences from a Continuous Space (Bowman et al., 2016), section 3
    | https://arxiv.org/abs/1511.06349
    | Adversarially Regularized Autoencoders (Zhao et al., 2018), section 4: the code is fed at every step
    | https://arxiv.org/abs/1706.04223
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from pushforward.networks.recurrent import GRU
from pushforward.tokens import BEGIN, END, PAD, UNKNOWN, blanked, lengths

WIDTH = 256  # of hidden states
EMBEDDING = 128
LAYERS = 2  # of transformers
UNSAID = [PAD, UNKNOWN, BEGIN]  # tokens that are never read out


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

    def forward(self, z: Tensor) -> Lines:
        return Lines(self, z)

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
        latent: Dimensions of a code.
        pieces: Size of the vocabulary.
        longest: Tokens of a line at most, its end included.
        width: Units of the hidden state.
        embedding: Numbers that stand for a token.
        blank: Share of what was said so far that is made unknown in training.

    Example:
        >>> law = GRULineDecoder(8, pieces=50, longest=6)(torch.zeros(2, 8))
        >>> law.log_prob(torch.tensor([[7, END, PAD], [7, 9, END]])).shape, law.greedy().shape
        (torch.Size([2]), torch.Size([2, 6]))
    """

    def __init__(
        self,
        latent: int,
        pieces: int,
        longest: int,
        width: int = WIDTH,
        embedding: int = EMBEDDING,
        blank: float = 0.0,
    ) -> None:
        super().__init__(pieces, longest, width, embedding, blank)
        self.first = nn.Linear(latent, width)
        self.writer = GRU(embedding + latent, width)

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
        latent: Dimensions of a code.
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
        latent: int,
        pieces: int,
        longest: int,
        width: int = EMBEDDING,
        layers: int = LAYERS,
        blank: float = 0.0,
    ) -> None:
        super().__init__(pieces, longest, width, width, blank)
        self.code = nn.Linear(latent, width)
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


class WriterOfEach(LineDecoder):
    """A writer for each label, who share the vectors that stand for tokens.

    Takes codes and, in the last K columns, labels as :class:`~pushforward.labels.Told` appends them; rows of
    unknown label are the first writer's.

    Arguments:
        writers: Decoders of codes (N, L), one for each of K labels.

    References:
        | Adversarially Regularized Autoencoders (Zhao et al., 2018), section 3, "unaligned transfer"
        | https://arxiv.org/abs/1706.04223

    Example:
        >>> both = WriterOfEach([GRULineDecoder(8, pieces=50, longest=6) for label in range(2)])
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


class Lines:
    """The law of lines that a code stands for, for every one of N codes.

    Arguments:
        decoder: Who writes.
        z: Codes (N, L).
    """

    def __init__(self, decoder: LineDecoder, z: Tensor) -> None:
        self.decoder = decoder
        self.z = z

    def __len__(self) -> int:
        return len(self.z)

    def told(self, before: Tensor, sizes: Tensor, kept: Tensor) -> Tensor:
        """Logits (M, V) of the M places ``kept`` (N, T), each told the tokens ``before`` it (N, T)."""
        return self.decoder.scores(self.decoder.states(self.z, before, sizes)[kept])

    def begin(self) -> Any:
        """What is remembered before the first token."""
        return self.decoder.begin(self.z)

    def next(self, before: Tensor, memory: Any) -> tuple[Tensor, Any]:
        """Logits (N, V) after the tokens ``before`` (N,), and what is remembered after them."""
        states, memory = self.decoder.step(self.z, before, memory)
        return self.decoder.scores(states), memory

    def leaning(self, away: Lines, strength: float) -> Lines:
        """This law, leaning away from another one: see :class:`Leaning`."""
        return Leaning(self, away, strength)

    def log_probs(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities in nats of all tokens of lines (N, T), and the row of each: both of shape (M,).

        Padding has neither. Each token is told those before it.
        """
        net = self.decoder
        x = x.long()
        sizes = lengths(x)
        x = x[:, : int(sizes.max())]
        before = F.pad(x[:, :-1], (1, 0), value=BEGIN)
        if net.training and net.blank:
            before = blanked(before, net.blank)
        kept = torch.arange(x.shape[1], device=x.device) < sizes.unsqueeze(1)
        said = self.told(before, sizes, kept)
        return -F.cross_entropy(said, x[kept], reduction="none"), kept.nonzero()[:, 0]

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-probability in nats of each line (N, T), shape (N,)."""
        terms, rows = self.log_probs(x)
        return terms.new_zeros(len(x)).index_add(0, rows, terms)

    @torch.no_grad()
    def greedy(self) -> Tensor:
        """At each place the most likely token: lines (N, T), padded after their end.

        A line that has not ended in time is cut there.
        """
        longest, memory = self.decoder.longest, self.begin()
        before = torch.full((len(self.z),), BEGIN, device=self.z.device)
        x = before.new_full((len(self.z), longest), PAD)
        open_ = torch.ones_like(before, dtype=torch.bool)
        for place in range(longest):
            scores, memory = self.next(before, memory)
            scores[:, UNSAID] = -torch.inf
            before = scores.argmax(-1) if place < longest - 1 else torch.full_like(before, END)
            x[:, place] = torch.where(open_, before, PAD)
            open_ = open_ & (before != END)
            if not open_.any():
                break
        return x


class Leaning(Lines):
    r"""A law of lines that leans away from another one.

    .. math:: p_s(x_t \mid x_{<t}) \propto p(x_t \mid x_{<t})^s\, \tilde p(x_t \mid x_{<t})^{1 - s}

    With s = 1 it is the law itself, with 0 the other one. Above 1 only tokens are said that the law itself
    gives at least a hundredth of what it gives the likeliest that can be said: a ratio of two small
    probabilities says nothing.

    Arguments:
        law: The law :math:`p`.
        away: The other one, :math:`\tilde p`, of as many lines.
        strength: The power s.

    References:
        | Contrastive Decoding: Open-ended Text Generation as Optimization (Li et al., 2022), section 3
        | https://arxiv.org/abs/2210.15097
        | Stay on topic with Classifier-Free Guidance (Sanchez et al., 2023), equation 7
        | https://arxiv.org/abs/2306.17806
    """

    PLAUSIBLE = 0.01

    def __init__(self, law: Lines, away: Lines, strength: float) -> None:
        super().__init__(law.decoder, law.z)
        self.law, self.away, self.strength = law, away, strength

    def mixed(self, own: Tensor, other: Tensor) -> Tensor:
        r"""Logits (\*, V) of this law from those of both."""
        own, other = own.log_softmax(-1), other.log_softmax(-1)
        mixed = torch.lerp(other, own, self.strength)
        if self.strength <= 1:
            return mixed
        unsaid = torch.tensor(UNSAID, device=own.device)
        likeliest = own.index_fill(-1, unsaid, -torch.inf).amax(-1, keepdim=True)
        likely = own >= likeliest + math.log(self.PLAUSIBLE)
        return mixed.masked_fill(~likely, -torch.inf)

    def told(self, before: Tensor, sizes: Tensor, kept: Tensor) -> Tensor:
        return self.mixed(*(law.told(before, sizes, kept) for law in (self.law, self.away)))

    def begin(self) -> tuple[Any, Any]:
        return self.law.begin(), self.away.begin()

    def next(self, before: Tensor, memory: tuple[Any, Any]) -> tuple[Tensor, Any]:
        own, mine = self.law.next(before, memory[0])
        other, theirs = self.away.next(before, memory[1])
        return self.mixed(own, other), (mine, theirs)


__all__ = [
    "GRULineDecoder",
    "GRULineEncoder",
    "Leaning",
    "LineDecoder",
    "LineEncoder",
    "Lines",
    "TransformerLineDecoder",
    "TransformerLineEncoder",
    "WriterOfEach",
]
