r"""Auto-encoders: one formula, three pairs.

.. math:: \min_{E, G}\; E\,c(G(E(x)), x) + \lambda\, D(\text{made}, \text{given})

A WAE compares the codes of a batch with draws of the prior; a VAE compares the distribution of each code with
the prior; a plain auto-encoder compares nothing, and cannot be sampled from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from pushforward.costs import KL, Cost, SquaredError
from pushforward.discrepancies import Discrepancy
from pushforward.distributions import Encoder, Prior
from pushforward.models.base import Comparison, Model, Terms
from pushforward.models.weight import Weight
from pushforward.rng import Noise
from pushforward.square import Square

Augment = Callable[[Tensor, Noise], Tensor]


class AutoEncoder(Model):
    r"""The plain auto-encoder, :math:`\min E\,c(G(E(x)), x)`, and what all auto-encoders have in common.

    Nothing constrains its codes: it is the baseline that shows what a discrepancy adds.

    ``decode(z)`` makes data of codes. The network ``decoder(z)`` makes what the cost compares with data,
    which are data themselves, but logits with the cost :class:`~pushforward.costs.Bernoulli`.

    Arguments:
        prior: The distribution :math:`P_Z`.
        decoder: Maps codes (N, L) to data (N, \*), or to their logits if that is what the cost needs.
        encoder: Maps data to distributions of codes.
        cost: Compares data, row by row; the squared error by default.
        augment: Maps a batch and noise to the batch that is reconstructed in training. The codes that a
            discrepancy compares remain those of the original batch.
    """

    def __init__(
        self,
        prior: Prior,
        decoder: nn.Module,
        encoder: Encoder,
        cost: Cost | None = None,
        *,
        augment: Augment | None = None,
    ) -> None:
        super().__init__()
        self.prior = prior
        self.decoder = decoder
        self.encoder = encoder
        self.cost = cost or SquaredError()
        self.discrepancy = None
        self.augment = augment

    def augmented(self, s: Square) -> Square:
        """The square whose reconstruction is scored: in training that of the augmented batch."""
        if self.augment is None or not self.training:
            return s
        return Square(self, self.augment(s.x, s.noise("rehearse")), s.noise, s.y)

    def reconstruction(self, s: Square) -> Any:
        """The decoder's output for the codes of the batch, which the cost compares with the data."""
        return s.GEx

    def pair(self, s: Square) -> tuple[Any, Any]:
        """What is compared: codes and draws of the prior."""
        return s.Ex, s.z

    def reconstruction_terms(self, s: Square) -> Terms:
        """The reconstruction error by name."""
        shown = self.augmented(s)
        return {"reconstruction": self.cost(self.reconstruction(shown), shown.x)}


class WAE(AutoEncoder):
    r"""The Wasserstein auto-encoder, :math:`\min E\,c(G(E(x)), x) + \lambda\, D(Q_Z, P_Z)`.

    With an MMD for D it is WAE-MMD, with an adversarial discrepancy WAE-GAN. For :math:`\lambda \to \infty`
    the value is the transport cost :math:`W_c(P_X, P_G)`.

    Arguments:
        prior: The distribution :math:`P_Z`.
        decoder: Maps codes (N, L) to data (N, \*).
        encoder: Maps data to distributions of codes.
        discrepancy: Compares a sample of codes with a sample of the prior.
        cost: Compares data, row by row.
        weight: The factor :math:`\lambda`, against a cost that is summed over features.
        augment: See :class:`AutoEncoder`.

    References:
        | Wasserstein Auto-Encoders (Tolstikhin et al., 2018), equation 4
        | https://arxiv.org/abs/1711.01558

    Example:
        >>> import torch, pushforward as pf
        >>> from pushforward.distributions import DeterministicEncoder, NormalPrior
        >>> from pushforward.rng import Noise
        >>> prior = NormalPrior(2)
        >>> model = WAE(prior, nn.Linear(2, 5), DeterministicEncoder(nn.Linear(5, 2)),
        ...             discrepancy=pf.MMD(pf.IMQ(prior.expected_sq_distance)), weight=10.0)
        >>> list(model.formula(Square(model, torch.rand(8, 5), Noise(0))))
        ['reconstruction', 'discrepancy']
    """

    def __init__(
        self,
        prior: Prior,
        decoder: nn.Module,
        encoder: Encoder,
        discrepancy: Discrepancy | KL,
        cost: Cost | None = None,
        weight: float | Weight = 10.0,
        *,
        augment: Augment | None = None,
    ) -> None:
        super().__init__(prior, decoder, encoder, cost, augment=augment)
        self.discrepancy: Discrepancy | KL = discrepancy
        self.weight = weight if isinstance(weight, Weight) else Weight(weight)

    def comparisons(self) -> Sequence[Comparison]:
        """Codes and draws of the prior, by a weighted discrepancy."""
        return [Comparison("discrepancy", self.pair, self.discrepancy, self.weight)]

    @property
    def discrepancy_weight(self) -> float | None:
        """The weight of the discrepancy, None where none is set."""
        return float(self.weight)

    def update_state(self, s: Square, step: int, lr_factor: float) -> None:
        """Lets the weight adapt after a step."""
        super().update_state(s, step, lr_factor)
        self.weight.update_state(s, step, lr_factor)


class VAE(WAE):
    r"""The variational auto-encoder, :math:`\min E\,c(G(z), x) + \lambda\,\mathrm{KL}(Q(Z \mid x), P_Z)`.

    With a negative log-likelihood as cost and :math:`\lambda = 1` the value is the negative evidence lower
    bound in nats; other weights make it a beta-VAE.

    With the cost :class:`~pushforward.costs.Bernoulli`, the usual one of data in [0, 1], ``decoder(z)`` gives
    logits, from :math:`-\infty` to :math:`\infty`; ``decode(z)`` gives data. Whoever takes the network out of
    the model applies a sigmoid himself.

    Arguments:
        prior: A normal prior.
        decoder: Maps codes (N, L) to data (N, \*), or to their logits if that is what the cost needs.
        encoder: Maps data to Gaussian distributions of codes.
        cost: The negative log-likelihood of data.
        weight: The factor of the KL.
        free: Free nats of each dimension (see :class:`~pushforward.costs.KL`); with any the value is no
            bound.
        augment: See :class:`AutoEncoder`.

    References:
        | Auto-Encoding Variational Bayes (Kingma & Welling, 2014), equation 7
        | https://arxiv.org/abs/1312.6114

    Example:
        >>> import torch, pushforward as pf
        >>> from pushforward.distributions import GaussianEncoder, NormalPrior
        >>> model = VAE(NormalPrior(2), nn.Linear(2, 5), GaussianEncoder(nn.Linear(5, 4)), pf.Bernoulli())
        >>> z = torch.randn(3, 2)
        >>> torch.equal(model.decode(z), model.decoder(z).sigmoid())
        True
    """

    def __init__(
        self,
        prior: Prior,
        decoder: nn.Module,
        encoder: Encoder,
        cost: Cost,
        weight: float | Weight = 1.0,
        free: float = 0.0,
        *,
        augment: Augment | None = None,
    ) -> None:
        super().__init__(prior, decoder, encoder, KL(free), cost, weight, augment=augment)

    def pair(self, s: Square) -> tuple[Any, Any]:
        """The distribution of each code, and the prior."""
        return s.q, s.p

    @property
    def is_elbo(self) -> bool:
        """Whether the loss is the negative evidence lower bound."""
        assert isinstance(self.discrepancy, KL)
        return self.cost.likelihood and float(self.weight) == 1 and not self.discrepancy.free


__all__ = ["VAE", "WAE", "Augment", "AutoEncoder"]
