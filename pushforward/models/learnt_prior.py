r"""Auto-encoders whose prior is learnt: it follows the codes, and in ARAE they come to meet it.

.. math:: \min_{E, G} E\,c(G(E(x)), x) + \lambda\, D(g_\# P_0, Q_Z), \qquad \min_g D(g_\# P_0, Q_Z)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.costs import Cost
from pushforward.discrepancies import Discrepancy
from pushforward.distributions import Encoder, GeneratorPrior
from pushforward.errors import ConfigError
from pushforward.models.autoencoder import WAE, AutoEncoder
from pushforward.models.base import Model, Player, Terms
from pushforward.models.weight import Weight
from pushforward.square import Square


class LearntPriorAE(AutoEncoder):
    r"""A plain auto-encoder and a learnt prior: what the prior makes meets codes, which do not move for it.

    With an MMD for match it is GMMN+AE. The codes are those at rest, so that the prior follows what is
    decoded after training. It learns in the same run, not after it: as the rates fall, codes stand still.

    Arguments:
        prior: The prior that learns.
        decoder: Maps codes (N, L) to data (N, \*).
        encoder: Maps data to laws of codes.
        discrepancy: Compares draws of the prior, which are made here, with codes, which are given.
        cost: Compares data, sample by sample.

    References:
        | Generative Moment Matching Networks (Li et al., 2015), section 4.2
        | https://arxiv.org/abs/1502.02761
    """

    prior: GeneratorPrior

    def __init__(
        self,
        prior: GeneratorPrior,
        decoder: nn.Module,
        encoder: Encoder,
        discrepancy: Discrepancy,
        cost: Cost | None = None,
    ) -> None:
        super().__init__(prior, decoder, encoder, cost)
        self.discrepancy: Discrepancy = discrepancy

    def pair(self, s: Square) -> tuple[Any, Any]:
        return s.z, s.eval_codes

    def formula(self, s: Square) -> Terms:
        return super().formula(s) | self.discrepancy_terms(self.discrepancy, s)

    def players(self) -> Iterator[Player]:
        yield from followed(
            self, super().formula, lambda s: self.discrepancy_terms(self.discrepancy, s), self.discrepancy
        )


class ARAE(WAE):
    r"""The adversarially regularised auto-encoder: codes and a learnt prior meet in a game.

    .. math:: \min_{E, G, g}\; E\,c(G(E(x) + \varepsilon), x) + \lambda\, W_1(g_\# N(0, I), Q_Z)

    Codes lie on a sphere (that is the encoder's affair), so that noise on what is decoded cannot be
    outgrown. The noise calms down over the run.

    Arguments:
        prior: The prior that learns.
        decoder: Maps codes (N, L) to data (N, \*).
        encoder: Maps data to laws of codes.
        discrepancy: Compares draws of the prior, which are made here, with codes, which are given.
        cost: Compares data, sample by sample.
        weight: The factor :math:`\lambda`.
        noise: Deviation of the noise on codes that are decoded, in training, at the first step.
        latent_noise_decay: What the deviation is multiplied by every 100 steps.

    References:
        | Adversarially Regularized Autoencoders (Zhao et al., 2018), equation 5 and algorithm 1
        | https://arxiv.org/abs/1706.04223
    """

    prior: GeneratorPrior
    discrepancy: Discrepancy

    def __init__(
        self,
        prior: GeneratorPrior,
        decoder: nn.Module,
        encoder: Encoder,
        discrepancy: Discrepancy,
        cost: Cost | None = None,
        weight: float | Weight = 1.0,
        noise: float = 0.0,
        latent_noise_decay: float = 1.0,
    ) -> None:
        if not (0 <= noise < math.inf and 0 < latent_noise_decay <= 1):
            raise ConfigError(
                f"noise must be at least 0 and calm in (0, 1], got {noise} and {latent_noise_decay}"
            )
        super().__init__(prior, decoder, encoder, discrepancy, cost, weight)
        self.noise: Tensor
        self.register_buffer("noise", torch.tensor(noise))
        self.latent_noise_decay = latent_noise_decay

    def pair(self, s: Square) -> tuple[Any, Any]:
        return s.z, s.Ex

    def reconstruction_output(self, s: Square) -> Any:
        return self.generate(self.noisy(s), s.y)

    def noisy(self, s: Square) -> Tensor:
        """The codes that are decoded: in training with noise."""
        if not self.training or self.noise == 0:
            return s.Ex
        return s.Ex + self.noise * s.noise("code").normal(*s.Ex.shape).to(s.Ex)

    def prior_terms(self, s: Square) -> Terms:
        """What codes and the prior pay for being apart."""
        return {"discrepancy": float(self.weight) * self.discrepancy(*self.pair(s))}

    def players(self) -> Iterator[Player]:
        yield from followed(self, self.formula, self.prior_terms, self.discrepancy)

    def diagnostics(self, s: Square) -> Terms:
        return super().diagnostics(s) | {
            "prior_norm": s.z.norm(dim=1).mean(),
            "code_norm": s.Ex.norm(dim=1).mean(),
        }

    @torch.no_grad()
    def update_state(self, s: Square, step: int, lr_factor: float) -> None:
        super().update_state(s, step, lr_factor)
        if (step + 1) % 100 == 0:
            self.noise.mul_(self.latent_noise_decay)


def followed(
    model: Model,
    formula: Callable[[Square], Terms],
    prior_terms: Callable[[Square], Terms],
    discrepancy: Discrepancy,
) -> Iterator[Player]:
    """A model and what it descends, its prior and what that descends, and the critic of their match."""
    others = {id(p) for part in (discrepancy, model.prior) for p in part.parameters()}
    yield Player("model", formula, tuple(p for p in model.parameters() if id(p) not in others))
    yield Player("prior", prior_terms, tuple(model.prior.parameters()))
    yield from model.critics(discrepancy)


__all__ = ["ARAE", "LearntPriorAE"]
