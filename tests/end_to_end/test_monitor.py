"""A run that goes wrong says so while it can still be stopped."""

import shutil
from types import SimpleNamespace

import pytest
import torch
from speed import quick

import pushforward as pf
from pushforward.distributions import NormalPrior
from pushforward.rng import Noise
from pushforward.training.monitor import LOOKS, WARM_UP, CodesMonitor, SamplesMonitor


def codes(made, n=200, latent_dim=3):
    given = torch.randn(n, latent_dim, generator=torch.Generator().manual_seed(1))
    return SimpleNamespace(eval_codes=made, fresh_prior=given)


def draws(n=200, latent_dim=3):
    return torch.randn(n, latent_dim, generator=torch.Generator().manual_seed(0))


def looks(health, diagnostics, done, count=LOOKS):
    """The warnings of so many looks in a row with these diagnostics."""
    return [text() for _ in range(count) for text in health.warnings(diagnostics, done)]


def test_healthy_codes_draw_no_warning():
    health = CodesMonitor(NormalPrior(3), batch_size=200)
    diagnostics = health.diagnostics(codes(draws()))
    assert 0.8 < diagnostics["std"] < 1.2
    assert abs(diagnostics["mmd"]) < 0.05
    assert looks(health, diagnostics, done=1.0) == []


def test_a_collapsed_code_is_seen_early_and_said_once():
    health = CodesMonitor(NormalPrior(3), batch_size=200)
    diagnostics = health.diagnostics(codes(draws() * torch.tensor([1.0, 1.0, 0.01])))
    assert looks(health, diagnostics, done=0.9 * WARM_UP) == []
    assert looks(health, diagnostics, WARM_UP, LOOKS - 1) == []
    (warning,) = health.warnings(diagnostics, WARM_UP)
    assert "the code has collapsed: its smallest standard deviation is 0.0" in warning()
    assert health.persistence.given
    assert looks(health, diagnostics, done=0.5) == []


def test_a_warning_needs_looks_in_a_row():
    """One healthy look starts the count again."""
    health = SamplesMonitor(batch_size=200)
    for _ in range(3):
        assert looks(health, {"spread": 0.01}, 0.5, LOOKS - 1) == []
        assert health.warnings({"spread": 0.9}, 0.5) == []
    (warning,) = looks(health, {"spread": 0.01}, 0.5)
    assert "samples have collapsed: their spread is 0.01 of the data's" in warning


def test_collapse_is_measured_against_the_prior():
    assert CodesMonitor(NormalPrior(3, std=0.05), batch_size=200).scale == 0.05
    health = CodesMonitor(NormalPrior(3, std=0.05), batch_size=200)
    warnings = looks(health, health.diagnostics(codes(0.05 * draws())), done=0.5)
    assert not any("collapsed" in text for text in warnings)


def test_codes_far_from_the_prior_are_warned_about_once_they_had_time():
    health = CodesMonitor(NormalPrior(3), batch_size=200)
    diagnostics = health.diagnostics(codes(draws() + 3))
    assert looks(health, diagnostics, done=0.1) == []
    (warning,) = looks(health, diagnostics, done=0.5)
    assert "the aggregate posterior does not match the prior: MMD² is" in warning


def test_the_progress_line_shows_the_diagnostics_and_the_warning(tmp_path, capsys):
    run = pf.train("wae-mmd", "digits", out=tmp_path / "run", steps=60, weight=0.0, prior_std=10.0)
    printed = capsys.readouterr().err
    assert "std" in printed
    assert "mmd" in printed
    assert "warning, step" in printed
    assert "the aggregate posterior does not match the prior" in printed
    assert any("warnings" in line for line in run.history)


@pytest.mark.parametrize("recipe", quick(["wae-mmd", "ae", "gan"], "wae-mmd"))
def test_a_short_run_is_not_warned_about(recipe, tmp_path):
    """At its first steps every run has codes and samples of little spread; and an ae promises no prior."""
    run = pf.train(recipe, "digits", out=tmp_path / "run", steps=60, progress=False)
    assert not any("warnings" in line for line in run.history)


def test_a_resumed_run_has_the_same_warnings(tmp_path):
    """What was seen is read from the history."""
    arguments = {"steps": 60, "weight": 0.0, "prior_std": 10.0, "progress": False}
    whole = pf.train("wae-mmd", "digits", out=tmp_path / "whole", **arguments)
    pf.train("wae-mmd", "digits", out=tmp_path / "part", **arguments)
    for folder in sorted((tmp_path / "part" / "checkpoints").iterdir())[-1:]:
        shutil.rmtree(folder)
    assert pf.resume(tmp_path / "part", progress=False).history == whole.history
    assert any("warnings" in line for line in whole.history)


@pytest.mark.parametrize("batch", quick([2, 4, 8, 12, 50], 4))
@pytest.mark.parametrize("latent", quick([2, 8, 64], 8))
def test_perfect_codes_in_small_batches_are_not_called_ill(batch, latent):
    health = CodesMonitor(NormalPrior(latent), batch)
    for seed in range(200):
        noise = Noise(seed)
        made = SimpleNamespace(
            eval_codes=noise("made").normal(batch, latent), fresh_prior=noise("given").normal(batch, latent)
        )
        diagnostics = health.diagnostics(made)
        assert looks(health, diagnostics, done=1.0) == []
