"""Priors: the distributions that codes are to follow and that samples are decoded from."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pushforward.distributions.base import Distribution, Gaussian, Implicit
from pushforward.errors import ConfigError, check_int
from pushforward.networks.conditional import one_hot
from pushforward.rng import Noise
from pushforward.torch_state import to_device, to_like
from pushforward.wording import option_name


class Prior(nn.Module, ABC):
    r"""The distribution :math:`P_Z` that codes are to follow; ``prior(n)`` is that of n rows.

    A prior with classes draws rows of given ones: ``prior(n, y)``, with -1 for any.

    Attributes:
        latent_dim: Number of dimensions L of a code.
        path: The path between two codes, "linear" or "spherical", that stays where most of the mass is.
        classes: Number of classes; 0 of most priors.
    """

    path = "linear"
    classes = 0

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        if latent_dim < 1:
            raise ConfigError(f"{option_name('latent_dim')} must be at least 1, got {latent_dim}")
        self.latent_dim = latent_dim
        self.device_buffer: Tensor
        self.register_buffer("device_buffer", torch.zeros(()), persistent=False)  # knows device and dtype

    @property
    @abstractmethod
    def expected_sq_distance(self) -> float:
        r"""The expected squared distance :math:`E\|z - z'\|^2` of two draws: the scale of kernels."""

    @property
    def variance(self) -> float:
        """The variance of a dimension, averaged over dimensions."""
        return self.expected_sq_distance / (2 * self.latent_dim)

    @abstractmethod
    def draw(self, n: int, noise: Noise, y: Tensor | None = None) -> Tensor:
        """n draws, shape (n, L), of the classes ``y`` (n,) where the prior has any."""

    def forward(self, n: int, y: Tensor | None = None) -> Distribution:
        """The distribution of n codes, of the classes ``y`` (n,) if they are given; -1 is any class."""
        return Implicit(
            lambda noise: to_like(self.draw(n, noise, y), self.device_buffer),
            lambda: self.device_buffer.new_zeros(n, self.latent_dim),
        )

    def to_support(self, codes: Tensor) -> Tensor:
        """Maps any (N, L) to the support of the prior; encoders end with it."""
        return codes

    def class_probabilities(self, codes: Tensor) -> Tensor | None:
        """The probabilities (N, K) of classes that codes (N, L) hold, or None if they hold none."""
        return None

    @property
    def continuous_dims(self) -> list[int]:
        """The dimensions that can be traversed, all but those of one-hot classes."""
        return list(range(self.latent_dim))


class NormalPrior(Prior):
    r""":math:`N(0, \sigma^2 I)`.

    Example:
        >>> prior = NormalPrior(2, std=3.0)
        >>> prior(5).rsample(Noise(0)).shape, prior.expected_sq_distance
        (torch.Size([5, 2]), 36.0)
    """

    def __init__(self, latent_dim: int, std: float = 1.0) -> None:
        super().__init__(latent_dim)
        if not std > 0:
            raise ConfigError(f"std must be above 0, got {std}")
        self.std = std
        self.path = "spherical" if latent_dim >= 8 else "linear"  # few dimensions have no shell

    def extra_repr(self) -> str:
        """The settings that ``repr`` shows."""
        return f"latent_dim={self.latent_dim}, std={self.std:g}"

    @property
    def expected_sq_distance(self) -> float:
        r""":math:`E\|z - z'\|^2` of two draws, 2 L σ²."""
        return 2 * self.latent_dim * self.std**2

    def draw(self, n: int, noise: Noise, y: Tensor | None = None) -> Tensor:
        """n draws, shape (n, L); ``y`` is ignored."""
        return self.std * noise.normal(n, self.latent_dim)

    def forward(self, n: int, y: Tensor | None = None) -> Gaussian:
        """N(0, σ² I) for n codes; ``y`` is ignored."""
        center = self.device_buffer.new_zeros(n, self.latent_dim)
        return Gaussian(center, torch.full_like(center, 2 * math.log(self.std)))


class UniformPrior(Prior):
    """Uniform on the box [-std, std]^L; codes reach it through tanh.

    Arguments:
        latent_dim: Number of dimensions L.
        std: Half of a side. The standard deviation of a dimension is ``std`` / √3.

    Raises:
        ConfigError: If ``latent_dim`` is below 1, or ``std`` not above 0.
    """

    def __init__(self, latent_dim: int, std: float = 1.0) -> None:
        super().__init__(latent_dim)
        if not std > 0:
            raise ConfigError(f"std must be above 0, got {std}")
        self.std = std

    def extra_repr(self) -> str:
        """The settings that ``repr`` shows."""
        return f"latent_dim={self.latent_dim}, std={self.std:g}"

    @property
    def expected_sq_distance(self) -> float:
        r""":math:`E\|z - z'\|^2` of two draws, 2 L std² / 3."""
        return 2 * self.latent_dim * self.std**2 / 3

    def draw(self, n: int, noise: Noise, y: Tensor | None = None) -> Tensor:
        """n draws, shape (n, L), in [-std, std]; ``y`` is ignored."""
        return self.std * (2 * noise.uniform(n, self.latent_dim) - 1)

    def to_support(self, codes: Tensor) -> Tensor:
        """Maps (N, L) into the box by ``std`` tanh."""
        return self.std * codes.tanh()


class SpherePrior(Prior):
    """Uniform on the sphere of radius ``std`` in R^L; codes are normalised to it.

    Arguments:
        latent_dim: Number of dimensions L.
        std: The radius. The standard deviation of a dimension is ``std`` / √L.

    Raises:
        ConfigError: If ``latent_dim`` is below 2, or ``std`` not above 0.
    """

    path = "spherical"

    def __init__(self, latent_dim: int, std: float = 1.0) -> None:
        super().__init__(latent_dim)
        if latent_dim < 2:
            raise ConfigError(f"a sphere needs {option_name('latent_dim')} of at least 2, got {latent_dim}")
        if not std > 0:
            raise ConfigError(f"std must be above 0, got {std}")
        self.std = std

    def extra_repr(self) -> str:
        """The settings that ``repr`` shows."""
        return f"latent_dim={self.latent_dim}, std={self.std:g}"

    @property
    def expected_sq_distance(self) -> float:
        r""":math:`E\|z - z'\|^2` of two draws, 2 std²."""
        return 2 * self.std**2

    def draw(self, n: int, noise: Noise, y: Tensor | None = None) -> Tensor:
        """n draws, shape (n, L), of norm ``std``; ``y`` is ignored."""
        return self.std * F.normalize(noise.normal(n, self.latent_dim), dim=-1)

    def to_support(self, codes: Tensor) -> Tensor:
        """Scales each row of (N, L) to the norm ``std``."""
        return self.std * F.normalize(codes, dim=-1)


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


class ProductPrior(Prior):
    """Independent blocks: a code is the concatenation of named ones.

    Its classes are those of the first block that has any.

    Arguments:
        blocks: Priors by name, in order.

    Example:
        >>> prior = ProductPrior({"y": OneHotPrior(10), "z": NormalPrior(4)})
        >>> {name: tuple(part.shape) for name, part in prior.split(prior(3).rsample(Noise(0))).items()}
        {'y': (3, 10), 'z': (3, 4)}
    """

    def __init__(self, blocks: Mapping[str, Prior]) -> None:
        super().__init__(sum(block.latent_dim for block in blocks.values()))
        self.blocks = nn.ModuleDict(blocks)
        self.sizes = {name: block.latent_dim for name, block in blocks.items()}
        self.asked = next((name for name, block in blocks.items() if block.classes), None)
        self.classes = 0 if self.asked is None else blocks[self.asked].classes

    def split(self, codes: Tensor) -> dict[str, Tensor]:
        """The blocks of codes (N, L), by name."""
        return dict(zip(self.sizes, codes.split(list(self.sizes.values()), dim=-1), strict=True))

    @property
    def expected_sq_distance(self) -> float:
        r""":math:`E\|z - z'\|^2` of two draws, the sum of the blocks'."""
        return sum(block.expected_sq_distance for _, block in self._named())

    def draw(self, n: int, noise: Noise, y: Tensor | None = None) -> Tensor:
        """n draws, shape (n, L), each block from its own stream; ``y`` is for the one with classes."""
        ys = {self.asked: y}  # other blocks with classes are drawn whole
        drawn = [
            to_like(block.draw(n, noise(name), ys.get(name)), self.device_buffer)
            for name, block in self._named()
        ]
        return torch.cat(drawn, dim=-1)

    def to_support(self, codes: Tensor) -> Tensor:
        """Maps the columns of each block of (N, L) to the support of its prior."""
        parts = self.split(codes)
        return torch.cat([block.to_support(parts[name]) for name, block in self._named()], dim=-1)

    def class_probabilities(self, codes: Tensor) -> Tensor | None:
        """The probabilities (N, K) of the first block that has any, or None."""
        parts = self.split(codes)
        found = (block.class_probabilities(parts[name]) for name, block in self._named())
        return next(
            (class_probabilities for class_probabilities in found if class_probabilities is not None), None
        )

    @property
    def continuous_dims(self) -> list[int]:
        """The dimensions that can be traversed, of all blocks."""
        found, start = [], 0
        for _, block in self._named():
            found += [start + place for place in block.continuous_dims]
            start += block.latent_dim
        return found

    def _named(self) -> list[tuple[str, Prior]]:
        return [(name, block) for name, block in self.blocks.items() if isinstance(block, Prior)]


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
