"""``pushforward doctor``."""

from __future__ import annotations

from pushforward.cli.application import app
from pushforward.cli.options import Features, JsonFlag, RunData, RunFolder
from pushforward.cli.output import print_json
from pushforward.console import echo, in_its_words


@app.command
def doctor(
    run: RunFolder, *, features: Features = "auto", data: RunData = None, json: JsonFlag = False
) -> None:
    """Say why samples are bad, with the number that shows each reason and the one thing to try next."""
    from dataclasses import asdict, replace

    from pushforward.report.display import Findings
    from pushforward.runs.api import load

    found = load(run, data).doctor(features=features, progress=True)
    findings = Findings(replace(finding, advice=in_its_words(finding.advice)) for finding in found)
    if json:
        print_json({"run": str(run), "findings": [asdict(finding) for finding in findings]})
        return
    echo(repr(findings))
