"""What lives on the device of a model is there in 32 bits, since some devices have no float64."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from pushforward import AutoWeight, torch_state
from pushforward.costs import GaussianLikelihood
from pushforward.data import open_dataset
from pushforward.distributions import Gaussian, NormalPrior
from pushforward.errors import ConfigError
from pushforward.metrics import likelihood
from pushforward.metrics.ais import annealed
from pushforward.models import Weight
from pushforward.recipes import RECIPES
from pushforward.rng import Noise
from pushforward.runs import devices
from pushforward.tables.distribution import draw
from pushforward.torch_state import float32_products, in_double, plain_torch, torch_seeded


def on_meta(model):
    """Everything of a model that moves when the model does."""
    model.to("meta")
    return [(name, x) for name, x in [*model.named_parameters(), *model.named_buffers()] if x.is_meta]


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_no_recipe_puts_float64_on_the_device(recipe):
    source = "phrases" if recipe.name == "arae" else (torch.rand(20, 1, 8, 8), torch.arange(20) % 2)
    moved = on_meta(recipe(open_dataset(source).spec).model)
    assert moved
    assert [name for name, x in moved if x.dtype == torch.float64] == []


@pytest.mark.parametrize(("without", "place"), [((), "meta"), (("meta",), "cpu")])
def test_an_automatic_weight_keeps_float64_where_its_model_is_or_on_the_cpu(without, place, monkeypatch):
    monkeypatch.setattr("pushforward.torch_state.WITHOUT_DOUBLE", without)
    weight = AutoWeight(NormalPrior(2), 16, start=3.0)
    holder = nn.Sequential(weight).half().to("meta")
    assert {x.dtype for x in weight._buffers.values()} == {torch.float64}
    assert {x.device.type for x in weight._buffers.values()} == {place}
    assert holder.state_dict().keys() >= {"0.log_value", "0.average", "0.longer"}


def test_a_weight_is_the_same_number_after_its_model_was_converted():
    assert float(nn.Sequential(Weight(0.1)).float().double()[0]) == float(Weight(0.1))


def test_cells_are_drawn_on_a_device_without_float64(monkeypatch):
    """Where a device has no float64, draws are those of the CPU."""
    monkeypatch.setattr("pushforward.torch_state.WITHOUT_DOUBLE", ("meta",))
    monkeypatch.setattr(torch.Tensor, "cpu", lambda x: torch.zeros(x.shape, dtype=x.dtype))
    assert in_double(torch.ones(3, device="meta")).device.type == "cpu"
    monkeypatch.undo()
    logits, u = torch.randn(50, 4), torch.rand(50)
    there = draw(logits, u)
    monkeypatch.setattr("pushforward.torch_state.WITHOUT_DOUBLE", ("cpu",))
    assert torch.equal(draw(logits, u), there)


def test_likelihoods_are_computed_on_a_device_without_float64(monkeypatch):
    """No tensor there becomes one of float64: its results have the type of the networks."""
    model = SimpleNamespace(
        prior=NormalPrior(2), decoder=nn.Linear(2, 5), encoder=lambda x: Gaussian(x[:, :2], 0 * x[:, :2])
    )
    monkeypatch.setattr(likelihood, "eval_mode", nullcontext)
    monkeypatch.setattr("pushforward.torch_state.WITHOUT_DOUBLE", ("cpu",))
    monkeypatch.setattr(likelihood, "in_double", lambda x: x)  # which takes numbers to the CPU
    observation = GaussianLikelihood(1.0)
    found = likelihood.importance_weighted(model, torch.rand(3, 5), 2, Noise(0), observation=observation)
    assert found.dtype == torch.float32
    found = annealed(model, torch.rand(3, 5), Noise(0), 3, 2, 2, observation=observation)
    assert found.dtype == torch.float32


@pytest.mark.parametrize(
    ("cuda", "mps", "broken", "found"),
    [
        (True, True, False, "cuda"),
        (False, True, False, "mps"),
        (False, True, True, "cpu"),
        (False, False, False, "cpu"),
    ],
)
def test_the_best_device_that_works_is_taken(cuda, mps, broken, found, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.setattr(devices, "works", lambda device: not broken)
    assert devices.find_device("auto") == found


@pytest.fixture
def third_of_four(monkeypatch):
    """The GPU that this process has chosen, of 4, as number 2 of the processes on its machine."""
    chosen = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    for name, value in {"WORLD_SIZE": "8", "RANK": "6", "LOCAL_RANK": "2"}.items():
        monkeypatch.setenv(name, value)
    return chosen


def test_each_process_of_torchrun_takes_a_gpu_of_its_own(third_of_four):
    """The name that is stored has no number: with it, a continued run would have all on one GPU."""
    assert devices.find_device("auto") == "cuda"
    assert third_of_four == [2]


def test_several_processes_do_not_share_the_gpu_that_a_run_began_on(third_of_four):
    with pytest.raises(ConfigError, match=r"must be cuda, of which each takes .* got cuda:0"):
        devices.find_device("cuda:0")
    with pytest.warns(UserWarning, match="it goes on on cuda"):
        assert devices.device_of_run(None, "cuda:0") == "cuda"


@pytest.mark.parametrize("device", ["auto", "cuda"])
@pytest.mark.parametrize("known", [{"LOCAL_WORLD_SIZE": "8"}, {"LOCAL_RANK": "7"}])  # torchrun, and others
def test_more_processes_than_gpus_are_refused(device, known, third_of_four, monkeypatch):
    """Else two would take one GPU, and NCCL fails later, with other words."""
    for name, value in known.items():
        monkeypatch.setenv(name, value)
    message = "there are 8 processes on this machine and 4 GPUs: start at most 4 here, or give device='cpu'"
    with pytest.raises(ConfigError, match=message):
        devices.find_device(device)
    with pytest.raises(ConfigError, match=message):  # and not: the run goes on on another device
        devices.device_of_run(None, "cuda")
    assert devices.find_device("cpu") == "cpu"


def test_a_process_by_itself_takes_the_first_gpu(third_of_four, monkeypatch):
    monkeypatch.delenv("WORLD_SIZE")
    assert devices.find_device("auto") == "cuda"
    assert not third_of_four


def test_a_local_rank_that_is_no_number_is_refused(third_of_four, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "two")
    with pytest.raises(ConfigError, match="LOCAL_RANK must be a whole number of at least 0, got 'two'"):
        devices.find_device("auto")


def test_a_device_that_fails_is_named():
    with pytest.warns(UserWarning, match="device 'meta' is there but cannot be used: "):
        assert not devices.works("meta")
    with pytest.raises(ConfigError, match="device 'meta' cannot be used"):
        devices.find_device("meta")


@pytest.mark.parametrize(("device", "own"), [("cuda", 1), ("cuda:2", 2)])
def test_generators_of_other_gpus_are_left_alone(device, own, monkeypatch):
    """Their states would be copied at each step, and other programs may draw from them."""
    generators = tuple(torch.Generator().manual_seed(number) for number in range(3))
    before = [generator.get_state() for generator in generators]
    monkeypatch.setattr(torch.cuda, "default_generators", generators)
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    with torch_seeded(7, device):
        assert generators[own].initial_seed() == 7
        drawn = torch.rand(3, generator=generators[own])
        assert torch.rand(3).equal(drawn)  # the CPU's is seeded as well
        others = set(range(3)) - {own}
        assert all(generators[other].get_state().equal(before[other]) for other in others)
    assert all(
        generator.get_state().equal(state) for generator, state in zip(generators, before, strict=True)
    )


def older():
    """What the older settings of torch say; reading them fails if the newer ones say otherwise."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    return matmul.allow_tf32, cudnn.allow_tf32, torch.get_float32_matmul_precision()


@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
def test_products_of_float32_are_float32s_whatever_torch_is_set_to(precision):
    """By default convolutions on a GPU round their factors to 10 bits."""
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(precision)
        outside, said = float32_products(), older()
        with plain_torch(), plain_torch():
            assert float32_products() == torch_state.EXACT
            assert older() == (False, False, "highest")
        assert (float32_products(), older()) == (outside, said)
    finally:
        torch.set_float32_matmul_precision(before)


def test_products_are_float32s_where_torchs_older_and_newer_settings_differ():
    before = float32_products()
    try:
        torch.backends.cuda.matmul.fp32_precision = "tf32"
        torch.backends.cudnn.conv.fp32_precision = "ieee"
        outside = float32_products()
        with pytest.raises(RuntimeError, match="mix"):
            older()
        with plain_torch():
            assert older() == (False, False, "highest")
        assert float32_products() == outside
    finally:
        torch_state.set_float32_products(before)
