"""``pushforward pack``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pushforward.cli.application import app
from pushforward.cli.options import JsonFlag
from pushforward.cli.output import print_json
from pushforward.console import echo


@app.command
def pack(
    source: str,
    out: Path,
    *,
    data_dir: Path | None = None,
    image_size: int | None = None,
    standardize: bool = True,
    channels: Literal["first", "last"] | None = None,
    json: JsonFlag = False,
) -> None:
    """Decode data once into a pack, from which rows are read without filling the memory.

    The same command goes on with a pack that was stopped.

    Arguments:
        source: A folder of images, a file, or a name of the catalogue.
        out: The folder of the pack, which is data for all commands.
        data_dir: Where the catalogue's files are kept.
        image_size: Height and width to which images are resized.
        standardize: Whether columns of real numbers are centred and scaled for the model.
        channels: Where the channels of an array of images are, if there are not 1 or 3 of them.
    """
    from pushforward.runs.packing import pack as packed

    data = packed(
        source, out, data_dir=data_dir, image_size=image_size, standardize=standardize, channels=channels
    )
    if json:
        print_json({"pack": str(out), "n_train": len(data.train), "n_test": len(data.test),
                    "shape": list(data.shape), "sha256": data.fingerprint})  # fmt: skip
        return
    for note in data.notes:
        echo(note)
    echo(f"{out}: {len(data.train):,} training and {len(data.test):,} held-out rows {data.shape}")
