"""Adversarial auto-encoders in all their forms: signatures are configurations.

At every step encoder and decoder reconstruct, the critics climb, the encoder answers them, and where labels
are known it learns those: each a turn with an optimizer of its own, so that learning rates stand where other
auto-encoders have a weight.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, Unpack

import torch
from torch import nn

from pushforward.data.dataset import Dataset
from pushforward.discrepancies import Blockwise, JensenShannon
from pushforward.distributions import NormalPrior, OneHotPrior, Prior, ProductPrior
from pushforward.errors import ConfigError, check_int
from pushforward.models import AAE, ClusterHeads, LabelRegularisedAAE, ReductionAAE, SemiSupervisedAAE
from pushforward.networks import GaussianNoise, NormFirst, mlp, official_init
from pushforward.recipes.build import finish, price
from pushforward.recipes.options import AdversarialOptions, PosteriorName, PriorName, entries, unfolded
from pushforward.recipes.parts import Recipe, assemble
from pushforward.recipes.settings import AdversarialSettings, pick, small
from pushforward.training import adam
from pushforward.training.loop import Optimizing

Table = dict[str, Callable[[Dataset], AdversarialSettings]]
Rows = Literal["small", "paper"]


def quick(data: Dataset, **changes: Any) -> AdversarialSettings:
    """Settings that are done in minutes on two cores."""
    batch_size = min(100, small(data, None).batch_size)
    usual = small(data, None, lr=1e-3, batch_size=batch_size, critic_lr=5e-4, critic_widths=(256, 256))
    epochs = 6000 * batch_size / len(data.train)
    row = AdversarialSettings.beyond(usual, encoder_lr=5e-4, truncated=False, epochs=epochs)
    return replace(row, **changes)


def in_noise(data: Dataset, **changes: Any) -> AdversarialSettings:
    """The same for codes with classes: noise on the input, and convolutions, which tell digits apart."""
    usual = {"network": "gru" if data.vocabulary else "conv-mlp" if data.modality == "image" else "mlp"}
    return quick(data, input_noise=0.3 if data.in_unit_interval else 0.0, **(usual | changes))


def printed(**changes: Any) -> AdversarialSettings:
    """What the paper prints for MNIST: two layers of 1000, SGD with momentum, ten times slower later on."""
    row = AdversarialSettings(
        latent_dim=8, network="mlp-1000", critic_widths=(1000, 1000), official_init=True, schedule="tenths",
        epochs=5000,
        lr=0.01, critic_lr=0.1, encoder_lr=0.1, label_lr=0.1, sgd=True, truncated=False,
    )  # fmt: skip
    return replace(row, **changes)


def in_turns(chosen: AdversarialSettings) -> dict[str, Optimizing]:
    """Everyone's optimizer."""
    latent_noise_decay = {"model": chosen.lr, "labels": chosen.label_lr}
    playing = {"critic": chosen.critic_lr, "encoder": chosen.encoder_lr}  # with less momentum

    def sgd(lr: float, momentum: float) -> Optimizing:
        return lambda parameters: torch.optim.SGD(parameters, lr=lr, momentum=momentum)

    if chosen.sgd:
        return {name: sgd(lr, 0.9) for name, lr in latent_noise_decay.items()} | {
            name: sgd(lr, 0.1) for name, lr in playing.items()
        }
    return {name: adam(lr, (chosen.beta1, 0.999)) for name, lr in latent_noise_decay.items()} | {
        name: adam(lr, (0.5, 0.999)) for name, lr in playing.items()
    }


def critic_of(inputs: int, chosen: AdversarialSettings) -> nn.Module:
    """A critic that sees its input through noise."""
    net = mlp(inputs, 1, chosen.critic_widths, norm=None)
    if chosen.official_init:
        official_init(net)
    return nn.Sequential(GaussianNoise(chosen.critic_noise), net) if chosen.critic_noise else net


def blocks(
    chosen: AdversarialSettings, non_saturating: bool, n_critic: int
) -> tuple[ProductPrior, Blockwise]:
    """Classes and style: a prior of both, and a game for each."""
    parts: dict[str, Prior] = {
        "y": OneHotPrior(chosen.classes),
        "z": NormalPrior(chosen.latent_dim, chosen.prior_std),
    }
    prior = ProductPrior(parts)
    games = {name: JensenShannon(critic_of(n, chosen), non_saturating) for name, n in prior.sizes.items()}
    return prior, Blockwise(games, prior.sizes, n_critic)


def labelled_classes(data: Dataset, labels: int | None, what: str) -> int:
    """The number of classes of data whose labels are needed.

    Raises:
        ConfigError: If there are none, or fewer labels are wanted than there are classes.
    """
    classes = len(data.labels)
    if classes < 2:
        raise ConfigError(f"{what} needs data with labels of at least 2 classes; {data.name} has {classes}")
    if labels is not None and check_int("labels", labels, least=1) < classes:
        raise ConfigError(
            f"labels must be at least {classes}, one of each class of {data.name}, got {labels}"
        )
    return classes


def shown(labels: int | None) -> str:
    """How many labels the model may see, in words."""
    return "all labels are shown" if labels is None else f"{labels} labels are shown"


def words(chosen: AdversarialSettings, data: Dataset, rest: str) -> str:
    """What takes the place of a weight's meaning."""
    return f"no weight: everyone has a turn and a learning rate; the cost is {price(chosen, data)}; {rest}"


AAE_TABLE: Table = {"small": quick, "paper": lambda data: printed()}


@unfolded
def aae(
    data: Dataset,
    *,
    settings: Rows = "small",
    latent_dim: int | None = None,
    non_saturating: bool = True,
    n_critic: int = 1,
    prior: PriorName | None = None,
    posterior: PosteriorName | None = None,
    label: bool | None = None,
    critic: nn.Module | None = None,
    **options: Unpack[AdversarialOptions],
) -> Recipe:
    r"""Adversarial auto-encoder: codes meet any prior that can be sampled, in a game with turns of its own.

    .. math:: \min_{E, G} E\,c(G(E(x)), x), \qquad \min_E \max_T B_T(Q_Z, P_Z)

    Arguments:
        data: What to learn from.
        settings: Which row of defaults.
        latent_dim: Dimensions of a code.
        non_saturating: Whether the encoder plays with the roles exchanged (non-saturating) or min-max.
        n_critic: Turns of the critics at each step.
        prior: The law that codes are to follow.
        posterior: Kind of encoder; "implicit" is the universal approximator.
        label: Whether encoder and decoder are told the label, so that samples can be asked for by class.
        critic: A module of your own, from (N, latent) to (N, 1), unbounded.

    Raises:
        ConfigError: If a setting cannot be, or a module of your own does not fit the data.

    References:
        | Adversarial Autoencoders (Makhzani et al., 2015), section 2
        | https://arxiv.org/abs/1511.05644

    Example:
        >>> from pushforward.data import open_dataset
        >>> [player.name for player in aae(open_dataset("digits")).model.players()]
        ['model', 'critic', 'encoder']
    """
    chosen = pick(AAE_TABLE, "aae", settings, data, entries(locals() | options, AdversarialSettings))
    parts = assemble(chosen, data, options)
    discrepancy = JensenShannon(critic or critic_of(parts.prior.latent_dim, chosen), non_saturating, n_critic)
    model = AAE(parts.prior, parts.decoder, parts.encoder, discrepancy, parts.cost)
    return finish(model, chosen, data, words(chosen, data, f"codes meet {parts.prior}"), in_turns(chosen))


LABEL_TABLE: Table = {
    "small": lambda data: quick(data, latent_dim=2, prior="mixture"),
    "paper": lambda data: printed(latent_dim=2, prior="mixture"),
}


@unfolded
def aae_label_regularised(
    data: Dataset,
    *,
    settings: Rows = "small",
    labels: int | None = None,
    non_saturating: bool = True,
    n_critic: int = 1,
    prior: Literal["mixture", "swiss-roll"] | None = None,
    posterior: PosteriorName | None = None,
    critic: nn.Module | None = None,
    **options: Unpack[AdversarialOptions],
) -> Recipe:
    r"""Adversarial auto-encoder whose critic sees labels: each class goes to its own part of the prior.

    .. math:: \min_{E, G} E\,c(G(E(x)), x), \qquad
        \min_E \max_T B_T\big((E(x), \ell), (z, \ell)\big), \; z \sim P_Z(\cdot \mid \ell)

    Arguments:
        data: What to learn from.
        settings: Which row of defaults.
        labels: How many labels are shown, as many of each class; all by default.
        non_saturating: Whether the encoder plays with the roles exchanged (non-saturating) or min-max.
        n_critic: Turns of the critics at each step.
        prior: A prior of ten classes, in the plane.
        posterior: Kind of encoder; "implicit" is the universal approximator.
        critic: A module of your own, from (N, 2 + classes + 1) to (N, 1), unbounded.

    Raises:
        ConfigError: If a setting cannot be, or a module of your own does not fit the data.

    References:
        | Adversarial Autoencoders (Makhzani et al., 2015), sections 2.3 and 3, figure 4
        | https://arxiv.org/abs/1511.05644

    Example:
        >>> from pushforward.data import open_dataset
        >>> aae_label_regularised(open_dataset("digits")).model.prior
        MixturePrior(latent_dim=2, components=10)
    """
    chosen = pick(
        LABEL_TABLE, "aae-label-regularised", settings, data, entries(locals() | options, AdversarialSettings)
    )
    classes = labelled_classes(data, labels, "aae-label-regularised")
    parts = assemble(chosen, data, options)
    if parts.prior.classes < classes:
        raise ConfigError(
            f"{parts.prior} has parts for {parts.prior.classes} classes, {data.name} has {classes}"
        )
    seen = parts.prior.latent_dim + parts.prior.classes + 1
    discrepancy = JensenShannon(critic or critic_of(seen, chosen), non_saturating, n_critic)
    model = LabelRegularisedAAE(parts.prior, parts.decoder, parts.encoder, discrepancy, parts.cost)
    meaning = words(chosen, data, f"codes meet {parts.prior}, each class its own part; {shown(labels)}")
    return finish(model, chosen, data, meaning, in_turns(chosen), labels)


SUPERVISED_TABLE: Table = {
    "small": lambda data: quick(data, latent_dim=15, label=True, encoder_lr=1e-3),
    "paper": lambda data: printed(latent_dim=15, label=True),
}


@unfolded
def aae_supervised(
    data: Dataset,
    *,
    settings: Rows = "small",
    latent_dim: int | None = None,
    conditional_critic: bool | None = None,
    non_saturating: bool = True,
    n_critic: int = 1,
    prior: PriorName | None = None,
    posterior: PosteriorName | None = None,
    critic: nn.Module | None = None,
    **options: Unpack[AdversarialOptions],
) -> Recipe:
    r"""Adversarial auto-encoder whose decoder is told the label: codes keep the style alone.

    .. math:: \min_{E, G} E\,c(G(y, E(x)), x), \qquad \min_E \max_T B_T(Q_Z, P_Z)

    Arguments:
        data: What to learn from.
        settings: Which row of defaults.
        latent_dim: Dimensions of a style.
        conditional_critic: Whether the critic sees the label too, so that styles say nothing of it. It does not in
            the paper, nor with settings "paper".
        non_saturating: Whether the encoder plays with the roles exchanged (non-saturating) or min-max.
        n_critic: Turns of the critics at each step.
        prior: The law that codes are to follow.
        posterior: Kind of encoder; "implicit" is the universal approximator.
        critic: A module of your own, from (N, latent) to (N, 1), unbounded.

    Raises:
        ConfigError: If a setting cannot be, or a module of your own does not fit the data.

    References:
        | Adversarial Autoencoders (Makhzani et al., 2015), section 4
        | https://arxiv.org/abs/1511.05644

    Example:
        >>> from pushforward.data import open_dataset
        >>> aae_supervised(open_dataset("digits")).model.classes
        10
    """
    chosen = pick(
        SUPERVISED_TABLE, "aae-supervised", settings, data, entries(locals() | options, AdversarialSettings)
    )
    labelled_classes(data, None, "aae-supervised")
    parts = assemble(chosen, data, options, tell_encoder=False)
    together = settings == "small" if conditional_critic is None else conditional_critic
    seen = parts.prior.latent_dim + (len(data.labels) + 1 if together else 0)
    discrepancy = JensenShannon(critic or critic_of(seen, chosen), non_saturating, n_critic)
    kind = LabelRegularisedAAE if together else AAE
    model = kind(parts.prior, parts.decoder, parts.encoder, discrepancy, parts.cost)
    who = "decoder and critic are" if together else "the decoder is"
    meaning = words(chosen, data, f"styles meet {parts.prior}; {who} told the label")
    return finish(model, chosen, data, meaning, in_turns(chosen))


SEMI_TABLE: Table = {
    "small": lambda data: in_noise(data, latent_dim=10),
    "paper": lambda data: printed(latent_dim=10, input_noise=0.3),
}


@unfolded
def aae_semi_supervised(
    data: Dataset,
    *,
    settings: Rows = "small",
    labels: int | None = None,
    latent_dim: int | None = None,
    non_saturating: bool = True,
    n_critic: int = 1,
    label_lr: float | None = None,
    critic_noise: float | None = None,
    **options: Unpack[AdversarialOptions],
) -> Recipe:
    r"""Semi-supervised adversarial auto-encoder: a class and a style, the class told of a few rows.

    .. math:: \min_{E, G} E\,c(G(\hat y, z), x), \quad
        \min_E \max_T B_{T_y}(\hat y, \mathrm{Cat}) + B_{T_z}(z, P_Z), \quad \min_E -\log \hat y_y

    Arguments:
        data: What to learn from.
        settings: Which row of defaults.
        labels: How many labels are shown, as many of each class; all by default.
        latent_dim: Dimensions of a style.
        non_saturating: Whether the encoder plays with the roles exchanged (non-saturating) or min-max.
        n_critic: Turns of the critics at each step.
        label_lr: Learning rate of the encoder with the labels.
        critic_noise: Deviation of noise on what the critics see, in training.

    Raises:
        ConfigError: If a setting cannot be, or a module of your own does not fit the data.

    References:
        | Adversarial Autoencoders (Makhzani et al., 2015), section 5
        | https://arxiv.org/abs/1511.05644

    Example:
        >>> from pushforward.data import open_dataset
        >>> [player.name for player in aae_semi_supervised(open_dataset("digits")).model.players()]
        ['model', 'critic', 'encoder', 'labels']
    """
    chosen = pick(
        SEMI_TABLE, "aae-semi-supervised", settings, data, entries(locals() | options, AdversarialSettings)
    )
    chosen = replace(chosen, classes=labelled_classes(data, labels, "aae-semi-supervised"))
    prior, discrepancy = blocks(chosen, non_saturating, n_critic)
    parts = assemble(chosen, data, options, prior)
    model = SemiSupervisedAAE(prior, parts.decoder, parts.encoder, discrepancy, parts.cost)
    meaning = words(
        chosen, data, f"{chosen.classes} classes and a style of {chosen.latent_dim}; {shown(labels)}"
    )
    return finish(model, chosen, data, meaning, in_turns(chosen), labels)


CLUSTER_TABLE: Table = {
    # A weaker encoder leaves classes soft, and the decoder reads them as more style.
    "small": lambda data: in_noise(
        data, latent_dim=10, classes=16, encoder_lr=1.5e-3,
        **({"network": "conv-mlp-bare"} if data.modality == "image" else {}),
    ),
    "paper": lambda data: printed(latent_dim=10, classes=16, input_noise=0.3),
}  # fmt: skip


@unfolded
def aae_clustering(
    data: Dataset,
    *,
    settings: Rows = "small",
    classes: int | None = None,
    latent_dim: int | None = None,
    non_saturating: bool = True,
    n_critic: int = 1,
    critic_noise: float | None = None,
    **options: Unpack[AdversarialOptions],
) -> Recipe:
    r"""Clustering adversarial auto-encoder: a class and a style, without any label.

    .. math:: \min_{E, G} E\,c(G(\hat y, z), x), \quad
        \min_E \max_T B_{T_y}(\hat y, \mathrm{Cat}) + B_{T_z}(z, P_Z)

    Arguments:
        data: What to learn from.
        settings: Which row of defaults.
        classes: Clusters K.
        latent_dim: Dimensions of a style.
        non_saturating: Whether the encoder plays with the roles exchanged (non-saturating) or min-max.
        n_critic: Turns of the critics at each step.
        critic_noise: Deviation of noise on what the critics see, in training.

    Raises:
        ConfigError: If a setting cannot be, or a module of your own does not fit the data.

    References:
        | Adversarial Autoencoders (Makhzani et al., 2015), section 6
        | https://arxiv.org/abs/1511.05644

    Example:
        >>> from pushforward.data import open_dataset
        >>> aae_clustering(open_dataset("digits"), classes=12).model.prior.sizes
        {'y': 12, 'z': 10}
    """
    chosen = pick(
        CLUSTER_TABLE, "aae-clustering", settings, data, entries(locals() | options, AdversarialSettings)
    )
    prior, discrepancy = blocks(chosen, non_saturating, n_critic)
    # Without labels the critic of classes would soon be content with a few; BatchNorm keeps all in play.
    parts = assemble(chosen, data, options, prior, last=NormFirst(chosen.classes))
    model = AAE(prior, parts.decoder, parts.encoder, discrepancy, parts.cost)
    meaning = words(
        chosen, data, f"{chosen.classes} clusters and a style of {chosen.latent_dim}; no label is seen"
    )
    return finish(model, chosen, data, meaning, in_turns(chosen))


REDUCTION_TABLE: Table = {
    # Styles are N(0, I): heads 8 apart leave room between them. The paper prints no distance, public code 2.
    "small": lambda data: in_noise(data, latent_dim=2, head_distance=8.0, encoder_lr=1.5e-3),
    "paper": lambda data: printed(latent_dim=2, input_noise=0.3),
}


@unfolded
def aae_reduction(
    data: Dataset,
    *,
    settings: Rows = "small",
    labels: int | None = None,
    latent_dim: int | None = None,
    head_distance: float | None = None,
    non_saturating: bool = True,
    n_critic: int = 1,
    label_lr: float | None = None,
    critic_noise: float | None = None,
    **options: Unpack[AdversarialOptions],
) -> Recipe:
    r"""Dimensionality reduction by an adversarial auto-encoder: classes are places in the plane.

    .. math:: \min_{E, G} E\,c(G(W \hat y + z), x) + \textstyle\sum_{i<j} (\eta - \|w_i - w_j\|)_+

    Arguments:
        data: What to learn from.
        settings: Which row of defaults.
        labels: How many labels are shown, as many of each class; all by default.
        latent_dim: Dimensions of a point.
        head_distance: The distance η that cluster heads keep.
        non_saturating: Whether the encoder plays with the roles exchanged (non-saturating) or min-max.
        n_critic: Turns of the critics at each step.
        label_lr: Learning rate of the encoder with the labels.
        critic_noise: Deviation of noise on what the critics see, in training.

    Raises:
        ConfigError: If a setting cannot be, or a module of your own does not fit the data.

    References:
        | Adversarial Autoencoders (Makhzani et al., 2015), section 7
        | https://arxiv.org/abs/1511.05644

    Example:
        >>> from pushforward.data import open_dataset
        >>> built = aae_reduction(open_dataset("digits"))
        >>> built.model.view(built.model.encode(torch.zeros(3, 1, 8, 8))).shape
        torch.Size([3, 2])
    """
    chosen = pick(
        REDUCTION_TABLE, "aae-reduction", settings, data, entries(locals() | options, AdversarialSettings)
    )
    chosen = replace(chosen, classes=labelled_classes(data, labels, "aae-reduction"))
    prior, discrepancy = blocks(chosen, non_saturating, n_critic)
    parts = assemble(chosen, data, options, prior, points=chosen.latent_dim)
    heads = ClusterHeads(parts.decoder, chosen.classes, chosen.latent_dim, chosen.head_distance)
    model = ReductionAAE(prior, heads, parts.encoder, discrepancy, parts.cost)
    rest = f"{chosen.classes} heads {chosen.head_distance:g} apart in {chosen.latent_dim} dimensions; {shown(labels)}"
    return finish(model, chosen, data, words(chosen, data, rest), in_turns(chosen), labels)
