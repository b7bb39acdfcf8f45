"""Adversarial auto-encoders.

At every step encoder and decoder reconstruct, the critics are updated, then the encoder against them, and
where labels are known the encoder on those: each with an optimizer of its own, so that learning rates take
the place of a weight.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from torch import nn

from pushforward.data.spec import DataSpec
from pushforward.discrepancies import Blockwise, JensenShannon
from pushforward.distributions import NormalPrior, OneHotPrior, ProductPrior
from pushforward.errors import ConfigError
from pushforward.models import AAE, ClusterHeads, LabelRegularisedAAE, ReductionAAE, SemiSupervisedAAE
from pushforward.networks import BatchNormColumns, GaussianNoise, mlp, official_init
from pushforward.options import option
from pushforward.recipes.build import describe_cost, finish, optimizer
from pushforward.recipes.options import ADVERSARIAL, ENCODER_DECODER
from pushforward.recipes.parts import assemble
from pushforward.recipes.presets import Values, small
from pushforward.recipes.recipe import ADVERSARIAL as FAMILY
from pushforward.recipes.recipe import OwnParts, Setup, recipe
from pushforward.recipes.settings import AdversarialSettings
from pushforward.training.player_state import Optimizing
from pushforward.wording import option_name, plural


def quick(spec: DataSpec, **changes: Any) -> Values:
    """Values for a run of minutes on two cores."""
    batch_size = min(100, small(spec)["batch_size"])
    return small(
        spec, lr=1e-3, batch_size=batch_size, critic_lr=5e-4, critic_widths=(256, 256), encoder_lr=5e-4,
        truncated=False, epochs=6000 * batch_size / spec.n_train,
    ) | changes  # fmt: skip


def quick_with_classes(spec: DataSpec, **changes: Any) -> Values:
    """The same for codes with classes: noise on the input, and convolutions, which separate digits better."""
    network = {"text": "gru", "image": "conv-mlp", "vector": "mlp", "table": "table-autoregressive"}[
        spec.modality
    ]
    return quick(spec, input_noise=0.3 if spec.in_unit_interval else 0.0, network=network) | changes


def as_printed(**changes: Any) -> Values:
    """What the paper prints for MNIST: two layers of 1000, SGD with momentum, rates divided by 10 twice."""
    return dict(
        latent_dim=8, network="mlp-wide", critic_widths=(1000, 1000), official_init=True, epochs=5000,
        schedule="step-decay", lr=0.01, critic_lr=0.1, encoder_lr=0.1, label_lr=0.1, optimizer="sgd",
        truncated=False,
    ) | changes  # fmt: skip


def optimizers(settings: AdversarialSettings) -> dict[str, Optimizing]:
    """The optimizer of every player; those that play against each other have less momentum."""
    sgd = settings.optimizer == "sgd"
    alone, opposed = (0.9, 0.1) if sgd else (settings.beta1, 0.5)
    return {
        "model": optimizer(settings.optimizer, settings.lr, alone),
        "labels": optimizer(settings.optimizer, settings.label_lr, alone),
        "critic": optimizer(settings.optimizer, settings.critic_lr, opposed),
        "encoder": optimizer(settings.optimizer, settings.encoder_lr, opposed),
    }


def make_critic(inputs: int, settings: AdversarialSettings) -> nn.Module:
    """A critic, with noise on its input if the settings say so."""
    net = mlp(inputs, 1, settings.critic_widths, norm=None)
    if settings.official_init:
        official_init(net)
    return nn.Sequential(GaussianNoise(settings.critic_noise), net) if settings.critic_noise else net


def make_discrepancy(inputs: int, settings: AdversarialSettings, own: OwnParts) -> JensenShannon:
    """The Jensen-Shannon divergence by a critic of so many inputs, or by the user's own."""
    critic = own.critic or make_critic(inputs, settings)
    return JensenShannon(critic, settings.non_saturating, settings.n_critic)


def blocks(settings: AdversarialSettings, n_classes: int) -> tuple[ProductPrior, Blockwise]:
    """A prior of classes and style, and an adversarial discrepancy for each."""
    style = NormalPrior(settings.latent_dim, settings.prior_std)
    prior = ProductPrior({"y": OneHotPrior(n_classes), "z": style})
    by_block = {
        name: JensenShannon(make_critic(n, settings), settings.non_saturating)
        for name, n in prior.sizes.items()
    }
    return prior, Blockwise(by_block, prior.sizes, settings.n_critic)


def check_classes(spec: DataSpec, settings: AdversarialSettings, name: str) -> int:
    """The number of classes of data whose labels are needed.

    Raises:
        ConfigError: If there are none, or fewer labels are wanted than there are classes.
    """
    if spec.n_classes < 2:
        raise ConfigError(f"{name} needs labels of at least 2 classes; {spec.name} has {spec.n_classes}")
    if settings.n_labels is not None and settings.n_labels < spec.n_classes:
        raise ConfigError(
            f"{option_name('n_labels')} must be at least {spec.n_classes}, one of each class of "
            f"{spec.name}, got "
            f"{settings.n_labels}"
        )
    return spec.n_classes


def labels_used(settings: AdversarialSettings) -> str:
    """How many labels are used, in words."""
    n = settings.n_labels
    if n is None:
        return "all labels are used"
    return f"{n} {plural(n, 'label')} {plural(n, 'is')} used"


def finish_aae(model: AAE, spec: DataSpec, settings: AdversarialSettings, words: str) -> Setup:
    """The setup of a model that compares codes; ``words`` say with what."""
    cost = describe_cost(model.cost, spec)
    description = f"no weight: every player has its own learning rate; the cost is {cost}; {words}"
    return finish(model, spec, settings, description, optimizers(settings), settings.n_labels)


@recipe(
    "aae", family=FAMILY, settings=AdversarialSettings,
    presets={"small": quick, "paper": lambda spec: as_printed()},
    options=("latent_dim", *ADVERSARIAL, "prior", "posterior", "conditional"),
    parts=(*ENCODER_DECODER, "critic", "discrepancy", "prior"),
)  # fmt: skip
def aae(spec: DataSpec, settings: AdversarialSettings, own: OwnParts) -> Setup:
    r"""Adversarial auto-encoder: codes follow any prior that can be sampled, by a critic.

    .. math:: \min_{E, G} E\,c(G(E(x)), x), \qquad \min_E \max_T B_T(Q_Z, P_Z)

    With posterior "implicit" it is the universal approximator of the paper.

    References:
        Adversarial Autoencoders (Makhzani et al., 2015), section 2, https://arxiv.org/abs/1511.05644

    Example:
        >>> [player.name for player in aae(open_dataset("digits").spec).model.players()]
        ['model', 'critic', 'encoder']
    """
    parts = assemble(settings, spec, own)
    discrepancy = own.discrepancy or make_discrepancy(parts.prior.latent_dim, settings, own)
    model = parts.build(AAE, discrepancy)
    return finish_aae(model, spec, settings, f"codes are compared with {parts.prior}")


class PlanarSettings(AdversarialSettings):
    """Options of ``aae-label-regularised``."""

    prior: Literal["mixture", "swiss-roll"] = option(
        "A prior of ten classes in the plane: a mixture of Gaussians, or stretches of a swiss-roll.",
        "mixture",
    )


@recipe(
    "aae-label-regularised", family=FAMILY, settings=PlanarSettings,
    presets={
        "small": lambda spec: quick(spec, latent_dim=2),
        "paper": lambda spec: as_printed(latent_dim=2),
    },
    options=(*ADVERSARIAL, "n_labels", "prior", "posterior"), parts=(*ENCODER_DECODER, "critic"),
)  # fmt: skip
def aae_label_regularised(spec: DataSpec, settings: PlanarSettings, own: OwnParts) -> Setup:
    r"""Adversarial auto-encoder whose critic receives labels: each class has its own part of the prior.

    .. math:: \min_{E, G} E\,c(G(E(x)), x), \qquad
        \min_E \max_T B_T\big((E(x), \ell), (z, \ell)\big), \; z \sim P_Z(\cdot \mid \ell)

    A critic of your own maps (N, 2 + classes + 1) to (N, 1).

    References:
        | Adversarial Autoencoders (Makhzani et al., 2015), sections 2.3 and 3, figure 4
        | https://arxiv.org/abs/1511.05644

    Example:
        >>> aae_label_regularised(open_dataset("digits").spec).model.prior
        MixturePrior(latent_dim=2, components=10)
    """
    n_classes = check_classes(spec, settings, "aae-label-regularised")
    parts = assemble(settings, spec, own)
    if parts.prior.classes < n_classes:
        raise ConfigError(
            f"{parts.prior} has parts for {parts.prior.classes} classes, {spec.name} has {n_classes}"
        )
    discrepancy = make_discrepancy(parts.prior.latent_dim + parts.prior.classes + 1, settings, own)
    model = parts.build(LabelRegularisedAAE, discrepancy)
    words = f"each class is compared with its own part of {parts.prior}; {labels_used(settings)}"
    return finish_aae(model, spec, settings, words)


class SupervisedSettings(AdversarialSettings):
    """Options of ``aae-supervised``."""

    conditional: bool = True
    conditional_critic: bool = option(
        "Whether the critic receives the label too, so that styles are independent of it: by default yes, "
        "with preset 'paper', as in the paper, no.",
        True,
    )


@recipe(
    "aae-supervised", family=FAMILY, settings=SupervisedSettings,
    presets={
        "small": lambda spec: quick(spec, latent_dim=15, encoder_lr=1e-3),
        "paper": lambda spec: as_printed(latent_dim=15, conditional_critic=False),
    },
    options=("latent_dim", *ADVERSARIAL, "conditional_critic", "prior", "posterior"),
    parts=(*ENCODER_DECODER, "critic", "prior"),
)  # fmt: skip
def aae_supervised(spec: DataSpec, settings: SupervisedSettings, own: OwnParts) -> Setup:
    r"""Adversarial auto-encoder whose decoder receives the label: codes keep the style alone.

    .. math:: \min_{E, G} E\,c(G(y, E(x)), x), \qquad \min_E \max_T B_T(Q_Z, P_Z)

    References:
        Adversarial Autoencoders (Makhzani et al., 2015), section 4, https://arxiv.org/abs/1511.05644

    Example:
        >>> aae_supervised(open_dataset("digits").spec).model.classes
        10
    """
    n_classes = check_classes(spec, settings, "aae-supervised")
    parts = assemble(settings, spec, own, conditional_encoder=False)
    together = settings.conditional_critic
    inputs = parts.prior.latent_dim + (n_classes + 1 if together else 0)
    discrepancy = make_discrepancy(inputs, settings, own)
    model = parts.build(LabelRegularisedAAE if together else AAE, discrepancy)
    who = "decoder and critic receive" if together else "the decoder receives"
    return finish_aae(model, spec, settings, f"styles are compared with {parts.prior}; {who} the label")


@recipe(
    "aae-semi-supervised", family=FAMILY, settings=AdversarialSettings,
    presets={
        "small": lambda spec: quick_with_classes(spec, latent_dim=10),
        "paper": lambda spec: as_printed(latent_dim=10, input_noise=0.3),
    },
    options=("latent_dim", *ADVERSARIAL, "n_labels", "label_lr", "critic_noise"),
)  # fmt: skip
def aae_semi_supervised(spec: DataSpec, settings: AdversarialSettings, own: OwnParts) -> Setup:
    r"""Semi-supervised adversarial auto-encoder: codes of a class and a style, with the class of a few rows
    known.

    .. math:: \min_{E, G} E\,c(G(\hat y, z), x), \quad
        \min_E \max_T B_{T_y}(\hat y, \mathrm{Cat}) + B_{T_z}(z, P_Z), \quad \min_E -\log \hat y_y

    References:
        Adversarial Autoencoders (Makhzani et al., 2015), section 5, https://arxiv.org/abs/1511.05644

    Example:
        >>> [player.name for player in aae_semi_supervised(open_dataset("digits").spec).model.players()]
        ['model', 'critic', 'encoder', 'labels']
    """
    n_classes = check_classes(spec, settings, "aae-semi-supervised")
    prior, discrepancy = blocks(settings, n_classes)
    parts = assemble(settings, spec, own, prior=prior)
    model = parts.build(SemiSupervisedAAE, discrepancy)
    words = f"{n_classes} classes and a style of {settings.latent_dim}; {labels_used(settings)}"
    return finish_aae(model, spec, settings, words)


class ClusteringSettings(AdversarialSettings):
    """Options of ``aae-clustering``."""

    n_clusters: int = option("Number of clusters, by default 16.", 16, ge=1)


@recipe(
    "aae-clustering", family=FAMILY, settings=ClusteringSettings,
    presets={
        # A weaker encoder leaves classes soft, and the decoder reads them as more style.
        "small": lambda spec: quick_with_classes(
            spec, latent_dim=10, encoder_lr=1.5e-3,
            **({"network": "conv-mlp-no-batchnorm"} if spec.modality == "image" else {}),
        ),
        "paper": lambda spec: as_printed(latent_dim=10, input_noise=0.3),
    },
    options=("latent_dim", *ADVERSARIAL, "n_clusters", "critic_noise"),
)  # fmt: skip
def aae_clustering(spec: DataSpec, settings: ClusteringSettings, own: OwnParts) -> Setup:
    r"""Clustering adversarial auto-encoder: codes of a cluster and a style, without any label.

    .. math:: \min_{E, G} E\,c(G(\hat y, z), x), \quad
        \min_E \max_T B_{T_y}(\hat y, \mathrm{Cat}) + B_{T_z}(z, P_Z)

    References:
        Adversarial Autoencoders (Makhzani et al., 2015), section 6, https://arxiv.org/abs/1511.05644

    Example:
        >>> aae_clustering(open_dataset("digits").spec, n_clusters=12).model.prior.sizes
        {'y': 12, 'z': 10}
    """
    prior, discrepancy = blocks(settings, settings.n_clusters)
    # Without labels a few clusters would soon satisfy the critic; BatchNorm keeps all of them in use.
    parts = assemble(settings, spec, own, prior=prior, last=BatchNormColumns(settings.n_clusters))
    words = f"{settings.n_clusters} clusters and a style of {settings.latent_dim}; no label is used"
    return finish_aae(parts.build(AAE, discrepancy), spec, settings, words)


class ReductionSettings(AdversarialSettings):
    """Options of ``aae-reduction``."""

    head_distance: float = option("The distance η that cluster heads keep from each other.", 2.0, gt=0)


@recipe(
    "aae-reduction", family=FAMILY, settings=ReductionSettings,
    presets={
        # Styles are N(0, I): heads 8 apart leave room between them. The paper prints no distance.
        "small": lambda spec: quick_with_classes(spec, latent_dim=2, head_distance=8.0, encoder_lr=1.5e-3),
        "paper": lambda spec: as_printed(latent_dim=2, input_noise=0.3),
    },
    options=("latent_dim", *ADVERSARIAL, "n_labels", "head_distance", "label_lr", "critic_noise"),
)  # fmt: skip
def aae_reduction(spec: DataSpec, settings: ReductionSettings, own: OwnParts) -> Setup:
    r"""Dimensionality reduction by an adversarial auto-encoder: classes are regions of the plane.

    .. math:: \min_{E, G} E\,c(G(W \hat y + z), x) + \textstyle\sum_{i<j} (\eta - \|w_i - w_j\|)_+

    References:
        Adversarial Autoencoders (Makhzani et al., 2015), section 7, https://arxiv.org/abs/1511.05644

    Example:
        >>> import torch
        >>> model = aae_reduction(open_dataset("digits").spec).model
        >>> model.view(model.encode(torch.zeros(3, 1, 8, 8))).shape
        torch.Size([3, 2])
    """
    n_classes = check_classes(spec, settings, "aae-reduction")
    prior, discrepancy = blocks(settings, n_classes)
    parts = assemble(settings, spec, own, prior=prior, decoder_inputs=settings.latent_dim)
    heads = ClusterHeads(parts.decoder, n_classes, settings.latent_dim, settings.head_distance)
    model = replace(parts, decoder=heads).build(ReductionAAE, discrepancy)
    place = f"{n_classes} heads {settings.head_distance:g} apart in {settings.latent_dim} dimensions"
    return finish_aae(model, spec, settings, f"{place}; {labels_used(settings)}")
