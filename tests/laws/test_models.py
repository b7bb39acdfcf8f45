"""What every model owes. To join: one line in ``FAMILY``."""

import copy
import math
from collections.abc import Callable
from typing import NamedTuple

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
    Polynomial,
)
from pushforward.costs import L1
from pushforward.data import Split
from pushforward.discrepancies import (
    BEGANEnergy,
    Blockwise,
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
)
from pushforward.distributions import (
    ConditionalEncoder,
    DeterministicEncoder,
    GaussianEncoder,
    GeneratorPrior,
    ImplicitEncoder,
    NoisyInput,
    NormalPrior,
    OneHotPrior,
    ProductPrior,
    UniformEncoder,
    UniformPrior,
    petals,
)
from pushforward.errors import ConfigError, DataError
from pushforward.models import (
    AAE,
    ARAE,
    AVB,
    GAN,
    ClusterHeads,
    CodePosterior,
    InfoGAN,
    InfoVAE,
    LabelRegularisedAAE,
    LearntPriorAE,
    Model,
    RandomWAE,
    ReductionAAE,
    SemiSupervisedAAE,
    TransferAE,
)
from pushforward.networks import mlp
from pushforward.networks.conditional import Conditional
from pushforward.rng import Noise
from pushforward.square import Square
from pushforward.training import Loop, Training, adam

LATENT, HIDDEN, CLASSES = 3, 16, 3
SHAPES = {"vectors": (6,), "images": (1, 4, 4)}


def prior():
    return NormalPrior(LATENT)


def both():
    return ProductPrior({"y": OneHotPrior(CLASSES), "z": NormalPrior(2)})


def kernel(estimator="u"):
    return MMD(IMQ(prior().expected_sq_distance), estimator)


def js(non_saturating=True, inputs=LATENT):
    return JensenShannon(mlp(inputs, 1, [HIDDEN], norm=None), non_saturating)


def js_blocks():
    return Blockwise({"y": js(inputs=CLASSES), "z": js(inputs=2)}, {"y": CLASSES, "z": 2})


def fixed(std=0.5, learnt=False):
    return GaussianLikelihood(std, learnt)


# Players by name: the parts whose parameters each updates, and the terms of its loss. No two may update the
# same part unless both are named here.
PLAIN = {"model": ("encoder decoder cost", "reconstruction")}
WEIGHED = {"model": ("encoder decoder cost", "reconstruction discrepancy")}
CRITIC = {"critic": ("discrepancy", "critic")}
CRITICS = {"critic": ("discrepancy", "critic_y critic_z")}
ALTERNATING = PLAIN | CRITIC | {"encoder": ("encoder", "discrepancy")}
IN_BLOCKS = PLAIN | CRITICS | {"encoder": ("encoder", "discrepancy_y discrepancy_z")}
LABELS = {"labels": ("encoder", "labels")}
IN_DATA = {"model": ("decoder", "discrepancy")}
ANY = ("deterministic", "gaussian", "implicit", "noisy")
ONE = ("deterministic", "implicit")


class Member(NamedTuple):
    """A model and what it needs.

    Attributes:
        make: From decoder, encoder, values of a row, and the weight of members with one, to a model.
        players: By name, the parts that each player updates and the terms of its loss.
        encoders: Kinds of encoders that it may have.
        at_zero: The member whose bits it has at weight 0; "" if there is none.
        weighed: Whether its discrepancy has a weight.
        conditional: Whether its encoder and its decoder take labels.
        needs: Players whose losses need labels.
        points: Numbers that its decoder takes, if not those of a code.
        ordered: Whether the order of rows matters: made and given are paired, or codes are those in
            evaluation mode, which every pass in training mode changes.
        says: What its repr must say.
        prior: The prior of its codes.
    """

    make: Callable[..., Model]
    players: dict[str, tuple[str, str]]
    encoders: tuple[str, ...] = ANY
    at_zero: str = "AE"
    weighed: bool = True
    conditional: tuple[bool, bool] = (False, False)
    needs: tuple[str, ...] = ()
    points: int | None = None
    ordered: bool = False
    says: tuple[str, ...] = ("latent_dim=3",)
    prior: Callable[..., nn.Module] = prior


def wae(discrepancy, says, players=WEIGHED):
    return Member(
        lambda G, E, n, w=10.0: WAE(prior(), G, E, discrepancy(), weight=w),
        players,
        says=("latent_dim=3", "weight): Weight(10)", says),
    )


def vae(cost):
    return Member(lambda G, E, n, w=1.0: VAE(prior(), G, E, cost(), w), WEIGHED, ("gaussian",))


def info(alpha, encoders, at_zero=""):
    """Its discrepancy has the weight w, whatever alpha."""
    players = {"model": ("encoder decoder cost", "reconstruction discrepancy" + " kl" * (alpha < 1))}
    return Member(
        lambda G, E, n, w=2.0: InfoVAE(prior(), G, E, kernel(), fixed(), alpha, w + 1 - alpha),
        players,
        encoders,
        at_zero,
        says=(f"alpha={alpha:g}", "Weight(2)", "C=6"),
    )


def random(variance_weight, at_zero=""):
    return Member(
        lambda G, E, n, w=10.0: RandomWAE(prior(), G, E, kernel(), weight=w, variance_weight=variance_weight),
        {"model": ("encoder decoder cost", "reconstruction discrepancy noise")},
        ("gaussian", "uniform"),
        at_zero,
        says=(f"variance_weight={variance_weight:g}", "Weight(10)"),
    )


def avb(adaptive_contrast):
    """Its critic sees the row and the code."""

    def make(G, E, n):
        return AVB(prior(), G, E, mlp(n + LATENT, 1, [HIDDEN], norm=None), fixed(), adaptive_contrast)

    players = {"model": ("encoder decoder cost", "reconstruction discrepancy contrast")} | CRITIC
    return Member(
        make,
        players,
        ("gaussian", "implicit", "noisy"),
        "",
        False,
        says=("latent_dim=3", f"adaptive_contrast={adaptive_contrast}"),
    )


def alternating(model, prior, discrepancy, players, encoders=ONE, **more):
    def make(G, E, n):
        return model(prior(), G, E, discrepancy())

    return Member(make, players, encoders, "", False, prior=prior, **more)


def in_blocks(model, players, **more):
    says = more.pop("says", (f"classes={CLASSES}", "latent_dim=2", "non_saturating=True"))
    return alternating(model, both, js_blocks, players, says=says, **more)


def values(n, outputs=1, bias=True):
    """A network that sees all values of a row."""
    last = nn.Linear(HIDDEN, outputs, bias=bias)
    return nn.Sequential(nn.Flatten(), nn.Linear(n, HIDDEN), nn.Tanh(), last)


def level(n):
    """A critic whose constant does not matter to its objective: its last layer has no bias."""
    return values(n, bias=False)


def in_data(discrepancy, says, players=CRITIC, paired=False):
    """A model that compares samples with data; ``discrepancy`` takes the number of values of a row."""
    return Member(
        lambda G, E, n: GAN(prior(), G, discrepancy(n)), IN_DATA | players, ("none",), "", False,
        says=("latent_dim=3", says), ordered=paired,
    )  # fmt: skip


def energy(n):
    return Energy(values(n, 2), nn.Linear(2, n), L1())


class RowEnergy(nn.Module):
    """An energy of rows of any shape."""

    def __init__(self, n):
        super().__init__()
        self.energy = energy(n)

    def forward(self, x):
        return self.energy(x.flatten(1))


def named_blocks():
    return {"class": OneHotPrior(CLASSES), "c": UniformPrior(2)}


def infogan(G, E, n):
    trunk = nn.Sequential(nn.Flatten(), nn.Linear(n, HIDDEN), nn.Tanh())
    head = nn.Linear(HIDDEN, sum(CodePosterior.sizes(named_blocks(), "learnt")))
    discrepancy = JensenShannon(nn.Sequential(trunk, nn.Linear(HIDDEN, 1)))
    return InfoGAN(
        named_and_noise(), G, discrepancy, CodePosterior(trunk, head, named_blocks(), "learnt"), 0.5
    )


def named_and_noise():
    return ProductPrior(named_blocks() | {"noise": NormalPrior(2)})


def penalised(n):
    return Wasserstein(level(n), GradientPenalty(1.0), n_critic=1)


def pushed():
    return GeneratorPrior(mlp(2, LATENT, [HIDDEN], norm=None), UniformPrior(2), LATENT)


FAMILY = {
    "AE": Member(lambda G, E, n: AutoEncoder(prior(), G, E), PLAIN, weighed=False, at_zero=""),
    "WAE-MMD u": wae(lambda: kernel("u"), "C=6"),
    "WAE-MMD v": wae(lambda: kernel("v"), "C=6"),
    "WAE-GAN": wae(lambda: js(True), "non_saturating=True", WEIGHED | CRITIC),
    "WAE-GAN saturating": wae(lambda: js(False), "non_saturating=False", WEIGHED | CRITIC),
    "WAE in blocks": Member(
        lambda G, E, n, w=10.0: WAE(both(), G, E, js_blocks(), weight=w),
        {"model": ("encoder decoder cost", "reconstruction discrepancy_y discrepancy_z")} | CRITICS,
        ONE,
        at_zero="",
        says=("Blockwise", "non_saturating=True"),
        prior=both,
    ),
    "VAE Bernoulli": vae(Bernoulli),
    "VAE Gaussian": vae(GaussianLikelihood),
    "VAE learnt": vae(lambda: fixed(learnt=True)),
    "InfoVAE": info(0.5, ("gaussian",)),
    "InfoVAE alpha 1": info(1.0, ("deterministic", "gaussian"), at_zero="AE"),
    "RandomWAE": random(3.0),
    "RandomWAE without penalty": random(0.0, at_zero="AE"),
    "AVB": avb(True),
    "AVB without contrast": avb(False),
    "conditional AE": Member(
        lambda G, E, n: AutoEncoder(prior(), G, E),
        PLAIN,
        ("deterministic", "gaussian"),
        "",
        False,
        (True, True),
        ("model",),
    ),
    "conditional WAE": wae(kernel, "C=6")._replace(
        encoders=("deterministic", "gaussian"), conditional=(True, True), needs=("model",),
        at_zero="conditional AE",
    ),
    "conditional VAE": vae(Bernoulli)._replace(
        conditional=(True, True), needs=("model",), at_zero="conditional AE"
    ),
    "AAE": alternating(AAE, prior, js, ALTERNATING, ANY, says=("latent_dim=3", "non_saturating=True")),
    "AAE clustering": in_blocks(AAE, IN_BLOCKS),
    "AAE supervised": alternating(
        AAE, prior, js, ALTERNATING, conditional=(False, True), needs=("model",), says=("Conditional",)
    ),
    "AAE label-regularised": alternating(
        LabelRegularisedAAE,
        lambda: petals(CLASSES),
        lambda: js(inputs=2 + CLASSES + 1),
        ALTERNATING,
        needs=("critic", "encoder"),
        says=("components=3",),
    ),
    "AAE semi-supervised": in_blocks(SemiSupervisedAAE, IN_BLOCKS | LABELS, needs=("labels",)),
    "AAE reduction": in_blocks(
        lambda prior, G, E, discrepancy: ReductionAAE(
            prior, ClusterHeads(G, CLASSES, 2, head_distance=2.0), E, discrepancy
        ),
        IN_BLOCKS | LABELS | {"model": ("encoder decoder cost", "reconstruction heads")},
        needs=("labels",),
        points=2,
        says=("head_distance=2", "latent_dim=2"),
    ),
    "GAN": in_data(lambda n: JensenShannon(values(n)), "non_saturating=True"),
    "GAN saturating": in_data(lambda n: JensenShannon(values(n), False), "non_saturating=False"),
    "LSGAN": in_data(lambda n: LeastSquares(values(n)), "targets=(0.0, 1.0, 1.0)"),
    "hinge GAN": in_data(lambda n: Hinge(level(n)), "Hinge"),
    "f-GAN": in_data(lambda n: FDivergence(values(n), "pearson"), "pearson"),
    "WGAN": in_data(lambda n: Wasserstein(level(n), Clipping(0.3), n_critic=2), "Clipping(limit=0.3)"),
    "WGAN-GP": in_data(
        lambda n: Wasserstein(level(n), GradientPenalty(10.0), n_critic=2), "GradientPenalty(weight=10.0",
        {"critic": ("discrepancy", "critic penalty")}, paired=True,
    ),
    "EBGAN": in_data(lambda n: EBGANEnergy(RowEnergy(n), margin=1.0), "margin=1"),
    "BEGAN": in_data(lambda n: BEGANEnergy(RowEnergy(n), 0.7), "gamma=0.7"),
    "MMD-GAN": in_data(
        # of a kernel of distances, the last bias of the critic would have the gradient 0
        lambda n: DeepKernelMMD(values(n, 2), Polynomial(), order=1.0),
        "order=1",
    ),
    "GMMN": in_data(lambda n: SquareRoot(MMD(IMQ(2.0 * n), "v")), "C=", players={}),
    "InfoGAN": Member(
        infogan,
        {
            "model": ("decoder code_posterior.head", "discrepancy code_class code_c"),
            "critic": ("discrepancy", "critic code_class code_c"),
        },
        ("none",), "", False, says=("weight=0.5", "std=learnt"), prior=named_and_noise,
    ),
    "GMMN+AE": Member(
        lambda G, E, n: LearntPriorAE(pushed(), G, E, SquareRoot(MMD(IMQ(2.0), "v"))),
        PLAIN | {"prior": ("prior", "discrepancy")}, ONE, "", False,
        says=("GeneratorPrior", "C=2"), ordered=True,
    ),
    "ARAE": Member(
        lambda G, E, n, w=10.0: ARAE(pushed(), G, E, penalised(LATENT), weight=w),
        WEIGHED | {"prior": ("prior", "discrepancy"), "critic": ("discrepancy", "critic penalty")},
        ONE, says=("GeneratorPrior", "GradientPenalty(weight=1", "Weight(10)"), ordered=True,
    ),
    "transfer": Member(
        lambda G, E, n, w=10.0: TransferAE(prior(), G, E, kernel(), js(), weight=w, style_weight=2.0),
        {
            "model": ("encoder decoder cost", "reconstruction discrepancy style"),
            "critic_style": ("styles", "critic_style"),
        },
        ("deterministic", "gaussian"), "", conditional=(False, True), needs=("model", "critic_style"),
        says=("latent_dim=3", "Weight(10)", "C=6", "non_saturating=True"),
    ),
}  # fmt: skip

ENCODERS = {
    "none": lambda shape, norm, prior: None,
    "deterministic": lambda shape, norm, prior: DeterministicEncoder(
        mlp(shape, prior.latent_dim, [HIDDEN], norm), prior.to_support
    ),
    "gaussian": lambda shape, norm, prior: GaussianEncoder(mlp(shape, 2 * prior.latent_dim, [HIDDEN], norm)),
    "uniform": lambda shape, norm, prior: UniformEncoder(mlp(shape, 2 * prior.latent_dim, [HIDDEN], norm)),
    "implicit": lambda shape, norm, prior: ImplicitEncoder(
        mlp(shape, HIDDEN, [HIDDEN], norm),
        mlp(HIDDEN + 2, prior.latent_dim, [HIDDEN], norm),
        2,
        prior.to_support,
    ),
    "noisy": lambda shape, norm, prior: NoisyInput(
        DeterministicEncoder(mlp(shape, prior.latent_dim, [HIDDEN], norm), prior.to_support), std=0.05
    ),
}


def cases():
    """Every member with each of its encoders in all shapes; quick is one shape, each in its turn."""
    pairs = [(name, encoder) for name, member in FAMILY.items() for encoder in member.encoders]
    for number, (name, encoder) in enumerate(pairs):
        for at, (place, shape) in enumerate(SHAPES.items()):
            marks = [] if at == number % len(SHAPES) else pytest.mark.slow
            yield pytest.param(name, encoder, shape, id=f"{name}, {encoder}, {place}", marks=marks)


CASES = list(cases())
everyone = pytest.mark.parametrize(("name", "encoder", "shape"), CASES)


def these(choose):
    """The cases of those members that are chosen."""
    return pytest.mark.parametrize(
        ("name", "encoder", "shape"), [case for case in CASES if choose(FAMILY[case.values[0]])]
    )


def build(name, encoder, shape, norm=None, seed=0, **more):
    """A model whose encoder and decoder are functions of the seed, whatever the discrepancy."""
    torch.manual_seed(seed)
    member, distribution = FAMILY[name], FAMILY[name].prior()
    seen, given_labels = (CLASSES * wanted for wanted in member.conditional)
    E = ENCODERS[encoder]((shape[0] + seen, *shape[1:]), norm, distribution)
    G = mlp((member.points or distribution.latent_dim) + given_labels, shape, [HIDDEN], norm)
    E, G = (ConditionalEncoder(E, CLASSES) if seen else E, Conditional(G, CLASSES) if given_labels else G)
    return member.make(G, E, math.prod(shape), **more)


def rows(shape, n=64):
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(5))


def labels(n=64):
    """Every third is not known."""
    place = torch.arange(n)
    return torch.where(place % 3 == 2, -1, place // 3 % CLASSES)


def loop_of(model, shape, **more):
    optimizers = {player.name: adam(1e-2) for player in model.players()}
    return Loop(model, Split(rows(shape), labels()), Training(16, optimizers), total=100, **more)


def square_of(model, player, x, y, noise=None):
    """What a player sees of these rows."""
    if player.labelled:
        x, y = x[y >= 0], y[y >= 0]
    return Square(model, x, noise or Noise(0), y)


def total(model, x, y=None):
    """All terms of all players."""
    y = labels(len(x)) if y is None else y
    return {
        f"{player.name}: {name}": value
        for player in model.players()
        for name, value in player.loss(square_of(model, player, x, y)).items()
    }


@everyone
def test_players_share_out_the_parameters(name, encoder, shape):
    """Players update the parts that the table names; a critic's are its own, and nobody is left out."""
    model = build(name, encoder, shape)
    players = {player.name: player for player in model.players()}
    said = FAMILY[name].players
    assert list(players) == list(said)
    assert next(iter(players)) == "model"
    for player, (parts, _) in said.items():
        expected = [id(p) for part in parts.split() for p in model.get_submodule(part).parameters()]
        owned = [id(p) for p in players[player].parameters]
        assert len(owned) == len(set(owned)) > 0
        assert set(owned) == set(expected), player
        assert players[player].updates >= 1
        assert players[player].labelled == (player == "labels")
    owners = [{id(p) for p in player.parameters} for player in players.values()]
    assert set.union(*owners) == {id(p) for p in model.parameters()}
    if "critic" in players:
        critics = {id(p) for p in players.pop("critic").parameters}
        assert not any(critics & {id(p) for p in player.parameters} for player in players.values())


@everyone
def test_a_loss_reaches_all_of_its_parameters_and_nobody_else_s(name, encoder, shape):
    """In its update each player's loss has a gradient in all its parameters, and in no other."""
    model = build(name, encoder, shape)
    loop = loop_of(model, shape)
    for player_state in loop.player_states:
        model.zero_grad(set_to_none=True)
        with loop.updating(player_state):
            square = square_of(model, player_state.player, rows(shape), labels())
            sum(player_state.player.loss(square).values()).backward()
        for label, p in model.named_parameters():
            if id(p) in player_state.owned:
                assert p.grad is not None, label
                assert p.grad.abs().sum() > 0, label
            else:
                assert p.grad is None, label


@everyone
def test_the_formula_is_what_is_descended(name, encoder, shape):
    """The formula's terms are those that encoder and decoder minimise, with the same values."""
    model = build(name, encoder, shape)
    square = Square(model, rows(shape), Noise(0), labels())
    descended = {}
    for player in model.players():
        if player.name in ("model", "encoder", "prior"):
            descended |= player.loss(square)
    descended.pop("heads", None)  # of the decoder alone: no row of data costs it
    found = model.formula(square)
    assert found.keys() - {"heads"} == descended.keys()
    for label, value in descended.items():
        assert torch.equal(value, found[label]), label


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
    assert set(heard) == {term for _, terms in FAMILY[name].players.values() for term in terms.split()}
    assert all(value.shape == () and value.isfinite() for value in heard.values())
    for label, p in model.named_parameters():
        assert not torch.equal(p, before[label]), label


@pytest.mark.parametrize(
    ("name", "encoder", "shape"), [case for case in CASES if case.values[1] in ("deterministic", "none")]
)
@pytest.mark.parametrize("norm", ["batch", None])
def test_order(name, encoder, shape, norm):
    """With a deterministic encoder the rows of a batch, with their labels, may come in any order.

    Where draws of the prior have the label of their row, rows of one label may.
    """
    if FAMILY[name].ordered:
        return
    model = build(name, encoder, shape, norm).double()
    x, y = rows(shape).double(), labels()
    order = torch.randperm(64)
    if name == "AAE label-regularised":
        mixed = torch.arange(64)
        for label in y.unique():
            place = (y == label).nonzero().flatten()
            mixed[place] = place[torch.randperm(len(place))]
        order = mixed
    assert not torch.equal(order, torch.arange(64))
    expected = total(model, x, y)
    for label, value in total(model, x[order], y[order]).items():
        torch.testing.assert_close(value, expected[label])


@these(lambda member: member.at_zero)
def test_weight_zero_is_the_plain_auto_encoder(name, encoder, shape):
    """At weight 0 three steps leave the bits of the plain auto-encoder with the same cost and seed."""
    model = build(name, encoder, shape, norm="batch", w=0.0)
    plain = build(FAMILY[name].at_zero, encoder, shape, norm="batch")
    plain.cost = copy.deepcopy(model.cost)
    loops = [loop_of(m, shape) for m in (model, plain)]
    for _ in range(3):
        weighed, unweighed = (loop.advance()[0] for loop in loops)
        assert weighed["reconstruction"] == unweighed["reconstruction"]
        assert weighed["discrepancy"] == 0
    for label, value in plain.state_dict().items():
        assert torch.equal(value, model.state_dict()[label]), label


@these(lambda member: member.weighed)
def test_weight_multiplies_the_discrepancy(name, encoder, shape):
    """Three times the weight is three times the discrepancy and the same of all else."""
    one, three = (build(name, encoder, shape, w=w).double() for w in (2.0, 6.0))
    assert (one.discrepancy_weight, three.discrepancy_weight) == (pytest.approx(2), pytest.approx(6))
    three.load_state_dict(one.state_dict() | {"weight.log_value": three.weight.log_value})
    x, y = rows(shape).double(), labels()
    a, b = (m.formula(Square(m, x, Noise(0), y)) for m in (one, three))
    assert a.keys() == b.keys()
    compared = {label for label in a if label.startswith("discrepancy")}
    assert compared
    for label in compared:
        torch.testing.assert_close(b.pop(label), 3 * a.pop(label))
    assert all(torch.equal(value, b[label]) for label, value in a.items())


@these(lambda member: not member.weighed)
def test_no_weight(name, encoder, shape):
    """A model whose discrepancy has no weight says so."""
    assert build(name, encoder, shape).discrepancy_weight is None


@everyone
def test_state(name, encoder, shape):
    """A model of other weights that loads the state has the same losses under the same seed."""
    model, other = (build(name, encoder, shape, norm="batch", seed=seed) for seed in (0, 1))
    loop = loop_of(model, shape)
    loop.advance()
    x = rows(shape)
    for m in (model, other):
        m.eval()
    expected = total(model, x)
    assert any(value != expected[label] for label, value in total(other, x).items())
    other.load_state_dict(model.state_dict())
    paired = copy.deepcopy(model)
    for m in (other, paired):
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
        runs.append([sum(loop.advance()[0].values()).item() for _ in range(3)])
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


@everyone
def test_encode_decode_sample(name, encoder, shape):
    """Codes are (N, L), data come back at their shape, and samples are one whole whether chunked or not."""
    model = build(name, encoder, shape, norm="batch").eval()
    x, y = rows(shape), labels()
    with torch.no_grad():
        if model.has_encoder:
            codes = model.encode(x, y=y)
            assert codes.shape == (64, model.prior.latent_dim)
            assert model.encode(x, Noise(0), y).shape == codes.shape
            assert torch.equal(codes, model.encode(x, y=y))
        else:
            codes = model.prior(64).rsample(Noise(0))
        assert model.decode(codes, y).shape == x.shape
        whole = model.sample(70, Noise(1))
        parts = [model.sample(40, Noise(1)), model.sample(30, Noise(1).rows(40))]
        assert whole.shape == (70, *shape)
        torch.testing.assert_close(torch.cat(parts), whole, rtol=1e-5, atol=1e-6)
        if name == "VAE Bernoulli":
            assert ((whole > 0) & (whole < 1)).all()


@everyone
def test_evaluation_mode_changes_nothing(name, encoder, shape):
    """In evaluation no buffer changes, the data are left alone, and no global generator is used."""
    model = build(name, encoder, shape, norm="batch").eval()
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
    """Printing a model shows its prior, its discrepancy and its weight."""
    words = repr(build(name, encoder, shape)).replace("\n", "").replace("  ", "")
    for part in FAMILY[name].says:
        assert part in words


@everyone
def test_double(name, encoder, shape):
    """In float64 every term is float64, and close to that of float32."""
    model = build(name, encoder, shape)
    single = total(model, rows(shape))
    for label, value in total(model.double(), rows(shape).double()).items():
        assert value.dtype == torch.float64
        torch.testing.assert_close(value.float(), single[label], rtol=1e-4, atol=1e-4)


@everyone
def test_labels_are_asked_for_by_who_needs_them(name, encoder, shape):
    """Without labels a conditional model is refused by name; others have the same terms as with them."""
    model, member, x = build(name, encoder, shape), FAMILY[name], rows(shape)
    assert model.n_conditions == CLASSES * member.conditional[1]
    for player in model.players():
        without = Square(model, x, Noise(0))
        if player.name in member.needs:
            with pytest.raises((DataError, ConfigError), match="labels"):
                player.loss(without)
            continue
        found = player.loss(without)
        for label, value in player.loss(Square(model, x, Noise(0), labels())).items():
            assert torch.equal(value, found[label]), label


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
