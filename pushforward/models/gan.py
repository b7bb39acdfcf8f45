r"""Models in data space: decoded draws of the prior are compared with data.

.. math:: \min_G\; D(G_\# P_Z, P_X)

One formula for GAN, f-GAN, LSGAN, WGAN, EBGAN, BEGAN, MMD-GAN and GMMN: they differ in the discrepancy.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from pushforward.costs import SquaredError
from pushforward.discrepancies import Discrepancy
from pushforward.distributions import OneHotPrior, Prior, ProductPrior
from pushforward.errors import ConfigError
from pushforward.models.base import Comparison, Model, Terms
from pushforward.networks import once
from pushforward.square import Square


class GAN(Model):
    r"""Decoded draws of the prior compared with data by any discrepancy, :math:`\min_G D(G_\# P_Z, P_X)`.

    With an adversarial discrepancy it is a generative adversarial network; with an MMD, which needs no
    critic, a generative moment matching network. The decoder makes data, not logits.

    Arguments:
        prior: The distribution :math:`P_Z`.
        decoder: G, maps codes (N, L) to data (N, \*).
        discrepancy: Compares a sample of what is made with a sample of data.

    References:
        | Generative Adversarial Nets (Goodfellow et al., 2014), equation 1
        | https://arxiv.org/abs/1406.2661
        | Generative Moment Matching Networks (Li et al., 2015), section 4
        | https://arxiv.org/abs/1502.02761

    Example:
        >>> import pushforward as pf
        >>> from pushforward.distributions import NormalPrior
        >>> from pushforward.rng import Noise
        >>> model = GAN(NormalPrior(2), nn.Linear(2, 5), pf.JensenShannon(nn.Linear(5, 1)))
        >>> [player.name for player in model.players()]
        ['model', 'critic']
        >>> sorted(model.formula(Square(model, torch.rand(8, 5), Noise(0))))
        ['discrepancy']
    """

    def __init__(self, prior: Prior, decoder: nn.Module, discrepancy: Discrepancy) -> None:
        super().__init__()
        self.prior = prior
        self.decoder = decoder
        self.discrepancy: Discrepancy = discrepancy
        self.cost = SquaredError()  # says that the decoder's output is the data

    def pair(self, s: Square) -> tuple[Tensor, Tensor]:
        """Samples and data."""
        return s.Gz, s.x


class CodePosterior(nn.Module):
    r"""Infers the code that a row was decoded from: :math:`\log r(c \mid x)`, block by block.

    Classes are categorical; other blocks are Gaussian, :math:`N(\mu(x), \sigma^2)` with a fixed standard
    deviation or one that is a function of the row.

    Arguments:
        trunk: Maps data (N, \*) to features; a critic may share it.
        head: Maps features to the numbers that the blocks need: K for K classes, and L, or 2L with a learnt
            deviation, for L numbers.
        blocks: The blocks of the code that are to be read, by name.
        std: The standard deviation of Gaussian blocks, or "learnt".

    Raises:
        ConfigError: If there is no block, or the deviation is not above 0.
    """

    def __init__(
        self,
        trunk: nn.Module,
        head: nn.Module,
        blocks: dict[str, Prior],
        std: float | Literal["learnt"] = 1.0,
    ) -> None:
        super().__init__()
        if not blocks:
            raise ConfigError("CodePosterior needs at least one block, got none")
        if std != "learnt" and (isinstance(std, str) or not 0 < std < math.inf):
            raise ConfigError(f"std must be above 0 or 'learnt', got {std}")
        self.trunk = trunk
        self.head = head
        self.blocks = blocks
        self.std = std

    def extra_repr(self) -> str:
        """The settings that ``repr`` shows."""
        return f"blocks={list(self.blocks)}, std={self.std}"

    @staticmethod
    def sizes(blocks: dict[str, Prior], std: float | str) -> list[int]:
        """How many numbers the head makes for each block."""
        pairs = std == "learnt"
        return [
            block.latent_dim * (1 + (pairs and not isinstance(block, OneHotPrior)))
            for block in blocks.values()
        ]

    def read(self, x: Tensor) -> dict[str, Tensor]:
        """The numbers of each block, from data (N, \\*)."""
        sizes = self.sizes(self.blocks, self.std)
        return dict(zip(self.blocks, self.head(self.trunk(x)).split(sizes, dim=1), strict=True))

    def log_prob(self, codes: dict[str, Tensor], x: Tensor) -> dict[str, Tensor]:
        """The log-likelihood (N,) of each block's codes, in nats."""
        found = {}
        for name, numbers in self.read(x).items():
            code = codes[name]
            if isinstance(self.blocks[name], OneHotPrior):
                found[name] = (code * numbers.log_softmax(1)).sum(1)
                continue
            if self.std == "learnt":
                mean, log_std = numbers.chunk(2, dim=1)
                log_std = log_std.clamp(-5, 5)
            else:
                mean, log_std = numbers, torch.full_like(numbers, math.log(float(self.std)))
            squares = ((code - mean) * (-log_std).exp()).square()
            found[name] = -0.5 * (squares + 2 * log_std + math.log(2 * math.pi)).sum(1)
        return found

    def class_probabilities(self, x: Tensor) -> Tensor | None:
        """The probabilities (N, K) of the first block of classes, or None if there is none."""
        for name, numbers in self.read(x).items():
            if isinstance(self.blocks[name], OneHotPrior):
                return numbers.softmax(1)
        return None


class InfoGAN(GAN):
    r"""A GAN that maximises the information that samples hold about their codes.

    .. math:: \min_{G, r} D(G_\# P_Z, P_X) - w\, E \log r(c \mid G(c, \cdot)), \qquad
        I(c; G) \ge E \log r(c \mid G(c, \cdot)) + H(c)

    The critic descends the code's terms too: it shares its trunk with r, and a trunk trained for the
    discrepancy alone would lose the code. The head of r is updated with the model. Layers that both share are
    evaluated once for each sample.

    Arguments:
        prior: Independent blocks; those that ``code_posterior`` names are inferred.
        decoder: G, maps codes (N, L) to data (N, \*).
        discrepancy: Compares a sample of what is made with a sample of data.
        code_posterior: Infers codes from data.
        weight: The factor w.

    Raises:
        ConfigError: If the weight is below 0, or the posterior infers a block that the prior does not
            have.

    References:
        | InfoGAN: Interpretable Representation Learning by Information Maximizing Generative Adversarial Nets
          (Chen et al., 2016), equations 5 and 6
        | https://arxiv.org/abs/1606.03657
    """

    prior: ProductPrior

    def __init__(
        self,
        prior: ProductPrior,
        decoder: nn.Module,
        discrepancy: Discrepancy,
        code_posterior: CodePosterior,
        weight: float = 1.0,
    ) -> None:
        super().__init__(prior, decoder, discrepancy)
        if not 0 <= weight < math.inf:
            raise ConfigError(f"the weight of information must be at least 0, got {weight}")
        unknown = [name for name in code_posterior.blocks if name not in prior.sizes]
        if unknown:
            raise ConfigError(f"the prior has blocks {', '.join(prior.sizes)}, not {', '.join(unknown)}")
        self.code_posterior = code_posterior
        self.weight = weight

    def extra_repr(self) -> str:
        """The settings that ``repr`` shows."""
        return f"weight={self.weight:g}"

    def regularisers(self, s: Square) -> Terms:
        """Minus the weighted log-likelihood of each block, in nats, given the sample made from it."""
        likelihood = self.code_posterior.log_prob(self.prior.split(s.z), s.Gz)
        return {f"code_{name}": -self.weight * value.mean() for name, value in likelihood.items()}

    def formula(self, s: Square) -> Terms:
        """The discrepancy, and the weighted bound on the mutual information of codes and samples."""
        with once(self.code_posterior.trunk):
            return super().formula(s)

    def critic_loss(self, comparison: Comparison, s: Square) -> Terms:
        """The loss of the critic, and that of the codes' posterior."""
        with once(self.code_posterior.trunk):
            return super().critic_loss(comparison, s) | self.regularisers(s)

    @torch.no_grad()
    def diagnostics(self, s: Square) -> Terms:
        """``information_<block>``: the lower bound on I(c; x), at most the class's entropy; in nats."""
        found = super().diagnostics(s)
        for name, block in self.code_posterior.blocks.items():
            if isinstance(block, OneHotPrior):
                read = self.code_posterior.log_prob(self.prior.split(s.z), s.Gz)[name].mean()
                found[f"information_{name}"] = read + math.log(block.classes)
        return found

    def class_probabilities(self, x: Tensor) -> Tensor | None:
        """Probabilities (N, K) of the categorical code, given data; None without one."""
        return self.code_posterior.class_probabilities(x)


__all__ = ["GAN", "CodePosterior", "InfoGAN"]
