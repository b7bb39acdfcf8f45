r"""Auto-encoders: one formula, three pairs.

.. math:: \min_{E, G}\; E\,c(G(E(x)), x) + \lambda\, D(\text{made}, \text{given})

A WAE compares the codes of a batch with draws of the prior; a VAE compares each code's own law
with the prior's; a plain auto-encoder compares nothing, and cannot be sampled from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from pushforward.costs import KL, Cost, SquaredError
from pushforward.discrepancies import Discrepancy
from pushforward.distributions import Encoder, Prior
from pushforward.models.base import Model, Terms
from pushforward.models.weight import Weight
from pushforward.rng import Noise
from pushforward.square import Square


class AutoEncoder(Model):
    r"""The plain auto-encoder, :math:`\min E\,c(G(E(x)), x)`, and what all auto-encoders can do.

    Its codes go where they like: it is the baseline that shows what the match buys.
    """

    def __init__(self, prior: Prior, decoder: nn.Module, encoder: Encoder, cost: Cost | None = None) -> None:
        super().__init__()
        self.prior = prior
        self.decoder = decoder
        self.encoder = encoder
        self.cost = cost or SquaredError()
        self.discrepancy = None
        self.augment: Callable[[Tensor, Noise], Tensor] | None = None

    def augmented(self, s: Square) -> Square:
        """What the cost is paid for: the batch, or in training what ``rehearse`` makes of it.

        Codes that meet the prior are those of the batch itself, so that samples are like data, whatever
        else the networks must be able to say.
        """
        if self.augment is None or not self.training:
            return s
        return Square(self, self.augment(s.x, s.noise("rehearse")), s.noise, s.y)

    def reconstruction_output(self, s: Square) -> Any:
        """What the decoder makes of the codes, for the cost to compare with the data."""
        return s.GEx

    def pair(self, s: Square) -> tuple[Any, Any]:
        return s.Ex, s.z

    def formula(self, s: Square) -> Terms:
        shown = self.augmented(s)
        return {"cost": self.cost(self.reconstruction_output(shown), shown.x)}


class WAE(AutoEncoder):
    r"""The Wasserstein auto-encoder, :math:`\min E\,c(G(E(x)), x) + \lambda\, D(Q_Z, P_Z)`.

    With D an MMD it is WAE-MMD, with a game it is WAE-GAN. For :math:`\lambda \to \infty` the
    value is the transport cost :math:`W_c(P_X, P_G)`.

    Arguments:
        prior: The law :math:`P_Z`.
        decoder: Maps codes (N, L) to data (N, \*).
        encoder: Maps data to laws of codes.
        discrepancy: Compares a sample of codes with a sample of the prior.
        cost: Compares data, sample by sample.
        weight: The factor :math:`\lambda`, against a cost that is summed over features.

    References:
        | Wasserstein Auto-Encoders (Tolstikhin et al., 2018), equation 4
        | https://arxiv.org/abs/1711.01558

    Example:
        >>> import torch, pushforward as pf
        >>> from pushforward.distributions import DeterministicEncoder, NormalPrior
        >>> from pushforward.rng import Noise
        >>> prior = NormalPrior(2)
        >>> model = WAE(prior, nn.Linear(2, 5), DeterministicEncoder(nn.Linear(5, 2)),
        ...             match=pf.MMD(pf.IMQ(prior.spread)), weight=10.0)
        >>> sorted(model.formula(Square(model, torch.rand(8, 5), Noise(0))))
        ['cost', 'match']
    """

    def __init__(
        self,
        prior: Prior,
        decoder: nn.Module,
        encoder: Encoder,
        discrepancy: Discrepancy | KL,
        cost: Cost | None = None,
        weight: float | Weight = 10.0,
    ) -> None:
        super().__init__(prior, decoder, encoder, cost)
        self.discrepancy: Discrepancy | KL = discrepancy
        self.weight = weight if isinstance(weight, Weight) else Weight(weight)

    def formula(self, s: Square) -> Terms:
        return super().formula(s) | {"discrepancy": float(self.weight) * self.discrepancy(*self.pair(s))}

    @property
    def discrepancy_weight(self) -> float | None:
        return float(self.weight)

    def update_state(self, s: Square, step: int, lr_factor: float) -> None:
        super().update_state(s, step, lr_factor)
        self.weight.update_state(s, step, lr_factor)


class VAE(WAE):
    r"""The variational auto-encoder, :math:`\min E\,c(G(z), x) + \lambda\,\mathrm{KL}(Q(Z \mid x), P_Z)`.

    With a likelihood as cost and :math:`\lambda = 1` the value is the negative evidence lower
    bound in nats; other weights make it a beta-VAE.

    Arguments:
        prior: A normal prior.
        decoder: Maps codes (N, L) to data (N, \*).
        encoder: Maps data to Gaussian laws of codes.
        cost: The negative log-likelihood of data.
        weight: The factor of the KL.
        free: Nats of each dimension that cost nothing; with any the value is no bound.

    References:
        | Auto-Encoding Variational Bayes (Kingma & Welling, 2014), equation 7
        | https://arxiv.org/abs/1312.6114
    """

    def __init__(
        self,
        prior: Prior,
        decoder: nn.Module,
        encoder: Encoder,
        cost: Cost,
        weight: float | Weight = 1.0,
        free: float = 0.0,
    ) -> None:
        super().__init__(prior, decoder, encoder, KL(free), cost, weight)

    def pair(self, s: Square) -> tuple[Any, Any]:
        return s.q, s.p

    @property
    def is_elbo(self) -> bool:
        assert isinstance(self.discrepancy, KL)
        return self.cost.likelihood and float(self.weight) == 1 and not self.discrepancy.free
