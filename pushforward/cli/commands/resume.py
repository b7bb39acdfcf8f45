"""``pushforward resume``."""

from __future__ import annotations

from pushforward.cli.application import app
from pushforward.cli.options import JsonFlag, RunFolder
from pushforward.cli.output import finish


@app.command
def resume(run: RunFolder, *, device: str | None = None, json: JsonFlag = False) -> None:
    """Continue a run that was stopped; the result is the same, to the last bit, as without the stop.

    Arguments:
        device: Device to continue on, if not the one of before.
    """
    from pushforward.runs.api import resume

    finish(resume(run, device=device), json)
