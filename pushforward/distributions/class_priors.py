"""Priors whose draws belong to classes: one-hot vectors, components of a mixture, sections of a roll."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.distributions.priors import Prior
from pushforward.errors import ConfigError, check_int
from pushforward.networks.conditional import one_hot
from pushforward.rng import Noise
from pushforward.torch_state import to_device, to_like


class OneHotPrior(Prior):
    """One of K classes, all equally likely, as a one-hot row; codes reach the simplex by softmax."""

    def __init__(self, classes: int) -> None:
        super().__init__(check_int("classes", classes, least=2))
        self.classes = classes

    def extra_repr(self) -> str:
        """The settings that ``repr`` shows."""
        return f"classes={self.classes}"

    @property
    def expected_sq_distance(self) -> float:
        r""":math:`E\|z - z'\|^2` of two draws, 2 (1 - 1/K)."""
        return 2 * (1 - 1 / self.classes)

    def draw(self, n: int, noise: Noise, y: Tensor | None = None) -> Tensor:
        """n one-hot rows, shape (n, K), of the classes ``y`` (n,) where they are given and not -1."""
        return one_hot(some_class(n, noise, y, self.classes), self.classes)

    def to_support(self, codes: Tensor) -> Tensor:
        """Maps logits (N, K) to the simplex by softmax."""
        return codes.softmax(dim=-1)

    def class_probabilities(self, codes: Tensor) -> Tensor:
        """The codes (N, K) themselves: on the simplex they are probabilities."""
        return codes

    @property
    def continuous_dims(self) -> list[int]:
        """None, since all dimensions are those of a one-hot class."""
        return []


class MixturePrior(Prior):
    r"""A mixture of normals :math:`\sum_k w_k\, N(m_k, L_k L_k^\top)`; its components are classes.

    Arguments:
        means: The centres, shape (K, L).
        factors: A square root of each covariance, shape (K, L, L).
        weights: The shares of the components, shape (K,); equal by default.

    Example:
        >>> petals(10)(3, torch.tensor([0, 0, 5])).rsample(Noise(0)).shape
        torch.Size([3, 2])
    """

    def __init__(self, means: Tensor, factors: Tensor, weights: Tensor | None = None) -> None:
        super().__init__(means.shape[1])
        self.classes = len(means)
        weights = torch.ones(len(means)) if weights is None else weights
        self.means: Tensor
        self.factors: Tensor
        self.weights: Tensor
        for name, value in (("means", means), ("factors", factors), ("weights", weights / weights.sum())):
            self.register_buffer(name, value)
        self.bounds: Tensor  # of the classes in [0, 1]
        self.register_buffer("bounds", self.weights.cumsum(0), persistent=False)

    def extra_repr(self) -> str:
        """The settings that ``repr`` shows."""
        return f"latent_dim={self.latent_dim}, components={self.classes}"

    @property
    def expected_sq_distance(self) -> float:
        r""":math:`E\|z - z'\|^2` of two draws, from the moments of the components."""
        second = self.factors.square().sum((1, 2)) + self.means.square().sum(1)
        return 2 * float(self.weights @ second - (self.weights @ self.means).square().sum())

    def draw(self, n: int, noise: Noise, y: Tensor | None = None) -> Tensor:
        """n draws, shape (n, L), of the components ``y`` (n,) where they are given and not -1."""
        k = to_device(some_class(n, noise, y, self.classes, self.bounds), self.means.device)
        standard = to_like(noise("place").normal(n, self.latent_dim), self.means)
        return self.means[k] + torch.einsum("nij,nj->ni", self.factors[k], standard)


def petals(
    components: int = 10, radius: float = 1.4, length: float = 0.5, width: float = 0.05
) -> MixturePrior:
    """Normal distributions in the plane around a centre, elongated along their rays.

    Arguments:
        components: How many.
        radius: Distance of their centres from the middle.
        length: Deviation along the ray.
        width: Deviation across it.

    References:
        | Adversarial Autoencoders (Makhzani et al., 2015), figure 4; the sizes are those of public code
        | https://arxiv.org/abs/1511.05644
    """
    angle = 2 * math.pi * torch.arange(check_int("components", components, least=1)) / components
    ray = torch.stack([angle.cos(), angle.sin()], dim=1)
    across = torch.stack([-angle.sin(), angle.cos()], dim=1)
    return MixturePrior(radius * ray, torch.stack([length * ray, width * across], dim=2))


class SwissRollPrior(Prior):
    r"""The roll :math:`3t\,(\cos 4\pi t, \sin 4\pi t)`, :math:`t = \sqrt U`, uniform along two turns.

    Class k of K is the k-th stretch, :math:`U \in [k/K, (k + 1)/K)`.

    Arguments:
        classes: Number of stretches.
        thickness: Deviation of normal noise around the roll.

    References:
        | Adversarial Autoencoders (Makhzani et al., 2015), figure 4; radius and turns are of public code
        | https://arxiv.org/abs/1511.05644
    """

    def __init__(self, classes: int = 10, thickness: float = 0.1) -> None:
        super().__init__(2)
        self.classes = check_int("classes", classes, least=1)
        self.thickness = thickness

    def extra_repr(self) -> str:
        """The settings that ``repr`` shows."""
        return f"classes={self.classes}, thickness={self.thickness:g}"

    @property
    def expected_sq_distance(self) -> float:
        r""":math:`E\|z - z'\|^2` of two draws, from the roll's second moment 4.5 and its mean."""
        turn = 4 * math.pi
        mean = (12 / turn**2) ** 2 + (6 / turn) ** 2
        return 2 * (4.5 - mean + 2 * self.thickness**2)

    def draw(self, n: int, noise: Noise, y: Tensor | None = None) -> Tensor:
        """n draws, shape (n, 2), of the stretches ``y`` (n,) where they are given and not -1."""
        k = some_class(n, noise, y, self.classes)
        along, around = noise("along").uniform(n), noise("around").normal(n, 2)
        t = ((k + to_device(along, k.device)) / self.classes).sqrt()
        angle = 4 * math.pi * t
        roll = 3 * t * torch.stack([angle.cos(), angle.sin()])
        return roll.T + self.thickness * to_device(around, k.device)


def some_class(n: int, noise: Noise, y: Tensor | None, classes: int, bounds: Tensor | None = None) -> Tensor:
    """Classes (n,): those of ``y`` where it is not -1, else drawn: where a uniform number is below the bound.

    Without bounds (K,) all classes are equally likely. The result is on the device of ``y`` or, without it,
    of the bounds or the CPU.

    Raises:
        ConfigError: If ``y`` has another length, or is on the CPU, where it can be looked at without waiting,
            and holds a class of K or more.
    """
    u = noise("class").uniform(n)
    if bounds is None:
        drawn = (u * classes).long()
    else:
        u = to_device(u, bounds.device)
        drawn = torch.searchsorted(bounds.to(u), u, right=True)
    drawn = drawn.clamp(max=classes - 1)
    if y is None:
        return drawn
    if len(y) != n or (y.device.type == "cpu" and y.max() >= classes):
        raise ConfigError(f"y must be {n} classes below {classes}, got {len(y)} up to {int(y.max())}")
    return torch.where(y >= 0, y, to_device(drawn, y.device))
