"""Parts and models of one's own are trained, resumed, evaluated and loaded like those of the library."""

import ast
import json
import re
from functools import partial

import pytest
import torch
from speed import quick
from torch import nn

import pushforward as pf
from pushforward.costs import Cost
from pushforward.data import open_dataset
from pushforward.discrepancies import CriticDiscrepancy, Discrepancy
from pushforward.distributions import DeterministicEncoder, NormalPrior
from pushforward.errors import ConfigError, InterruptedRunError, OutputError
from pushforward.models import WAE
from pushforward.recipes import RECIPES, Setup, recipe
from pushforward.training import Training, adam
from pushforward.training.loop import Loop


class Energy(Discrepancy):
    """The squared energy distance of two samples."""

    def forward(self, q, p):
        return 2 * torch.cdist(q, p).mean() - torch.cdist(q, q).mean() - torch.cdist(p, p).mean()


class MeanGap(CriticDiscrepancy):
    """The gap of the means of a critic that is kept small: a discrepancy with a critic of its own."""

    def critic_objective(self, q, p):
        return (
            self.critic(q).mean() - self.critic(p).mean() - sum(w.square().sum() for w in self.parameters())
        )

    def forward(self, q, p):
        return self.critic(q).mean() - self.critic(p).mean()


class Cubed(Cost):
    """The absolute error to the power of three."""

    def rows(self, made, given):
        return (made - given).abs().pow(3).flatten(1).sum(dim=1)


def discrepancy(critic):
    torch.manual_seed(1)
    return MeanGap(nn.Linear(4, 1)) if critic else Energy()


def interrupted_at(step, monkeypatch, call):
    """Calls a function whose training is stopped by an error at a step."""
    advance = Loop.advance

    def stop(loop):
        if loop.step == step:
            raise InterruptedRunError("stopped")
        return advance(loop)

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "advance", stop)
        patch.setattr("pushforward.training.trainer.PATIENCE", -1.0)
        with pytest.raises(InterruptedRunError):
            call()


def same_weights(one, other):
    pairs = zip(one.model.state_dict().values(), other.model.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("critic", [False, True])
def test_own_discrepancy_and_cost(critic, tmp_path, monkeypatch):
    """Trained by a recipe, stopped and resumed to the last bit, evaluated, and loaded."""
    options = dict(latent_dim=4, weight=2.0, steps=8, progress=False, cost=Cubed())
    whole = pf.train("wae", "digits", out=tmp_path / "whole", discrepancy=discrepancy(critic), **options)
    assert isinstance(whole.model.cost, Cubed)
    assert ("critic" in whole.history[-1]["terms"]) == critic
    assert whole.config["own"] == ["discrepancy", "cost"]
    assert whole.config["arguments"] == {"latent_dim": 4, "weight": 2.0}
    assert not {"discrepancy", "cost"} & set(whole.config["resolved"])

    interrupted_at(
        5,
        monkeypatch,
        lambda: pf.train("wae", "digits", out=tmp_path / "half", discrepancy=discrepancy(critic), **options),
    )
    half = pf.resume(tmp_path / "half", discrepancy=discrepancy(critic), cost=Cubed(), progress=False)
    assert half.step == 8
    assert same_weights(whole, half)
    again = pf.load(tmp_path / "half", discrepancy=discrepancy(critic), cost=Cubed())
    assert torch.equal(again.sample(3), whole.sample(3))
    assert "samples" in again.evaluate(n_samples=50, features="pca", metrics=("samples", "objective"))
    for verb in (pf.load, pf.resume):
        with pytest.raises(ConfigError, match=r"pass them again, in Python: discrepancy=..., cost=...$"):
            verb(whole.path)
        with pytest.raises(ConfigError, match=r"pass them again, in Python: cost=...$"):
            verb(whole.path, discrepancy=discrepancy(critic))
        with pytest.raises(ConfigError, match="keeps the options that it began with, got decoder"):
            verb(whole.path, discrepancy=discrepancy(critic), cost=Cubed(), decoder=nn.Identity())


TAKE_A_DISCREPANCY = [
    ("wae-random", "digits"), ("info-vae", "digits"), ("aae", "digits"), ("gan", "ring"), ("gmmn", "ring"),
    ("arae", "digits"), ("gmmn-ae", "digits"),
]  # fmt: skip


def test_runs_with_parts_of_one_s_own_are_continued_by_a_call_in_python(tmp_path, monkeypatch, capsys):
    """The command cannot pass parts; so each message gives a call that Python can read."""
    rows, folder = torch.rand(100, 4, generator=torch.Generator().manual_seed(0)), tmp_path / "run"
    train = partial(pf.train, "wae", rows, out=folder, discrepancy=Energy(), cost=Cubed())
    interrupted_at(2, monkeypatch, partial(train, steps=4))
    again = [re.search("to go on afterwards: (.*)$", line) for line in capsys.readouterr().err.splitlines()]
    calls = [found[1] for found in again if found]
    with pytest.raises(OutputError, match="to train it longer") as error:
        train(steps=3)
    calls.append(re.search("for example: (.*); to begin", str(error.value))[1])
    assert len(calls) == 2
    for call, steps in zip(calls, (int, str), strict=True):
        made = ast.parse(call, mode="eval").body
        assert ast.unparse(made.func) == "pushforward.resume"
        assert [ast.literal_eval(made.args[0]), made.args[1].id] == [str(folder), "data"]
        given = {one.arg: one.value.value for one in made.keywords}
        assert isinstance(given.pop("steps"), steps)
        assert given == {"discrepancy": ..., "cost": ...}


@pytest.mark.parametrize(
    ("recipe", "data"), quick(TAKE_A_DISCREPANCY, ("aae", "digits"), ("gan", "ring"), ("arae", "digits"))
)
def test_recipes_take_a_discrepancy(recipe, data, tmp_path):
    run = pf.train(recipe, data, out=tmp_path / "run", discrepancy=Energy(), steps=2, progress=False)
    assert isinstance(run.model.discrepancy, Energy)
    assert pf.load(run.path, discrepancy=Energy()).sample(2).isfinite().all()


def test_own_prior_and_encoder(tmp_path):
    """A prior decides the latent dimensions; an Encoder is taken as it is."""
    encoder = DeterministicEncoder(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)))
    own = {"prior": NormalPrior(3, 2.0), "encoder": encoder}
    run = pf.train("wae-mmd", "digits", out=tmp_path / "run", steps=2, progress=False, **own)
    assert run.model.encoder is encoder
    assert run.config["resolved"]["latent_dim"] == 3
    assert pf.load(run.path, **own).model.prior is own["prior"]


def test_latent_dimensions_must_be_those_of_the_own_prior():
    """A number that contradicts the prior is refused, and not ignored; the prior's own number is fine."""
    spec = open_dataset("digits").spec
    assert RECIPES["wae-mmd"](spec, prior=NormalPrior(3), latent_dim=3).settings.latent_dim == 3
    with pytest.raises(ConfigError, match="latent_dim must be 3, as of the prior, got 8"):
        RECIPES["wae-mmd"](spec, prior=NormalPrior(3), latent_dim=8)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"discrepancy": 5}, "discrepancy must be a name or a Discrepancy, got int"),
        ({"cost": nn.Identity()}, "cost must be a name or a Cost, got Identity"),
        ({"encoder": "mlp"}, "encoder must be a Module, got str"),
        ({"discrepancy": "mmmd"}, "unknown discrepancy 'mmmd': did you mean 'mmd'"),
    ],
)
def test_parts_of_another_type_are_refused(options, words, tmp_path):
    with pytest.raises(ConfigError, match=words):
        pf.train("wae", "digits", out=tmp_path / "run", progress=False, **options)
    assert not (tmp_path / "run").exists()


# ------------------------------------------------------------------------------------------ own models


def model():
    torch.manual_seed(2)
    encoder = DeterministicEncoder(nn.Sequential(nn.Flatten(), nn.Linear(64, 4)))
    decoder = nn.Sequential(nn.Linear(4, 64), nn.Unflatten(1, (1, 8, 8)))
    return WAE(NormalPrior(4), decoder, encoder, discrepancy(True), Cubed(), weight=2.0)


def training(batch_size=50):
    return Training(batch_size, {name: adam(1e-3) for name in ("model", "critic")})


def test_own_model(tmp_path, monkeypatch):
    """Trained, stopped and resumed to the last bit, evaluated, loaded, and the same call again finds it."""
    options = dict(steps=8, progress=False)
    whole = pf.train(model(), "digits", training=training(), out=tmp_path / "whole", **options)
    assert (whole.config["recipe"], whole.config["own"]) == ("WAE", ["model", "training"])
    interrupted_at(
        5,
        monkeypatch,
        lambda: pf.train(model(), "digits", training=training(), out=tmp_path / "half", **options),
    )
    half = pf.resume(tmp_path / "half", model=model(), training=training(), progress=False)
    assert same_weights(whole, half)
    again = pf.load(tmp_path / "half", model=model())
    assert torch.equal(again.sample(3), whole.sample(3))
    assert "samples" in again.evaluate(n_samples=50, features="pca", metrics=("samples", "objective"))
    assert pf.train(model(), "digits", training=training(), out=tmp_path / "half", **options).step == 8
    with pytest.raises(OutputError, match="holds another run"):
        pf.train(model(), "digits", training=training(25), out=tmp_path / "half", **options)
    with pytest.raises(ConfigError, match="began with batch_size 50, got 25"):
        pf.resume(tmp_path / "half", model=model(), training=training(25), progress=False)
    with pytest.raises(ConfigError, match=r"pass them again, in Python: model=..., training=...$"):
        pf.resume(tmp_path / "half")


def test_own_model_without_training(tmp_path):
    run = pf.train(model(), "digits", out=tmp_path / "run", steps=2, progress=False)
    assert run.config["own"] == ["model"]
    assert (run.config["resolved"]["n_labels"], run.config["resolved"]["paired_fraction"]) == (None, 0.0)
    assert pf.resume(run.path, model=model(), progress=False).step == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"recipe": 3}, "recipe must be a name or a Model, got int"),
        ({"recipe": model(), "weight": 2.0}, "a model of your own has no options, got weight"),
        ({"recipe": model(), "training": Training(10, {})}, "no optimizer|there is none for model, critic"),
        ({"recipe": "ae", "training": Training(10, {})}, "training is for models of your own"),
    ],
)
def test_models_that_cannot_be_trained(arguments, words, tmp_path):
    with pytest.raises(ConfigError, match=words):
        pf.train(data="digits", out=tmp_path / "run", progress=False, **arguments)


def test_a_recipe_of_one_s_own_is_trained_by_its_name(tmp_path):
    """A declaration anywhere enters the registry; it has a summary, a family and options."""
    settings = RECIPES["ae"].settings

    @recipe(
        "tiny-ae",
        family="My own",
        settings=settings,
        presets={"small": RECIPES["ae"].presets["small"]},
        options=("latent_dim",),
    )
    def tiny_ae(spec, settings, own) -> Setup:
        """A small auto-encoder."""
        return RECIPES["ae"].build(spec, settings, own)

    try:
        assert (tiny_ae.summary, tiny_ae.family) == ("A small auto-encoder.", "My own")
        run = pf.train("tiny-ae", "digits", out=tmp_path / "run", latent_dim=2, steps=2, progress=False)
        assert pf.load(run.path).model.prior.latent_dim == 2
        assert json.loads((run.path / "config.json").read_text())["recipe"] == "tiny-ae"
    finally:
        del RECIPES["tiny-ae"]


def test_data_are_described_by_a_spec():
    with pytest.raises(ConfigError, match=r"ae expects a DataSpec, such as Dataset.spec, got Dataset"):
        RECIPES["ae"](open_dataset("digits"))
