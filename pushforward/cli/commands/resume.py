"""``pushforward resume``."""

from __future__ import annotations

from typing import Literal

from pushforward.cli.application import app
from pushforward.cli.options import JsonFlag, RunData, RunFolder
from pushforward.cli.output import finish


@app.command
def resume(
    run: RunFolder,
    *,
    device: str | None = None,
    on_nonfinite: Literal["stop", "rollback"] | None = None,
    data: RunData = None,
    json: JsonFlag = False,
) -> None:
    """Continue a run that was stopped; the result is the same, to the last bit, as without the stop.

    Arguments:
        device: Device to continue on, if not the one of before.
        on_nonfinite: What happens from now on at a number that is not finite, if not what the run began
            with: stop, or rollback to an earlier step and go on with other random numbers.
    """
    from pushforward.runs.api import resume

    finish(resume(run, data, device=device, on_nonfinite=on_nonfinite), json)
