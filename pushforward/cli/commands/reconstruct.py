"""``pushforward reconstruct``."""

from __future__ import annotations

from pathlib import Path

from pushforward.cli.application import app
from pushforward.cli.options import JsonFlag, RunData, RunFolder
from pushforward.cli.output import write_pairs


@app.command
def reconstruct(
    run: RunFolder, *, n: int = 32, out: Path | None = None, data: RunData = None, json: JsonFlag = False
) -> None:
    """Write held-out rows, each next to its reconstruction.

    Arguments:
        n: Number of held-out rows.
        out: The file; reconstructions.png (.txt, .npy) in the run's folder by default.
    """
    from pushforward.errors import check_int
    from pushforward.runs.api import load

    loaded = load(run, data)
    x, y = loaded.held_out(slice(0, check_int("n", n, least=1)))
    write_pairs(loaded, "reconstructions", out, x, loaded.reconstruct(x, y), json)
