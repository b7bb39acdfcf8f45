"""What every model owes. To join: one line in ``FAMILY``."""

import copy

import pytest
import torch
from torch import nn

from pushforward import (
    IMQ,
    MMD,
    VAE,
    WAE,
    AutoEncoder,
    Bernoulli,
    GaussianLikelihood,
    JensenShannon,
)
from pushforward.data import Split
from pushforward.distributions import (
    DeterministicEncoder,
    GaussianEncoder,
    ImplicitEncoder,
    NoisyInput,
    NormalPrior,
)
from pushforward.networks import mlp
from pushforward.randomness import Noise
from pushforward.square import Square
from pushforward.training import Loop, Training, adam

LATENT, HIDDEN = 3, 16
SHAPES = {"vectors": (6,), "images": (1, 4, 4)}


def prior():
    return NormalPrior(LATENT)


def kernel(estimator):
    return MMD(IMQ(prior().spread), estimator)


def game(exchange):
    return JensenShannon(mlp(LATENT, 1, [HIDDEN], norm=False), exchange)


# name: from (decoder, encoder, weight) to a model
FAMILY = {
    "AE": lambda G, E, w=None: AutoEncoder(prior(), G, E),
    "WAE-MMD u": lambda G, E, w=10.0: WAE(prior(), G, E, kernel("u"), weight=w),
    "WAE-MMD v": lambda G, E, w=10.0: WAE(prior(), G, E, kernel("v"), weight=w),
    "WAE-GAN": lambda G, E, w=10.0: WAE(prior(), G, E, game(True), weight=w),
    "WAE-GAN saturating": lambda G, E, w=10.0: WAE(prior(), G, E, game(False), weight=w),
    "VAE Bernoulli": lambda G, E, w=1.0: VAE(prior(), G, E, Bernoulli(), w),
    "VAE Gaussian": lambda G, E, w=1.0: VAE(prior(), G, E, GaussianLikelihood(), w),
    "VAE learnt": lambda G, E, w=1.0: VAE(prior(), G, E, GaussianLikelihood(0.5, learnt=True), w),
}

ENCODERS = {
    "deterministic": lambda shape, norm: DeterministicEncoder(mlp(shape, LATENT, [HIDDEN], norm)),
    "gaussian": lambda shape, norm: GaussianEncoder(mlp(shape, 2 * LATENT, [HIDDEN], norm)),
    "implicit": lambda shape, norm: ImplicitEncoder(
        mlp(shape, HIDDEN, [HIDDEN], norm), mlp(HIDDEN + 2, LATENT, [HIDDEN], norm), noise=2
    ),
    "noisy": lambda shape, norm: NoisyInput(
        DeterministicEncoder(mlp(shape, LATENT, [HIDDEN], norm)), std=0.05
    ),
}

CASES = [
    pytest.param(name, encoder, shape, id=f"{name}, {encoder}, {place}")
    for name in FAMILY
    for encoder in (["gaussian"] if name.startswith("VAE") else ENCODERS)
    for place, shape in SHAPES.items()
]
everyone = pytest.mark.parametrize(("name", "encoder", "shape"), CASES)


def build(name, encoder, shape, norm=False, seed=0, **more):
    """A model whose encoder and decoder are functions of the seed, whatever the match."""
    torch.manual_seed(seed)
    E = ENCODERS[encoder](shape, norm)
    G = mlp(LATENT, shape, [HIDDEN], norm)
    return FAMILY[name](G, E, **more)


def rows(shape, n=64):
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(5))


def loop_of(model, shape, **more):
    optimizers = {player.name: adam(1e-2) for player in model.players()}
    return Loop(model, Split(rows(shape)), Training(16, optimizers), total=100, **more)


def total(model, x, noise=None):
    """All terms of all players."""
    square = Square(model, x, noise or Noise(0))
    return {name: value for player in model.players() for name, value in player.loss(square).items()}


@everyone
def test_players_share_out_the_parameters(name, encoder, shape):
    """Every parameter belongs to exactly one player; the model moves first, each has at least one turn."""
    model = build(name, encoder, shape)
    players = list(model.players())
    owned = [id(p) for player in players for p in player.parameters]
    assert len(owned) == len(set(owned))
    assert set(owned) == {id(p) for p in model.parameters()}
    assert [player.name for player in players] == ["model", "critic"][: len(players)]
    assert len(players) == (2 if "GAN" in name else 1)
    assert all(player.turns >= 1 and player.parameters for player in players)


@everyone
def test_a_loss_reaches_all_of_its_parameters_and_nobody_else_s(name, encoder, shape):
    """In its turn each player's loss has a gradient in all its parameters, and in no other."""
    model = build(name, encoder, shape)
    loop = loop_of(model, shape)
    for seat in loop.seats:
        model.zero_grad(set_to_none=True)
        with loop.awake(seat):
            sum(seat.player.loss(Square(model, rows(shape), Noise(0))).values()).backward()
        for label, p in model.named_parameters():
            if id(p) in seat.owned:
                assert p.grad is not None, label
                assert p.grad.abs().sum() > 0, label
            else:
                assert p.grad is None, label


@everyone
def test_three_steps_move_everyone(name, encoder, shape):
    """After three steps every parameter has moved and every term has been heard, finite and of shape ()."""
    model = build(name, encoder, shape)
    before = {label: p.detach().clone() for label, p in model.named_parameters()}
    loop = loop_of(model, shape)
    heard = {}
    for _ in range(3):
        terms, _ = loop.advance()
        heard |= terms
    expected = {"cost"} | ({"match"} if name != "AE" else set()) | ({"critic"} if "GAN" in name else set())
    assert set(heard) == expected
    assert all(value.shape == () and value.isfinite() for value in heard.values())
    for label, p in model.named_parameters():
        assert not torch.equal(p, before[label]), label


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("name", [name for name in FAMILY if not name.startswith("VAE")])
@pytest.mark.parametrize("norm", [True, False])
def test_order(name, shape, norm):
    """With a deterministic encoder the rows of a batch may come in any order."""
    model = build(name, "deterministic", shape, norm).double()
    x = rows(shape).double()
    expected = total(model, x)
    for label, value in total(model, x[torch.randperm(64)]).items():
        torch.testing.assert_close(value, expected[label])


WEIGHED = [case for case in CASES if case.values[0] != "AE"]


@pytest.mark.parametrize(("name", "encoder", "shape"), WEIGHED)
def test_weight_zero_is_the_plain_auto_encoder(name, encoder, shape):
    """At weight 0 three steps leave the bits of the plain auto-encoder with the same cost and seed."""
    model = build(name, encoder, shape, norm=True, w=0.0)
    plain = build("AE", encoder, shape, norm=True)
    plain.cost = copy.deepcopy(model.cost)
    loops = [loop_of(m, shape) for m in (model, plain)]
    for _ in range(3):
        weighed, unweighed = (loop.advance()[0] for loop in loops)
        assert weighed["cost"] == unweighed["cost"]
        assert weighed["match"] == 0
    for label, value in plain.state_dict().items():
        assert torch.equal(value, model.state_dict()[label]), label


@pytest.mark.parametrize(("name", "encoder", "shape"), WEIGHED)
def test_weight_multiplies_the_match(name, encoder, shape):
    """Three times the weight is three times the match and the same cost."""
    one, three = (build(name, encoder, shape, w=w).double() for w in (2.0, 6.0))
    three.load_state_dict(one.state_dict() | {"weight.log_value": three.weight.log_value})
    x = rows(shape).double()
    a, b = (m.formula(Square(m, x, Noise(0))) for m in (one, three))
    torch.testing.assert_close(b["match"], 3 * a["match"])
    assert torch.equal(a["cost"], b["cost"])


@everyone
def test_state(name, encoder, shape):
    """A model of other weights that loads the state has the same losses under the same seed."""
    model, other = (build(name, encoder, shape, norm=True, seed=seed) for seed in (0, 1))
    loop = loop_of(model, shape)
    loop.advance()
    x = rows(shape)
    for m in (model, other):
        m.eval()
    expected = total(model, x)
    assert any(value != expected[label] for label, value in total(other, x).items())
    other.load_state_dict(model.state_dict())
    twin = copy.deepcopy(model)
    for m in (other, twin):
        found = total(m, x)
        assert found.keys() == expected.keys()
        for label, value in found.items():
            assert torch.equal(value, expected[label]), label


@everyone
def test_same_seed_same_losses(name, encoder, shape):
    """One seed gives one run; another seed another."""
    runs = []
    for seed in (0, 0, 1):
        loop = loop_of(build(name, encoder, shape), shape, seed=seed)
        runs.append([loop.advance()[0]["cost"].item() for _ in range(3)])
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


@everyone
def test_encode_decode_sample(name, encoder, shape):
    """Codes are (N, L), data come back at their shape, and samples are one whole whether chunked or not."""
    model = build(name, encoder, shape, norm=True).eval()
    x = rows(shape)
    with torch.no_grad():
        codes = model.encode(x)
        assert codes.shape == (64, LATENT)
        assert model.encode(x, Noise(0)).shape == (64, LATENT)
        assert torch.equal(codes, model.encode(x))
        assert model.decode(codes).shape == x.shape
        whole = model.sample(70, Noise(1))
        parts = [model.sample(40, Noise(1)), model.sample(30, Noise(1).rows(40))]
        assert whole.shape == (70, *shape)
        torch.testing.assert_close(torch.cat(parts), whole, rtol=1e-5, atol=1e-6)
        if name == "VAE Bernoulli":
            assert ((whole > 0) & (whole < 1)).all()


@everyone
def test_rest_changes_nothing(name, encoder, shape):
    """In evaluation no buffer changes, the data are left alone, and no global generator is used."""
    model = build(name, encoder, shape, norm=True).eval()
    before = {label: value.clone() for label, value in model.state_dict().items()}
    x = rows(shape)
    same, state = x.clone(), torch.random.get_rng_state()
    with torch.no_grad():
        total(model, x)
        model.sample(5, Noise(0))
    assert torch.equal(x, same)
    assert torch.equal(torch.random.get_rng_state(), state)
    for label, value in model.state_dict().items():
        assert torch.equal(value, before[label]), label


@everyone
def test_any_batch(name, encoder, shape):
    """Batches of 2, of an odd number and of one row more than the last have finite terms."""
    model = build(name, encoder, shape)
    for n in (2, 7, 64):
        assert all(value.isfinite() for value in total(model, rows(shape)[:n]).values())
    constant = torch.full((8, *shape), 0.5)
    assert all(value.isfinite() for value in total(model, constant).values())


@everyone
def test_repr_is_the_formula(name, encoder, shape):
    """Printing a model shows its prior, its match and its weight."""
    words = repr(build(name, encoder, shape))
    assert "latent=3" in words
    if name.startswith("WAE"):
        assert "weight): Weight(10)" in words.replace("\n", "").replace("  ", "")
    if "MMD" in name:
        assert "C=6" in words
    if "GAN" in name:
        assert "exchange=" in words


@everyone
def test_double(name, encoder, shape):
    """In float64 every term is float64, and close to that of float32."""
    model = build(name, encoder, shape)
    single = total(model, rows(shape))
    for label, value in total(model.double(), rows(shape).double()).items():
        assert value.dtype == torch.float64
        torch.testing.assert_close(value.float(), single[label], rtol=1e-4, atol=1e-4)


def test_any_module_may_stand_in():
    """Networks are the user's own: anything that maps (N, *) to (N, L) and back."""

    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, x):
            return self.scale * x.flatten(1)[:, :LATENT]

    decoder = nn.Sequential(nn.Linear(LATENT, 16), nn.Unflatten(1, (1, 4, 4)))
    model = WAE(prior(), decoder, DeterministicEncoder(Own()), kernel("u"))
    loop = loop_of(model, SHAPES["images"])
    loop.advance()
    assert model.encoder.net.scale != 1
