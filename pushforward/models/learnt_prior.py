r"""Auto-encoders whose prior is learnt: it follows the codes, and in ARAE the codes follow it too.

.. math:: \min_{E, G} E\,c(G(E(x)), x) + \lambda\, D(g_\# P_0, Q_Z), \qquad \min_g D(g_\# P_0, Q_Z)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.costs import Cost
from pushforward.discrepancies import Discrepancy
from pushforward.distributions import Encoder, GeneratorPrior
from pushforward.errors import ConfigError
from pushforward.models.autoencoder import WAE, Augment, AutoEncoder
from pushforward.models.base import Comparison, Terms
from pushforward.models.weight import Weight
from pushforward.square import Square
from pushforward.torch_state import OnCPU, to_like
from pushforward.wording import option_name


class LearntPriorAE(AutoEncoder):
    r"""A plain auto-encoder and a learnt prior, whose draws are compared with codes; the codes do not move.

    With an MMD it is GMMN+AE. The codes are those of the encoder in evaluation mode, so that the prior
    follows what is decoded after training. Both are trained in the same run: as the learning rates fall, the
    codes settle.

    Arguments:
        prior: The prior that is learnt.
        decoder: Maps codes (N, L) to data (N, \*).
        encoder: Maps data to distributions of codes.
        discrepancy: Compares draws of the prior, which are made here, with codes, which are given.
        cost: Compares data, row by row.
        augment: See :class:`AutoEncoder`.

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
        *,
        augment: Augment | None = None,
    ) -> None:
        super().__init__(prior, decoder, encoder, cost, augment=augment)
        self.discrepancy: Discrepancy = discrepancy

    def pair(self, s: Square) -> tuple[Any, Any]:
        """Draws of the learnt prior, and codes."""
        return s.z, s.eval_codes

    def comparisons(self) -> Sequence[Comparison]:
        """Draws of the learnt prior and codes, for which the prior alone moves."""
        return [Comparison("discrepancy", self.pair, self.discrepancy, players=("prior",))]


class ARAE(OnCPU, WAE):
    r"""The adversarially regularised auto-encoder: encoder and a learnt prior descend one discrepancy.

    .. math:: \min_{E, G, g}\; E\,c(G(E(x) + \varepsilon), x) + \lambda\, W_1(g_\# N(0, I), Q_Z)

    The encoder puts codes on a sphere, so that they cannot outgrow the noise on what is decoded. The noise
    decays over the run.

    Arguments:
        prior: The prior that is learnt.
        decoder: Maps codes (N, L) to data (N, \*).
        encoder: Maps data to distributions of codes.
        discrepancy: Compares draws of the prior, which are made here, with codes, which are given.
        cost: Compares data, row by row.
        weight: The factor :math:`\lambda`.
        latent_noise: Standard deviation of the noise on codes that are decoded, in training, at the first
            step.
        latent_noise_decay: What the deviation is multiplied by every 100 steps.
        augment: See :class:`AutoEncoder`.

    Raises:
        ConfigError: If the deviation is below 0 or the decay not in (0, 1].

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
        latent_noise: float = 0.0,
        latent_noise_decay: float = 1.0,
        *,
        augment: Augment | None = None,
    ) -> None:
        if not (0 <= latent_noise < math.inf and 0 < latent_noise_decay <= 1):
            raise ConfigError(
                f"{option_name('latent_noise')} must be at least 0 and {option_name('latent_noise_decay')} "
                "in (0, 1], "
                f"got {latent_noise} and {latent_noise_decay}"
            )
        super().__init__(prior, decoder, encoder, discrepancy, cost, weight, augment=augment)
        self.latent_noise: Tensor
        self.register_buffer("latent_noise", torch.tensor(latent_noise))
        self.latent_noise_decay = latent_noise_decay

    def pair(self, s: Square) -> tuple[Any, Any]:
        """Draws of the learnt prior, and codes."""
        return s.z, s.Ex

    def comparisons(self) -> Sequence[Comparison]:
        """Draws of the learnt prior and codes, for which the encoder moves too."""
        return [
            Comparison("discrepancy", self.pair, self.discrepancy, self.weight, players=("model", "prior"))
        ]

    def reconstruction(self, s: Square) -> Any:
        """The decoded codes that the reconstruction error compares with the data."""
        return self.generate(self.noisy(s), s.y)

    def noisy(self, s: Square) -> Tensor:
        """The codes that are decoded: in training with noise."""
        if not self.training or self.latent_noise == 0:
            return s.Ex
        return s.Ex + self.latent_noise * to_like(s.noise("code").normal(*s.Ex.shape), s.Ex)

    def diagnostics(self, s: Square) -> Terms:
        """The diagnostics of any model, and those of this one."""
        return super().diagnostics(s) | {
            "prior_norm": s.z.norm(dim=1).mean(),
            "code_norm": s.Ex.norm(dim=1).mean(),
        }

    @torch.no_grad()
    def update_state(self, s: Square, step: int, lr_factor: float) -> None:
        """Lowers the noise on codes after a step."""
        super().update_state(s, step, lr_factor)
        if (step + 1) % 100 == 0:
            self.latent_noise.mul_(self.latent_noise_decay)


__all__ = ["ARAE", "LearntPriorAE"]
