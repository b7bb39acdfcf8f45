"""Networks in bfloat16: what is in it, what is not, and that every recipe trains."""

from contextlib import contextmanager

import pytest
import torch
from torch import nn
from torch.distributions import Independent, Normal

import pushforward as pf
from pushforward import distributed
from pushforward.data.split import Split
from pushforward.errors import ConfigError, OutputError
from pushforward.models import Player
from pushforward.networks.precision import LowPrecision, in_float32, in_precision
from pushforward.process_group import imitated
from pushforward.recipes import RECIPES
from pushforward.torch_state import torch_seeded
from pushforward.training import Loop
from pushforward.training.player_state import PlayerState, adam

ROWS = torch.rand(24, 1, 8, 8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(24) % 4
ON_IMAGES = [name for name in RECIPES if name != "transfer-ae"]


@contextmanager
def loop_of(recipe, precision="bf16", **options):
    data = pf.open_dataset((ROWS, LABELS))
    with torch_seeded(0):
        setup = RECIPES[recipe](data.spec, batch_size=8, **options)
    with in_precision(setup.model, precision):
        yield Loop(setup.model.train(), Split(ROWS, LABELS), setup.training, 10)


def test_a_product_has_eight_bits_in_training_and_all_in_evaluation():
    """1 + 1/256 is 1 in bfloat16, whose significand has 8 bits."""
    net = nn.Sequential(nn.Linear(1, 1, bias=False))
    nn.init.constant_(net[0].weight, 1 + 1 / 256)
    x = torch.ones(1, 1)
    with in_precision(net, "bf16"):
        assert net(x).item() == net(input=x).item() == 1  # which may be named
        assert net.eval()(x).item() == 1 + 1 / 256
    assert net.train()(x).item() == 1 + 1 / 256


def test_classes_of_networks_do_not_learn_of_those_that_they_have_in_training():
    class Named(nn.Linear):
        def __init_subclass__(cls, name):
            raise AssertionError(name)

    net = Named(2, 3)
    with in_precision(net, "bf16"):
        assert isinstance(net, LowPrecision)
        assert type(net).__name__ == "Named"


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_scripts_can_be_trained(tmp_path):
    """Torch decides in what it computes them, which may be float32."""
    net = torch.jit.script(nn.Linear(64, 2))
    kind, begun = type(net), net.weight.clone()
    own = dict(encoder=nn.Sequential(nn.Flatten(), net), latent_dim=2)
    pf.train(
        "ae", ROWS, out=tmp_path / "run", precision="bf16", steps=2, progress=False, pictures=False, **own
    )
    assert type(net) is kind
    assert not torch.equal(net.weight, begun)


def test_new_weights_are_used_also_within_another_autocast():
    """Which a run is in; torch would keep the first weights in bfloat16 until that one ends."""
    net = nn.Sequential(nn.Linear(1, 1, bias=False))
    with in_precision(net, "bf16"), torch.autocast("cpu", enabled=False):
        for weight in (1.0, 2.0):
            nn.init.constant_(net[0].weight, weight)
            assert net(torch.ones(1, 1)).item() == weight


def test_a_run_in_bfloat16_learns_what_one_in_float32_learns(tmp_path):
    quick = dict(steps=60, latent_dim=2, progress=False, pictures=False)
    low, full = (
        pf.train("ae", (ROWS, LABELS), out=tmp_path / name, precision=name, **quick)
        for name in ("bf16", "fp32")
    )
    begun, wanted = (full.history[at]["terms"]["reconstruction"] for at in (0, -1))
    assert wanted < 0.8 * begun
    assert low.history[-1]["terms"]["reconstruction"] == pytest.approx(wanted, rel=0.05)


@pytest.mark.parametrize("recipe", ON_IMAGES)
def test_terms_and_weights_stay_in_float32_and_near(recipe):
    """The terms of the first step, before rounding can grow, differ by the rounding of bfloat16."""
    with loop_of(recipe, "fp32") as full, loop_of(recipe) as low:
        terms, wanted = low.advance()[0], full.advance()[0]
        assert any(isinstance(module, LowPrecision) for module in low.model.modules())
    assert {value.dtype for value in terms.values()} == {torch.float32}
    assert {value.dtype for value in low.model.parameters()} == {torch.float32}
    for name, value in wanted.items():
        assert terms[name].item() == pytest.approx(value.item(), rel=0.1, abs=0.2), name


def test_statistics_of_batch_norm_stay_in_float32():
    with loop_of("dcgan") as loop:
        loop.advance()
    norms = [module for module in loop.model.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert norms
    assert all(buffer.dtype != torch.bfloat16 for norm in norms for buffer in norm.buffers())


def test_a_run_in_bfloat16_is_a_function_of_its_seed_and_stays_in_it(tmp_path):
    quick = dict(steps=10, latent_dim=2, progress=False, pictures=False)
    first, second = (
        pf.train("wae-gan", (ROWS, LABELS), out=tmp_path / name, precision="bf16", **quick) for name in "ab"
    )
    full = pf.train("wae-gan", (ROWS, LABELS), out=tmp_path / "c", **quick)
    weights, others, in_full = (run.model.state_dict() for run in (first, second, full))
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    assert not all(torch.equal(weights[name], in_full[name]) for name in weights)
    longer = pf.resume(first.path, (ROWS, LABELS), steps=12, progress=False)
    assert longer.config["precision"] == "bf16"
    with pytest.raises(OutputError, match='its precision: "bf16", now: "fp32"'):
        pf.train("wae-gan", (ROWS, LABELS), out=second.path, **quick)


CHANNELS_LAST = nn.Conv2d(3, 4, 2).to(memory_format=torch.channels_last)


def test_moments_of_a_file_have_the_layout_of_their_weights():
    """Files hold rows one after the other; a fused optimizer walks through the memory of all together."""
    states = [
        PlayerState(Player("model", lambda s: {}, tuple(CHANNELS_LAST.parameters())), adam(1e-3), {})
        for _ in range(2)
    ]
    for parameter in CHANNELS_LAST.parameters():
        parameter.grad = torch.randn_like(parameter)
    states[0].optimizer.step()
    kept = states[0].moments()
    states[1].restore({name: value.contiguous() for name, value in kept.items()})
    weight = CHANNELS_LAST.weight
    assert not weight.is_contiguous()
    for name, value in states[1].optimizer.state[weight].items():
        assert torch.equal(value, kept[f"0.{name}"])
        assert not value.ndim or value.stride() == weight.stride()


def test_gradients_of_several_processes_have_the_layout_of_their_weights():
    parameters = [*CHANNELS_LAST.parameters()]
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)
    given = [parameter.grad.clone() for parameter in parameters]
    with imitated(2):  # whose sum is what this process has
        distributed.average_gradients(parameters, {"loss": torch.ones(())})
    for parameter, gradient in zip(parameters, given, strict=True):
        assert torch.equal(parameter.grad, gradient / 2)
        assert parameter.grad.stride() == parameter.stride()


def test_a_stopped_run_of_convolutions_in_bfloat16_ends_in_the_weights_of_one_that_was_not(tmp_path):
    rows = (torch.rand(24, 1, 16, 16, generator=torch.Generator().manual_seed(0)), LABELS)
    alike = dict(network="conv", schedule="constant", precision="bf16", batch_size=8, latent_dim=2)
    quick = dict(alike, progress=False, pictures=False)
    whole = pf.train("ae", rows, out=tmp_path / "whole", steps=8, **quick)
    stopped = pf.train("ae", rows, out=tmp_path / "stopped", steps=4, **quick)
    weights = whole.model.state_dict()
    found = pf.resume(stopped.path, rows, steps=8, progress=False).model.state_dict()
    assert [name for name in weights if not torch.equal(found[name], weights[name])] == []


def test_what_a_network_makes_is_in_float32_wherever_it_is_held():
    """In containers and in distributions of distributions; other numbers stay what they are."""
    low, index = torch.full((2, 3), 1.5, dtype=torch.bfloat16), torch.arange(2)
    wide = low.double()
    made = in_float32({"a": [low, (index, wide)], "q": Independent(Normal(low, low), 1), "n": 3})
    (first, (second, third)), q = made["a"], made["q"]
    assert (first.dtype, second, third, made["n"]) == (torch.float32, index, wide, 3)
    assert q.mean.dtype == q.log_prob(first).dtype == torch.float32
    assert torch.equal(q.log_prob(first), Independent(Normal(low.float(), low.float()), 1).log_prob(first))


def test_an_unknown_precision_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="unknown precision 'fp8': known: auto, bf16, fp32"):
        pf.train("ae", (ROWS, LABELS), out=tmp_path / "run", precision="fp8", progress=False)
