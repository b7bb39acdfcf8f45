"""Examples run, and say what is true."""

import importlib.util
import math
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def explorer():
    spec = importlib.util.spec_from_file_location("divergences", EXAMPLES / "divergences.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_two_segments_in_closed_form(explorer):
    """MMD² is .25169 at θ = .3 and h = ½; everything is 0 at θ = 0."""
    found = explorer.closed_forms(0.3)
    assert found["MMD²"] == pytest.approx(0.25169, abs=1e-5)
    assert (found["KL"], found["JS"], found["TV"], found["W1"]) == (math.inf, math.log(2), 1, 0.3)
    assert set(explorer.closed_forms(0.0).values()) == {0.0}


@pytest.mark.parametrize("theta", [-0.7, 0.0, 0.3])
def test_samples_say_the_same(explorer, theta):
    expected, found = explorer.closed_forms(theta), explorer.of_samples(theta)
    for name, value in found.items():
        assert value == pytest.approx(expected[name], abs=1e-3)


def test_the_table_of_divergences(explorer):
    """The bound with the best critic is the divergence: the values of T3."""
    expected = {
        "kl": 0.143841, "reverse-kl": 0.130812, "pearson": 0.333333, "squared-hellinger": 0.068148,
        "jensen-shannon": 0.067644, "gan": -1.318650,
    }  # fmt: skip
    for name, found in explorer.divergences().items():
        assert found == pytest.approx((expected[name], expected[name]), abs=1e-6), name


def test_the_picture_is_drawn(explorer, tmp_path, capsys, rendering):
    with rendering():
        explorer.main(str(tmp_path / "divergences.png"))
    assert "squared-hellinger" in capsys.readouterr().out
    assert (tmp_path / "divergences.png").stat().st_size > 10_000
