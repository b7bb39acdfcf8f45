"""InfoGAN: a signature is a configuration."""

from __future__ import annotations

from typing import Literal, Unpack

from torch import nn

from pushforward.data.dataset import Dataset
from pushforward.discrepancies import JensenShannon
from pushforward.distributions import OneHotPrior, Prior, ProductPrior, UniformPrior
from pushforward.errors import ConfigError, check_int
from pushforward.models import CodePosterior, InfoGAN
from pushforward.networks import mlp
from pushforward.recipes.build import finish
from pushforward.recipes.in_data import Options, Rows, Table, chosen_of, movers, pieces, published, quick
from pushforward.recipes.options import entries, unfolded
from pushforward.recipes.parts import PRIORS, Recipe, named
from pushforward.recipes.settings import GANSettings

INFO_TABLE: Table = {
    "small": lambda data: quick(
        data, latent_dim=62, prior="uniform", weight=0.1, lr=2e-3, critic_lr=4e-4, schedule="constant"
    ),
    "paper": lambda data: published(
        latent_dim=62, lr=1e-3, critic_lr=2e-4, epochs=5000 * 128 / len(data.train), std=0.0
    ),
}


@unfolded
def infogan(
    data: Dataset,
    *,
    settings: Rows = "small",
    classes: int = 10,
    continuous: int = 2,
    continuous_std: float | Literal["learnt"] = 1.0,
    weight: float | None = None,
    **options: Unpack[Options],
) -> Recipe:
    r"""InfoGAN: a GAN whose samples tell which class and which numbers they were made of.

    .. math:: \min_{G, r} \max_T\; B_T(G_\# P_Z, P_X) - w\, E \log r(c \mid G(c, z))

    A draw of the prior is a class, the numbers that are read back, and ``latent_dim`` more that are not. The head
    that reads them moves with the generator; in the paper's code it moves with the critic.

    Arguments:
        data: What to learn from.
        settings: Which row of defaults.
        classes: Classes of the categorical code.
        continuous: Uniform numbers in [-1, 1] that are read back, beside ``latent_dim`` ones that are not.
        continuous_std: Deviation of the recogniser's law of those: 1 as in the paper's code, or "learnt".
        weight: The factor w of the information: 0.1, with "paper" 1. At 1 samples tell their class before
            they look like data, and classes become what is drawn first, not what data fall into.

    Raises:
        ConfigError: If a setting cannot be, or a module of your own does not fit the data.

    References:
        | InfoGAN (Chen et al., 2016), equation 6 and appendix C
        | https://arxiv.org/abs/1606.03657

    Example:
        >>> from pushforward.data import open_dataset
        >>> infogan(open_dataset("digits"), latent_dim=8).model.prior.sizes
        {'class': 10, 'continuous': 2, 'noise': 8}
    """
    chosen = chosen_of(
        INFO_TABLE, "infogan", settings, data, entries(options, GANSettings) | {"weight": weight}
    )
    if isinstance(chosen.weight, str):
        raise ConfigError(f"the weight of infogan must be a number, got {chosen.weight!r}")
    blocks: dict[str, Prior] = {"class": OneHotPrior(classes)}
    if check_int("continuous", continuous, least=0):
        blocks["continuous"] = UniformPrior(continuous)
    noise = named("prior", chosen.prior, PRIORS)(chosen.latent_dim, chosen.prior_std)
    prior = ProductPrior(blocks | {"noise": noise})
    made = pieces(chosen, data, options, "batch", prior)
    critic = options.get("critic") or made.critic(1)
    if not isinstance(critic, nn.Sequential) or not isinstance(critic[-1], nn.Linear):
        raise ConfigError(
            "the critic of infogan must be an nn.Sequential that ends with a Linear: features first"
        )
    numbers = sum(CodePosterior.sizes(blocks, continuous_std))
    head = mlp(critic[-1].in_features, numbers, [128], norm=None, activation=nn.ReLU)
    code_posterior = CodePosterior(critic[:-1], head, blocks, continuous_std)
    discrepancy = JensenShannon(critic, True, chosen.n_critic)
    model = InfoGAN(prior, made.decoder, discrepancy, code_posterior, float(chosen.weight))
    meaning = (
        f"weight {float(chosen.weight):g} times the nats it costs to read the code off a sample; "
        "samples meet data in a Jensen-Shannon game"
    )
    return finish(model, chosen, data, meaning, movers(chosen))
