"""The readable script is the oracle of the general loop."""

import importlib.util
from pathlib import Path

import pytest
import torch

from pushforward.data import open_dataset
from pushforward.recipes import RECIPES
from pushforward.rng import Noise
from pushforward.training import Loop

SCRIPTS = Path(__file__).parents[2] / "examples" / "from_scratch"


@pytest.mark.parametrize("recipe", ["wae-mmd", "wae-gan"])
def test_the_library_gives_the_numbers_of_the_plain_script(recipe):
    path = SCRIPTS / f"{recipe.replace('-', '_')}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    expected = script.train(40)

    data = open_dataset("digits")
    torch.manual_seed(Noise(0, "weights").integer())
    built = RECIPES[recipe](data.spec)
    assert float(built.model.weight) == pytest.approx(script.WEIGHT)
    loop = Loop(built.model, data.train, built.training, total=6000, seed=0)
    found = [tuple(value.item() for value in loop.advance()[0].values()) for _ in range(40)]
    assert torch.tensor(found).allclose(torch.tensor(expected), rtol=1e-3, atol=1e-4)
