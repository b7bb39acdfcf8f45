"""Critics that are auto-encoders: EBGAN's total variation, the pulling-away term, BEGAN's balance."""

from functools import partial

import pytest
import torch
from torch import nn

from pushforward.costs import L1, L2, SquaredError
from pushforward.data import open_dataset
from pushforward.discrepancies import BEGANEnergy, EBGANEnergy, Energy, pulling_away
from pushforward.distributions import NormalPrior
from pushforward.errors import ConfigError
from pushforward.models import GAN
from pushforward.recipes import began, ebgan
from pushforward.rng import Noise
from pushforward.square import Square
from pushforward.utils import eval_mode

P = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
Q = torch.tensor([0.2, 0.2, 0.6], dtype=torch.float64)


class Table(nn.Module):
    """Energies of rows that are the numbers 0, 1, 2."""

    def __init__(self, values):
        super().__init__()
        self.values = nn.Parameter(torch.as_tensor(values, dtype=torch.float64))

    def forward(self, x):
        return self.values[x.long().flatten()]


def rows(distribution):
    return torch.arange(3).repeat_interleave((distribution * 10).round().long())[:, None]


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


def test_the_best_energy_makes_it_the_total_variation():
    """D* = m where p < q and else 0: the critic pays m(1 - TV) = 3 * .6 = 1.8, the least (T9)."""
    discrepancy = EBGANEnergy(Table([0.0, 0.0, 3.0]), margin=3.0)
    assert -discrepancy.critic_objective(rows(Q), rows(P)).item() == pytest.approx(1.8)
    for _ in range(30):
        other = EBGANEnergy(Table(3 * torch.rand(3, dtype=torch.float64)), margin=3.0)
        assert -other.critic_objective(rows(Q), rows(P)).item() >= 1.8 - 1e-12


def test_made_rows_above_the_margin_are_left_alone():
    discrepancy = EBGANEnergy(Table([5.0, 1.0, 9.0]), margin=3.0)
    (slope,) = torch.autograd.grad(
        discrepancy.critic_objective(rows(Q), rows(Q)[:0].new_zeros(1, 1)), discrepancy.critic.values
    )
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


@pytest.mark.parametrize("kind", [partial(EBGANEnergy, margin=1.0), partial(BEGANEnergy, gamma=0.7)])
def test_pulling_away_is_of_the_codes_of_what_is_made(kind):
    """Its term is the only difference, and only the model minimises it."""
    torch.manual_seed(1)
    energy = Energy(nn.Linear(3, 4), nn.Linear(4, 3), L2())
    q, p = torch.randn(2, 10, 3)
    plain, pulled = kind(energy), kind(energy, pulling_away_weight=0.1)
    difference = pulled(q, p) - plain(q, p)
    torch.testing.assert_close(difference, 0.1 * pulling_away(energy.encoder(q)))
    assert pulled.critic_objective(q, p) == plain.critic_objective(q, p)


# ------------------------------------------------------------------------------------ BEGAN


def energies(made, given, **settings):
    """A discrepancy whose energies are those of two rows, 0 made and 1 given."""
    discrepancy = BEGANEnergy(Table([made, given]), **settings).double()
    return discrepancy, torch.zeros(1, 1), torch.ones(1, 1)


@pytest.mark.parametrize(("made", "change"), [(0.5, 0.0), (0.3, 2e-4), (0.8, -3e-4)])
def test_k_moves_by_the_surplus(made, change):
    """L(x) = 1, γ = ½: k stays at L(G) = .5, rises by 1e-3 * .2 at .3, falls by 1e-3 * .3 at .8 (T10)."""
    discrepancy, q, p = energies(made, 1.0)
    discrepancy.k.fill_(0.4)
    discrepancy.update_state(q, p)
    assert discrepancy.k.item() == pytest.approx(0.4 + change, abs=1e-12)


def test_k_stays_between_0_and_1():
    for made, end in ((0.0, 1.0), (9.0, 0.0)):
        discrepancy, q, p = energies(made, 1.0, k_lr=0.3)
        discrepancy.k.fill_(0.5)
        for _ in range(20):
            discrepancy.update_state(q, p)
        assert discrepancy.k.item() == end


def test_the_measure_of_convergence():
    """M = L(x) + |γ L(x) - L(G)| (T10), and the ratio L(G)/L(x)."""
    discrepancy, q, p = energies(0.3, 1.0)
    diagnostics = discrepancy.diagnostics(q, p)
    assert diagnostics["measure"].item() == pytest.approx(1.2)
    assert diagnostics["ratio"].item() == pytest.approx(0.3)


def test_the_critic_s_gradient_is_a_difference():
    """∇L(x) - k ∇L(G): with k = 0 what is made does not matter to the critic."""
    discrepancy, q, p = energies(0.3, 1.0)
    for k in (0.0, 0.7):
        discrepancy.k.fill_(k)
        (slope,) = torch.autograd.grad(-discrepancy.critic_objective(q, p), discrepancy.critic.values)
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
    reconstruction = net(norm(noise))
    least = (reconstruction - reconstruction.median(0).values).abs().mean().item()
    assert least > 0.3
    for near in (1e-3, 1e-6):
        assert plain(fixed + near * noise).mean() < 2 * near
        assert normed(fixed + near * noise).mean() > 0.99 * least
        best = reconstruction.median(0).values
        assert normed(best + near * noise).mean().item() == pytest.approx(least, rel=0.01)


def test_k_holds_what_is_reported():
    """With BatchNorm energies in training and in evaluation mode differ: k moves by those of evaluation mode,
    whose ratio a run prints and the diagnosis reads. Computing it changes no running statistics."""
    norm = nn.BatchNorm1d(2)
    discrepancy = BEGANEnergy(Energy(norm, nn.Linear(2, 2), SquaredError()), gamma=0.7, k_lr=0.01)
    model = GAN(NormalPrior(2), nn.Linear(2, 2), discrepancy).train()
    s = Square(model, 3 + torch.randn(32, 2), Noise(0))
    with torch.no_grad():
        discrepancy.critic(s.x)  # some statistics
        discrepancy.k.fill_(0.5)
        in_training = discrepancy.diagnostics(s.Gz, s.x)["ratio"]
        kept = norm.running_mean.clone()
        model.update_state(s, 0, 1.0)
        assert torch.equal(norm.running_mean, kept)
        assert norm.training
        with eval_mode(discrepancy):
            made, given = discrepancy.critic(s.Gz).mean(), discrepancy.critic(s.x).mean()
            ratio = discrepancy.diagnostics(s.Gz, s.x)["ratio"]
    assert ratio.item() != pytest.approx(in_training.item(), rel=0.2)
    assert discrepancy.k.item() == pytest.approx(0.5 + 0.01 * (0.7 * given - made).item())
    assert (discrepancy.k > 0.5) == (ratio < 0.7)


@pytest.mark.parametrize("recipe", [began, ebgan])
def test_on_images_energies_in_evaluation_mode_are_those_of_training(recipe):
    """The critic's BatchNorm goes by the batch at hand, whatever it has seen: else the ratio that k holds in
    training is not the one that is reported, nor the one that the generator descends."""
    discrepancy = recipe(open_dataset("digits").spec, latent_dim=4).model.discrepancy.train()
    seen, others = torch.rand(2, 16, 1, 8, 8)
    with torch.no_grad():
        for _ in range(20):
            discrepancy.critic(others)
        in_training = discrepancy.critic(seen)
        with eval_mode(discrepancy):
            assert torch.equal(discrepancy.critic(seen), in_training)
            among = discrepancy.critic(torch.cat([seen, others]))[:16]
    assert not torch.allclose(among, in_training, rtol=1e-3)  # there is BatchNorm


def test_k_is_saved_with_the_model():
    discrepancy, q, p = energies(0.3, 1.0, k_lr=0.1)
    discrepancy.update_state(q, p)
    other, _, _ = energies(0.3, 1.0)
    other.load_state_dict(discrepancy.state_dict())
    assert other.k == discrepancy.k > 0


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: EBGANEnergy(nn.Linear(1, 1), margin=0.0),
        lambda: EBGANEnergy(nn.Linear(1, 1), margin=1.0, pulling_away_weight=-1.0),
        lambda: EBGANEnergy(nn.Linear(1, 1), margin=1.0, pulling_away_weight=0.1),
        lambda: EBGANEnergy(nn.Linear(1, 1), margin=1.0, n_critic=0),
        lambda: BEGANEnergy(nn.Linear(1, 1), gamma=0.0),
        lambda: BEGANEnergy(nn.Linear(1, 1), gamma=1.5),
        lambda: BEGANEnergy(nn.Linear(1, 1), k_lr=0.0),
        lambda: BEGANEnergy(nn.Linear(1, 1), pulling_away_weight=0.1),
        lambda: BEGANEnergy(nn.Linear(1, 1), n_critic=0),
        lambda: pulling_away(torch.ones(1, 3)),
    ],
)
def test_impossible_settings(wrong):
    with pytest.raises(ConfigError):
        wrong()
