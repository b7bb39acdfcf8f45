"""Grades and causes follow from what a model does, on models whose quality is known."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import pushforward as pf
from pushforward.data import Dataset, Split
from pushforward.distributions import DeterministicEncoder, GaussianEncoder, MixturePrior, NormalPrior
from pushforward.evaluation import Diagnosis, EvaluationContext, diagnose
from pushforward.evaluation.column_fit import ColumnFit
from pushforward.evaluation.context import FeatureSet
from pushforward.evaluation.fluency import Fluency
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
    given, dim = context.show(images.__getitem__, ""), context.show((images / 2).__getitem__, "")
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
    assert (found[0].name, found[0].change) == ("too few steps", {"steps": 6000})


def test_a_short_budget_is_named_once(normal):
    """The reconstruction term still falls, which says the same again."""
    flat = model(nn.Identity(), Linear(1.0, kept=2))
    history = [{"step": step, "terms": {"reconstruction": 1000.0 - step}} for step in range(0, 1000, 10)]
    found = diagnose(Diagnosis(EvaluationContext(flat, normal, "quick"), history, 1000, usual_steps=6000))
    assert [finding.name for finding in found].count("too few steps") == 1


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


class Nothing(nn.Module):
    """Mean 0 and standard deviation 1 of every code, whatever the row."""

    def forward(self, x):
        return torch.zeros(len(x), 8)


def test_codes_that_match_the_prior_and_say_nothing_are_no_good_fit(normal):
    """Under collapse Q(Z | x) = P_Z for every x, so that the MMD of codes to the prior is 0."""
    made = pf.AutoEncoder(NormalPrior(4), nn.Identity(), GaussianEncoder(Nothing())).eval()
    fit = next(grade for grade in grades(examined(made, normal)) if grade.name == "latent fit")
    assert fit.level == "poor"
    assert fit.words.startswith("0 of 4 dimensions carry information about the row; MMD² of codes")
    assert diagnose(examined(made, normal))[0].name == "posterior collapse"


class Plane(nn.Module):
    """Two numbers as the means of four values, and back."""

    def forward(self, x):
        return x.unflatten(1, (2, 2)).mean(1) if x.shape[1] == 4 else x.repeat(1, 2)


def test_reconstructions_have_the_noise_that_samples_have():
    """x = (s, s) + e: means of a learnt likelihood lack e, and a classifier would tell them from data."""
    train, test = (
        Noise(0, name).normal(ROWS, 2).repeat(1, 2) + 0.3 * Noise(1, name).normal(ROWS, 4)
        for name in ("train", "test")
    )
    cost = pf.GaussianLikelihood(learnt=True, std=0.3)
    made = pf.AutoEncoder(NormalPrior(2), Plane(), DeterministicEncoder(Plane()), cost=cost).eval()
    measured = examined(made, plane(train, test))
    assert measured.reconstructions.accuracy < 0.6
    # The error stays that of means: of four values with noise of variance .09, half of it is in the code.
    assert measured.error == pytest.approx(4 * 0.09 / 2, rel=0.1)


def test_where_all_is_good_the_summary_says_how_to_go_on(normal):
    found = diagnose(examined(model(nn.Identity(), nn.Identity()), normal))
    assert [grade.level for grade in found.grades] == ["good"] * 3
    assert list(found.table())[-1] == (
        "try next", "draw samples, or compare it with another recipe on the same data"
    )  # fmt: skip


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


# ------------------------------------------------------------------------- critics, modes and lines


class Sampler(Model):
    """A generator that multiplies draws of the prior, and a critic of samples and data."""

    def __init__(self, factor, discrepancy):
        super().__init__()
        self.prior, self.decoder, self.cost = NormalPrior(4), Linear(factor), pf.SquaredError()
        self.discrepancy = discrepancy

    def pair(self, s):
        return s.Gz, s.x

    def formula(self, s):
        return {"discrepancy": self.discrepancy(*self.pair(s))}


class Norm(nn.Module):
    """A critic that is above ``level`` for rows of a norm above 1, and below it otherwise; or the reverse."""

    def __init__(self, level=0.0, sign=1.0):
        super().__init__()
        self.level, self.sign = level, sign
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return self.level + self.sign * (x.norm(dim=1, keepdim=True) - 1) + self.weight


@pytest.mark.parametrize(
    "make",
    [
        lambda n: pf.JensenShannon(Norm(), n_critic=n),
        lambda n: pf.LeastSquares(Norm(0.5), n_critic=n),
        lambda n: pf.LeastSquares(Norm(0.0), (-1.0, 1.0, 0.0), n_critic=n),
        lambda n: pf.Hinge(Norm(), n_critic=n),
        lambda n: pf.FDivergence(Norm(1.0), "kl", n_critic=n),
    ],
)
@pytest.mark.parametrize("updates", [1, 3])
def test_a_critic_that_wins_is_named_before_the_budget(normal, make, updates):
    """Samples of norm about 0.2 next to data of norm about 2."""
    found = diagnose(examined(Sampler(0.1, make(updates)).eval(), normal))[0]
    assert found.name == "critic saturated"
    assert found.numbers["accuracy"] > 0.95
    assert f"with {updates} update" in found.words
    assert found.advice.startswith(
        f"hold the critic back: {'set n_critic=1' if updates > 1 else 'lower critic_lr'}, or take a critic "
        "whose"
    )
    assert "gradient penalty (recipe wgan-gp)" in found.advice


def test_what_is_advised_against_a_critic_that_wins_follows_from_the_run(normal):
    """Settings that the run changed are named first; early in training the recipe's own are not blamed."""
    context = EvaluationContext(Sampler(0.1, pf.JensenShannon(Norm())).eval(), normal, "quick")
    own = {"critic_lr": 5e-4, "n_critic": 1}
    early = diagnose(Diagnosis(context, steps=600, usual_steps=6000, changed=own))[0]
    assert early.advice.endswith(
        "the recipe's own balance of critic and generator: critic_lr=0.0005 and n_critic=1"
    )
    assert early.change == own
    plain = diagnose(Diagnosis(context, steps=600, usual_steps=6000))[0]
    assert (plain.name, plain.change) == ("critic saturated", {"steps": 6000})
    assert "early in training that is usual, and the run has had 600 of the 6000 steps" in plain.words


def test_a_critic_that_does_not_win_or_cannot_is_not_named(normal):
    good = Sampler(1.0, pf.JensenShannon(Norm()))
    unbounded = Sampler(0.1, pf.Wasserstein(Norm()))
    mistaken = Sampler(0.1, pf.JensenShannon(Norm(sign=-1.0)))
    for made in (good, unbounded, mistaken):
        found = diagnose(Diagnosis(EvaluationContext(made.eval(), normal, "quick"), steps=6000))
        assert "critic saturated" not in {finding.name for finding in found}


def test_a_critic_with_batch_norm_is_seen_as_in_training(normal):
    """Its running statistics may be those of neither sample; they stay what they were."""
    norm = nn.BatchNorm1d(4, affine=False)
    norm.running_mean.fill_(100.0)
    critic = nn.Sequential(norm, Norm())
    critic[1].level = 0.5  # normalised rows have norms of about 2
    measured = Diagnosis(EvaluationContext(Sampler(0.1, pf.JensenShannon(critic)).eval(), normal, "quick"))
    assert measured.critic < 0.6  # each batch is normalised: both samples look alike
    assert (norm.training, norm.track_running_stats, norm.running_mean[0].item()) == (False, True, 100.0)


@pytest.mark.parametrize(
    ("kept", "near", "level", "words"),
    [
        (8, 1.0, "good", "8 of 8 modes covered, 98% of samples near one"),
        (7, 1.0, "fair", "7 of 8 modes covered"),
        (4, 1.0, "poor", "4 of 8 modes covered"),
        (8, 5.0, "poor", "8 of 8 modes covered"),
    ],
)
def test_modes_that_are_known_are_graded(kept, near, level, words):
    ring = pf.open_dataset("ring")
    measured = Diagnosis(EvaluationContext(Drawn(ring, kept, near).eval(), ring, "quick", 400), steps=6000)
    grade = grades(measured)[0]
    assert (grade.level, grade.words[: len(words)]) == (level, words)
    collapsed = [finding for finding in diagnose(measured) if finding.name == "mode collapse"]
    assert [finding.words for finding in collapsed if "of the 8 modes" in finding.words] == (
        ["samples have 4 of the 8 modes of the data"] if kept == 4 else []
    )


class Drawn(OnePoint):
    """Draws of the first modes of a ring, with a multiple of their standard deviation."""

    def __init__(self, ring, kept, near):
        super().__init__()
        self.ring, self.kept, self.near = ring.modes, kept, near

    def sample(self, n, noise, y=None, prior=None):
        places = torch.arange(n) % self.kept
        return self.ring.points[places].float() + self.near * self.ring.std * noise.normal(n, 2)


class Spoken(Model):
    """Lines that are given, one after the other, whatever the code."""

    def __init__(self, lines):
        super().__init__()
        self.prior, self.decoder, self.cost, self.lines = (
            NormalPrior(4),
            Linear(1.0),
            pf.SquaredError(),
            lines,
        )
        self.discrepancy = None

    def sample(self, n, noise, y=None, prior=None):
        return self.lines[:n]

    def pair(self, s):
        raise AssertionError

    def formula(self, s):
        raise AssertionError


@pytest.fixture(scope="module")
def phrases():
    data = pf.open_dataset("phrases")
    order = Noise(0, "lines").permutation(len(data.train))
    half, rest = (Split(data.train.x[rows], data.train.y[rows]) for rows in (order[:1600], order[1600:3200]))
    return replace(data, train=half, test=rest), data.test.x


def spoken(lines, data):
    return Fluency.of(EvaluationContext(Spoken(lines).eval(), data, "quick"))


def test_lines_are_read_by_a_language_model_of_training_lines(phrases):
    """New lines of the same grammar are expected, lines with swapped words are not, copies are counted."""
    data, new = phrases
    good = spoken(new, data)
    assert good.ratio == pytest.approx(1, abs=0.1)
    assert (good.copied, good.expected_copies) == (0, 0)
    swapped = new.clone()
    swapped[:, [1, 3]] = new[:, [3, 1]]
    assert spoken(swapped, data).ratio > 4
    learnt = spoken(data.train.x, data)
    assert learnt.copied == 1
    assert learnt.excess_copies == pytest.approx(1, abs=0.02)
    assert ", 100% are training lines word for word (" in learnt.words
    both = spoken(torch.stack([data.train.x[:300], data.test.x[:300]], 1).flatten(0, 1), data)
    assert both.excess_copies == pytest.approx(0, abs=0.05)
    assert spoken(new, pf.open_dataset("digits")) is None


@pytest.mark.parametrize(
    ("ratio", "copied", "level"),
    [(1.0, 0.05, "good"), (2.0, 0.0, "fair"), (9.0, 0.0, "poor"), (1.0, 0.2, "fair"), (0.2, 0.9, "poor")],
)
def test_samples_of_text_are_graded_by_language_and_copies(ratio, copied, level, normal):
    measured = examined(model(nn.Identity(), nn.Identity()), normal)
    measured.fluency = Fluency(ratio * 7, 7.0, copied, 0.0)
    assert grades(measured)[0].level == level
    assert grades(measured)[0].words.startswith(f"n-gram perplexity {7 * ratio:.3g} (of held-out lines 7), ")
    named = {finding.name for finding in diagnose(measured)}
    assert ("copies of training lines" in named) == (copied > 0.1)


@pytest.mark.parametrize(
    ("distance", "auc", "level"),
    [
        (0.02, 0.56, "good"),
        (0.06, 0.56, "fair"),
        (0.02, 0.8, "fair"),
        (0.2, 0.56, "poor"),
        (0.02, 0.9, "poor"),
    ],
)
def test_samples_of_tables_are_graded_by_columns_and_rows(distance, auc, level, normal):
    measured = examined(model(nn.Identity(), nn.Identity()), normal)
    measured.columns = ColumnFit(distance, 0.01, "height", 0.3, auc)
    assert grades(measured)[0].level == level
    assert (
        f"'height' 0.300; gradient boosting tells samples from data with AUC {auc:.2f}"
        in grades(measured)[0].words
    )


def test_of_few_held_out_rows_samples_are_compared_and_reconstructions_are_not(normal):
    """Reconstructions of one half are compared with the other half, which has to have 50 rows too."""
    few = plane(normal.train.x, normal.test.x[:57])
    graded = {grade.name: grade for grade in grades(examined(model(Linear(1.0), Linear(1.0)), few))}
    assert graded["samples"].level == "good"
    assert "precision" in graded["samples"].words
    assert graded["reconstructions"].words == (
        "0% of the error of always answering the mean row; halves of 57 held-out rows are too few to compare "
        "distributions"
    )
