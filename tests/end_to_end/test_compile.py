"""``compile=True``: networks are compiled in training, and nothing else knows of it."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

import pushforward as pf
from pushforward import distributed
from pushforward.conformance.subject import differing
from pushforward.errors import ConfigError, InterruptedRunError, OutputError
from pushforward.interrupts import StopRequested
from pushforward.recipes import RECIPES
from pushforward.runs.config import encode
from pushforward.torch_state import torch_seeded
from pushforward.training import Loop
from pushforward.training.checkpoints import Checkpoints
from pushforward.training.compiling import Compiled, check_compiler, compile_networks, compiled_training

X = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))
DATA = pf.open_dataset((X, torch.arange(40) % 4))
with_a_compiler = [
    pytest.mark.slow,  # each variant of a network takes seconds
    pytest.mark.timeout(1500),
    pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs g++ on a CPU"),
]


def slow(test):
    for mark in with_a_compiler:
        test = mark(test)
    return test


def setup_of(recipe, **options):
    with torch_seeded(0):
        return RECIPES[recipe](DATA.spec, batch_size=8, **options)


def loop_of(setup):
    """Its Adam adds more to the root, for a gradient that is 0 but for rounding is divided by itself."""
    loop = Loop(setup.model.train(), DATA.train, replace(setup.training, batch_size=8), 100, seed=3)
    for state in loop.player_states:
        for group in state.optimizer.param_groups:
            group["eps"] = 1e-4
    return loop


def train(folder, **options):
    arguments = dict(steps=6, batch_size=8, latent_dim=2, seed=1, progress=False, pictures=False) | options
    return pf.train(arguments.pop("recipe", "wae-mmd"), DATA, out=folder, **arguments)


@pytest.fixture
def calls(monkeypatch):
    """Stands in for the compiler: what is compiled counts its calls, and is not changed."""
    made = []

    def compile(function, **options):
        def counted(*inputs):
            made.append(function)
            return function(*inputs)

        return counted

    monkeypatch.setattr(torch, "compile", compile)
    return made


def compiled_parts(model):
    return {name for name, part in model.named_modules() if isinstance(part, Compiled)}


@pytest.mark.parametrize(
    ("recipe", "options", "parts"),
    [
        ("wae-mmd", {}, {"decoder", "encoder.net"}),
        ("wae-gan", {}, {"decoder", "encoder.net", "discrepancy.critic"}),
        ("wgan-gp", {}, {"decoder"}),
        ("wgan", {}, {"decoder", "discrepancy.critic"}),
        ("mmd-gan", {"gp_weight": 1.0}, {"decoder"}),
        ("began", {}, {"decoder", "discrepancy.critic.encoder", "discrepancy.critic.decoder"}),
    ],
)
def test_networks_are_compiled_but_for_critics_with_a_penalty(recipe, options, parts, calls):
    setup = setup_of(recipe, **options)
    names = list(setup.model.state_dict())
    compile_networks(setup.model)
    assert compiled_parts(setup.model) == parts
    assert list(setup.model.state_dict()) == names
    loop_of(setup).advance()
    assert {function.__self__ for function in calls} == {setup.model.get_submodule(part) for part in parts}
    calls.clear()
    setup.model.eval().sample(3, pf.Noise(0))
    assert calls == []


def test_a_penalty_of_ones_own_is_differentiated_twice(calls):
    class Steep(pf.Wasserstein):
        def penalties(self, q, p, noise):
            return {}

    with torch_seeded(0):
        setup = RECIPES["gan"](
            DATA.spec, discrepancy=Steep(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 1)))
        )
    compile_networks(setup.model)
    assert compiled_parts(setup.model) == {"decoder"}


def test_layers_that_two_networks_share_are_not_compiled(calls):
    """Where InfoGAN's critic and its Q are evaluated at once."""
    plain, setup = setup_of("infogan"), setup_of("infogan")
    compile_networks(setup.model)
    loops = loop_of(plain), loop_of(setup)
    for _ in range(3):
        first, second = (loop.advance()[0] for loop in loops)
    assert first == second
    parts = {function.__self__ for function in calls}
    assert setup.model.decoder in parts
    assert not parts & {setup.model.discrepancy.critic, setup.model.code_posterior.trunk}


def test_a_compiled_run_says_so_and_is_no_other(tmp_path, calls, capsys):
    run = train(tmp_path / "run", compile=True, progress=True)
    assert "2 networks are compiled: the first steps take longer" in capsys.readouterr().err
    assert calls
    assert run.config["compile"] is True
    plain = train(tmp_path / "plain")
    assert plain.config["compile"] is False
    assert torch.equal(run.sample(3), plain.sample(3))  # nothing was compiled here
    assert compiled_parts(pf.load(tmp_path / "run", DATA).model) == set()
    with pytest.raises(OutputError, match="holds another run \\(its compile: true, now: false\\)"):
        train(tmp_path / "run")


def test_without_a_compiler_nothing_begins(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found")

    monkeypatch.setattr(torch, "compile", fail)
    with pytest.raises(
        ConfigError, match=r"compile=True needs a compiler for cpu, .* No working C\+\+ compiler"
    ):
        train(tmp_path / "run", compile=True)
    assert not (tmp_path / "run").exists()


def test_several_processes_are_refused(monkeypatch):
    monkeypatch.setattr(distributed, "size", lambda: 2)
    with pytest.raises(ConfigError, match="compile=True is for one process, got 2"):
        check_compiler("cpu")


def test_a_run_of_before_is_read(tmp_path):
    """Its configuration does not say whether networks are compiled."""
    run = train(tmp_path / "run")
    wanted = run.sample(3)
    older = {name: value for name, value in run.config.items() if name != "compile"} | {"schema": 8}
    path = tmp_path / "run" / "config.json"
    path.write_bytes(encode(older))
    kept = Checkpoints(tmp_path / "run" / "checkpoints", run.config["id"])
    found, _ = kept.newest()
    kept.write(found.step, found.tensors, found.numbers, found.copies | {"config.json": encode(older)})
    again = pf.load(tmp_path / "run", DATA)
    assert again.config["compile"] is False
    assert torch.equal(again.sample(3), wanted)
    assert train(tmp_path / "run").step == 6
    assert pf.resume(tmp_path / "run", DATA, steps=8, progress=False).step == 8
    assert json.loads(path.read_bytes())["schema"] == 9


# --------------------------------------------------------------------------------- with a compiler


@slow
@pytest.mark.parametrize("recipe", ["wae-mmd", "wgan-gp"])
def test_compiled_steps_are_those_of_the_networks(recipe):
    loops = [loop_of(setup_of(recipe)) for _ in range(2)]
    networks = compile_networks(loops[1].model)
    with compiled_training(networks):
        for _ in range(5):
            plain, compiled = (loop.advance()[0] for loop in loops)
    for name, value in plain.items():
        assert compiled[name] == pytest.approx(float(value), rel=1e-5, abs=1e-5)
    assert all("_compiled" in vars(net) for net in networks)
    for name, value in loops[0].model.state_dict().items():
        assert torch.allclose(loops[1].model.state_dict()[name], value, rtol=1e-5, atol=1e-5), name


@slow
def test_a_compiled_run_that_was_stopped_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    wanted = train(tmp_path / "whole", compile=True)
    take_step = Loop.take_step

    def stopped(loop, *arguments):
        if loop.step == 3:
            raise StopRequested(15)
        return take_step(loop, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "take_step", stopped)
        with pytest.raises(InterruptedRunError):
            train(tmp_path / "run", compile=True)
    found = train(tmp_path / "run", compile=True)
    assert found.step == wanted.step == 6
    assert differing(dict(found.model.state_dict()), dict(wanted.model.state_dict())) == []
    assert (tmp_path / "run" / "history.jsonl").read_bytes() == (
        tmp_path / "whole" / "history.jsonl"
    ).read_bytes()
