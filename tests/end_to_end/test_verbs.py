"""Every verb, from Python and from the command line, under the same names."""

import inspect
import json
import re
from itertools import product

import numpy as np
import pytest
import torch
from PIL import Image
from speed import quick

import pushforward as pf
from pushforward.data import CATALOGUE
from pushforward.errors import ConfigError, DataError
from pushforward.recipes import RECIPES


def test_samples_do_not_depend_on_how_many_are_asked_for(trained):
    assert torch.equal(trained.sample_codes(10), trained.sample_codes(700)[:10])
    # the product of ten rows may be summed in another order than that of 700
    torch.testing.assert_close(trained.sample(10), trained.sample(700)[:10])
    assert not (trained.sample(10, seed=1) == trained.sample(10)).all()


def test_codes_and_back(trained):
    x = trained.data.test.batch(slice(0, 20)).x
    z = trained.encode(x)
    assert z.shape == (20, 4)
    assert trained.decode(z.numpy()).allclose(trained.reconstruct(x))
    assert trained.reconstruct(x).shape == x.shape
    assert (trained.reconstruct(x) - x).square().flatten(1).sum(
        1
    ).mean() < 4.69  # the error of the mean image


def test_paths_begin_and_end_at_reconstructions(trained):
    x = trained.data.test.batch(slice(0, 4)).x
    for path in ("linear", "spherical"):
        between = trained.interpolate(x[:2], x[2:], steps=5, path=path)
        assert between.shape == (2, 5, *trained.shape)
        assert between[:, 0].allclose(trained.reconstruct(x[:2]), atol=1e-5)
        assert between[:, -1].allclose(trained.reconstruct(x[2:]), atol=1e-5)


def test_a_loaded_run_is_the_run(trained):
    loaded = pf.load(trained.path)
    assert (loaded.sample(5) == trained.sample(5)).all()
    assert loaded.evaluate(n_samples=100) == trained.evaluate(n_samples=100)
    assert repr(loaded) == repr(trained)


def test_verbs_refuse_what_does_not_fit(trained):
    with pytest.raises(DataError, match=r"rows must have shape \(1, 8, 8\), got \(9, 9\)"):
        trained.encode(torch.zeros(3, 9, 9))
    with pytest.raises(DataError, match=r"codes must have shape \(N, 4\), got \(3, 5\)"):
        trained.decode(torch.zeros(3, 5))
    with pytest.raises(ConfigError, match="n must be at least 1, got 0"):
        trained.sample(0)
    with pytest.raises(ConfigError, match="did you mean 'linear'"):
        trained.interpolate(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8), path="liner")


def test_commands_write_what_they_say(trained, figures, tmp_path):
    made = figures("sample", trained.path, "--n", 12, "--out", tmp_path / "s.png")
    assert made["shape"] == [12, 1, 8, 8]
    with Image.open(tmp_path / "s.png") as image:
        assert image.size[0] > 100
    figures("reconstruct", trained.path, "--n", 3, "--out", tmp_path / "r.npy")
    pairs = np.load(tmp_path / "r.npy")
    assert np.array_equal(pairs[::2], trained.data.test.batch(slice(0, 3)).x.numpy())
    assert figures("interpolate", trained.path, "--n", 2, "--steps", 4)["shape"] == [8, 1, 8, 8]
    results = figures("evaluate", trained.path)
    assert results["n_samples"] == 359
    assert results["range"] == "[0, 1]"
    assert {"reconstruction", "objective", "sharpness", "latent"} <= set(results)
    assert set(results["latent"]) >= {"mean", "covariance", "mmd", "tests"}


def test_list_names_every_recipe_and_data_set(figures):
    listed = figures("list")
    assert set(listed["recipes"]) == set(RECIPES)
    assert set(CATALOGUE) == set(listed["data"])


@pytest.mark.parametrize("recipe", RECIPES)
def test_options_have_the_names_and_defaults_of_the_python_arguments(recipe, command):
    code, out, _ = command("train", recipe, "--help")
    assert code == 0
    own = {"text": {"max_length"}, "table": {"columns", "target"}}  # shown with such data alone
    for one in RECIPES[recipe].options:
        if not one.python_only and one.modality in own:
            own[one.modality].add(one.name)
    of_model = {one.name for one in RECIPES[recipe].options if not one.python_only}
    of_python = {"recipe", "data", "training", "progress", "arguments"}
    of_run = set(inspect.signature(pf.train).parameters) - of_python
    for name in (of_model | of_run) - own["text"] - own["table"]:
        assert f"--{name.replace('_', '-')}" in out
    _, of_tables, _ = command("train", recipe, "rows.csv", "--help")
    for name in own["table"]:
        assert f"--{name.replace('_', '-')}" in of_tables
        assert f"--{name.replace('_', '-')} " not in out


def test_figures_for_people_state_unit_rows_and_range(trained, command):
    _, out, _ = command("evaluate", trained.path)
    assert "n = 359; resize: none; data: [0, 1]" in out
    assert re.search(r"features: classifier \(64 numbers, sha256 [0-9a-f]{8}, trained on digits", out)
    assert re.search(r"(?m)^FD +\d[\d.]* ± \d[\d.]*  \(train reference: \d", out)
    assert re.search(r"variance of the Laplacian of samples; data 1\.0\d+", out)
    assert "two-sample test of 359 codes and as many draws of the prior: p = " in out


class Halves(torch.nn.Module):
    """A user's own encoder, with no base class of ours."""

    def __init__(self):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3))

    def forward(self, x):
        return self.net(x)


@pytest.mark.parametrize("posterior", ["gaussian", "uniform"])
@pytest.mark.parametrize(
    ("width", "message"),
    [
        (
            4,
            "of the encoder: expected 2 × latent_dim = 8 numbers a row (mean and log-variance), got 4",
        ),
        (5, "expected 2 × latent_dim numbers a row (mean and log-variance), got 5"),
        (1, "expected 2 × latent_dim numbers a row (mean and log-variance), got 1"),
    ],
)
def test_a_random_encoder_of_the_wrong_width_is_given_the_right_one(width, message, posterior, tmp_path):
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, width))
    options = {"latent_dim": 4, "encoder": net, "posterior": posterior, "steps": 1, "progress": False}
    with pytest.raises(ConfigError, match=re.escape(message)):
        pf.train("wae-mmd", "digits", out=tmp_path / "run", conditional=False, **options)


def test_the_decoder_of_a_vae_makes_logits_and_decode_data(tmp_path):
    run = pf.train("vae", "digits", out=tmp_path, steps=2, progress=False)
    z = torch.randn(5, run.model.prior.latent_dim)
    with torch.no_grad():
        assert torch.allclose(run.decode(z), run.model.decoder(z).sigmoid())
        assert torch.equal(run.model.decode(z), run.model.decoder(z).sigmoid())


def test_modules_of_ones_own(tmp_path):
    torch.manual_seed(0)
    run = pf.train(
        "wae-mmd", "digits", out=tmp_path / "run", latent_dim=3, encoder=Halves(), steps=10, progress=False
    )
    with pytest.raises(ConfigError, match=r"parts of your own; pass them again, in Python: encoder=\.\.\."):
        pf.load(run.path)
    assert (pf.load(run.path, encoder=Halves()).sample(3) == run.sample(3)).all()
    with pytest.raises(
        ConfigError, match=r"the output of the encoder must be \(2, 5\) for two rows, got \(2, 3\)"
    ):
        pf.train("wae-mmd", "digits", out=tmp_path / "other", latent_dim=5, encoder=Halves(), progress=False)
    with pytest.raises(ConfigError, match="the encoder fails on rows of shape"):
        pf.train("wae-mmd", "digits", out=tmp_path / "other", encoder=torch.nn.Linear(3, 3), progress=False)
    assert not (tmp_path / "other").exists()


SHAPES = [(40, 1, 28, 28), (40, 3, 32, 32), (40, 3, 45, 37), (40, 1, 1, 64), (40, 3, 64, 64), (40, 5)]


OF_EACH_KIND = ("vae", "aae-clustering", "infogan", "began")


def crossed():
    """Every recipe with every shape; quick are one of each kind with odd sides, one with three shapes."""
    kept = [("wae-gan", SHAPES[at]) for at in (2, 3, 5)] + [
        (recipe, (40, 3, 45, 37)) for recipe in OF_EACH_KIND
    ]
    return quick(product(RECIPES, SHAPES), *kept)


@pytest.mark.parametrize(("recipe", "shape"), crossed())
def test_any_shape_trains_without_a_flag(recipe, shape, tmp_path):
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(40) % (2 if recipe == "transfer-ae" else 4)
    run = pf.train(recipe, (x, labels), out=tmp_path / "run", steps=2, progress=False)
    assert run.sample(2).shape == (2, *shape[1:])
    assert torch.isfinite(run.sample(2)).all()
    run.evaluate()


PRESETS = product(["paper", "official"], ["wae-mmd", "wae-gan"])


@pytest.mark.parametrize(("preset", "recipe"), quick(PRESETS, ("paper", "wae-mmd"), ("official", "wae-gan")))
def test_presets_say_what_the_weight_means(preset, recipe, digits):
    built = RECIPES[recipe](digits.spec, preset)
    assert (
        "the official code scales the squared error by 0.05, so its λ = 10 is 200 here" in built.description
    )
    assert float(built.model.weight) == pytest.approx({"paper": 10, "official": 200}[preset])
    assert built.training.pretrain
    assert built.training.schedule == "wae-mnist"


@pytest.mark.parametrize("recipe", quick(["wae-mmd", "wae-gan", "vae"], "wae-gan"))
def test_every_recipe_with_a_weight_can_find_its_own(recipe, tmp_path):
    run = pf.train(
        recipe,
        "digits",
        out=tmp_path / "run",
        weight="auto",
        weight_init=0.1,
        steps=120,
        latent_dim=4,
        progress=False,
    )
    weights = [line["weight"] for line in run.history]
    assert weights[-1] > weights[0] > 0.1  # codes are far from the prior at first
    assert (
        "adapts until a two-sample test on batches of 100 cannot distinguish codes from the prior"
        in run.config["description"]
    )
    assert float(pf.load(run.path).model.weight) == weights[-1]


def test_codes_are_features_that_a_probe_can_learn_from(trained):
    probe = torch.nn.Linear(4, 10)
    probe(trained.encode(trained.data.test.batch(slice(0, 5)).x)).sum().backward()
    assert probe.weight.grad is not None


def test_rows_are_read_as_the_data_were(tmp_path):
    x = torch.randint(0, 256, (40, 10, 10), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    run = pf.train("ae", x, out=tmp_path / "grey", steps=2, latent_dim=2, progress=False)
    assert run.encode(x).allclose(run.encode(x[:, None].float() / 255))
    colour = x.view(40, 10, 10, 1).expand(40, 10, 10, 3)
    run = pf.train("ae", colour, out=tmp_path / "colour", steps=2, latent_dim=2, image_size=8, progress=False)
    data = pf.open_dataset(colour, image_size=8)
    assert pf.load(run.path, data=colour).data.fingerprint == data.fingerprint
    assert run.encode(data.test.x).allclose(run.encode(data.test.x.permute(0, 2, 3, 1)))


@pytest.mark.parametrize("recipe", quick(RECIPES, "wae-gan", "aae-semi-supervised", "dcgan"))
def test_a_few_images_are_enough_to_try(recipe, tmp_path):
    data = torch.rand(6, 1, 8, 8), torch.tensor([0, 1, 0, 1, 0, 1])
    run = pf.train(recipe, data, out=tmp_path / "run", steps=2, progress=False)
    assert run.config["resolved"]["batch_size"] == 2


@pytest.mark.parametrize(
    ("critic", "line"),
    [
        (torch.nn.Linear(5, 1), "the critic fails on rows of shape"),
        (torch.nn.Linear(8, 3), r"the output of the critic must be \(2, 1\) for two rows, got \(2, 3\)"),
    ],
)
def test_a_critic_that_does_not_fit(critic, line, tmp_path):
    with pytest.raises(ConfigError, match=line):
        pf.train("wae-gan", "digits", out=tmp_path / "run", critic=critic, progress=False)


@pytest.mark.parametrize(
    "words", [["reconstruct", "--n", "-1"], ["interpolate", "--n", "0"], ["evaluate", "--n-samples", "1"]]
)
def test_counts_are_checked(trained, command, words):
    verb, option, value = words
    code, _, err = command(verb, trained.path, option, value)
    assert code == 78
    assert f"{option} must be at least" in err


def test_python_and_the_command_line_make_the_same_run(trained, figures):
    """An option that is given and equals the default is the same as one that is not given."""
    again = figures("train", "wae-mmd", "digits", "--out", trained.path, "--latent-dim", 4, "--steps", 300)
    assert again["step"] == 300
    assert pf.train(
        "wae-mmd", "digits", out=trained.path, latent_dim=4, steps=300, kernel="imq", lr=None, progress=False
    )


def test_evaluate_prints_what_was_asked_for(trained, command):
    """Results of other groups stay in the file; a group that is missing is named if it was asked for."""
    command("evaluate", trained.path, "--features", "pixels", "--metrics", "samples", "--n-samples", 60)
    asked = ("evaluate", trained.path, "--features", "pixels", "--n-samples", 60)
    _, out, _ = command(*asked, "--metrics", "objective", "text")
    assert "objective = reconstruction" in out
    assert "text: not available for this model or its data" in out
    assert not re.search(r"(?m)^(FD|KID|precision) ", out)
    assert "samples" in json.loads((trained.path / "evaluation.json").read_text())
    _, out, _ = command(*asked, "--metrics", "samples")
    assert re.search(r"(?m)^FD ", out)
    assert "± is one standard error; of a metric without ± none is estimated" in out
    assert "objective =" not in out
    assert "not available" not in out


def test_a_run_without_pictures_has_the_same_weights_and_can_draw_them_later(tmp_path, command):
    runs = [pf.train("wae-mmd", "digits", out=tmp_path / str(on), steps=3, pictures=on, progress=False)
            for on in (True, False)]  # fmt: skip
    for first, second in zip(*(run.model.parameters() for run in runs), strict=True):
        assert torch.equal(first, second)
    assert not (tmp_path / "False" / "samples").exists()
    assert not (tmp_path / "False" / "overview.png").exists()
    assert runs[1].overview().exists()
    code, out, _ = command("train", "ae", "ring", "--out", tmp_path / "c", "--steps", "2", "--no-pictures")
    assert (code, "overview" in out) == (0, False)
    assert not (tmp_path / "c" / "overview.png").exists()
    pf.resume(tmp_path / "False", steps=4, pictures=False, progress=False)
    assert not (tmp_path / "False" / "samples").exists()
    code, out, err = command("resume", tmp_path / "c", "--steps", "+1", "--no-pictures")
    assert (code, "overview" in out) == (0, False), err
    assert not (tmp_path / "c" / "overview.png").exists()
    assert not (tmp_path / "c" / "samples").exists()


def test_fewer_rows_in_a_batch_than_were_asked_for_are_said(tmp_path, command):
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).random((100, 4)))

    def said(size):
        words = ("--steps", 1, "--batch-size", size, "--evaluate", "none", "--no-pictures", "--overwrite")
        return command("train", "ae", tmp_path / "rows.npy", "--out", tmp_path / "run", *words)[2]

    assert "--batch-size 91 is more than the 90 training rows: 90 are taken\n" in said(91)
    err = said(90)
    assert "are taken" not in err
    assert "1 step is a small budget" in err
