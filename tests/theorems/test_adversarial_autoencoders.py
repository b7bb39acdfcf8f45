"""T32, section 3: blocks of codes, critics that see labels, heads of clusters, and labels of a few rows."""

import math

import checks
import pytest
import torch
from torch import nn

from pushforward import IMQ, MMD, JensenShannon
from pushforward.data import Split
from pushforward.discrepancies import Blockwise, Discrepancy
from pushforward.distributions import (
    DeterministicEncoder,
    MixturePrior,
    NormalPrior,
    OneHotPrior,
    ProductPrior,
    SwissRollPrior,
    petals,
)
from pushforward.errors import ConfigError, DataError
from pushforward.models import AAE, ClusterHeads, LabelRegularisedAAE, ReductionAAE, SemiSupervisedAAE
from pushforward.networks import mlp
from pushforward.networks.conditional import Conditional
from pushforward.rng import Noise
from pushforward.square import Square
from pushforward.training import Loop, Training

pytestmark = pytest.mark.usefixtures("float64")
SIZES = {"y": 3, "z": 2}
FEATURES = 6


def js(inputs, non_saturating=True):
    return JensenShannon(mlp(inputs, 1, [8], norm=None), non_saturating)


def js_blocks(non_saturating=True):
    return Blockwise({name: js(n, non_saturating) for name, n in SIZES.items()}, SIZES)


def both():
    return ProductPrior({"y": OneHotPrior(3), "z": NormalPrior(2)})


def blocks_of(x):
    return x[:, :3], x[:, 3:]


# -------------------------------------------------------------------------------------- blocks


@pytest.mark.parametrize("make", [js_blocks, lambda: js_blocks(False)])
def test_a_discrepancy_of_blocks_is_the_sum_of_theirs(make):
    """Σ_b D_b(q_b, p_b), for what the model descends and for what the critics maximise."""
    discrepancy, q, p = make(), torch.randn(20, 5), torch.randn(15, 5)
    sides = list(zip(discrepancy.discrepancies.values(), blocks_of(q), blocks_of(p), strict=True))
    torch.testing.assert_close(discrepancy(q, p), sum(d(a, b) for d, a, b in sides))
    torch.testing.assert_close(
        discrepancy.critic_objective(q, p), sum(d.critic_objective(a, b) for d, a, b in sides)
    )


def test_blocks_without_a_critic_have_no_objective():
    """A kernel next to an adversarial discrepancy adds to the value, and not to the critic's objective."""
    discrepancy = Blockwise({"y": js(3), "z": MMD(IMQ(4.0))}, SIZES)
    q, p = torch.randn(20, 5), torch.randn(20, 5)
    (qy, qz), (py, pz) = blocks_of(q), blocks_of(p)
    torch.testing.assert_close(
        discrepancy(q, p), discrepancy.discrepancies["y"](qy, py) + MMD(IMQ(4.0))(qz, pz)
    )
    torch.testing.assert_close(
        discrepancy.critic_objective(q, p), discrepancy.discrepancies["y"].critic_objective(qy, py)
    )


def test_the_order_of_blocks_is_a_name():
    """Blocks, their columns and their sizes put into another order have the same value."""
    discrepancy, q, p = js_blocks(), torch.randn(20, 5), torch.randn(20, 5)
    other = Blockwise(
        {"z": discrepancy.discrepancies["z"], "y": discrepancy.discrepancies["y"]}, {"z": 2, "y": 3}
    )
    turned = [torch.cat(blocks_of(x)[::-1], 1) for x in (q, p)]
    torch.testing.assert_close(other(*turned), discrepancy(q, p))
    torch.testing.assert_close(other.critic_objective(*turned), discrepancy.critic_objective(q, p))


def test_critics_of_blocks_share_nothing():
    """The gradient of a block's critic does not depend on the other block; nor does that of its codes."""
    discrepancy, q, p = js_blocks(), torch.randn(20, 5, requires_grad=True), torch.randn(20, 5)
    mine = list(discrepancy.discrepancies["y"].parameters())
    changed = torch.cat([q.detach()[:, :3], torch.randn(20, 2)], 1).requires_grad_()
    one, other = (torch.autograd.grad(discrepancy.critic_objective(x, p), mine) for x in (q, changed))
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    one, other = (torch.autograd.grad(discrepancy(x, p), x)[0][:, :3] for x in (q, changed))
    assert torch.equal(one, other)


@pytest.mark.parametrize("sizes", [{"y": 3}, {"z": 2, "y": 3}, {"y": 3, "w": 2}, {"y": 3, "z": 2, "w": 1}])
def test_blocks_have_names(sizes):
    """A block without a discrepancy, or names in another order, are refused."""
    with pytest.raises(
        ConfigError, match=f"Blockwise needs a discrepancy for each of {', '.join(sizes)}, got y, z"
    ):
        Blockwise({"y": js(3), "z": js(2)}, sizes)


@pytest.mark.parametrize("n_critic", [0, -1])
def test_critics_have_updates(n_critic):
    """Critics that never move are refused, of one block or of several."""
    for make in (
        lambda: Blockwise({"y": js(3)}, {"y": 3}, n_critic),
        lambda: JensenShannon(nn.Linear(2, 1), True, n_critic),
    ):
        with pytest.raises(ConfigError, match=f"n_critic must be at least 1, got {n_critic}"):
            make()


def test_codes_of_other_widths_are_refused():
    """Columns that no block has are not passed over."""
    with pytest.raises(RuntimeError, match="split_with_sizes"):
        js_blocks()(torch.randn(4, 6), torch.randn(4, 6))


def test_every_block_is_a_term():
    """Players' terms are named after the blocks, and their sum is the discrepancy of blocks."""
    model = AAE(
        both(),
        nn.Linear(5, FEATURES),
        DeterministicEncoder(nn.Linear(FEATURES, 5), both().to_support),
        js_blocks(),
    )
    square = Square(model, torch.randn(10, FEATURES), Noise(0))
    discrepancy_terms, critic_loss = (
        model.discrepancy_terms(square),
        model.critic_loss(model.comparisons()[0], square),
    )
    assert (list(discrepancy_terms), list(critic_loss)) == (
        ["discrepancy_y", "discrepancy_z"],
        ["critic_y", "critic_z"],
    )
    torch.testing.assert_close(sum(discrepancy_terms.values()), model.discrepancy(square.Ex, square.z))
    torch.testing.assert_close(
        sum(critic_loss.values()), -model.discrepancy.critic_objective(square.Ex, square.z)
    )


# ------------------------------------------------------------------------------ labels of critics


class Seen(Discrepancy):
    """Keeps the samples that it compares."""

    def forward(self, q, p):
        self.q, self.p = q, p
        return (q - p).square().mean()


def labelled(prior, y, x=None):
    """What the critic of a label-regularised model compares: codes made, and given."""
    encoder = DeterministicEncoder(nn.Linear(FEATURES, prior.latent_dim))
    model = LabelRegularisedAAE(prior, nn.Linear(prior.latent_dim, FEATURES), encoder, Seen()).double()
    x = torch.randn(len(y), FEATURES) if x is None else x
    square = Square(model, x, Noise(0), y)
    return (*model.pair(square), square)


def test_the_critic_sees_the_label():
    """T32: beside each code stands its row's label, one-hot of K + 1, the last where it is unknown."""
    y = torch.tensor([0, 3, -1, 9])
    made, given, square = labelled(petals(), y)
    expected = torch.zeros(4, 11)
    expected[torch.arange(4), [0, 3, 10, 9]] = 1
    for side in (made, given):
        assert side.shape == (4, 2 + 11)
        assert torch.equal(side[:, 2:], expected)
    assert torch.equal(made[:, :2], square.Ex)


def test_another_label_is_another_input():
    """T32: swapping two rows' labels changes both sides; hiding one changes the columns of the label."""
    x = torch.randn(4, FEATURES)
    torch.manual_seed(0)
    made, given, _ = labelled(petals(), torch.tensor([0, 3, 5, 9]), x)
    torch.manual_seed(0)
    other_made, other_given, _ = labelled(petals(), torch.tensor([3, 0, -1, 9]), x)
    assert torch.equal(made[:, :2], other_made[:, :2])  # codes know nothing of it
    for one, other in ((made, other_made), (given, other_given)):
        assert [torch.equal(a, b) for a, b in zip(one, other, strict=True)] == [False, False, False, True]


@pytest.mark.parametrize("make", [petals, SwissRollPrior])
def test_given_codes_come_from_the_part_of_their_label(make):
    """T32: labelled rows draw from their component, others from the whole prior."""
    prior = make().double()
    y = torch.randint(0, 10, (4000,))
    y[::2] = -1
    _, given, square = labelled(prior, y)
    assert torch.equal(given[:, :2], prior(4000, y).rsample(square.noise("prior")))
    hidden = y < 0
    assert torch.equal(given[hidden, :2], square.z[hidden])
    if make is petals:
        nearest = torch.cdist(given[:, :2], prior.means).argmin(1)
        assert (nearest == y)[~hidden].double().mean() > 0.9
        shares = nearest[hidden].bincount(minlength=10) / 2000
        assert ((shares - 0.1).abs() < 4 * (0.09 / 2000) ** 0.5 + 0.02).all()


def test_the_encoder_descends_what_the_critic_sees():
    """T32: reconstruction and discrepancy of the formula are those of the pair with labels."""
    y = torch.tensor([0, 3, -1, 9])
    made, given, square = labelled(petals(), y)
    assert square.model.formula(square)["discrepancy"] == (made - given).square().mean()
    with pytest.raises(ConfigError, match="labels"):
        square.model.formula(Square(square.model, square.x, Noise(0)))


# --------------------------------------------------------------------------------------- heads


def heads(*places, head_distance=2.0):
    made = ClusterHeads(nn.Identity(), len(places), len(places[0]), head_distance)
    made.heads.data = torch.tensor(places)
    return made


@pytest.mark.parametrize(
    ("places", "crowding"),
    [
        ([(0.0, 0.0), (1.0, 0.0)], 1.0),  # at η/2 they owe η/2
        ([(0.0, 0.0), (2.0, 0.0)], 0.0),
        ([(0.0, 0.0), (0.0, 5.0), (5.0, 0.0)], 0.0),
        ([(0.0, 0.0), (1.0, 0.0), (-1.0, 0.0)], 2.0),  # two pairs of three
        ([(0.0, 0.0), (0.5, 0.0), (9.0, 0.0)], 1.5),
    ],
)
def test_crowding(places, crowding):
    """T32: Σ_{i<j} (η - |w_i - w_j|)₊."""
    assert heads(*places).crowding().item() == pytest.approx(crowding, abs=1e-12)


def test_crowding_is_nothing_iff_all_are_apart():
    """T32: the cost is 0 exactly if the nearest pair is at η or more."""
    places = torch.randn(5, 3)
    nearest = torch.pdist(places).min().item()
    for share, free in ((0.5, True), (0.999, True), (1.001, False), (3.0, False)):
        assert (heads(*places.tolist(), head_distance=share * nearest).crowding() == 0) == free


def test_crowded_heads_move_apart():
    """T32: descending the cost drives heads away from each other."""
    made = heads((0.0, 0.0), (1.0, 0.0))
    made.crowding().backward()
    torch.testing.assert_close(made.heads.grad, torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))


def test_points_of_heads():
    """T32: the point of the class k alone is w_k; of any code W ŷ + z, which is decoded and looked at."""
    made = heads((1.0, 2.0), (-3.0, 0.0), (0.0, 7.0))
    alone = torch.cat([torch.eye(3), torch.zeros(3, 2)], 1)
    assert torch.equal(made.point(alone), made.heads)
    codes = torch.cat([torch.rand(6, 3).softmax(1), torch.randn(6, 2)], 1)
    expected = torch.stack([made.heads.T @ code[:3] + code[3:] for code in codes])
    torch.testing.assert_close(made.point(codes), expected)
    torch.testing.assert_close(made(codes), expected)
    model = reduction(made)
    torch.testing.assert_close(model.view(codes), expected)


def test_crowded_heads_are_paid_for_with_the_reconstruction():
    """T32: what decoder and encoder descend is the cost and the crowding, each once."""
    model = reduction(heads((1.0, 2.0), (1.0, 2.5), (0.0, 7.0)))
    square = Square(model, torch.randn(4, 2), Noise(0))
    terms = model.reconstruction_terms(square)
    assert terms["heads"].item() == pytest.approx(1.5)
    assert terms["reconstruction"] == model.cost(square.GEx, square.x)


def reduction(decoder):
    encoder = DeterministicEncoder(nn.Linear(2, 5), both().to_support)
    return ReductionAAE(both(), decoder, encoder, js_blocks())


# ------------------------------------------------------------------------------ labels of rows


def semi(encoder=None):
    encoder = encoder or nn.Linear(FEATURES, 5)
    return SemiSupervisedAAE(
        both(), nn.Linear(5, FEATURES), DeterministicEncoder(encoder, both().to_support), js_blocks()
    )


def test_labels_are_the_cross_entropy():
    """Section 3.4: -log ŷ_y is the cross-entropy of the logits, in nats, averaged over rows with a label."""
    model, x = semi(), torch.randn(9, FEATURES)
    y = torch.tensor([0, 1, 2, -1, 1, -1, 0, 2, -1])
    logits = model.encoder.net(x)[:, :3]
    expected = nn.functional.cross_entropy(logits, y, ignore_index=-1)
    found = model.labels(Square(model, x, Noise(0), y))
    assert list(found) == ["labels"]
    torch.testing.assert_close(found["labels"], expected)
    moved = x.clone()
    moved[y < 0] = 9.0
    torch.testing.assert_close(model.labels(Square(model, moved, Noise(0), y))["labels"], expected)
    for one, other in zip(
        torch.autograd.grad(found["labels"], list(model.encoder.parameters())),
        torch.autograd.grad(expected, list(model.encoder.parameters())),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_a_sure_and_wrong_class_has_a_penalty():
    """A probability that underflows to 0 costs a finite number, and its gradient is one too."""
    model = semi(checks.Constant(0.0, 2000.0, 0.0, 0.0, 0.0))
    loss = model.labels(Square(model, torch.randn(4, FEATURES), Noise(0), torch.zeros(4).long()))["labels"]
    assert 60 < loss < math.inf
    loss.backward()
    assert model.encoder.net.values.grad.isfinite().all()


def test_without_labels():
    """Rows that have no labels at all are refused by name."""
    model = semi()
    with pytest.raises(DataError, match="labels"):
        model.labels(Square(model, torch.randn(4, FEATURES), Noise(0)))


def test_the_discrepancy_knows_no_label():
    """Section 3.4: given codes are drawn from the whole prior, whatever the labels of the rows."""
    model, x = semi(), torch.randn(30, FEATURES)
    labelled, unlabelled = (Square(model, x, Noise(0), y) for y in (torch.zeros(30).long(), None))
    for one, other in zip(model.pair(labelled), model.pair(unlabelled), strict=True):
        assert torch.equal(one, other)
    assert set(labelled.z[:, :3].argmax(1).tolist()) == {0, 1, 2}


# --------------------------------------------------------------------------------------- alternating updates


def test_updates_come_in_order():
    """Section 3.1: reconstruction, critics, encoder, labels; each with terms and optimizer of its own."""
    y = torch.arange(40) % 4 - 1
    model = semi()
    order = [player.name for player in model.players()]
    assert order == ["model", "critic", "encoder", "labels"]
    rates = {name: 0.1 * (place + 1) for place, name in enumerate(order)}

    def sgd(lr):
        return lambda parameters: torch.optim.SGD(parameters, lr=lr)

    optimizers = {name: sgd(lr) for name, lr in rates.items()}
    loop = Loop(model, Split(torch.randn(40, FEATURES), y), Training(10, optimizers), total=10)
    # the same step by hand
    paired = semi()
    paired.load_state_dict(model.state_dict())
    noise = Noise(0, "step", 0)(0)
    for player in paired.players():
        batch = loop.rows(0, labelled=player.labelled)
        losses = player.loss(Square(paired, batch.x, noise, batch.y))
        gradients = torch.autograd.grad(sum(losses.values()), player.parameters)
        with torch.no_grad():
            for parameter, gradient in zip(player.parameters, gradients, strict=True):
                parameter -= rates[player.name] * gradient
    loop.advance()
    for label, value in paired.state_dict().items():
        torch.testing.assert_close(model.state_dict()[label], value, rtol=1e-12, atol=1e-12)


def test_mixture_prior_of_a_supervised_model_is_drawn_whole():
    """A conditional decoder makes samples of any class from the whole of a prior with classes."""
    prior = MixturePrior(torch.tensor([[-9.0], [9.0]]), torch.zeros(2, 1, 1)).double()

    model = AAE(prior, Conditional(nn.Identity(), 3), DeterministicEncoder(nn.Linear(4, 1)), js(1))
    made = model.sample(400, Noise(0), torch.full((400,), 2))
    assert torch.equal(made[:, 1:], torch.tensor([0.0, 0.0, 1.0]).expand(400, 3))
    assert (made[:, 0] > 0).double().mean().item() == pytest.approx(0.5, abs=4 * 0.025)


def test_a_conditional_decoder_leaves_the_prior_whole():
    """Given the label, the critic compares codes of a class with the whole prior, not with a part of it."""
    prior = petals(4)
    decoder = Conditional(nn.Linear(2 + 3, 5), 3)
    critic = JensenShannon(nn.Linear(2 + 4, 1))
    model = LabelRegularisedAAE(prior, decoder, DeterministicEncoder(nn.Linear(5, 2)), critic)
    y = torch.zeros(2000).long()
    square = Square(model, torch.rand(2000, 5), Noise(0), y)
    made, given = model.pair(square)
    assert made.shape == given.shape == (2000, 2 + 3 + 1)
    assert torch.equal(made[:, 2:], given[:, 2:])
    angles = torch.atan2(given[:, 1], given[:, 0])
    quarters = ((angles / (math.pi / 2)).round().long() % 4).bincount(minlength=4)
    assert (quarters - 500).abs().max() < 4 * (2000 * 0.25 * 0.75) ** 0.5
