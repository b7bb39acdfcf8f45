r"""The distribution of lines given a code, factorised over tokens, and its combination with another one.

.. math:: p(x \mid z) = \prod_t p(x_t \mid x_{<t}, z)
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from pushforward.text.tokens import (
    BEGIN,
    END,
    PAD,
    UNKNOWN,
    drop_tokens,
    lengths,
    shift_right,
    without_padding,
)
from pushforward.torch_state import at_hand

EXCLUDED = [PAD, UNKNOWN, BEGIN]  # tokens that are never generated
IGNORED = -100  # in the place of a token whose cross-entropy is 0


class TokenPredictor(Protocol):
    """A network that predicts the next token, such as :class:`~pushforward.text.networks.TextDecoder`.

    Attributes:
        training: Whether it is in training mode.
        max_length: Maximum number of tokens of a line, its end included.
        word_dropout: Share of the input tokens that become unknown in training.
    """

    training: bool
    max_length: int
    word_dropout: float

    def logits(self, states: Tensor) -> Tensor:
        r"""Logits (\*, V) of the next token."""

    def states(self, z: Tensor, before: Tensor, sizes: Tensor) -> Tensor:
        """States (N, T, H) from codes and the tokens before each place (N, T)."""

    def begin(self, z: Tensor) -> Any:
        """The memory before the first token."""

    def step(self, z: Tensor, before: Tensor, memory: Any) -> tuple[Tensor, Any]:
        """States (N, H) after the tokens ``before`` (N,), and the memory after them."""


class TokenDistribution:
    """The distribution of lines given each of N codes: it has a likelihood and can be decoded greedily.

    Arguments:
        decoder: The network that predicts tokens.
        z: Codes (N, L).
    """

    def __init__(self, decoder: TokenPredictor, z: Tensor) -> None:
        self.decoder = decoder
        self.z = z

    def __len__(self) -> int:
        return len(self.z)

    def logits(self, before: Tensor, sizes: Tensor, places: Tensor) -> Tensor:
        """Logits (M, V) at M of the N T places, given the tokens ``before`` each place (N, T)."""
        return self.decoder.logits(self.decoder.states(self.z, before, sizes).flatten(0, 1)[places])

    def begin(self) -> Any:
        """The state before the first token."""
        return self.decoder.begin(self.z)

    def next(self, before: Tensor, memory: Any) -> tuple[Tensor, Any]:
        """Logits (N, V) after the tokens ``before`` (N,), and the state after them."""
        states, memory = self.decoder.step(self.z, before, memory)
        return self.decoder.logits(states), memory

    def guided(self, away: TokenDistribution, guidance_scale: float) -> TokenDistribution:
        """This distribution guided away from another one: see :class:`Guided`."""
        return Guided(self, away, guidance_scale)

    def log_probs(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities in nats of all tokens of lines (N, T) by teacher forcing, and the row of each.

        Both have shape (M,), where M counts the tokens without padding. On a GPU, which would be waited for,
        padding is counted, too, with log-probability 0.
        """
        net = self.decoder
        x = x.long()
        sizes = lengths(x)
        before = shift_right(x)
        if net.training and net.word_dropout:
            before = drop_tokens(before, net.word_dropout)
        # Only now: which tokens are dropped must not depend on other lines.
        x, before = without_padding(x, sizes), without_padding(before, sizes)
        longest = x.shape[1]
        kept = torch.arange(longest, device=x.device) < sizes.unsqueeze(1)
        wanted = x.masked_fill(~kept, IGNORED).flatten()
        places = (
            kept.flatten().nonzero().flatten() if at_hand(x) else torch.arange(x.numel(), device=x.device)
        )
        logits = self.logits(before, sizes, places)
        terms = -F.cross_entropy(logits, wanted[places], reduction="none", ignore_index=IGNORED)
        return terms, places // longest

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-probability in nats of each line (N, T), shape (N,)."""
        terms, rows = self.log_probs(x)
        return terms.new_zeros(len(x)).index_add(0, rows, terms)

    @torch.no_grad()
    def greedy(self) -> Tensor:
        """Lines (N, T) of the most probable token at each place, padded after their end.

        A line that has not ended within T tokens is cut there.
        """
        max_length, memory = self.decoder.max_length, self.begin()
        before = torch.full((len(self.z),), BEGIN, device=self.z.device)
        x = before.new_full((len(self.z), max_length), PAD)
        unfinished = torch.ones_like(before, dtype=torch.bool)
        for place in range(max_length):
            logits, memory = self.next(before, memory)
            logits[:, EXCLUDED] = -torch.inf
            before = logits.argmax(-1) if place < max_length - 1 else torch.full_like(before, END)
            x[:, place] = torch.where(unfinished, before, PAD)
            unfinished = unfinished & (before != END)
            if not unfinished.any():  # a GPU is waited for: no step of training decodes lines
                break
        return x


class Guided(TokenDistribution):
    r"""A distribution of lines guided away from another one, by a power of the ratio of the two.

    .. math:: p_s(x_t \mid x_{<t}) \propto p(x_t \mid x_{<t})^s\, \tilde p(x_t \mid x_{<t})^{1 - s}

    With s = 1 it is p itself, with s = 0 the other one. Above 1 only tokens are possible to which p gives at
    least a hundredth of the probability of the most probable one: the ratio of two small probabilities is
    unreliable.

    Arguments:
        distribution: The distribution :math:`p`.
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
        r"""Logits (\*, V) of this distribution from those of both."""
        own, other = own.log_softmax(-1), other.log_softmax(-1)
        mixed = torch.lerp(other, own, self.guidance_scale)
        if self.guidance_scale <= 1:
            return mixed
        excluded = torch.tensor(EXCLUDED, device=own.device)
        most_probable = own.index_fill(-1, excluded, -torch.inf).amax(-1, keepdim=True)
        plausible = own >= most_probable + math.log(self.PLAUSIBLE)
        return mixed.masked_fill(~plausible, -torch.inf)

    def logits(self, before: Tensor, sizes: Tensor, places: Tensor) -> Tensor:
        """Logits (M, V) of this distribution at M of the N T places."""
        return self.mixed(
            *(distribution.logits(before, sizes, places) for distribution in (self.distribution, self.away))
        )

    def begin(self) -> tuple[Any, Any]:
        """The states of both distributions before the first token."""
        return self.distribution.begin(), self.away.begin()

    def next(self, before: Tensor, memory: tuple[Any, Any]) -> tuple[Tensor, Any]:
        """Logits (N, V) after the tokens ``before`` (N,), and the states of both after them."""
        own, own_memory = self.distribution.next(before, memory[0])
        other, other_memory = self.away.next(before, memory[1])
        return self.mixed(own, other), (own_memory, other_memory)


__all__ = ["Guided", "TokenDistribution", "TokenPredictor"]
