"""Signs that a run is ill, seen while it can still be stopped."""

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
    """What looks at a batch now and then.

    Attributes:
        warned: What has been said already; each thing is said once.
    """

    warned: set[str]

    def diagnostics(self, s: Square) -> dict[str, float]:
        """Figures of a batch, by name."""

    def warnings(self, diagnostics: dict[str, float], done: float) -> list[str]:
        """New complaints, in plain words, when a share ``done`` of the run is over."""


def watch(model: Model, batch_size: int) -> Monitor:
    """What looks at the codes of a model, or at its samples if it has no codes."""
    return (
        CodesMonitor(model.prior, batch_size, model.strength_option)
        if model.has_encoder
        else SamplesMonitor(batch_size)
    )


@dataclass
class SamplesMonitor:
    """Watches how far samples are spread out.

    Attributes:
        batch_size: Rows in a batch.
        warned: What has been said already; each thing is said once.
    """

    batch_size: int
    warned: set[str] = field(default_factory=set)

    @torch.no_grad()
    def diagnostics(self, s: Square) -> dict[str, float]:
        """``spread``: the deviation of samples over that of data, all values together."""
        made, given = (rows.flatten(1).var(0).sum() for rows in (s.model.cost.point(s.Gz), s.x))
        return {"spread": (made / given.clamp_min(1e-12)).sqrt().item()}

    def warnings(self, diagnostics: dict[str, float], done: float) -> list[str]:
        """What is wrong with samples, given the diagnostics and the share of training that is done."""
        if not diagnostics or self.batch_size < FEW or done < PATIENCE or "collapsed" in self.warned:
            return []
        if diagnostics["spread"] >= COLLAPSED:
            return []
        self.warned.add("collapsed")
        return [
            f"samples have collapsed: their spread is {diagnostics['spread']:.3g} of the data's. "
            "Lower the learning rates, above all the generator's, or give the critic more turns"
        ]


@dataclass
class CodesMonitor:
    """Watches the codes of a batch now and then.

    Attributes:
        prior: What the codes should look like.
        batch_size: Rows in a batch: few rows scatter more, and are given more room.
        lever: What a user raises to match codes with the prior harder; None of a model without a match.
        warned: What has been said already; each thing is said once.
    """

    prior: Prior
    batch_size: int
    strength_option: str | None = "weight"
    warned: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.far = FAR + 4 * null_deviation(self.gauge, self.prior, self.batch_size)

    @property
    def gauge(self) -> MMD:
        """What compares codes with the prior, on the prior's scale of the moment: some priors learn."""
        return MMD(IMQ(self.prior.expected_sq_distance))

    @property
    def scale(self) -> float:
        """The prior's deviation."""
        return self.prior.variance**0.5

    @torch.no_grad()
    def diagnostics(self, s: Square) -> dict[str, float]:
        """``std``: the smallest standard deviation of a code's dimension; ``mmd``: seven-scale MMD²."""
        codes = s.eval_codes
        return {"std": codes.std(0).min().item(), "mmd": self.gauge(codes, s.fresh_prior).item()}

    def warnings(self, diagnostics: dict[str, float], done: float) -> list[str]:
        """New complaints, in plain words, when a share ``done`` of the run is over."""
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
            other = "take a recipe that matches codes with the prior"
            cure = f"raise the {self.strength_option}" if self.strength_option else other
            found["far"] = (
                f"the codes do not follow the prior: MMD² is {diagnostics['mmd']:.3g} and should be near 0. "
                f"Samples will be worse than reconstructions; {cure}"
            )
        new = [text for key, text in found.items() if key not in self.warned]
        self.warned |= set(found)
        return new
