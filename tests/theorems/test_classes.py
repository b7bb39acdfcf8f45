"""What codes know of classes, and whether samples are of the chosen class: cases whose answer is known."""

import pytest
import torch
from torch import nn

from pushforward.costs import SquaredError
from pushforward.data import Dataset, Split
from pushforward.discrepancies import Blockwise, JensenShannon
from pushforward.distributions import (
    DeterministicEncoder,
    MixturePrior,
    NormalPrior,
    OneHotPrior,
    ProductPrior,
)
from pushforward.evaluation import EvaluationContext, evaluate
from pushforward.features.base import Features
from pushforward.models import (
    AAE,
    AutoEncoder,
    ClusterHeads,
    LabelRegularisedAAE,
    Model,
    ReductionAAE,
    SemiSupervisedAAE,
)
from pushforward.networks.conditional import Conditional

K, STYLE = 4, 2


def rows(n, seed, classes=K):
    """A class in the first columns and a style in the others; all classes are equally frequent."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % classes
    return Split(torch.cat([torch.eye(K)[y], torch.rand(n, STYLE, generator=generator)], 1), y)


def data(train=None, test=None):
    return Dataset("toy", train or rows(200, 1), test or rows(120, 2), in_unit_interval=True)


class Map(nn.Module):
    """Any function, as a network."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Reader(Features):
    """Reads the class off the first columns."""

    name = "reader"

    def forward(self, x):
        return x.flatten(1)

    def probabilities(self, features):
        return features[:, :K]


def both(clusters=K):
    return ProductPrior({"y": OneHotPrior(clusters), "z": NormalPrior(STYLE)})


def discrepancies(clusters=K):
    sizes = {"y": clusters, "z": STYLE}
    return Blockwise({name: JensenShannon(nn.Linear(n, 1)) for name, n in sizes.items()}, sizes)


def coder(logits, model=AAE, clusters=K, decoder=None):
    """A model whose class block is the softmax of some numbers of a row."""
    prior = both(clusters)
    net = Map(lambda x: torch.cat([logits(x), x[:, K:]], 1))
    encoder = DeterministicEncoder(net, prior.to_support)
    return model(prior, decoder or Map(lambda codes: codes[:, : K + STYLE]), encoder, discrepancies(clusters))


def found(model, given=None, n_samples=10_000):
    return evaluate(
        EvaluationContext(model.eval(), given or data(), Reader(), n_samples=n_samples), ["classes"]
    ).get("classes")


def value(figure):
    return figure["value"]


# ------------------------------------------------------------------------------- what codes name


def test_codes_that_are_the_class():
    """A labelled model whose class block is the class makes no error, and is named by its labels."""
    figures = found(coder(lambda x: 20 * x[:, :K], SemiSupervisedAAE))
    assert figures["classification_error"] == {"value": 0.0, "error": 0.0}
    assert figures["named_by"] == "labels"
    assert "one_minus_purity" not in figures


def test_a_labelled_model_s_classes_have_names():
    """Its classes in another order are errors, all of them: nobody names them anew."""
    figures = found(coder(lambda x: 20 * x[:, :K].roll(1, 1), SemiSupervisedAAE))
    assert value(figures["classification_error"]) == 1


@pytest.mark.parametrize("clusters", [K, 2 * K, 3 * K])
def test_clusters_are_named_after_training_rows(clusters):
    """A model without labels whose clusters are classes, permuted or split, makes no error by either name."""
    order = torch.randperm(clusters)

    def logits(x):
        part = (x[:, K] * (clusters // K)).long()  # classes are split by their style
        return 20 * torch.eye(clusters)[order[x[:, :K].argmax(1) * (clusters // K) + part]]

    figures = found(coder(logits, clusters=clusters))
    assert value(figures["classification_error"]) == value(figures["one_minus_purity"]) == 0
    assert value(figures["one_minus_acc"]) == pytest.approx(0 if clusters == K else 1 - K / clusters, abs=0.1)
    assert figures["named_by"] == "the surest training row"
    assert figures["clusters"] == clusters


def test_the_surest_row_and_the_majority():
    """A single cluster is named after the surest row, of class 2, or after the majority, of class 1."""
    y = torch.tensor([1] * 120 + [2] * 50 + [0] * 20 + [3] * 10)
    x = torch.cat([torch.eye(K)[y], torch.rand(200, STYLE)], 1)
    x[130, K] = 3.0  # of class 2
    train = Split(x, y)

    def logits(x):
        return torch.cat([x[:, K : K + 1] + 5, torch.zeros(len(x), K - 1)], 1)

    test = Split(torch.rand(100, K + STYLE), torch.where(torch.arange(100) < 80, 2, 1))
    figures = found(coder(logits), data(train, test))
    assert figures["clusters"] == 1
    assert value(figures["classification_error"]) == pytest.approx(0.2)
    assert value(figures["one_minus_purity"]) == value(figures["one_minus_acc"]) == pytest.approx(0.8)


@pytest.mark.parametrize("surest", [(2, 1, 1), (1, 2, 1), (1, 1, 2)])
def test_rows_that_are_as_sure(surest):
    """Of several surest rows the most frequent label counts, wherever they stand, not that of all rows."""
    y = torch.tensor([0] * 100 + [*surest])
    x = torch.zeros(103, K + STYLE)
    x[100:, K] = 1.0
    test = Split(torch.rand(100, K + STYLE), torch.tensor([1] * 70 + [0] * 20 + [2] * 10))

    def logits(x):
        return torch.cat([x[:, K : K + 1] + 5, torch.zeros(len(x), K - 1)], 1)

    figures = found(coder(logits), data(Split(x, y), test))
    assert value(figures["classification_error"]) == pytest.approx(0.3)
    assert value(figures["one_minus_purity"]) == pytest.approx(0.8)


def test_class_probabilities_that_are_constant():
    """A code that says the same of every row errs as often as chance, 1 - 1/K."""
    figures = found(coder(lambda x: torch.zeros(len(x), K)))
    assert value(figures["classification_error"]) == pytest.approx(1 - 1 / K)
    assert figures["clusters"] == 1


def test_the_error_of_a_share():
    """Of a labelled model that is wrong on a share p of rows, the figure is p, with error √(p (1 - p)/n)."""
    test = rows(120, 2)
    test.x[:30, :K] = test.x[:30, :K].roll(1, 1)
    figures = found(coder(lambda x: 20 * x[:, :K], SemiSupervisedAAE), data(test=test))
    assert value(figures["classification_error"]) == 0.25
    assert figures["classification_error"]["error"] == pytest.approx((0.25 * 0.75 / 119) ** 0.5)


def test_unknown_labels_are_nobody_s_error():
    """Rows whose label is not known name no cluster, are no neighbours and are not counted."""
    train, test = rows(200, 1), rows(120, 2)
    train.y[:100], test.y[:20] = -1, -1
    test.x[:20, :K] = 0.5
    train.x[:100, :K] = train.x[:100, :K].roll(1, 1)
    figures = found(coder(lambda x: 20 * x[:, :K]), data(train, test))
    assert (
        value(figures["classification_error"])
        == value(figures["one_minus_purity"])
        == value(figures["knn_error"])
        == 0
    )
    assert figures["knn_rows"] == 100


@pytest.mark.parametrize("side", ["train", "test"])
def test_no_label_is_known(side):
    """Where one split has no known label at all, there is no such figure, and no failure."""
    split = rows(120, 2)
    split.y[:] = -1
    figures = found(coder(lambda x: 20 * x[:, :K]), data(**{side: split}))
    assert figures is None


# --------------------------------------------------------------------------------- neighbours


def plain(function, latent_dim):
    return AutoEncoder(NormalPrior(latent_dim), Map(lambda z: z), DeterministicEncoder(Map(function)))


def test_neighbours_of_separable_codes():
    """Codes that lie apart by class have no error; codes that hold the style alone that of chance."""
    assert value(found(plain(lambda x: x[:, :K], K))["knn_error"]) == 0
    style = found(plain(lambda x: x[:, K:], STYLE))["knn_error"]
    assert abs(style["value"] - (1 - 1 / K)) < 4 * style["error"]


def test_neighbours_are_looked_for_where_codes_are_seen():
    """Points of heads that are all in one place hold the style alone, though the codes hold the class."""
    decoder = ClusterHeads(Map(lambda z: z), K, STYLE, head_distance=1.0)
    decoder.heads.data.zero_()
    model = coder(lambda x: 20 * x[:, :K], ReductionAAE, decoder=decoder)
    together = found(model)
    assert value(together["classification_error"]) == 0
    assert value(together["knn_error"]) > 0.5
    decoder.heads.data = 100 * torch.tensor([[0.0, 0], [1, 0], [0, 1], [1, 1]])
    assert value(found(model)["knn_error"]) == 0


# ------------------------------------------------------------------------------ what is asked for


def draws(columns):
    """A row that has the class in these columns of what the decoder takes."""
    return Map(lambda rows: torch.cat([columns(rows), torch.zeros(len(rows), STYLE)], 1))


def conditional(decoder):
    return AutoEncoder(
        NormalPrior(K), Conditional(decoder, K), DeterministicEncoder(Map(lambda x: x[:, :K])), SquaredError()
    )


def test_a_decoder_that_follows_the_class():
    """All samples are of the class that was asked for, and all codes become the other label's."""
    figures = found(conditional(draws(lambda rows: rows[:, K:])))
    assert value(figures["conditional_accuracy"]) == value(figures["label_swap_accuracy"]) == 1
    assert "error" not in figures  # codes of conditional models are evaluated by what they leave to the label
    assert "knn_error" not in figures


@pytest.mark.parametrize("n", [120, 1300])
def test_a_decoder_that_ignores_the_label(n):
    """Samples of one class are those asked for with chance 1/K; codes that hold the class keep it."""
    given = data(test=rows(n, 2))
    constant = found(conditional(draws(lambda rows: torch.eye(K)[torch.zeros(len(rows)).long()])), given)
    assert value(constant["conditional_accuracy"]) == 1 / K
    assert value(found(conditional(draws(lambda rows: rows[:, :K])), given)["label_swap_accuracy"]) == 0


def test_every_other_label_is_a_condition():
    """Over the rows of a class, all the other labels are tried, none of them its own, about equally often."""
    seen = []

    class Watching(nn.Module):
        def forward(self, rows):
            seen.append(rows)
            return torch.cat([rows[:, K:], torch.zeros(len(rows), STYLE)], 1)

    found(conditional(Watching()), data(test=rows(480, 2)))
    swapped = seen[-1]
    pairs = torch.zeros(K, K).index_put_(
        (swapped[:, :K].argmax(1), swapped[:, K:].argmax(1)), torch.ones(len(swapped)), accumulate=True
    )
    assert (pairs.diag() == 0).all()
    assert (pairs + torch.eye(K) > 0).all()


@pytest.mark.parametrize("n", [120, 1300])
def test_samples_are_drawn_once(n):
    """Every sample that is asked for has noise of its own, however many there are."""
    seen = []

    class Watching(nn.Module):
        def forward(self, codes):
            seen.append(codes)
            return codes[:, : K + STYLE]

    model = coder(lambda x: 20 * x[:, :K], SemiSupervisedAAE, decoder=Watching())
    figures = found(model, data(test=rows(n, 2)))
    assert value(figures["conditional_accuracy"]) == 1
    styles = torch.cat(seen)[:, K]
    assert len(styles) == n == len(styles.unique())


def test_parts_of_a_prior_that_labels_went_to():
    """Of a label-regularised model, a class is asked for by its part of the prior."""
    means = 10 * torch.eye(K)
    prior = MixturePrior(means, torch.eye(K).expand(K, K, K))
    decoder = draws(lambda z: torch.eye(K)[torch.cdist(z, means).argmin(1)])
    encoder = DeterministicEncoder(Map(lambda x: 10 * x[:, :K]))
    model = LabelRegularisedAAE(prior, decoder, encoder, JensenShannon(nn.Linear(2 * K + 1, 1)))
    figures = found(model)
    assert value(figures["conditional_accuracy"]) == pytest.approx(1, abs=0.03)
    assert set(figures) == {"conditional_accuracy", "knn_error", "knn_rows"}


@pytest.mark.parametrize("clusters", [K, 2 * K])
def test_clusters_are_not_asked_for(clusters):
    """A model that has seen no label has no class to be asked for, even if its clusters are as many."""
    assert "conditional_accuracy" not in found(
        coder(lambda x: 20 * torch.eye(clusters)[x[:, :K].argmax(1)], clusters=clusters)
    )
    prior = MixturePrior(torch.eye(K), torch.eye(K).expand(K, K, K))
    plainly = AutoEncoder(prior, Map(lambda z: z), DeterministicEncoder(Map(lambda x: x[:, :K])))
    assert set(found(plainly)) == {"knn_error", "knn_rows"}


# --------------------------------------------------------------------------- who cannot answer


def test_who_cannot_answer():
    """Without labels, of one class, or without codes and classes there are no such figures."""
    model = plain(lambda x: x[:, :K], K)
    bare = [Split(split.x) for split in (rows(200, 1), rows(120, 2))]
    assert found(model, data(*bare)) is None
    assert found(model, data(rows(200, 1, classes=1), rows(120, 2, classes=1))) is None

    class Sampler(Model):
        def __init__(self):
            super().__init__()
            self.prior, self.decoder, self.discrepancy, self.cost = (
                NormalPrior(K),
                Map(lambda z: z),
                None,
                SquaredError(),
            )

        def pair(self, s):
            return s.Gz, s.x

        def formula(self, s):
            return {"reconstruction": self.cost(*self.pair(s))}

    assert found(Sampler()) is None


def test_features_that_read_no_class():
    """Without a classifier's features, the classes of codes are reported, and those of samples are not."""
    model = coder(lambda x: 20 * x[:, :K], SemiSupervisedAAE).eval()
    figures = evaluate(EvaluationContext(model, data(), "pixels"), ["classes"])["classes"]
    assert value(figures["classification_error"]) == 0
    assert "conditional_accuracy" not in figures
