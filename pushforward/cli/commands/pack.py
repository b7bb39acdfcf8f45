"""``pushforward pack``."""

from __future__ import annotations

from pathlib import Path

from pushforward.cli.application import app
from pushforward.cli.opening import kinds_of
from pushforward.cli.options import (
    ChannelsOf,
    Columns,
    DataDir,
    Group,
    Held,
    ImageSize,
    JsonFlag,
    Standardize,
    Target,
)  # fmt: skip
from pushforward.cli.output import print_json
from pushforward.console import echo


@app.command
def pack(
    source: str,
    out: Path,
    *,
    data_dir: DataDir = None,
    image_size: ImageSize = None,
    columns: Columns = None,
    target: Target = None,
    standardize: Standardize = True,
    channels: ChannelsOf = None,
    test: Held = None,
    group: Group = None,
    json: JsonFlag = False,
) -> None:
    """Decode data once into a pack, from which rows are read without filling the memory.

    The same command goes on with a pack that was stopped.

    Arguments:
        source: A folder of images, a file, or a name of the catalogue.
        out: The folder of the pack, which is data for all commands.
    """
    from pushforward.runs.packing import pack as packed

    data = packed(
        source, out, data_dir=data_dir, image_size=image_size, columns=kinds_of(columns), target=target,
        standardize=standardize, channels=channels, test=test, group=group,
    )  # fmt: skip
    if json:
        print_json({"pack": str(out), "n_train": len(data.train), "n_test": len(data.test),
                    "shape": list(data.shape), "sha256": data.fingerprint})  # fmt: skip
        return
    for note in data.notes:
        echo(note)
    echo(f"{out}: {len(data.train):,} training and {len(data.test):,} held-out rows {data.shape}")
