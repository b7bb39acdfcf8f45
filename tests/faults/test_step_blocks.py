"""Blocks of steps, whose numbers are looked at once, come to what steps come to that are looked at singly."""

import re

import pytest
import torch
from tiny import TinyRun, fingerprint
from torch import nn

import pushforward as pf
from pushforward.errors import DivergedError
from pushforward.recipes import RECIPES
from pushforward.training import block, trainer
from pushforward.training.block import Blocks, advance_block
from pushforward.training.loop import Loop
from pushforward.training.player_state import PlayerState

STEPS, LINE, LONG = 20, 10, 7


@pytest.fixture
def taken(monkeypatch):
    """Trains in blocks of so many steps at most, and tells how many each had."""
    lengths = []

    def advance(loop, steps):
        lengths.append(steps)
        return advance_block(loop, steps)

    def at_most(steps):
        monkeypatch.setattr(block, "BLOCKS", {"cpu": steps})
        lengths.clear()
        return lengths

    monkeypatch.setattr(block, "advance_block", advance)
    monkeypatch.setattr(block, "SECONDS", 1e6)  # a busy machine must not shorten them
    monkeypatch.setattr(trainer, "steps_per_line", lambda total: LINE)
    monkeypatch.setattr(trainer, "PICTURES", 2)
    return at_most


@pytest.fixture
def strike(monkeypatch):
    """Makes the loss of a player not finite at a step of a run that has not gone back."""
    take_step, descend = Loop._take_step, PlayerState.descend

    def at(step, player, factor=torch.nan):
        now = []

        def struck_step(loop, *arguments):
            now[:] = [(loop.step, loop.rollbacks)]
            return take_step(loop, *arguments)

        def struck_descend(state, losses, *arguments):
            factors = factor if state.player.name == player and now == [(step, 0)] else 1
            return descend(state, {name: factors * loss for name, loss in losses.items()}, *arguments)

        monkeypatch.setattr(Loop, "_take_step", struck_step)
        monkeypatch.setattr(PlayerState, "descend", struck_descend)

    return at


def networks():
    """Networks that are small, and the same each time."""
    torch.manual_seed(0)
    return {
        "encoder": nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Linear(8, 2)),
        "decoder": nn.Sequential(nn.Linear(2, 64), nn.Unflatten(1, (1, 8, 8))),
        "critic": nn.Linear(2, 1),
    }


@pytest.mark.parametrize("recipe", RECIPES)
def test_blocks_change_no_bit_of_weights_moments_and_history(recipe, tmp_path, taken):
    tiny = TinyRun(recipe, STEPS)
    for steps in (1, LONG):
        lengths = taken(steps)
        tiny.train(tmp_path / str(steps))
        assert (sum(lengths), max(lengths)) == (STEPS, steps)
    assert fingerprint(tmp_path / str(LONG)) == fingerprint(tmp_path / "1")


def kept(monkeypatch):
    """The loops that are made."""
    loops, begin = [], Loop.__init__

    def remembered(loop, *arguments, **more):
        begin(loop, *arguments, **more)
        loops.append(loop)

    monkeypatch.setattr(Loop, "__init__", remembered)
    return loops


@pytest.mark.parametrize("player", ["model", "critic"])
def test_a_step_in_a_block_that_is_not_finite_is_refused_as_by_itself(
    player, tmp_path, taken, strike, monkeypatch
):
    strike(14, player)
    loops, said = kept(monkeypatch), []
    for steps in (1, LONG):
        lengths = taken(steps)
        with pytest.raises(DivergedError) as found:
            TinyRun("wae-gan", STEPS, latent_dim=2).train(tmp_path / str(steps), **networks())
        said.append(str(found.value).replace(str(tmp_path / str(steps)), "RUN"))
        assert lengths[-1] == (LONG if steps > 1 else 1)
    assert said[0] == said[1]
    assert re.match(rf"step 14: the {player}'s loss is not finite: \w+ = nan.*; its batch is of tr", said[0])
    assert fingerprint(tmp_path / str(LONG)) == fingerprint(tmp_path / "1")  # of step 10
    assert [loop.step for loop in loops] == [14, 14]
    (first, _), (second, _) = (loop.state() for loop in loops)
    for file, tensors in first.items():
        for name, value in tensors.items():
            assert torch.equal(value, second[file][name]), name


def test_a_rollback_from_the_middle_of_a_block_is_that_of_a_step(tmp_path, taken, strike):
    strike(14, "critic")
    for steps in (1, LONG):
        lengths = taken(steps)
        tiny = TinyRun("wae-gan", STEPS, latent_dim=2, on_nonfinite="rollback")
        tiny.train(tmp_path / str(steps), **networks())
        assert max(lengths) == steps
    assert fingerprint(tmp_path / str(LONG)) == fingerprint(tmp_path / "1")
    assert b"rolled back to step 10: step 14: the critic" in (tmp_path / "1" / "history.jsonl").read_bytes()


def test_a_gradient_that_is_not_finite_is_named(tmp_path, taken, strike):
    """The loss is finite, and its derivative is not."""

    class Steep(pf.SquaredError):
        def rows(self, output, target):
            return super().rows(output, target) + (output * 0).flatten(1).abs().sum(1).sqrt()

    said = []
    for steps in (1, LONG):
        taken(steps)
        tiny = TinyRun("ae", STEPS, latent_dim=2, cost=Steep())
        with pytest.raises(DivergedError) as found:
            tiny.train(tmp_path / str(steps))
        said.append(str(found.value).replace(str(tmp_path / str(steps)), "RUN"))
    assert said[0] == said[1]


class Failing(nn.Module):
    """A network that refuses what is not finite, as a decomposition of a matrix does, or its n-th batch."""

    def __init__(self, at=None):
        super().__init__()
        self.net, self.at, self.calls = nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), at, 0

    def forward(self, x):
        self.calls += self.training
        if self.calls == self.at or not all(weight.isfinite().all() for weight in self.parameters()):
            raise ArithmeticError("these numbers have no decomposition")
        return self.net(x)


def test_an_error_that_follows_from_numbers_that_are_not_finite_does_not_hide_them(tmp_path, taken, strike):
    strike(14, "model")
    taken(LONG)
    with pytest.raises(DivergedError, match="step 14: the model's loss is not finite"):
        TinyRun("ae", STEPS, latent_dim=2, encoder=Failing()).train(tmp_path / "run")


def test_any_other_error_in_a_block_is_raised_at_once(tmp_path, taken):
    encoder = Failing(at=15)
    taken(LONG)
    with pytest.raises(ArithmeticError, match="no decomposition"):
        TinyRun("ae", STEPS, latent_dim=2, encoder=encoder).train(tmp_path / "run")
    assert encoder.calls == 15


def test_numbers_that_are_finite_when_steps_are_repeated_are_taken(strike, taken):
    """Some sums of a GPU are not the same twice."""
    struck = []

    def once(loop, *arguments):
        if loop.step == 3 and not struck:
            struck.append(True)
            losses = loop.player_states[0].player.loss
            object.__setattr__(
                loop.player_states[0].player,
                "loss",
                lambda s: {name: value * torch.inf for name, value in losses(s).items()},
            )
            try:
                return take_step(loop, *arguments)
            finally:
                object.__setattr__(loop.player_states[0].player, "loss", losses)
        return take_step(loop, *arguments)

    take_step = Loop._take_step
    loops = [loop_of("ae") for _ in range(2)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Loop, "_take_step", once)
        terms, _ = advance_block(loops[0], 5)
    assert struck
    assert terms == [loops[1].advance()[0] for _ in range(5)]
    assert loops[0].step == 5


def loop_of(recipe):
    data = TinyRun(recipe, STEPS).data
    torch.manual_seed(0)
    setup = RECIPES[recipe](data.spec, latent_dim=2, batch_size=5)
    return Loop(setup.model.train(), data.train, setup.training, 100)


def test_blocks_are_as_long_as_a_stop_may_wait(monkeypatch):
    monkeypatch.setattr(block, "BLOCKS", {"cpu": 50})
    now = [0.0]

    def slow(loop, steps):
        now[0] += 0.125 * steps
        return [{}] * steps, None

    monkeypatch.setattr(block, "advance_block", slow)
    blocks = Blocks(loop_of("ae"), lambda: now[0])
    assert [len(blocks.advance(most)[0]) for most in (100, 100, 4, 1, 100)] == [1, 8, 4, 1, 8]


def test_on_a_cpu_nothing_is_kept(monkeypatch):
    monkeypatch.setattr(Loop, "state", lambda loop: pytest.fail("a state was copied"))
    loop = loop_of("ae")
    blocks = Blocks(loop)
    assert [len(blocks.advance(100)[0]) for _ in range(3)] == [1, 1, 1]
    assert block.BLOCKS.keys() == {"cuda"}
