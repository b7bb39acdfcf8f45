"""What the documents show runs, and is what they say."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn

import pushforward as pf
from pushforward.distributions import DeterministicEncoder, NormalPrior
from pushforward.evaluation import METRICS, EvaluationContext, evaluate
from pushforward.networks import mlp
from pushforward.rng import Noise
from pushforward.square import Square

ROOT = Path(__file__).parents[1]


def blocks(name):
    return re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), flags=re.DOTALL)


@pytest.fixture(scope="module")
def contributed():
    """Everything that CONTRIBUTING.md defines."""
    names = {}
    before = dict(METRICS)
    for block in blocks("CONTRIBUTING.md"):
        exec(block, names)
    yield names
    METRICS.clear()
    METRICS.update(before)


def test_the_discrepancy_in_ten_lines(contributed):
    energy = contributed["Energy"]()
    noise = Noise(0)
    q, p = noise("q").normal(500, 3), noise("p").normal(500, 3)
    assert abs(energy(q, p)) < 0.05
    # Between two points at distance r from a point mass each, the energy distance is 2r.
    assert energy(torch.zeros(4, 1), torch.full((4, 1), 3.0)) == 6


def test_the_game_in_three_lines(contributed):
    game = contributed["TotalVariation"](nn.Linear(1, 1))
    with torch.no_grad():
        game.critic.weight.fill_(100.0)  # nearly the sign, the best critic of what lies left and right of 0
        game.critic.bias.zero_()
    made, given = torch.tensor([[-1.0], [-2.0], [1.0], [-3.0]]), torch.tensor([[1.0], [2.0], [3.0], [-1.0]])
    assert game.critic_objective(made, given).item() == pytest.approx(0.5)


def test_the_model_in_ten_lines(contributed):
    """Weight 0 leaves the WAE; a decoder and an encoder that invert each other pay nothing to come back."""
    prior = NormalPrior(2)
    parts = (
        prior,
        nn.Identity(),
        DeterministicEncoder(nn.Identity()),
        pf.MMD(pf.IMQ(prior.expected_sq_distance)),
    )
    x = torch.randn(8, 2, generator=torch.Generator().manual_seed(0))
    terms = contributed["CyclicWAE"](*parts, back=3.0).formula(Square(pf.WAE(*parts), x, Noise(0)))
    assert terms["back"] == 0
    plain = pf.WAE(*parts)
    square = Square(plain, x, Noise(0))
    assert terms["discrepancy"] == plain.formula(square)["discrepancy"]


def test_the_section(contributed):
    prior = NormalPrior(2)
    model = pf.AutoEncoder(prior, mlp(2, 5, [8]), DeterministicEncoder(mlp(5, 2, [8]))).eval()
    data = pf.open_dataset(torch.rand(50, 5))
    found = evaluate(EvaluationContext(model, data, "pixels"), ["radius"])["radius"]
    assert found["prior"] > 0
    assert found["codes"] > 0


def test_the_model_of_the_readme():
    (code,) = [block for block in blocks("README.md") if "pf.WAE" in block]
    names = {"pf": pf}
    exec(code.split("run = pf.train")[0], names)
    model = names["model"]
    assert isinstance(model.encoder, DeterministicEncoder)
    assert model.sample(3, Noise(0)).shape == (3, 1, 8, 8)


PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
DOCS = [str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("name", [*PAGES, *DOCS])
def test_links_lead_somewhere(name):
    page = ROOT / name
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{name}: {target}"
