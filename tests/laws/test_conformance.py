"""Every recipe passes the conformance suite, and every check of it finds a model that breaks its promise."""

import itertools

import numpy as np
import pytest
import torch
from speed import quick
from torch import nn

from pushforward import (
    IMQ,
    MMD,
    WAE,
    DeterministicEncoder,
    JensenShannon,
    NormalPrior,
    check_model,
    check_recipe,
)
from pushforward.conformance.model_checks import MODEL_CHECKS
from pushforward.conformance.recipe_checks import RECIPE_CHECKS
from pushforward.data import open_dataset
from pushforward.errors import ConfigError, ConformanceError
from pushforward.models.base import Player
from pushforward.recipes import RECIPES, Recipe
from pushforward.recipes.build import finish
from pushforward.recipes.parts import assemble
from pushforward.recipes.presets import small
from pushforward.recipes.settings import AutoEncoderSettings

NAMES = [check.__name__ for check in (*RECIPE_CHECKS, *MODEL_CHECKS)]
WIDTH, LATENT = 5, 2

# One recipe of each family every day; all of them, with the data that they are for, in the slow tests.
DAILY = {
    "wae-mmd": {"weight": "auto"},
    "vae": {"cost": "gaussian-learnt"},
    "aae": {},
    "gmmn-ae": {},
    "gmmn": {},
}


def two_classes():
    """Digits 0 and 1, for recipes that need two labels."""
    data = open_dataset("digits")
    rows = data.train.y < 2
    return data.train.x[rows].numpy(), data.train.y[rows].numpy()


@pytest.mark.parametrize("name", quick(RECIPES, *DAILY))
def test_every_recipe_passes(name):
    assert list(check_recipe(name, **DAILY.get(name, {}))) == NAMES


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("gan", {"network": "mlp"}),
        ("transfer-ae", {"network": "mlp"}),
        pytest.param("wae-gan", {"input_noise": 0.1, "posterior": "gaussian"}, marks=pytest.mark.slow),
        pytest.param("vae", {"warmup": 4, "free_bits": 0.1}, marks=pytest.mark.slow),
        pytest.param("ae", {"conditional": True}, marks=pytest.mark.slow),
        pytest.param("aae-semi-supervised", {"n_labels": 20}, marks=pytest.mark.slow),
        pytest.param("wae-mmd", {"posterior": "implicit"}, marks=pytest.mark.slow),
        pytest.param("dcgan", {"network": "conv"}, marks=pytest.mark.slow),
    ],
)
def test_recipes_pass_with_options(name, arguments):
    data = two_classes() if name == "transfer-ae" else None
    assert list(check_recipe(name, data, **arguments)) == NAMES


def test_an_unknown_recipe_or_option_is_refused():
    with pytest.raises(ConfigError, match="unknown recipe 'vea': did you mean 'vae'"):
        check_recipe("vea")
    with pytest.raises(ConfigError, match="vae has no option 'colour'"):
        check_recipe("vae", colour="red")
    with pytest.raises(ConfigError, match="model must be a Model, got str"):
        check_model("vae")


# ------------------------------------------------------------------------------- models that break a promise


class Sound(WAE):
    """A model that keeps every promise; each subclass breaks one."""

    def __init__(self):
        torch.manual_seed(0)
        encoder = DeterministicEncoder(nn.Linear(WIDTH, LATENT))
        super().__init__(NormalPrior(LATENT), nn.Linear(LATENT, WIDTH), encoder, self.compared(), weight=1.0)

    def compared(self):
        return MMD(IMQ(4.0))


class Critical(Sound):
    def compared(self):
        return JensenShannon(nn.Linear(LATENT, 1))


class LeavesOut(Sound):
    breaks = (
        "every_parameter_has_a_player: expected a player for every parameter, found none for decoder.bias"
    )

    def players(self):
        for player in super().players():
            kept = tuple(p for p in player.parameters if p is not self.decoder.bias)
            yield Player(player.name, player.loss, kept)


class Shares(Critical):
    breaks = "a_critic_shares_no_parameter: expected one player for each parameter of .*, found model, critic"

    def players(self):
        model, critic = super().players()
        yield Player(model.name, model.loss, model.parameters + critic.parameters)
        yield critic


class WrongShape(Sound):
    breaks = r"outputs_have_the_shapes_of_data: expected encode to give \(\(64, 2\), torch.float32\), found"

    def encode(self, x, noise=None, y=None):
        return super().encode(x, noise, y).unsqueeze(1)


class NotFinite(Sound):
    breaks = "losses_are_finite_scalars: expected scaled on equal rows to be one finite torch.float32, found"

    def regularisers(self, s):
        return {"scaled": 1 / s.x.std(0).sum()}


class Steep(Sound):
    breaks = (
        "gradients_are_finite: expected finite gradients of the player model on equal rows, found not encoder"
    )

    def regularisers(self, s):
        return {"spread": (s.Ex - s.Ex.mean(0)).square().sum().sqrt()}


class Meddles(Critical):
    breaks = "a_player_changes_its_parameters_alone: .*the player critic .* found decoder.weight changed"

    def critic_loss(self, comparison, s):
        if self.training:
            with torch.no_grad():
                self.decoder.weight.mul_(0.9)
        return super().critic_loss(comparison, s)


class Counts(Sound):
    breaks = "evaluation_changes_nothing: expected encode to change no state in .*, found asked changed"

    def __init__(self):
        super().__init__()
        self.register_buffer("asked", torch.zeros(()))

    def encode(self, x, noise=None, y=None):
        self.asked += 1
        return super().encode(x, noise, y)


class Differentiates(Sound):
    breaks = "outputs_need_no_gradients: RuntimeError: element 0 of tensors does not require grad"

    def decode(self, z, y=None):
        made = super().decode(z, y)
        torch.autograd.grad(made.sum(), self.decoder.weight, retain_graph=True)
        return made


class Centres(Sound):
    breaks = "rows_do_not_see_their_neighbours: expected codes of rows that are independent"

    def encode(self, x, noise=None, y=None):
        codes = super().encode(x, noise, y)
        return codes - codes.mean(0)


class DrawsByCount(Sound):
    breaks = "fewer_samples_are_the_first_of_more: expected the first 4 samples to be the same of 9 as alone"

    def sample(self, n, noise, y=None, prior=None):
        return super().sample(n, noise(n), y, prior)


class DrawsGlobally(Sound):
    breaks = (
        "no_global_random_numbers: expected the loss .* in training mode .* numbers taken from that of numpy"
    )

    def regularisers(self, s):
        return {"noise": s.Ex.sum() * 1e-9 * np.random.rand()}


class LogsNothing(Sound):
    breaks = "diagnostics_are_finite_scalars: expected the diagnostic ratio to be one finite number"

    def diagnostics(self, s):
        return {"ratio": torch.tensor(torch.nan)}


class RemembersRuns(Sound):
    breaks = "the_seed_decides_every_bit: expected the same bits from the same seed, found others in model/"
    asked = itertools.count()

    def reconstruction_terms(self, s):
        return {
            name: value * (1 + next(self.asked) / 100)
            for name, value in super().reconstruction_terms(s).items()
        }


class HidesState(Sound):
    breaks = (
        "a_resumed_run_is_the_same_run: expected 3 steps and 3 more to be 6 steps, found other bits in model/"
    )
    steps = 0

    def update_state(self, s, step, lr_factor):
        super().update_state(s, step, lr_factor)
        self.steps += 1

    def regularisers(self, s):
        return {"pull": self.steps * s.Ex.square().mean()}


BROKEN_MODELS = [LeavesOut, Shares, WrongShape, NotFinite, Steep, Meddles, Counts, Differentiates, Centres]
BROKEN_MODELS += [DrawsByCount, DrawsGlobally, LogsNothing, RemembersRuns, HidesState]
ROWS = torch.rand(80, WIDTH, generator=torch.Generator().manual_seed(0))


def test_a_sound_model_passes():
    for model in (Sound(), Critical()):
        before = {name: value.clone() for name, value in model.state_dict().items()}
        assert check_model(model) == check_model(model, ROWS)
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("broken", BROKEN_MODELS)
def test_a_broken_model_is_found_by_the_check_of_its_promise(broken):
    with pytest.raises(ConformanceError, match=f"^{broken.__name__} fails {broken.breaks}"):
        check_model(broken(), ROWS)


def test_state_that_is_not_saved_is_found():
    class Forgets(Sound):
        def __init__(self):
            super().__init__()
            self.register_buffer("pull", torch.zeros(()), persistent=False)

        def update_state(self, s, step, lr_factor):
            self.pull += 1

        def regularisers(self, s):
            return {"pull": self.pull * s.Ex.square().mean()}

    with pytest.raises(ConformanceError, match=r"is there state that state_dict\(\) does not have\?"):
        check_model(Forgets())


# ------------------------------------------------------------------------------ recipes that break a promise


def build(spec, settings, own, describe="the usual"):
    """A recipe that keeps every promise."""
    parts = assemble(settings, spec, own)
    return finish(parts.build(WAE, MMD(IMQ(4.0)), weight=1.0), spec, settings, describe)


def two_lines(spec, settings, own):
    """A recipe whose description has two lines."""
    return build(spec, settings, own, "one\ntwo")


def without_a_sentence(spec, settings, own):
    """a recipe without a sentence"""
    return build(spec, settings, own)


def by_numpy(spec, settings, own):
    """A recipe whose first weights come from numpy's generator."""
    setup = build(spec, settings, own)
    next(setup.model.parameters()).data.mul_(np.random.rand())
    return setup


class Lossy(AutoEncoderSettings):
    """Settings that a file changes."""

    def as_json(self):
        return super().as_json() | {"lr": round(self.lr, 1) + 1}


class Lenient(Recipe):
    """A recipe that ignores options that it does not know."""

    def split(self, arguments):
        known = {one.name for one in self.options}
        return super().split({name: value for name, value in arguments.items() if name in known})


BROKEN_RECIPES = {
    "every_option_has_a_help_text: expected a docstring that begins with a sentence": (
        without_a_sentence,
        {},
    ),
    "the_description_is_one_line: expected a description of one line, found 'one": (two_lines, {}),
    r"what_it_does_not_know_is_refused: expected a ConfigError for \{'no_such_option'": (
        build,
        {"kind": Lenient},
    ),
    "settings_survive_a_file: expected settings of small that survive .* found changes in lr": (
        build,
        {"settings": Lossy},
    ),
    "building_is_repeatable: expected no random numbers of others than torch, found numbers of numpy": (
        by_numpy,
        {},
    ),
}


@pytest.mark.parametrize("message", BROKEN_RECIPES)
def test_a_broken_recipe_is_found_by_the_check_of_its_promise(message, monkeypatch):
    function, more = BROKEN_RECIPES[message]
    kind, settings = more.get("kind", Recipe), more.get("settings", AutoEncoderSettings)
    presets = {"small": lambda spec: small(spec)}
    made = kind("own", "Own", settings, presets, ["latent_dim", "lr"], ["encoder"], function)
    monkeypatch.setitem(RECIPES, "own", made)
    with pytest.raises(ConformanceError, match=f"^own fails {message}"):
        check_recipe("own")


def test_every_check_has_been_seen_to_fail():
    messages = [*BROKEN_RECIPES, *(broken.breaks for broken in BROKEN_MODELS)]
    assert [message.partition(":")[0] for message in messages] == NAMES
