r"""Recurrent networks of lines: a line to numbers, and a code to the law of lines.

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

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from pushforward.tokens import BEGIN, END, PAD, UNKNOWN, blanked, lengths

WIDTH = 256  # of hidden states
EMBEDDING = 128


def packed(rows: Tensor, sizes: Tensor) -> PackedSequence:
    r"""Rows (N, T, \*) without what comes after their sizes (N,)."""
    return pack_padded_sequence(rows, sizes.cpu(), batch_first=True, enforce_sorted=False)


class LineEncoder(nn.Module):
    """Numbers (N, outputs) from tokens (N, T), read in both directions; padding is never read.

    Arguments:
        pieces: Size of the vocabulary.
        outputs: Numbers that come out.
        width: Units of each direction's hidden state.
        embedding: Numbers that stand for a token.
        blank: Share of tokens that are made unknown in training.

    Example:
        >>> net = LineEncoder(50, 8).eval()
        >>> line = torch.tensor([[7, 9, END]])
        >>> bool(torch.allclose(net(line), net(F.pad(line, (0, 5), value=PAD)), atol=1e-6))
        True
    """

    def __init__(
        self, pieces: int, outputs: int, width: int = WIDTH, embedding: int = EMBEDDING, blank: float = 0.0
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(pieces, embedding)
        self.reader = nn.GRU(embedding, width, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * width, outputs)
        self.blank = blank

    def forward(self, x: Tensor) -> Tensor:
        x = x.long()
        sizes = lengths(x)
        x = x[:, : int(sizes.max())]
        if self.training and self.blank:
            x = blanked(x, self.blank)
        _, last = self.reader(packed(self.embedding(x), sizes))
        return self.head(torch.cat([last[0], last[1]], dim=1))


class LineDecoder(nn.Module):
    """The law of lines of T tokens at most for every code (N, L): the code is fed at every step.

    What a state says of the next token is compared with the very vectors that stand for tokens.

    Arguments:
        latent: Dimensions of a code.
        pieces: Size of the vocabulary.
        longest: Tokens of a line at most, its end included.
        width: Units of the hidden state.
        embedding: Numbers that stand for a token.
        blank: Share of what was said so far that is made unknown in training, so that the code is needed.

    Example:
        >>> law = LineDecoder(8, pieces=50, longest=6)(torch.zeros(2, 8))
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
        super().__init__()
        self.longest = longest
        self.blank = blank
        self.embedding = nn.Embedding(pieces, embedding)
        nn.init.normal_(self.embedding.weight, std=embedding**-0.5)
        self.first = nn.Linear(latent, width)
        self.writer = nn.GRU(embedding + latent, width, batch_first=True)
        self.project = nn.Linear(width, embedding)
        self.bias = nn.Parameter(torch.zeros(pieces))

    def forward(self, z: Tensor) -> Lines:
        return Lines(self, z)

    def scores(self, states: Tensor) -> Tensor:
        r"""Logits (\*, V) of the next token."""
        return F.linear(self.project(states), self.embedding.weight, self.bias)

    def step(self, z: Tensor, before: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, V) after the tokens ``before`` (N,), and the state (1, N, H) after them."""
        fed = torch.cat([self.embedding(before), z], dim=-1).unsqueeze(1)
        said, state = self.writer(fed, state)
        return self.scores(said[:, 0]), state

    def begin(self, z: Tensor) -> Tensor:
        """The state (1, N, H) before the first token."""
        return self.first(z).tanh().unsqueeze(0)


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
        fed = torch.cat([net.embedding(before), self.z.unsqueeze(1).expand(-1, x.shape[1], -1)], dim=-1)
        states, _ = net.writer(packed(fed, sizes), net.begin(self.z))
        rows = packed(torch.arange(len(x), device=x.device).unsqueeze(1).expand_as(x), sizes).data
        said = packed(x, sizes).data
        return -F.cross_entropy(net.scores(states.data), said, reduction="none"), rows

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-probability in nats of each line (N, T), shape (N,)."""
        terms, rows = self.log_probs(x)
        return terms.new_zeros(len(x)).index_add(0, rows, terms)

    @torch.no_grad()
    def greedy(self) -> Tensor:
        """At each place the most likely token: lines (N, T), padded after their end.

        A line that has not ended in time is cut there.
        """
        net, state = self.decoder, self.decoder.begin(self.z)
        before = torch.full((len(self.z),), BEGIN, device=self.z.device)
        x = before.new_full((len(self.z), net.longest), PAD)
        open_ = torch.ones_like(before, dtype=torch.bool)
        for place in range(net.longest):
            scores, state = net.step(self.z, before, state)
            scores[:, [PAD, UNKNOWN, BEGIN]] = -torch.inf
            before = scores.argmax(-1) if place < net.longest - 1 else torch.full_like(before, END)
            x[:, place] = torch.where(open_, before, PAD)
            open_ = open_ & (before != END)
            if not open_.any():
                break
        return x


__all__ = ["LineDecoder", "LineEncoder", "Lines"]
