"""The code in the documents runs and does what they say, and links lead somewhere."""

import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from blank import blank_figures
from registries import registries_restored
from torch import nn

import pushforward as pf
from pushforward.cli.application import app
from pushforward.distributions import DeterministicEncoder, NormalPrior
from pushforward.errors import ConformanceError, DataError
from pushforward.evaluation import EvaluationContext
from pushforward.evaluation.registry import evaluate
from pushforward.networks import mlp
from pushforward.rng import Noise
from pushforward.square import Square

ROOT = Path(__file__).parents[1]


def blocks(name):
    return re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), flags=re.DOTALL)


EXTEND = sorted((ROOT / "docs" / "extend").glob("*.md"))


@pytest.fixture(scope="module")
def contributed(tmp_path_factory):
    """What each page of docs/extend defines, by name; modules and registrations are removed afterwards."""
    pages, modules = {}, []
    with pytest.MonkeyPatch.context() as monkeypatch, registries_restored(), blank_figures():
        for page in EXTEND:
            monkeypatch.chdir(tmp_path_factory.mktemp(page.stem))
            module = ModuleType(f"extend_{page.stem.replace('-', '_')}")
            sys.modules[module.__name__] = module
            modules.append(module.__name__)
            for block in blocks(page):
                exec(block.replace("steps=2000", "steps=2, progress=False"), vars(module))
            pages[page.stem] = vars(module)
        yield pages
    for name in modules:
        del sys.modules[name]


def test_the_discrepancy(contributed):
    energy = contributed["discrepancy"]["EnergyDistance"]()
    noise = Noise(0)
    q, p = noise("q").normal(500, 3), noise("p").normal(500, 3)
    assert abs(energy(q, p)) < 0.05
    # Between two point masses at distance r the energy distance is 2r.
    assert energy(torch.zeros(4, 1), torch.full((4, 1), 3.0)) == 6


def test_the_adversarial_discrepancy(contributed):
    variation = contributed["adversarial-discrepancy"]["TotalVariation"](nn.Linear(1, 1))
    with torch.no_grad():
        variation.critic.weight.fill_(100.0)  # nearly the sign, the best critic of samples next to 0
        variation.critic.bias.zero_()
    made, given = torch.tensor([[-1.0], [-2.0], [1.0], [-3.0]]), torch.tensor([[1.0], [2.0], [3.0], [-1.0]])
    assert variation.critic_objective(made, given).item() == pytest.approx(0.5)


def test_the_model(contributed):
    """The cycle term of a decoder and an encoder that invert each other is 0; the other terms are a WAE's."""
    prior = NormalPrior(2)
    parts = (
        prior,
        nn.Identity(),
        DeterministicEncoder(nn.Identity()),
        pf.MMD(pf.IMQ(prior.expected_sq_distance)),
    )
    x = torch.randn(8, 2, generator=torch.Generator().manual_seed(0))
    plain = pf.WAE(*parts)
    square = Square(plain, x, Noise(0))
    terms = contributed["model"]["CyclicWAE"](*parts, cycle_weight=3.0).formula(square)
    assert terms.pop("cycle") == 0
    assert terms == plain.formula(square)


def test_the_recipe(contributed, tmp_path):
    run = pf.train("cyclic-wae", "digits", cycle_weight=2.0, steps=1, out=tmp_path / "run", progress=False)
    assert run.model.cycle_weight == 2
    assert pf.load(run.path).model.cycle_weight == 2
    lines = next(block for block in blocks("docs/extend/recipe.md") if "@recipe" in block).splitlines()
    assert len([line for line in lines if line]) <= 30


def test_the_metric(contributed):
    prior = NormalPrior(2)
    model = pf.AutoEncoder(prior, mlp(2, 5, [8]), DeterministicEncoder(mlp(5, 2, [8]))).eval()
    context = EvaluationContext(model, pf.open_dataset(torch.rand(50, 5)), "pixels")
    found = evaluate(context, ["code_norm"])["code_norm"]
    assert found["codes"] == pytest.approx(context.encoded.codes.norm(dim=1).mean().item())
    assert found["prior"] > 0


def test_the_data_format(contributed, tmp_path):
    rows = np.arange(60.0).reshape(20, 3)
    np.savetxt(tmp_path / "table.dat", rows, header="a b c", comments="")
    data = pf.open_dataset(tmp_path / "table.dat")
    assert sorted(torch.cat([data.train.x, data.test.x]).flatten().tolist()) == rows.flatten().tolist()
    (tmp_path / "names.dat").write_text("a b\n1 2\nx y\n")
    with pytest.raises(DataError, match=r"names\.dat: expected lines of numbers, found"):
        pf.open_dataset(tmp_path / "names.dat")


def test_the_command(contributed, tmp_path, capsys):
    run = pf.train("wae-mmd", "digits", steps=1, out=tmp_path / "run", progress=False)
    app(["size", str(run.path)], exit_on_error=False, result_action="return_value")
    assert int(capsys.readouterr().out) == sum(parameter.numel() for parameter in run.model.parameters())


def test_own_parts(contributed):
    discrepancy, cost = contributed["index"], contributed["cost"]
    assert type(discrepancy["run"].model.discrepancy) is discrepancy["MyDiscrepancy"]
    assert type(cost["run"].model.cost) is cost["MyCost"]
    assert discrepancy["run"].step == cost["run"].step == 2


def test_the_prior(contributed):
    """The Laplace distribution of variance 1 has a fourth moment of 6, and its draws follow the noise."""
    prior = contributed["prior"]["LaplacePrior"](3)
    draws = prior.draw(40_000, Noise(0)).double()
    assert draws.square().mean() == pytest.approx(1, abs=0.03)
    assert draws.pow(4).mean() == pytest.approx(6, rel=0.1)
    assert torch.equal(prior.draw(5, Noise(0)), prior.draw(40_000, Noise(0))[:5])


def test_the_features(contributed):
    """An image of one level of grey has all pixels in one bin."""
    counts = contributed["features"]["Histogram"]()(torch.full((2, 1, 4, 4), 0.25))
    assert counts.tolist() == [[0, 0, 16, 0, 0, 0, 0, 0, 0, 0]] * 2


def test_a_model_of_your_own_is_checked(contributed):
    """The page checks a sound model; the check finds one whose loss is not a scalar."""
    pf.check_recipe(
        "wae", discrepancy=contributed["index"]["MyDiscrepancy"](), cost=contributed["cost"]["MyCost"]()
    )
    model = contributed["model"]["small"]
    model.cycle_weight = torch.ones(2)
    with pytest.raises(
        ConformanceError, match=r"CyclicWAE fails losses_are_finite_scalars: .*cycle on 2 rows"
    ):
        pf.check_model(model)


PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
DOCS = [str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("name", [*PAGES, *DOCS])
def test_links_lead_somewhere(name):
    page = ROOT / name
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target.partition("#")[0]).exists(), f"{name}: {target}"
