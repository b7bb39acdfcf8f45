"""``pushforward report``."""

from __future__ import annotations

from pushforward.cli.application import app
from pushforward.cli.opening import run_with
from pushforward.cli.options import Features, JsonFlag, RunData, RunFolder
from pushforward.cli.output import print_json
from pushforward.console import echo


@app.command
def report(
    run: RunFolder, *, features: Features = "auto", data: RunData = None, json: JsonFlag = False
) -> None:
    """Write one self-contained HTML page of a whole run; it opens without a network, and on a phone."""
    from pushforward.process_group import joined

    with joined():
        page = run_with(run, data).report(features, progress=True)
    if json:
        print_json({"run": str(run), "file": str(page)})
    else:
        echo(f"report of {run}: {page}")
