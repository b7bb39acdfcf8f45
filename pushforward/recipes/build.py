"""The last step of every recipe: a description in one line, and a model that has been tried on the data."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from pushforward.costs import Cost
from pushforward.data.modality import modality
from pushforward.data.spec import DataSpec
from pushforward.errors import ConfigError
from pushforward.models import AutoWeight, Model, WarmUp, Weight
from pushforward.recipes.recipe import Setup
from pushforward.recipes.settings import AutoEncoderSettings, Settings
from pushforward.training import Training, adam
from pushforward.training.fit import check_fit
from pushforward.training.player_state import Optimizing

COST_NAMES = {
    "SquaredError": "the squared error",
    "L2": "the Euclidean distance",
    "L1": "the absolute error",
    "Bernoulli": "the Bernoulli negative log-likelihood in nats",
    "GaussianLikelihood": "the Gaussian negative log-likelihood in nats",
    "Columns": "the negative log-likelihood in nats",
    "Tokens": "the negative log-likelihood in nats",
}


def describe_cost(cost: Cost, spec: DataSpec) -> str:
    """What the cost is, in words."""
    kind = type(cost).__name__
    name = COST_NAMES.get(kind, f"a {kind} of your own")
    learnt = ", with learnt standard deviation" if getattr(cost, "learnt", False) else ""
    parts = modality(spec.modality).parts
    if parts is not None:
        return f"{name}, summed over the {parts}, averaged over the batch"
    values = f"values in {spec.range}" if spec.in_unit_interval else spec.range
    return f"{name}{learnt}, summed over {spec.n_values} {values}, averaged over the batch"


def describe_weight(
    model: Model, weight: Weight, settings: AutoEncoderSettings, spec: DataSpec, discrepancy: str
) -> str:
    """What the weight of a discrepancy means, in words."""
    cost = f"the cost is {describe_cost(model.cost, spec)}"
    if isinstance(weight, AutoWeight):
        return (
            f"weight auto, initially {float(weight):g}: the factor of {discrepancy} adapts until a "
            f"two-sample test on batches of {settings.batch_size} cannot distinguish codes from "
            f"the prior; {cost}"
        )
    elbo = "with weight 1 the sum is the negative evidence lower bound"
    note = elbo if model.is_elbo else settings.weight_note
    value = f"{float(weight):g}"
    if isinstance(weight, WarmUp):
        value = f"rising to {weight.value:g} over {weight.steps} steps"
    return f"weight {value}{f' ({note})' if note else ''} times {discrepancy}; {cost}"


def optimizer(name: str, lr: float, beta1: float, beta2: float = 0.999) -> Optimizing:
    """The optimizer of that name; ``beta1`` is the momentum of "sgd"."""
    if name == "rmsprop":
        return lambda parameters: torch.optim.RMSprop(parameters, lr=lr)
    if name == "sgd":
        return lambda parameters: torch.optim.SGD(parameters, lr=lr, momentum=beta1)
    if name == "adagrad":
        return lambda parameters: torch.optim.Adagrad(parameters, lr=lr)
    return adam(lr, (beta1, beta2))


def finish(
    model: Model,
    spec: DataSpec,
    settings: Settings,
    description: str,
    optimizers: Mapping[str, Optimizing] | None = None,
    n_labels: int | None = None,
    paired_fraction: float = 0.0,
) -> Setup:
    """The setup of a model, once its parts have been tried on two rows.

    Arguments:
        model: The model.
        spec: Describes the data.
        settings: What it was built from.
        description: One line that says what is minimised.
        optimizers: The optimizers of other players than the model and a critic, or in the place of theirs.
        n_labels: Number of labels that are used; None for all.
        paired_fraction: Share of the pairs of rows that are used.

    Raises:
        ConfigError: If a part does not fit the data.
    """
    check_fit(model, spec)
    training = Training(
        batch_size=settings.batch_size,
        optimizers={
            "model": optimizer(settings.optimizer, settings.lr, settings.beta1),
            "critic": adam(settings.critic_lr, (0.5, 0.999)),
            **(optimizers or {}),
        },
        schedule=settings.schedule,
        epochs=settings.epochs,
        pretrain=settings.pretrain,
        n_labels=n_labels,
        paired_fraction=paired_fraction,
    )
    return Setup(model, training, settings, description)


def setup_of_model(model: Model, spec: DataSpec, training: Training | None = None) -> Setup:
    """The setup of a model of the user's own, once its parts have been tried on two rows.

    Arguments:
        model: The model.
        spec: Describes the data.
        training: How it is trained; by default every player by Adam, in batches of at most 100 rows.

    Raises:
        ConfigError: If a part does not fit the data, or a player has no optimizer.
    """
    check_fit(model, spec)
    names = [player.name for player in model.players()]
    if training is None:
        training = Training(min(100, spec.n_train), {name: adam(1e-3) for name in names}, "cosine")
    missing = [name for name in names if name not in training.optimizers]
    if missing:
        raise ConfigError(
            f"training needs an optimizer for each player, there is none for {', '.join(missing)}"
        )
    return Setup(model, training, None, f"{type(model).__name__}, a model of your own")
