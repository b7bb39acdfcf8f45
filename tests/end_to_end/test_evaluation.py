"""Any model, any data, by one path: what cannot be answered is left out."""

import json
import math
import sys
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from speed import quick
from torch import nn

import pushforward as pf
from pushforward.data import Dataset, Split
from pushforward.discrepancies import Discrepancy
from pushforward.distributions import DeterministicEncoder, NormalPrior
from pushforward.errors import ConfigError
from pushforward.evaluation import METRICS, Diagnosis, EvaluationContext, default_metrics, diagnose, evaluate
from pushforward.evaluation.measurements import measurements
from pushforward.evaluation.symptoms import aggregate_posterior, holes, weight_too_large
from pushforward.features.base import Features
from pushforward.models import Model
from pushforward.networks import mlp
from pushforward.rng import Noise
from pushforward.runs.results import read_results


class Nothing(Discrepancy):
    def forward(self, q, p):
        return (q.mean() - p.mean()).square()


class Sampler(Model):
    """A model without an encoder."""

    def __init__(self, shape):
        super().__init__()
        self.prior, self.decoder, self.discrepancy = NormalPrior(2), mlp(2, shape, [16]), Nothing()
        self.cost = pf.SquaredError()

    def pair(self, s):
        return s.Gz, s.x

    def formula(self, s):
        return {"discrepancy": self.discrepancy(*self.pair(s))}


class Copier(Model):
    """Samples that are the training rows themselves."""

    def __init__(self, data):
        super().__init__()
        self.prior, self.cost, self.discrepancy = NormalPrior(1), pf.SquaredError(), Nothing()
        self.register_buffer("rows", data.train.x)
        self.decoder = self.row

    def row(self, z):
        place = torch.special.ndtr(z[:, 0]) * len(self.rows)
        return self.rows[place.long().clamp_max(len(self.rows) - 1)]

    def pair(self, s):
        return s.Gz, s.x

    def formula(self, s):
        return {"discrepancy": self.discrepancy(*self.pair(s))}


def data(shape, rows=120, labels=False):
    x = torch.rand(2 * rows, *shape)
    y = torch.arange(2 * rows) % 2 if labels else None
    x = x if y is None else x * 0.3 + 0.5 * y.view(-1, *[1] * len(shape))
    halves = [Split(x[part], None if y is None else y[part]) for part in (slice(0, rows), slice(rows, None))]
    return Dataset("toy", *halves, in_unit_interval=True)


def autoencoder(shape, cost=None):
    prior = NormalPrior(2)
    encoder = DeterministicEncoder(mlp(shape, 2, [16]))
    return pf.WAE(prior, mlp(2, shape, [16]), encoder, pf.MMD(pf.IMQ(prior.expected_sq_distance)), cost)


ANYTHING = list(product([(1, 8, 8), (3, 9, 7), (5,), (2, 4, 4), (1,)], [Sampler, autoencoder], [False, True]))
COLOUR_PLANES_AND_A_NUMBER = [
    case
    for case in ANYTHING
    if case[0] == (3, 9, 7) or (case[0], case[2]) in (((2, 4, 4), False), ((1,), True))
]


@pytest.mark.parametrize(("shape", "make", "labels"), quick(ANYTHING, *COLOUR_PLANES_AND_A_NUMBER))
def test_no_encoder_no_image_no_label(shape, make, labels, monkeypatch):
    """Sections follow from what model and data are, and from nothing else."""
    monkeypatch.setattr(sys.modules[METRICS["ais"].compute.__module__], "TEMPERATURES", 3)
    model, given = make(shape).eval(), data(shape, labels=labels)
    result = evaluate(EvaluationContext(model, given), METRICS)
    has_encoder, image = make is autoencoder, len(shape) == 3 and shape[0] in (1, 3)
    expected = {"objective", "samples", "reference", "ais", "parzen"}
    expected |= {"reconstruction", "latent"} if has_encoder else set()
    expected |= {"classes"} if has_encoder and labels else set()
    expected |= {"modes"} if labels else set()
    expected |= {"sharpness"} if image else set()
    assert set(result) == expected | {"n_samples", "range", "features"}
    assert result["features"]["name"] == ("classifier" if labels else "pca")
    assert ("inception_style_score" in result["samples"]) == labels
    assert math.isfinite(result["samples"]["fd"]["value"])
    assert set(result["features"]) >= {"name", "sha256", "resize", "dimensions"}
    assert result["ais"]["observation"].startswith("GaussianLikelihood(std=0.1")


@pytest.mark.parametrize("make", [Sampler, autoencoder])
def test_the_doctor_sees_any_model(make):
    model, given = make((5,)).eval(), data((5,))
    found = diagnose(Diagnosis(EvaluationContext(model, given, n_samples=100), steps=3))
    assert found[0].name == "too few steps"
    assert measurements(Diagnosis(EvaluationContext(model, given, n_samples=100)))


def test_a_perfect_sampler_scores_what_training_rows_score():
    """Samples that are training rows score as training rows do: the train reference and the figures agree."""
    given = data((4,), rows=1000)
    result = evaluate(EvaluationContext(Copier(given).eval(), given, "pixels"), ["samples", "reference"])
    samples, reference = result["samples"], result["reference"]
    assert samples["fd"]["value"] == pytest.approx(reference["fd"]["value"], abs=0.01)
    assert abs(samples["kid"]["value"]) < 4 * samples["kid"]["error"] + 0.01
    for name in ("precision", "recall", "coverage"):
        assert samples[name] > 0.85
    assert samples["c2st"]["accuracy"] == pytest.approx(0.5, abs=0.06)


def test_figures_know_which_is_made():
    """Samples of one point are precise and cover nothing."""
    given = data((3,))
    model = Copier(given)
    model.rows[:] = given.test.x[0].clone()
    samples = evaluate(EvaluationContext(model.eval(), given, "pixels"), ["samples"])["samples"]
    assert samples["precision"] == 1
    assert samples["recall"] < 0.1
    assert samples["coverage"] < 0.1
    assert "c2st" not in samples  # one distinct row cannot be tested


def test_everything_is_made_once():
    """As with the square: a section that is not asked for costs nothing."""
    calls = []

    class Counting(Features):
        name = "counting"

        def forward(self, x):
            calls.append(len(x))
            return x.flatten(1)

    context = EvaluationContext(Sampler((5,)).eval(), data((5,)), Counting())
    evaluate(context, ["objective"])
    assert sum(calls) == 120  # the held-out rows, whose dimensions are in the results
    evaluate(context, ["samples", "samples"])
    assert sum(calls) == 240
    evaluate(context, default_metrics())
    assert sum(calls) == 360


def test_rows_do_not_depend_on_their_number():
    model = Sampler((5,)).eval()
    context = [EvaluationContext(model, data((5,), 600), "pixels", n_samples=rows) for rows in (50, 600)]
    assert torch.equal(context[0].samples.features[:25], context[1].samples.features[:25])
    torch.testing.assert_close(context[0].samples.features, context[1].samples.features[:50])


def test_bad_questions():
    with pytest.raises(ConfigError, match="unknown metrics 'sample': did you mean 'samples'"):
        evaluate(EvaluationContext(Sampler((5,)), data((5,))), ["sample"])
    with pytest.raises(ConfigError, match="n_samples must be at least 2, got 1"):
        EvaluationContext(Sampler((5,)), data((5,)), n_samples=1)


# --------------------------------------------------------------------------------- the run's verbs


def test_what_was_found_before_still_holds(trained):
    """More questions of the same rows add to the file; other features begin it anew."""
    trained.evaluate(features="pixels", metrics=["objective"])
    trained.evaluate(features="pca", metrics=["samples"])
    both = trained.evaluate(features="pca", metrics=["latent"])
    assert both["metrics"] == ["samples", "latent"]
    assert {"samples", "latent"} <= set(both)
    assert json.loads((trained.path / "evaluation.json").read_text()) == both == read_results(trained.path)
    other = trained.evaluate(features="pixels", metrics=["latent"])
    assert other["metrics"] == ["latent"]
    assert "samples" not in other


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"metrics": null}', '{"metrics": [], "features": 3}'])
def test_damaged_results_are_computed_again(text, trained):
    (trained.path / "evaluation.json").write_text(text)
    assert trained.evaluate_once(features="pca", metrics=["objective"])["metrics"] == ["objective"]


def test_results_of_an_older_version_are_computed_again(trained, monkeypatch):
    trained.evaluate(features="pca", metrics=["objective"])
    assert trained.evaluate_once(features="pca", metrics=["objective"]) == read_results(trained.path)
    monkeypatch.setattr("pushforward.runs.results.VERSION", 99)
    assert trained.evaluate_once(features="pca", metrics=["objective"])["version"] == 99


def test_reconstructions_are_not_compared_with_their_own_rows():
    """Perfect reconstructions score what other real rows score, not 0."""
    given = data((4,), rows=1000)
    prior = NormalPrior(4)
    model = pf.AutoEncoder(prior, nn.Identity(), DeterministicEncoder(nn.Identity())).eval()
    result = evaluate(EvaluationContext(model, given, "pixels"), ["reconstruction", "reference"])
    assert result["reconstruction"]["squared_error"]["value"] == 0
    back, reference = (result[name]["fd"]["value"] for name in ("reconstruction", "reference"))
    assert 0.3 * reference < back < 5 * reference
    kid = result["reconstruction"]["kid"]
    assert abs(kid["value"]) < 4 * kid["error"] + 0.002


def test_likelihood_and_parzen_on_demand(tmp_path):
    run = pf.train("vae", "digits", out=tmp_path / "run", latent_dim=2, steps=100, progress=False)
    found = run.evaluate(features="pixels", metrics=["objective", "likelihood", "parzen"])
    bound = found["likelihood"]["log_likelihood"]["value"]
    assert found["likelihood"]["n_samples"] == 359
    assert found["likelihood"]["observation"] == found["objective"]["observation"] == "Bernoulli()"
    assert bound > -found["objective"]["negative_elbo"]  # more importance samples, a tighter bound
    assert set(found["parzen"]) == {"samples", "training rows", "centroids"}
    rows, centroids = (found["parzen"][name]["mean"] for name in ("training rows", "centroids"))
    assert centroids != rows  # they are of more training rows than those they stand next to


@pytest.mark.parametrize("recipe", ["avb", "vae"])
def test_a_critic_s_estimate_is_next_to_the_bound(recipe, tmp_path):
    """AVB's importance-weighted bound comes with its critic's estimate, which is never called a bound."""
    run = pf.train(recipe, "digits", out=tmp_path / "run", latent_dim=2, steps=20, progress=False)
    found = run.evaluate(features="pixels", metrics=["objective", "likelihood"])
    terms = found["objective"]["terms"]
    assert math.isfinite(found["likelihood"]["log_likelihood"]["value"])
    assert ("critic_elbo" in found["likelihood"]) == (recipe == "avb")
    assert ("negative_elbo" in found["objective"]) == (recipe == "vae")
    if recipe == "avb":
        assert set(terms) == {"reconstruction", "discrepancy", "contrast"}
        assert found["likelihood"]["critic_elbo"] == pytest.approx(-sum(terms.values()))


def test_conditional_models_have_no_likelihood(tmp_path):
    """p(x | y) is no p(x): conditional models leave out these metrics, without a message."""
    run = pf.train("vae", "digits", out=tmp_path / "run", conditional=True, steps=2, progress=False)
    found = run.evaluate(features="pixels", metrics=["objective", "likelihood", "ais"])
    assert {"likelihood", "ais"}.isdisjoint(found)
    assert "objective" in found


def test_modules_of_ones_own_as_features(trained):
    found = trained.evaluate(features=nn.Flatten(), metrics=["samples"])
    assert found["features"]["name"] == "Flatten"
    assert found["features"]["dimensions"] == 64


def test_modules_of_one_name_are_not_mixed(trained):
    trained.evaluate(features=nn.AvgPool2d(2), metrics=["samples"])
    other = trained.evaluate(features=nn.AvgPool2d(4), metrics=["objective"])
    assert "samples" not in other


def test_verbs_on_the_command_line(trained, figures, command):
    printed = figures("evaluate", trained.path, "--features", "pca", "--metrics", "samples", "latent")
    assert printed["metrics"] == ["samples", "latent"]
    found = figures("doctor", trained.path)
    assert [grade["level"] for grade in found["grades"]] == ["fair", "fair", "good"]
    assert found["findings"][0]["name"] == "too few steps"
    code, out, _ = command("doctor", trained.path)
    assert code == 0
    lines = [line.split("  ")[0] for line in out.splitlines()]
    assert lines[:5] == ["samples", "reconstructions", "latent fit", "cause", "try next"]
    assert lines[5].startswith("compared with 359 held-out rows by pca features")
    assert f"\ntry next         pushforward resume {trained.path} --steps 5842\n" in out
    assert figures("report", trained.path, "--features", "pca")["file"].endswith("report.html")
    code, out, _ = command("report", trained.path, "--features", "pca")
    assert out == f"report of {trained.path}: {trained.path / 'report.html'}\n"
    about = figures("classifier", "digits")
    assert about["accuracy"] > 0.95
    assert len(about["sha256"]) == 64
    code, _, err = command("evaluate", trained.path, "--features", "pac")
    assert code == 78
    assert err.endswith("a module\n")


def test_traversals_change_one_dimension(trained):
    x = trained.data.test.batch(slice(0, 1)).x
    traversals, dimensions = trained.traverse(x, dimensions=3, steps=5)
    assert traversals.shape == (3, 5, 1, 8, 8)
    assert len(set(dimensions)) == 3
    code = trained.encode(x)
    first = dimensions[0]
    draws = trained.model.prior(10_000).rsample(Noise(0, "traverse"))
    code[0, first] = draws[:, first].quantile(0.001)
    torch.testing.assert_close(trained.decode(code)[0], traversals[0, 0])


def test_what_is_said_at_the_end_of_training(command, figures, tmp_path):
    """Nothing, a summary that writes nothing and trains nothing, or all metrics and the summary."""
    words = ("train", "ae", "digits", "--latent-dim", 2, "--steps", 2, "--out", tmp_path / "run")
    code, out, err = command(*words, "--evaluate", "none")
    assert (code, out.splitlines()[0].split(":")[0]) == (0, "run")
    assert "2 steps are a small budget, this recipe takes 5842 by itself" in err
    code, out, _ = command(*words)
    assert [line.split()[0] for line in out.splitlines()[:3]] == ["samples", "reconstructions", "latent"]
    assert not (tmp_path / "run" / "evaluation.json").exists()
    found = figures(*words, "--evaluate", "full")
    assert {"samples", "grades", "findings", "overview"} <= found.keys()
    assert (tmp_path / "run" / "evaluation.json").exists()


def test_rows_that_are_all_equal_do_not_fail_a_trained_run(command, tmp_path):
    np.save(tmp_path / "ones.npy", np.ones((60, 3), dtype=np.float32))
    code, out, _ = command("train", "vae", tmp_path / "ones.npy", "--steps", 2, "--out", tmp_path / "run")
    assert code == 0
    assert "all training rows are equal" in out
    assert "run: " in out


def test_no_weight_is_blamed_that_the_recipe_takes_by_itself(trained):
    """18.8 of the settings is 18.799999 in the 32 bits of the model."""
    measured = trained.diagnosis()
    assert measured.usual_weight == trained.config["resolved"]["weight"]
    measured.linear_error = 0.0  # so that any error is large beside it
    assert weight_too_large(measured) is None
    measured.usual_weight = 0.1 * measured.usual_weight
    assert weight_too_large(measured) is not None


@pytest.mark.parametrize(
    ("gap", "usual", "named"),
    [
        (0.84, 1880.0, "weight too small"),
        (0.84, 20.0, "holes"),
        (0.84, math.inf, "holes"),
        (0.1, 1880.0, "holes"),
    ],
    ids=["far below the usual", "near the usual", "the usual is not known", "moments agree"],
)
def test_holes_that_a_low_weight_leaves_are_blamed_on_it(trained, gap, usual, named):
    """Also where MMD² is below the threshold from which it is blamed in any case."""
    measured = trained.diagnosis()
    measured.fit = replace(
        measured.fit, mmd=0.08, mean=0.1, covariance=gap, prior_coverage=0.6, prior_coverage_reference=0.97
    )
    measured.usual_weight = usual
    (found,) = filter(None, (symptom(measured) for symptom in (aggregate_posterior, holes)))
    assert found.name == named
    if named == "weight too small":
        assert found.change == {"weight": usual}
    else:
        assert ("agree within 0.1" in found.words) == (gap == 0.1)
        assert ("MMD² is 0.08" in found.words) == (gap > 0.3)
