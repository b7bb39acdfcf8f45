"""Points in the plane from distributions whose modes are known; generated, not read.

References:
    | Improved Training of Wasserstein GANs (Gulrajani et al., 2017), section 3.1 and its official code
    | https://github.com/igul222/improved_wgan_training
    | Unrolled Generative Adversarial Networks (Metz et al., 2017), appendix A, for the ring
    | https://arxiv.org/abs/1611.02163
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.data.dataset import Centres, Dataset, Split
from pushforward.data.formats import OpenOptions, named_dataset
from pushforward.distributions import Prior, SwissRollPrior, petals
from pushforward.errors import check_int
from pushforward.rng import Noise

TRAIN, TEST = 50_000, 10_000
RING_STD = 0.02  # standard deviation of every mode of a ring


def ring(modes: int = 8, radius: float = 2.0) -> Tensor:
    r"""Distinct centres :math:`r (\cos 2\pi k / K, \sin 2\pi k / K)`, shape (K, 2).

    >>> ring(4, 1.0).round().abs()
    tensor([[1., 0.], [0., 1.], [1., 0.], [0., 1.]])
    """
    # K steps of 2π/K: K points from 0 to 2π inclusive would hold the first mode twice.
    angles = torch.arange(check_int("modes", modes, least=1), dtype=torch.float64) * (2 * math.pi / modes)
    centres = radius * torch.stack([angles.cos(), angles.sin()], dim=1)
    return centres.to(torch.get_default_dtype())


def grid(side: int = 5, spacing: float = 2.0) -> Tensor:
    """The centres of a square grid around 0, shape (side², 2).

    >>> grid(2)
    tensor([[-1., -1.], [-1.,  1.], [ 1., -1.], [ 1.,  1.]])
    """
    middle = (check_int("side", side, least=1) - 1) / 2
    steps = (torch.arange(side, dtype=torch.float64) - middle) * spacing
    return torch.cartesian_prod(steps, steps).to(torch.get_default_dtype())


def around(name: str, centres: Tensor, std: float) -> Dataset:
    """Points of a mixture, with equal weights, of normal distributions around centres (K, D)."""
    noise = Noise(name)
    mode = (noise("mode").uniform(TRAIN + TEST) * len(centres)).long()
    points = centres[mode] + std * noise("place").normal(len(mode), centres.shape[1])
    return split(name, points, Centres(centres, std))


@named_dataset("ring", "60000 points of 8 Gaussians on a circle; generated, works offline", modality="vector")
def open_ring(options: OpenOptions) -> Dataset:
    """Eight normal distributions of standard deviation 0.02 on a circle of radius 2.

    >>> open_ring(OpenOptions()).shape
    (2,)
    """
    return around("ring", ring(), RING_STD)


@named_dataset("grid", "60000 points of 25 Gaussians on a grid; generated, works offline", modality="vector")
def open_grid(options: OpenOptions) -> Dataset:
    """Twenty-five normal distributions of standard deviation 0.05 on a square grid of spacing 2."""
    return around("grid", grid(), 0.05)


def drawn_from(name: str, distribution: Prior) -> Dataset:
    """Points of a distribution in the plane."""
    return split(name, distribution.draw(TRAIN + TEST, Noise(name)))


@named_dataset("swiss-roll", "60000 points of a spiral; generated, works offline", modality="vector")
def open_roll(options: OpenOptions) -> Dataset:
    """A swiss roll: two turns of a spiral in the plane."""
    return drawn_from("swiss-roll", SwissRollPrior())


@named_dataset(
    "petals",
    "60000 points of 10 stretched Gaussians; generated, works offline",
    modality="vector",
)
def open_petals(options: OpenOptions) -> Dataset:
    """A mixture of ten normal distributions, stretched along rays: narrow modes that are not round."""
    return drawn_from("petals", petals())


def split(name: str, points: Tensor, modes: Centres | None = None) -> Dataset:
    """A data set of the first points as training rows and the others as held-out rows."""
    parts = (Split(points[:TRAIN]), Split(points[TRAIN:]))
    return Dataset(name, *parts, in_unit_interval=False, source=name, modes=modes)


__all__ = ["grid", "open_grid", "open_petals", "open_ring", "open_roll", "ring"]
