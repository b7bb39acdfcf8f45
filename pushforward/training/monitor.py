"""Monitors: diagnostics of a batch during training, and warnings about failing runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import torch

from pushforward.discrepancies import IMQ, MMD
from pushforward.distributions import Prior
from pushforward.models import Model
from pushforward.models.weight import null_deviation
from pushforward.square import Square

COLLAPSED = 0.1  # of the prior's standard deviation
FAR = 0.15  # seven-scale MMD² of a batch; a plain auto-encoder on MNIST has .8, a good WAE .005
EARLY = 0.05  # of the run, in which BatchNorm's running statistics still come from nowhere
PATIENCE = 0.2  # of the run, before codes that are far from the prior are worth a warning
FEW = 8  # rows below which deviations and MMD² of healthy codes scatter too much to say anything


class Monitor(Protocol):
    """Computes diagnostics of a batch now and then.

    Attributes:
        warned: Warnings that have been given; each is given once.
    """

    warned: set[str]

    def diagnostics(self, s: Square) -> dict[str, float]:
        """Diagnostics of a batch, by name."""

    def warnings(self, diagnostics: dict[str, float], done: float) -> list[str]:
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
        warned: Warnings that have been given; each is given once.
    """

    batch_size: int
    warned: set[str] = field(default_factory=set)

    @torch.no_grad()
    def diagnostics(self, s: Square) -> dict[str, float]:
        """``spread``: the deviation of samples over that of data, all values together."""
        made, given = (rows.flatten(1).var(0).sum() for rows in (s.model.cost.point(s.Gz), s.x))
        return {"spread": (made / given.clamp_min(1e-12)).sqrt().item()}

    def warnings(self, diagnostics: dict[str, float], done: float) -> list[str]:
        """A warning of collapsed samples, once, after a share ``done`` of the run; else none."""
        if not diagnostics or self.batch_size < FEW or done < PATIENCE or "collapsed" in self.warned:
            return []
        if diagnostics["spread"] >= COLLAPSED:
            return []
        self.warned.add("collapsed")
        return [
            f"samples have collapsed: their spread is {diagnostics['spread']:.3g} of the data's. "
            "Lower the learning rates, above all the generator's, or raise n_critic"
        ]


@dataclass
class CodesMonitor:
    """Monitors the codes of a batch.

    Attributes:
        prior: The prior that codes should follow.
        batch_size: Rows in a batch: few rows scatter more, and are given more room.
        strength_option: The option that pulls codes harder towards the prior; None if there is none.
        warned: Warnings that have been given; each is given once.
    """

    prior: Prior
    batch_size: int
    strength_option: str | None = "weight"
    warned: set[str] = field(default_factory=set)

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

    def warnings(self, diagnostics: dict[str, float], done: float) -> list[str]:
        """New warnings, after a share ``done`` of the run."""
        if not diagnostics or self.batch_size < FEW or done < EARLY:
            return []
        found = {}
        if diagnostics["std"] < COLLAPSED * self.scale:
            found["collapsed"] = (
                f"the code has collapsed: its smallest standard deviation is {diagnostics['std']:.3g}, "
                f"the prior's is {self.scale:.3g}. Lower the learning rate"
                + (f" or the {self.strength_option}" if self.strength_option else "")
            )
        if done >= PATIENCE and diagnostics["mmd"] > self.far:
            other = "use a recipe that matches codes with the prior"
            cure = f"raise the {self.strength_option}" if self.strength_option else other
            found["far"] = (
                f"the aggregate posterior does not match the prior: MMD² is {diagnostics['mmd']:.3g} and "
                f"should be near 0. Samples will be worse than reconstructions; {cure}"
            )
        new = [text for key, text in found.items() if key not in self.warned]
        self.warned |= set(found)
        return new
