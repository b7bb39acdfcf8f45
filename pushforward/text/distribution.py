r"""The law of lines that a code stands for: it knows the probability of given lines and can be read out.

.. math:: p(x \mid z) = \prod_t p(x_t \mid x_{<t}, z)
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from pushforward.text.tokens import BEGIN, END, PAD, UNKNOWN, blanked, lengths, told_before

if TYPE_CHECKING:
    from pushforward.text.networks import LineDecoder

UNSAID = [PAD, UNKNOWN, BEGIN]  # tokens that are never read out


class TokenDistribution:
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

    def logits(self, before: Tensor, sizes: Tensor, kept: Tensor) -> Tensor:
        """Logits (M, V) of the M places ``kept`` (N, T), each told the tokens ``before`` it (N, T)."""
        return self.decoder.scores(self.decoder.states(self.z, before, sizes)[kept])

    def begin(self) -> Any:
        """What is remembered before the first token."""
        return self.decoder.begin(self.z)

    def next(self, before: Tensor, memory: Any) -> tuple[Tensor, Any]:
        """Logits (N, V) after the tokens ``before`` (N,), and what is remembered after them."""
        states, memory = self.decoder.step(self.z, before, memory)
        return self.decoder.scores(states), memory

    def guided(self, away: TokenDistribution, guidance_scale: float) -> TokenDistribution:
        """This law, leaning away from another one: see :class:`Guided`."""
        return Guided(self, away, guidance_scale)

    def log_probs(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities in nats of all tokens of lines (N, T), and the row of each: both of shape (M,).

        Padding has neither. Each token is told those before it.
        """
        net = self.decoder
        x = x.long()
        sizes = lengths(x)
        x = x[:, : int(sizes.max())]
        before = told_before(x)
        if net.training and net.blank:
            before = blanked(before, net.blank)
        kept = torch.arange(x.shape[1], device=x.device) < sizes.unsqueeze(1)
        said = self.logits(before, sizes, kept)
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


class Guided(TokenDistribution):
    r"""A law of lines that leans away from another one.

    .. math:: p_s(x_t \mid x_{<t}) \propto p(x_t \mid x_{<t})^s\, \tilde p(x_t \mid x_{<t})^{1 - s}

    With s = 1 it is the law itself, with 0 the other one. Above 1 only tokens are said that the law itself
    gives at least a hundredth of what it gives the likeliest that can be said: a ratio of two small
    probabilities says nothing.

    Arguments:
        distribution: The law :math:`p`.
        away: The other one, :math:`\tilde p`, of as many lines.
        guidance_scale: The power s.

    References:
        | Contrastive Decoding: Open-ended Text Generation as Optimization (Li et al., 2022), section 3
        | https://arxiv.org/abs/2210.15097
        | Stay on topic with Classifier-Free Guidance (Sanchez et al., 2023), equation 7
        | https://arxiv.org/abs/2306.17806
    """

    PLAUSIBLE = 0.01

    def __init__(
        self, distribution: TokenDistribution, away: TokenDistribution, guidance_scale: float
    ) -> None:
        super().__init__(distribution.decoder, distribution.z)
        self.distribution, self.away, self.guidance_scale = distribution, away, guidance_scale

    def mixed(self, own: Tensor, other: Tensor) -> Tensor:
        r"""Logits (\*, V) of this law from those of both."""
        own, other = own.log_softmax(-1), other.log_softmax(-1)
        mixed = torch.lerp(other, own, self.guidance_scale)
        if self.guidance_scale <= 1:
            return mixed
        unsaid = torch.tensor(UNSAID, device=own.device)
        likeliest = own.index_fill(-1, unsaid, -torch.inf).amax(-1, keepdim=True)
        likely = own >= likeliest + math.log(self.PLAUSIBLE)
        return mixed.masked_fill(~likely, -torch.inf)

    def logits(self, before: Tensor, sizes: Tensor, kept: Tensor) -> Tensor:
        return self.mixed(
            *(distribution.logits(before, sizes, kept) for distribution in (self.distribution, self.away))
        )

    def begin(self) -> tuple[Any, Any]:
        return self.distribution.begin(), self.away.begin()

    def next(self, before: Tensor, memory: tuple[Any, Any]) -> tuple[Tensor, Any]:
        own, mine = self.distribution.next(before, memory[0])
        other, theirs = self.away.next(before, memory[1])
        return self.mixed(own, other), (mine, theirs)


__all__ = ["Guided", "TokenDistribution"]
