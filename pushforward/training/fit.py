"""Tries the parts of a model on two rows, so that what does not fit is reported before training starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from pushforward.data.spec import DataSpec
from pushforward.discrepancies import CriticDiscrepancy, DeepKernelMMD, Discrepancy
from pushforward.errors import ConfigError, reason
from pushforward.models.base import Model
from pushforward.rng import Noise
from pushforward.square import Square
from pushforward.utils import eval_mode
from pushforward.wording import option_name


def check_fit(model: Model, spec: DataSpec) -> None:
    """Runs two rows through every network, so that what does not fit is reported before training starts.

    Raises:
        ConfigError: If a module fails, or its output has another shape than it should.
    """
    if any(parameter.is_inference() for parameter in model.parameters()):
        raise ConfigError("parameters that were made under torch.inference_mode cannot be trained")
    x, y = spec.example(2)[:2]
    square = Square(model, x, Noise("dry batch"), y)

    def attempt(name: str, draw: Callable[[], Tensor], expected: str = "") -> tuple[int, ...]:
        try:
            with eval_mode(model), torch.no_grad():
                return tuple(draw().shape)
        except Exception as error:  # a module of the user's own may raise anything
            raise ConfigError(
                f"the {name} fails on rows of shape {spec.shape}: {reason(error)}{expected}"
            ) from error

    def check(
        name: str, wanted: tuple[int, ...], draw: Callable[[], Tensor], made: Sequence[str] = ()
    ) -> None:
        found = attempt(name, draw)
        if found == wanted:
            return
        if len(made) > 1:
            counts = len(made) * wanted[1], len(made) * found[-1]
            raise ConfigError(
                f"the network of the {name}: expected {len(made)} × {option_name('latent_dim')} = "
                f"{counts[0]} numbers a row "
                f"({' and '.join(made)}), got {counts[1]}"
            )
        raise ConfigError(f"the output of the {name} must be {wanted} for two rows, got {found}")

    if model.has_encoder:
        made = getattr(model.encoder, "parameters_of_code", ())
        check("encoder", (2, model.prior.latent_dim), lambda: square.Ex, made)
    check("decoder", tuple(x.shape), lambda: model.cost.point(square.GEx if model.has_encoder else square.Gz))
    if not isinstance(model.discrepancy, Discrepancy):
        return
    with eval_mode(model), torch.no_grad():
        components = model.discrepancy.components(*model.pair(square))
    for name, (discrepancy, _, p) in components.items():
        if isinstance(discrepancy, DeepKernelMMD):
            features = partial(_features, discrepancy, p)
            found = attempt(f"critic{name}", features, "; its output should be (N, features)")
            if len(found) != 2:
                raise ConfigError(f"the output of the critic must be (2, features) for two rows, got {found}")
        elif isinstance(discrepancy, CriticDiscrepancy):
            check(
                f"critic{name}",
                (2, 1),
                partial(lambda critic, p: critic(p).view(2, -1), discrepancy.critic, p),
            )


def _features(discrepancy: DeepKernelMMD, rows: Tensor) -> Tensor:
    """The features of rows, once they have been decoded."""
    features: Tensor = discrepancy.critic(rows)
    if discrepancy.decoder is not None:
        discrepancy.decoder(features)
    return features


__all__ = ["check_fit"]
