"""A run whose numbers are no longer finite stops before it harms anything, or goes back and on."""

import json
import re

import pytest
import torch
from cyclopts import CycloptsError
from faulty_disk import FaultyDisk, Killed
from tiny import TinyRun, fingerprint
from torch import nn

import pushforward as pf
from pushforward.cli.application import app
from pushforward.cli.entry import main
from pushforward.cli.recipe_commands import prepare
from pushforward.errors import ConfigError, DivergedError
from pushforward.training import trainer
from pushforward.training.checkpoints import Checkpoints
from pushforward.training.loop import Loop
from pushforward.training.player_state import PlayerState

STEPS = 20
TINY = TinyRun("wae-gan", STEPS, latent_dim=2)  # two players, of which one has moved when the other diverges


def parts():
    """Networks that are small, and the same each time."""
    torch.manual_seed(0)
    return {
        "encoder": nn.Sequential(nn.Flatten(), nn.Linear(64, 2)),
        "decoder": nn.Sequential(nn.Linear(2, 64), nn.Unflatten(1, (1, 8, 8))),
        "critic": nn.Linear(2, 1),
    }


def train(folder, **arguments):
    return TINY.train(folder, **parts(), **arguments)


@pytest.fixture(autouse=True)
def few_plans(monkeypatch):
    """Checkpoints are planned at steps 10 and 20, and nothing is synced."""
    monkeypatch.setattr(trainer, "PICTURES", 2)
    with FaultyDisk():
        yield


@pytest.fixture
def strike(monkeypatch):
    """Makes the critic's loss infinite, or kills the process, at given (steps, rollbacks)."""
    take_step, descend = Loop._take_step, PlayerState.descend

    def at(infinite=(), killed=()):
        left, now = set(killed), []

        def struck_step(loop, *arguments):
            now[:] = [(loop.step, loop.rollbacks)]
            if now[0] in left:
                left.remove(now[0])
                raise Killed
            return take_step(loop, *arguments)

        def struck_descend(state, losses, *arguments):
            factor = torch.inf if state.player.name == "critic" and now[0] in infinite else 1
            return descend(state, {name: factor * loss for name, loss in losses.items()}, *arguments)

        monkeypatch.setattr(Loop, "_take_step", struck_step)
        monkeypatch.setattr(PlayerState, "descend", struck_descend)

    return at


def history(folder):
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def test_a_rollback_goes_back_to_a_planned_checkpoint_and_on_with_other_noise(tmp_path, strike):
    train(tmp_path / "plain")
    strike(infinite={(17, 0)})
    run = train(tmp_path / "run", on_nonfinite="rollback")
    assert run.step == STEPS
    plain, lines = history(tmp_path / "plain"), history(tmp_path / "run")
    assert [line["step"] for line in lines] == list(range(1, STEPS + 1))
    assert lines[:10] == plain[:10]
    assert all(a["terms"] != b["terms"] for a, b in zip(lines[10:], plain[10:], strict=True))
    warned = {line["step"]: line["warnings"] for line in lines if "warnings" in line}
    assert list(warned) == [11]
    assert re.fullmatch(
        r"rolled back to step 10: step 17: the critic's loss is not finite: critic = (nan|inf); "
        r"its batch is of training rows (\d+, ){4}\d+",
        warned[11][0],
    )
    found, _ = Checkpoints(run.path / "checkpoints").newest()
    assert found.numbers["rollbacks"] == 1
    assert found.numbers["rolled_back"] == warned[11]


def test_without_a_rollback_the_option_changes_no_bit(tmp_path):
    for name in ("stop", "rollback"):
        train(tmp_path / name, on_nonfinite=name)
    assert fingerprint(tmp_path / "stop") == fingerprint(tmp_path / "rollback")


@pytest.mark.parametrize(
    "kills",
    [
        [(16, 0), (12, 1), (19, 2)],
        pytest.param([(0, 0), (5, 0), (10, 0), (17, 0), (10, 1), (10, 2)], marks=pytest.mark.soak),
    ],
)
def test_a_run_that_rolls_back_can_be_killed_anywhere_and_ends_with_the_same_bits(
    kills, tmp_path, strike, monkeypatch
):
    """Also where the newest checkpoint is one that was not planned, as happens every minute."""
    monkeypatch.setattr(trainer, "PATIENCE", -1.0)
    monkeypatch.setattr(trainer, "SHARE", 0)
    infinite = {(17, 0), (13, 1)}
    strike(infinite)
    train(tmp_path / "whole", on_nonfinite="rollback")
    bits = fingerprint(tmp_path / "whole")
    assert len(history(tmp_path / "whole")[10]["warnings"]) == 2
    for killed in kills:
        folder = tmp_path / "-".join(map(str, killed))
        strike(infinite, {killed})
        with pytest.raises(Killed):
            train(folder, on_nonfinite="rollback")
        train(folder)  # the configuration says what to do
        assert fingerprint(folder) == bits, killed


def test_before_the_first_planned_checkpoint_it_goes_back_to_the_first_weights(tmp_path, strike):
    strike(infinite={(3, 0)})
    train(tmp_path / "run", on_nonfinite="rollback")
    assert "rolled back to step 0: step 3: " in history(tmp_path / "run")[0]["warnings"][0]


def test_rollbacks_end(tmp_path, strike):
    strike(infinite={(13, count) for count in range(10)})
    said = r"step 13: the critic's loss is not finite.*; 5 rollbacks have not helped$"
    with pytest.raises(DivergedError, match=said):
        train(tmp_path / "run", on_nonfinite="rollback")
    assert pf.load(tmp_path / "run", TINY.data, **parts()).step == 10


def test_a_run_that_stopped_can_be_resumed_with_rollbacks(tmp_path, strike):
    strike(infinite={(13, 0)})
    again = rf"pushforward.resume\('{tmp_path / 'run'}', data, on_nonfinite='rollback', encoder=\.\.\."
    said = rf"not finite.*; to go back and on with other noise: {again}"
    with pytest.raises(DivergedError, match=said):
        train(tmp_path / "run")
    with pytest.raises(DivergedError, match="step 13: the critic's loss"):
        train(tmp_path / "run")
    run = pf.resume(tmp_path / "run", TINY.data, on_nonfinite="rollback", progress=False, **parts())
    assert run.step == STEPS
    assert json.loads((run.path / "config.json").read_text())["on_nonfinite"] == "rollback"


def test_a_checkpoint_to_go_back_to_that_is_damaged_is_named(tmp_path, strike, monkeypatch):
    strike(infinite={(17, 0)})
    read = Checkpoints.read

    def damaged(self, step):
        (self.place(step) / "state.json").write_bytes(b"{}")
        return read(self, step)

    monkeypatch.setattr(Checkpoints, "read", damaged)
    with pytest.raises(
        DivergedError, match=r"; the run cannot go back: \S+/00000010/state.json is damaged: it"
    ):
        train(tmp_path / "run", on_nonfinite="rollback")


def test_unknown_words_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="unknown on_nonfinite 'rolback': did you mean 'rollback'"):
        train(tmp_path / "run", on_nonfinite="rolback")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", ["train ae digits", "resume runs/one"])
def test_commands_have_the_option(command):
    prepare(["train", "ae"])
    _, bound, _ = app.parse_args(f"{command} --on-nonfinite rollback", exit_on_error=False, print_error=False)
    assert {**bound.arguments, **bound.arguments.get("options", {})}["on_nonfinite"] == "rollback"
    with pytest.raises(CycloptsError, match="rolback"):
        app.parse_args(f"{command} --on-nonfinite rolback", exit_on_error=False, print_error=False)


# ------------------------------------------------------------------------------ runs that would end badly


@pytest.mark.parametrize("recipe", ["ae", "vae", "wae-mmd", "wae-gan", "gan", "gmmn"])
@pytest.mark.parametrize("lr", [1e4, 1e10, 1e20, 1e38])
def test_a_run_at_an_absurd_learning_rate_does_not_finish_with_numbers_that_are_not_finite(
    recipe, lr, tmp_path
):
    """Its last step is followed by no loss that could tell."""
    tiny = TinyRun(recipe, 2, latent_dim=2, lr=lr)
    try:
        run = tiny.train(tmp_path / "run")
    except DivergedError as error:
        assert re.match(r"step [12]: (the (model|critic)|samples|codes|the weights of)", str(error))  # noqa: PT017
        return
    assert run.sample(64).isfinite().all()
    if run.model.has_encoder:
        assert run.encode(*run.held_out(slice(0, 20))[:1]).isfinite().all()


def test_a_model_whose_weights_are_not_finite_makes_nothing(tmp_path):
    run = train(tmp_path / "run")
    x = run.held_out(slice(0, 2))[0]
    weight = run.model.decoder.get_parameter(next(name for name, _ in run.model.decoder.named_parameters()))
    weight.data.view(-1)[0] = torch.nan
    said = r"run: the weights of decoder\.\S+ are not finite, so that the model cannot be used; train again"
    for call in (
        lambda: run.sample(2),
        lambda: run.sample(2, sampler="gmm"),
        lambda: run.encode(x),
        lambda: run.decode(torch.zeros(1, 2)),
        lambda: run.reconstruct(x),
        lambda: run.evaluate(),
        lambda: run.doctor(),
        lambda: run.report(),
        lambda: run.interpolate(x[:1], x[1:]),
    ):
        with pytest.raises(DivergedError, match=said):
            call()


def test_commands_refuse_weights_that_are_not_finite_in_one_line(tmp_path, capsys):
    run = TinyRun("ae", 2, latent_dim=2).train(tmp_path / "run")
    kept = Checkpoints(run.path / "checkpoints", run.config["id"])
    found, _ = kept.newest()
    found.tensors["model"]["encoder.net.1.weight"][0] = torch.nan
    kept.write(found.step, found.tensors, found.numbers, found.copies)
    for command in ("sample", "evaluate", "report"):
        with pytest.raises(SystemExit) as stopped:
            main([command, str(run.path)])
        assert stopped.value.code == 70
        lines = capsys.readouterr().err.strip().splitlines()
        assert re.search("the weights of encoder.net.1.weight are not finite", lines[-1])
        assert "Traceback" not in "".join(lines)


def test_a_gradient_is_named_by_its_parameter(tmp_path):
    """A cost whose value is finite and whose gradient is not."""

    class Steep(pf.SquaredError):
        def rows(self, output, target):
            return super().rows(output, target) + (output * 0).flatten(1).abs().sum(1).sqrt()

    said = (
        r"step 0: the model diverges, the gradient of decoder\.\S+, \S+, \S+ and \d+ more is not finite: rec"
    )
    with pytest.raises(DivergedError, match=said):
        TinyRun("ae", 2, latent_dim=2, cost=Steep()).train(tmp_path / "run")


def test_rows_whose_codes_are_not_finite_are_named(tmp_path):
    class Picky(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))

        def forward(self, x):
            codes = self.inner(x)
            bad = (x.flatten(1) == TINY.data.train.x[7].flatten()).all(1, keepdim=True)
            return codes.masked_fill(bad, torch.inf)

    with pytest.raises(DivergedError, match="; codes of training rows 7 are not finite; to go back"):
        TinyRun("ae", 20, latent_dim=2, encoder=Picky()).train(tmp_path / "run")


# --------------------------------------------------------------------------------------- checkpoints


def test_the_checkpoint_to_go_back_to_is_kept(tmp_path):
    kept = Checkpoints(tmp_path)
    for step in range(1, 8):
        kept.write(step, {}, {"step": step}, spare=2)
    assert kept.steps() == [2, 6, 7]
    kept.discard_after(2)
    assert kept.steps() == [2]
