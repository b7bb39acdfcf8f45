"""Priors: the distributions that codes are to follow and that samples are decoded from."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pushforward.distributions.base import Distribution, Gaussian, Implicit
from pushforward.errors import ConfigError
from pushforward.networks.precision import InFloat32
from pushforward.rng import Noise
from pushforward.torch_state import to_like
from pushforward.wording import option_name


class Prior(InFloat32, ABC):
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

    def bfloat16_parts(self) -> Iterable[nn.Module]:
        """All modules in it, which draws pass through."""
        return self.children()

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


class ScaledPrior(Prior):
    """A prior that is some distribution times a number.

    Arguments:
        latent_dim: Number of dimensions L.
        std: The number.

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


class NormalPrior(ScaledPrior):
    r""":math:`N(0, \sigma^2 I)`.

    Example:
        >>> prior = NormalPrior(2, std=3.0)
        >>> prior(5).rsample(Noise(0)).shape, prior.expected_sq_distance
        (torch.Size([5, 2]), 36.0)
    """

    def __init__(self, latent_dim: int, std: float = 1.0) -> None:
        super().__init__(latent_dim, std)
        self.path = "spherical" if latent_dim >= 8 else "linear"  # few dimensions have no shell

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


class UniformPrior(ScaledPrior):
    """Uniform on the box [-std, std]^L; codes reach it through tanh.

    Arguments:
        latent_dim: Number of dimensions L.
        std: Half of a side. The standard deviation of a dimension is ``std`` / √3.

    Raises:
        ConfigError: If ``latent_dim`` is below 1, or ``std`` not above 0.
    """

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


class SpherePrior(ScaledPrior):
    """Uniform on the sphere of radius ``std`` in R^L; codes are normalised to it.

    Arguments:
        latent_dim: Number of dimensions L.
        std: The radius. The standard deviation of a dimension is ``std`` / √L.

    Raises:
        ConfigError: If ``latent_dim`` is below 2, or ``std`` not above 0.
    """

    path = "spherical"

    def __init__(self, latent_dim: int, std: float = 1.0) -> None:
        super().__init__(latent_dim, std)
        if latent_dim < 2:
            raise ConfigError(f"a sphere needs {option_name('latent_dim')} of at least 2, got {latent_dim}")

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


class ProductPrior(Prior):
    """Independent blocks: a code is the concatenation of named ones.

    Its classes are those of the first block that has any.

    Arguments:
        blocks: Priors by name, in order.

    Example:
        >>> from pushforward.distributions import OneHotPrior
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
