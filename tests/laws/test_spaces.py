"""Each discrepancy moves samples to data and codes to the prior alike."""

import pytest
import torch
from torch import nn

from pushforward import IMQ, MMD, WAE, GaussianKernel, JensenShannon
from pushforward.costs import SquaredError
from pushforward.data import Split
from pushforward.discrepancies import (
    BEGANEnergy,
    Clipping,
    DeepKernelMMD,
    EBGANEnergy,
    Energy,
    FDivergence,
    GradientPenalty,
    Hinge,
    LeastSquares,
    SquareRoot,
    Wasserstein,
    spectral,
)
from pushforward.discrepancies.f_divergences import ROWS
from pushforward.distributions import DeterministicEncoder, NormalPrior
from pushforward.models import GAN
from pushforward.networks import mlp
from pushforward.rng import Noise
from pushforward.training import Loop, Training, adam

SHIFT = 1.5


def critic(outputs=1):
    return mlp(2, outputs, [32], norm=None, activation=nn.LeakyReLU)


def energy():
    return Energy(mlp(2, 1, [16], norm=None), mlp(1, 2, [16], norm=None), SquaredError())


EVERYWHERE = {
    "MMD": lambda: MMD(IMQ(4.0)),
    "root of MMD": lambda: SquareRoot(MMD(GaussianKernel([1.0, 2.0]), "v")),
    "Jensen-Shannon": lambda: JensenShannon(critic()),
    "Jensen-Shannon min-max": lambda: JensenShannon(critic(), non_saturating=False),
    "least squares": lambda: LeastSquares(critic()),
    "least squares, Pearson": lambda: LeastSquares(critic(), (-1.0, 1.0, 0.0)),
    "hinge": lambda: Hinge(critic()),
    "hinge, spectral": lambda: Hinge(spectral(critic())),
    **{f"f: {name}": (lambda name=name: FDivergence(critic(), name)) for name in ROWS},
    "W1, penalised": lambda: Wasserstein(critic(), GradientPenalty(10.0), n_critic=2),
    "W1, clipped": lambda: Wasserstein(critic(), Clipping(0.3), n_critic=2),
    "energies with a margin": lambda: EBGANEnergy(energy(), margin=2.0, pulling_away_weight=0.01),
    "energies in balance": lambda: BEGANEnergy(energy(), gamma=0.9, k_lr=0.1),
    "deep-kernel MMD": lambda: DeepKernelMMD(
        critic(4), GaussianKernel([1.0, 2.0]), back=0.0, order=0.0, estimator="u", root=False, n_critic=2,
        constraint=GradientPenalty(1.0),
    ),
}  # fmt: skip


class Shift(nn.Module):
    """Moves every row by as much: what is made has the right shape, in the wrong place."""

    def __init__(self):
        super().__init__()
        self.by = nn.Parameter(torch.full((2,), SHIFT))

    def forward(self, x):
        return x + self.by


def in_data(discrepancy):
    moved = Shift()
    return GAN(NormalPrior(2), moved, discrepancy), moved


def in_codes(discrepancy):
    moved = Shift()
    nothing = nn.Linear(2, 2).requires_grad_(False)
    return WAE(NormalPrior(2), nothing, DeterministicEncoder(moved), discrepancy, weight=10.0), moved


def crossed():
    """Every discrepancy in both spaces; quick are one of each kind, alternately in data and in codes."""
    quick_names = (
        "MMD",
        "Jensen-Shannon",
        "W1, penalised",
        "least squares",
        "hinge",
        "energies in balance",
        "deep-kernel MMD",
    )
    for name in EVERYWHERE:
        for space in (in_data, in_codes):
            quick = name in quick_names and (quick_names.index(name) % 2 == 0) == (space is in_data)
            yield pytest.param(name, space, marks=[] if quick else pytest.mark.slow)


@pytest.mark.parametrize(("name", "space"), list(crossed()))
def test_it_moves_what_is_made_to_what_is_given(name, space):
    """N(1.5, I) moves to N(0, I), whether it is made of the prior or of the data."""
    torch.manual_seed(0)
    model, moved = space(EVERYWHERE[name]())
    if space is in_codes:
        model.cost = type("Free", (SquaredError,), {"rows": lambda self, made, given: 0 * made.sum(1)})()
    x = Noise(3).normal(2000, 2)
    optimizers = {player.name: adam(0.02, (0.5, 0.9)) for player in model.players()}
    loop = Loop(model, Split(x), Training(128, optimizers), total=250)
    for _ in range(250):
        loop.advance()
    assert moved.by.norm() < 0.4 * SHIFT * 2**0.5
