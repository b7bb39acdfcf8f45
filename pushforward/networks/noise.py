"""Noise as a layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pushforward.shared_numbers import layer_numbers


class GaussianNoise(nn.Module):
    """Adds normal noise of standard deviation ``std`` in training, and nothing in evaluation mode.

    Like dropout it draws from torch's generator, which the loop seeds at every step.

    Arguments:
        std: The standard deviation of the noise, in the units of the input.

    >>> GaussianNoise(0.3).eval()(torch.ones(2))
    tensor([1., 1.])
    """

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def extra_repr(self) -> str:
        """The settings that ``repr`` shows."""
        return f"std={self.std:g}"

    def forward(self, x: Tensor) -> Tensor:
        """``x`` with normal noise added in training; ``x`` itself in evaluation mode."""
        if not (self.training and self.std):
            return x
        return x + self.std * layer_numbers(torch.randn, *x.shape, device=x.device, dtype=x.dtype)
