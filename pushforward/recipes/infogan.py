"""InfoGAN."""

from __future__ import annotations

from typing import Literal

from torch import nn

from pushforward.data.spec import DataSpec
from pushforward.discrepancies import JensenShannon
from pushforward.distributions import OneHotPrior, Prior, ProductPrior, UniformPrior
from pushforward.errors import ConfigError
from pushforward.models import CodePosterior, InfoGAN
from pushforward.networks import mlp
from pushforward.options import option
from pushforward.recipes.build import finish
from pushforward.recipes.gan_parts import gan_optimizers, gan_parts, published, quick
from pushforward.recipes.options import GAN
from pushforward.recipes.parts import make_prior
from pushforward.recipes.recipe import GANS, OwnParts, Setup, recipe
from pushforward.recipes.settings import GANSettings


class InfoGANSettings(GANSettings):
    """Options of ``infogan``."""

    n_classes: int = option("Classes of the categorical code, by default 10.", 10, ge=1)
    n_continuous: int = option(
        "Uniform numbers in [-1, 1] that are predicted from samples, beside latent_dim ones that are not; by "
        "default 2.",
        2, ge=0,
    )  # fmt: skip
    continuous_std: float | Literal["learnt"] = option(
        "Standard deviation of their predictive distribution: 1 (the default) as in the paper's code, or "
        "'learnt'.",
        1.0, gt=0,
    )  # fmt: skip
    weight: float = option(
        "The factor w of the information: 0.1, with preset 'paper' 1. At 1 samples show their class before "
        "they look like data, and classes become what is drawn first, not clusters of the data.",
        1.0, ge=0,
    )  # fmt: skip


@recipe(
    "infogan", family=GANS, settings=InfoGANSettings,
    presets={
        "small": lambda spec: quick(
            spec, latent_dim=62, prior="uniform", weight=0.1, lr=2e-3, critic_lr=4e-4, schedule="constant"
        ),
        "paper": lambda spec: published(
            latent_dim=62, lr=1e-3, critic_lr=2e-4, epochs=5000 * 128 / spec.n_train, init_std=0.0
        ),
    },
    options=(*GAN, "n_classes", "n_continuous", "continuous_std", "weight"), parts=("decoder", "critic"),
)  # fmt: skip
def infogan(spec: DataSpec, settings: InfoGANSettings, own: OwnParts) -> Setup:
    r"""InfoGAN: a GAN from whose samples the class and the continuous code can be predicted.

    .. math:: \min_{G, r} \max_T\; B_T(G_\# P_Z, P_X) - w\, E \log r(c \mid G(c, z))

    A draw of the prior is a class, the continuous code, and ``latent_dim`` more numbers that are not
    predicted. The head that predicts the code is updated with the generator; in the paper's code with the
    critic.

    References:
        InfoGAN (Chen et al., 2016), equation 6 and appendix C, https://arxiv.org/abs/1606.03657

    Example:
        >>> infogan(open_dataset("digits").spec, latent_dim=8).model.prior.sizes
        {'class': 10, 'continuous': 2, 'noise': 8}
    """
    blocks: dict[str, Prior] = {"class": OneHotPrior(settings.n_classes)}
    if settings.n_continuous:
        blocks["continuous"] = UniformPrior(settings.n_continuous)
    prior = ProductPrior(blocks | {"noise": make_prior(settings, own)})
    parts = gan_parts(settings, spec, own, "batch", prior)
    critic = own.critic or parts.make_critic(1)
    if not isinstance(critic, nn.Sequential) or not isinstance(critic[-1], nn.Linear):
        raise ConfigError(
            "the critic of infogan must be an nn.Sequential that ends with an nn.Linear: features come "
            "before it"
        )
    outputs = sum(CodePosterior.sizes(blocks, settings.continuous_std))
    head = mlp(critic[-1].in_features, outputs, [128], norm=None, activation=nn.ReLU)
    posterior = CodePosterior(critic[:-1], head, blocks, settings.continuous_std)
    discrepancy = JensenShannon(critic, True, settings.n_critic)
    model = InfoGAN(prior, parts.decoder, discrepancy, posterior, settings.weight)
    description = (
        f"weight {settings.weight:g} times the negative log-likelihood in nats of the code given a sample; "
        "samples are compared with data by a critic's Jensen-Shannon bound"
    )
    return finish(model, spec, settings, description, gan_optimizers(settings))
