"""Runs that are broken on purpose are named for what they are, with numbers; healthy ones are left alone.

Rates over many longer runs are measured by ``benchmarks/doctor.py``; here each symptom is produced once.
"""

import pytest

import pushforward as pf
from benchmarks.doctor import BROKEN, HEALTHY
from pushforward.evaluation import Diagnosis, EvaluationContext, diagnose
from pushforward.evaluation.shortfalls import SHORTFALLS
from pushforward.evaluation.symptoms import SYMPTOMS
from pushforward.recipes import wae_mmd
from pushforward.runs.run import Run

ONE_OF_EACH = {wanted: (name, case) for wanted, name, case in reversed(BROKEN)}


@pytest.mark.slow
@pytest.mark.parametrize("wanted", ONE_OF_EACH)
def test_broken_on_purpose(wanted, tmp_path):
    """The first reason is the one that was planted; it has a number and something to try."""
    name, case = ONE_OF_EACH[wanted]
    finding = case(tmp_path / "run", 500, 0).findings[0]
    assert finding.name == wanted, name
    assert any(character.isdigit() for character in finding.words)
    assert finding.advice
    assert finding.numbers


@pytest.mark.slow
@pytest.mark.parametrize("index", [0, 3])
def test_healthy_runs_are_left_alone(index, tmp_path):
    """Of a run with a seventh of the recipe's steps whose samples are blurred, that is said first."""
    _, case, seed = HEALTHY[index]
    found = case(tmp_path / "run", 800, seed)
    assert found.level in ("good", "fair")
    assert [finding.name for finding in found.findings[:1]] == ["too few steps"] * (found.level == "fair")


def test_every_symptom_is_broken_on_purpose():
    symptoms = {symptom.__name__.replace("_", " ") for symptom in SYMPTOMS if symptom not in SHORTFALLS}
    symptoms -= {"aggregate posterior"}
    symptoms |= {
        "weight too small",
        "aggregate posterior does not match the prior",
    }  # both are codes that are off
    assert set(ONE_OF_EACH) == symptoms
    assert len(HEALTHY) == 20


def test_of_a_run_of_few_steps_nothing_is_said_about_codes(digits):
    context = EvaluationContext(wae_mmd(digits.spec).model.eval(), digits, "pca", n_samples=100)
    (finding,) = diagnose(Diagnosis(context, steps=20))
    assert (finding.name, finding.conclusive) == ("too few steps", True)
    assert len(diagnose(Diagnosis(context, steps=2000))) > 0
    assert diagnose(Diagnosis(context, steps=2000))[0].name != "too few steps"


def test_a_run_whose_folder_is_gone_is_still_examined(digits, tmp_path, trained):
    """As it is still evaluated, with a warning."""
    run = Run(tmp_path / "gone", trained.config, trained.model, digits, trained.step)
    with pytest.warns(UserWarning, match="gone is no longer there; nothing is said about the course of"):
        found = run.doctor()
    assert [grade.name for grade in found.grades] == ["samples", "reconstructions", "latent fit"]


def test_options_of_the_players_that_a_run_has_changed_are_known(tmp_path):
    run = pf.train("gan", "ring", out=tmp_path / "run", steps=1, critic_lr=0.1, lr=1e-3, progress=False)
    assert run.diagnosis().changed == {"critic_lr": 1e-3}
    assert pf.train("vae", "ring", out=tmp_path / "vae", steps=1, progress=False).diagnosis().changed == {}
