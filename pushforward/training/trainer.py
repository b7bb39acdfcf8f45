"""The trainer: runs a loop in a folder, with history, checkpoints, warnings and a stop on request.

What is written is a function of the run and not of when it was stopped: a run that was
interrupted and resumed leaves the same history and the same weights as one that was not.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

from pushforward import distributed
from pushforward.errors import CheckpointError, DivergedError, reason
from pushforward.interrupts import StopRequested, deferred
from pushforward.rng import Noise
from pushforward.square import Square
from pushforward.torch_state import torch_seeded
from pushforward.training import history
from pushforward.training.alike import begin_alike
from pushforward.training.block import Blocks
from pushforward.training.checkpoints import Checkpoint, Checkpoints
from pushforward.training.finite import check_finite
from pushforward.training.history import History, UnwrittenHistory
from pushforward.training.legend import legend as describe
from pushforward.training.loop import Loop
from pushforward.training.monitor import Monitor, Persistence, watch
from pushforward.utils import eval_mode
from pushforward.wording import in_python, plural, spelling

LINES = 200  # of history in a long run
PICTURES = 10  # grids of samples, and planned checkpoints, in a run
PATIENCE = 60.0  # seconds after which a checkpoint is written anyway
ROLLBACKS = 5  # at most, in a run
SHARE = 20  # how many times longer training must have taken since the last checkpoint than writing that did
OnNonfinite = Literal["stop", "rollback"]


class Show(Protocol):
    """Displays progress."""

    def __call__(self, done: int, total: int, words: str = "") -> None:
        """Shows that ``done`` of ``total`` steps are done."""

    def say(self, line: str) -> None:
        """Prints a line that stays."""


class Trainer:
    """Runs a loop to its end.

    Of several processes the first writes, and the others come to the same history and decisions.

    Arguments:
        folder: The run's folder.
        loop: The loop to run.
        show: Displays progress.
        draw: Called with the step when samples are to be written.
        checkpoints: Where checkpoints are kept.
        copies: Contents of other files of the run, by name, which every checkpoint holds.
        again: What continues the run with other options, in words.
        on_nonfinite: What happens when a term, a gradient, weights, samples or codes are not finite: "stop"
            the run, or "rollback" to the newest checkpoint that was planned, with other random numbers from
            there on, at most :data:`ROLLBACKS` times.
        earlier_totals: Numbers of steps that the run had before it was extended; it may go on from their
            checkpoints.
        clock: Tells the time in seconds. Which checkpoints there are depends on it, but not what they hold.
    """

    def __init__(
        self,
        folder: Path,
        loop: Loop,
        show: Show,
        draw: Callable[[int], None],
        checkpoints: Checkpoints,
        copies: Mapping[str, bytes],
        again: Callable[..., str],
        on_nonfinite: OnNonfinite = "stop",
        earlier_totals: Sequence[int] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.loop = loop
        self.show = show
        self.draw = draw
        self.checkpoints = checkpoints
        self.copies = copies
        self.again = again
        self.on_nonfinite = on_nonfinite
        self.earlier_totals = tuple(earlier_totals)
        self.clock = clock
        kind = History if distributed.is_first() else UnwrittenHistory
        self.history = kind(folder / history.NAME)
        self.health = watch_loop(loop)
        self.sums: dict[str, float] = {}
        self.count = 0
        self.saved: int | None = None
        self.saved_at, self.cost = clock(), 0.0  # when, and how long that took
        # Where a rollback leads: a planned checkpoint, for others are where they are by the clock.
        self.anchor: int | None = None
        self.rolled_back: list[str] = []
        self.logged = 0  # how many of these the history tells of
        self.explained = False  # what the numbers mean

    def resume(self) -> None:
        """Goes back to the newest checkpoint that verifies, and removes later lines of the history.

        Raises:
            CheckpointError: If no checkpoint verifies, or it does not fit the model.
        """
        distributed.wait()  # until the first has repaired the folder
        found, faults = self.checkpoints.newest()
        step = distributed.from_first(found.step)
        found = found if found.step == step else self.checkpoints.read(step)
        for fault in faults:
            self.show.say(f"warning: {fault}; falling back to an older checkpoint")
        if fault := self._restore(found):
            self.show.say(f"warning: {fault} of step {found.step}")

    def _restore(self, found: Checkpoint) -> str:
        """Continues from a checkpoint; returns what was wrong with the file of the history, or "".

        Raises:
            CheckpointError: If it does not fit the model.
        """
        numbers = found.numbers
        try:
            total = self.loop.total
            if numbers["total"] not in (total, *self.earlier_totals):
                raise ValueError(f"it is of {numbers['total']!r:.20} steps, the run is of {total}")
            self.loop.restore(found.tensors, numbers)
            self.loop.total = total
            self.sums, self.count = dict(numbers["sums"]), int(numbers["count"])
            self.anchor, self.logged = numbers["anchor"], int(numbers["logged"])
            self.rolled_back = [str(said) for said in numbers["rolled_back"]]
            lines = found.copies[history.NAME]
            self.health.persistence = Persistence()
            with self.loop.looking():
                for line in history.parse(lines)[0]:  # warnings that were given are not given again
                    self.health.warnings(line["diagnostics"], line["step"] / self.loop.total)
        except (RuntimeError, KeyError, TypeError, ValueError, OverflowError) as error:
            place = self.checkpoints.place(found.step)
            raise CheckpointError(f"{place} does not fit the model: {reason(error)}") from error
        self.saved = found.step
        return self.history.begin(lines)

    def _roll_back(self, error: DivergedError) -> None:
        """Goes back to the last anchor, with other random numbers from there on.

        Raises:
            DivergedError: If the run is to stop, has gone back often enough, or cannot go back.
        """
        if self.on_nonfinite == "stop":
            again = self.again(on_nonfinite="rollback")
            raise DivergedError(f"{error}; to go back and on with other noise: {again}") from error
        if len(self.rolled_back) == ROLLBACKS:
            raise DivergedError(f"{error}; {ROLLBACKS} rollbacks have not helped") from error
        assert self.anchor is not None
        said = [*self.rolled_back, f"rolled back to step {self.anchor}: {error}"]
        try:
            self._restore(self.checkpoints.read(self.anchor))
        except CheckpointError as fault:
            raise DivergedError(f"{error}; the run cannot go back: {fault}") from error
        if distributed.is_first():
            self.checkpoints.discard_after(self.anchor)
        self.rolled_back = said
        self.loop.rollbacks = len(said)
        self.show.say(f"warning: {said[-1]}")

    def save(self, again: bool = False) -> None:
        """Writes a checkpoint of this step, unless there is one, or again."""
        if self.saved == self.loop.step and not again:
            return
        begun = self.clock()
        if distributed.is_first():
            self.history.sync()
            tensors, numbers = self.loop.state()
            numbers |= {"sums": self.sums, "count": self.count, "anchor": self.anchor, "logged": self.logged}
            numbers["rolled_back"] = self.rolled_back
            copies = {**self.copies, history.NAME: self.history.content}
            self.checkpoints.write(self.loop.step, tensors, numbers, copies, self.anchor)
        self.saved, self.saved_at = self.loop.step, self.clock()
        self.cost = self.saved_at - begun

    def run(self) -> None:
        """All remaining steps.

        Raises:
            StopRequested: After a signal that asks to stop, once the checkpoint is written.
            DivergedError: If numbers are not finite, and the run does not go back; the last checkpoint stays.
            ProcessError: If another process is lost, or holds other weights.
        """
        begin_alike(self.loop.model)
        if self.saved is None:
            self.history.begin()  # a run killed before its first checkpoint may have left lines
        with deferred() as stopped:
            if self.anchor is None and self.on_nonfinite == "rollback":
                self.anchor = self.loop.step
                self.save(again=True)
            while True:
                try:
                    with self.history.open():
                        return self._run(stopped)
                except DivergedError as error:
                    self._roll_back(error)

    def _run(self, stopped: Callable[[], bool]) -> None:
        """All remaining steps, until a number is not finite or a stop is requested."""
        loop = self.loop
        line_every = steps_per_line(loop.total)
        picture_every = line_every * max(1, loop.total // (PICTURES * line_every))
        blocks = Blocks(loop, self.clock)
        duration = Duration(loop, self.clock)
        words = ""
        self.saved_at, self.cost = self.clock(), 0.0
        while True:
            late = distributed.is_first() and self.clock() - self.saved_at > max(PATIENCE, SHARE * self.cost)
            halted, late = distributed.any_process(stopped(), late)
            if (halted or late) and loop.step:
                self.save()
            if halted or loop.step == loop.total:
                break
            taken, square = blocks.advance(min(line_every - loop.step % line_every, loop.total - loop.step))
            last = loop.step == loop.total
            look = loop.step % line_every == 0 or last
            planned = loop.step % picture_every == 0 or last
            if look or planned:
                square = loop.whole(square)
                loop.check_same()
            for terms in taken:
                for name, value in terms.items():
                    self.sums[name] = self.sums.get(name, 0.0) + value.item()
            self.count += len(taken)
            if look:
                words = self._log(square)
            self.show(loop.step, loop.total, words)
            if said := duration.said_once():
                self.show.say(said)
            if planned:
                check_finite(loop.model, square, loop.step, loop.seed)
                self.anchor = loop.step
                if distributed.is_first():
                    self.draw(loop.step)
                self.save()
        if halted and not stopped():
            raise StopRequested(signal.SIGTERM)  # of another process

    def _log(self, square: Square) -> str:
        """Writes a line of the history, and says what it warns of; returns its numbers in words."""
        loop = self.loop
        diagnostics = diagnose(loop, self.health, square)
        terms = {name: value / self.count for name, value in self.sums.items()}
        numbers = {**terms, **diagnostics}
        self.sums, self.count = {}, 0
        with loop.looking():
            warnings = self.health.warnings(diagnostics, loop.step / loop.total)
            # The variance of a learnt prior is one of draws.
            legend = "" if self.explained else describe(loop.model, numbers)
        with spelling(in_python):
            news = self.rolled_back[self.logged :] + [warning() for warning in warnings]
        weight = loop.model.discrepancy_weight
        self.history.append(
            {"step": loop.step, "terms": terms, "diagnostics": diagnostics}
            | ({} if weight is None else {"weight": weight})
            | ({"warnings": news} if news else {})
        )
        self.logged, self.explained = len(self.rolled_back), True
        if legend:
            self.show.say(f"the numbers below are {legend}")
        for warning in warnings:
            self.show.say(f"warning, step {loop.step}: {warning()}")
        words = "  ".join(f"{name} {value:.4g}" for name, value in numbers.items())
        return words + ("  (warned)" if self.health.persistence.given else "")


class Duration:
    """How long a run will take, which is known after some steps and said once.

    Arguments:
        loop: The loop.
        clock: Tells the time in seconds.
    """

    def __init__(self, loop: Loop, clock: Callable[[], float]) -> None:
        self.loop = loop
        self.clock = clock
        self.first: int | None = None
        self.begun = 0.0
        self.said = False

    def said_once(self) -> str:
        """It in words, once it is known; else, and later, ""."""
        loop, now = self.loop, self.clock()
        if self.first is None:  # a first step may have been compiled
            self.begun, self.first = now, loop.step
        if self.said or now - self.begun <= 1 or loop.step - self.first < 2:
            return ""
        self.said = True
        left = (now - self.begun) / (loop.step - self.first) * (loop.total - loop.step)
        epochs = f"{loop.total / loop.per_epoch:.3g} {plural(loop.total / loop.per_epoch, 'epoch')}"
        return f"{loop.total} steps, {epochs}: {_about(left)}"


def steps_per_line(total: int) -> int:
    """Steps between two lines of the history: a 200th of the run, but 5 in runs of 200 to 1,199 steps, and
    fewer in shorter ones, which have some 40 lines. Each line costs a third of a step or more.

    >>> [steps_per_line(total) for total in (20, 200, 1000, 6000)]
    [1, 5, 5, 30]
    """
    return max(1, min(5, total // 40), total // LINES)


def affordable(seconds: float, step: float, look: float) -> int:
    """How many steps, and the looks at diagnostics that go with them, fit into so many seconds.

    Arguments:
        seconds: Of all steps and looks.
        step: Seconds of a step.
        look: Seconds of a look.

    >>> affordable(13.0, 0.1, 0.1), affordable(13.0, 0.1, 0.0)
    (87, 130)
    """
    steps = seconds / step
    for _ in range(5):  # with fewer steps, looks may be closer together
        steps = seconds / (step + look / steps_per_line(int(steps)))
    return max(1, round(steps))


def watch_loop(loop: Loop) -> Monitor:
    """The monitor of a loop's model."""
    with loop.looking():
        return watch(loop.model, loop.batch_size)


def diagnose(loop: Loop, monitor: Monitor, square: Square) -> dict[str, float]:
    """What is logged of a step besides its terms."""
    model, seed = loop.model, Noise(loop.seed, "diagnostics", loop.step).integer()
    with torch_seeded(seed, loop.device), loop.looking():
        found = monitor.diagnostics(square)
        with eval_mode(model):  # diagnostics must not change running statistics
            return found | {name: value.item() for name, value in model.diagnostics(square).items()}


def steps_in(loop: Loop, seconds: float) -> tuple[int, float]:
    """How many steps with their looks at diagnostics take so many seconds, and the steps a second.

    Both are measured on steps that are undone afterwards, for a 25th of the time but at most 3 seconds. Of
    several processes the first one's clock counts.
    """
    tensors, numbers = loop.state()
    total, loop.total = loop.total, max(loop.total, 1_000_000)
    begun_to_measure = time.monotonic()
    blocks = Blocks(loop)
    for _ in range(2):  # the first steps allocate
        blocks.advance(1)
    trial = min(0.04 * seconds, 3.0)
    begun, done = time.monotonic(), 0
    while distributed.from_first(done < 3 or time.monotonic() - begun < trial):
        taken, square = blocks.advance(blocks.most)
        done += len(taken)
    square = loop.whole(square)
    step = (time.monotonic() - begun) / done
    monitor = watch_loop(loop)
    diagnose(loop, monitor, square)  # the first look allocates, too
    begun = time.monotonic()
    for _ in range(3):
        diagnose(loop, monitor, Square(loop.model, square.x, square.noise, square.y, square.paired))
    look = (time.monotonic() - begun) / 3
    loop.restore(tensors, numbers)
    loop.total = total
    left = seconds - (time.monotonic() - begun_to_measure)
    steps, speed = distributed.from_first([affordable(left, step, look), 1 / step])
    return steps, speed


def _about(seconds: float) -> str:
    if seconds >= 7200:
        return f"about {seconds / 3600:.0f} hours at this speed"
    if seconds >= 90:
        return f"about {seconds / 60:.0f} minutes at this speed"
    return f"about {seconds:.0f} {plural(round(seconds), 'second')} at this speed"
