"""Paths between codes."""

from __future__ import annotations

import torch
from torch import Tensor


def linear(a: Tensor, b: Tensor, steps: int) -> Tensor:
    """Points on the segments from ``a`` to ``b``, both (N, L): shape (N, steps, L).

    Between independent draws of N(0, I) the middle has norm √(d/2), inside the shell that draws
    lie on: right for a box, or few dimensions.
    """
    t = torch.linspace(0, 1, steps).to(a).view(1, -1, 1)
    return (1 - t) * a.unsqueeze(1) + t * b.unsqueeze(1)


def spherical(a: Tensor, b: Tensor, steps: int) -> Tensor:
    r"""Points on the great circles from ``a`` to ``b``, both (N, L): shape (N, steps, L).

    .. math:: \frac{\sin((1-t)\omega)}{\sin\omega} a + \frac{\sin(t\omega)}{\sin\omega} b

    with :math:`\omega` the angle between a and b; where they are (nearly) parallel, the segment.

    References:
        | Animating Rotation with Quaternion Curves (Shoemake, 1985)
        | https://doi.org/10.1145/325334.325242

    Example:
        >>> path = spherical(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]), 5)
        >>> path.norm(dim=-1).round(decimals=4)
        tensor([[1., 1., 1., 1., 1.]])
    """
    t = torch.linspace(0, 1, steps).to(a).view(1, -1, 1)
    cosine = torch.nn.functional.cosine_similarity(a, b, dim=-1).clamp(-1, 1)
    angle = cosine.acos().view(-1, 1, 1)
    sine = angle.sin()
    path = ((1 - t) * angle).sin() / sine * a.unsqueeze(1) + (t * angle).sin() / sine * b.unsqueeze(1)
    return torch.where(sine > 1e-6, path, linear(a, b, steps))


PATHS = {"linear": linear, "spherical": spherical}
