"""``pushforward doctor``."""

from __future__ import annotations

from pushforward.cli.application import app
from pushforward.cli.opening import run_with
from pushforward.cli.options import Features, JsonFlag, RunData, RunFolder
from pushforward.cli.output import findings_json, print_findings, print_json
from pushforward.console import echo


@app.command
def doctor(
    run: RunFolder, *, features: Features = "quick", data: RunData = None, json: JsonFlag = False
) -> None:
    """Say how good samples are, why they are not better, and the one thing to try next."""
    from pushforward.process_group import joined

    with joined():
        loaded = run_with(run, data)
        findings = loaded.doctor(features=features, progress=True)
    if json:
        print_json({"run": str(run)} | findings_json(findings))
        return
    print_findings(findings, loaded)
    for finding in findings[1:]:
        echo(f"also: {finding.name}: {finding.words}")
