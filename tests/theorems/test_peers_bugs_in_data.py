"""The bugs of GAN libraries, planted here one by one: for each, a claim of this suite must fail."""

import math
from contextlib import contextmanager

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pushforward.discrepancies import (
    BEGANEnergy,
    EBGANEnergy,
    Energy,
    FDivergence,
    GradientPenalty,
    LeastSquares,
    Wasserstein,
    pulling_away,
)
from pushforward.discrepancies.f_divergences import ROWS
from pushforward.distributions import NormalPrior, OneHotPrior, ProductPrior
from pushforward.models import GAN, CodePosterior, InfoGAN
from pushforward.models.base import Player
from pushforward.rng import Noise
from pushforward.square import Square


@contextmanager
def caught():
    """The check inside must fail."""
    with pytest.raises(AssertionError):
        yield


# ------------------------------------------------------------------------------------ penalties


def linear(x):
    """A critic of slope 5 everywhere."""
    return x.flatten(1) @ torch.tensor([3.0, 0.0, 4.0, 0.0]).unsqueeze(1)


def the_same_at_every_batch_size(penalty, critic=linear):
    """T25: λ(5 - 1)² = 160 of any number of rows."""
    for n in (4, 64):
        q, p = Noise(0)("q").normal(n, 1, 2, 2), Noise(0)("p").normal(n, 1, 2, 2)
        assert penalty.penalties(critic, q, p, Noise(1))["penalty"].item() == pytest.approx(160, rel=1e-4)


class OfSlopes(GradientPenalty):
    """A penalty that forms another norm of the slopes (N, \\*)."""

    def norm(self, slopes):
        raise NotImplementedError

    def penalties(self, critic, q, p, noise):
        between = torch.lerp(p, q, noise.uniform(len(p)).view(-1, 1, 1, 1)).requires_grad_()
        (slopes,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        return {"penalty": self.weight * (self.norm(slopes) - self.slope).square().mean()}


class WholeBatch(OfSlopes):
    """torchgan: one norm of the gradients of all rows together."""

    def norm(self, slopes):
        return slopes.norm()


class FirstAxis(OfSlopes):
    """Zeleni9, MLDS: the norm over the channels alone, one for every pixel."""

    def norm(self, slopes):
        return slopes.norm(dim=1)


def batch_mean(x):
    """ARAE: the critic returns a mean over the batch, so each row's slope is divided by n."""
    return linear(x).mean(0, keepdim=True)


@pytest.mark.parametrize("mutant", [WholeBatch, FirstAxis])
def test_norms_over_the_wrong_axes(mutant):
    the_same_at_every_batch_size(GradientPenalty(10.0))
    with caught():
        the_same_at_every_batch_size(mutant(10.0))


def test_a_critic_that_returns_a_mean():
    with caught():
        the_same_at_every_batch_size(GradientPenalty(10.0), batch_mean)


class Detached(GradientPenalty):
    """mlpack: a penalty that has a value and no gradient."""

    def penalties(self, critic, q, p, noise):
        return {name: value.detach() for name, value in super().penalties(critic, q, p, noise).items()}


def moves_the_critic(penalty):
    critic = nn.Linear(2, 1)
    q, p = Noise(0)("q").normal(8, 2), Noise(0)("p").normal(8, 2)
    paid = penalty.penalties(critic, q, p, Noise(1))["penalty"]
    assert paid.requires_grad
    assert torch.autograd.grad(paid, critic.weight)[0].abs().sum() > 0


def test_a_penalty_without_a_gradient():
    moves_the_critic(GradientPenalty())
    with caught():
        moves_the_critic(Detached())


# ------------------------------------------------------------------------------------ sign of the loss


class Flipped(Wasserstein):
    """The generator's sign the wrong way round: samples flee from the data."""

    def forward(self, q, p):
        return -super().forward(q, p)


class Doubled(Wasserstein):
    """Sums over the batch where means belong: n times the scale."""

    def bound(self, Tq, Tp):
        return Tp.sum() - Tq.sum()


def descends_towards_what_is_given(make):
    """Of the critic T(x) = x with data on the right, the generator's step goes to the right, by 1/n a row."""
    critic = nn.Linear(1, 1)
    nn.init.ones_(critic.weight)
    q, p = torch.zeros(4, 1, requires_grad=True), torch.ones(4, 1)
    (slope,) = torch.autograd.grad(make(critic)(q, p), q)
    assert slope.flatten().tolist() == [-0.25] * 4


@pytest.mark.parametrize("mutant", [Flipped, Doubled])
def test_the_wrong_sign_and_the_wrong_scale(mutant):
    descends_towards_what_is_given(Wasserstein)
    with caught():
        descends_towards_what_is_given(mutant)


class OnSigmoids(LeastSquares):
    """compare_gan: the squares of sigmoids."""

    def bound(self, Tq, Tp):
        return super().bound(Tq.sigmoid(), Tp.sigmoid())


def pays_by_the_square(make):
    """Its slope in the critic's value is the distance from the target: 9 at T = 10 with target 1."""
    p = torch.full((1, 1), 10.0, requires_grad=True)
    discrepancy = make(nn.Identity())
    (slope,) = torch.autograd.grad(-discrepancy.critic_objective(torch.zeros(1, 1), p), p)
    assert slope.item() == pytest.approx(9)


def test_least_squares_of_sigmoids():
    pays_by_the_square(LeastSquares)
    with caught():
        pays_by_the_square(OnSigmoids)


class Turned(FDivergence):
    """E_Q T - E_P f*(T): the divergence of the other order, under the name of this one."""

    def bound(self, Tq, Tp):
        return super().bound(Tp, Tq)


def has_the_value_of_kl(make):
    """KL((½, ½), (¼, ¾)) = .1438 and KL the other way round = .1308."""
    rows = torch.tensor([[0.5, 0.5], [0.25, 0.75]], dtype=torch.float64)
    logits = ROWS["kl"].optimum((rows[0] / rows[1]).log())
    table = nn.Embedding.from_pretrained(logits.unsqueeze(1))
    discrepancy = make(nn.Sequential(nn.Flatten(0), table), "kl")
    q, p = torch.tensor([[0], [1], [1], [1]]), torch.tensor([[0], [0], [1], [1]])
    assert discrepancy.critic_objective(q, p).item() == pytest.approx(0.143841, abs=1e-6)


def test_a_divergence_the_other_way_round():
    has_the_value_of_kl(FDivergence)
    with caught():
        has_the_value_of_kl(Turned)


# ------------------------------------------------------------------------------------ energies


def cosines(codes):
    """PyTorch-GAN: cosines, not their squares."""
    rows = F.normalize(codes, dim=1)
    n = len(rows)
    return ((rows @ rows.T).sum() - n) / (n * (n - 1))


def over_rows(codes):
    """torchgan: normalised over the batch, the diagonal kept."""
    rows = F.normalize(codes, dim=0)
    return (rows @ rows.T).square().mean()


def knows_collapse(term):
    """1 of rows that are all alike up to sign, 0 of orthogonal ones."""
    row = torch.tensor([[3.0, 4.0]])
    assert term(torch.cat([row, row, -row, -row])).item() == pytest.approx(1)
    assert term(torch.eye(4)).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("mutant", [cosines, over_rows])
def test_pulling_away_without_squares_or_over_rows(mutant):
    knows_collapse(pulling_away)
    with caught():
        knows_collapse(mutant)


class OneArgument(Energy):
    """PyTorch-GAN: the copy that is compared is detached, so that half the slope is lost."""

    def forward(self, x):
        return self.cost.rows(self.decoder(self.encoder(x)), x.detach()).unsqueeze(1)


def feels_both_arguments(kind):
    from pushforward.costs import SquaredError

    half = nn.Linear(1, 1, bias=False)
    nn.init.constant_(half.weight, 0.5)
    x = torch.tensor([[2.0]], requires_grad=True)
    (slope,) = torch.autograd.grad(kind(nn.Identity(), half, SquaredError())(x).sum(), x)
    assert slope.item() == pytest.approx(1.0)  # of (x - x/2)² = x²/4


def test_a_detached_copy():
    feels_both_arguments(Energy)
    with caught():
        feels_both_arguments(OneArgument)


class NoHinge(EBGANEnergy):
    """The margin without its hinge: energies of samples rise without end."""

    def critic_objective(self, q, p):
        return -self.critic(p).mean() - (self.margin - self.critic(q)).mean()


def stops_at_the_margin(kind):
    q = torch.full((1, 1), 9.0, requires_grad=True)
    (slope,) = torch.autograd.grad(kind(nn.Identity(), 3.0).critic_objective(q, torch.zeros(1, 1)), q)
    assert slope == 0


def test_a_margin_without_a_hinge():
    stops_at_the_margin(EBGANEnergy)
    with caught():
        stops_at_the_margin(NoHinge)


class Backwards(BEGANEnergy):
    """k pushed the wrong way: it runs to 0 or 1 and stays."""

    def update_state(self, q, p):
        surplus = self.gamma * self.critic(p).mean() - self.critic(q).mean()
        self.k.sub_(self.k_lr * surplus).clamp_(0, 1)


def raises_k_where_samples_are_too_good(kind):
    discrepancy = kind(nn.Identity(), 0.5, k_lr=0.1)
    discrepancy.update_state(torch.full((1, 1), 0.1), torch.ones(1, 1))
    assert discrepancy.k > 0


def test_k_the_wrong_way():
    raises_k_where_samples_are_too_good(BEGANEnergy)
    with caught():
        raises_k_where_samples_are_too_good(Backwards)


# ------------------------------------------------------------------------------------ information


class SoftmaxFirst(CodePosterior):
    """PyTorch-GAN: a softmax before the cross-entropy that has one of its own."""

    def read(self, x):
        return {name: numbers.softmax(1) for name, numbers in super().read(x).items()}


def can_be_sure(kind):
    x = torch.eye(10)
    scale = nn.Linear(10, 10, bias=False)
    scale.weight.data = 100 * torch.eye(10)
    found = kind(nn.Identity(), scale, {"class": OneHotPrior(10)}).log_prob({"class": x}, x)["class"]
    assert found.mean().item() == pytest.approx(0, abs=1e-6)


def test_a_softmax_too_many():
    """Its loss cannot fall below 1.4612."""
    can_be_sure(CodePosterior)
    with caught():
        can_be_sure(SoftmaxFirst)


class Wrapped(InfoGAN):
    """torchgan: the information wrapped in a new tensor, which the generator does not feel."""

    def regularisers(self, s):
        return {name: torch.tensor(value.item()) for name, value in super().regularisers(s).items()}


class Maximised(InfoGAN):
    """wiseodd: the sign the other way round, so that samples hide their code."""

    def regularisers(self, s):
        return {name: -value for name, value in super().regularisers(s).items()}


def tells_its_code(kind):
    torch.manual_seed(0)
    blocks = {"class": OneHotPrior(3)}
    prior = ProductPrior(blocks | {"noise": NormalPrior(2)})
    critic = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    reader = CodePosterior(critic[:-1], nn.Linear(8, 3), blocks)
    model = kind(prior, nn.Linear(5, 4), Wasserstein(critic, n_critic=1), reader)
    before = sum(model.regularisers(Square(model, torch.zeros(64, 4), Noise(0))).values())
    assert before.requires_grad
    assert before > 0
    optimizer = torch.optim.Adam([*model.decoder.parameters(), *reader.parameters()], lr=1e-2)
    for step in range(60):
        optimizer.zero_grad()
        sum(model.regularisers(Square(model, torch.zeros(64, 4), Noise(step))).values()).backward()
        optimizer.step()
    after = sum(model.regularisers(Square(model, torch.zeros(64, 4), Noise(0))).values())
    assert 0 <= after < 0.5 * math.log(3)


@pytest.mark.parametrize("mutant", [Wrapped, Maximised])
def test_information_without_a_gradient_or_of_the_wrong_sign(mutant):
    tells_its_code(InfoGAN)
    with caught():
        tells_its_code(mutant)


# ------------------------------------------------------------------------------------ updates


class NotDetached(GAN):
    """The critic's update moves the generator too."""

    def players(self):
        first, critic = super().players()
        yield first
        yield Player("critic", critic.loss, (*critic.parameters, *first.parameters), critic.updates)


def each_moves_its_own(kind):
    model = kind(NormalPrior(2), nn.Linear(2, 4), Wasserstein(nn.Linear(4, 1), n_critic=1))
    first, critic = model.players()
    assert not {id(p) for p in first.parameters} & {id(p) for p in critic.parameters}


def test_a_critic_that_moves_the_generator():
    each_moves_its_own(GAN)
    with caught():
        each_moves_its_own(NotDetached)
