"""``pushforward check``."""

from __future__ import annotations

from dataclasses import asdict

from pushforward.cli.application import app
from pushforward.cli.options import AS_USUAL, AsRead, JsonFlag
from pushforward.cli.output import print_json
from pushforward.console import echo

REFUSED = 65  # the exit code for data that cannot be used, as elsewhere


@app.command
def check(
    data: str,
    *,
    reading: AsRead = AS_USUAL,
    json: JsonFlag = False,
) -> None:
    """Look for what is odd about data, and say what becomes of it in training.

    The exit code is 65 if training on the data would be refused.

    Arguments:
        data: A folder of images, a file, a pack, or a name of the catalogue.
    """
    from pushforward.runs.checking import check as checked

    found = checked(data, **reading.arguments())
    if json:
        print_json({**asdict(found), "usable": found.usable})
    else:
        for line in repr(found).splitlines():
            echo(line)
    if not found.usable:
        raise SystemExit(REFUSED)
