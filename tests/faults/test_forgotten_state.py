"""A gate on the tests of resuming: whatever single item of state is forgotten on load, a run shows it.

Each item of a checkpoint (weights, buffers, moments, numbers, history) is left out, and put back to what it
is at the start of a run. The run must then be refused or go on to other bits. What may be forgotten, since a
run makes it anew, is listed with its reason, and the test proves that it never changes.
"""

import json
import re
import shutil
import signal

import pytest
import torch
from tiny import ROWS, TinyRun, fingerprint

import pushforward as pf
from pushforward.conformance.subject import differing, same_bits
from pushforward.errors import CheckpointError, InterruptedRunError
from pushforward.recipes import RECIPES
from pushforward.torch_state import torch_seeded
from pushforward.training import Loop, trainer
from pushforward.training.checkpoints import Checkpoints

# An automatic weight moves at steps 100 and 104, the noise of ARAE after step 99.
START, BEFORE, AFTER = 98, 6, 1
MEMBERS = {
    "wae-mmd": {"latent_dim": 2, "weight": "auto"},
    "vae": {"latent_dim": 2, "cost": "gaussian-learnt", "warmup": 400},
    "aae-supervised": {"latent_dim": 2},
    "gmmn-ae": {"latent_dim": 2},
    "transfer-ae": {"latent_dim": 2},
    "began": {"latent_dim": 2, "gamma": 0.99, "k_lr": 0.5, "lr": 0.03, "critic_lr": 1e-5},
    "gmmn": {"latent_dim": 2},
    "wae-gan": {"latent_dim": 2},
    "avb": {"latent_dim": 2},
    "aae-semi-supervised": {"latent_dim": 2, "n_labels": 8},
    "aae-label-regularised": {},
    "arae": {"latent_dim": 4},
    "sngan": {"latent_dim": 2},
    "mmd-gan": {"latent_dim": 2},
    "infogan": {"latent_dim": 4},
}
DAILY = ("wae-mmd", "vae", "aae-supervised", "gmmn-ae", "transfer-ae", "began", "gmmn")
# Items that may be forgotten, for they never change; that they have not is what the test proves.
CANCELS = "the constant of a Wasserstein critic cancels in the difference of means: its gradient is 0"
CONSTANT = {
    r"^model/weight\.log_value$": "a weight that is a number is in the settings; not of one that changes",
    r"^model/prior\.": "a prior that is not learnt is made from the settings",
    r"^model/discrepancy\.critic\.\d\.bias$": CANCELS,
    r"^optimizer-critic/\d+\.exp_avg(_sq)?$": CANCELS,
}

# Items that the next step makes anew before it uses them; that nobody misses them is what the test proves.
MADE_ANEW = {
    r"parametrizations\.weight\.0\._u$": "the left singular vector follows from the weight and the right one",
    r"critic\.7\.parametrizations\.weight\.0\._v$": "of a matrix of one row it is that row, normalised",
}


class Case:
    """A recipe in the middle of its training, and what it comes to."""

    def __init__(self, name):
        arguments = dict(batch_size=5) | MEMBERS[name]
        data = pf.open_dataset((ROWS, torch.arange(20) % (2 if name == "transfer-ae" else 4)))
        with torch_seeded(0):
            setup = RECIPES[name](data.spec, **arguments)
        self.loop = Loop(setup.model.train(), data.train, setup.training, total=1)
        self.fresh = self.flat(self.loop.state())
        self.loop.total = 200  # as runs do, which learn it after the loop is made
        self.loop.step, self.loop.rollbacks = START, 1
        self.steps(BEFORE)
        self.saved = self.flat(self.loop.state())
        self.steps(AFTER)
        self.wanted = self.flat(self.loop.state())

    def steps(self, count):
        for _ in range(count):
            self.loop.advance()

    @staticmethod
    def flat(state):
        """Tensors and numbers by one name each."""
        tensors, numbers = state
        found = {f"{file}/{name}": value for file, part in tensors.items() for name, value in part.items()}
        return found | {name: torch.tensor(value) for name, value in numbers.items()}

    def outcome(self, state):
        """What a run comes to that goes on from a state, or the error that refuses it."""
        tensors, numbers = {file: {} for file in self.loop.state()[0]}, {}
        for name, value in state.items():
            file, slash, key = name.partition("/")
            if slash:
                tensors[file][key] = value
            else:
                numbers[name] = int(value)
        try:
            self.loop.restore(tensors, numbers)
        except (RuntimeError, ValueError, KeyError) as error:  # which a trainer turns into a CheckpointError
            return error
        self.steps(AFTER)
        return self.flat(self.loop.state())

    def initial(self, name):
        """The value of an item at the start of a run: of moments, which begin with the first step, 0."""
        return self.fresh.get(name, torch.zeros_like(self.saved[name]))

    def names(self, name):
        """All names of an item: what two parts share, such as InfoGAN's critic and its Q, has two."""
        places = {f"model/{one}": value.data_ptr() for one, value in self.loop.model.state_dict().items()}
        return [one for one, place in places.items() if place == places.get(name)] or [name]

    def items(self, every):
        """The names of all items, or of one of each kind."""
        kinds = {re.sub(r"\d+", "0", name): name for name in self.saved}
        return list(self.saved if every else kinds.values())


# What a trainer keeps beside its loop, and what it is at the start.
KEPT = {"sums": {}, "count": 0, "history.jsonl": b""}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A run that was stopped between two lines of its history, and what it comes to if it was not."""
    tiny, folder = TinyRun("vae", 12, latent_dim=2), tmp_path_factory.mktemp("stopped")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "LINES", 2)
        whole = fingerprint(tiny.train(folder / "whole").path)
        advance = Loop.advance

        def asked_to_stop(loop):
            if loop.step == 7:
                signal.raise_signal(signal.SIGTERM)
            return advance(loop)

        patch.setattr(Loop, "advance", asked_to_stop)
        with pytest.raises(InterruptedRunError, match="at step 8 of 12"):
            tiny.train(folder / "run")
        patch.setattr(Loop, "advance", advance)
        yield tiny, folder / "run", whole


@pytest.mark.parametrize("item", [None, *KEPT])
@pytest.mark.parametrize("how", ["left out", "put back"])
def test_what_a_trainer_keeps_cannot_be_forgotten(stopped, item, how, tmp_path):
    tiny, folder, whole = stopped
    shutil.copytree(folder, tmp_path / "run")
    checkpoints = Checkpoints(tmp_path / "run" / "checkpoints")
    found, _ = checkpoints.newest()
    checkpoints.run = json.loads((folder / "config.json").read_text())["id"]
    for part in (found.numbers, found.copies):
        if item in part and how == "left out":
            del part[item]
        elif item in part:
            assert part[item] != KEPT[item]
            part[item] = KEPT[item]
    checkpoints.write(found.step, found.tensors, found.numbers, found.copies)
    if how == "left out" and item:
        with pytest.raises(CheckpointError, match=f"{found.step:08d} does not fit the model: '{item}'"):
            tiny.train(tmp_path / "run")
        return
    tiny.train(tmp_path / "run")
    assert (fingerprint(tmp_path / "run") == whole) == (item is None)


def test_a_checkpoint_of_a_run_of_another_length_is_refused(stopped, tmp_path):
    tiny, folder, _ = stopped
    shutil.copytree(folder, tmp_path / "run")
    checkpoints = Checkpoints(tmp_path / "run" / "checkpoints")
    found, _ = checkpoints.newest()
    checkpoints.run = json.loads((folder / "config.json").read_text())["id"]
    checkpoints.write(found.step, found.tensors, found.numbers | {"total": 10**400}, found.copies)
    with pytest.raises(
        CheckpointError, match=r"does not fit the model: it is of 10+ steps, the run is of 12"
    ):
        tiny.train(tmp_path / "run")


def listed(name, reasons):
    """Why an item may be forgotten, or None."""
    return next((reason for pattern, reason in reasons.items() if re.search(pattern, name)), None)


def check(name, every):
    case = Case(name)
    again = case.outcome(case.saved)
    assert differing(again, case.wanted) == []
    unseen = []
    for item in case.items(every):
        names = case.names(item)
        left_out = case.outcome({one: value for one, value in case.saved.items() if one not in names})
        if not isinstance(left_out, Exception) and not differing(left_out, case.wanted):
            unseen.append(f"{item} left out")
        initial = case.initial(item)
        if same_bits(initial, case.saved[item]):
            reason = listed(item, CONSTANT | MADE_ANEW)
            assert reason, f"{item} has not changed: does it belong to the state?"
            continue
        put_back = case.outcome(case.saved | dict.fromkeys(names, initial))
        seen = isinstance(put_back, Exception) or bool(differing(put_back, case.wanted))
        if seen == bool(listed(item, MADE_ANEW)):
            unseen.append(f"{item} put back")
    assert unseen == []


@pytest.mark.parametrize("name", DAILY)
def test_one_item_of_each_kind_cannot_be_forgotten(name):
    check(name, every=False)


@pytest.mark.soak
@pytest.mark.parametrize("name", MEMBERS)
def test_no_item_can_be_forgotten(name):
    check(name, every=True)


def test_moments_that_do_not_fit_are_refused():
    case = Case("gmmn")
    item = "optimizer-model/0.exp_avg"
    error = case.outcome({name: value for name, value in case.saved.items() if name != item})
    assert str(error) == (
        "the optimizer of the player model keeps exp_avg, exp_avg_sq, step of each of its 14 parameters, "
        "found exp_avg_sq, step of number 0"
    )
    error = case.outcome(case.saved | {item: torch.zeros(3)})
    assert str(error) == "0.exp_avg must have the shape (512, 2), found (3,)"
    beyond = {f"optimizer-model/14.{name}": torch.zeros(()) for name in ("exp_avg", "exp_avg_sq", "step")}
    assert "found exp_avg, exp_avg_sq, step of number 14" in str(case.outcome(case.saved | beyond))
