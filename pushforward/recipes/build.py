"""What all recipes share in the end: the line that says it all, and a model that has been seen to fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from pushforward.data.dataset import Dataset
from pushforward.errors import ConfigError
from pushforward.models import AutoEncoder, AutoWeight, Model, WarmUp, Weight
from pushforward.recipes.parts import Recipe, check_fit
from pushforward.recipes.settings import Settings
from pushforward.text.tokens import replace_tokens
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


def price(chosen: Settings, data: Dataset) -> str:
    """What the cost is, in words."""
    features = data.train.x[0].numel()
    if data.vocabulary:
        return f"{COST_WORDS[chosen.cost]}, summed over the tokens of a line, mean over the batch"
    return f"{COST_WORDS[chosen.cost]}, summed over {features} values in {data.range}, mean over the batch"


def weighed(model: Model, weight: Weight, chosen: Settings, data: Dataset, discrepancy: str) -> str:
    """What the weight of a match means, in words."""
    if isinstance(weight, AutoWeight):
        return (
            f"weight auto, from {float(weight):g}: the factor of {discrepancy} adapts until a test of two "
            f"samples of {chosen.batch_size} cannot tell codes from the prior; the cost is {price(chosen, data)}"
        )
    elbo = "with weight 1 the sum is the negative evidence lower bound"
    note = elbo if model.is_elbo else chosen.meaning
    tail = f" ({note})" if note else ""
    value = f"{float(weight):g}"
    if isinstance(weight, WarmUp):
        value = f"that rises to {weight.value:g} over {weight.steps} steps"
    return f"weight {value}{tail} times {discrepancy}; the cost is {price(chosen, data)}"


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
    if chosen.batch_size < 2:
        raise ConfigError(
            f"batch must be at least 2, got {chosen.batch_size}: rows of a batch are compared with each other"
        )
    if chosen.token_replacement:
        if not isinstance(model, AutoEncoder) or not data.vocabulary:
            raise ConfigError(
                f"word_swap is for auto-encoders of text, got {chosen.token_replacement:g} for {data.name}"
            )
        model.augment = partial(replace_tokens, rate=chosen.token_replacement)
    check_fit(model, data)
    training = Training(
        batch_size=chosen.batch_size,
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
