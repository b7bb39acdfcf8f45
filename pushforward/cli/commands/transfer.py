"""``pushforward transfer``."""

from __future__ import annotations

from pathlib import Path

from pushforward.cli.application import app
from pushforward.cli.opening import run_with
from pushforward.cli.options import JsonFlag, RunData, RunFolder
from pushforward.cli.output import file_of, write_pairs
from pushforward.console import echo


@app.command
def transfer(
    run: RunFolder,
    *,
    to: str,
    guidance_scale: float = 1.0,
    lines: Path | None = None,
    n: int = 12,
    out: Path | None = None,
    data: RunData = None,
    json: JsonFlag = False,
) -> None:
    """Rewrite rows under another label, such as lines in another style; each is written next to its result.

    Arguments:
        to: Number or name of the label.
        guidance_scale: Values above 1 exaggerate the label.
        lines: A text file with one row in each line; by default held-out rows of other labels.
        n: Number of held-out rows.
        out: The file; transfer.txt (.png, .npy) in the run's folder by default.
    """
    from pushforward.errors import check_int

    loaded = run_with(run, data)
    loaded.need_labels()
    out = file_of(loaded, "transfer", out)
    if lines is None:
        x, y = loaded.held_out_except(to, check_int("n", n, least=1))
    else:
        (x, note), y = loaded.read(lines), None
        if note:
            echo(note, err=True)
    write_pairs(loaded, "transfer", out, x, loaded.transfer(x, to, y, guidance_scale), json)
