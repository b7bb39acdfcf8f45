"""What a model is: networks, a formula, and the list of its comparisons, from which its players follow."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.costs import KL, Cost
from pushforward.discrepancies import Discrepancy
from pushforward.distributed import gathered
from pushforward.distributions import Distribution, Encoder, Prior
from pushforward.models.weight import Weight
from pushforward.networks.conditional import Conditional
from pushforward.networks.precision import InFloat32, is_trained
from pushforward.rng import Noise
from pushforward.square import Square
from pushforward.torch_state import to_like
from pushforward.utils import eval_mode

Terms = dict[str, Tensor]


@dataclass(frozen=True)
class Player:
    """An optimizer's share of a step: a loss and the parameters that descend it.

    Attributes:
        name: ``"model"``, ``"critic"``, ``"encoder"``, ``"prior"``, ...
        loss: Maps a square to named terms; the player descends their sum.
        parameters: The parameters that it updates. Two players may update the same ones.
        updates: Updates at each step, each on a batch of its own.
        labelled: Whether its batches consist of rows with a known label.
        project: Called after each update, to put the parameters back into a set that they must stay in.
    """

    name: str
    loss: Callable[[Square], Terms]
    parameters: tuple[nn.Parameter, ...]
    updates: int = 1
    labelled: bool = False
    project: Callable[[], None] | None = None


@dataclass(frozen=True)
class Comparison:
    """One discrepancy of a model: what it compares, its weight, and which players descend it.

    Attributes:
        name: The name of its term. A critic is called ``critic`` for the name ``discrepancy``, and
            ``critic_<name>`` for any other.
        pair: Maps a square to the two samples (or, for a :class:`~pushforward.costs.KL`, distributions) in
            the order made, given; None for a batch that has nothing to compare, whose term is then 0.
        discrepancy: Compares them. If it has parameters, they are those of its critic.
        weight: The factor of the discrepancy.
        players: The players that descend it: ``"model"``, ``"encoder"`` (the encoder alone, in an update of
            its own) or ``"prior"`` (a prior that is learnt).
        gathers: Whether ``pair`` returns rows of all processes, because it chooses some of them and processes
            must have equally many: each process then compares them all.
    """

    name: str
    pair: Callable[[Square], tuple[Any, Any] | None]
    discrepancy: Discrepancy | KL
    weight: float | Weight = 1.0
    players: tuple[str, ...] = ("model",)
    gathers: bool = False

    @property
    def suffix(self) -> str:
        """What is appended to the names of critics, penalties and diagnostics."""
        return "" if self.name == "discrepancy" else f"_{self.name}"

    def components(self, s: Square) -> dict[str, tuple[Discrepancy | KL, Any, Any]]:
        """The discrepancies that this one is the sum of, each with its two samples, by name."""
        pair = self.pair(s)
        if pair is None:
            return {}
        if isinstance(self.discrepancy, KL):
            return {"": (self.discrepancy, *pair)}
        return {**self.discrepancy.components(*pair)}

    def terms(self, s: Square) -> Terms:
        """The weighted discrepancy: one term for each component."""
        components = self.components(s)
        if not components:
            return {self.name: s.model.prior.device_buffer.new_zeros(())}
        with self._rows():
            return {f"{self.name}{part}": self._weighted(D(q, p)) for part, (D, q, p) in components.items()}

    def _weighted(self, term: Tensor) -> Tensor:
        return self.weight.times(term) if isinstance(self.weight, Weight) else self.weight * term

    def _rows(self) -> AbstractContextManager[None]:
        """Inside, the rows of the pair count as what they are: a slice of the batch, or all of it."""
        return gathered() if self.gathers else nullcontext()

    def critic_loss(self, s: Square) -> Terms:
        """What the critics descend: minus the objective of each, and each penalty."""
        pair = self.pair(s)
        if pair is None:
            sums = torch.stack([parameter.sum() for parameter in self.discrepancy.parameters()])
            return {f"critic{self.suffix}": 0.0 * sums.sum()}
        assert isinstance(self.discrepancy, Discrepancy)
        terms = {}
        noise = s.noise.rows(0) if self.gathers else s.noise
        with self._rows():
            for part, (D, q, p) in self.discrepancy.critic_components(*pair).items():
                name = f"{part}{self.suffix}"
                terms[f"critic{name}"] = -D.critic_objective(q, p)
                penalties = D.penalties(q, p, noise(f"critic{name}"))
                terms |= {f"{penalty}{name}": value for penalty, value in penalties.items()}
        return terms

    def diagnostics(self, s: Square) -> Terms:
        """The diagnostics of each component."""
        return {
            f"{name}{part}{self.suffix}": value
            for part, (D, q, p) in self.components(s).items()
            if isinstance(D, Discrepancy)
            for name, value in D.diagnostics(q, p).items()
        }

    def update_state(self, s: Square) -> None:
        """Updates what is state but no parameter, such as k of BEGAN, at the end of a step."""
        if any(isinstance(D, Discrepancy) and D.stateful for D in self.discrepancy.modules()):
            # in evaluation mode, as diagnostics and evaluations read these values
            with torch.no_grad(), eval_mode(self.discrepancy):
                components = self.components(s)
            with torch.no_grad(), eval_mode(self.discrepancy), self._rows():
                for D, q, p in components.values():
                    assert isinstance(D, Discrepancy)
                    D.update_state(q, p)


class Model(InFloat32, ABC):
    """A prior, a decoder, perhaps an encoder, and what is minimised.

    A subclass says which two samples are compared (:meth:`pair`) and, if it has terms beside the discrepancy,
    which (:meth:`reconstruction_terms`, :meth:`regularisers`, or :meth:`formula` itself). A model with
    another list of discrepancies overrides :meth:`comparisons`; its players follow from the list.

    Attributes:
        prior: The distribution of codes that samples are decoded from.
        decoder: Maps codes (N, L) to data (N, \\*).
        encoder: Maps data to distributions of codes; models without an encoder leave it out.
        cost: Compares data row by row, and says what a decoder's output stands for.
        discrepancy: Compares the two samples of :meth:`pair`; None if nothing is compared.
    """

    prior: Prior
    decoder: nn.Module
    encoder: Encoder
    cost: Cost
    discrepancy: Discrepancy | KL | None

    def bfloat16_parts(self) -> Iterable[nn.Module]:
        """What data and codes pass through: prior, encoder and decoder, and every other part that is trained.

        What is not trained, such as given features in a term of one's own, is part of the formula.
        """
        passed = [part for name, part in self.named_children() if name in ("prior", "encoder", "decoder")]
        return [*passed, *(part for part in self.children() if is_trained(part))]

    @property
    def has_encoder(self) -> bool:
        """Whether the model has an encoder."""
        return hasattr(self, "encoder")

    @property
    def discrepancy_weight(self) -> float | None:
        """The current weight of the discrepancy; None of a model without one."""
        return None

    @property
    def strength_option(self) -> str | None:
        """The option that pulls codes harder towards the prior; None if there is none."""
        return None if self.discrepancy_weight is None else "weight"

    @property
    def is_elbo(self) -> bool:
        """Whether the formula's terms add up to the negative evidence lower bound, in nats."""
        return False

    @property
    def estimates_elbo(self) -> bool:
        """Whether the terms add up to an estimate, by a critic, of the negative evidence lower bound."""
        return False

    @property
    def n_conditions(self) -> int:
        """Number of labels that the decoder is conditioned on; 0 of unconditional models."""
        return self.decoder.classes if isinstance(self.decoder, Conditional) else 0

    @property
    def classes(self) -> int:
        """Number of classes that samples can be requested of; 0 if none."""
        return self.n_conditions or self.prior.classes

    @property
    def classes_are_labels(self) -> bool:
        """Whether the classes are the labels of the data, rather than clusters found without labels."""
        return bool(self.n_conditions) or self.draws_labelled

    @property
    def draws_labelled(self) -> bool:
        """Whether a player draws its batches from the rows whose label is known."""
        return any(player.labelled for player in self.players())

    def generate(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The decoder's output for codes (N, L), given labels (N,) if the decoder is conditional."""
        return self.decoder(z, y) if self.n_conditions else self.decoder(z)

    def distribution(self, n: int, y: Tensor | None = None) -> Distribution:
        """The prior of n codes, of the classes ``y`` (n,) if codes hold the class."""
        return self.prior(n, None if self.n_conditions else y)

    def encode(self, x: Tensor, noise: Noise | None = None, y: Tensor | None = None) -> Tensor:
        """Codes (N, L) of data (N, \\*): centres of their distributions, or draws if ``noise`` is given."""
        q = self.encoder(x, y)
        return q.center if noise is None else q.rsample(noise)

    def class_probabilities(self, x: Tensor) -> Tensor | None:
        """The probabilities (N, K) of the classes of rows (N, \\*); None of models without classes."""
        return (
            self.prior.class_probabilities(self.encode(x))
            if self.has_encoder and not self.n_conditions
            else None
        )

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Data (N, \\*) of codes (N, L), such as the probabilities of a decoder that makes logits."""
        return self.cost.point(self.generate(z, y))

    def sample(self, n: int, noise: Noise, y: Tensor | None = None, prior: Prior | None = None) -> Tensor:
        """n decoded draws of the prior (with a cost that has a noise of its own, draws of the likelihood), of
        the classes ``y`` (n,) if the model has classes.

        Another distribution of codes may be given in the place of the prior; it has no classes.
        """
        if self.n_conditions and y is None:
            y = (noise("label").uniform(n) * self.n_conditions).long()
        distribution = self.distribution(n, y) if prior is None else prior(n)
        codes = to_like(distribution.rsample(noise), self.prior.device_buffer)
        return self.cost.sample(self.generate(codes, y), noise("likelihood"))

    def view(self, codes: Tensor) -> Tensor:
        """The coordinates (N, M) at which codes (N, L) are plotted."""
        return codes

    @abstractmethod
    def pair(self, s: Square) -> tuple[Any, Any]:
        """The two samples that the discrepancy compares: made, given."""

    def comparisons(self) -> Sequence[Comparison]:
        """All discrepancies of the model, in the order of their terms."""
        return [] if self.discrepancy is None else [Comparison("discrepancy", self.pair, self.discrepancy)]

    def reconstruction_terms(self, s: Square) -> Terms:
        """Named terms that are minimised beside the discrepancies; they come first."""
        return {}

    def regularisers(self, s: Square) -> Terms:
        """Named terms that are minimised beside the discrepancies; they come last."""
        return {}

    def discrepancy_terms(self, s: Square, player: str | None = None) -> Terms:
        """The terms of all comparisons, or of those that one player descends."""
        terms: Terms = {}
        for comparison in self.comparisons():
            if player is None or player in comparison.players:
                terms |= comparison.terms(s)
        return terms

    def formula(self, s: Square) -> Terms:
        """The named terms whose sum is minimised, each of shape ()."""
        return self.reconstruction_terms(s) | self.discrepancy_terms(s) | self.regularisers(s)

    def model_loss(self, s: Square) -> Terms:
        """The terms that the player "model" descends: the formula, but for what other players descend."""
        if all("model" in comparison.players for comparison in self.comparisons()):
            return self.formula(s)
        return self.reconstruction_terms(s) | self.discrepancy_terms(s, "model") | self.regularisers(s)

    def critic_loss(self, comparison: Comparison, s: Square) -> Terms:
        """The terms that the critics of a comparison descend."""
        return comparison.critic_loss(s)

    def players(self) -> Iterator[Player]:
        """The players, in the order of their updates; they follow from :meth:`comparisons`.

        The model updates all parameters but those of critics and of a prior that learns by itself; then come
        the prior, the critics, and the encoder if it descends a discrepancy in an update of its own.
        """
        comparisons = self.comparisons()
        descending = {name for comparison in comparisons for name in comparison.players}
        critics = [tuple(comparison.discrepancy.parameters()) for comparison in comparisons]
        prior = tuple(self.prior.parameters()) if "prior" in descending else ()
        others = {id(parameter) for group in (*critics, prior) for parameter in group}
        yield Player("model", self.model_loss, tuple(p for p in self.parameters() if id(p) not in others))
        if "prior" in descending:
            yield Player("prior", partial(self.discrepancy_terms, player="prior"), prior)
        for comparison, parameters in zip(comparisons, critics, strict=True):
            if parameters:
                assert isinstance(comparison.discrepancy, Discrepancy)
                yield Player(
                    f"critic{comparison.suffix}",
                    partial(self.critic_loss, comparison),
                    parameters,
                    comparison.discrepancy.n_critic,
                    project=comparison.discrepancy.project,
                )
        if "encoder" in descending:
            encoder = tuple(self.encoder.parameters())
            yield Player("encoder", partial(self.discrepancy_terms, player="encoder"), encoder)

    @torch.no_grad()
    def diagnostics(self, s: Square) -> Terms:
        """Numbers worth watching beside the terms, by name, each of shape ()."""
        found: Terms = {}
        for comparison in self.comparisons():
            found |= comparison.diagnostics(s)
        return found

    def update_state(self, s: Square, step: int, lr_factor: float) -> None:
        """Updates what is state but no parameter, once at the end of every step.

        ``lr_factor`` is the schedule's factor of the learning rate at this step.
        """
        for comparison in self.comparisons():
            comparison.update_state(s)
