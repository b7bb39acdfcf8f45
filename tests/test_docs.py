"""What the documents show runs, and is what they say."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn

import pushforward as pf
from pushforward.distributions import DeterministicEncoder, GaussianEncoder, NormalPrior
from pushforward.errors import ConfigError
from pushforward.evaluation import SECTIONS, Evidence, judge
from pushforward.networks import mlp
from pushforward.randomness import Noise
from pushforward.square import Square

ROOT = Path(__file__).parents[1]


def blocks(name):
    return re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), flags=re.DOTALL)


@pytest.fixture(scope="module")
def contributed():
    """Everything that CONTRIBUTING.md defines."""
    names = {}
    before = dict(SECTIONS)
    for block in blocks("CONTRIBUTING.md"):
        exec(block, names)
    yield names
    SECTIONS.clear()
    SECTIONS.update(before)


def test_the_discrepancy_in_ten_lines(contributed):
    energy = contributed["Energy"]()
    noise = Noise(0)
    q, p = noise("q").normal(500, 3), noise("p").normal(500, 3)
    assert abs(energy(q, p)) < 0.05
    # Between two points at distance r from a point mass each, the energy distance is 2r.
    assert energy(torch.zeros(4, 1), torch.full((4, 1), 3.0)) == 6


def test_the_game_in_three_lines(contributed):
    game = contributed["LeastSquares"](nn.Linear(2, 1))
    with torch.no_grad():
        game.critic.weight.zero_()
        game.critic.bias.fill_(0.5)  # the best critic of two equal laws
    assert game.advantage(torch.randn(5, 2), torch.randn(5, 2)) == -0.25


def test_the_model_in_twenty_lines(contributed):
    info_vae = contributed["InfoVAE"]

    def build(alpha, weight):
        torch.manual_seed(0)
        prior = NormalPrior(2)
        parts = prior, mlp(2, 5, [8]), GaussianEncoder(mlp(5, 4, [8]))
        return info_vae(*parts, match=pf.MMD(pf.IMQ(4.0)), cost=pf.SquaredError(), alpha=alpha, weight=weight)

    x = torch.rand(20, 5)
    terms = build(0.0, 1.0).formula(Square(build(0.0, 1.0), x, Noise(0)))
    assert set(terms) == {"cost", "match", "kl"}
    assert terms["match"] == 0  # alpha = 0, weight = 1 is the VAE
    with pytest.raises(ConfigError, match=r"weight must be a number of at least 0, got -0\.999"):
        build(0.0, 0.001)


def test_the_section(contributed):
    prior = NormalPrior(2)
    model = pf.AutoEncoder(prior, mlp(2, 5, [8]), DeterministicEncoder(mlp(5, 2, [8]))).eval()
    data = pf.open_dataset(torch.rand(50, 5))
    found = judge(Evidence(model, data, "pixels"), ["radius"])["radius"]
    assert found["prior"] > 0
    assert found["codes"] > 0


def test_the_model_of_the_readme():
    (code,) = [block for block in blocks("README.md") if "pf.WAE" in block]
    names = {"pf": pf}
    exec(code, names)
    model = names["model"]
    assert isinstance(model.encoder, DeterministicEncoder)
    assert model.sample(3, Noise(0)).shape == (3, 1, 28, 28)


@pytest.mark.parametrize(
    "name", ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/results/README.md"]
)
def test_links_lead_somewhere(name):
    page = ROOT / name
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{name}: {target}"
