"""What all recipes share: names at the door, the settings that were chosen, and the line that says it all."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from inspect import cleandoc
from typing import Any, Literal, TypeVar, get_args, get_type_hints

from pushforward.data.dataset import Dataset
from pushforward.errors import ConfigError
from pushforward.models import AutoEncoder, AutoWeight, Model, RisingWeight, Weight
from pushforward.recipes.parts import Recipe, check_fit
from pushforward.recipes.settings import Settings
from pushforward.tokens import swapped
from pushforward.training import Training, adam
from pushforward.training.loop import Optimizing

Table = dict[str, Callable[[Dataset], Settings]]
COST_WORDS = {
    "squared": "the squared error",
    "l2": "the Euclidean distance",
    "l1": "the absolute error",
    "bernoulli": "the Bernoulli negative log-likelihood in nats",
    "gaussian": "the Gaussian negative log-likelihood in nats",
    "gaussian-learnt": "the Gaussian negative log-likelihood in nats, its deviation learnt",
    "tokens": "the negative log-likelihood in nats",
}
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
R = TypeVar("R", bound=Callable[..., Recipe])


def unfolded(recipe: R) -> R:
    """Shows what stands behind ``**options: Unpack[...]`` in the recipe's signature, hints and docstring.

    Options that a family of recipes shares are written once, as a TypedDict whose docstring explains them.
    """
    signature, hints = inspect.signature(recipe), get_type_hints(recipe)
    *own, options = signature.parameters.values()
    (shared,) = get_args(hints.pop(options.name))
    of_family = get_type_hints(shared)
    one = options.replace(kind=options.KEYWORD_ONLY, default=None)
    words = cleandoc(shared.__doc__ or "").partition("Arguments:\n")[2].rstrip()
    text = cleandoc(recipe.__doc__ or "")
    recipe.__doc__ = text.replace("\n\nRaises:", f"\n{words}\n\nRaises:", 1)
    recipe.__annotations__ = hints | of_family
    parameters = [*own, *(one.replace(name=name) for name in of_family)]
    recipe.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return recipe


def entries(arguments: Mapping[str, Any], kind: type[Settings] = Settings) -> dict[str, Any]:
    """Those of a recipe's arguments that are entries of its settings."""
    return {name: value for name, value in arguments.items() if name in kind.__dataclass_fields__}


def price(chosen: Settings, data: Dataset) -> str:
    """What the cost is, in words."""
    features = data.train.x[0].numel()
    if data.words:
        return f"{COST_WORDS[chosen.cost]}, summed over the tokens of a line, mean over the batch"
    return f"{COST_WORDS[chosen.cost]}, summed over {features} values in {data.range}, mean over the batch"


def weighed(model: Model, weight: Weight, chosen: Settings, data: Dataset, match: str) -> str:
    """What the weight of a match means, in words."""
    if isinstance(weight, AutoWeight):
        return (
            f"weight auto, from {float(weight):g}: the factor of {match} adapts until a test of two "
            f"samples of {chosen.batch} cannot tell codes from the prior; the cost is {price(chosen, data)}"
        )
    elbo = "with weight 1 the sum is the negative evidence lower bound"
    note = elbo if model.is_bound else chosen.meaning
    tail = f" ({note})" if note else ""
    value = f"{float(weight):g}"
    if isinstance(weight, RisingWeight):
        value = f"that rises to {weight.value:g} over {weight.steps} steps"
    return f"weight {value}{tail} times {match}; the cost is {price(chosen, data)}"


def finish(
    model: Model,
    chosen: Settings,
    data: Dataset,
    meaning: str,
    optimizers: Mapping[str, Optimizing] | None = None,
    labels: int | None = None,
    pairs: float = 0.0,
) -> Recipe:
    """A recipe, once its model has been seen to fit the data."""
    if chosen.batch < 2:
        raise ConfigError(
            f"batch must be at least 2, got {chosen.batch}: rows of a batch are compared with each other"
        )
    if chosen.word_swap:
        if not isinstance(model, AutoEncoder) or not data.words:
            raise ConfigError(
                f"word_swap is for auto-encoders of text, got {chosen.word_swap:g} for {data.name}"
            )
        model.rehearse = partial(swapped, share=chosen.word_swap)
    check_fit(model, data)
    training = Training(
        batch=chosen.batch,
        optimizers=optimizers
        or {
            "model": adam(chosen.lr, (chosen.beta1, 0.999)),
            "critic": adam(chosen.critic_lr, (0.5, 0.999)),
        },
        schedule=chosen.schedule,
        epochs=chosen.epochs,
        pretrain=chosen.pretrain,
        labels=labels,
        pairs=pairs,
    )
    return Recipe(model, training, chosen, meaning)
