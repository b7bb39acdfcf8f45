"""The mutual information of samples and their code: bounds on information in closed form."""

import math
from contextlib import nullcontext

import pytest
import torch
from torch import nn

from pushforward import JensenShannon
from pushforward.distributions import NormalPrior, OneHotPrior, ProductPrior, UniformPrior
from pushforward.errors import ConfigError
from pushforward.models import CodePosterior, InfoGAN
from pushforward.rng import Noise
from pushforward.square import Square

TEN = {"class": OneHotPrior(10)}


class Fixed(nn.Module):
    """A head whose output does not depend on its input."""

    def __init__(self, make):
        super().__init__()
        self.make = make

    def forward(self, x):
        return self.make(x)


def reader(make, blocks, std=1.0):
    return CodePosterior(nn.Identity(), Fixed(make), blocks, std)


def test_of_ten_classes_a_sample_tells_at_most_log_ten():
    """A uniform posterior has L_I = 0, a perfect one log 10 = 2.302585 (T28)."""
    codes = {"class": torch.eye(10, dtype=torch.float64)}
    x = torch.eye(10, dtype=torch.float64)
    entropy = math.log(10)
    even = reader(torch.zeros_like, TEN).log_prob(codes, x)["class"]
    sure = reader(lambda x: 100 * x, TEN).log_prob(codes, x)["class"]
    assert (entropy + even.mean()).item() == pytest.approx(0, abs=1e-12)
    assert (entropy + sure.mean()).item() == pytest.approx(2.302585, abs=1e-6)
    for _ in range(10):
        other = reader(lambda x: torch.randn_like(x), TEN).log_prob(codes, x)["class"]
        assert entropy + other.mean() <= entropy


def test_logits_go_through_one_softmax():
    """With the true logits the loss can fall to 0: a second softmax would stop it at 1.4612."""
    x = torch.eye(10)
    lost = -reader(lambda x: 1000 * x, TEN).log_prob({"class": x}, x)["class"].mean()
    assert lost.item() == pytest.approx(0, abs=1e-6)


def test_a_fixed_deviation_of_one_bounds_the_numbers():
    """Codes in [-1, 1] read back exactly with deviation 1: log 2 - ½ log 2π = -.225791 nats (T28)."""
    code = 2 * torch.rand(1000, 1, dtype=torch.float64) - 1
    found = reader(lambda x: x, {"c": UniformPrior(1)}).log_prob({"c": code}, code)["c"].mean()
    assert (math.log(2) + found).item() == pytest.approx(-0.225791, abs=1e-6)


@pytest.mark.parametrize("s", [0.5, 1.0])
def test_the_exact_posterior_reaches_the_information_of_a_noisy_channel(s):
    """x = c + N(0, s²), c ~ N(0, 1): the exact posterior has ½ log(1 + 1/s²); any other less (T28)."""
    noise = Noise(0)
    c = noise("c").normal(200_000, 1).double()
    x = c + s * noise("x").normal(200_000, 1).double()
    blocks = {"c": NormalPrior(1)}
    entropy = 0.5 * math.log(2 * math.pi * math.e)

    def bound(shrink, variance):
        def head(x):
            return torch.cat([shrink * x, torch.full_like(x, 0.5 * math.log(variance))], 1)

        return (entropy + reader(head, blocks, "learnt").log_prob({"c": c}, x)["c"].mean()).item()

    best = bound(1 / (1 + s**2), s**2 / (1 + s**2))
    assert best == pytest.approx(0.5 * math.log(1 + 1 / s**2), abs=0.01)
    for shrink, variance in ((0.5, 0.5), (1.0, s**2), (1 / (1 + s**2), 1.0)):
        if (shrink, variance) != (1 / (1 + s**2), s**2 / (1 + s**2)):
            assert bound(shrink, variance) < best


def model(weight=1.0, std=1.0):
    torch.manual_seed(0)
    blocks = {"class": OneHotPrior(3), "c": UniformPrior(2)}
    prior = ProductPrior(blocks | {"noise": NormalPrior(2)})
    trunk = nn.Sequential(nn.Linear(4, 8), nn.Tanh())
    head = nn.Linear(8, sum(CodePosterior.sizes(blocks, std)))
    discrepancy = JensenShannon(nn.Sequential(*trunk, nn.Linear(8, 1)))
    return InfoGAN(prior, nn.Linear(7, 4), discrepancy, CodePosterior(trunk, head, blocks, std), weight)


def test_the_generator_feels_what_its_samples_tell():
    """The information has a gradient in the generator: wrapped in a new tensor it would have none."""
    m = model()
    cost = sum(m.regularisers(Square(m, torch.zeros(16, 4), Noise(0))).values())
    assert cost.requires_grad
    gradient = torch.autograd.grad(cost, m.decoder.weight)[0]
    assert gradient.abs().sum() > 0


def test_information_is_a_cost():
    """More information is a lower formula: the terms are negative log-likelihoods, times the weight."""
    m, double = model(), model(weight=2.0)
    terms, twice = (k.formula(Square(k, torch.zeros(16, 4), Noise(0))) for k in (m, double))
    assert set(terms) == {"discrepancy", "code_class", "code_c"}
    assert terms["code_class"] > 0
    torch.testing.assert_close(twice["code_class"], 2 * terms["code_class"])
    diagnostics = m.diagnostics(Square(m, torch.zeros(16, 4), Noise(0)))
    assert diagnostics["information_class"].item() == pytest.approx(math.log(3) - terms["code_class"].item())


def test_the_trunk_serves_both_and_the_head_is_the_model_s():
    """The critic's update minimises the code's terms in the shared trunk; the head belongs to the model."""
    m = model()
    players = {player.name: {id(p) for p in player.parameters} for player in m.players()}
    trunk, head = (
        {id(p) for p in part.parameters()} for part in (m.code_posterior.trunk, m.code_posterior.head)
    )
    assert trunk <= players["critic"]
    assert head <= players["model"]
    assert not players["critic"] & players["model"]
    assert {"critic", "code_class", "code_c"} == set(
        m.critic_loss(m.comparisons()[0], Square(m, torch.zeros(8, 4), Noise(0)))
    )


@pytest.mark.parametrize("loss", ["formula", "critic_loss"])
def test_what_the_trunk_answers_once_has_the_gradients_of_two_answers(loss, monkeypatch):
    """The losses' gradients add up in one result as in two; the trunk sees each sample once."""

    def gradients():
        m = model().double()
        trunk = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh()).double()
        m.code_posterior.trunk, m.discrepancy.critic = trunk, nn.Sequential(*trunk, m.discrepancy.critic[-1])
        torch.manual_seed(1)
        for parameter in m.parameters():
            nn.init.normal_(parameter)
        s = Square(m, Noise(5).normal(16, 4).double(), Noise(0))
        terms = m.formula(s) if loss == "formula" else m.critic_loss(m.comparisons()[0], s)
        return torch.autograd.grad(sum(terms.values()), list(m.parameters())), trunk[1].num_batches_tracked

    ours, once = gradients()
    monkeypatch.setattr("pushforward.models.gan.once", lambda _: nullcontext())
    expected, twice = gradients()
    assert (once, twice) == (2, 3)
    torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: reader(nn.Identity(), {}),
        lambda: reader(nn.Identity(), TEN, std=0.0),
        lambda: model(weight=-1.0),
        lambda: InfoGAN(
            ProductPrior({"z": NormalPrior(2)}), nn.Linear(2, 4), JensenShannon(nn.Linear(4, 1)),
            reader(nn.Identity(), TEN),
        ),
    ],
)  # fmt: skip
def test_impossible_settings(wrong):
    with pytest.raises(ConfigError):
        wrong()
