"""``pushforward check``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Literal

from pushforward.cli.application import app
from pushforward.cli.options import JsonFlag
from pushforward.cli.output import print_json
from pushforward.console import echo

REFUSED = 65  # the exit code for data that cannot be used, as elsewhere


@app.command
def check(
    data: str,
    *,
    data_dir: Path | None = None,
    image_size: int | None = None,
    standardize: bool = True,
    channels: Literal["first", "last"] | None = None,
    json: JsonFlag = False,
) -> None:
    """Look for what is odd about data, and say what becomes of it in training.

    The exit code is 65 if training on the data would be refused.

    Arguments:
        data: A folder of images, a file, a pack, or a name of the catalogue.
        data_dir: Where the catalogue's files are kept.
        image_size: Height and width to which images are resized.
        standardize: Whether columns of real numbers are centred and scaled for the model.
        channels: Where the channels of an array of images are, if there are not 1 or 3 of them.
    """
    from pushforward.runs.checking import check as checked

    found = checked(
        data, data_dir=data_dir, image_size=image_size, standardize=standardize, channels=channels
    )
    if json:
        print_json({**asdict(found), "usable": found.usable})
    else:
        for line in repr(found).splitlines():
            echo(line)
    if not found.usable:
        raise SystemExit(REFUSED)
