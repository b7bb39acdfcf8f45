"""Plans: what they say, that nothing is left of the steps they measure, and what is refused."""

import inspect
import json
import re

import pytest
import torch

import pushforward as pf
from pushforward.errors import ConfigError

PLAN = {"world_size": [1, 2], "gpus": [], "threads": 1, "progress": False}


@pytest.fixture(scope="module")
def plan():
    return pf.plan("wae-mmd", "digits", latent_dim=4, batch_size=40, steps=500, **PLAN | {"gpus": [8, 64]})


def test_a_plan_counts_the_model_that_is_trained(plan, tmp_path):
    run = pf.train("wae-mmd", "digits", latent_dim=4, steps=1, out=tmp_path / "run", progress=False)
    assert plan.parameters == {"model": sum(parameter.numel() for parameter in run.model.parameters())}
    weights = sum(value.nbytes for value in run.model.state_dict().values())
    assert plan.memory[1].weights == weights
    moments = 2 * 4 * plan.parameters["model"]
    assert weights + moments < plan.checkpoint_bytes < 1.1 * (weights + moments)


def test_times_add_up(plan):
    alone, two = plan.here
    assert (alone.world_size, alone.rows, alone.waiting) == (1, 40, 0)
    assert (two.world_size, two.rows) == (2, 20)
    assert two.step == two.computing + two.waiting > two.computing
    assert plan.steps == 500
    assert 0 < plan.discrepancy_share < 1
    few, many = plan.there
    assert few.epoch(1e9) > many.epoch(1e9) > few.epoch(1e9) / 8  # some of their time is spent waiting
    assert many.epoch(2e9) == 2 * many.epoch(1e9)


def test_a_plan_prints_as_tables(plan):
    printed = repr(plan)
    assert "wae-mmd on digits: 1,438 training rows of shape (1, 8, 8), batch size 40, fp32" in printed
    assert "500 steps" in printed
    assert "Assumptions:" in printed
    assert max(map(len, printed.splitlines()[:-5])) <= 110


def test_nothing_is_written_and_random_numbers_of_the_caller_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = torch.get_rng_state()
    pf.plan("vae", "digits", preset="small", **PLAN | {"world_size": [1]})
    assert torch.equal(torch.get_rng_state(), before)
    assert not list(tmp_path.iterdir())


def test_a_budget_in_time_has_the_steps_of_one_process():
    found = pf.plan("vae", "digits", minutes=2, **PLAN)
    assert found.here[0].step * found.steps == pytest.approx(120, rel=0.01)


def test_few_labels_and_few_rows_have_a_plan():
    rows = torch.rand(60, 1, 8, 8), torch.arange(60) % 3
    found = pf.plan("aae-semi-supervised", rows, n_labels=30, batch_size=20, **PLAN | {"world_size": 2})
    assert found.here[1].rows == 10
    assert found.memory[1].gradients <= found.memory[1].weights  # though players share the encoder
    assert found.memory[1].moments > 2 * found.memory[1].weights


def test_labels_that_processes_cannot_share_are_refused_as_in_training():
    words = (
        "n_labels must be a multiple of the number of processes, 4, or at least the batch size, 20, got 10"
    )
    rows = torch.rand(60, 1, 8, 8), torch.arange(60) % 3
    options = {"recipe": "aae-semi-supervised", "data": rows, "n_labels": 10, "batch_size": 20}
    with pytest.raises(ConfigError, match=words):
        pf.plan(**options, **PLAN | {"world_size": 4})
    assert [one.world_size for one in pf.plan(**options, **PLAN | {"world_size": None}).here] == [1, 2]


def test_a_model_of_ones_own_has_a_plan_and_stays_as_it_is():
    prior = pf.NormalPrior(2)
    encoder = pf.DeterministicEncoder(torch.nn.Linear(6, 2))
    model = pf.AutoEncoder(prior, torch.nn.Linear(2, 6), encoder)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = pf.plan(model, torch.randn(100, 6), **PLAN)
    assert found.parameters == {"model": 12 + 2 + 12 + 6}
    assert found.discrepancy_share == 0
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"world_size": [3]}, "batch_size must be a multiple of the number of processes, 3, got 100"),
        ({"world_size": [0]}, "world_size must be at least 1, got 0"),
        ({"gpus": [2.5]}, "gpus must be a whole number"),
        ({"gpu": "h10"}, "unknown gpu 'h10': did you mean 'h100'"),
        ({"latency": 0.0}, r"latency must be in \[1e-09, 3600\], got 0"),
        ({"latency": "fast"}, "latency must be a number, got 'fast'"),
        ({"epoch_rows": 1.5}, "epoch_rows must be a whole number, got 1.5"),
        ({"gpus": 2.5}, "gpus must be a whole number, got 2.5"),
        ({"mtbf_hours": 1e-300}, r"mtbf_hours must be in \[1, 1e\+12\], got 1e-300"),
        ({"steps": 5, "epochs": 1.0}, "expected one budget"),
        ({"lattent_dim": 4}, "lattent_dim"),
        ({"recipe": "wae-mdm"}, "unknown recipe 'wae-mdm': did you mean 'wae-mmd'"),
    ],
)
def test_what_makes_no_sense_is_refused(options, words):
    with pytest.raises(ConfigError, match=words):
        pf.plan(**{"recipe": "wae-mmd", "data": "digits", **PLAN, **options})


NUMBERS = [
    name
    for name, one in inspect.signature(pf.plan).parameters.items()
    if re.search(r"\b(int|float)\b", one.annotation)
]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, 1e300, 1e-300, 10**400, True], ids=str)
def test_a_number_beyond_all_sense_is_refused(name, value, monkeypatch):
    if name == "seed" and value == 10**400:
        return  # any whole number is a seed
    if name in ("epochs", "minutes") and value == 1e-300:
        return  # which is one step

    def too_early(*_, **__):
        raise AssertionError("data were read")

    monkeypatch.setattr("pushforward.runs.planning.open_dataset", too_early)
    with pytest.raises(ConfigError, match=f"^{name} must be"):
        pf.plan("vae", "digits", **{**PLAN, name: value})


def test_the_numbers_of_plan_are_found():
    assert {*NUMBERS} == {
        "seed", "steps", "epochs", "minutes", "world_size", "latency", "bandwidth", "gpus", "epoch_rows",
        "mtbf_hours", "threads",
    }  # fmt: skip


def test_the_command_prints_the_plan_and_gives_it_to_programs(command):
    words = ["plan", "wae-mmd", "digits", "--latent-dim", "4", "--world-size", "1", "2", "--gpus", "8"]
    code, out, _ = command(*words)
    assert code == 0
    assert "rows on H100 GPUs" in out
    code, out, _ = command(*words, "--json", "--epoch-rows", "1000")
    found = json.loads(out)
    assert code == 0
    assert [one["world_size"] for one in found["here"]] == [1, 2]
    assert (found["epoch_rows"], found["gpu"]["name"]) == (1000, "H100")
    code, out, err = command("plan", "wae-mmd", "digits", "--world-size", "7")
    assert (code, out) == (78, "")
    assert err == "error: --batch-size must be a multiple of the number of processes, 7, got 100\n"
