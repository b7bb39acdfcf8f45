"""The distribution of rows of a table: likelihoods, masks, and samples against closed forms."""

import math

import numpy as np
import pytest
import torch

from pushforward.costs import Columns
from pushforward.metrics.tabular import kolmogorov_smirnov
from pushforward.rng import Noise
from pushforward.tables.distribution import TableDistribution, draw
from pushforward.tables.frames import table_of
from pushforward.tables.networks import AutoregressiveTableDecoder, CellEmbedding, TableDecoder, TableEncoder
from pushforward.tables.schema import Schema

SIZES = (2, 3, 4)
EVERY = torch.cartesian_prod(*(torch.arange(n) for n in SIZES)).float() + 0.5


def decoders():
    torch.manual_seed(0)
    return [TableDecoder(2, SIZES, width=16), AutoregressiveTableDecoder(2, SIZES, width=16)]


class Known:
    """A decoder of two columns with known probabilities, p(a) and p(b | a), whatever the code."""

    is_autoregressive = True

    def __init__(self, first, second):
        self.first, self.second = torch.tensor(first).log(), torch.tensor(second).log()
        self.sizes = (len(first), len(second[0]))

    def column_logits(self, z, x, column):
        return self.first.expand(len(x), -1) if column == 0 else self.second[x[:, 0].long()]

    def logits(self, z, x):
        return self.column_logits(z, x, 0), self.column_logits(z, x, 1)


@pytest.mark.parametrize("decoder", decoders(), ids=["mlp", "autoregressive"])
def test_the_probabilities_of_all_rows_add_up_to_1(decoder):
    z = torch.randn(1, 2).expand(len(EVERY), -1)
    assert decoder(z).log_prob(EVERY).exp().sum().item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("decoder", decoders(), ids=["mlp", "autoregressive"])
def test_the_position_within_a_cell_of_the_column_itself_does_not_matter(decoder):
    distribution = decoder(torch.zeros(1, 2))
    last = [torch.tensor([[0.5, 1.5, 2 + u]]) for u in (0.1, 0.9)]
    assert torch.equal(distribution.log_prob(last[0]), distribution.log_prob(last[1]))


def test_a_column_does_not_depend_on_those_from_it_on():
    """Output j has no gradient from the columns from j on, one from those before, one from the code."""
    net = AutoregressiveTableDecoder(2, (3, 5, 2, 4), width=32, blocks=3)
    z = torch.randn(2, 2, requires_grad=True)
    embedded = torch.randn(2, 4 * 16, requires_grad=True)
    net.embedding = torch.nn.Module()
    net.embedding.forward = lambda x: embedded.view(2, 4, 16)
    for j, part in enumerate(net.logits(z, torch.zeros(2, 4))):
        gradient, from_code = torch.autograd.grad(part.square().sum(), [embedded, z], retain_graph=True)
        sizes = gradient.view(2, 4, 16).abs().sum((0, 2))
        assert (sizes[j:] == 0).all()
        assert (sizes[:j] > 0).all()
        assert from_code.abs().sum() > 0


def test_one_column_of_logits_is_that_of_all():
    net = decoders()[1]
    z = torch.randn(len(EVERY), 2)
    for column, part in enumerate(net.logits(z, EVERY)):
        assert torch.allclose(net.column_logits(z, EVERY, column), part, atol=1e-6)


@pytest.mark.parametrize("decoder", decoders(), ids=["mlp", "autoregressive"])
def test_rows_are_drawn_with_their_probabilities(decoder):
    z = torch.randn(1, 2).expand(20_000, -1)
    cells = decoder(z).sample(Noise(3)).long()
    found = torch.zeros(SIZES).index_put_(tuple(cells.T), torch.ones(len(cells)), accumulate=True) / len(
        cells
    )
    wanted = decoder(z[: len(EVERY)]).log_prob(EVERY).exp().view(SIZES)
    assert (found - wanted).abs().max() < 0.015


def test_samples_do_not_depend_on_how_many_there_are():
    distribution = decoders()[1](torch.randn(300, 2))
    whole = distribution.sample(Noise(0))
    part = TableDistribution(distribution.decoder, distribution.z[100:110]).sample(Noise(0).rows(100))
    assert torch.allclose(part, whole[100:110])


def test_a_draw_never_has_a_cell_of_probability_0():
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf]]).expand(4, -1)
    assert draw(logits, torch.tensor([0.0, 0.3, 0.999, 1 - 2**-24])).tolist() == [1, 1, 1, 1]


def test_the_point_has_the_most_probable_cells():
    distribution = TableDistribution(Known([0.4, 0.6], [[0.9, 0.1], [0.2, 0.8]]), torch.zeros(3, 1))
    assert distribution.greedy().tolist() == [[1.5, 1.5]] * 3
    given = torch.tensor([[0.5, 1.5]] * 3)
    assert Columns()(distribution, given).item() == pytest.approx(-math.log(0.04))


def test_what_is_allowed_has_the_weights_of_its_probability():
    """p(a | b = 1) = p(a) p(b = 1 | a) / p(b = 1), from the weights of rows drawn with b = 1."""
    first, second = [0.4, 0.6], [[0.9, 0.1], [0.2, 0.8]]
    distribution = TableDistribution(Known(first, second), torch.zeros(40_000, 1))
    only = torch.tensor([False, True])
    x, log_weights = distribution.sample_given(Noise(1), (None, only))
    assert (x[:, 1].long() == 1).all()
    weights = log_weights.exp()
    share = (weights * (x[:, 0].long() == 1)).sum() / weights.sum()
    assert share.item() == pytest.approx(0.48 / 0.52, abs=0.01)
    assert weights.mean().item() == pytest.approx(0.52, abs=0.01)


def test_a_decoder_of_the_frequencies_gives_the_columns_back():
    """Samples whose logits are the log-frequencies of the cells have the distribution of the column."""
    draw = np.random.default_rng(0)
    given = {
        "pay": np.round(np.exp(draw.normal(8, 2, 4000)), 2),
        "hours": draw.choice([40, 0, 35, 20, 7], 4000),
    }
    given["pay"][::7] = np.nan
    schema = Schema.of(table_of(given))
    x = schema.encode(table_of(given)).long()
    counts = [column.bincount(minlength=n) for column, n in zip(x.T, schema.sizes, strict=True)]

    class Frequencies:
        is_autoregressive = False
        sizes = schema.sizes

        def logits(self, z, x):
            return tuple(count.float().log().expand(len(z), -1) for count in counts)

    made = schema.decode(TableDistribution(Frequencies(), torch.zeros(20_000, 1)).sample(Noise(0)))
    for name, values in given.items():
        column = made.columns[name]
        found = np.where(column.missing, np.nan, column.values.astype(float))
        assert kolmogorov_smirnov(found, values.astype(float)) < 0.015


def test_what_is_not_known_has_an_embedding_of_its_own():
    embedding = CellEmbedding(SIZES)
    one, other = (embedding(torch.tensor([[0.5, -1.0, x]])) for x in (0.5, -1.0))
    assert torch.equal(one[:, 1], other[:, 1])
    assert torch.equal(other[0, 2], embedding.unknown[2])
    hidden = CellEmbedding(SIZES, dropout=0.5)
    x = EVERY.repeat(50, 1)
    share = (hidden(x) == hidden.unknown).all(2).float().mean().item()
    assert share == pytest.approx(0.5, abs=0.03)
    assert torch.equal(hidden.eval()(x), hidden(x))


def test_a_share_of_the_rows_is_predicted_from_the_code_alone():
    """Either all columns before are seen, or none."""
    net = AutoregressiveTableDecoder(2, SIZES, width=16, dropout=0.25)
    x = torch.full((4000, 3), 1.5)
    z = torch.randn(1, 2).expand(len(x), -1)
    trained = torch.stack([part[:, 0] for part in net.logits(z, x)], 1)
    net.eval()
    seen, hidden = (
        torch.stack([part[:, 0] for part in net.logits(z[:1], row)], 1) for row in (x[:1], -torch.ones(1, 3))
    )
    is_seen, is_hidden = ((trained - one).abs().amax(1) < 1e-5 for one in (seen, hidden))
    assert (is_seen ^ is_hidden).all()
    assert is_hidden.float().mean().item() == pytest.approx(0.25, abs=0.03)


def test_the_encoder_reads_rows():
    assert TableEncoder(SIZES, 6)(EVERY).shape == (len(EVERY), 6)
