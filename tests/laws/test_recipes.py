"""What every recipe owes: it says what it can be told, and takes nothing else."""

import inspect
import re

import pytest

from pushforward.data import open_dataset
from pushforward.recipes import RECIPES

everyone = pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)


@everyone
def test_each_argument_is_explained_once(recipe):
    words = inspect.getdoc(recipe).partition("Arguments:\n")[2].partition("\n\n")[0]
    explained = re.findall(r"^    (\w+): ", words, re.MULTILINE)
    assert explained == list(inspect.signature(recipe).parameters)


@everyone
def test_what_it_cannot_be_told_is_refused(recipe):
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        recipe(open_dataset("digits"), colour="red")
