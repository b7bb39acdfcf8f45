"""What recipes can be told: names at the door, and options that a family of recipes shares."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from functools import wraps
from inspect import cleandoc
from typing import Any, Literal, TypeVar, cast, get_args, get_type_hints

from pushforward.recipes.parts import Modules, Recipe
from pushforward.recipes.settings import Settings

CostName = Literal["squared", "l2", "l1", "bernoulli", "gaussian", "gaussian-learnt", "tokens"]
PriorName = Literal["normal", "uniform", "sphere", "mixture", "swiss-roll"]
PosteriorName = Literal["deterministic", "gaussian", "uniform", "implicit", "mixing"]
ScheduleName = Literal["constant", "cosine", "manual", "manual-smooth", "tenths"]
NetworkName = Literal[
    "mlp",
    "conv",
    "official-mnist",
    "official-celeba",
    "conv-mlp",
    "conv-mlp-bare",
    "mlp-1000",
    "mlp-1200",
    "mmd-vae",
    "gru",
    "transformer",
]
PairName = Literal["mlp", "conv", "dcgan"]
SettingsName = Literal["small", "paper", "official"]


class NetworkOptions(Modules, total=False):
    """What auto-encoders of every family can be told.

    Arguments:
        network: Kind of encoder and decoder networks.
        word_dropout: Share of the words said so far that a decoder of text is not told, in training.
        encoder_word_dropout: Share of the words that an encoder of text cannot read, in training.
        token_replacement: Share of the words of every second line of text that are swapped for others, in training,
            in what is read and in what is to be told.
        batch_size: Rows in a batch.
        schedule: How learning rates change over the run.
        lr: Learning rate of encoder and decoder.
        encoder: A module of your own, from data to (N, latent); where the kind of encoder is Gaussian to
            (N, 2 latent), means and then log-variances; where codes hold a class to (N, classes + latent).
        decoder: A module of your own, from a code, and labels (N, classes) behind it where it is told them,
            to data: to logits if the cost is bernoulli, or to laws of lines.
    """

    network: NetworkName | None
    word_dropout: float | None
    encoder_word_dropout: float | None
    token_replacement: float | None
    batch_size: int | None
    schedule: ScheduleName | None
    lr: float | None


class AutoEncoderOptions(NetworkOptions, total=False):
    """What auto-encoders whose codes have a weight, or nothing, to hold them can be told.

    Arguments:
        latent_dim: Dimensions of a code.
        prior_std: Scale of the prior.
        cost: What is compared between data and reconstruction.
        label: Whether encoder and decoder are told the label, so that samples can be asked for by class.
    """

    latent_dim: int | None
    prior_std: float | None
    cost: CostName | None
    label: bool | None


class AdversarialOptions(NetworkOptions, total=False):
    """What adversarial auto-encoders can be told, everyone of whom has a turn and a learning rate.

    Arguments:
        prior_std: Scale of the prior.
        input_noise: Deviation of noise on the encoder's input, in training.
        cost: What is compared between data and reconstruction.
        critic_lr: Learning rate of the critics.
        encoder_lr: Learning rate of the encoder against the critics.
    """

    prior_std: float | None
    input_noise: float | None
    cost: CostName | None
    critic_lr: float | None
    encoder_lr: float | None


R = TypeVar("R", bound=Callable[..., Recipe])


def unfolded(recipe: R) -> R:
    """Shows what stands behind ``**options: Unpack[...]`` in the recipe's signature, hints and docstring.

    Options that a family of recipes shares are written once, as a TypedDict whose docstring explains them,
    and those of all families as :class:`NetworkOptions`. What is not among them is refused, as by any
    function.
    """
    signature, hints = inspect.signature(recipe), get_type_hints(recipe)
    *own, options = signature.parameters.values()
    (shared,) = get_args(hints.pop(options.name))
    kinds = get_type_hints(shared)
    words = explained(shared)
    # A TypedDict forgets whom it extends (before Python 3.12).
    words |= {name: said for name, said in explained(NetworkOptions).items() if name in kinds.keys() - words}
    of_family = {name: kinds[name] for name in words}
    one = options.replace(kind=options.KEYWORD_ONLY, default=None)
    text = cleandoc(recipe.__doc__ or "")
    whole = signature.replace(parameters=[*own, *(one.replace(name=name) for name in of_family)])

    @wraps(recipe)
    def shown(*args: Any, **kwargs: Any) -> Recipe:
        whole.bind(*args, **kwargs)
        return recipe(*args, **kwargs)

    shown.__doc__ = text.replace("\n\nRaises:", "\n" + "\n".join(words.values()) + "\n\nRaises:", 1)
    shown.__annotations__ = hints | of_family
    shown.__signature__ = whole  # type: ignore[attr-defined]
    return cast(R, shown)


def explained(options: type) -> dict[str, str]:
    """What the docstring of options says of each, as it stands there."""
    words = cleandoc(options.__doc__ or "").partition("Arguments:\n")[2].rstrip()
    parts = re.split(r"^(?=    \w+: )", words, flags=re.MULTILINE)[1:]
    return {part.partition(":")[0].strip(): part.rstrip() for part in parts}


def entries(arguments: Mapping[str, Any], kind: type[Settings] = Settings) -> dict[str, Any]:
    """Those of a recipe's arguments that are entries of its settings."""
    return {name: value for name, value in arguments.items() if name in kind.__dataclass_fields__}
