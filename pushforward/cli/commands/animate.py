"""``pushforward animate``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pushforward.cli.application import app
from pushforward.cli.opening import run_with
from pushforward.cli.options import JsonFlag, RunData, RunFolder
from pushforward.cli.output import print_json
from pushforward.console import echo


@app.command
def animate(
    run: RunFolder,
    *,
    what: Literal["training", "interpolation"] = "training",
    out: Path | None = None,
    seconds: float = 0.3,
    steps: int = 16,
    data: RunData = None,
    json: JsonFlag = False,
) -> None:
    """Write a GIF of samples of images or vectors while a model was trained, or of paths between codes.

    Arguments:
        what: "training", the samples that were kept in training; or "interpolation", from held-out rows to
            others, through their codes.
        out: The file; training.gif or interpolation.gif in the run's folder by default.
        seconds: How long a frame is shown.
        steps: Frames of an interpolation.
    """
    path = run_with(run, data).animate(what, out, seconds, steps)
    if json:
        print_json({"run": str(run), "file": str(path)})
    else:
        echo(f"animation of {run}: {path}")
