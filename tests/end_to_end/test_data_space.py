"""Models in data space, from the first command to the last: train, sample, interpolate, evaluate, resume."""

import json

import pytest
import torch
from speed import quick
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

import pushforward as pf
from pushforward.data import Dataset, Split, open_dataset
from pushforward.discrepancies import Hinge, Wasserstein
from pushforward.errors import ConfigError
from pushforward.recipes import RECIPES, f_gan, sngan, wgan
from pushforward.runs import config as configuration
from pushforward.training.checkpoints import Checkpoints

ON_POINTS = (
    "gan",
    "lsgan",
    "f-gan",
    "sngan",
    "wgan",
    "wgan-gp",
    "ebgan",
    "began",
    "infogan",
    "mmd-gan",
    "gmmn",
)
ON_IMAGES = (*ON_POINTS, "dcgan", "gmmn-ae")


@pytest.fixture(scope="module")
def points():
    whole = open_dataset("ring")
    parts = (whole.train.rows(torch.arange(400)), whole.test.rows(torch.arange(100)))
    return Dataset("ring", *parts, in_unit_interval=False, modes=whole.modes)


def checked(run, shape):
    assert run.sample(5).shape == (5, *shape)
    assert torch.equal(run.sample_codes(5), run.sample_codes(9)[:5])
    # the product of five rows may be summed in another order than that of nine
    torch.testing.assert_close(run.sample(5), run.sample(9)[:5])
    assert run.sample(5).isfinite().all()
    ends = run.sample_codes(4)
    paths = run.interpolate_codes(ends[:2], ends[2:], steps=3)
    assert paths.shape == (2, 3, *shape)
    torch.testing.assert_close(paths[:, 0], run.decode(ends[:2]), rtol=1e-4, atol=1e-5)
    traversals, places = run.traverse(code=ends[:1], dimensions=2, steps=3)
    assert traversals.shape == (2, 3, *shape)
    assert set(places) <= set(run.model.prior.continuous_dims)
    assert (run.path / "overview.png").exists()


@pytest.mark.parametrize("recipe", quick(ON_POINTS, "wgan-gp", "ebgan", "mmd-gan", "infogan"))
def test_on_points(recipe, points, tmp_path):
    """Every recipe trains on points, samples, interpolates, and is evaluated by its modes."""
    run = pf.train(recipe, points, out=tmp_path / "run", steps=12, progress=False)
    checked(run, (2,))
    found = run.evaluate(metrics=("samples", "modes", "objective"))
    assert found["modes"]["modes"] == 8
    assert 0 <= found["modes"]["high_quality"] <= 1
    assert run.history[-1]["diagnostics"]["spread"] > 0
    if recipe != "gmmn":
        assert "critic" in run.history[-1]["terms"]
    if recipe != "infogan":
        with pytest.raises(ConfigError, match="no encoder"):
            run.encode(points.test.x)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ON_IMAGES)
def test_on_images_and_loaded_again(recipe, digits, tmp_path):
    """Every recipe trains on images; what is loaded from the folder makes the same samples."""
    run = pf.train(recipe, "digits", out=tmp_path / "run", steps=4, batch_size=20, progress=False)
    checked(run, (1, 8, 8))
    assert run.sample(8).min() >= 0
    assert run.sample(8).max() <= 1
    assert torch.equal(pf.load(run.path).sample(6), run.sample(6))
    sections = ("modes", "latent", "reconstruction", "classes")
    found = run.evaluate(n_samples=60, metrics=sections, features="classifier")
    assert found["modes"]["modes"] == 10
    assert ("latent" in found) == (recipe == "gmmn-ae")


@pytest.mark.parametrize("recipe", quick(["began", "wgan-gp", "infogan", "sngan"], "began", "sngan"))
def test_resumed_runs_are_the_same_bits(recipe, points, tmp_path, monkeypatch):
    """State that is no parameter (k, singular vectors) is saved and resumed with the rest."""
    whole = pf.train(recipe, points, out=tmp_path / "whole", steps=8, progress=False)
    from pushforward.errors import InterruptedRunError
    from pushforward.training.loop import Loop

    advance = Loop.advance

    def interrupted(self):
        if self.step == 5:
            raise InterruptedRunError("stopped")
        return advance(self)

    monkeypatch.setattr(Loop, "advance", interrupted)
    monkeypatch.setattr("pushforward.training.trainer.PATIENCE", -1.0)
    with pytest.raises(InterruptedRunError):
        pf.train(recipe, points, out=tmp_path / "parts", steps=8, progress=False)
    monkeypatch.setattr(Loop, "advance", advance)
    parts = pf.resume(tmp_path / "parts", data=points, progress=False)
    first, second = (Checkpoints(run.path / "checkpoints").newest()[0].tensors for run in (whole, parts))
    for name, tensors in first.items():
        for key, value in tensors.items():
            assert torch.equal(value, second[name][key]), (name, key)
    if recipe == "began":
        assert first["model"]["discrepancy.k"] > 0


def test_the_balance_of_began_is_shown(points, tmp_path):
    run = pf.train("began", points, out=tmp_path / "run", steps=5, progress=False)
    assert {"k", "ratio", "measure"} <= set(run.history[-1]["diagnostics"])


def test_infogan_reads_classes(digits, tmp_path):
    """Without labels, classes can be chosen and read off data; continuous dimensions can be traversed."""
    run = pf.train(
        "infogan", "digits", out=tmp_path / "run", steps=4, n_classes=7, batch_size=20, progress=False
    )
    assert run.sample(3, label=6).shape == (3, 1, 8, 8)
    named = run.classify(digits.test.batch(slice(0, 20)).x)
    assert named.shape == (20,)
    assert named.max() < 7
    found = run.evaluate(n_samples=100, metrics=("classes",), features="pca")["classes"]
    assert {"classification_error", "one_minus_purity", "clusters"} <= set(found)
    assert 0 not in run.model.prior.continuous_dims
    assert 7 in run.model.prior.continuous_dims
    assert "information_class" in run.history[-1]["diagnostics"]


def test_interpolating_without_an_encoder(points, tmp_path, command):
    """The command interpolates between draws of the prior where there are no codes."""
    run = pf.train("gmmn", "ring", out=tmp_path / "run", steps=2, batch_size=50, progress=False)
    code, _, _ = command("interpolate", run.path, "--n", 3, "--steps", 4, "--out", tmp_path / "paths.npy")
    assert code == 0
    import numpy as np

    assert np.load(tmp_path / "paths.npy").shape == (12, 2)


def test_a_penalty_refuses_batch_norm_at_the_door(points, tmp_path, command):
    critic = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))
    with pytest.raises(ConfigError, match="BatchNorm makes a critic's value at one row depend on the others"):
        pf.train("wgan-gp", points, out=tmp_path / "run", critic=critic, steps=2, progress=False)
    assert not (tmp_path / "run").exists()


def test_dcgan_s_batch_norm_keeps_statistics_in_the_critic_s_update_alone(digits):
    """In the model's update the critic's running statistics stay as they are."""
    from pushforward.training.loop import Loop

    built = RECIPES["dcgan"](digits.spec, batch_size=20)
    loop = Loop(built.model, digits.train, built.training, total=4)
    model, critic = loop.player_states
    norm = next(m for m in built.model.discrepancy.modules() if isinstance(m, nn.BatchNorm2d))
    from pushforward.rng import Noise
    from pushforward.square import Square

    def look(player_state):
        x, _ = loop.rows(0)
        with loop.updating(player_state):
            player_state.player.loss(Square(built.model, x, Noise(0)))
        return norm.running_mean.clone()

    before = norm.running_mean.clone()
    assert torch.equal(look(model), before)
    assert not torch.equal(look(critic), before)


def test_collapsed_samples_are_complained_of(points, tmp_path):
    """A generator that makes one point causes one warning, while it can still be stopped."""

    class Point(nn.Module):
        def __init__(self):
            super().__init__()
            self.shift = nn.Parameter(torch.zeros(2))

        def forward(self, z):
            return 0 * z[:, :2] + self.shift

    run = pf.train(
        "gan", points, out=tmp_path / "run", decoder=Point(), latent_dim=2, steps=60, progress=False
    )
    said = [words for line in run.history for words in line.get("warnings", [])]
    assert len(said) == 1
    assert "samples have collapsed" in said[0]


def test_every_shared_option_is_explained_in_help(command):
    """Options that a family shares are written once and explained everywhere."""
    code, out, _ = command("train", "f-gan", "--help")
    assert code == 0
    assert "Learning rate of the generator" in " ".join(out.split())
    assert "--divergence" in out


def test_wrong_names_are_refused(points, tmp_path):
    for recipe, wrong in (
        ("f-gan", {"divergence": "klll"}),
        ("lsgan", {"targets": "x"}),
        ("sngan", {"loss": "x"}),
    ):
        with pytest.raises(ConfigError, match="known:"):
            pf.train(recipe, points, out=tmp_path / "run", steps=1, progress=False, **wrong)
    with pytest.raises(ConfigError, match="has no option 'nets'"):
        pf.train("gan", points, out=tmp_path / "run", steps=1, progress=False, nets="mlp")
    with pytest.raises(ConfigError, match="needs image data"):
        pf.train("gan", points, out=tmp_path / "run", steps=1, progress=False, network="dcgan")


def test_settings_of_papers_build(digits):
    """Every row of settings makes a model that fits the data."""
    for recipe in set(ON_IMAGES) - {"gmmn-ae"}:
        built = RECIPES[recipe](digits.spec, preset="paper")
        assert json.dumps(built.description)


def test_stacked_digits(digits):
    """Three digits in three channels: a thousand modes, always the same rows, and a way to count them."""
    from pushforward.data.stacked import stacked

    data, again = stacked(digits), stacked(digits)
    assert data.shape == (3, 8, 8)
    assert data.fingerprint == again.fingerprint
    assert len(data.train) == len(digits.train)
    assert not torch.equal(data.train.x[:, 0], data.train.x[:, 1])
    for channel in range(3):
        assert torch.equal(data.train.x[:, channel].sum(0), digits.train.x[:, 0].sum(0)) or torch.allclose(
            data.train.x[:, channel].sum(0), digits.train.x[:, 0].sum(0), rtol=1e-4
        )


def test_worlds_of_points():
    """Ring and grid have the modes that they say they have, in equal shares, and held-out rows are others."""
    from pushforward.metrics.modes import point_modes

    for name, count in (("ring", 8), ("grid", 25)):
        data = open_dataset(name)
        assert len(data.modes.points) == count
        found = point_modes(data.train.x, data.modes.points, data.modes.std)
        assert found.captured == count
        assert found.kl < 1e-3
        assert found.high_quality == pytest.approx(1 - 2.718281828**-4.5, abs=2e-3)
        assert not set(map(tuple, data.test.x[:50].tolist())) & set(map(tuple, data.train.x.tolist()))
    for name in ("swiss-roll", "petals"):
        assert open_dataset(name).shape == (2,)
    assert isinstance(open_dataset("ring").train, Split)


def test_a_critic_of_the_wrong_kind_is_refused_at_the_door(points, tmp_path):
    """Before a folder is made, with what was expected."""
    with pytest.raises(ConfigError, match=r"the critic fails on rows of shape \(2,\)"):
        pf.train("mmd-gan", points, out=tmp_path / "run", critic=nn.Linear(3, 4), steps=1, progress=False)
    with pytest.raises(ConfigError, match=r"the critic fails .* \(N, features\)"):
        pf.train(
            "mmd-gan",
            points,
            out=tmp_path / "run",
            critic=nn.Linear(2, 4),
            reconstruction_weight=1.0,
            steps=1,
            progress=False,
        )
    assert not (tmp_path / "run").exists()


def test_a_normalised_critic_can_be_handed_back(points, tmp_path):
    """What was trained may stand in when its run is loaded: it is not normalised twice."""
    critic = nn.Sequential(nn.Linear(2, 8), nn.LeakyReLU(), nn.Linear(8, 1))
    run = pf.train("sngan", points, out=tmp_path / "run", critic=critic, steps=2, progress=False)
    assert torch.equal(pf.load(run.path, critic=critic).sample(3), run.sample(3))


def test_to_watch_a_run_does_not_change_it(digits):
    """Diagnostics are computed in evaluation mode: no running statistic moves."""
    from pushforward.rng import Noise
    from pushforward.square import Square
    from pushforward.training.monitor import watch
    from pushforward.utils import eval_mode

    for recipe in ("dcgan", "infogan"):
        model = RECIPES[recipe](digits.spec, preset="paper", batch_size=20).model.train()
        square = Square(model, digits.train.batch(slice(0, 20)).x, Noise(0))
        assert square.Gz.shape == (20, 1, 8, 8)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        watch(model, 20).diagnostics(square)
        with eval_mode(model):
            model.diagnostics(square)
        for name, value in model.state_dict().items():
            assert torch.equal(value, before[name]), name


def edited(run, **changes):
    """Writes other resolved settings into the configuration of a run; None removes one."""
    config = configuration.decode((run.path / "config.json").read_bytes())
    config["resolved"] |= changes
    config["resolved"] = {name: value for name, value in config["resolved"].items() if value is not None}
    (run.path / "config.json").write_bytes(configuration.encode(config))


def test_resolved_settings_are_kept_with_the_run(points, tmp_path):
    """A run is loaded with the settings that it began with, whatever the presets are by then."""
    run = pf.train("began", points, out=tmp_path / "run", steps=2, progress=False)
    kept = run.config["resolved"]
    assert (kept["gamma"], kept["k_lr"], kept["energy_power"], kept["pulling_away_weight"]) == (
        0.5,
        0.02,
        1,
        0.0,
    )
    edited(run, gamma=0.3, k_lr=0.01, energy_power=2, pulling_away_weight=0.3)
    discrepancy = pf.load(run.path, data=points).model.discrepancy
    assert (discrepancy.gamma, discrepancy.k_lr, discrepancy.pulling_away_weight) == (0.3, 0.01, 0.3)
    assert type(discrepancy.critic.cost).__name__ == "SquaredError"


def test_settings_that_came_later_have_their_defaults(points, tmp_path):
    """A run without a setting is resumed with its default; one with an unknown setting is refused."""
    whole = pf.train("gan", points, out=tmp_path / "whole", steps=3, progress=False)
    edited(whole, beta2=None)
    assert pf.resume(whole.path, data=points, progress=False).step == 3
    edited(whole, betta2=0.9)
    with pytest.raises(ConfigError, match="unknown setting 'betta2': did you mean 'beta2'"):
        pf.load(whole.path)


def test_steps_do_not_depend_on_the_updates_of_the_critic(digits):
    """Another batch or another number of critic updates leaves the number of steps as it is."""
    from pushforward.training.loop import Loop

    steps = set()
    for changes in ({}, {"n_critic": 1}, {"batch_size": 16}):
        built = RECIPES["wgan"](digits.spec, **changes)
        loop = Loop(built.model, digits.train, built.training, total=1)
        steps.add(round(built.training.epochs * loop.per_epoch, -2))
    assert len(steps) == 1


def test_rows_that_are_all_equal_are_refused(tmp_path):
    """Kernels and margins would have no scale; the error names the data, not an argument nobody gave."""
    from pushforward.errors import DataError

    same = torch.ones(40, 3)
    for recipe in ("gmmn", "ebgan"):
        with pytest.raises(DataError, match="all rows are equal"):
            pf.train(recipe, same, out=tmp_path / "run", steps=1, progress=False)


@pytest.mark.parametrize(
    ("data", "preset", "loss", "n_critic"),
    [("digits", "small", Wasserstein, 3), ("digits", "paper", Hinge, 1), ("ring", "small", Hinge, 5)],
)
def test_the_loss_of_sngan(data, preset, loss, n_critic):
    discrepancy = sngan(pf.open_dataset(data).spec, preset=preset).model.discrepancy
    assert type(discrepancy) is loss
    assert discrepancy.n_critic == n_critic


def test_the_critic_of_f_gan_is_bounded_on_points_and_normalised_on_images():
    """Where asked for, it is bounded on images too, and then has no BatchNorm."""
    cases = [
        ("ring", {}, True, False),
        ("digits", {}, False, True),
        ("digits", {"spectral_norm": True}, True, False),
    ]
    for data, changes, bounded, normed in cases:
        parts = list(f_gan(pf.open_dataset(data).spec, **changes).model.discrepancy.critic.modules())
        assert any(is_parametrized(part) for part in parts) == bounded
        assert any(isinstance(part, nn.BatchNorm2d) for part in parts) == normed


def test_clipped_critics_have_batch_norm_on_images_alone():
    for data, normed in (("digits", True), ("ring", False)):
        critic = wgan(pf.open_dataset(data).spec).model.discrepancy.critic
        assert any(isinstance(part, nn.BatchNorm2d) for part in critic.modules()) == normed
