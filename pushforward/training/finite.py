"""What is said where numbers are not finite: of a term, a gradient, the rows of a batch, or a model."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pushforward.errors import DivergedError, listed
from pushforward.models.base import Model
from pushforward.rng import Noise
from pushforward.square import Square
from pushforward.torch_state import torch_seeded
from pushforward.utils import eval_mode

NAMES, NUMBERS = 3, 5  # how many of a long list are printed
SAMPLES = 16  # that tell of a model


def gradient_fault(gradients: Mapping[str, Tensor]) -> str:
    """What is wrong with gradients, by the names of their parameters, whose norm is not finite.

    >>> gradient_fault({"encoder.weight": torch.tensor([0.0, torch.inf]), "decoder.bias": torch.zeros(2)})
    'the gradient of encoder.weight is not finite'
    """
    bad = [name for name, gradient in gradients.items() if not gradient.isfinite().all()]
    if bad:
        return f"the gradient of {listed(bad, NAMES)} is not finite"
    largest = max(gradients, key=lambda name: gradients[name].abs().max().item())
    return f"the norm of its gradient overflows, most of all in {largest}"


def batch_rows(square: Square, numbers: Tensor) -> str:
    """Which training rows a square is of: those whose codes or reconstructions are not finite, if it is some.

    Arguments:
        square: The square.
        numbers: The numbers (N,) of its rows.

    >>> batch_rows(Square(None, torch.zeros(7, 2), Noise(0)), torch.arange(10, 17))
    'its batch is of training rows 10, 11, 12, 13, 14 and 2 more'
    """
    for name, what in (("Ex", "codes"), ("GEx", "reconstructions")):
        rows = vars(square).get(name)  # only if it has been computed
        if isinstance(rows, Tensor) and len(rows) == len(numbers):
            bad = ~rows.detach().flatten(1).isfinite().all(1).cpu()
            if bad.any() and not bad.all():
                return f"{what} of training rows {listed(numbers[bad].tolist(), NUMBERS)} are not finite"
    return f"its batch is of training rows {listed(numbers.tolist(), NUMBERS)}"


def nonfinite_weights(model: nn.Module) -> list[str]:
    """The names of parameters, and of moments that BatchNorm keeps, that are not finite."""
    weights: dict[str, Tensor] = dict(model.named_parameters())
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm):  # other buffers may be infinite, such as masks
            moments = {f"{name}.{moment}": value for moment, value in module.named_buffers()}
            weights |= {moment: value for moment, value in moments.items() if value.is_floating_point()}
    if torch.nn.utils.get_total_norm(list(weights.values())).isfinite():  # one pass, for most models
        return []
    return [name for name, value in weights.items() if not value.isfinite().all()]


@torch.no_grad()
def check_finite(model: Model, square: Square, step: int, seed: int) -> None:
    """Checks the weights, the samples and the codes that a model makes after a step.

    A loss may be finite at the last step of a run, and its optimizer's step go too far all the same.

    Arguments:
        model: The model.
        square: The square of the step, of whose rows codes are taken.
        step: The step.
        seed: The run's seed, from which samples are derived.

    Raises:
        DivergedError: If one is not finite.
    """
    if names := nonfinite_weights(model):
        raise DivergedError(f"step {step}: the weights of {listed(names, NAMES)} are not finite")
    noise = Noise(seed, "finite", step)
    with eval_mode(model), torch_seeded(noise.integer(), square.x.device):
        y = torch.arange(SAMPLES, device=square.x.device) % model.n_conditions if model.n_conditions else None
        made = {"samples": model.sample(SAMPLES, noise, y)}
        if model.has_encoder:
            made["codes"] = square.eval_codes
    for name, rows in made.items():
        if not rows.isfinite().all():
            raise DivergedError(
                f"step {step}: {name} are not finite, although all weights are: they have become too large; "
                "lower the learning rates"
            )


__all__ = ["batch_rows", "check_finite", "gradient_fault", "nonfinite_weights"]
