r"""The log-likelihood of data by annealing from the prior to the posterior; no encoder is needed.

Draws of the prior move to the posterior by way of :math:`f_\beta(z) = p(z)\, p(x \mid z)^\beta`. The
logarithm of their mean weight is too low on average; backwards from an exact draw of the posterior it is
too *high*: :func:`bidirectional` tells how far both are apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch
from itertools import pairwise

import torch
from torch import Tensor

from pushforward.costs import Bernoulli, Cost, GaussianLikelihood
from pushforward.distributions import Gaussian
from pushforward.errors import ConfigError, DataError, check_int
from pushforward.metrics.arrays import takes_arrays
from pushforward.metrics.likelihood import (
    CHUNK,
    Generative,
    Joint,
    joint,
    log_mean_exp,
    parts_of,
    rows_of,
)
from pushforward.parts import map_parts
from pushforward.rng import Noise
from pushforward.torch_state import widest
from pushforward.utils import eval_mode

TARGET = 0.65  # the best acceptance of Hamiltonian proposals in many dimensions (Neal, 2011, section 5.4.4)
PILOTS = 4  # chains of each row that find the sizes of steps
PACE = 0.2  # of their logarithm at every temperature, for a rate of acceptance that is off by 1


def sigmoid(temperatures: int) -> Tensor:
    r"""Inverse temperatures from 0 to 1, densest at both ends, where the distribution changes fastest.

    .. math:: \beta_t = \frac{\tilde\beta_t - \tilde\beta_0}{\tilde\beta_T - \tilde\beta_0}, \qquad
        \tilde\beta_t = \frac{1}{1 + \exp(-4 (2t/T - 1))}

    References:
        | Sandwiching the Marginal Likelihood Using Bidirectional Monte Carlo (Grosse et al., 2015), section 6
        | https://arxiv.org/abs/1511.02543

    >>> sigmoid(2)
    tensor([0.0000, 0.5000, 1.0000], dtype=torch.float64)
    """
    raw = (4 * torch.linspace(-1, 1, temperatures + 1, dtype=torch.float64)).sigmoid()
    return (raw - raw[0]) / (raw[-1] - raw[0])


@takes_arrays
def annealed(
    model: Generative,
    x: Tensor,
    noise: Noise,
    temperatures: int = 1000,
    leapfrog: int = 10,
    chains: int = 16,
    reverse: bool = False,
    start: Tensor | None = None,
    observation: Cost | None = None,
    schedule: Callable[[int], Tensor] = sigmoid,
    chunk: int = CHUNK,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    r"""The log-likelihood of every row by annealed importance sampling, in nats.

    .. math:: \log w = \sum_{t=1}^T (\beta_t - \beta_{t-1}) \log p(x \mid z_{t-1}), \qquad
        z_0 \sim p(Z), \quad z_t \sim T_t(\cdot \mid z_{t-1})

    where the Hamiltonian transition :math:`T_t` leaves :math:`p(z)\, p(x \mid z)^{\beta_t}` as it is.
    Forwards the value is :math:`\log \frac1C \sum_c w_c`; since :math:`E\,w = p(x)`, it is too low on
    average. In reverse the chains begin at a draw of the posterior and go back:
    :math:`E\,w^{-1} = p(x)^{-1}`, so that :math:`-\log \frac1C \sum_c w_c^{-1}` is too high on average.

    With one temperature it is plain importance sampling from the prior. Sizes of steps are found for
    each row and temperature by four chains that take no part in the estimate, which therefore keeps
    both inequalities exactly; adapting on the way, as is usual, does not.

    Arguments:
        model: With a normal prior; an encoder is not needed.
        x: Data, shape (N, \*).
        noise: Where every random number comes from; the row n of ``x`` takes the row n of it.
        temperatures: The number T of steps from the prior to the posterior.
        leapfrog: Gradients of the decoder in each transition.
        chains: The number C of independent chains for each row.
        reverse: Whether to go from the posterior to the prior.
        start: For ``reverse``: draws of the exact posteriors, shape (N, L). They are known for data
            that are simulated from the model, as the codes that made them.
        observation: The likelihood, if the model's cost is none. WAE, AAE and GAN have no
            likelihood until one is chosen; fix its std and state it with the figure.
        schedule: Maps T to T + 1 inverse temperatures that rise from 0 to 1.
        chunk: How many codes are decoded together, at least the chains of one row; the draws do not
            depend on it.
        progress: Called with the transitions done and all transitions, of all chunks.

    Returns:
        One number for each row, shape (N,), float64.

    Raises:
        ConfigError: If there is no likelihood, the prior has no density, or ``reverse`` and ``start`` differ.
        DataError: If ``x`` or ``start`` is empty, not finite, or of another shape.

    References:
        | Annealed Importance Sampling (Neal, 2001), equation 3 and section 3
        | https://arxiv.org/abs/physics/9803008
        | On the Quantitative Analysis of Decoder-Based Generative Models (Wu et al., 2017), section 3
        | https://arxiv.org/abs/1611.04273

    Example:
        >>> from types import SimpleNamespace
        >>> from torch import nn
        >>> from pushforward.distributions import NormalPrior
        >>> gan = SimpleNamespace(prior=NormalPrior(1), decoder=nn.Identity())
        >>> annealed(gan, torch.tensor([[2.0]]), Noise(0), temperatures=200, chains=100,
        ...          observation=GaussianLikelihood(1.0))  # log N(2; 0, 2) = -2.2655
        tensor([-2.2...], dtype=torch.float64)
    """
    p = joint(model, observation)
    betas = schedule(check_int("temperatures", temperatures, least=1)).tolist()
    if betas[0] != 0 or betas[-1] != 1 or any(b <= a for a, b in pairwise(betas)):
        raise ConfigError("a schedule must rise from 0 to 1")
    chains, leapfrog = check_int("chains", chains, least=1), check_int("leapfrog", leapfrog, least=1)
    if reverse != (start is not None):
        raise ConfigError("reverse=True needs start, draws of the posterior, and start needs reverse=True")
    # Leave inference mode, if we are in it: the transitions need gradients.
    with torch.inference_mode(False), torch.enable_grad(), eval_mode(p.decoder):
        x = rows_of(model, x).clone()
        u = torch.empty(0) if start is None else _whitened(p.prior, start.to(x), len(x))
        parts = list(parts_of(len(x), max(1, check_int("chunk", chunk, least=1) // max(chains, PILOTS))))

        def bound(part: tuple[int, slice]) -> Tensor:
            number, rows = part

            def tick(done: int) -> None:
                if progress:
                    each = 2 * (len(betas) - 1)
                    progress(number * each + done, len(parts) * each)

            path = Path(p, x[rows], noise.rows(noise.start + rows.start), betas, leapfrog)
            sizes = path.pilot(tick)
            if start is None:
                return log_mean_exp(path.forward(sizes, chains, tick))
            return -log_mean_exp(-path.backward(sizes, u[rows], chains, tick))

        return torch.cat([*map_parts(bound, enumerate(parts))])


@dataclass(frozen=True)
class State:
    """Where chains are: whitened codes u (N, C, L), log p(x | z) there (N, C), and its gradient."""

    u: Tensor
    value: Tensor
    slope: Tensor

    def where(self, taken: Tensor, other: State) -> State:
        """This state where ``taken`` (N, C), the other elsewhere."""
        wide = taken.unsqueeze(-1)
        return State(
            torch.where(wide, self.u, other.u),
            torch.where(taken, self.value, other.value),
            torch.where(wide, self.slope, other.slope),
        )


@dataclass(frozen=True)
class Path:
    """The way from the prior to the posteriors of some rows, in coordinates where the prior is N(0, I).

    Attributes:
        p: The model's densities.
        x: Data, shape (N, \\*).
        noise: Whose row n is the row n of ``x``.
        betas: Inverse temperatures from 0 to 1.
        leapfrog: Gradients in each transition.
    """

    p: Joint
    x: Tensor
    noise: Noise
    betas: list[float]
    leapfrog: int

    def pilot(self, tick: Callable[[int], None]) -> list[Tensor]:
        """The size of a step for each temperature and row, (N, 1) each, by chains of their own."""
        noise = self.noise("pilot")
        state = self._prior(noise, PILOTS)
        size = state.value.new_full((len(self.x), 1), state.u.shape[-1] ** -0.25)
        sizes = []
        for t, beta in enumerate(self.betas[1:], 1):
            sizes.append(size)
            state, accepted = self._move(state, beta, size, noise(t))
            size = size * (PACE * (accepted.mean(1, keepdim=True) - TARGET)).exp()
            tick(t)
        return sizes

    def forward(self, sizes: list[Tensor], chains: int, tick: Callable[[int], None]) -> Tensor:
        """log w of every chain from the prior to the posterior, (N, C), in double."""
        noise = self.noise("forward")
        state = self._prior(noise, chains)
        total = torch.zeros_like(state.value, dtype=widest(state.value.device))
        for t in range(1, len(self.betas)):
            total += (self.betas[t] - self.betas[t - 1]) * state.value.to(total.dtype)
            if t < len(sizes):  # no weight sees what a last transition would do
                state, _ = self._move(state, self.betas[t], sizes[t - 1], noise(t))
            tick(len(sizes) + t)
        return total

    def backward(self, sizes: list[Tensor], u: Tensor, chains: int, tick: Callable[[int], None]) -> Tensor:
        """log w of every chain from draws u (N, L) of the posterior to the prior, (N, C), in double."""
        noise = self.noise("backward")
        state = self._state(u.unsqueeze(1).repeat(1, chains, 1))
        total = torch.zeros_like(state.value, dtype=widest(state.value.device))
        for t in range(len(sizes), 0, -1):
            # The transition of β = 1 comes first: it parts the chains, which begin at one place.
            state, _ = self._move(state, self.betas[t], sizes[t - 1], noise(t))
            total += (self.betas[t] - self.betas[t - 1]) * state.value.to(total.dtype)
            tick(2 * len(sizes) + 1 - t)
        return total

    def _prior(self, noise: Noise, chains: int) -> State:
        latent = self.p.prior.center.shape[-1]
        return self._state(noise("prior").normal(len(self.x), chains, latent).to(self.p.prior.center))

    def _state(self, u: Tensor) -> State:
        u = u.detach().requires_grad_()
        z = self.p.prior.center + (self.p.prior.log_var / 2).exp() * u
        repeated = self.x.repeat_interleave(u.shape[1], 0)
        value = self.p.log_likelihood(repeated, z.flatten(0, 1)).view(u.shape[:2])
        # A decoder that ignores its code has no graph, and a slope of 0.
        (slope,) = torch.autograd.grad(value.sum() + 0 * u.sum(), u)
        return State(u.detach(), value.detach(), slope)

    def _move(self, state: State, beta: float, size: Tensor, noise: Noise) -> tuple[State, Tensor]:
        """A transition that leaves exp(-|u|²/2 + β log p(x | z)) as it is, and its chance of acceptance."""
        momentum = noise("momentum").normal(*state.u.shape).to(state.u)
        # A size that is not always the same keeps trajectories from closing upon themselves.
        jitter = 0.8 + 0.4 * noise("jitter").uniform(*state.value.shape).to(size)
        step = (size * jitter).unsqueeze(-1)

        def force(at: State) -> Tensor:
            return beta * at.slope - at.u

        def energy(at: State, momentum: Tensor) -> Tensor:
            squares = (at.u.square() + momentum.square()).sum(-1)
            wide = widest(squares.device)
            return 0.5 * squares.to(wide) - beta * at.value.to(wide)

        before, proposal = energy(state, momentum), state
        momentum = momentum + 0.5 * step * force(proposal)
        for i in range(self.leapfrog):
            proposal = self._state(proposal.u + step * momentum)
            momentum = momentum + (1.0 if i < self.leapfrog - 1 else 0.5) * step * force(proposal)
        # A trajectory that has left the numbers is never taken.
        chance = (before - energy(proposal, momentum)).nan_to_num(-math.inf, 0.0, -math.inf)
        chance = chance.clamp_max(0).exp()
        taken = noise("accept").uniform(*chance.shape).to(chance) < chance
        return proposal.where(taken, state), chance.to(size)


# ---------------------------------------------------------------------------------- both bounds


@dataclass(frozen=True)
class Bidirectional:
    """Both bounds on data simulated from the model, in nats.

    Attributes:
        lower: The mean of the forward bound over rows.
        upper: The mean of the reverse bound.
        gap: Their difference: on average how far either can be off, and at least 0 but for chance.
        error: The standard error of the gap over rows.
        rows: How many rows that was.
    """

    lower: float
    upper: float
    gap: float
    error: float
    rows: int


@takes_arrays
def bidirectional(
    model: Generative,
    n: int,
    noise: Noise,
    temperatures: int = 1000,
    leapfrog: int = 10,
    chains: int = 16,
    observation: Cost | None = None,
    schedule: Callable[[int], Tensor] = sigmoid,
    chunk: int = CHUNK,
    progress: Callable[[int, int], None] | None = None,
) -> Bidirectional:
    r"""Whether :func:`annealed` can be believed with these settings: both bounds on simulated data.

    Data :math:`x \sim p(x \mid z)` of codes :math:`z \sim p(Z)` come with an exact draw of their
    posterior, the code that made them. For real data the gap is a guess, as good as the model is.

    Arguments:
        n: How many rows are simulated, at least 2.

    Other arguments and what is raised as in :func:`annealed`; also :class:`ConfigError` for an observation
    model that cannot be simulated.

    References:
        | Sandwiching the Marginal Likelihood Using Bidirectional Monte Carlo (Grosse et al., 2015)
        | https://arxiv.org/abs/1511.02543

    Example:
        >>> from types import SimpleNamespace
        >>> from torch import nn
        >>> from pushforward.distributions import NormalPrior
        >>> gan = SimpleNamespace(prior=NormalPrior(1), decoder=nn.Identity())
        >>> both = bidirectional(gan, 50, Noise(0), temperatures=100, observation=GaussianLikelihood(1.0))
        >>> abs(both.gap) < 0.02
        True
    """
    p = joint(model, observation)
    n = check_int("n", n, least=2)
    with torch.no_grad(), eval_mode(p.decoder):
        codes = noise("codes").normal(n, p.prior.center.shape[-1]).to(p.prior.center)
        z = p.prior.center + (p.prior.log_var / 2).exp() * codes
        data = noise("data")
        x = torch.cat(
            [
                observe(p.observation, p.point(p.decoder(z[part])), data.rows(noise.start + part.start))
                for part in parts_of(n, check_int("chunk", chunk, least=1))
            ]
        )

    def bound(half: int, start: Tensor | None) -> Tensor:
        part = progress and (lambda done, total: progress(half * total + done, 2 * total))
        way = (start is not None, start, observation, schedule, chunk, part)
        return annealed(model, x, noise, temperatures, leapfrog, chains, *way)

    lower, upper = bound(0, None), bound(1, z)
    gaps = upper - lower
    error = gaps.std().item() / math.sqrt(n)
    return Bidirectional(lower.mean().item(), upper.mean().item(), gaps.mean().item(), error, n)


@singledispatch
def observe(cost: Cost, made: Tensor, noise: Noise) -> Tensor:
    """Data drawn from an observation model around what a decoder made, of the shape of ``made``.

    Raises:
        ConfigError: If the cost cannot be drawn from; ``observe.register`` adds one.
    """
    raise ConfigError(f"data cannot be simulated from {type(cost).__name__}")


@observe.register
def _(cost: GaussianLikelihood, made: Tensor, noise: Noise) -> Tensor:
    return made + cost.std * noise.normal(*made.shape).to(made)


@observe.register
def _(cost: Bernoulli, made: Tensor, noise: Noise) -> Tensor:
    return (noise.uniform(*made.shape).to(made) < made.sigmoid()).to(made)


def _whitened(prior: Gaussian, z: Tensor, n: int) -> Tensor:
    """Codes in the coordinates where the prior is N(0, I), checked."""
    if z.shape != (n, prior.center.shape[-1]) or not z.isfinite().all():
        shape = (n, prior.center.shape[-1])
        raise DataError(f"start must be finite and of shape {shape}, got shape {tuple(z.shape)}")
    return (z - prior.center) * (-prior.log_var / 2).exp()


__all__ = ["Bidirectional", "annealed", "bidirectional", "observe", "sigmoid"]
