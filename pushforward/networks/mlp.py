"""Fully connected networks, for data of any shape."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from torch import nn

from pushforward.networks.norms import in_vector


def mlp(
    inputs: int | Sequence[int],
    outputs: int | Sequence[int],
    widths: Sequence[int],
    norm: str | None = "batch",
    activation: Callable[[], nn.Module] = nn.ReLU,
) -> nn.Sequential:
    """Linear layers with (BatchNorm and) ReLU between them; rows may be vectors or images.

    Arguments:
        inputs: Shape of a row that comes in.
        outputs: Shape of a row that goes out.
        widths: Units of each hidden layer.
        norm: What precedes each ReLU, by its name in :func:`~pushforward.networks.norms.in_vector`, or None.
        activation: What stands in the place of the ReLU.

    >>> import torch
    >>> mlp((1, 8, 8), 2, [16])(torch.rand(5, 1, 8, 8)).shape
    torch.Size([5, 2])
    >>> mlp(2, (1, 8, 8), [16])(torch.rand(5, 2)).shape
    torch.Size([5, 1, 8, 8])
    """
    shape_in = (inputs,) if isinstance(inputs, int) else tuple(inputs)
    shape_out = (outputs,) if isinstance(outputs, int) else tuple(outputs)
    layers: list[nn.Module] = [nn.Flatten()] if len(shape_in) > 1 else []
    width = math.prod(shape_in)
    for units in widths:
        layers += [
            nn.Linear(width, units, bias=norm is None),
            *in_vector(norm, units),
            activation(),
        ]
        width = units
    layers.append(nn.Linear(width, math.prod(shape_out)))
    if len(shape_out) > 1:
        layers.append(nn.Unflatten(1, shape_out))
    return nn.Sequential(*layers)
