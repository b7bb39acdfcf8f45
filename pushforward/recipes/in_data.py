"""What recipes of models in data space share: what they can be told, and how it becomes a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypedDict

import torch
from torch import nn

from pushforward.costs import Cost
from pushforward.data.dataset import Dataset
from pushforward.discrepancies import Discrepancy, Energy
from pushforward.distributions import Prior
from pushforward.models import GAN, Model
from pushforward.recipes.build import finish
from pushforward.recipes.options import PairName, ScheduleName, entries
from pushforward.recipes.pairs import PAIRS
from pushforward.recipes.parts import PRIORS, Recipe, fitting, named
from pushforward.recipes.settings import GANSettings, pick
from pushforward.training import adam
from pushforward.training.loop import Optimizing

Table = dict[str, Callable[[Dataset], GANSettings]]
Rows = Literal["small", "paper"]


class Options(TypedDict, total=False):
    """What every model in data space can be told. Networks are ours, with settings "paper" too.

    Arguments:
        latent_dim: Dimensions of a draw of the prior.
        prior: The law that is pushed forward.
        prior_std: Scale of the prior.
        network: Kind of generator and critic networks.
        n_critic: Updates of the critic for each update of the model.
        batch_size: Rows in a batch.
        schedule: How the learning rates change over the run.
        lr: Learning rate of the generator.
        critic_lr: Learning rate of the critic.
        decoder: A module of your own, from (N, latent) to data.
        critic: A module of your own, from data to (N, 1), or to features where the match compares those.
    """

    latent_dim: int | None
    prior: Literal["normal", "uniform", "sphere"] | None
    prior_std: float | None
    network: PairName | None
    n_critic: int | None
    batch_size: int | None
    schedule: ScheduleName | None
    lr: float | None
    critic_lr: float | None
    decoder: nn.Module | None
    critic: nn.Module | None


@dataclass(frozen=True)
class Pieces:
    """What models in data space are made of.

    Attributes:
        prior: The law that is pushed forward.
        decoder: The generator.
        critic: Makes a critic with so many numbers at its end.
        back: Makes a network from so many numbers back to data, normalised as the critic is.
    """

    prior: Prior
    decoder: nn.Module
    critic: Callable[[int], nn.Sequential]
    back: Callable[[int], nn.Sequential]


def quick(data: Dataset, **changes: Any) -> GANSettings:
    """Settings that are done in minutes on two cores: Adam with little momentum, rates that fall."""
    images = data.modality == "image"
    rows = len(data.train)
    batch_size = min(64 if images else 256, max(2, rows // 4))
    row = GANSettings(
        latent_dim=64 if images else max(2, min(16, data.train.x[0].numel())),
        network="conv" if images else "mlp",
        batch_size=batch_size,
        lr=1e-3,
        critic_lr=5e-4 if images else 1e-3,
        beta1=0.5,
        schedule="cosine",
    )
    row = replace(row, **changes)
    steps = 6000 if images else 10_000
    return replace(row, epochs=steps * row.n_critic * row.batch_size / rows)


def published(**changes: Any) -> GANSettings:
    """Settings as DCGAN prints them; other papers take most over, epochs too where theirs are not known."""
    row = GANSettings(
        latent_dim=100, prior="uniform", network="dcgan", batch_size=128, lr=2e-4, critic_lr=2e-4, beta1=0.5,
        schedule="constant", epochs=25, std=0.02,
    )  # fmt: skip
    return replace(row, **changes)


def chosen_of(
    table: Table, name: str, settings: str, data: Dataset, changes: Mapping[str, Any]
) -> GANSettings:
    """The named row with single entries replaced; another batch or more turns do not change the steps."""
    chosen = pick(table, name, settings, data, changes)
    if settings == "paper":
        return chosen
    row = table[settings](data)
    return replace(
        chosen, epochs=row.epochs * chosen.n_critic * chosen.batch_size / (row.n_critic * row.batch_size)
    )


def movers(chosen: GANSettings) -> dict[str, Optimizing]:
    """Everyone's optimizer."""

    def of(lr: float) -> Optimizing:
        if chosen.optimizer == "rmsprop":
            return lambda parameters: torch.optim.RMSprop(parameters, lr=lr)
        if chosen.optimizer == "sgd":
            return lambda parameters: torch.optim.SGD(parameters, lr=lr, momentum=chosen.beta1)
        return adam(lr, (chosen.beta1, chosen.beta2))

    return {"model": of(chosen.lr), "critic": of(chosen.critic_lr), "prior": of(chosen.lr)}


def start(net: nn.Module, std: float) -> nn.Module:
    """Weights N(0, std²) and gains N(1, std²), as in DCGAN; biases 0."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, std=std)
        elif isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            nn.init.normal_(module.weight, 1.0, std)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    return net


def pieces(
    chosen: GANSettings, data: Dataset, options: Options, norm: str | None, prior: Prior | None = None
) -> Pieces:
    """Prior, generator and critic as the settings say; given modules stand for ours."""
    prior = prior or named("prior", chosen.prior, PRIORS)(chosen.latent_dim, chosen.prior_std)
    pair = fitting(chosen.network, PAIRS, data)
    decoder = options.get("decoder")
    if decoder is None:
        decoder = pair.generator(prior.latent_dim, data.shape, "batch")
        if chosen.std:
            start(decoder, chosen.std)
        if data.in_unit_interval:
            decoder = nn.Sequential(*decoder, nn.Sigmoid())

    def critic(outputs: int) -> nn.Sequential:
        net = pair.critic(data.shape, outputs, norm)
        if chosen.std:
            start(net, chosen.std)
        return net

    return Pieces(prior, decoder, critic, lambda width: pair.generator(width, data.shape, norm))


def meeting(model: Model, chosen: GANSettings, data: Dataset, words: str) -> Recipe:
    """A recipe of samples that meet data."""
    rounds = f"; {chosen.n_critic} turns of the critic for one of the model" if chosen.n_critic > 1 else ""
    meaning = f"no weight: samples meet the {data.train.x[0].numel()} values of data in {words}{rounds}"
    return finish(model, chosen, data, meaning, movers(chosen))


def game(
    name: str,
    table: Table,
    data: Dataset,
    settings: str,
    options: Options,
    norm: str | None,
    make: Callable[[nn.Module, GANSettings], Discrepancy],
    words: str,
) -> Recipe:
    """A GAN whose critic makes one number of a row."""
    chosen = chosen_of(table, name, settings, data, entries(options, GANSettings))
    return played(chosen, data, options, norm, make, words)


def played(
    chosen: GANSettings,
    data: Dataset,
    options: Options,
    norm: str | None,
    make: Callable[[nn.Module, GANSettings], Discrepancy],
    words: str,
) -> Recipe:
    """The same with settings that are chosen already."""
    made = pieces(chosen, data, options, norm)
    critic = options.get("critic") or made.critic(1)
    return meeting(GAN(made.prior, made.decoder, make(critic, chosen)), chosen, data, words)


def rebuilder(made: Pieces, width: int, cost: Cost, mean: bool = False) -> Energy:
    """A critic that is an auto-encoder with a code of ``width`` numbers."""
    return Energy(made.critic(width), made.back(width), cost, mean)


def norm_of(data: Dataset, kind: str = "batch") -> str | None:
    """What normalises a critic that nothing else restrains: on images it would win."""
    return kind if data.modality == "image" else None
