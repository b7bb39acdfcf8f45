"""Recipes that were made for text: signatures are configurations.

The recipes of auto-encoders take text as they take images; what is here needs a prior that learns, or
labels that are styles.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, Unpack

import torch.nn.functional as F
from torch import Tensor, nn

from pushforward.data.dataset import Dataset
from pushforward.discrepancies import IMQ, MMD, Clipping, GradientPenalty, JensenShannon, Wasserstein
from pushforward.distributions import DeterministicEncoder, GeneratorPrior, NormalPrior
from pushforward.errors import ConfigError, DataError
from pushforward.models import ARAE, TransferAE
from pushforward.networks import mlp
from pushforward.recipes.build import Table, finish, price
from pushforward.recipes.options import NetworkOptions, entries, unfolded
from pushforward.recipes.parts import NETWORKS, Recipe, assemble, fitting
from pushforward.recipes.settings import LearntPriorSettings, Settings, pick, small
from pushforward.text.networks import DecoderPerClass, TextDecoder
from pushforward.training import adam


class TextOptions(NetworkOptions, total=False):
    """What auto-encoders of text can be told.

    Arguments:
        latent_dim: Dimensions of a code.
        weight: The factor λ, against a cost summed over tokens.
        critic_lr: Learning rate of the critic.
        critic: A module of your own, from (N, latent) to (N, 1).
    """

    latent_dim: int | None
    weight: float | None
    critic_lr: float | None
    critic: nn.Module | None


def sphered(data: Dataset, **changes: Any) -> LearntPriorSettings:
    """Settings that are done in minutes on two cores."""
    return LearntPriorSettings.beyond(small(data, None, weight=0.3, critic_lr=1e-3), **changes)


UNIT = 300**0.5  # papers put codes of 300 numbers on the sphere of radius 1, we on the one of this radius
ARAE_TABLE: dict[str, Callable[[Dataset], LearntPriorSettings]] = {
    "small": sphered,
    "paper": lambda data: sphered(
        data, latent_dim=300, weight=12.0 / UNIT, critic_lr=1e-5, critic_widths=(300, 300), epochs=15,
        latent_noise=0.2 * UNIT, latent_noise_decay=0.995, n_critic=5, penalty=0.0, prior_widths=(300, 300), prior_lr=5e-5,
        play_beta1=0.9,
    ),
    "official": lambda data: sphered(
        data, latent_dim=300, weight=1.2 / UNIT, critic_lr=1e-4, critic_widths=(300, 300), epochs=15,
        latent_noise=0.05 * UNIT, n_critic=5, prior_widths=(300, 300), prior_lr=1e-4,
    ),
}  # fmt: skip


@unfolded
def arae(
    data: Dataset,
    *,
    settings: Literal["small", "paper", "official"] = "small",
    noise: int | None = None,
    latent_noise: float | None = None,
    latent_noise_decay: float | None = None,
    n_critic: int | None = None,
    penalty: float | None = None,
    **options: Unpack[TextOptions],
) -> Recipe:
    r"""Adversarially regularised auto-encoder: codes on a sphere meet a learnt prior in a Wasserstein game.

    .. math:: \min_{E, G, g}\; E\,c(G(E(x) + \varepsilon), x) + \lambda\, W_1(g_\# N(0, I), Q_Z)

    With settings "paper" the critic's weights are clipped, as in the paper and the code of 2017; with
    "official" its slope is penalised, as in the code of 2018. Noise, rates of critic and prior, and widths
    of both are theirs. Networks of lines are ours; Adam moves everyone, where the code moves encoder and
    decoder by plain gradient descent at rate 1; and the code of 2017 rescales the encoder's adversarial
    gradient, which is not done here. λ stands beside a cost summed over tokens, which the code averages: 12
    here is 1 there on lines of 12 tokens.

    The sphere has the radius :math:`\sqrt L`, so that numbers of a code are of size 1, from which networks
    learn: theirs has the radius 1, to which weight and noise of "paper" and "official" are brought.

    Arguments:
        data: What to learn from.
        settings: Which row of defaults.
        noise: Dimensions of the noise that the prior pushes forward: 100.
        latent_noise: Deviation of the noise on codes that are decoded, in training, at the first step, beside
            numbers of size 1: 0.1; with "paper" 3.5, with "official" 0.87.
        latent_noise_decay: What that deviation is multiplied by every 100 steps: 0.9995, with "paper" 0.995.
        n_critic: Updates of the critic for each update of the model: 2, with "paper" and "official" 5.
        penalty: The factor of the penalty on the critic's slope: 1; 0, as with "paper", for weights that are
            clipped.

    Raises:
        ConfigError: If a setting cannot be, or a module of your own does not fit the data.

    References:
        | Adversarially Regularized Autoencoders (Zhao et al., 2018), algorithm 1 and appendix
        | https://arxiv.org/abs/1706.04223

    Example:
        >>> from pushforward.data import open_dataset
        >>> [player.name for player in arae(open_dataset("digits"), latent_dim=8).model.players()]
        ['model', 'prior', 'critic']
    """
    own = {
        "noise": noise,
        "code_noise": latent_noise,
        "calm": latent_noise_decay,
        "n_critic": n_critic,
        "penalty": penalty,
    }
    chosen = pick(ARAE_TABLE, "arae", settings, data, entries(options) | own)
    # An epoch counts what the critic sees as well.
    chosen = replace(chosen, epochs=chosen.epochs * chosen.n_critic)
    net = mlp(chosen.noise, chosen.latent_dim, chosen.prior_widths, activation=nn.ReLU)
    prior = GeneratorPrior(net, NormalPrior(chosen.noise), chosen.latent_dim)
    prior.path = "spherical"
    parts = assemble(chosen, data, options, prior)
    assert isinstance(parts.encoder, DeterministicEncoder)
    parts.encoder.to_support = on_sphere
    critic = options.get("critic") or mlp(chosen.latent_dim, 1, chosen.critic_widths, norm=None)
    constraint = GradientPenalty(chosen.penalty) if chosen.penalty else Clipping(0.01)
    discrepancy = Wasserstein(critic, n_critic=chosen.n_critic, constraint=constraint)
    model = ARAE(
        prior,
        parts.decoder,
        parts.encoder,
        discrepancy,
        parts.cost,
        parts.weight,
        chosen.latent_noise,
        chosen.latent_noise_decay,
    )
    meaning = (
        f"weight {float(parts.weight):g} times the critic's Wasserstein bound, of codes on the sphere of "
        f"radius {math.sqrt(chosen.latent_dim):.3g} from a prior that learns; the cost is {price(chosen, data)}"
    )
    optimizers = {
        "model": adam(chosen.lr, (chosen.beta1, 0.999)),
        "prior": adam(chosen.prior_lr, (chosen.play_beta1, 0.999)),
        "critic": adam(chosen.critic_lr, (chosen.play_beta1, 0.999)),
    }
    return finish(model, chosen, data, meaning, optimizers)


def on_sphere(z: Tensor) -> Tensor:
    """Codes (N, L) on the sphere of radius √L, where a number has mean square 1."""
    return math.sqrt(z.shape[-1]) * F.normalize(z, dim=-1)


TRANSFER_TABLE: Table = {
    "small": lambda data: small(data, share=0.5, critic_lr=1e-3, label=True),
}


@unfolded
def transfer_ae(
    data: Dataset,
    *,
    style_weight: float = 20.0,
    pairs: float = 0.0,
    writers: Literal["one", "two"] = "one",
    **options: Unpack[TextOptions],
) -> Recipe:
    r"""Style transfer: codes that do not tell which of two labels their row had, decoded under the other.

    .. math:: E\,c(G(E(x), y), x) + \lambda\,\mathrm{MMD}^2(Q_Z, P_Z) + \mu\, D_T(Q_{Z \mid 1}, Q_{Z \mid 0})

    Data need labels of two classes. Where rows come in pairs that say the same under both, a share of the
    pairs can be shown: what a row's code says under the other label is then to be its twin.

    Arguments:
        data: What to learn from.
        style_weight: The factor μ of the game on styles.
        pairs: The share of pairs that are shown, from 0 to 1.
        writers: Whether one decoder is told the label, or, of text, each label has its own.

    Raises:
        ConfigError: If a setting cannot be, or a module of your own does not fit the data.
        DataError: If the data have not two classes, or no pairs to be shown.

    References:
        | Adversarially Regularized Autoencoders (Zhao et al., 2018), section 3, "unaligned transfer"
        | https://arxiv.org/abs/1706.04223
        | Style Transfer from Non-Parallel Text by Cross-Alignment (Shen et al., 2017)
        | https://arxiv.org/abs/1705.09655

    Example:
        >>> import torch
        >>> from pushforward.data import open_dataset
        >>> rows = torch.rand(100, 3)
        >>> built = transfer_ae(open_dataset((rows, torch.arange(100) % 2)), latent_dim=2)
        >>> [player.name for player in built.model.players()]
        ['model', 'critic_style']
    """
    chosen = pick(TRANSFER_TABLE, "transfer-ae", "small", data, entries(options))
    if len(data.labels) != 2:
        raise DataError(f"transfer needs labels of 2 classes, {data.name} has {len(data.labels)}")
    if not 0 <= pairs <= 1:
        raise ConfigError(f"pairs must be a share from 0 to 1, got {pairs}")
    if not style_weight >= 0:
        raise ConfigError(f"style_weight must be at least 0, got {style_weight}")
    if writers not in ("one", "two"):
        raise ConfigError(f"writers must be 'one' or 'two', got {writers!r}")
    if writers == "two":
        if options.get("decoder") is not None:
            raise ConfigError("two writers are ours: give a decoder of your own, or writers='two', not both")
        options["decoder"] = two_writers(chosen, data)
    parts = assemble(chosen, data, options, tell_encoder=False)
    critic = options.get("critic") or mlp(chosen.latent_dim, 1, chosen.critic_widths, norm=None)
    discrepancy = MMD(IMQ(parts.prior.expected_sq_distance))
    model = TransferAE(
        parts.prior, parts.decoder, parts.encoder, discrepancy, JensenShannon(critic), parts.cost, parts.weight,
        style_weight,
    )  # fmt: skip
    meaning = (
        f"weight {float(parts.weight):g} times MMD² to the prior, {style_weight:g} times a Jensen-Shannon "
        f"game on the label of a code, {100 * pairs:g} % of pairs shown; the cost is {price(chosen, data)}"
    )
    optimizers = {
        "model": adam(chosen.lr, (chosen.beta1, 0.999)),
        "critic_style": adam(chosen.critic_lr, (0.5, 0.999)),
    }
    return finish(model, chosen, data, meaning, optimizers, pairs=pairs)


def two_writers(chosen: Settings, data: Dataset) -> nn.Module:
    """A decoder of lines for each of two labels."""
    if not data.vocabulary:
        raise ConfigError(f"two writers are for text, {data.name} is {data.modality} data")
    network = fitting(chosen.network, NETWORKS, data)
    made = [network.decoder(chosen.latent_dim, (*data.shape, len(data.vocabulary))) for label in range(2)]
    return DecoderPerClass([writer for writer in made if isinstance(writer, TextDecoder)])


__all__ = ["arae", "transfer_ae"]
