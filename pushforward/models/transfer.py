r"""Auto-encoders that move rows from one label to another: what codes say, told under another label.

.. math:: \min_{E, G}\; E\,c(G(E(x), y), x) + \lambda\, D(Q_Z, P_Z) + \mu\, D(Q_{Z \mid 1}, Q_{Z \mid 0})

A code that does not show its label leaves the label to the decoder, who is told it. The two laws that meet
here are both made: nothing is given in Z but the prior.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from pushforward.costs import Cost
from pushforward.discrepancies import Discrepancy
from pushforward.distributions import Encoder, Prior
from pushforward.errors import DataError
from pushforward.models.autoencoder import WAE
from pushforward.models.base import Player, Terms, critic_terms
from pushforward.models.weight import Weight
from pushforward.square import Square


class TransferAE(WAE):
    r"""An auto-encoder whose codes are alike under two labels, and whose decoder is told the label.

    Where a row's twin is known, that says the same under the other label, the twin is paid for as well,
    decoded from the row's code: with all twins it is a translator through a code, with none unsupervised.

    Arguments:
        prior: The law :math:`P_Z`.
        decoder: Maps codes (N, L) and labels (N,) to data (N, \*).
        encoder: Maps data to laws of codes.
        discrepancy: Compares a sample of codes with a sample of the prior.
        styles: Compares codes of label 1 with codes of label 0.
        cost: Compares data, sample by sample.
        weight: The factor :math:`\lambda` of the match.
        style_weight: The factor :math:`\mu`.

    References:
        | Adversarially Regularized Autoencoders (Zhao et al., 2018), section 3, "unaligned transfer"
        | https://arxiv.org/abs/1706.04223
    """

    def __init__(
        self,
        prior: Prior,
        decoder: nn.Module,
        encoder: Encoder,
        discrepancy: Discrepancy,
        styles: Discrepancy,
        cost: Cost | None = None,
        weight: float | Weight = 10.0,
        style_weight: float = 1.0,
    ) -> None:
        super().__init__(prior, decoder, encoder, discrepancy, cost, weight)
        self.styles = styles
        self.style_weight = style_weight

    def sides(self, s: Square) -> tuple[Tensor, Tensor] | None:
        """Codes of label 1 and codes of label 0, or None if fewer than two of either are in the batch."""
        if s.y is None:
            raise DataError("rows must have labels for their codes to be made alike")
        q, p = s.Ex[s.y == 1], s.Ex[s.y == 0]
        return (q, p) if min(len(q), len(p)) > 1 else None

    def formula(self, s: Square) -> Terms:
        terms = super().formula(s)
        sides = self.sides(s)
        terms["style"] = self.style_weight * self.styles(*sides) if sides else terms["cost"].new_zeros(())
        return terms | self.translated(s)

    def translated(self, s: Square) -> Terms:
        """What it costs to tell rows with a known twin as that twin; a mean over all rows of the batch."""
        if s.paired is None or s.y is None:
            return {}
        known = (s.paired.flatten(1)[:, 0] >= 0).nonzero().flatten()
        if not len(known):
            return {"pairs": s.Ex.new_zeros(())}
        told = self.generate(s.Ex[known], 1 - s.y[known])
        return {"pairs": self.cost.rows(told, s.paired[known]).sum() / len(s.x)}

    def players(self) -> Iterator[Player]:
        critic = tuple(self.styles.parameters())
        others = {id(parameter) for parameter in critic}
        for player in super().players():
            yield replace(player, parameters=tuple(p for p in player.parameters if id(p) not in others))
        if critic:
            yield Player("style", self.judged, critic, self.styles.n_critic, project=self.styles.project)

    def judged(self, s: Square) -> Terms:
        """What the critic of styles descends."""
        sides = self.sides(s)
        if sides is None:
            still = torch.stack([parameter.sum() for parameter in self.styles.parameters()])
            return {"critic_style": 0.0 * still.sum()}
        return critic_terms(self.styles, *sides, s.noise, "_style")


__all__ = ["TransferAE"]
