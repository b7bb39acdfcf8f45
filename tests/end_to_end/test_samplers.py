"""Samples from densities fitted to codes: by name, kept in the run folder, evaluated apart from the prior."""

import json
import sys

import numpy as np
import pytest
import torch

import pushforward as pf
import pushforward.runs.latent_samplers as samplers
from pushforward.errors import ConfigError
from pushforward.evaluation import EvaluationContext
from pushforward.rng import Noise
from pushforward.runs.directory import OURS
from pushforward.runs.latent_samplers import SAMPLERS, draw_codes
from pushforward.runs.results import evaluation_key, holds, read_results, results_name


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "ae-digits"
    return pf.train("ae", "digits", out=folder, steps=60, progress=False)


@pytest.fixture
def brief(monkeypatch):
    """Flows that learn for a moment."""
    monkeypatch.setattr(samplers, "STEPS", 30)
    monkeypatch.setattr(samplers, "EVERY", 10)


def frechet(results):
    return results["samples"]["fd"]["value"], results["samples"]["fd"]["error"]


@pytest.mark.slow
def test_an_auto_encoder_can_be_sampled_from(tmp_path):
    """The claim: draws from where codes are come to less than a third of the prior's distance."""
    learnt = pf.train("ae", "digits", out=tmp_path / "ae-digits", steps=1500, progress=False)
    prior, mixture, flow = (
        frechet(learnt.evaluate(sampler=name, metrics=["samples"])) for name in ("prior", "gmm", "flow")
    )
    for value, error in (mixture, flow):
        assert value + 4 * error < (prior[0] - 4 * prior[1]) / 3


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_is_a_function_of_the_run(name, plain, brief):
    """Fitted once, kept, and the same when it is fitted again; the seed of the draws is another matter."""
    folder = plain.path / "samplers"
    for file in folder.glob("*"):
        file.unlink()
    drawn = plain.sample(600, sampler=name)
    assert drawn.shape == (600, 1, 8, 8)
    torch.testing.assert_close(plain.sample(10, sampler=name), drawn[:10])
    assert not torch.equal(plain.sample(10, seed=1, sampler=name), drawn[:10])
    kept = sorted(folder.iterdir())
    assert [file.name for file in kept] == [f"{name}-60.json", f"{name}-60.safetensors"]
    before = [file.read_bytes() for file in kept]
    times = [file.stat().st_mtime_ns for file in kept]
    assert torch.equal(pf.load(plain.path).sample(600, sampler=name), drawn)
    assert [file.stat().st_mtime_ns for file in kept] == times
    kept[1].write_bytes(b"damaged")
    with pytest.warns(UserWarning, match="fitting it again"):
        assert torch.equal(plain.sample(600, sampler=name), drawn)
    assert [file.read_bytes() for file in kept] == before


def test_another_step_is_another_sampler(plain):
    plain.sample(1, sampler="gmm")
    config = {**plain.config, "seed": 5}
    other = pf.Run(plain.path, config, plain.model, plain.data, plain.step)
    with_other_seed = other.sampler("gmm")
    assert not torch.equal(with_other_seed.means, plain.sampler("gmm").means)


def test_results_of_samplers_are_kept_apart(plain):
    """The prior's results are in their own file, and a kept one answers for its own sampler only."""
    mine = plain.evaluate(features="pca", metrics=["samples"])
    other = plain.evaluate(features="pca", metrics=["samples"], sampler="gmm")
    assert (mine["sampler"], other["sampler"]) == ("prior", "gmm")
    assert read_results(plain.path) == mine == json.loads((plain.path / "evaluation.json").read_text())
    assert read_results(plain.path, "gmm") == other
    assert mine["samples"] != other["samples"]
    asked = [evaluation_key(plain.step, 0, 10_000, "pca", name) for name in ("prior", "gmm")]
    assert [[holds(kept, one, ["samples"]) for one in asked] for kept in (mine, other)] == [
        [True, False],
        [False, True],
    ]
    assert plain.evaluate_once(features="pca", metrics=["samples"]) == mine


def test_all_that_is_written_may_be_removed():
    assert {"samplers", *(results_name(name) for name in ("prior", *SAMPLERS))} <= set(OURS)


def test_evaluation_decodes_the_sampler(plain):
    """Samples come from the chosen sampler; codes and their metrics do not change."""
    fitted = plain.sampler("gmm")
    ours, theirs = (
        EvaluationContext(plain.model, plain.data, "pixels", 100, prior=distribution)
        for distribution in (None, fitted)
    )
    assert torch.equal(ours.encoded.codes, theirs.encoded.codes)
    assert not torch.equal(ours.samples.features, theirs.samples.features)
    direct = plain.model.sample(100, theirs.noise("samples"), prior=fitted)
    torch.testing.assert_close(theirs.samples.features, direct.flatten(1))


def test_codes_are_drawn_in_evaluation_mode_from_training_rows(trained, monkeypatch):
    trained.model.train()
    codes = draw_codes(trained.model, trained.data.train, Noise(0))
    assert trained.model.training
    trained.model.eval()
    assert torch.equal(codes, draw_codes(trained.model, trained.data.train, Noise(0)))
    assert codes.shape == (len(trained.data.train), 4)
    monkeypatch.setattr(samplers, "ROWS", 40)
    assert torch.equal(draw_codes(trained.model, trained.data.train, Noise(0)), codes[:40])


@pytest.mark.parametrize("name", SAMPLERS)
def test_on_the_command_line(name, plain, figures, command, brief):
    made = figures("sample", plain.path, "--n", 5, "--sampler", name)
    assert made["file"] == str(plain.path / f"samples-{name}.png")
    out = plain.path / "drawn.npy"
    figures("sample", plain.path, "--n", 5, "--sampler", name, "--out", out)
    assert np.array_equal(np.load(out), plain.sample(5, sampler=name).numpy())
    printed = figures("evaluate", plain.path, "--features", "pca", "--metrics", "samples", "--sampler", name)
    assert printed["sampler"] == name
    words = ("evaluate", plain.path, "--features", "pca", "--metrics", "samples")
    assert f"samples decoded from a {name} fitted to training codes" in command(*words, "--sampler", name)[1]
    assert "fitted to training codes" not in command(*words)[1]


def test_bad_samplers(plain, command, monkeypatch):
    with pytest.raises(ConfigError, match="unknown sampler 'gmmm': did you mean 'gmm'"):
        plain.sample(sampler="gmmm")
    with pytest.raises(ConfigError, match="unknown sampler 3: known: flow, gmm, prior"):
        plain.sample(sampler=3)
    code, _, err = command("sample", plain.path, "--sampler", "flaw")
    assert code == 78
    assert err == "error: unknown sampler 'flaw': did you mean 'flow'? known: flow, gmm, prior\n"
    monkeypatch.setattr(type(plain.model), "has_encoder", False)
    with pytest.raises(ConfigError, match="ae has no encoder: there are no codes to fit a gmm to"):
        plain.evaluate(sampler="gmm")


def test_without_zuko(plain, command, monkeypatch):
    monkeypatch.setitem(sys.modules, "zuko", None)
    for file in (plain.path / "samplers").glob("flow*"):
        file.unlink()
    code, _, err = command("sample", plain.path, "--sampler", "flow")
    assert code == 78
    assert "a flow needs zuko (pip install 'pushforward[flows]')" in err
