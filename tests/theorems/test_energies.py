"""Critics that are auto-encoders: EBGAN's total variation, the pulling-away term, BEGAN's balance."""

from functools import partial

import pytest
import torch
from torch import nn

from pushforward.costs import L1, L2, SquaredError
from pushforward.data import open_dataset
from pushforward.discrepancies import Energy, EnergyMargin, Equilibrium, pulling_away
from pushforward.distributions import NormalPrior
from pushforward.errors import ConfigError
from pushforward.models import GAN
from pushforward.recipes import began, ebgan
from pushforward.rng import Noise
from pushforward.square import Square
from pushforward.utils import at_rest

P = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
Q = torch.tensor([0.2, 0.2, 0.6], dtype=torch.float64)


class Table(nn.Module):
    """Energies of rows that are the numbers 0, 1, 2."""

    def __init__(self, values):
        super().__init__()
        self.values = nn.Parameter(torch.as_tensor(values, dtype=torch.float64))

    def forward(self, x):
        return self.values[x.long().flatten()]


def rows(law):
    return torch.arange(3).repeat_interleave((law * 10).round().long())[:, None]


def test_an_energy_is_the_cost_of_rebuilding():
    """An auto-encoder that makes 0 of everything: the mean of |x|, the sum of x², the norm."""
    zero = nn.Linear(4, 4)
    nn.init.zeros_(zero.weight), nn.init.zeros_(zero.bias)
    x = torch.tensor([[1.0, -2.0, 3.0, 0.0]])
    assert Energy(nn.Identity(), zero, L1(), mean=True)(x).item() == pytest.approx(6 / 4)
    assert Energy(nn.Identity(), zero, SquaredError())(x).item() == pytest.approx(14)
    assert Energy(nn.Identity(), zero, L2())(x).item() == pytest.approx(14**0.5)


def test_the_gradient_goes_through_both_arguments():
    """Of |x - D(x)| with D(x) = wx the slope in x is (1 - w) sign: the copy that is compared moves too."""
    half = nn.Linear(1, 1, bias=False)
    nn.init.constant_(half.weight, 0.5)
    x = torch.tensor([[2.0]], requires_grad=True)
    (slope,) = torch.autograd.grad(Energy(nn.Identity(), half, L1())(x).sum(), x)
    assert slope.item() == pytest.approx(0.5)


def test_the_best_energy_makes_the_game_the_total_variation():
    """D* = m where p < q and else 0: the critic pays m(1 - TV) = 3 * .6 = 1.8, the least (T9)."""
    match = EnergyMargin(Table([0.0, 0.0, 3.0]), margin=3.0)
    assert -match.advantage(rows(Q), rows(P)).item() == pytest.approx(1.8)
    for _ in range(30):
        other = EnergyMargin(Table(3 * torch.rand(3, dtype=torch.float64)), margin=3.0)
        assert -other.advantage(rows(Q), rows(P)).item() >= 1.8 - 1e-12


def test_made_rows_above_the_margin_are_left_alone():
    match = EnergyMargin(Table([5.0, 1.0, 9.0]), margin=3.0)
    (slope,) = torch.autograd.grad(match.advantage(rows(Q), rows(Q)[:0].new_zeros(1, 1)), match.critic.values)
    assert slope[2] == 0
    assert slope[1] == pytest.approx(0.2)


@pytest.mark.parametrize("dimensions", [2, 16, 100])
def test_pulling_away(dimensions):
    """Equal rows have 1, orthogonal ones 0, Gaussian ones 1/d; a row's sign and length do not matter (T9)."""
    row = torch.randn(1, dimensions, dtype=torch.float64)
    scales = torch.tensor([[1.0], [2.0], [-3.0], [0.5]], dtype=torch.float64)
    assert pulling_away(scales * row).item() == pytest.approx(1)
    assert pulling_away(torch.eye(dimensions)).item() == 0
    random = torch.randn(2000, dimensions, dtype=torch.float64)
    assert pulling_away(random).item() == pytest.approx(1 / dimensions, rel=0.03)
    half = torch.cat([row.repeat(8, 1), -row.repeat(8, 1)])
    assert pulling_away(half).item() == pytest.approx(1)  # cosines without a square would say -.07


@pytest.mark.parametrize("game", [partial(EnergyMargin, margin=1.0), partial(Equilibrium, gamma=0.7)])
def test_the_pull_is_on_the_codes_of_what_is_made(game):
    """Its factor is the only difference, and it is paid by the model alone."""
    torch.manual_seed(1)
    energy = Energy(nn.Linear(3, 4), nn.Linear(4, 3), L2())
    q, p = torch.randn(2, 10, 3)
    plain, pulled = game(energy), game(energy, pull=0.1)
    difference = pulled(q, p) - plain(q, p)
    torch.testing.assert_close(difference, 0.1 * pulling_away(energy.encoder(q)))
    assert pulled.advantage(q, p) == plain.advantage(q, p)


# ------------------------------------------------------------------------------------ BEGAN


def energies(made, given, **settings):
    """A game whose energies are those of two rows, 0 made and 1 given."""
    match = Equilibrium(Table([made, given]), **settings).double()
    return match, torch.zeros(1, 1), torch.ones(1, 1)


@pytest.mark.parametrize(("made", "change"), [(0.5, 0.0), (0.3, 2e-4), (0.8, -3e-4)])
def test_k_moves_by_the_surplus(made, change):
    """L(x) = 1, γ = ½: k stays at L(G) = .5, rises by 1e-3 * .2 at .3, falls by 1e-3 * .3 at .8 (T10)."""
    match, q, p = energies(made, 1.0)
    match.k.fill_(0.4)
    match.settle(q, p)
    assert match.k.item() == pytest.approx(0.4 + change, abs=1e-12)


def test_k_stays_between_0_and_1():
    for made, end in ((0.0, 1.0), (9.0, 0.0)):
        match, q, p = energies(made, 1.0, rate=0.3)
        match.k.fill_(0.5)
        for _ in range(20):
            match.settle(q, p)
        assert match.k.item() == end


def test_the_measure_of_convergence():
    """M = L(x) + |γ L(x) - L(G)| (T10), and the ratio L(G)/L(x)."""
    match, q, p = energies(0.3, 1.0)
    signs = match.signs(q, p)
    assert signs["measure"].item() == pytest.approx(1.2)
    assert signs["ratio"].item() == pytest.approx(0.3)


def test_the_critic_s_gradient_is_a_difference():
    """∇L(x) - k ∇L(G): with k = 0 what is made does not matter to the critic."""
    match, q, p = energies(0.3, 1.0)
    for k in (0.0, 0.7):
        match.k.fill_(k)
        (slope,) = torch.autograd.grad(-match.advantage(q, p), match.critic.values)
        assert slope.tolist() == [-k, 1.0]


def test_under_batch_norm_rows_that_are_all_alike_cannot_be_rebuilt():
    """A contraction has a row that it rebuilds exactly, and samples that all are that row cost nothing. Under
    BatchNorm rows near any one point c are rebuilt as g(noise), whatever c and however near: their energy is
    at least the mean absolute deviation of g from its median."""
    torch.manual_seed(2)
    net = nn.Linear(3, 3).double()
    with torch.no_grad():
        net.weight.copy_(0.5 * torch.linalg.qr(torch.randn(3, 3)).Q)
        fixed = torch.linalg.solve(torch.eye(3) - net.weight, net.bias)
    noise = torch.randn(4096, 3, dtype=torch.float64)
    norm = nn.BatchNorm1d(3, affine=False, eps=1e-30).double()
    plain, normed = (Energy(nn.Identity(), back, L1(), mean=True) for back in (net, nn.Sequential(norm, net)))
    rebuilt = net(norm(noise))
    least = (rebuilt - rebuilt.median(0).values).abs().mean().item()
    assert least > 0.3
    for near in (1e-3, 1e-6):
        assert plain(fixed + near * noise).mean() < 2 * near
        assert normed(fixed + near * noise).mean() > 0.99 * least
        best = rebuilt.median(0).values
        assert normed(best + near * noise).mean().item() == pytest.approx(least, rel=0.01)


def test_k_holds_what_is_reported():
    """With BatchNorm energies in training are others than at rest: k moves by the surplus of those at rest,
    whose ratio a run shows and a verdict judges. To look moves no running statistics."""
    norm = nn.BatchNorm1d(2)
    match = Equilibrium(Energy(norm, nn.Linear(2, 2), SquaredError()), gamma=0.7, rate=0.01)
    model = GAN(NormalPrior(2), nn.Linear(2, 2), match).train()
    s = Square(model, 3 + torch.randn(32, 2), Noise(0))
    with torch.no_grad():
        match.critic(s.x)  # some statistics
        match.k.fill_(0.5)
        in_training = match.signs(s.Gz, s.x)["ratio"]
        kept = norm.running_mean.clone()
        model.settle(s, 0, 1.0)
        assert torch.equal(norm.running_mean, kept)
        assert norm.training
        with at_rest(match):
            made, given = match.critic(s.Gz).mean(), match.critic(s.x).mean()
            ratio = match.signs(s.Gz, s.x)["ratio"]
    assert ratio.item() != pytest.approx(in_training.item(), rel=0.2)
    assert match.k.item() == pytest.approx(0.5 + 0.01 * (0.7 * given - made).item())
    assert (match.k > 0.5) == (ratio < 0.7)


@pytest.mark.parametrize("recipe", [began, ebgan])
def test_on_images_energies_at_rest_are_those_of_the_game(recipe):
    """The critic's BatchNorm goes by the batch at hand, whatever it has seen: else the ratio that k holds in
    training is not the one that is reported, nor the one that the generator descends."""
    match = recipe(open_dataset("digits"), latent=4).model.match.train()
    seen, others = torch.rand(2, 16, 1, 8, 8)
    with torch.no_grad():
        for _ in range(20):
            match.critic(others)
        in_training = match.critic(seen)
        with at_rest(match):
            assert torch.equal(match.critic(seen), in_training)
            among = match.critic(torch.cat([seen, others]))[:16]
    assert not torch.allclose(among, in_training, rtol=1e-3)  # there is BatchNorm


def test_k_is_saved_with_the_model():
    match, q, p = energies(0.3, 1.0, rate=0.1)
    match.settle(q, p)
    other, _, _ = energies(0.3, 1.0)
    other.load_state_dict(match.state_dict())
    assert other.k == match.k > 0


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: EnergyMargin(nn.Linear(1, 1), margin=0.0),
        lambda: EnergyMargin(nn.Linear(1, 1), margin=1.0, pull=-1.0),
        lambda: EnergyMargin(nn.Linear(1, 1), margin=1.0, pull=0.1),
        lambda: EnergyMargin(nn.Linear(1, 1), margin=1.0, turns=0),
        lambda: Equilibrium(nn.Linear(1, 1), gamma=0.0),
        lambda: Equilibrium(nn.Linear(1, 1), gamma=1.5),
        lambda: Equilibrium(nn.Linear(1, 1), rate=0.0),
        lambda: Equilibrium(nn.Linear(1, 1), pull=0.1),
        lambda: Equilibrium(nn.Linear(1, 1), turns=0),
        lambda: pulling_away(torch.ones(1, 3)),
    ],
)
def test_impossible_settings(wrong):
    with pytest.raises(ConfigError):
        wrong()
