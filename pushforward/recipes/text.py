"""Auto-encoders that were made for text: a prior that is learnt, and labels that are styles."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

import torch.nn.functional as F
from torch import Tensor, nn

from pushforward.data.spec import DataSpec
from pushforward.discrepancies import IMQ, MMD, Clipping, GradientPenalty, JensenShannon, Wasserstein
from pushforward.distributions import GeneratorPrior, NormalPrior
from pushforward.errors import ConfigError, DataError
from pushforward.models import ARAE, TransferAE
from pushforward.networks import mlp
from pushforward.networks.architectures import NETWORKS as ARCHITECTURES
from pushforward.options import option
from pushforward.recipes.build import describe_cost, finish
from pushforward.recipes.options import ENCODER_DECODER, NETWORKS
from pushforward.recipes.parts import assemble, networks_for
from pushforward.recipes.presets import Values, small
from pushforward.recipes.recipe import LEARNT_PRIOR, TRANSFER, OwnParts, Setup, recipe
from pushforward.recipes.settings import AutoEncoderSettings, LearntPriorSettings
from pushforward.text.networks import DecoderPerClass, TextDecoder
from pushforward.training import adam
from pushforward.wording import option_name

UNIT = 300**0.5  # papers put codes of 300 numbers on the sphere of radius 1, we on the one of this radius


class ARAESettings(LearntPriorSettings):
    """Options of ``arae``.

    Attributes:
        prior_lr: Learning rate of the prior.
        critic_beta1: First moment of Adam for prior and critic.
    """

    weight: float = option("The factor λ, against a cost that is summed over tokens.", 1.0, ge=0)
    n_critic: int = option("Updates of the critic for each update of the model.", 2, ge=1)
    latent_noise: float = option(
        "Standard deviation of the noise on codes that are decoded, in training, at the first step, relative "
        "to codes of mean square 1: 0.1; with preset 'paper' 3.5, with 'official' 0.87.",
        0.1, ge=0,
    )  # fmt: skip
    latent_noise_decay: float = option(
        "What that standard deviation is multiplied by every 100 steps: 0.9995, with preset 'paper' 0.995.",
        0.9995, gt=0, le=1,
    )  # fmt: skip
    gp_weight: float = option(
        "The factor of the critic's gradient penalty: 1; with 0, as in preset 'paper', weights are clipped "
        "instead.",
        1.0, ge=0,
    )  # fmt: skip
    prior_lr: float = 5e-4
    critic_beta1: float = 0.5

    def with_options(self, given: Mapping[str, Any], spec: DataSpec) -> Self:
        """See :meth:`Settings.with_options`. An epoch counts the batches of the critic as well."""
        changed = super().with_options(given, spec)
        return replace(changed, epochs=changed.epochs * changed.n_critic)


def _published(spec: DataSpec, **changes: Any) -> Values:
    widths = (300, 300)
    return small(
        spec, latent_dim=300, critic_widths=widths, prior_widths=widths, epochs=15, n_critic=5, **changes
    )


@recipe(
    "arae", family=LEARNT_PRIOR, settings=ARAESettings,
    presets={
        "small": lambda spec: small(spec, weight=0.3),
        "paper": lambda spec: _published(
            spec, weight=12.0 / UNIT, critic_lr=1e-5, latent_noise=0.2 * UNIT, latent_noise_decay=0.995,
            gp_weight=0.0, prior_lr=5e-5, critic_beta1=0.9,
        ),
        "official": lambda spec: _published(
            spec, weight=1.2 / UNIT, critic_lr=1e-4, latent_noise=0.05 * UNIT, prior_lr=1e-4
        ),
    },
    options=(
        "latent_dim", *NETWORKS, "weight", "noise_dim", "latent_noise", "latent_noise_decay", "n_critic",
        "gp_weight", "critic_lr",
    ),
    parts=(*ENCODER_DECODER, "critic", "discrepancy"),
)  # fmt: skip
def arae(spec: DataSpec, settings: ARAESettings, own: OwnParts) -> Setup:
    r"""Adversarially regularised auto-encoder: codes on a sphere and a learnt prior, compared by a
    Wasserstein critic.

    .. math:: \min_{E, G, g}\; E\,c(G(E(x) + \varepsilon), x) + \lambda\, W_1(g_\# N(0, I), Q_Z)

    With preset "paper" the critic's weights are clipped, as in the paper and the code of 2017; with
    "official" its gradient is penalised, as in the code of 2018. Noise, learning rates of critic and prior,
    and widths of both are theirs. Networks of lines are ours; Adam updates all players, where the code
    updates encoder and decoder by plain gradient descent at rate 1; and the code of 2017 rescales the
    encoder's adversarial gradient, which is not done here. λ multiplies the discrepancy beside a cost summed
    over tokens, which the code averages: 12 here is 1 there on lines of 12 tokens.

    The sphere has the radius :math:`\sqrt L`, so that codes have mean square 1, from which networks learn:
    theirs has the radius 1, so that weight and noise of "paper" and "official" are converted.

    References:
        | Adversarially Regularized Autoencoders (Zhao et al., 2018), algorithm 1 and appendix
        | https://arxiv.org/abs/1706.04223

    Example:
        >>> [player.name for player in arae(open_dataset("digits").spec, latent_dim=8).model.players()]
        ['model', 'prior', 'critic']
    """
    net = mlp(settings.noise_dim, settings.latent_dim, settings.prior_widths, activation=nn.ReLU)
    prior = GeneratorPrior(net, NormalPrior(settings.noise_dim), settings.latent_dim, path="spherical")
    parts = assemble(settings, spec, own, prior=prior, to_support=on_sphere)
    critic = own.critic or mlp(settings.latent_dim, 1, settings.critic_widths, norm=None)
    constraint = GradientPenalty(settings.gp_weight) if settings.gp_weight else Clipping(0.01)
    discrepancy = own.discrepancy or Wasserstein(critic, n_critic=settings.n_critic, constraint=constraint)
    model = parts.build(
        ARAE, discrepancy, weight=parts.weight, latent_noise=settings.latent_noise,
        latent_noise_decay=settings.latent_noise_decay,
    )  # fmt: skip
    name = own.discrepancy_name("the critic's Wasserstein bound")
    description = (
        f"weight {float(parts.weight):g} times {name}, between codes on the sphere of radius "
        f"{math.sqrt(settings.latent_dim):.3g} and a learnt prior; "
        f"the cost is {describe_cost(model.cost, spec)}"
    )
    optimizers = {
        "prior": adam(settings.prior_lr, (settings.critic_beta1, 0.999)),
        "critic": adam(settings.critic_lr, (settings.critic_beta1, 0.999)),
    }
    return finish(model, spec, settings, description, optimizers)


def on_sphere(z: Tensor) -> Tensor:
    """Codes (N, L) on the sphere of radius √L, where a number has mean square 1."""
    return math.sqrt(z.shape[-1]) * F.normalize(z, dim=-1)


class TransferSettings(AutoEncoderSettings):
    """Options of ``transfer-ae``."""

    weight: float = option("The factor λ, against a cost that is summed over tokens.", 1.0, ge=0)
    conditional: bool = True
    style_weight: float = option("The factor μ of the discrepancy between styles, by default 20.", 20.0, ge=0)
    paired_fraction: float = option("Share of the pairs that are used, by default none.", 0.0, ge=0, le=1)
    shared_decoder: bool = option(
        "Whether one decoder receives the label (the default), or each label has a decoder of its own.",
        True, modality="text",
    )  # fmt: skip


@recipe(
    "transfer-ae", family=TRANSFER, settings=TransferSettings,
    presets={"small": lambda spec: small(spec, share=0.5)},
    options=(
        "latent_dim", *NETWORKS, "weight", "style_weight", "paired_fraction", "shared_decoder", "critic_lr",
    ),
    parts=(*ENCODER_DECODER, "critic", "discrepancy"),
)  # fmt: skip
def transfer_ae(spec: DataSpec, settings: TransferSettings, own: OwnParts) -> Setup:
    r"""Style transfer: codes that are independent of which of two labels a row has, decoded under the other.

    .. math:: E\,c(G(E(x), y), x) + \lambda\,\mathrm{MMD}^2(Q_Z, P_Z) + \mu\, D_T(Q_{Z \mid 1}, Q_{Z \mid 0})

    Data need labels of two classes. Where rows come in pairs that say the same under both labels, a share of
    the pairs can be used: what a row's code decodes to under the other label is then compared with the paired
    row.

    References:
        | Adversarially Regularized Autoencoders (Zhao et al., 2018), section 3, "unaligned transfer"
        | https://arxiv.org/abs/1706.04223
        | Style Transfer from Non-Parallel Text by Cross-Alignment (Shen et al., 2017)
        | https://arxiv.org/abs/1705.09655

    Example:
        >>> import torch
        >>> data = open_dataset((torch.rand(100, 3), torch.arange(100) % 2))
        >>> [player.name for player in transfer_ae(data.spec, latent_dim=2).model.players()]
        ['model', 'critic_style']
    """
    if spec.n_classes != 2:
        files = ": a folder with one text file for each of two styles" if spec.modality == "text" else ""
        raise DataError(f"transfer-ae needs labels of 2 classes{files}; {spec.name} has {spec.n_classes}")
    decoder = None
    if not settings.shared_decoder:
        if own.decoder is not None:
            raise ConfigError(
                f"{option_name('shared_decoder', False)} makes its own decoders; leave out either it or "
                "decoder"
            )
        decoder = decoder_per_class(settings, spec)
    parts = assemble(settings, spec, own, decoder=decoder, conditional_encoder=False)
    critic = own.critic or mlp(settings.latent_dim, 1, settings.critic_widths, norm=None)
    discrepancy = own.discrepancy or MMD(IMQ(parts.prior.expected_sq_distance))
    model = parts.build(
        TransferAE, discrepancy, JensenShannon(critic), weight=parts.weight,
        style_weight=settings.style_weight,
    )  # fmt: skip
    name = own.discrepancy_name("MMD²")
    description = (
        f"weight {float(parts.weight):g} times {name} to the prior, {settings.style_weight:g} times a "
        f"Jensen-Shannon bound between codes of the two labels, {100 * settings.paired_fraction:g} % of "
        f"pairs used; the cost is {describe_cost(model.cost, spec)}"
    )
    optimizers = {"critic_style": adam(settings.critic_lr, (0.5, 0.999))}
    return finish(model, spec, settings, description, optimizers, paired_fraction=settings.paired_fraction)


def decoder_per_class(settings: TransferSettings, spec: DataSpec) -> nn.Module:
    """A decoder of lines for each of two labels."""
    network = networks_for(settings, ARCHITECTURES, spec)
    decoders = [
        network.decoder(settings.latent_dim, spec.network_shape, dropout=settings.word_dropout)
        for label in range(2)
    ]
    return DecoderPerClass([decoder for decoder in decoders if isinstance(decoder, TextDecoder)])
