"""Monitors: diagnostics of a batch during training, and warnings about failing runs.

A run that has only begun has neither learnt codes nor samples, and one batch may look ill by chance. A
warning is therefore given when its condition has held at :data:`LOOKS` looks in a row, all of them after a
share of the run. Warnings are a function of the logged diagnostics alone: a resumed run reads them from its
history.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch

from pushforward.discrepancies import IMQ, MMD
from pushforward.distributions import Prior
from pushforward.models import Model
from pushforward.models.weight import null_deviation
from pushforward.square import Square
from pushforward.wording import option_name

COLLAPSED = 0.1  # of the prior's standard deviation, or of the data's
FAR = 0.15  # seven-scale MMD² of a batch; a plain auto-encoder on MNIST has .8, a good WAE .005
WARM_UP = 0.2  # of the run, in which looks do not count
LOOKS = 40  # in a row, a fifth of all of a long run: codes of a run of 60 steps take 40 to follow the prior
Text = Callable[[], str]
"""A warning, which names options in the way of the place where it is said."""

FEW = 8  # rows below which deviations and MMD² of healthy codes scatter too much to say anything


@dataclass
class Persistence:
    """Gives each warning once, when its condition has held long enough.

    Attributes:
        held: For each condition, at how many looks in a row it has held.
    """

    held: dict[str, int] = field(default_factory=dict)

    def __call__(self, conditions: Mapping[str, Text], done: float) -> list[Text]:
        """The warnings to give now.

        Arguments:
            conditions: The text of the warning of every condition that holds at this look, by name.
            done: The share of the run that is done.

        >>> look = Persistence()
        >>> [number for number in range(1, 101) if look({"ill": lambda: "it is ill"}, number / 100)]
        [59]
        """
        if done < WARM_UP:
            return []
        self.held = {name: self.held.get(name, 0) + 1 for name in conditions} | {
            name: count for name, count in self.held.items() if count >= LOOKS and name not in conditions
        }
        return [text for name, text in conditions.items() if self.held[name] == LOOKS]

    @property
    def given(self) -> bool:
        """Whether a warning has been given."""
        return any(count >= LOOKS for count in self.held.values())


class Monitor(Protocol):
    """Computes diagnostics of a batch now and then.

    Attributes:
        persistence: What has been seen so far, and which warnings have been given.
    """

    persistence: Persistence

    def diagnostics(self, s: Square) -> dict[str, float]:
        """Diagnostics of a batch, by name."""

    def warnings(self, diagnostics: dict[str, float], done: float) -> list[Text]:
        """New warnings, after a share ``done`` of the run."""


def watch(model: Model, batch_size: int) -> Monitor:
    """The monitor of a model: of its codes, or of its samples if it has no encoder."""
    return (
        CodesMonitor(model.prior, batch_size, model.strength_option)
        if model.has_encoder
        else SamplesMonitor(batch_size)
    )


@dataclass
class SamplesMonitor:
    """Monitors the spread of samples.

    Attributes:
        batch_size: Rows in a batch.
        persistence: What has been seen so far, and which warnings have been given.
    """

    batch_size: int
    persistence: Persistence = field(default_factory=Persistence)

    @torch.no_grad()
    def diagnostics(self, s: Square) -> dict[str, float]:
        """``spread``: the deviation of samples over that of data, all values together."""
        made, given = (rows.flatten(1).var(0).sum() for rows in (s.model.cost.point(s.Gz), s.x))
        return {"spread": (made / given.clamp_min(1e-12)).sqrt().item()}

    def warnings(self, diagnostics: dict[str, float], done: float) -> list[Text]:
        """A warning of collapsed samples, once it persists, after a share ``done`` of the run; else none."""
        found: dict[str, Text] = {}
        if self.batch_size >= FEW and diagnostics["spread"] < COLLAPSED:
            found["collapsed"] = lambda: (
                f"samples have collapsed: their spread is {diagnostics['spread']:.3g} of the data's. "
                f"Lower the learning rates, above all the generator's, or raise {option_name('n_critic')}"
            )
        return self.persistence(found, done)


@dataclass
class CodesMonitor:
    """Monitors the codes of a batch.

    Attributes:
        prior: The prior that codes should follow.
        batch_size: Rows in a batch: few rows scatter more, and are given more room.
        strength_option: The option that pulls codes harder towards the prior; None if there is none, and
            codes need not match the prior.
        persistence: What has been seen so far, and which warnings have been given.
    """

    prior: Prior
    batch_size: int
    strength_option: str | None = "weight"
    persistence: Persistence = field(default_factory=Persistence)

    def __post_init__(self) -> None:
        self.far = FAR + 4 * null_deviation(self.gauge, self.prior, self.batch_size)

    @property
    def gauge(self) -> MMD:
        """The MMD of codes and the prior, on the prior's current scale: some priors are learnt."""
        return MMD(IMQ(self.prior.expected_sq_distance))

    @property
    def scale(self) -> float:
        """The root of the prior's variance, averaged over dimensions."""
        return self.prior.variance**0.5

    @torch.no_grad()
    def diagnostics(self, s: Square) -> dict[str, float]:
        """``std``: the smallest standard deviation of a code's dimension; ``mmd``: seven-scale MMD²."""
        codes = s.eval_codes
        return {"std": codes.std(0).min().item(), "mmd": self.gauge(codes, s.fresh_prior).item()}

    def warnings(self, diagnostics: dict[str, float], done: float) -> list[Text]:
        """New warnings, after a share ``done`` of the run."""
        strength = self.strength_option
        found: dict[str, Text] = {}
        if self.batch_size >= FEW and diagnostics["std"] < COLLAPSED * self.scale:
            found["collapsed"] = lambda: (
                f"the code has collapsed: its smallest standard deviation is {diagnostics['std']:.3g}, "
                f"the prior's is {self.scale:.3g}. Lower the learning rate"
                + (f" or {option_name(strength)}" if strength else "")
            )
        # What the codes of a model without such an option are is its own affair: an ae promises no prior.
        if self.batch_size >= FEW and strength and diagnostics["mmd"] > self.far:
            found["far"] = lambda: (
                "the aggregate posterior does not match the prior: "
                f"MMD² is {diagnostics['mmd']:.3g} and should be near 0. "
                f"Samples will be worse than reconstructions; raise {option_name(strength)}"
            )
        return self.persistence(found, done)
