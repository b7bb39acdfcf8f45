"""The trainer: runs a loop in a folder, with history, checkpoints, warnings and a stop on request.

What is written is a function of the run and not of when it was stopped: a run that was
interrupted and resumed leaves the same history and the same weights as one that was not.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from pushforward.errors import CheckpointError, InterruptedRunError
from pushforward.files import write_atomic
from pushforward.rng import Noise
from pushforward.square import Square
from pushforward.torch_state import torch_seeded
from pushforward.training import checkpoints
from pushforward.training.loop import Loop
from pushforward.training.monitor import watch
from pushforward.utils import eval_mode

LINES = 200  # of history in a run
PICTURES = 10  # grids of samples, and planned checkpoints, in a run
PATIENCE = 300.0  # seconds after which a checkpoint is written anyway


class Show(Protocol):
    """Displays progress."""

    def __call__(self, done: int, total: int, words: str = "") -> None:
        """Shows that ``done`` of ``total`` steps are done."""

    def say(self, line: str) -> None:
        """Prints a line that stays."""


class Trainer:
    """Runs a loop to its end.

    Arguments:
        folder: The run's folder.
        loop: The loop to run.
        show: Displays progress.
        draw: Called with the step when samples are to be written.
    """

    def __init__(self, folder: Path, loop: Loop, show: Show, draw: Callable[[int], None]) -> None:
        self.folder = folder
        self.loop = loop
        self.show = show
        self.draw = draw
        self.health = watch(loop.model, loop.batch_size)
        self.sums: dict[str, float] = {}
        self.count = 0

    @property
    def history(self) -> Path:
        """Where terms are logged, one JSON object a line."""
        return self.folder / "history.jsonl"

    def resume(self) -> None:
        """Goes back to the newest checkpoint that verifies, and removes later lines of the history.

        Raises:
            CheckpointError: If no checkpoint verifies, or it does not fit the model.
        """
        tensors, numbers, faults = checkpoints.newest(self.folder / "checkpoints")
        for fault in faults:
            self.show.say(f"warning: {fault}; falling back to an older checkpoint")
        try:
            self.loop.restore(tensors, numbers)
        except (RuntimeError, KeyError) as error:
            reason = " ".join(str(error).split())
            raise CheckpointError(
                f"{self.folder}: the checkpoint does not fit the model: {reason}"
            ) from error
        self.sums, self.count = dict(numbers["sums"]), int(numbers["count"])
        kept = [line for line in read_history(self.history) if line["step"] <= self.loop.step]
        for line in kept:  # warnings that were given are not given again
            self.health.warnings(line["diagnostics"], line["step"] / self.loop.total)
        write_atomic(self.history, "".join(json.dumps(line) + "\n" for line in kept))

    def save(self) -> None:
        """Writes a checkpoint of this step."""
        tensors, numbers = self.loop.state()
        numbers |= {"sums": self.sums, "count": self.count}
        checkpoints.write(self.folder / "checkpoints", self.loop.step, tensors, numbers)

    def diagnostics(self, square: Square) -> dict[str, float]:
        """What is logged of a step besides its terms."""
        model, seed = self.loop.model, Noise(self.loop.seed, "diagnostics", self.loop.step).integer()
        with torch_seeded(seed, self.loop.device):
            found = self.health.diagnostics(square)
            with eval_mode(model):  # diagnostics must not change running statistics
                return found | {name: value.item() for name, value in model.diagnostics(square).items()}

    def run(self) -> None:
        """All remaining steps.

        Raises:
            InterruptedRunError: After SIGINT or SIGTERM, once the checkpoint is written.
            DivergedError: If a term or gradient is not finite; the last checkpoint stays.
        """
        loop = self.loop
        if loop.step == 0:
            write_atomic(self.history, "")  # a run killed before its first checkpoint may have left lines
        line_every = max(1, loop.total // LINES)
        picture_every = line_every * max(1, loop.total // (PICTURES * line_every))
        begun = saved = time.monotonic()
        first, estimated = loop.step, False
        words = ""
        with stop_on_request() as stopped, self.history.open("a") as history:
            while loop.step < loop.total:
                terms, square = loop.advance()
                for name, value in terms.items():
                    self.sums[name] = self.sums.get(name, 0.0) + value.item()
                self.count += 1
                if loop.step % line_every == 0 or loop.step == loop.total:
                    diagnostics = self.diagnostics(square)
                    means = {name: value / self.count for name, value in self.sums.items()}
                    self.sums, self.count = {}, 0
                    line: dict[str, Any] = {"step": loop.step, "terms": means, "diagnostics": diagnostics}
                    if loop.model.discrepancy_weight is not None:
                        line["weight"] = loop.model.discrepancy_weight
                    warnings = self.health.warnings(diagnostics, loop.step / loop.total)
                    if warnings:
                        line["warnings"] = warnings
                    history.write(json.dumps(line) + "\n")
                    history.flush()
                    words = "  ".join(
                        f"{name} {value:.4g}" for name, value in {**means, **diagnostics}.items()
                    )
                    words += " !" if self.health.persistence.given else ""
                    for warning in warnings:
                        self.show.say(f"warning, step {loop.step}: {warning}")
                self.show(loop.step, loop.total, words)
                now = time.monotonic()
                if not estimated and now - begun > 1 and loop.step - first >= 2:
                    estimated = True
                    left = (now - begun) / (loop.step - first) * (loop.total - loop.step)
                    self.show.say(
                        f"{loop.total} steps, {loop.total / loop.per_epoch:.3g} epochs: {_about(left)}"
                    )
                last, stop = loop.step == loop.total, stopped()
                if loop.step % picture_every == 0 or last:
                    self.draw(loop.step)
                if loop.step % picture_every == 0 or last or stop or now - saved > PATIENCE:
                    self.save()
                    saved = now
                if stop and not last:
                    place = f"stopped at step {loop.step} of {loop.total}"
                    raise InterruptedRunError(f"{place}; go on with: pushforward resume {self.folder}")


def measure_speed(loop: Loop, seconds: float) -> float:
    """Steps a second, measured on steps that are undone afterwards."""
    tensors, numbers = loop.state()
    total, loop.total = loop.total, max(loop.total, 1_000_000)
    for _ in range(2):  # the first steps allocate
        loop.advance()
    begun, done = time.monotonic(), 0
    while done < 3 or time.monotonic() - begun < seconds:
        loop.advance()
        done += 1
    rate = done / (time.monotonic() - begun)
    loop.restore(tensors, numbers)
    loop.total = total
    return rate


def read_history(path: Path) -> list[dict[str, Any]]:
    """The lines of a history; a last line that was cut off is left out."""
    lines = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return lines


@contextmanager
def stop_on_request() -> Iterator[Callable[[], bool]]:
    """Turns the first SIGINT or SIGTERM into a flag; a second one acts as usual."""
    asked = False
    before: dict[signal.Signals, Any] = {}

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        for name, handler in before.items():
            signal.signal(name, handler)

    if threading.current_thread() is threading.main_thread():
        for name in (signal.SIGINT, signal.SIGTERM):
            before[name] = signal.signal(name, handle)
    try:
        yield lambda: asked
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def _about(seconds: float) -> str:
    if seconds >= 7200:
        return f"about {seconds / 3600:.0f} hours at this speed"
    if seconds >= 90:
        return f"about {seconds / 60:.0f} minutes at this speed"
    return f"about {seconds:.0f} seconds at this speed"
