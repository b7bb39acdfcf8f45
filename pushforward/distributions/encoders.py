"""Encoders: modules that return the distribution of the code of every row of data."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from pushforward.distributions.base import Dirac, Distribution, Gaussian, Implicit, Uniform
from pushforward.errors import ConfigError
from pushforward.networks.conditional import Conditional
from pushforward.networks.precision import InFloat32
from pushforward.rng import Noise
from pushforward.torch_state import to_like
from pushforward.wording import option_name

LOG_VAR_BOUNDS = (-30.0, 20.0)  # exp overflows in float32 at 89; these keep every use of it finite


class Encoder(InFloat32, ABC):
    """A distribution of the code for every row of data: ``encoder(x)`` is :math:`Q(Z \\mid x)`.

    Labels ``y`` are passed to every encoder; only a :class:`ConditionalEncoder` uses them.

    Attributes:
        parameters_of_code: What the network makes for each dimension of a code.
    """

    parameters_of_code: tuple[str, ...] = ("code",)

    def bfloat16_parts(self) -> Iterable[nn.Module]:
        """All modules in it, which a row passes through."""
        return self.children()

    @abstractmethod
    def forward(self, x: Tensor, y: Tensor | None = None) -> Distribution:
        """Q(Z | x) of every row of ``x`` (N, \\*), given labels ``y`` (N,) if it is conditional."""


class DeterministicEncoder(Encoder):
    r"""The code is a function of the data, :math:`z = e(x)`.

    Arguments:
        net: Maps (N, \*) to (N, L).
        to_support: The last step, to the support of the prior (:meth:`Prior.to_support`).
    """

    def __init__(self, net: nn.Module, to_support: Callable[[Tensor], Tensor] = lambda z: z) -> None:
        super().__init__()
        self.net = net
        self.to_support = to_support

    def forward(self, x: Tensor, y: Tensor | None = None) -> Dirac:
        """The codes e(x), (N, L), as point masses; labels are ignored."""
        return Dirac(self.to_support(self.net(x)))


class GaussianEncoder(Encoder):
    r"""The code is :math:`z = \mu(x) + \sigma(x)\,\varepsilon` with :math:`\varepsilon \sim N(0, I)`.

    Arguments:
        net: Maps (N, \*) to (N, 2L): means, then logarithms of variances.
        bounds: Where the log-variance is clamped. (The official WAE code clamps the same
            quantity at ±50; clamping the standard deviation instead is another model.)
    """

    parameters_of_code = ("mean", "log-variance")

    def __init__(self, net: nn.Module, bounds: tuple[float, float] = LOG_VAR_BOUNDS) -> None:
        super().__init__()
        self.net = net
        self.bounds = bounds

    def forward(self, x: Tensor, y: Tensor | None = None) -> Gaussian:
        """N(μ(x), diag σ²(x)) of every row, log-variances clamped to the bounds; labels are ignored."""
        mean, log_var = halves(self.net(x))
        return Gaussian(mean, log_var.clamp(*self.bounds))


class UniformEncoder(Encoder):
    r"""The code is uniform on a box around :math:`\mu(x)` with variances :math:`\sigma^2(x)`.

    Arguments:
        net: Maps (N, \*) to (N, 2L): means, then logarithms of variances.
        bounds: Where the log-variance is clamped.

    References:
        | On the Latent Space of Wasserstein Auto-Encoders (Rubenstein et al., 2018); its code places the
          box with one corner at the network's mean
        | https://arxiv.org/abs/1802.03761
    """

    parameters_of_code = ("mean", "log-variance")

    def __init__(self, net: nn.Module, bounds: tuple[float, float] = LOG_VAR_BOUNDS) -> None:
        super().__init__()
        self.net = net
        self.bounds = bounds

    def forward(self, x: Tensor, y: Tensor | None = None) -> Uniform:
        """The box of every row, log-variances clamped to the bounds; labels are ignored."""
        mean, log_var = halves(self.net(x))
        return Uniform(mean, log_var.clamp(*self.bounds))


class ImplicitEncoder(Encoder):
    r"""The universal approximator :math:`z = h(e(x), \eta)` with :math:`\eta \sim N(0, I)`.

    Noise goes *through* the network, so that Q(Z | x) may take any shape.

    Arguments:
        net: The trunk e, maps (N, \*) to (N, H).
        head: The head h, maps (N, H + noise) to (N, L).
        noise: Number of noise dimensions.
        to_support: The last step, to the support of the prior.

    References:
        | Adversarial Autoencoders (Makhzani et al., 2015), section 2, "universal approximator posterior"
        | https://arxiv.org/abs/1511.05644
    """

    def __init__(
        self,
        net: nn.Module,
        head: nn.Module,
        noise: int,
        to_support: Callable[[Tensor], Tensor] = lambda z: z,
    ) -> None:
        super().__init__()
        self.net = net
        self.head = head
        self.noise = noise
        self.to_support = to_support

    def forward(self, x: Tensor, y: Tensor | None = None) -> Implicit:
        """The distribution of h(e(x), η) of every row; the trunk runs once. Labels are ignored."""
        trunk = self.net(x)

        def code(eta: Tensor) -> Tensor:
            return self.to_support(self.head(torch.cat([trunk, to_like(eta, trunk)], dim=-1)))

        return Implicit(
            lambda noise: code(noise.normal(len(x), self.noise)),
            lambda: code(torch.zeros(len(x), self.noise)),
        )


class NoisyInput(Encoder):
    r"""An encoder of :math:`x + s\,\varepsilon`, with normal noise in training.

    Arguments:
        encoder: The encoder of the noisy data.
        std: The deviation s, in the units of the data.
        truncated: Whether the noise stays within two deviations.

    References:
        | The official code of Wasserstein Auto-Encoders (Tolstikhin et al., 2018), ``add_noise``, s = 0.01
        | https://github.com/tolstikhin/wae
    """

    def __init__(self, encoder: Encoder, std: float, truncated: bool = True) -> None:
        super().__init__()
        self.encoder = encoder
        self.parameters_of_code = encoder.parameters_of_code
        self.std = std
        self.truncated = truncated

    def extra_repr(self) -> str:
        """The settings that ``repr`` shows."""
        return f"std={self.std:g}, truncated={self.truncated}"

    def forward(self, x: Tensor, y: Tensor | None = None) -> Distribution:
        """In training the distribution of codes of x + s ε; in evaluation mode that of x."""
        if not self.training:
            return self.encoder(x, y)

        def code(noise: Noise) -> Tensor:
            source = noise("input")
            drawn = truncated_normal(source, x) if self.truncated else source.normal(*x.shape)
            q: Distribution = self.encoder(x + self.std * to_like(drawn, x), y)
            return q.rsample(noise)

        return Implicit(code, lambda: self.encoder(x, y).center)


class ConditionalEncoder(Encoder):
    r"""An encoder that is conditioned on the label: :math:`Q(Z \mid x, y)`.

    Arguments:
        encoder: The encoder of rows with the label appended
            (:class:`~pushforward.networks.conditional.Conditional`).
        classes: Number of labels K; of an unknown one all K numbers are 0.
    """

    def __init__(self, encoder: Encoder, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.parameters_of_code = encoder.parameters_of_code
        self.beside = Conditional(nn.Identity(), classes)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Distribution:
        """The distribution of the codes of ``x`` (N, \\*), given labels ``y`` (N,), -1 where unknown.

        Raises:
            DataError: If labels are missing, or not one for each row.
        """
        return self.encoder(self.beside(x, y))


def halves(made: Tensor) -> tuple[Tensor, Tensor]:
    """The means and log-variances (N, L) in the output (N, 2L) of a network.

    Raises:
        ConfigError: If its width is odd.
    """
    width = made.shape[-1]
    if width % 2:
        raise ConfigError(
            f"expected 2 × {option_name('latent_dim')} numbers a row (mean and log-variance), got {width}"
        )
    mean, log_var = made.chunk(2, dim=-1)
    return mean, log_var


def truncated_normal(noise: Noise, like: Tensor) -> Tensor:
    """Standard normal numbers conditioned on lying in [-2, 2], by inversion, of the shape of ``like``."""
    low, high = (0.5 * (1 + math.erf(side / math.sqrt(2))) for side in (-2.0, 2.0))
    return torch.special.ndtri(low + (high - low) * noise.uniform(*like.shape))
