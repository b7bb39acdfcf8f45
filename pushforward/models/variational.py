r"""Relatives of the VAE: other penalties on the information in codes, or a KL without densities."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.costs import KL, Cost
from pushforward.discrepancies import DensityRatio, Discrepancy
from pushforward.distributions import Encoder, Gaussian, NormalPrior, Prior
from pushforward.errors import ConfigError, nearest
from pushforward.models.autoencoder import WAE, Augment
from pushforward.models.base import Comparison, Terms
from pushforward.square import Square
from pushforward.torch_state import to_like
from pushforward.wording import option_name


class InfoVAE(WAE):
    r"""A VAE with a discrepancy between the aggregate posterior and the prior beside the KL.

    .. math:: E\,c(G(z), x) + (1 - \alpha)\,\mathrm{KL}(Q(Z \mid x), P_Z)
        + (\alpha + \lambda - 1)\,D(Q_Z, P_Z)

    With :math:`\alpha = 0, \lambda = 1` it is the VAE, with :math:`\alpha = 1` the WAE of weight
    :math:`\lambda`. Where :math:`\alpha + \lambda < 1` codes would be driven *away* from the prior.

    Arguments:
        prior: A normal prior.
        decoder: Maps codes (N, L) to data (N, \*).
        encoder: Maps data to Gaussian distributions of codes; with :math:`\alpha = 1` to any.
        discrepancy: Compares a sample of codes with a sample of the prior.
        cost: Compares data, sample by sample.
        alpha: One minus the factor of the KL, at most 1.
        weight: The factor :math:`\lambda`.
        augment: See :class:`~pushforward.models.autoencoder.AutoEncoder`.

    Raises:
        ConfigError: If :math:`\alpha > 1` or :math:`\alpha + \lambda - 1 < 0`.

    References:
        | InfoVAE: Balancing Learning and Inference in Variational Autoencoders (Zhao et al., 2019), eq. 6
        | https://arxiv.org/abs/1706.02262
    """

    def __init__(
        self,
        prior: Prior,
        decoder: nn.Module,
        encoder: Encoder,
        discrepancy: Discrepancy,
        cost: Cost,
        alpha: float = 0.0,
        weight: float = 1.0,
        *,
        augment: Augment | None = None,
    ) -> None:
        factor = round(alpha + weight - 1, 12)  # alpha and 1 - alpha may add up to a little less than 1
        if not (alpha <= 1 and factor >= 0):
            raise ConfigError(
                f"{option_name('alpha')} must be at most 1 and alpha + weight at least 1, got alpha "
                f"{alpha:g} and weight "
                f"{weight:g}: a discrepancy with a negative factor would drive codes away from the prior"
            )
        super().__init__(prior, decoder, encoder, discrepancy, cost, factor, augment=augment)
        self.alpha = alpha
        self.kl = KL()

    def extra_repr(self) -> str:
        """The settings that ``repr`` shows."""
        return f"alpha={self.alpha:g}"

    def comparisons(self) -> Sequence[Comparison]:
        """The KL divergence of single codes and the discrepancy of all codes."""
        both = super().comparisons()
        if self.alpha == 1:
            return both
        return [*both, Comparison("kl", lambda s: (s.q, s.p), self.kl, 1 - self.alpha)]

    @property
    def is_elbo(self) -> bool:
        """Whether the loss is the negative evidence lower bound."""
        return self.cost.likelihood and self.alpha == 0 and float(self.weight) == 0


# The penalty of each dimension, as a function of the logarithm of its variance over the prior's.
VARIANCE_PENALTIES: dict[str, Callable[[Tensor], Tensor]] = {
    "log": lambda ratio: ratio.abs(),
    "kl": lambda ratio: 0.5 * (ratio.exp() - 1 - ratio),
}


class RandomWAE(WAE):
    r"""A WAE with a random encoder, and a penalty that keeps its variance from collapsing.

    .. math:: E\,c(G(z), x) + \lambda\,D(Q_Z, P_Z)
        + \lambda_1\, E \textstyle\sum_j \left|\log \sigma_j^2(x) - \log \sigma_P^2\right|

    Data of few intrinsic dimensions cannot fill a prior of more by a function of the data; random codes can,
    with noise in the dimensions that are not needed. Without the last term that noise dies out.
    :math:`\sigma_P^2` is the prior's variance, 1 in the paper. With ``variance_penalty="kl"`` the term is
    :math:`\mathrm{KL}(N(\mu, \sigma^2) \| N(\mu, \sigma_P^2))` instead, which does not depend on the mean
    either.

    Arguments:
        encoder: Maps data to Gaussian or uniform distributions.
        variance_weight: The factor :math:`\lambda_1`.
        variance_penalty: "log" for the distance of log-variances, "kl" for the divergence.

    Raises:
        ConfigError: If the weight is below 0, or there is no such term.

    References:
        | On the Latent Space of Wasserstein Auto-Encoders (Rubenstein et al., 2018), section 4
        | https://arxiv.org/abs/1802.03761
        | Stochastic Wasserstein Autoencoder for Probabilistic Sentence Generation (Bahuleyan et al., 2019),
          equation 6
        | https://arxiv.org/abs/1806.08462
    """

    def __init__(
        self, *parts: Any, variance_weight: float, variance_penalty: str = "log", **more: Any
    ) -> None:
        super().__init__(*parts, **more)
        if variance_penalty not in VARIANCE_PENALTIES:
            raise ConfigError(
                f"unknown {option_name('variance_penalty')} {variance_penalty!r}: "
                f"{nearest(variance_penalty, VARIANCE_PENALTIES)}"
            )
        self.variance_penalty = variance_penalty
        if not 0 <= variance_weight < math.inf:
            raise ConfigError(
                f"{option_name('variance_weight')} must be a number of at least 0, got {variance_weight}"
            )
        self.variance_weight = variance_weight

    def extra_repr(self) -> str:
        """The settings that ``repr`` shows."""
        return f"variance_weight={self.variance_weight:g}, variance_penalty={self.variance_penalty}"

    def regularisers(self, s: Square) -> Terms:
        """The penalty that keeps the encoder's variance from collapsing."""
        log_var = getattr(s.q, "log_var", None)
        if log_var is None:
            raise ConfigError(
                "RandomWAE needs an encoder with variances (gaussian or uniform), "
                f"got {type(s.q).__name__} codes"
            )
        penalty = (
            VARIANCE_PENALTIES[self.variance_penalty](log_var - math.log(self.prior.variance))
            .sum(dim=1)
            .mean()
        )
        return {"noise": self.variance_weight * penalty}


class AVB(WAE):
    r"""Adversarial variational Bayes: a VAE whose encoder has no density, its KL estimated by a critic.

    .. math:: E\,[-\log p(x \mid z)] + E_{q(z \mid x)}\, T(x, z),
        \qquad T^* = \log q(z \mid x) - \log p(z)

    The critic compares :math:`(x, z)` with z from the encoder and from the prior. With *adaptive contrast*
    it has less to learn: :math:`r(z \mid x) = N(\mu(x), \sigma^2(x))` takes the encoder's own moments, so
    that :math:`\mathrm{KL} = E\,[\log r - \log p] + \mathrm{KL}(\tilde q, N(0, I))` for the codes
    :math:`\tilde z = (z - \mu)/\sigma`, which are nearly standard already.

    With a critic that is not the best one the sum is *no* bound; read it beside an
    importance-weighted estimate.

    Arguments:
        prior: A normal prior.
        decoder: Maps codes (N, L) to data (N, \*).
        encoder: Maps data to any distributions of codes.
        critic: The function T of rows (N, D + L): flattened data, then codes.
        cost: The negative log-likelihood of data.
        adaptive_contrast: Whether to use adaptive contrast.
        n_critic: Updates of the critic for each of the model.

    References:
        | Adversarial Variational Bayes (Mescheder et al., 2017), equations 3.3 and 3.7, and section 4
        | https://arxiv.org/abs/1701.04722
    """

    def __init__(
        self,
        prior: NormalPrior,
        decoder: nn.Module,
        encoder: Encoder,
        critic: nn.Module,
        cost: Cost,
        adaptive_contrast: bool = True,
        n_critic: int = 1,
    ) -> None:
        super().__init__(prior, decoder, encoder, DensityRatio(critic, n_critic=n_critic), cost, 1.0)
        self.adaptive_contrast = adaptive_contrast

    def extra_repr(self) -> str:
        """The settings that ``repr`` shows."""
        return f"adaptive_contrast={self.adaptive_contrast}"

    def reference(self, s: Square) -> Gaussian:
        """The distribution r that codes are standardised by: each row's own moments; else the prior."""
        r = s.moments if self.adaptive_contrast else s.p
        assert isinstance(r, Gaussian)
        return r

    def pair(self, s: Square) -> tuple[Tensor, Tensor]:
        """Data beside their codes, and the same data beside draws of the prior."""
        r, noise = self.reference(s), to_like(s.noise("contrast").normal(*s.Ex.shape), s.Ex)
        codes = (s.Ex - r.center) * (-r.log_var / 2).exp(), noise
        made, given = (torch.cat([s.x.flatten(1), z], dim=1) for z in codes)
        return made, given

    def regularisers(self, s: Square) -> Terms:
        """The contrast of adaptive contrast, where it is on."""
        r, p = self.reference(s), s.p
        assert isinstance(p, Gaussian)
        return {"contrast": (r.log_prob(s.Ex) - p.log_prob(s.Ex)).mean()}

    @property
    def estimates_elbo(self) -> bool:
        """Whether the loss estimates the negative evidence lower bound."""
        return self.cost.likelihood

    @property
    def discrepancy_weight(self) -> None:
        """The weight of the discrepancy, None where none is set."""
        return None
