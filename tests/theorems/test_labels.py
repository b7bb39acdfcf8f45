"""Labels: as numbers, joined to rows, of a few rows alone, and hidden before training."""

import pytest
import torch
from torch import nn

from pushforward.data import Split
from pushforward.discrepancies import Blockwise, JensenShannon
from pushforward.distributions import (
    ConditionalEncoder,
    DeterministicEncoder,
    GaussianEncoder,
    NormalPrior,
    OneHotPrior,
    ProductPrior,
)
from pushforward.errors import DataError
from pushforward.models import AutoEncoder, SemiSupervisedAAE
from pushforward.networks import conv_decoder, conv_encoder, mlp
from pushforward.networks.conditional import Conditional, one_hot
from pushforward.rng import Noise
from pushforward.square import Square
from pushforward.training import Loop, Training, adam

# --------------------------------------------------------------------------------- as numbers


@pytest.mark.parametrize("unknown", [False, True])
def test_one_hot(unknown):
    """Row n is 1 at y_n and else 0; of an unknown label all K are 0, and column K + 1, if there is one, 1."""
    y = torch.tensor([2, 0, -1, 3, -1])
    found = one_hot(y, 4, unknown)
    assert found.shape == (5, 4 + unknown)
    for n, label in enumerate(y.tolist()):
        expected = [0.0] * (4 + unknown)
        if label >= 0 or unknown:
            expected[label] = 1.0  # -1 is the last column
        assert found[n].tolist() == expected


@pytest.mark.parametrize("shape", [(5,), (2, 4, 6)])
def test_conditional_networks_see_the_label_beside_the_row(shape):
    """K more features of a vector, or K more channels of an image, each constant; of an unknown label 0."""
    x, y = torch.randn(3, *shape), torch.tensor([1, -1, 0])
    seen = Conditional(nn.Identity(), 4)(x, y)
    assert seen.shape == (3, shape[0] + 4, *shape[1:])
    assert torch.equal(seen[:, : shape[0]], x)
    for n in range(3):
        for k in range(4):
            assert (seen[n, shape[0] + k] == float(y[n] == k)).all()
    assert Conditional(nn.Identity(), 4)(x.double(), y).dtype == torch.float64


def test_conditional_decoders_and_encoders_of_images():
    """Networks of images take the label too, and what they make changes with it, and with nothing unknown."""
    decoder = Conditional(conv_decoder(3 + 10, (1, 16, 16), [8, 8], 4, hidden=[16], last=False), 10).eval()
    encoder = ConditionalEncoder(GaussianEncoder(conv_encoder((1 + 10, 16, 16), 2 * 3, [8, 8], 4)), 10).eval()
    x, z = torch.rand(2, 1, 16, 16), torch.randn(2, 3)
    with torch.no_grad():
        for call, shape in ((lambda y: decoder(z, y), x.shape), (lambda y: encoder(x, y).center, z.shape)):
            one, other = call(torch.tensor([1, -1])), call(torch.tensor([2, -1]))
            assert one.shape == shape
            assert not torch.equal(one[0], other[0])
            torch.testing.assert_close(one[1], other[1])


@pytest.mark.parametrize(("y", "found"), [(None, "none"), (torch.zeros(2).long(), "2")])
def test_conditional_networks_need_labels(y, found):
    """No label, or another number of them than of rows, is refused by name."""
    networks = [Conditional(nn.Identity(), 3), ConditionalEncoder(DeterministicEncoder(nn.Identity()), 3)]
    for network in networks:
        with pytest.raises(
            DataError, match=f"a conditional model needs labels: 4 \\(-1 for unknown\\), got {found}"
        ):
            network(torch.zeros(4, 5), y)


def test_both_networks_are_conditioned_on_the_same():
    """In the square, encoder and decoder see each row's own label joined to the row and to the code."""
    encoder = ConditionalEncoder(DeterministicEncoder(nn.Linear(5 + 3, 2)), 3)
    model = AutoEncoder(NormalPrior(2), Conditional(nn.Linear(2 + 3, 5), 3), encoder)
    x, y = torch.randn(4, 5), torch.tensor([0, 1, -1, 2])
    square = Square(model, x, Noise(0), y)
    codes = encoder.encoder.net(torch.cat([x, one_hot(y, 3)], 1))
    torch.testing.assert_close(square.Ex, codes)
    torch.testing.assert_close(square.GEx, model.decoder.net(torch.cat([codes, one_hot(y, 3)], 1)))
    torch.testing.assert_close(square.Gz, model.decoder.net(torch.cat([square.z, one_hot(y, 3)], 1)))
    assert (model.n_conditions, model.classes) == (3, 3)


# ------------------------------------------------------------------------------- of a few rows


def rows(n=300, classes=5, hidden=0, seed=0):
    """Rows that say their own number, of unequal classes, some of which are not known."""
    y = (torch.rand(n, generator=torch.Generator().manual_seed(seed)) ** 2 * classes).long()
    y[:hidden] = -1
    return Split(torch.arange(n).float().unsqueeze(1), y)


@pytest.mark.parametrize("labels", [5, 7, 50, 100])
@pytest.mark.parametrize("hidden", [0, 40])
def test_labels_kept_are_balanced(labels, hidden):
    """Exactly so many labels are known, as many of every class within one; the rest is -1."""
    data = rows(hidden=hidden)
    kept = data.keep_labels(labels, Noise(3))
    known = kept.y >= 0
    assert known.sum() == labels
    counts = kept.y[known].bincount(minlength=5)
    assert counts.max() - counts.min() <= 1
    assert torch.equal(kept.y[known], data.y[known])
    assert (kept.y[~known] == -1).all()
    assert torch.equal(kept.x, data.x)
    assert (data.y >= 0).sum() == 300 - hidden  # the rows that were given are left as they were


def test_where_a_class_runs_out_the_others_give_more():
    """A class of few rows keeps all labels, and the others stay even."""
    y = torch.tensor([0] * 3 + [1] * 40 + [2] * 50)
    kept = Split(torch.zeros(93, 1), y).keep_labels(33, Noise(0)).y
    assert kept[kept >= 0].bincount().tolist() == [3, 15, 15]
    assert torch.equal(Split(torch.zeros(93, 1), y).keep_labels(93, Noise(0)).y, y)


def test_labels_kept_are_a_function_of_the_noise():
    """The same noise keeps the same labels, another one others; a request for more keeps those and more."""
    data = rows()
    few, many = (data.keep_labels(n, Noise(1)).y >= 0 for n in (20, 100))
    assert torch.equal(few, data.keep_labels(20, Noise(1)).y >= 0)
    assert not torch.equal(few, data.keep_labels(20, Noise(2)).y >= 0)
    assert (many | ~few).all()


def test_every_row_of_a_class_may_keep_its_label():
    """Over seeds, each row of a class keeps its label as often: not only the first rows of a split do."""
    data = Split(torch.zeros(20, 1), torch.arange(20) % 2)
    often = sum((data.keep_labels(4, Noise(seed)).y >= 0).double() for seed in range(2000)) / 2000
    assert ((often - 0.2).abs() < 5 * (0.16 / 2000) ** 0.5).all()


def test_more_labels_than_there_are():
    """Showing more labels than are known is refused; of rows without labels any."""
    with pytest.raises(DataError, match="the number of training labels, 260, got 261"):
        rows(hidden=40).keep_labels(261, Noise(0))
    with pytest.raises(DataError, match="the number of training labels, 0, got"):
        Split(torch.zeros(4, 1)).keep_labels(1, Noise(0))


def test_rows_with_labels():
    """Those whose label is known, with their labels and factors, in their order; none is refused."""
    data = Split(torch.arange(4.0).unsqueeze(1), torch.tensor([-1, 2, -1, 0]), torch.arange(4).unsqueeze(1))
    known = data.labelled()
    assert known.x.flatten().tolist() == [1.0, 3.0]
    assert known.y.tolist() == [2, 0]
    assert known.factors.flatten().tolist() == [1, 3]
    for y in (None, torch.full((4,), -1)):
        with pytest.raises(DataError, match="expected rows with labels, found none"):
            Split(torch.zeros(4, 1), y).labelled()


# --------------------------------------------------------------------------------- in training


def semi(norm="batch"):
    """A semi-supervised model on rows that say their own number."""
    torch.manual_seed(0)
    prior = ProductPrior({"y": OneHotPrior(5), "z": NormalPrior(2)})
    encoder = DeterministicEncoder(mlp(1, 7, [8], norm), prior.to_support)
    sizes = {"y": 5, "z": 2}
    discrepancy = Blockwise(
        {name: JensenShannon(mlp(n, 1, [8], norm=None)) for name, n in sizes.items()}, sizes
    )
    return SemiSupervisedAAE(prior, mlp(7, 1, [8], norm), encoder, discrepancy)


def loop_of(model, data, n_labels=20, **more):
    optimizers = {player.name: adam(1e-2) for player in model.players()}
    return Loop(model, data, Training(16, optimizers, n_labels=n_labels), total=100, **more)


def watched(loop):
    """The rows and labels that every player sees in a step, by its name."""
    seen = {player_state.player.name: [] for player_state in loop.player_states}
    for player_state in loop.player_states:
        player = player_state.player

        def loss(square, player=player, inner=player.loss):
            seen[player.name].append((square.x.flatten().long(), square.y))
            return inner(square)

        object.__setattr__(player, "loss", loss)
    return seen


def test_only_the_labelled_player_plays_on_rows_with_labels():
    """It sees known rows alone; others see all rows, labels hidden, in the order of a run without it."""
    data = rows()
    loop = loop_of(semi(), data)
    seen = watched(loop)
    kept = data.keep_labels(20, Noise(0, "labels"))
    for _ in range(40):
        loop.advance()
    plain = loop_of(
        AutoEncoder(NormalPrior(7), mlp(7, 1, [8]), DeterministicEncoder(mlp(1, 7, [8]))), data, None
    )
    known = set((kept.y >= 0).nonzero().flatten().tolist())
    for step in range(40):
        x, y = seen["labels"][step]
        assert set(x.tolist()) <= known
        assert torch.equal(y, data.y[x])
        everyone = plain.rows(step).x.flatten().long()
        for name in ("model", "critic", "encoder"):
            x, y = seen[name][step]
            assert torch.equal(x, everyone)
            assert torch.equal(y, kept.y[x])
    assert set(torch.cat([x for x, _ in seen["labels"]]).tolist()) == known  # an epoch of 20 leaves out 4
    assert len(seen["labels"][0][0]) == 16


def test_fewer_labels_than_a_batch():
    """Batches from few labelled rows contain all of them."""
    loop = loop_of(semi(), rows(), n_labels=5)
    assert sorted(loop.rows(3, labelled=True).y.tolist()) == [0, 1, 2, 3, 4]
    assert len(loop.rows(3).x) == 16


def test_labels_are_hidden_from_training_by_the_seed():
    """Without a number all labels are seen; with one, which rows are is the seed's to say."""
    data = rows()
    assert torch.equal(loop_of(semi(), data, None).data.y, data.y)
    kept = [loop_of(semi(), data, 20, seed=seed).data.y for seed in (0, 0, 1)]
    assert torch.equal(kept[0], kept[1])
    assert not torch.equal(kept[0], kept[2])
    with pytest.raises(DataError, match=r"the number of training labels, .*, got 301"):
        loop_of(semi(), data, 301)


def test_a_labelled_player_without_labels():
    """Rows without any known label are refused before the first step."""
    with pytest.raises(DataError, match="expected rows with labels"):
        loop_of(semi(), Split(torch.rand(30, 1)), None)


@pytest.mark.parametrize("stop", [1, 7, 23])
def test_stopping_a_semi_supervised_run_changes_nothing(stop):
    """T36: restored after any step, each optimizer from its own file, a run goes on bit for bit."""
    whole, first, second = (loop_of(semi(), rows()) for _ in range(3))
    for _ in range(30):
        whole.advance()
    for _ in range(stop):
        first.advance()
    tensors, numbers = first.state()
    names = {"model", "critic", "encoder", "labels"}
    assert set(tensors) == {"model"} | {f"optimizer-{name}" for name in names}
    second.restore(tensors, numbers)
    for _ in range(30 - stop):
        second.advance()
    expected, found = whole.state(), second.state()
    assert expected[1] == found[1]
    for part, values in expected[0].items():
        for name, value in values.items():
            assert torch.equal(value, found[0][part][name]), f"{part}/{name}"


def test_players_of_one_encoder_do_not_share_an_optimizer():
    """Three move the encoder, each with moments of its own, all of which a later step depends on."""
    loop = loop_of(semi(norm=None), rows())
    for _ in range(3):
        loop.advance()
    tensors, numbers = loop.state()
    first = next(loop.model.encoder.parameters())
    firsts = {}
    for player_state in loop.player_states:
        places = [id(p) for p in player_state.parameters]
        if id(first) in places:
            moments = tensors[f"optimizer-{player_state.player.name}"]
            firsts[player_state.player.name] = moments[f"{places.index(id(first))}.exp_avg"]
    assert set(firsts) == {"model", "encoder", "labels"}
    assert firsts["model"].shape == firsts["encoder"].shape == firsts["labels"].shape
    assert not torch.equal(firsts["model"], firsts["encoder"])
    assert not torch.equal(firsts["labels"], firsts["encoder"])
    after = []
    for lost in (None, *firsts):
        changed = {
            part: {
                k: v.clone() * (part != f"optimizer-{lost}" or k.endswith("step")) for k, v in values.items()
            }
            for part, values in tensors.items()
        }
        again = loop_of(semi(norm=None), rows())
        again.restore(changed, numbers)
        again.advance()
        after.append(next(again.model.encoder.parameters()).detach().clone())
    assert all(not torch.equal(after[0], other) for other in after[1:])


def test_norms_of_the_encoder_keep_statistics_in_all_of_its_updates():
    """A BatchNorm of the encoder counts the batches of three players, one of the decoder those of one."""
    loop = loop_of(semi(), rows())
    for _ in range(4):
        loop.advance()
    counted = {k: v.item() for k, v in loop.model.state_dict().items() if k.endswith("num_batches_tracked")}
    assert {k.split(".")[0]: v for k, v in counted.items()} == {"decoder": 4, "encoder": 12}
