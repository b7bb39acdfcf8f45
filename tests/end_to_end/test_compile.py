"""``compile=True``: losses are compiled in training, and nothing else knows of it."""

import json
import random
import re
import shutil
import warnings
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch._dynamo.exc import TorchDynamoException

import pushforward as pf
from pushforward import distributed
from pushforward.conformance.subject import differing
from pushforward.distributions import Gaussian
from pushforward.errors import ConfigError, InterruptedRunError, OutputError
from pushforward.interrupts import StopRequested
from pushforward.models.weight import Weight
from pushforward.networks.precision import in_precision
from pushforward.recipes import RECIPES
from pushforward.runs.config import encode
from pushforward.torch_state import OnCPU, torch_seeded
from pushforward.training import Loop
from pushforward.training.block import advance_block
from pushforward.training.checkpoints import Checkpoints
from pushforward.training.compiling import check_compiler, compile_losses, copied

X = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))
DATA = pf.open_dataset((X, torch.arange(40) % 4))
PAIRS = pf.open_dataset((X, torch.arange(40) % 2))  # transfer-ae is for two classes
# Whose losses no program of fixed shapes can be: shared layers are replaced, texts are as long as they are,
# and which rows count depends on their labels.
EAGER = {
    "aae-label-regularised": ("critic", "encoder"),
    "arae": ("model",),
    "infogan": ("model", "critic"),
    "transfer-ae": ("model", "critic_style"),
}
with_a_compiler = [
    pytest.mark.slow,  # each program takes seconds
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
    """Stands in for the compiler: a program does what it is made of, and may draw and read no number."""
    made = []

    def compile(function, backend=None, **options):
        assert options["fullgraph"]
        if backend == "eager":  # of the trial
            return function

        def program(square):
            made.append(function)
            with monkeypatch.context() as patch:
                patch.setattr(pf.Noise, "_draw", None)
                patch.setattr(Weight, "__float__", None)
                return function(square)

        return program

    monkeypatch.setattr(torch, "compile", compile)
    return made


def refusing(monkeypatch, after=0):
    """Stands in for a compiler that cannot compile anything after so many programs have been called."""
    called = []

    def compile(function, backend=None, **options):
        if backend == "eager":  # of the trial
            return function

        def program(square):
            called.append(function)
            if len(called) > after:
                raise TorchDynamoException("Data-dependent branching\n  Explanation: of many lines")
            return function(square)

        return program

    monkeypatch.setattr(torch, "compile", compile)


def both(build, steps=3, tolerance=1e-5):
    """A loop, and one whose losses are compiled, after some steps; and what was said of it."""
    plain, other = loop_of(build()), loop_of(build())
    lines = []
    compile_losses(other, lines.append)
    for _ in range(steps):
        terms, compiled = plain.advance()[0], other.advance()[0]
    for name, value in terms.items():
        assert compiled[name] == pytest.approx(float(value), rel=tolerance, abs=tolerance), name
    return plain, other, lines


def same(first, second):
    return differing(dict(first.model.state_dict()), dict(second.model.state_dict())) == []


@pytest.mark.parametrize("recipe", list(RECIPES))
def test_a_loss_is_a_function_of_rows_random_numbers_and_weights(recipe, calls):
    """A program gets them and comes to the same; finding out which numbers it takes leaves no trace."""
    data = PAIRS if recipe == "transfer-ae" else DATA

    def build():
        with torch_seeded(0):
            return RECIPES[recipe](data.spec, batch_size=8)

    plain, other, lines = both(build)
    assert same(plain, other)
    assert len(calls) == 3 * sum(state.player.updates for state in other.player_states)
    assert lines == []
    calls.clear()
    other.model.eval().sample(3, pf.Noise(0))
    assert calls == []


def test_a_weight_that_changes_is_no_constant_of_a_program(calls):
    plain, other, _ = both(lambda: setup_of("beta-vae", warmup=4))
    assert float(other.model.weight) == float(plain.model.weight) > 0
    assert same(plain, other)
    assert other.model.weight.as_tensor is None


def test_what_cannot_be_compiled_is_said_and_computed(monkeypatch):
    refusing(monkeypatch)
    plain, other, lines = both(lambda: setup_of("wgan"))
    assert same(plain, other)
    assert lines == [
        f"the loss of the {name} is not compiled: what it computes depends on the values of the batch; "
        "torch.compile: Data-dependent branching"
        for name in ("model", "critic")
    ]


def test_torch_does_not_warn_of_itself_while_it_compiles(monkeypatch, recwarn):
    """It says what is for those who change torch; what a network says is printed as always."""

    def compile(function, backend=None, **options):
        if backend == "eager":
            return function

        def program(square):
            for module in ("torch._inductor.compile_fx", "mine"):
                warnings.warn_explicit("such as on TensorFloat32", UserWarning, "file.py", 1, module)
            return function(square)

        return program

    monkeypatch.setattr(torch, "compile", compile)
    loop = loop_of(setup_of("ae"))
    compile_losses(loop)
    loop.advance()
    assert len(recwarn) == 1


class Keeping(torch.nn.Module):
    """Keeps a mean in a buffer that it replaces, and draws by itself."""

    def __init__(self):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 8))
        self.register_buffer("mean", torch.zeros(8))
        self.own = np.random.default_rng(0)

    def forward(self, x):
        made = self.net(x)
        self.mean = 0.9 * self.mean + made.detach().mean(0) + self.own.random() + random.random()
        return made + self.mean


def test_a_network_of_ones_own_is_not_touched_by_the_trial(calls):
    """Its state, whatever it is, is that of a run whose losses are not compiled."""

    def build():
        random.seed(0)
        with torch_seeded(0):
            return RECIPES["wae-mmd"](DATA.spec, batch_size=8, latent_dim=8, encoder=Keeping())

    plain, other = loop_of(build()), loop_of(build())
    random.seed(1)
    for _ in range(3):
        terms = plain.advance()[0]
    random.seed(1)
    compile_losses(other)
    for _ in range(3):
        compiled = other.advance()[0]
    assert terms == compiled
    assert same(plain, other)


def test_rows_of_another_shape_that_cannot_be_compiled_are_an_error(monkeypatch):
    """The steps before were compiled: another run of the same command would not come to the same bits."""
    refusing(monkeypatch, after=2)
    loop = loop_of(setup_of("wae-mmd"))
    compile_losses(loop)
    for _ in range(2):
        loop.advance()
    with pytest.raises(
        ConfigError, match=r"the model cannot be compiled for a later step .* resume with compile=False"
    ):
        loop.advance()


class Counting(torch.nn.Module):
    """Counts its calls in a number, a list, a dictionary, or outside of itself."""

    calls_of_all = 0

    def __init__(self, calls):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 8))
        self.calls = calls

    def forward(self, x):
        global calls_of_all
        if isinstance(self.calls, list):
            self.calls.append(x)
        elif isinstance(self.calls, dict):
            self.calls["n"] = self.calls.get("n", 0) + 1
        elif self.calls is Counting:
            Counting.calls_of_all += 1
        elif self.calls is None:
            calls_of_all += 1
        else:
            self.calls += 1
        return self.net(x) / (len(self.calls) if isinstance(self.calls, list) else 1)


calls_of_all = 0
followed = torch.compile


def follow(monkeypatch):
    """Lets the compiler follow losses, in the trial and then, but not translate them; no g++ is needed."""
    monkeypatch.setattr(
        torch, "compile", lambda loss, **how: followed(loss, **how | {"options": None, "backend": "eager"})
    )


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (0, r"calls == 2"),
        ([], r"len\(.*calls\) == 2"),
        ({}, r"calls\['n'\] == 2"),
        (None, r"calls_of_all == \d+ # calls_of_all \+= 1"),
        pytest.param(
            Counting,
            r"calls_of_all == \d+ # Counting",
            marks=pytest.mark.skipif(
                torch.__version__.startswith("2.11."),
                reason="torch 2.11 compiles no change of a class at all",
            ),
        ),
    ],
)
def test_a_network_that_changes_what_is_no_tensor_is_not_compiled(start, said, monkeypatch):
    """It would be a constant of a program, and another program would be needed at each step."""
    follow(monkeypatch)

    def build():
        with torch_seeded(0):
            return RECIPES["wae-mmd"](
                DATA.spec, batch_size=8, latent_dim=8, encoder=Counting(deepcopy(start))
            )

    plain, other, lines = both(build)
    (line,) = lines
    assert "is not compiled: something that is no tensor changes at each step; torch.compile: " in line
    assert re.search(said, line)
    assert same(plain, other)


class Deciding(torch.nn.Module):
    """Does what no program can: it asks what the values are."""

    def __init__(self):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 8))

    def forward(self, x):
        return self.net(x) if x.mean() > 0 else self.net(-x)


def test_the_place_of_what_cannot_be_compiled_is_said(monkeypatch):
    """In plain words first, for torch's own are for those who know it."""
    follow(monkeypatch)

    def build():
        with torch_seeded(0):
            return RECIPES["wae-mmd"](DATA.spec, batch_size=8, latent_dim=8, encoder=Deciding())

    *_, lines = both(build)
    line = Deciding.forward.__code__.co_firstlineno + 1
    assert lines == [
        "the loss of the model is not compiled: what it computes depends on the values of the batch, "
        f"in forward (test_compile.py, line {line}); torch.compile: Data-dependent branching"
    ]


def test_layers_that_two_networks_share_are_named(monkeypatch):
    follow(monkeypatch)
    *_, lines = both(lambda: setup_of("infogan"))
    said = "is not compiled: two networks share layers, which are computed once for both, in once (once.py"
    assert len(lines) == 2
    assert all(said in line for line in lines)


@pytest.mark.parametrize("recipe", ["wae-gan", "wgan", "began", "aae-clustering", "gmmn-ae", "wae-mmd"])
def test_nothing_is_read_that_the_next_replay_of_a_graph_overwrites(recipe, monkeypatch):
    """A CUDA graph writes results and gradients to the same memory each time: here it is spoilt before."""
    held = []

    def compile(function, backend=None, **options):
        if backend == "eager":
            return function

        def program(square):
            for tensor in held:
                tensor.data.fill_(torch.nan)
            for parameter in square.model.parameters():
                if parameter.grad is not None:
                    parameter.grad.fill_(torch.nan)
            held.clear()
            terms = function(square)
            held.extend(terms.values())
            held.extend(
                value
                for name, value in vars(square).items()
                if isinstance(value, torch.Tensor) and name not in ("x", "y", "paired")
            )
            return terms

        return program

    def advance(loops):
        return [advance_block(loop, 4)[0][-1] for loop in loops]

    monkeypatch.setattr(torch, "compile", compile)
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: None)
    loops = [loop_of(setup_of(recipe, **{"weight": "auto"} if recipe == "wae-mmd" else {})) for _ in range(2)]
    compile_losses(loops[1])
    for state in loops[1].player_states:
        state.player.loss.replayed = True
    terms, replayed = advance(loops)
    assert terms == replayed
    assert same(*loops)


@pytest.mark.parametrize("recipe", [name for name in RECIPES if name not in EAGER])
def test_what_modules_hold_lies_where_it_lay(recipe, monkeypatch):
    """A CUDA graph reads it there: torch takes every tensor of a module for one that stays."""
    held, calls = {}, []

    def compile(function, backend=None, **options):
        if backend == "eager":
            return function

        def program(square):
            calls.append(True)
            for place, module in square.model.named_modules():
                numbers = {} if isinstance(module, OnCPU) else module._buffers
                for name, tensor in (vars(module) | numbers | module._parameters).items():
                    if isinstance(tensor, torch.Tensor):
                        assert held.setdefault((place, name), tensor) is tensor, (place, name)
            return function(square)

        return program

    monkeypatch.setattr(torch, "compile", compile)
    loop = loop_of(setup_of(recipe))
    loop.player_states = loop.player_states[:1]  # each program has weights of its own
    compile_losses(loop)
    advance_block(loop, 5)
    assert len(calls) == 5


def test_a_copy_is_in_memory_of_its_own():
    given = Gaussian(torch.zeros(2, 3), torch.ones(2, 3))
    twin = copied(given)
    given.center += 5
    assert torch.equal(twin.center, torch.zeros(2, 3))
    assert copied("anything else") == "anything else"


def test_a_compiled_run_says_so_and_is_no_other(tmp_path, calls, capsys):
    run = train(tmp_path / "run", compile=True, progress=True)
    assert "compiling the losses: the first steps take longer" in capsys.readouterr().err
    assert len(calls) == 1 + 6  # of one trial of the compiler, and of the steps
    assert run.config["compile"] is True
    plain = train(tmp_path / "plain")
    assert plain.config["compile"] is False
    assert torch.equal(run.sample(3), plain.sample(3))  # nothing was compiled here
    with pytest.raises(OutputError, match="holds another run \\(its compile: true, now: false\\)"):
        train(tmp_path / "run")


def test_without_a_compiler_nothing_begins(tmp_path, monkeypatch):
    without_a_compiler(monkeypatch)
    with pytest.raises(
        ConfigError, match=r"compile=True needs a compiler for cpu, .* No working C\+\+ compiler found$"
    ):
        train(tmp_path / "run", compile=True)
    assert not (tmp_path / "run").exists()


def without_a_compiler(monkeypatch):
    def fail(*_, **__):
        inner = RuntimeError("No working C++ compiler found")
        error = RuntimeError(
            "backend='inductor' raised:\nRuntimeError: ...\n\nSet TORCHDYNAMO_VERBOSE=1 for more"
        )
        error.inner_exception = inner
        raise error

    monkeypatch.setattr(torch, "compile", fail)


def test_a_finished_run_needs_no_compiler(tmp_path, calls, monkeypatch):
    run = train(tmp_path / "run", compile=True)
    without_a_compiler(monkeypatch)
    for again in (train(tmp_path / "run", compile=True), pf.resume(tmp_path / "run", DATA, progress=False)):
        assert torch.equal(again.sample(3), run.sample(3))
    with pytest.raises(ConfigError, match="needs a compiler for cpu"):
        pf.resume(tmp_path / "run", DATA, steps=8, progress=False)


def test_a_run_goes_on_without_a_compiler_if_that_is_asked_for(tmp_path, calls, monkeypatch):
    """Such as on another machine, or in several processes."""
    train(tmp_path / "run", compile=True)
    without_a_compiler(monkeypatch)
    longer = pf.resume(tmp_path / "run", DATA, steps=8, progress=False, compile=False)
    assert longer.step == 8
    assert pf.load(tmp_path / "run", DATA).config["compile"] is False
    train(tmp_path / "plain")
    plain = pf.resume(tmp_path / "plain", DATA, steps=8, progress=False)
    assert torch.equal(longer.sample(3), plain.sample(3))


def test_a_run_can_be_compiled_from_a_step_on(tmp_path, calls):
    train(tmp_path / "run")
    assert calls == []
    longer = pf.resume(tmp_path / "run", DATA, steps=8, progress=False, compile=True)
    assert calls[0] is not calls[1]  # of the trial of the compiler, and of the loss
    assert len(calls) == 1 + 2
    assert longer.config["compile"] is True


def test_an_unknown_option_is_named_before_a_compiler_is_looked_for(tmp_path, monkeypatch):
    without_a_compiler(monkeypatch)
    with pytest.raises(ConfigError, match="latent_dims"):
        train(tmp_path / "run", compile=True, latent_dims=2)


def test_several_processes_are_refused(monkeypatch):
    monkeypatch.setattr(distributed, "size", lambda: 2)
    with pytest.raises(ConfigError, match="compile=True is for one process, got 2: use compile=False"):
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
@pytest.mark.parametrize("recipe", list(RECIPES))
def test_each_loss_is_one_program_or_none(recipe, monkeypatch):
    """Followed by the compiler, but not translated, which takes a minute for each recipe."""
    monkeypatch.setattr(
        torch,
        "compile",
        lambda loss, **how: followed(loss, **{"backend": "aot_eager"} | how | {"options": None}),
    )
    data = PAIRS if recipe == "transfer-ae" else DATA

    def build():
        with torch_seeded(0):
            return RECIPES[recipe](data.spec, batch_size=8)

    plain, other, lines = both(build)
    for name, value in plain.model.state_dict().items():
        assert torch.allclose(other.model.state_dict()[name], value, rtol=1e-4, atol=1e-5), name
    assert [line.partition(": ")[0] for line in lines] == [
        f"the loss of the {name} is not compiled" for name in EAGER.get(recipe, ())
    ]


@slow
@pytest.mark.parametrize(
    ("recipe", "precision"), [("wae-mmd", "fp32"), ("wgan-gp", "fp32"), ("wae-mmd", "bf16")]
)
def test_compiled_steps_are_those_of_the_losses(recipe, precision):
    tolerance = 1e-5 if precision == "fp32" else 1e-2  # a program rounds to bfloat16 less often
    with ExitStack() as computing:

        def build():
            setup = setup_of(recipe)
            computing.enter_context(in_precision(setup.model, precision))
            return setup

        plain, other, _ = both(build, 5, tolerance)
    for name, value in plain.model.state_dict().items():
        assert torch.allclose(other.model.state_dict()[name], value, rtol=tolerance, atol=tolerance), name


@slow
def test_what_a_script_has_compiled_stays_compiled(monkeypatch):
    """Programs of nine runs are of nine pieces of code: neither they nor the script's own are made again."""
    traced = []
    monkeypatch.setattr(
        torch,
        "compile",
        lambda loss, **how: followed(loss, **{"backend": "aot_eager"} | how | {"options": None}),
    )

    def backend(graph, _):
        traced.append(graph)
        return graph.forward

    mine = followed(lambda x: 2 * x, backend=backend)
    mine(torch.ones(2))
    for _ in range(9):
        loop = loop_of(setup_of("ae", network="mlp"))
        lines = []
        compile_losses(loop, lines.append)
        loop.advance()
        assert lines == []
    mine(torch.ones(2))
    assert len(traced) == 1


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
