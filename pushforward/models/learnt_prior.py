r"""Auto-encoders whose codes go where they like, and whose prior learns to follow them.

.. math:: \min_{E, G} E\,c(G(E(x)), x), \qquad \min_g D(g_\# P_0, Q_Z)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from pushforward.costs import Cost
from pushforward.discrepancies import Discrepancy
from pushforward.distributions import Encoder, PushedPrior
from pushforward.models.autoencoder import AutoEncoder
from pushforward.models.base import Player, Terms
from pushforward.square import Square


class FollowingAE(AutoEncoder):
    r"""A plain auto-encoder and a learnt prior: what the prior makes meets codes, which do not move for it.

    With an MMD for match it is GMMN+AE. The codes are those at rest, so that the prior follows what is
    decoded after training. It learns in the same run, not after it: as the rates fall, codes stand still.

    Arguments:
        prior: The prior that learns.
        decoder: Maps codes (N, L) to data (N, \*).
        encoder: Maps data to laws of codes.
        match: Compares draws of the prior, which are made here, with codes, which are given.
        cost: Compares data, sample by sample.

    References:
        | Generative Moment Matching Networks (Li et al., 2015), section 4.2
        | https://arxiv.org/abs/1502.02761
    """

    prior: PushedPrior

    def __init__(
        self,
        prior: PushedPrior,
        decoder: nn.Module,
        encoder: Encoder,
        match: Discrepancy,
        cost: Cost | None = None,
    ) -> None:
        super().__init__(prior, decoder, encoder, cost)
        self.match: Discrepancy = match

    def pair(self, s: Square) -> tuple[Any, Any]:
        return s.z, s.resting

    def formula(self, s: Square) -> Terms:
        return super().formula(s) | self.matched(self.match, s)

    def players(self) -> Iterator[Player]:
        others = {id(p) for part in (self.match, self.prior) for p in part.parameters()}
        own = tuple(p for p in self.parameters() if id(p) not in others)
        yield Player("model", super().formula, own)
        yield Player("prior", lambda s: self.matched(self.match, s), tuple(self.prior.parameters()))
        yield from self.critics(self.match)


__all__ = ["FollowingAE"]
