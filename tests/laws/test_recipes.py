"""What every recipe must do: describe each of its options once, and accept no other."""

import inspect
import re
from dataclasses import FrozenInstanceError, dataclass

import pytest

from pushforward import options
from pushforward.data import open_dataset
from pushforward.errors import ConfigError
from pushforward.recipes import FAMILIES, RECIPES
from pushforward.recipes.settings import Settings

every_recipe = pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
SPEC = open_dataset("digits").spec


@every_recipe
def test_each_option_is_documented_once(recipe):
    words = inspect.getdoc(recipe).partition("Arguments:\n")[2].partition("\n\n")[0]
    documented = re.findall(r"^    (\w+): ", words, re.MULTILINE)
    assert documented == list(inspect.signature(recipe).parameters)
    assert all(option.help.endswith((".", ";")) for option in recipe.options)
    assert recipe.family in FAMILIES
    assert " ".join(inspect.getdoc(recipe).split()).startswith(recipe.summary)


@every_recipe
def test_unknown_options_and_presets_are_refused(recipe):
    with pytest.raises(ConfigError, match=f"{recipe.name} has no option 'colour'"):
        recipe(SPEC, colour="red")
    with pytest.raises(ConfigError, match=f"{recipe.name} has no preset 'large'"):
        recipe(SPEC, "large")


@every_recipe
def test_options_of_text_are_refused_for_images(recipe):
    for option in recipe.options:
        if option.modality == "text":
            with pytest.raises(ConfigError, match=f"{option.name} is for text data, digits is image data"):
                recipe(SPEC, **{option.name: 0.1})


@every_recipe
def test_values_of_another_type_are_refused(recipe):
    for option in recipe.options:
        if option.modality is None:
            with pytest.raises(ConfigError, match=f"{option.name} (must be|'|\\[)|unknown {option.name}"):
                recipe(SPEC, **{option.name: [1]})


@every_recipe
def test_settings_survive_their_way_through_a_file(recipe):
    import json

    for preset, values in recipe.presets.items():
        settings = recipe.settings(**values(SPEC))
        assert recipe.settings.from_json(json.loads(json.dumps(settings.as_json()))) == settings, preset
        assert set(options.types_of(recipe.settings)) == set(settings.as_json())


def test_a_whole_number_beyond_all_floats_is_refused():
    with pytest.raises(ConfigError, match=r"lr must be above 0, got 10{400}"):
        RECIPES["ae"].settings(latent_dim=3, lr=10**400)
    with pytest.raises(ConfigError, match=r"lr must be above 0, got -10{400}"):
        RECIPES["ae"].settings(latent_dim=3, lr=-(10**400))
    with pytest.raises(ConfigError, match=r"latent_dim must be between -10{18} and 10{18}, got 10{400}"):
        RECIPES["ae"].settings(latent_dim=10**400)


def test_a_setting_that_is_missing_in_a_file_has_its_default_or_is_named():
    settings = RECIPES["ae"].settings(latent_dim=3)
    values = settings.as_json()
    del values["lr"]
    assert RECIPES["ae"].settings.from_json(values) == settings
    del values["latent_dim"]
    with pytest.raises(ConfigError, match="a stored setting is missing: latent_dim"):
        RECIPES["ae"].settings.from_json(values)


def test_a_subclass_of_settings_is_a_frozen_dataclass():
    class Sized(Settings):
        size: int = options.option("How many.", 3, ge=1)

    assert Sized(latent_dim=2) == Sized(latent_dim=2, size=3) != Sized(latent_dim=2, size=4)
    with pytest.raises(FrozenInstanceError):
        Sized(latent_dim=2).size = 4
    with pytest.raises(ConfigError, match="size must be at least 1, got 0"):
        Sized(latent_dim=2, size=0)


@pytest.mark.parametrize("named", [{}, {"frozen": True, "kw_only": True}])
def test_a_second_decorator_on_settings_is_refused(named):
    """It would replace the options by their defaults, without help, range or choices."""
    with pytest.raises(ConfigError, match="Sized is a dataclass already, as all settings are; omit @data"):

        @dataclass(**named)
        class Sized(Settings):
            size: int = options.option("A size.", 3, ge=1)
