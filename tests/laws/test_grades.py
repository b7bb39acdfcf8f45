"""Grades and causes follow from what a model does, on models whose quality is known."""

import pytest
import torch
from torch import nn

import pushforward as pf
from pushforward.data import Dataset, Split
from pushforward.distributions import DeterministicEncoder, MixturePrior, NormalPrior
from pushforward.evaluation import Diagnosis, EvaluationContext, diagnose
from pushforward.evaluation.context import FeatureSet
from pushforward.evaluation.grades import grades
from pushforward.evaluation.quality import Quality
from pushforward.features.classifier import classifier_folder
from pushforward.models import Model
from pushforward.rng import Noise

ROWS = 1000


def points(name, scale=1.0, *shift):
    return Noise(0, name).normal(ROWS, 4) * scale + torch.tensor(shift or (0.0,) * 4)


def plane(train, test):
    return Dataset("plane", Split(train), Split(test), in_unit_interval=False)


class Linear(nn.Module):
    """Multiplies the first ``kept`` values, and leaves out the others."""

    def __init__(self, factor, kept=4):
        super().__init__()
        self.register_buffer("factors", torch.tensor([factor] * kept + [0.0] * (4 - kept)))

    def forward(self, x):
        return x * self.factors


def model(encoder, decoder):
    return pf.AutoEncoder(NormalPrior(4), decoder, DeterministicEncoder(encoder)).eval()


def levels(made, data, **known):
    return {grade.name: grade.level for grade in grades(examined(made, data, **known))}


def examined(made, data, **known):
    return Diagnosis(EvaluationContext(made, data, "quick"), steps=6000, usual_steps=6000, **known)


@pytest.fixture(scope="module")
def normal():
    return plane(points("train"), points("test"))


def test_training_rows_reach_all_that_can_be_reached(normal):
    train, test = FeatureSet(normal.train.x, None), FeatureSet(normal.test.x, None)
    found = Quality.of(train, train, test, 0)
    assert (found.reached, found.excess) == (1.0, 0.0)
    assert found.accuracy == pytest.approx(0.5, abs=0.05)


def test_one_point_reaches_nothing_and_is_always_recognised(normal):
    train, test = FeatureSet(normal.train.x, None), FeatureSet(normal.test.x, None)
    found = Quality.of(FeatureSet(torch.zeros(ROWS, 4), None), train, test, 0)
    assert (found.reached, found.accuracy) == (pytest.approx(0, abs=0.01), 1.0)
    # The distance of a point from N(0, I) is the trace of the covariance.
    assert found.fd == pytest.approx(test.features.var(0).sum().item(), rel=0.02)


def test_half_the_contrast_is_a_quarter_of_the_sharpness():
    images = torch.rand(100, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    data = Dataset("noise", Split(images), Split(images.flip(0)), in_unit_interval=True)
    context = EvaluationContext(
        pf.AutoEncoder(NormalPrior(64), nn.Identity(), DeterministicEncoder(nn.Flatten())), data
    )
    given, dim = context.show(iter([images]), ""), context.show(iter([images / 2]), "")
    assert Quality.of(dim, given, given, 0).sharpness == pytest.approx(0.25)
    assert Quality.of(given, given, given, 0).sharpness == 1


def test_a_perfect_model_of_normal_rows_is_good_in_everything(normal):
    perfect = model(nn.Identity(), nn.Identity())
    assert levels(perfect, normal) == {"samples": "good", "reconstructions": "good", "latent fit": "good"}
    assert diagnose(examined(perfect, normal)) == []


def test_codes_far_from_the_prior_are_graded_so_and_reconstructions_are_not(normal):
    stretched = model(Linear(5.0), Linear(0.2))
    assert levels(stretched, normal) == {"samples": "poor", "reconstructions": "good", "latent fit": "poor"}
    assert examined(stretched, normal).decoded_share < 0.05


def test_a_decoder_that_loses_half_of_the_data_is_to_blame_for_its_samples(normal):
    flat = model(nn.Identity(), Linear(1.0, kept=2))
    assert levels(flat, normal) == {"samples": "poor", "reconstructions": "poor", "latent fit": "good"}
    found = diagnose(examined(flat, normal))
    assert found.decoded_share > 0.9
    assert [finding.name for finding in found] == ["model too small"]


def test_a_short_budget_is_named_before_the_model(normal):
    flat = model(nn.Identity(), Linear(1.0, kept=2))
    context = EvaluationContext(flat, normal, "quick")
    found = diagnose(Diagnosis(context, steps=1000, usual_steps=6000))
    assert (found[0].name, found[0].change) == ("budget too small", {"steps": 6000})


def test_a_short_budget_is_named_once(normal):
    """The reconstruction term still falls, which says the same again."""
    flat = model(nn.Identity(), Linear(1.0, kept=2))
    history = [{"step": step, "terms": {"reconstruction": 1000.0 - step}} for step in range(0, 1000, 10)]
    found = diagnose(Diagnosis(EvaluationContext(flat, normal, "quick"), history, 1000, usual_steps=6000))
    assert [finding.name for finding in found].count("budget too small") == 1


def test_a_density_of_the_codes_is_advised_where_its_samples_are_nearer():
    """Two clusters: with an exact decoder all of the distance comes from draws of the prior."""
    side = (torch.arange(ROWS) % 2 * 2 - 1.0)[:, None] * torch.tensor([3.0, 0, 0, 0])
    data = plane(points("train", 0.3) + side, points("test", 0.3) + side)
    exact = model(nn.Identity(), nn.Identity())
    means = torch.tensor([[-3.0, 0, 0, 0], [3.0, 0, 0, 0]])
    mixture = MixturePrior(means, 0.3 * torch.eye(4).expand(2, 4, 4), torch.tensor([0.5, 0.5]))
    measured = examined(exact, data, samplers={"gmm": lambda: mixture})
    assert measured.decoded_share < 0.05
    assert measured.fitted[0] == "gmm"
    assert measured.fitted[1] < 0.05 * measured.samples.fd
    assert "draws of the prior unlike codes" in {finding.name for finding in diagnose(measured)}
    assert {"sampler": "gmm"} in [finding.change for finding in diagnose(measured)]
    assert "sampler" not in str([finding.change for finding in diagnose(examined(exact, data))])


class OnePoint(Model):
    """A generator of a single point, with an MMD as its discrepancy."""

    def __init__(self):
        super().__init__()
        self.prior, self.decoder, self.cost = NormalPrior(4), Linear(0.0), pf.SquaredError()
        self.discrepancy = pf.MMD(pf.IMQ(8.0))

    def pair(self, s):
        return s.Gz, s.x

    def formula(self, s):
        return {"discrepancy": self.discrepancy(*self.pair(s))}


def test_advice_names_nothing_that_the_run_is_already(normal):
    """A model with an MMD is not advised to take an MMD."""
    found = {finding.name: finding.advice for finding in diagnose(examined(OnePoint().eval(), normal))}
    assert found["mode collapse"] == "use a larger batch_size"


def test_nothing_is_said_of_samples_on_few_rows():
    few = plane(points("train")[:100], points("test")[:40])
    found = levels(model(nn.Identity(), nn.Identity()), few)
    assert found == {"samples": "unknown", "reconstructions": "good", "latent fit": "good"}


def test_rows_that_are_all_equal_are_named_and_nothing_else_is_said():
    found = diagnose(
        examined(model(nn.Identity(), nn.Identity()), plane(torch.ones(90, 4), torch.ones(80, 4)))
    )
    assert ([finding.words for finding in found], found.grades) == (["all training rows are equal"], ())


def test_quick_features_need_no_labels_and_train_nothing(monkeypatch):
    data = pf.open_dataset("digits")
    monkeypatch.setattr("pushforward.features.open.classifier_of", None)
    features = EvaluationContext(pf.AutoEncoder(NormalPrior(2), nn.Identity(), None), data, "quick").features
    assert (features.name, features(data.test.batch(slice(0, 3)).x).shape) == ("pca", (3, 8))


def test_the_classifier_is_kept_by_the_content_of_the_data(normal):
    renamed = Dataset("another", normal.train, normal.test, in_unit_interval=False)
    assert classifier_folder(renamed) == classifier_folder(normal)
    other = plane(points("other"), points("test"))
    assert classifier_folder(other) != classifier_folder(normal)
