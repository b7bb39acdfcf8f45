"""``pushforward pack``."""

from __future__ import annotations

from pathlib import Path

from pushforward.cli.application import app
from pushforward.cli.options import AS_USUAL, AsRead, JsonFlag
from pushforward.cli.output import print_json
from pushforward.console import echo


@app.command
def pack(
    source: str,
    out: Path,
    *,
    reading: AsRead = AS_USUAL,
    json: JsonFlag = False,
) -> None:
    """Decode data once into a pack, from which rows are read without filling the memory.

    The same command goes on with a pack that was stopped.

    Arguments:
        source: A folder of images, a file, or a name of the catalogue.
        out: The folder of the pack, which is data for all commands.
    """
    from pushforward.runs.packing import pack as packed

    data = packed(source, out, **reading.arguments())
    if json:
        print_json({"pack": str(out), "n_train": len(data.train), "n_test": len(data.test),
                    "shape": list(data.shape), "sha256": data.fingerprint})  # fmt: skip
        return
    for note in data.notes:
        echo(note)
    echo(f"{out}: {len(data.train):,} training and {len(data.test):,} held-out rows {data.shape}")
