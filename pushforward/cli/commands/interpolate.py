"""``pushforward interpolate``."""

from __future__ import annotations

from pathlib import Path

from pushforward.cli.application import app
from pushforward.cli.opening import run_with
from pushforward.cli.options import JsonFlag, RunData, RunFolder
from pushforward.cli.output import file_of, write_rows


@app.command
def interpolate(
    run: RunFolder,
    *,
    n: int = 8,
    steps: int = 10,
    path: str | None = None,
    out: Path | None = None,
    data: RunData = None,
    json: JsonFlag = False,
) -> None:
    """Write decoded paths between codes of held-out rows or, without an encoder, between draws of the prior.

    Arguments:
        n: Number of paths.
        steps: Points on each path.
        path: "linear" or "spherical"; by default the one that suits the prior.
        out: The file; interpolations.png (.txt, .npy) in the run's folder by default.
    """
    from pushforward.errors import check_int

    loaded = run_with(run, data)
    check_int("n", n, least=1)
    out = file_of(loaded, "interpolations", out)
    if loaded.model.has_encoder:
        x, y = loaded.held_out(slice(0, 2 * n))
        half = len(x) // 2
        labels = None if y is None else y[:half]
        decoded = loaded.interpolate(x[:half], x[half : 2 * half], steps, path, labels)
    else:
        ends = loaded.sample_codes(2 * n)
        decoded = loaded.interpolate_codes(ends[:n], ends[n:], steps, path)
    write_rows(loaded, "interpolations", out, decoded.flatten(0, 1), json, columns=steps)
