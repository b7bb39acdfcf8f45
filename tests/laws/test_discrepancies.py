"""What every discrepancy owes. To join: one line in ``FAMILY``."""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import pytest
import torch
from torch import nn

from pushforward import IMQ, MMD, GaussianKernel, JensenShannon
from pushforward.costs import SquaredError
from pushforward.discrepancies import (
    BEGANEnergy,
    Blockwise,
    Clipping,
    CriticDiscrepancy,
    DeepKernelMMD,
    DensityRatio,
    Discrepancy,
    DiscrepancyContext,
    EBGANEnergy,
    Energy,
    ExactPriorMMD,
    FDivergence,
    GradientPenalty,
    Hinge,
    LeastSquares,
    LogPriorCritic,
    Polynomial,
    SlicedWasserstein,
    SquareRoot,
    Wasserstein,
    build_discrepancy,
    discrepancy_names,
)
from pushforward.discrepancies.f_divergences import ROWS
from pushforward.distributions import NormalPrior
from pushforward.errors import ConfigError, DivergedError
from pushforward.models.base import Player
from pushforward.networks import mlp
from pushforward.rng import Noise
from pushforward.training.player_state import PlayerState, adam

SHAPE = (3, 4)
D = math.prod(SHAPE)
LOG4 = math.log(4)


class Member(NamedTuple):
    """A member: how it is made, its value for equal distributions, and what its repr must say.

    ``columns``: whether columns have names, so that rows cannot be flattened. ``made``: whether the model
    descends what it says of the made sample alone; the given one is then its critic's to see. ``alone``:
    whether nothing looks at the given one. ``within``: how near the value of 200 rows comes to that of the
    distributions; ``shifts``: where 200 rows suffice to estimate it. ``steps``: updates of the critic, after
    which a missing constraint shows.
    """

    make: Callable[[], Discrepancy]
    at_equilibrium: float
    says: tuple[str, ...]
    columns: bool = False
    made: bool = False
    alone: bool = False
    within: float = 0.1
    steps: int = 75
    shifts: tuple[float, float] = (0.5, 1.5)


def critic() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(D, 16), nn.Tanh(), nn.Linear(16, 1))


class Quadratic(nn.Module):
    """h(z) = z·a + z²·b + c, which holds -log q of any diagonal Gaussian; it begins near that of N(0, I)."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * D, 1)
        self.linear.weight.data[:, D:] = 0.45
        self.linear.bias.data.fill_(D / 2 * math.log(2 * math.pi))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.linear(torch.cat([z, z.square()], 1))


class Net(nn.Sequential):
    def __init__(self, inputs: int) -> None:
        super().__init__(nn.Linear(inputs, 16), nn.Tanh(), nn.Linear(16, 1))


def in_blocks(first: Discrepancy, second: Discrepancy) -> Discrepancy:
    """Of the first column of each row, and of the three others."""
    return Blockwise({"first": first, "second": second}, {"first": 1, "second": 3})


def features() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(D, 4))


class Rebuilt(nn.Module):
    """The energy of rows of any shape: what a code of two numbers loses."""

    def __init__(self) -> None:
        super().__init__()
        self.energy = Energy(nn.Linear(D, 2), nn.Linear(2, D), SquaredError())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.energy(x.flatten(1))


def with_log_prior() -> nn.Module:
    return nn.Sequential(nn.Flatten(), LogPriorCritic(Quadratic(), NormalPrior(D)))


FAMILY = {
    "MMD u IMQ": Member(lambda: MMD(IMQ(2.0 * D)), 0, ("'u'", "C=24", "10.0")),
    "MMD v IMQ": Member(lambda: MMD(IMQ(2.0 * D), "v"), 0, ("'v'", "C=24")),
    "MMD u Gaussian": Member(lambda: MMD(GaussianKernel([3.0, 5.0])), 0, ("'u'", "3.0, 5.0")),
    "MMD v Gaussian": Member(lambda: MMD(GaussianKernel([5.0]), "v"), 0, ("'v'", "5.0")),
    "MMD u IMQ readable": Member(lambda: MMD(IMQ(2.0 * D), fast=False), 0, ("'u'", "C=24")),
    "MMD v IMQ readable": Member(lambda: MMD(IMQ(2.0 * D), "v", fast=False), 0, ("'v'", "C=24")),
    "MMD u polynomial": Member(lambda: MMD(Polynomial()), 0, ("'u'", "degree=3")),
    "MMD v polynomial": Member(lambda: MMD(Polynomial(2), "v"), 0, ("'v'", "degree=2")),
    "MMD from the prior itself": Member(
        lambda: ExactPriorMMD(IMQ(2.0 * D), NormalPrior(D)), 0, ("'u'", "C=24", "latent_dim=12"), alone=True
    ),
    "JensenShannon": Member(lambda: JensenShannon(critic()), LOG4, ("non_saturating=True", "n_critic=1")),
    "JensenShannon saturating": Member(
        lambda: JensenShannon(critic(), non_saturating=False, n_critic=3),
        -LOG4,
        ("non_saturating=False", "n_critic=3"),
    ),
    "JensenShannon with the log-prior": Member(
        lambda: JensenShannon(with_log_prior()), LOG4, ("non_saturating=True", "latent_dim=12")
    ),
    "Blocks of kernels": Member(
        lambda: in_blocks(MMD(IMQ(2.0)), MMD(IMQ(6.0), "v")), 0, ("C=2", "C=6"), columns=True
    ),
    "Blocks of critics": Member(
        lambda: in_blocks(*(JensenShannon(nn.Sequential(nn.Flatten(), Net(n))) for n in (3, 9))),
        2 * LOG4,
        ("non_saturating=True", "n_critic=1"),
        columns=True,
    ),
    "Blocks of a critic and a kernel": Member(
        lambda: in_blocks(JensenShannon(nn.Sequential(nn.Flatten(), Net(3))), MMD(IMQ(6.0))),
        LOG4,
        ("non_saturating=True", "C=6"),
        columns=True,
    ),
    "DensityRatio": Member(
        lambda: DensityRatio(critic()), 0, ("non_saturating=True", "n_critic=1"), made=True
    ),
    "LeastSquares": Member(lambda: LeastSquares(critic()), 0.25, ("targets=(0.0, 1.0, 1.0)", "n_critic=1")),
    "LeastSquares Pearson": Member(
        lambda: LeastSquares(critic(), (-1.0, 1.0, 0.0), n_critic=2),
        0,
        ("targets=(-1.0, 1.0, 0.0)", "n_critic=2"),
    ),
    "Hinge": Member(lambda: Hinge(critic()), 0, ("n_critic=1",)),
    "Wasserstein GP": Member(
        lambda: Wasserstein(critic(), GradientPenalty(10.0)),
        0,
        ("n_critic=5", "GradientPenalty(weight=10.0"),
        within=0.2,
        steps=150,
    ),
    "Wasserstein clipped": Member(
        lambda: Wasserstein(critic(), Clipping(0.1)), 0, ("n_critic=5", "Clipping(limit=0.1)")
    ),
    **{
        f"FDivergence {name}": Member(
            partial(lambda name: FDivergence(critic(), name), name),
            -row.at_one,
            (name, "non_saturating=True"),
        )
        for name, row in ROWS.items()
        if name
        != "reverse-kl"  # non-saturating, its value is a mean of exponentials that samples do not show
    },
    "FDivergence reverse-kl": Member(
        lambda: FDivergence(critic(), "reverse-kl", non_saturating=False),
        0,
        ("reverse-kl", "non_saturating=False"),
        shifts=(0.2, 0.4),
    ),
    "FDivergence KL saturating": Member(
        lambda: FDivergence(critic(), "kl", non_saturating=False), 0, ("kl", "non_saturating=False")
    ),
    "EBGANEnergy": Member(lambda: EBGANEnergy(Rebuilt(), 2.0), 0, ("margin=2", "pulling_away_weight=0")),
    "BEGANEnergy": Member(lambda: BEGANEnergy(Rebuilt(), 0.7), 0, ("gamma=0.7", "k_lr=0.001")),
    "DeepKernelMMD": Member(
        lambda: DeepKernelMMD(features(), GaussianKernel([1.0, 2.0]), order=0.0), 0, ("order=0",), within=0.2
    ),
    "SlicedWasserstein": Member(SlicedWasserstein, 0, ("directions=128",)),
    "SquareRoot": Member(
        lambda: SquareRoot(MMD(IMQ(2.0 * D), "v"), eps=1e-4), 0, ("'v'", "C=24"), within=0.25
    ),
}
everyone = pytest.mark.parametrize("member", FAMILY.values(), ids=FAMILY)


def samples(n: int = 200, shift: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(n, *SHAPE) + shift, torch.randn(n, *SHAPE)


def value(discrepancy: Discrepancy, q: torch.Tensor, p: torch.Tensor, steps: int = 75) -> float:
    """The value after a critic, if there is one, has ascended its bound on other samples."""
    parameters = list(discrepancy.parameters())
    if parameters:
        optimizer = torch.optim.Adam(parameters, lr=1e-2)
        for step in range(steps):
            optimizer.zero_grad()
            made, given = torch.randn(200, *SHAPE) + q.mean(), torch.randn(200, *SHAPE)
            paid = sum(discrepancy.penalties(made, given, Noise(0, step)).values(), torch.zeros(()))
            (paid - discrepancy.critic_objective(made, given)).backward()
            optimizer.step()
            discrepancy.project()
    with torch.no_grad():
        return discrepancy(q, p).item()


@everyone
def test_one_number(member):
    """A discrepancy of samples of any two sizes is a number of shape (), in the dtype of the samples."""
    discrepancy = member.make()
    q, p = samples()
    for n, m in ((2, 2), (7, 3), (200, 150)):
        assert discrepancy(q[:n], p[:m]).shape == ()
    assert discrepancy(q, p).dtype == torch.float32
    precise = discrepancy.double()(q.double(), p.double())
    assert precise.dtype == torch.float64
    torch.testing.assert_close(precise.float(), discrepancy.float()(q, p), rtol=1e-4, atol=1e-5)


@everyone
def test_equilibrium_is_the_least_value(member):
    """Equal distributions have the equilibrium value; others a greater one, growing with distance."""
    at_equilibrium = value(member.make(), *samples(), member.steps)
    assert at_equilibrium == pytest.approx(
        member.at_equilibrium, abs=0.15 if member.at_equilibrium else member.within
    )
    near, far = (value(member.make(), *samples(shift=shift), member.steps) for shift in member.shifts)
    assert at_equilibrium < near < far


@everyone
def test_order(member):
    """The rows of either sample may come in any order."""
    discrepancy = member.make().double()
    q, p = (sample.double() for sample in samples(50, 0.3))
    expected = discrepancy(q, p)
    torch.testing.assert_close(discrepancy(q[torch.randperm(50)], p), expected)
    torch.testing.assert_close(discrepancy(q, p[torch.randperm(50)]), expected)


@everyone
def test_shape(member):
    """Rows of shape (3, 4) and the same rows flattened have the same value, unless columns have names."""
    discrepancy = member.make()
    if member.columns:
        return
    q, p = samples()
    torch.testing.assert_close(
        discrepancy(q.flatten(1), p.flatten(1)), discrepancy(q, p), rtol=1e-5, atol=1e-6
    )


@everyone
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_finite(member, dtype):
    """Where both samples are equal, and where all codes have collapsed, the gradient is finite."""
    discrepancy = member.make().to(dtype)
    given = torch.randn(20, *SHAPE, dtype=dtype)
    collapsed = torch.ones_like(given)
    for q, p in ((given.clone(), given), (collapsed, given), (collapsed.clone(), collapsed)):
        q.requires_grad_()
        (gradient,) = torch.autograd.grad(discrepancy(q, p), q)
        assert gradient.isfinite().all()


@everyone
@pytest.mark.parametrize("side", ["model", "critic"])
def test_codes_without_bounds(member, side):
    """Squares of float32 overflow from 1.8e19: a step is then refused, and else leaves finite weights and
    moments.
    """
    for scale in (1e6, 1e15, 1e18, 1e19, 1e20, 1e25, 1e30, 1e38):
        discrepancy, network = member.make(), nn.Linear(4, D)
        network.weight.data *= scale
        q = network(torch.randn(10, 4)).view(-1, *SHAPE)
        p = torch.randn_like(q)
        if side == "model":
            trained, losses = network, {"discrepancy": discrepancy(q, p)}
        else:
            trained, losses = discrepancy, {}
            if not list(discrepancy.parameters()):
                return
            for part, (part_of, *pair) in discrepancy.critic_components(q.detach(), p).items():
                losses[f"critic{part}"] = -part_of.critic_objective(*pair)
                losses |= {name + part: loss for name, loss in part_of.penalties(*pair, Noise(0)).items()}
        names = {id(parameter): name for name, parameter in trained.named_parameters()}
        player = Player(side, lambda s, losses=losses: losses, tuple(trained.parameters()))
        state = PlayerState(player, adam(1e-3), names)
        before = [parameter.clone() for parameter in trained.parameters()]
        try:
            state.descend(losses, 0)
        except DivergedError as error:
            assert str(error).startswith(f"step 0: the {side}")  # noqa: PT017
            assert all(a.equal(b) for a, b in zip(trained.parameters(), before, strict=True))
        else:
            assert all(loss.isfinite() for loss in losses.values())
            moments = [value for kept in state.optimizer.state.values() for value in kept.values()]
            assert all(value.isfinite().all() for value in (*trained.parameters(), *moments))


@everyone
def test_gradients_reach_both_sides(member):
    """Made and given may both come out of a network; each that is looked at gets its gradient, if only by
    the critic."""
    discrepancy = member.make()
    q, p = (sample.requires_grad_() for sample in samples(20, 0.5))
    if member.made or member.alone:
        assert torch.equal(discrepancy(q, p), discrepancy(q, p.detach() + 1))
    for gradient in torch.autograd.grad(
        discrepancy.critic_objective(q, p) if member.made else discrepancy(q, p),
        (q,) if member.alone else (q, p),
    ):
        assert gradient.abs().sum() > 0


@everyone
def test_gradient_is_the_derivative(member):
    """The gradient agrees with finite differences."""
    discrepancy = member.make().double()
    q, p = (torch.randn(4, *SHAPE, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(discrepancy, (q, p))


@everyone
def test_descent_moves_towards_what_is_given(member):
    """Descending it moves what is made towards what is given."""
    discrepancy = member.make()
    q, p = samples(shift=1.0)
    value(discrepancy, q, p)
    q.requires_grad_()
    (gradient,) = torch.autograd.grad(discrepancy(q, p), q)
    assert (gradient.mean(0) > 0).float().mean() > 0.9


@everyone
def test_critic(member):
    """With parameters it is adversarial, and its critic has an objective; without parameters it has none."""
    discrepancy = member.make()
    q, p = samples()
    if list(discrepancy.parameters()):
        gradients = torch.autograd.grad(discrepancy.critic_objective(q, p), list(discrepancy.parameters()))
        assert all(gradient.isfinite().all() and gradient.abs().sum() > 0 for gradient in gradients[:-1])
        assert discrepancy.n_critic >= 1
    else:
        with pytest.raises(NotImplementedError, match="no critic"):
            discrepancy.critic_objective(q, p)


@everyone
def test_samples_are_left_alone(member):
    """Neither sample is changed, nor is any global generator."""
    discrepancy = member.make()
    q, p = samples()
    copies, state = (q.clone(), p.clone()), torch.random.get_rng_state()
    discrepancy(q, p)
    assert torch.equal(q, copies[0])
    assert torch.equal(p, copies[1])
    assert torch.equal(torch.random.get_rng_state(), state)


@everyone
def test_repr(member):
    """Printing it shows its hyper-parameters."""
    for words in member.says:
        assert words in repr(member.make())


@everyone
def test_autocast(member):
    """Under autocast the value stays within the precision of bfloat16, and finite."""
    discrepancy = member.make()
    q, p = samples(64, 0.5)
    with torch.autocast("cpu", torch.bfloat16):
        assert discrepancy(q, p).float().item() == pytest.approx(
            discrepancy.float()(q, p).item(), rel=0.05, abs=0.02
        )


@pytest.mark.parametrize("sides", [(1, 5), (5, 1), (1, 1)])
@pytest.mark.parametrize("fast", [True, False])
def test_u_statistic_of_one_sample(sides, fast):
    """The U-statistic divides by n(n - 1): a batch of one is refused by name, and V is offered."""
    q, p = (torch.randn(n, 3) for n in sides)
    with pytest.raises(ConfigError, match=r"at least 2 samples.*got 1.*estimator='v'"):
        MMD(IMQ(6.0), fast=fast)(q, p)
    assert MMD(IMQ(6.0), "v", fast)(q, p).isfinite()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: IMQ(0.0),
        lambda: IMQ(-1.0),
        lambda: IMQ(float("nan")),
        lambda: IMQ(1.0, []),
        lambda: IMQ(1.0, [1.0, 0.0]),
        lambda: IMQ(1.0, [-0.5]),
        lambda: GaussianKernel([]),
        lambda: GaussianKernel([0.0]),
        lambda: GaussianKernel([1.0, -2.0]),
        lambda: MMD(IMQ(1.0), "w"),
        lambda: MMD(IMQ(1.0), "U"),
        lambda: JensenShannon(nn.Linear(2, 1), n_critic=0),
    ],
)
def test_impossible_settings(wrong):
    """Constants that are zero, negative or unknown are refused."""
    with pytest.raises(ConfigError):
        wrong()


@pytest.mark.parametrize("name", discrepancy_names())
def test_a_discrepancy_by_name(name):
    """Every registered name builds a discrepancy, finite on two samples, with the given options."""
    context = DiscrepancyContext(
        lambda: mlp(3, 1, [8], norm=None), scale=6.0, n_critic=2, prior=NormalPrior(3)
    )
    built = build_discrepancy(name, context)
    q, p = torch.randn(20, 3), torch.randn(20, 3)
    assert built(q, p).isfinite()
    assert built.n_critic == (2 if isinstance(built, CriticDiscrepancy) else 1)


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(ConfigError, match="unknown discrepancy 'mdm': did you mean 'mmd'"):
        build_discrepancy("mdm", DiscrepancyContext(lambda: mlp(3, 1, [8]), scale=6.0))


def test_options_of_a_discrepancy_by_name():
    """Every divergence of the table has a name, and options reach the discrepancies that have them."""
    assert {"mmd", "js", "ls", "hinge", "w1", "w1-clip", "sliced-w2"} < set(discrepancy_names())
    assert {f"f-{name}" for name in ROWS} < set(discrepancy_names())
    context = DiscrepancyContext(
        critic, 8.0, 2, False, gp_weight=3.0, weight_clip=0.2, kernel="gaussian", estimator="v"
    )
    assert "non_saturating=False, n_critic=2" in repr(build_discrepancy("js", context))
    assert "GradientPenalty(weight=3.0" in repr(build_discrepancy("w1", context))
    assert "Clipping(limit=0.2)" in repr(build_discrepancy("w1-clip", context))
    assert "pearson, non_saturating=False" in repr(build_discrepancy("f-pearson", context))
    assert "'v'" in repr(build_discrepancy("mmd", context))
    assert build_discrepancy("mmd", context).kernel.bandwidths == (2.0,)
    with pytest.raises(ConfigError, match="unknown kernel 'rbf'"):
        build_discrepancy("mmd", DiscrepancyContext(critic, 1.0, kernel="rbf"))
