"""Claims that the suite makes of the library, and that the peers' bugs must break (test_peers_bugs)."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import pytest
import torch
from closed_forms import DISTRIBUTIONS
from scipy.integrate import quad
from scipy.stats import chi2, ncx2
from torch import Tensor, nn

from pushforward.data import Split
from pushforward.discrepancies import IMQ, MMD, Radial
from pushforward.distributions import DeterministicEncoder, NormalPrior
from pushforward.models import AutoEncoder, Model
from pushforward.networks import mlp
from pushforward.rng import Noise
from pushforward.square import Square
from pushforward.training.loop import Loop, Training
from pushforward.training.player_state import adam

# ------------------------------------------------------------------------------------ help


class Given(Noise):
    """A source of noise whose numbers are prescribed, one table for each stream."""

    def __init__(self, **tables: Tensor) -> None:
        super().__init__("given")
        self.tables = tables
        self.table: Tensor | None = None

    def __call__(self, *place: object) -> Noise:
        inner = Given(**self.tables)
        inner.table = self.tables.get(str(place[0]))
        return inner

    def normal(self, *shape: int) -> Tensor:
        assert self.table is not None
        assert tuple(self.table.shape) == shape
        return self.table


def looping(model: Model, x: Tensor, batch_size: int = 16, seed: int = 0, lr: float = 1e-3, **more) -> Loop:
    """A loop over rows ``x`` with Adam for every player."""
    optimizers = {player.name: adam(lr) for player in model.players()}
    return Loop(model, Split(x), Training(batch_size, optimizers, **more), total=1000, seed=seed)


def tensors(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


# ------------------------------------------------------------------------------- discrepancies


def unbiased(make: Callable[[Radial], MMD], n: int = 3) -> None:
    """Over all equally likely pairs of samples of size n the mean is the exact MMD²."""
    kernel = IMQ(2.0, [0.5, 1.0])
    value = mean_over_all_samples(make(kernel), n, ONE_SUPPORT, OTHER_SUPPORT)
    assert value == pytest.approx(exact_mmd(kernel, ONE_SUPPORT, OTHER_SUPPORT), abs=1e-12)


ONE_SUPPORT = torch.tensor([[0.0, 0.0], [1.0, 0.5], [-0.3, 2.0]], dtype=torch.float64)
OTHER_SUPPORT = torch.tensor([[0.4, 0.1], [2.0, -1.0], [0.9, 0.9]], dtype=torch.float64)


def mean_over_all_samples(mmd: MMD, n: int, Q: Tensor, P: Tensor) -> float:
    """The mean of a statistic over all samples of size n of two uniform distributions on three points."""
    samples = [torch.tensor(index) for index in product(range(3), repeat=n)]
    return math.fsum(mmd(Q[i], P[j]).item() for i in samples for j in samples) / len(samples) ** 2


def exact_mmd(kernel: Radial, Q: Tensor, P: Tensor) -> float:
    """MMD² of two distributions, each uniform on its points."""

    def expected(a: Tensor, b: Tensor) -> float:
        return kernel(torch.cdist(a, b).square()).mean().item()

    return expected(Q, Q) - 2 * expected(Q, P) + expected(P, P)


def expected_kernel(kernel: Radial, d: int, distance2: float, variance: float) -> float:
    """E k(x, y) for x - y ~ N(m, variance I_d), through the library's kernel and the density of r² alone."""

    def k(r2: float) -> float:
        return kernel(torch.tensor(r2, dtype=torch.float64)).item()

    if variance == 0:
        return k(distance2)
    distribution = ncx2(d, distance2 / variance) if distance2 else chi2(d)
    low, middle, high = (float(distribution.ppf(p)) for p in (1e-13, 0.5, 1 - 1e-13))
    inside = {"epsabs": 1e-10, "epsrel": 1e-9, "limit": 200}
    return sum(
        quad(lambda u: k(variance * u) * distribution.pdf(u), a, b, **inside)[0]
        for a, b in ((low, middle), (middle, high))
    )


def seven_scales(make: Callable[[float], Radial], d: int, distribution: str) -> None:
    """The kernel made from E|z - z'|² = 2d has the MMD² to N(0, I_d) that seven summed scales have."""
    kernel = make(2.0 * d)
    variance, squared, printed = DISTRIBUTIONS[distribution]
    distance2 = squared * d

    def expected(away2: float, variance: float) -> float:
        return expected_kernel(kernel, d, away2, variance)

    value = expected(0, 2 * variance) - 2 * expected(distance2, 1 + variance) + expected(0, 2)
    assert value == pytest.approx(printed[d], abs=1.5e-6)


def far_is_worse(discrepancy: nn.Module) -> None:
    """Codes that are away from the prior cost more than codes that follow it."""
    made, given = torch.randn(200, 2), torch.randn(200, 2)
    assert discrepancy(made + 2, given) > discrepancy(made, given) + 0.1


def moves_towards_the_prior(discrepancy: nn.Module) -> None:
    """Descending the discrepancy brings codes towards the prior."""
    made, given = (torch.randn(200, 2) + 2).requires_grad_(), torch.randn(200, 2)
    (gradient,) = torch.autograd.grad(discrepancy(made, given), made)
    assert (gradient.mean(0) > 0).all()


def slope(discrepancy: nn.Module, logit: float) -> float:
    """The derivative of what the model descends, by the critic's value of one made code."""
    made = torch.full((1, 1), logit, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(discrepancy(made, torch.zeros(1, 1, dtype=torch.float64)), made)
    return gradient.item()


def slopes_of_the_loss(make: Callable[[nn.Module, bool], nn.Module], logit: float) -> None:
    """-σ(a) for the saturating form and -(1 - σ(a)) non-saturating, also where σ is 0 or 1."""
    sure = math.exp(-abs(logit)) / (1 + math.exp(-abs(logit)))
    below, above = (sure, 1 - sure) if logit < 0 else (1 - sure, sure)
    assert slope(make(nn.Identity(), False), logit) == pytest.approx(-below, rel=1e-9, abs=1e-300)
    assert slope(make(nn.Identity(), True), logit) == pytest.approx(-above, rel=1e-9, abs=1e-300)


def one_logit_for_each_code(make: Callable[..., nn.Module], sigma: float = 1.0) -> None:
    """T(z) = h(z) + log p(z), one number for each code."""
    prior, net, z = NormalPrior(3, sigma), nn.Linear(3, 1), torch.randn(6, 3)
    expected = torch.stack(
        [net(row) + torch.distributions.Normal(0.0, sigma).log_prob(row).sum() for row in z]
    )
    made = make(net, prior)(z)
    assert made.shape == (6, 1)
    torch.testing.assert_close(made, expected)


# ---------------------------------------------------------------------------------------- costs


def sums_over_features(cost: nn.Module, power: float = 1.0) -> None:
    """Twice the features, the same again, is twice the cost (and √2 times for a norm)."""
    made, given = torch.randn(7, 2, 3), torch.rand(7, 2, 3)
    twice = cost(torch.cat([made, made], 1), torch.cat([given, given], 1))
    torch.testing.assert_close(twice, 2**power * cost(made, given), rtol=1e-5, atol=0)


def averages_over_the_batch(cost: nn.Module) -> None:
    """Twice the rows, the same again, is the same cost."""
    made, given = torch.randn(7, 2, 3), torch.rand(7, 2, 3)
    torch.testing.assert_close(cost(made.repeat(2, 1, 1), given.repeat(2, 1, 1)), cost(made, given))


# ------------------------------------------------------------------------------------- encoders


class Constant(nn.Module):
    """A network that says the same of every row."""

    def __init__(self, *values: float) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.tensor(values))

    def forward(self, x: Tensor) -> Tensor:
        return self.values.expand(len(x), -1)


def clamps_the_log_variance(make: Callable[[nn.Module], nn.Module]) -> None:
    """The clamp holds the *logarithm of the variance* in [-30, 20], and in between it does nothing."""
    for given, kept in ((-1e4, -30.0), (-10.0, -10.0), (3.0, 3.0), (15.0, 15.0), (1e4, 20.0)):
        q = make(Constant(0.0, given))(torch.zeros(1, 1))
        assert q.log_var.item() == kept
        noise = Noise(0)
        deviation = (q.rsample(noise) / noise.normal(1, 1)).item()
        assert deviation == pytest.approx(math.exp(kept / 2), rel=1e-5)


# --------------------------------------------------------------------------------------- models


def one_draw_of_the_code(make: Callable[..., AutoEncoder]) -> None:
    """What is decoded and what is compared are the same draw of the code of each row."""
    decoded: list[Tensor] = []
    compared: list[Tensor] = []

    class Seen(nn.Linear):
        def forward(self, z: Tensor) -> Tensor:
            decoded.append(z)
            return super().forward(z)

    class Recording(MMD):
        def forward(self, q: Tensor, p: Tensor) -> Tensor:
            compared.append(q)
            return super().forward(q, p)

    model = make(Seen(2, 5), Recording(IMQ(4.0)))
    model.formula(Square(model, torch.rand(8, 5), Noise(0)))
    assert len(decoded) == len(compared) == 1
    assert torch.equal(decoded[0], compared[0])


def the_discrepancy_moves_the_encoder(make: Callable[..., AutoEncoder]) -> None:
    """The discrepancy has a gradient in the encoder: codes are not detached."""
    model = make(nn.Linear(2, 5), MMD(IMQ(4.0)))
    discrepancy = model.formula(Square(model, torch.rand(8, 5), Noise(0)))["discrepancy"]
    discrepancy.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.encoder.parameters())


def own_update(loop: Loop) -> None:
    """In a player's update all others' parameters have no gradient, and their BatchNorms stay as they are.

    The critic's parameters are those of the discrepancy; all others are the model's.
    """
    x, _ = loop.rows(0)
    for player_state in loop.player_states:
        loop.model.zero_grad(set_to_none=True)
        critic = player_state.player.name == "critic"
        named = list(loop.model.named_parameters())
        mine = {name for name, _ in named if name.startswith("discrepancy.") == critic}
        before = tensors(loop.model)
        with loop.updating(player_state):
            player_state.descend(player_state.player.loss(Square(loop.model, x, Noise(0))), 0)
        for name, p in named:
            assert (p.grad is not None) == (name in mine), (
                f"{name} in the update of {player_state.player.name}"
            )
        norms = {name.rsplit(".", 1)[0] for name in before if name.endswith("running_mean")}
        for name, value in loop.model.state_dict().items():
            owner = name.rsplit(".", 1)[0]
            ours = name in mine or (owner in norms and f"{owner}.weight" in mine)
            assert torch.equal(value, before[name]) != ours, (
                f"{name} in the update of {player_state.player.name}"
            )
        assert all(p.requires_grad for p in loop.model.parameters())


def networks(
    norm: bool = True, features: int = 6, latent_dim: int = 2
) -> tuple[nn.Module, DeterministicEncoder]:
    """A small decoder and a deterministic encoder."""
    decoder = mlp(latent_dim, features, [12], norm=norm)
    return decoder, DeterministicEncoder(mlp(features, latent_dim, [12], norm=norm))
