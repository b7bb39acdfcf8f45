"""``pushforward resume``."""

from __future__ import annotations

from typing import Literal

from pushforward.cli.application import app
from pushforward.cli.options import Evaluate, JsonFlag, RunData, RunFolder
from pushforward.cli.output import finish


@app.command
def resume(
    run: RunFolder,
    *,
    steps: str | None = None,
    epochs: str | None = None,
    minutes: str | None = None,
    device: str | None = None,
    on_nonfinite: Literal["stop", "rollback"] | None = None,
    compile: bool | None = None,
    pictures: bool = True,
    data: RunData = None,
    evaluate: Evaluate = "quick",
    json: JsonFlag = False,
) -> None:
    """Continue a run that was stopped, to the same bits as without the stop; or train a run longer.

    Arguments:
        steps: Number of steps that the run is to have in all; or, with a plus sign, such as +2000, how many
            more.
        epochs: The same in passes over the data.
        minutes: How much longer to train in time, such as +5.
        device: Device to continue on, if not the one of before.
        on_nonfinite: What happens from now on at a number that is not finite, if not what the run began
            with: stop, or rollback to an earlier step and go on with other random numbers.
        compile: Whether losses are compiled from now on, if not as the run began; last bits differ.
        pictures: Whether to write samples during training, and overview.png at its end, from now on.
    """
    from pushforward.runs.api import resume

    trained = resume(
        run, data, device, on_nonfinite,
        pictures=pictures, steps=steps, epochs=epochs, minutes=minutes, compile=compile,
    )  # fmt: skip
    finish(trained, json, evaluate, pictures)
