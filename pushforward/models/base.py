"""Who meets whom, and the formula. A model answers two questions, and says who moves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from pushforward.costs import KL, Cost
from pushforward.discrepancies import Discrepancy
from pushforward.distributions import Encoder, Prior
from pushforward.randomness import Noise
from pushforward.square import Square

Terms = dict[str, Tensor]


@dataclass(frozen=True)
class Player:
    """Someone who takes turns at moving some of the parameters.

    Attributes:
        name: Who it is: ``"model"``, ``"critic"``, ...
        loss: Named terms whose sum it descends.
        parameters: What it may move, and nobody else's.
        turns: Updates at each step.
    """

    name: str
    loss: Callable[[Square], Terms]
    parameters: tuple[nn.Parameter, ...]
    turns: int = 1


class Model(nn.Module, ABC):
    """What is made, what is given, and the price of their difference.

    Attributes:
        prior: The law of codes.
        decoder: Maps codes (N, L) to data (N, \\*).
        encoder: Maps data to laws of codes; models without one leave it out.
        cost: What is compared sample by sample, and what a decoder's output stands for.
        match: What compares made with given, if anything does.
    """

    prior: Prior
    decoder: nn.Module
    encoder: Encoder
    cost: Cost
    match: Discrepancy | KL | None

    @property
    def encodes(self) -> bool:
        """Whether data have codes: models of samples alone have no encoder."""
        return hasattr(self, "encoder")

    @property
    def factor(self) -> float | None:
        """The weight of the match at this moment; None of a model whose match has none."""
        return None

    @property
    def is_bound(self) -> bool:
        """Whether the formula's terms add up to the negative evidence lower bound, in nats."""
        return False

    def encode(self, x: Tensor, noise: Noise | None = None) -> Tensor:
        """Codes (N, L) of data (N, \\*): the centres of their laws, or draws if ``noise`` is given."""
        q = self.encoder(x)
        return q.center if noise is None else q.rsample(noise)

    def decode(self, z: Tensor) -> Tensor:
        """Data (N, \\*) that codes (N, L) stand for."""
        made: Tensor = self.decoder(z)
        return self.cost.point(made)

    def sample(self, n: int, noise: Noise, *, prior: Prior | None = None) -> Tensor:
        """n decoded draws of the prior, or of the law that stands for it."""
        return self.decode((prior or self.prior)(n).rsample(noise).to(self.prior.anchor))

    @abstractmethod
    def pair(self, s: Square) -> tuple[Any, Any]:
        """Made and given: the two sides that shall meet."""

    @abstractmethod
    def formula(self, s: Square) -> Terms:
        """The named terms whose sum the model descends, each of shape ()."""

    def players(self) -> Iterator[Player]:
        """Who moves, in order. A match with parameters is a game; they are its critic's."""
        game = self.match if isinstance(self.match, Discrepancy) else None
        critic = tuple(game.parameters()) if game else ()
        others = {id(parameter) for parameter in critic}
        yield Player("model", self.formula, tuple(p for p in self.parameters() if id(p) not in others))
        if game and critic:
            yield Player("critic", lambda s: {"critic": -game.advantage(*self.pair(s))}, critic, game.turns)

    def settle(self, s: Square, step: int, pace: float) -> None:
        """Moves what is neither a parameter nor derived, once at the end of every step.

        ``pace`` is the schedule's factor of the learning rate at this step.
        """
