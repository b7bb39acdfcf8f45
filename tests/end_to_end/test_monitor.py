"""A run that goes wrong says so while it can still be stopped."""

from types import SimpleNamespace

import pytest
import torch
from speed import quick

import pushforward as pf
from pushforward.distributions import NormalPrior
from pushforward.rng import Noise
from pushforward.training.monitor import CodesMonitor


def codes(made, n=200, latent_dim=3):
    given = torch.randn(n, latent_dim, generator=torch.Generator().manual_seed(1))
    return SimpleNamespace(eval_codes=made, fresh_prior=given)


def draws(n=200, latent_dim=3):
    return torch.randn(n, latent_dim, generator=torch.Generator().manual_seed(0))


def test_healthy_codes_draw_no_warning():
    health = CodesMonitor(NormalPrior(3), batch_size=200)
    diagnostics = health.diagnostics(codes(draws()))
    assert 0.8 < diagnostics["std"] < 1.2
    assert abs(diagnostics["mmd"]) < 0.05
    assert health.warnings(diagnostics, done=1.0) == []


def test_a_collapsed_code_is_seen_early_and_said_once():
    health = CodesMonitor(NormalPrior(3), batch_size=200)
    diagnostics = health.diagnostics(codes(draws() * torch.tensor([1.0, 1.0, 0.01])))
    assert health.warnings(diagnostics, done=0.01) == []  # running statistics are not to be trusted yet
    (warning,) = health.warnings(diagnostics, done=0.05)
    assert "the code has collapsed: its smallest standard deviation is 0.0" in warning
    assert "collapsed" in health.warned
    assert not any("collapsed" in text for text in health.warnings(diagnostics, done=0.5))


def test_collapse_is_measured_against_the_prior():
    assert CodesMonitor(NormalPrior(3, std=0.05), batch_size=200).scale == 0.05
    health = CodesMonitor(NormalPrior(3, std=0.05), batch_size=200)
    assert not health.warnings(health.diagnostics(codes(0.05 * draws())), done=0.1)


def test_codes_far_from_the_prior_are_warned_about_once_they_had_time():
    health = CodesMonitor(NormalPrior(3), batch_size=200)
    diagnostics = health.diagnostics(codes(draws() + 3))
    assert health.warnings(diagnostics, done=0.1) == []
    (warning,) = health.warnings(diagnostics, done=0.5)
    assert "the aggregate posterior does not match the prior: MMD² is" in warning


def test_the_progress_line_shows_the_diagnostics_and_the_warning(tmp_path, capsys):
    run = pf.train("ae", "digits", out=tmp_path / "run", steps=60, latent_dim=8)
    printed = capsys.readouterr().err
    assert "std" in printed
    assert "mmd" in printed
    assert "warning, step" in printed
    assert "the aggregate posterior does not match the prior" in printed
    assert any("warnings" in line for line in run.history)


@pytest.mark.parametrize("batch", quick([2, 4, 8, 12, 50], 4))
@pytest.mark.parametrize("latent", quick([2, 8, 64], 8))
def test_perfect_codes_in_small_batches_are_not_called_ill(batch, latent):
    health = CodesMonitor(NormalPrior(latent), batch)
    for seed in range(200):
        noise = Noise(seed)
        made = SimpleNamespace(
            eval_codes=noise("made").normal(batch, latent), fresh_prior=noise("given").normal(batch, latent)
        )
        assert health.warnings(health.diagnostics(made), done=1.0) == []
