"""Who meets whom, and the formula. A model answers two questions, and says who moves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.costs import KL, Cost
from pushforward.discrepancies import Discrepancy
from pushforward.distributions import Distribution, Encoder, Prior
from pushforward.errors import ConfigError
from pushforward.networks.conditional import Conditional
from pushforward.rng import Noise
from pushforward.square import Square
from pushforward.utils import eval_mode

Terms = dict[str, Tensor]


@dataclass(frozen=True)
class Player:
    """Someone who takes turns at moving some of the parameters.

    Attributes:
        name: Who it is: ``"model"``, ``"critic"``, ...
        loss: Named terms whose sum it descends.
        parameters: What it may move, and nothing else. Two players may move the same.
        n_critic: Updates at each step.
        labelled: Whether it plays on rows whose label is known, in batches of their own.
        project: Puts its parameters back to where they must stay, after each update.
    """

    name: str
    loss: Callable[[Square], Terms]
    parameters: tuple[nn.Parameter, ...]
    n_critic: int = 1
    labelled: bool = False
    project: Callable[[], None] | None = None


class Model(nn.Module, ABC):
    """What is made, what is given, and the price of their difference.

    Attributes:
        prior: The law of codes.
        decoder: Maps codes (N, L) to data (N, \\*).
        encoder: Maps data to laws of codes; models without one leave it out.
        cost: What is compared sample by sample, and what a decoder's output stands for.
        discrepancy: What compares made with given, if anything does.
    """

    prior: Prior
    decoder: nn.Module
    encoder: Encoder
    cost: Cost
    discrepancy: Discrepancy | KL | None

    @property
    def has_encoder(self) -> bool:
        """Whether data have codes: models of samples alone have no encoder."""
        return hasattr(self, "encoder")

    @property
    def discrepancy_weight(self) -> float | None:
        """The weight of the match at this moment; None of a model whose match has none."""
        return None

    @property
    def strength_option(self) -> str | None:
        """The setting that pulls codes harder towards the prior; None of models whose codes go anywhere."""
        return None if self.discrepancy_weight is None else "weight"

    @property
    def is_elbo(self) -> bool:
        """Whether the formula's terms add up to the negative evidence lower bound, in nats."""
        return False

    @property
    def estimates_elbo(self) -> bool:
        """Whether the terms add up to what a critic takes for the negative evidence lower bound, in nats."""
        return False

    @property
    def n_conditions(self) -> int:
        """How many classes its networks are told of; 0 of models that see no labels."""
        return self.decoder.classes if isinstance(self.decoder, Conditional) else 0

    @property
    def classes(self) -> int:
        """How many classes samples can be asked for; 0 if none."""
        return self.n_conditions or self.prior.classes

    @property
    def classes_are_labels(self) -> bool:
        """Whether its classes are those of the data's labels, and not clusters that no label was seen for."""
        return bool(self.n_conditions) or any(player.labelled for player in self.players())

    def generate(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The decoder's output for codes (N, L), and for their labels (N,) if it is told any."""
        return self.decoder(z, y) if self.n_conditions else self.decoder(z)

    def distribution(self, n: int, y: Tensor | None = None) -> Distribution:
        """The prior's law of n codes, of the classes ``y`` (n,) where it is codes that hold the class."""
        return self.prior(n, None if self.n_conditions else y)

    def encode(self, x: Tensor, noise: Noise | None = None, y: Tensor | None = None) -> Tensor:
        """Codes (N, L) of data (N, \\*): the centres of their laws, or draws if ``noise`` is given."""
        q = self.encoder(x, y)
        return q.center if noise is None else q.rsample(noise)

    def class_probabilities(self, x: Tensor) -> Tensor | None:
        """The probabilities (N, K) of classes that rows (N, \\*) show; None of models without classes."""
        return (
            self.prior.class_probabilities(self.encode(x))
            if self.has_encoder and not self.n_conditions
            else None
        )

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Data (N, \\*) that codes (N, L) stand for."""
        return self.cost.point(self.generate(z, y))

    def transfer(self, x: Tensor, y: Tensor | None, to: Tensor, guidance_scale: float = 1.0) -> Tensor:
        """Rows (N, \\*) of labels ``y`` (N,) with what their codes say, told under the labels ``to`` (N,).

        See :meth:`retell`.
        """
        return self.retell(self.encode(x, y=y), y, to, guidance_scale)

    def retell(self, codes: Tensor, y: Tensor | None, to: Tensor, guidance_scale: float = 1.0) -> Tensor:
        """Data (N, \\*) that codes (N, L) of labels ``y`` (N,) stand for under the labels ``to`` (N,).

        With a strength above 1 they lean away from what the codes stand for under ``y``.

        Raises:
            ConfigError: If labels are not given with a strength other than 1, or the cost knows no such law.
        """
        made = self.generate(codes, to)
        if guidance_scale != 1:
            if y is None:
                raise ConfigError("rows can lean away from their own labels alone: give them, or strength 1")
            made = self.cost.guided(made, self.generate(codes, y), guidance_scale)
        return self.cost.point(made)

    def sample(self, n: int, noise: Noise, y: Tensor | None = None, prior: Prior | None = None) -> Tensor:
        """n decoded draws of the prior, of the classes ``y`` (n,) where those can be asked for.

        Another law may stand for the prior; it knows nothing of classes.
        """
        if self.n_conditions and y is None:
            y = (noise("label").uniform(n) * self.n_conditions).long()
        distribution = self.distribution(n, y) if prior is None else prior(n)
        return self.decode(distribution.rsample(noise).to(self.prior.device_buffer), y)

    def view(self, codes: Tensor) -> Tensor:
        """Where codes (N, L) lie in the space to be looked at, (N, M)."""
        return codes

    @abstractmethod
    def pair(self, s: Square) -> tuple[Any, Any]:
        """Made and given: the two sides that shall meet."""

    @abstractmethod
    def formula(self, s: Square) -> Terms:
        """The named terms whose sum the model descends, each of shape ()."""

    def players(self) -> Iterator[Player]:
        """Who moves, in order. A match with parameters is a game; they are its critic's."""
        game = self.discrepancy if isinstance(self.discrepancy, Discrepancy) else None
        others = {id(parameter) for parameter in game.parameters()} if game else set()
        yield Player("model", self.formula, tuple(p for p in self.parameters() if id(p) not in others))
        if game:
            yield from self.critics(game)

    def critics(self, game: Discrepancy) -> Iterator[Player]:
        """The player who climbs a match, if it is a game."""
        parameters = tuple(game.parameters())
        if parameters:
            yield Player(
                "critic", lambda s: self.critic_loss(game, s), parameters, game.n_critic, project=game.project
            )

    def discrepancy_terms(self, game: Discrepancy, s: Square) -> Terms:
        """What the model descends of a match: one term for each comparison it is made of."""
        parts = game.parts(*self.pair(s))
        return {f"discrepancy{name}": part(q, p) for name, (part, q, p) in parts.items()}

    def critic_loss(self, game: Discrepancy, s: Square) -> Terms:
        """What the critics of a match descend: one term for each critic, and one for each of its prices."""
        return critic_terms(game, *self.pair(s), s.noise)

    @torch.no_grad()
    def diagnostics(self, s: Square) -> Terms:
        """What is worth watching beside the terms, by name, each of shape ()."""
        if not isinstance(self.discrepancy, Discrepancy):
            return {}
        parts = self.discrepancy.parts(*self.pair(s))
        return {
            f"{sign}{name}": value
            for name, (part, q, p) in parts.items()
            for sign, value in part.diagnostics(q, p).items()
        }

    def update_state(self, s: Square, step: int, lr_factor: float) -> None:
        """Moves what is neither a parameter nor derived, once at the end of every step.

        ``pace`` is the schedule's factor of the learning rate at this step.
        """
        if isinstance(self.discrepancy, Discrepancy) and any(
            isinstance(part, Discrepancy) and part.stateful for part in self.discrepancy.modules()
        ):
            with torch.no_grad(), eval_mode(self.discrepancy):  # what is held is what signs and judges report
                for part, q, p in self.discrepancy.parts(*self.pair(s)).values():
                    part.update_state(q, p)


def critic_terms(game: Discrepancy, q: Tensor, p: Tensor, noise: Noise, suffix: str = "") -> Terms:
    """What the critics of a game between two samples descend, their names with so much behind them."""
    terms = {}
    for part_name, (part, made, given) in game.games(q, p).items():
        name = part_name + suffix
        terms[f"critic{name}"] = -part.critic_objective(made, given)
        penalties = part.penalties(made, given, noise(f"critic{name}"))
        terms |= {f"{price}{name}": value for price, value in penalties.items()}
    return terms
