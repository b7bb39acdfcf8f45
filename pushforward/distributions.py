"""Priors and encoders: modules whose call returns a distribution.

A deterministic encoder returns a :class:`Dirac`, so that every model can write ``q.rsample``
without asking which kind of encoder it has. All noise comes in from outside
(:class:`~pushforward.randomness.Noise`); nothing here draws from a global generator.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pushforward.errors import ConfigError
from pushforward.randomness import Noise

LOG_VAR_BOUNDS = (-30.0, 20.0)  # exp overflows in float32 at 89; these keep every use of it finite


class Distribution(ABC):
    """A law over N rows, one for each row of a batch.

    Attributes:
        center: The point that stands for the law when no noise is wanted, shape (N, \\*).
    """

    center: Tensor

    @abstractmethod
    def rsample(self, noise: Noise) -> Tensor:
        """One draw of every row, differentiable, of the shape of ``center``."""


class Dirac(Distribution):
    """All mass in one point: z = center."""

    def __init__(self, center: Tensor) -> None:
        self.center = center

    def rsample(self, noise: Noise) -> Tensor:
        return self.center


class Gaussian(Distribution):
    r"""The diagonal Gaussian :math:`N(\mu, \mathrm{diag}\,\sigma^2)`.

    Arguments:
        center: The mean, shape (N, L).
        log_var: The logarithm of the variance, shape (N, L).
    """

    def __init__(self, center: Tensor, log_var: Tensor) -> None:
        self.center = center
        self.log_var = log_var

    def rsample(self, noise: Noise) -> Tensor:
        return self.center + (self.log_var / 2).exp() * noise.normal(*self.center.shape).to(self.center)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log-density at ``z`` in nats, shape (N,)."""
        squares = (z - self.center).square() * (-self.log_var).exp()
        return -0.5 * (squares + self.log_var + math.log(2 * math.pi)).sum(dim=-1)


class Implicit(Distribution):
    r"""The law of :math:`f(\eta)` for noise :math:`\eta`; it can be sampled and has no density.

    Arguments:
        draw: The map from a source of noise to one draw of every row.
        center: What stands for the law without noise, made when asked for. It is :math:`f(0)`,
            not the mean.
    """

    def __init__(self, draw: Callable[[Noise], Tensor], center: Callable[[], Tensor]) -> None:
        self.draw = draw
        self._center = center

    @property
    def center(self) -> Tensor:  # type: ignore[override]
        return self._center()

    def rsample(self, noise: Noise) -> Tensor:
        return self.draw(noise)


# --------------------------------------------------------------------------------------- priors


class Prior(nn.Module, ABC):
    r"""The law :math:`P_Z` that codes are to follow; ``prior(n)`` is n rows of it.

    Attributes:
        latent: Number of dimensions L of a code.
        path: The path between two codes, "linear" or "spherical", that stays where the mass is.
    """

    path = "linear"

    def __init__(self, latent: int) -> None:
        super().__init__()
        if latent < 1:
            raise ConfigError(f"latent must be at least 1, got {latent}")
        self.latent = latent
        self.anchor: Tensor
        self.register_buffer("anchor", torch.zeros(()), persistent=False)  # knows device and dtype

    @property
    @abstractmethod
    def spread(self) -> float:
        r"""The expected squared distance :math:`E\|z - z'\|^2` of two draws: the scale of kernels."""

    @abstractmethod
    def draw(self, n: int, noise: Noise) -> Tensor:
        """n draws, shape (n, L)."""

    def forward(self, n: int) -> Distribution:
        return Implicit(
            lambda noise: self.draw(n, noise).to(self.anchor),
            lambda: torch.zeros(n, self.latent).to(self.anchor),
        )

    def onto(self, codes: Tensor) -> Tensor:
        """Maps any (N, L) to where the prior lives; encoders end with it."""
        return codes


class NormalPrior(Prior):
    r""":math:`N(0, \sigma^2 I)`.

    Example:
        >>> prior = NormalPrior(2, sigma=3.0)
        >>> prior(5).rsample(Noise(0)).shape, prior.spread
        (torch.Size([5, 2]), 36.0)
    """

    def __init__(self, latent: int, sigma: float = 1.0) -> None:
        super().__init__(latent)
        if not sigma > 0:
            raise ConfigError(f"sigma must be above 0, got {sigma}")
        self.sigma = sigma
        self.path = "spherical" if latent >= 8 else "linear"  # few dimensions have no shell

    def extra_repr(self) -> str:
        return f"latent={self.latent}, sigma={self.sigma:g}"

    @property
    def spread(self) -> float:
        return 2 * self.latent * self.sigma**2

    def draw(self, n: int, noise: Noise) -> Tensor:
        return self.sigma * noise.normal(n, self.latent)

    def forward(self, n: int) -> Gaussian:
        center = torch.zeros(n, self.latent).to(self.anchor)
        return Gaussian(center, torch.full_like(center, 2 * math.log(self.sigma)))


class UniformPrior(Prior):
    """Uniform on the box [-1, 1]^L, scaled by ``sigma``; codes reach it through tanh."""

    def __init__(self, latent: int, sigma: float = 1.0) -> None:
        super().__init__(latent)
        if not sigma > 0:
            raise ConfigError(f"sigma must be above 0, got {sigma}")
        self.sigma = sigma

    def extra_repr(self) -> str:
        return f"latent={self.latent}, sigma={self.sigma:g}"

    @property
    def spread(self) -> float:
        return 2 * self.latent * self.sigma**2 / 3

    def draw(self, n: int, noise: Noise) -> Tensor:
        return self.sigma * (2 * noise.uniform(n, self.latent) - 1)

    def onto(self, codes: Tensor) -> Tensor:
        return self.sigma * codes.tanh()


class SpherePrior(Prior):
    """Uniform on the sphere of radius ``sigma`` in R^L; codes are normalised onto it."""

    path = "spherical"

    def __init__(self, latent: int, sigma: float = 1.0) -> None:
        super().__init__(latent)
        if latent < 2:
            raise ConfigError(f"a sphere needs latent of at least 2, got {latent}")
        if not sigma > 0:
            raise ConfigError(f"sigma must be above 0, got {sigma}")
        self.sigma = sigma

    def extra_repr(self) -> str:
        return f"latent={self.latent}, sigma={self.sigma:g}"

    @property
    def spread(self) -> float:
        return 2 * self.sigma**2

    def draw(self, n: int, noise: Noise) -> Tensor:
        return self.sigma * F.normalize(noise.normal(n, self.latent), dim=-1)

    def onto(self, codes: Tensor) -> Tensor:
        return self.sigma * F.normalize(codes, dim=-1)


# ------------------------------------------------------------------------------------- encoders


class Encoder(nn.Module, ABC):
    """A law of the code for every row of data: ``encoder(x)`` is :math:`Q(Z \\mid x)`."""

    @abstractmethod
    def forward(self, x: Tensor) -> Distribution: ...


class DeterministicEncoder(Encoder):
    r"""The code is a function of the data, :math:`z = e(x)`.

    Arguments:
        net: Maps (N, \*) to (N, L).
        onto: The last step, to where the prior lives (:meth:`Prior.onto`).
    """

    def __init__(self, net: nn.Module, onto: Callable[[Tensor], Tensor] = lambda z: z) -> None:
        super().__init__()
        self.net = net
        self.onto = onto

    def forward(self, x: Tensor) -> Dirac:
        return Dirac(self.onto(self.net(x)))


class GaussianEncoder(Encoder):
    r"""The code is :math:`z = \mu(x) + \sigma(x)\,\varepsilon` with :math:`\varepsilon \sim N(0, I)`.

    Arguments:
        net: Maps (N, \*) to (N, 2L): means, then logarithms of variances.
        bounds: Where the log-variance is clamped. (The official WAE code clamps the same
            quantity at ±50; clamping the standard deviation instead is another model.)
    """

    def __init__(self, net: nn.Module, bounds: tuple[float, float] = LOG_VAR_BOUNDS) -> None:
        super().__init__()
        self.net = net
        self.bounds = bounds

    def forward(self, x: Tensor) -> Gaussian:
        mean, log_var = self.net(x).chunk(2, dim=-1)
        return Gaussian(mean, log_var.clamp(*self.bounds))


class ImplicitEncoder(Encoder):
    r"""The universal approximator :math:`z = h(e(x), \eta)` with :math:`\eta \sim N(0, I)`.

    Noise goes *through* the network, so that Q(Z | x) may take any shape.

    Arguments:
        net: The trunk e, maps (N, \*) to (N, H).
        head: The head h, maps (N, H + noise) to (N, L).
        noise: Number of noise dimensions.
        onto: The last step, to where the prior lives.

    References:
        | Adversarial Autoencoders (Makhzani et al., 2015), section 2, "universal approximator posterior"
        | https://arxiv.org/abs/1511.05644
    """

    def __init__(
        self, net: nn.Module, head: nn.Module, noise: int, onto: Callable[[Tensor], Tensor] = lambda z: z
    ) -> None:
        super().__init__()
        self.net = net
        self.head = head
        self.noise = noise
        self.onto = onto

    def forward(self, x: Tensor) -> Implicit:
        trunk = self.net(x)

        def code(eta: Tensor) -> Tensor:
            return self.onto(self.head(torch.cat([trunk, eta.to(trunk)], dim=-1)))

        return Implicit(
            lambda noise: code(noise.normal(len(x), self.noise)),
            lambda: code(torch.zeros(len(x), self.noise)),
        )


class NoisyInput(Encoder):
    r"""An encoder that sees :math:`x + s\,\varepsilon`, with noise truncated at two deviations, in training.

    Arguments:
        encoder: The encoder of the noisy data.
        std: The deviation s, in the units of the data.

    References:
        | The official code of Wasserstein Auto-Encoders (Tolstikhin et al., 2018), ``add_noise``, s = 0.01
        | https://github.com/tolstikhin/wae
    """

    def __init__(self, encoder: Encoder, std: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.std = std

    def extra_repr(self) -> str:
        return f"std={self.std:g}"

    def forward(self, x: Tensor) -> Distribution:
        if not self.training:
            return self.encoder(x)

        def code(noise: Noise) -> Tensor:
            pixels = self.std * truncated_normal(noise("input"), x).to(x)
            q: Distribution = self.encoder(x + pixels)
            return q.rsample(noise)

        return Implicit(code, lambda: self.encoder(x).center)


def truncated_normal(noise: Noise, like: Tensor) -> Tensor:
    """Standard normal numbers conditioned on lying in [-2, 2], by inversion, of the shape of ``like``."""
    low, high = (0.5 * (1 + math.erf(side / math.sqrt(2))) for side in (-2.0, 2.0))
    return torch.special.ndtri(low + (high - low) * noise.uniform(*like.shape))
