"""Signs that a run is ill, seen while it can still be stopped."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from pushforward.discrepancies import IMQ, MMD
from pushforward.distributions import Prior
from pushforward.square import Square

COLLAPSED = 0.1  # of the prior's standard deviation
FAR = 0.15  # seven-scale MMD² of a batch; a plain auto-encoder on MNIST has .8, a good WAE .005
PATIENCE = 0.2  # of the run, before codes that are far from the prior are worth a warning


@dataclass
class Health:
    """Watches the codes of a batch now and then.

    Attributes:
        prior: What the codes should look like.
        warned: What has been said already; each thing is said once.
    """

    prior: Prior
    warned: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.gauge = MMD(IMQ(self.prior.spread))
        self.scale = (self.prior.spread / (2 * self.prior.latent)) ** 0.5

    @torch.no_grad()
    def signs(self, s: Square) -> dict[str, float]:
        """``std``: the smallest standard deviation of a code's dimension; ``mmd``: seven-scale MMD²."""
        codes = s.resting
        return {"std": codes.std(0).min().item(), "mmd": self.gauge(codes, s.fresh).item()}

    def warnings(self, signs: dict[str, float], done: float) -> list[str]:
        """New complaints, in plain words, when a share ``done`` of the run is over."""
        found = {}
        if signs["std"] < COLLAPSED * self.scale:
            found["collapsed"] = (
                f"the code has collapsed: its smallest standard deviation is {signs['std']:.3g}, "
                f"the prior's is {self.scale:.3g}. Lower the weight or the learning rate"
            )
        if done >= PATIENCE and signs["mmd"] > FAR:
            found["far"] = (
                f"the codes do not follow the prior: MMD² is {signs['mmd']:.3g} and should be near 0. "
                "Samples will be worse than reconstructions; raise the weight"
            )
        new = [text for key, text in found.items() if key not in self.warned]
        self.warned |= set(found)
        return new
