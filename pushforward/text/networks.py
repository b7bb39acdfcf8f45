r"""Encoders and decoders of text: from a line to numbers, and from a code to the distribution of lines.

.. math:: p(x \mid z) = \prod_t p(x_t \mid x_{<t}, z)

A decoder of text does not return lines but their distribution
(:class:`~pushforward.text.distribution.TokenDistribution`), which has a likelihood and can be decoded
greedily. Models treat it like the output of any other decoder.

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

from pushforward.networks.architectures import NETWORKS, EncoderDecoder
from pushforward.networks.precision import InFloat32
from pushforward.text.distribution import TokenDistribution
from pushforward.text.recurrent import GRU
from pushforward.text.tokens import drop_tokens, lengths, without_padding
from pushforward.torch_state import at_hand

WIDTH = 256  # of hidden states
EMBEDDING = 128
LAYERS = 2  # of transformers


class TextEncoder(InFloat32, ABC):
    """Numbers (N, outputs) from tokens (N, T); padding is never read.

    Arguments:
        vocab_size: Number of tokens in the vocabulary.
        embedding_dim: Dimensions of a token's embedding.
        word_dropout: Share of tokens that become unknown in training.
    """

    def __init__(self, vocab_size: int, embedding_dim: int, word_dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_dim)
        self.word_dropout = word_dropout

    def forward(self, x: Tensor) -> Tensor:
        """Numbers (N, outputs) from tokens (N, T)."""
        x = x.long()
        sizes = lengths(x)
        if self.training and self.word_dropout:
            x = drop_tokens(x, self.word_dropout)
        x = without_padding(x, sizes)  # only now: which tokens are dropped must not depend on other lines
        return self.read(self.embedding(x), sizes)

    @abstractmethod
    def read(self, rows: Tensor, sizes: Tensor) -> Tensor:
        """Numbers from embeddings (N, T, embedding_dim), the first ``sizes`` (N,) without padding."""


class GRUEncoder(TextEncoder):
    """A bidirectional GRU, whose last states are mapped to the outputs.

    Arguments:
        vocab_size: Number of tokens in the vocabulary.
        outputs: Number of outputs.
        width: Units of each direction's hidden state.
        embedding_dim: Dimensions of a token's embedding.
        word_dropout: Share of tokens that become unknown in training.

    Example:
        >>> from pushforward.text.tokens import END, PAD
        >>> net = GRUEncoder(50, 8).eval()
        >>> line = torch.tensor([[7, 9, END]])
        >>> bool(torch.allclose(net(line), net(F.pad(line, (0, 5), value=PAD)), atol=1e-6))
        True
    """

    def __init__(
        self,
        vocab_size: int,
        outputs: int,
        width: int = WIDTH,
        embedding_dim: int = EMBEDDING,
        word_dropout: float = 0.0,
    ) -> None:
        super().__init__(vocab_size, embedding_dim, word_dropout)
        self.gru = GRU(embedding_dim, width, bidirectional=True)
        self.head = nn.Linear(2 * width, outputs)

    def read(self, rows: Tensor, sizes: Tensor) -> Tensor:
        """Numbers from the last state of each direction."""
        return self.head(self.gru.ends(rows, sizes))


class TransformerEncoder(TextEncoder):
    """A small transformer, the mean of whose states is mapped to the outputs.

    Arguments:
        vocab_size: Number of tokens in the vocabulary.
        outputs: Number of outputs.
        max_length: Maximum number of tokens of a line, its end included.
        width: Dimensions of a state.
        layers: Number of blocks, each of attention and a perceptron.
        word_dropout: Share of tokens that become unknown in training.
    """

    def __init__(
        self,
        vocab_size: int,
        outputs: int,
        max_length: int,
        width: int = EMBEDDING,
        layers: int = LAYERS,
        word_dropout: float = 0.0,
    ) -> None:
        super().__init__(vocab_size, width, word_dropout)
        self.positions = nn.Parameter(torch.randn(max_length, width) * width**-0.5)
        self.blocks = _blocks(width, layers)
        self.head = nn.Linear(width, outputs)

    def read(self, rows: Tensor, sizes: Tensor) -> Tensor:
        """Numbers from the mean of the states."""
        kept = torch.arange(rows.shape[1], device=rows.device) < sizes.unsqueeze(1).to(rows.device)
        states = self.blocks(rows + self.positions[: rows.shape[1]], src_key_padding_mask=~kept)
        kept = kept.unsqueeze(-1)
        return self.head(states.masked_fill(~kept, 0).sum(1) / kept.sum(1))


def _blocks(width: int, layers: int) -> nn.TransformerEncoder:
    block = nn.TransformerEncoderLayer(
        width, nhead=4, dim_feedforward=4 * width, dropout=0.1, batch_first=True, norm_first=True
    )
    return nn.TransformerEncoder(block, layers, norm=nn.LayerNorm(width), enable_nested_tensor=False)


class TextDecoder(InFloat32, ABC):
    """The distribution of lines of at most T tokens, given each code (N, L).

    Input embeddings and output weights are shared.

    Arguments:
        vocab_size: Number of tokens in the vocabulary.
        max_length: Maximum number of tokens of a line, its end included.
        width: Dimensions of a state.
        embedding_dim: Dimensions of a token's embedding.
        word_dropout: Share of the input tokens that become unknown in training, so that the code is needed.
    """

    def __init__(
        self, vocab_size: int, max_length: int, width: int, embedding_dim: int, word_dropout: float
    ) -> None:
        super().__init__()
        self.max_length = max_length
        self.word_dropout = word_dropout
        self.embedding = nn.Embedding(vocab_size, embedding_dim)
        nn.init.normal_(self.embedding.weight, std=embedding_dim**-0.5)
        self.project = nn.Linear(width, embedding_dim)
        self.bias = nn.Parameter(torch.zeros(vocab_size))

    def forward(self, z: Tensor) -> TokenDistribution:
        """The distribution of lines given codes (N, L)."""
        return TokenDistribution(self, z)

    def logits(self, states: Tensor) -> Tensor:
        r"""Logits (\*, V) of the next token."""
        return F.linear(self.project(states), self.embedding.weight, self.bias)

    @abstractmethod
    def states(self, z: Tensor, before: Tensor, sizes: Tensor) -> Tensor:
        """States (N, T, H) from codes and the tokens before each place (N, T); undefined after ``sizes``."""

    @abstractmethod
    def begin(self, z: Tensor) -> Any:
        """The memory before the first token."""

    @abstractmethod
    def step(self, z: Tensor, before: Tensor, memory: Any) -> tuple[Tensor, Any]:
        """States (N, H) after the tokens ``before`` (N,), and the memory after them."""


class GRUDecoder(TextDecoder):
    """A GRU, whose input at every step is the token before and the code.

    Arguments:
        latent_dim: Dimensions of a code.
        vocab_size: Number of tokens in the vocabulary.
        max_length: Maximum number of tokens of a line, its end included.
        width: Units of the hidden state.
        embedding_dim: Dimensions of a token's embedding.
        word_dropout: Share of the input tokens that become unknown in training.

    Example:
        >>> from pushforward.text.tokens import END, PAD
        >>> distribution = GRUDecoder(8, vocab_size=50, max_length=6)(torch.zeros(2, 8))
        >>> x = torch.tensor([[7, END, PAD], [7, 9, END]])
        >>> distribution.log_prob(x).shape, distribution.greedy().shape
        (torch.Size([2]), torch.Size([2, 6]))
    """

    def __init__(
        self,
        latent_dim: int,
        vocab_size: int,
        max_length: int,
        width: int = WIDTH,
        embedding_dim: int = EMBEDDING,
        word_dropout: float = 0.0,
    ) -> None:
        super().__init__(vocab_size, max_length, width, embedding_dim, word_dropout)
        self.first_state = nn.Linear(latent_dim, width)
        self.gru = GRU(embedding_dim + latent_dim, width)

    def states(self, z: Tensor, before: Tensor, sizes: Tensor) -> Tensor:
        """States (N, T, H) after each input token (N, T)."""
        inputs = torch.cat([self.embedding(before), z.unsqueeze(1).expand(-1, before.shape[1], -1)], dim=-1)
        return self.gru.states(inputs, sizes, self.begin(z))

    def begin(self, z: Tensor) -> Tensor:
        """The first hidden state (1, N, H)."""
        return self.first_state(z).tanh().unsqueeze(0)

    def step(self, z: Tensor, before: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """States (N, H) after one more token, twice: as the output and as the memory."""
        inputs = torch.cat([self.embedding(before), z], dim=-1).unsqueeze(1)
        states, memory = self.gru(inputs, memory)
        return states[:, 0], memory


class TransformerDecoder(TextDecoder):
    """A small causal transformer; an embedding of the code is added to that of every token.

    Arguments:
        latent_dim: Dimensions of a code.
        vocab_size: Number of tokens in the vocabulary.
        max_length: Maximum number of tokens of a line, its end included.
        width: Dimensions of a state.
        layers: Number of blocks, each of attention and a perceptron.
        word_dropout: Share of the input tokens that become unknown in training.

    References:
        | Attention Is All You Need (Vaswani et al., 2017)
        | https://arxiv.org/abs/1706.03762
    """

    def __init__(
        self,
        latent_dim: int,
        vocab_size: int,
        max_length: int,
        width: int = EMBEDDING,
        layers: int = LAYERS,
        word_dropout: float = 0.0,
    ) -> None:
        super().__init__(vocab_size, max_length, width, width, word_dropout)
        self.code_embedding = nn.Linear(latent_dim, width)
        self.positions = nn.Parameter(torch.randn(max_length, width) * width**-0.5)
        self.blocks = _blocks(width, layers)

    def states(self, z: Tensor, before: Tensor, sizes: Tensor) -> Tensor:
        """States (N, T, H) after each input token (N, T)."""
        embedded = self.embedding(before) + self.positions[: before.shape[1]]
        rows = embedded + self.code_embedding(z).unsqueeze(1)
        causal = nn.Transformer.generate_square_subsequent_mask(
            before.shape[1], device=z.device, dtype=z.dtype
        )
        states: Tensor = self.blocks(rows, mask=causal, is_causal=True)
        return states

    def begin(self, z: Tensor) -> Tensor:
        """No token yet, (N, 0)."""
        return torch.empty(len(z), 0, dtype=torch.int64, device=z.device)

    def step(self, z: Tensor, before: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """States (N, H) after one more token, and all tokens so far (N, T)."""
        memory = torch.cat([memory, before.unsqueeze(1)], dim=1)
        sizes = torch.full((len(z),), memory.shape[1])
        return self.states(z, memory, sizes)[:, -1], memory


class DecoderPerClass(TextDecoder):
    """One decoder for each class; all of them share the embeddings of tokens.

    The input is a code followed by the K columns of a one-hot label, as
    :class:`~pushforward.networks.conditional.Conditional` appends them; rows of unknown label use the first
    decoder.

    Arguments:
        decoders: Decoders of codes (N, L), one for each of K classes.

    References:
        | Adversarially Regularized Autoencoders (Zhao et al., 2018), section 3, "unaligned transfer"
        | https://arxiv.org/abs/1706.04223

    Example:
        >>> both = DecoderPerClass([GRUDecoder(8, vocab_size=50, max_length=6) for label in range(2)])
        >>> both(torch.zeros(3, 8 + 2)).greedy().shape
        torch.Size([3, 6])
    """

    def __init__(self, decoders: Sequence[TextDecoder]) -> None:
        first = decoders[0]
        vocab_size, embedding_dim = first.embedding.weight.shape
        super().__init__(
            vocab_size, first.max_length, first.project.in_features, embedding_dim, first.word_dropout
        )
        self.decoders = nn.ModuleList(decoders)
        for decoder in decoders:
            decoder.embedding, decoder.project, decoder.bias = self.embedding, self.project, self.bias

    def each(self) -> list[TextDecoder]:
        """The decoders, in the order of the classes."""
        return [decoder for decoder in self.decoders if isinstance(decoder, TextDecoder)]

    def split(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Codes (N, L) and labels (N,)."""
        return z[:, : -len(self.decoders)], z[:, -len(self.decoders) :].argmax(1)

    def by_class(self, z: Tensor) -> list[tuple[TextDecoder, Tensor, Tensor]]:
        """Each decoder that has rows, with the indices (M,) of its rows and their codes (M, L)."""
        codes, labels = self.split(z)
        rows = [(labels == label).nonzero().flatten() for label in range(len(self.decoders))]
        return [
            (decoder, own, codes[own]) for decoder, own in zip(self.each(), rows, strict=True) if len(own)
        ]

    def states(self, z: Tensor, before: Tensor, sizes: Tensor) -> Tensor:
        """States (N, T, H) after each input token (N, T), of each row's own decoder.

        On a GPU, which would be waited for to know which rows are whose, each decoder computes all rows.
        """
        if not at_hand(z):
            codes, labels = self.split(z)
            every = torch.stack([decoder.states(codes, before, sizes) for decoder in self.each()])
            return every[labels, torch.arange(len(z), device=z.device)]
        states = z.new_zeros(*before.shape, self.project.in_features)
        for decoder, own, codes in self.by_class(z):
            states[own] = decoder.states(codes, before[own], sizes[own.to(sizes.device)])
        return states

    def begin(self, z: Tensor) -> list[Any]:
        """The first memory of each decoder."""
        return [decoder.begin(codes) for decoder, _, codes in self.by_class(z)]

    def step(self, z: Tensor, before: Tensor, memory: list[Any]) -> tuple[Tensor, list[Any]]:
        """States (N, H) after one more token, and the memory of each decoder."""
        states, after = z.new_zeros(len(z), self.project.in_features), []
        for (decoder, own, codes), known in zip(self.by_class(z), memory, strict=True):
            states[own], kept = decoder.step(codes, before[own], known)
            after.append(kept)
        return states, after


NETWORKS["gru"] = EncoderDecoder(
    lambda s, n, dropout: GRUEncoder(s[1], n, word_dropout=dropout),
    lambda n, s, dropout: GRUDecoder(n, s[1], s[0], word_dropout=dropout),
    ("text",),
)
NETWORKS["transformer"] = EncoderDecoder(
    lambda s, n, dropout: TransformerEncoder(s[1], n, s[0], word_dropout=dropout),
    lambda n, s, dropout: TransformerDecoder(n, s[1], s[0], word_dropout=dropout),
    ("text",),
)

__all__ = [
    "DecoderPerClass",
    "GRUDecoder",
    "GRUEncoder",
    "TextDecoder",
    "TextEncoder",
    "TransformerDecoder",
    "TransformerEncoder",
]
