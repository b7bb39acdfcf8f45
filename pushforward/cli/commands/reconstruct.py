"""``pushforward reconstruct``."""

from __future__ import annotations

from pathlib import Path

from pushforward.cli.application import app
from pushforward.cli.opening import run_with
from pushforward.cli.options import JsonFlag, RunData, RunFolder
from pushforward.cli.output import file_of, said, write_pairs


@app.command
def reconstruct(
    run: RunFolder,
    source: str | None = None,
    *,
    n: int = 32,
    out: Path | None = None,
    data: RunData = None,
    json: JsonFlag = False,
) -> None:
    """Write held-out rows, each next to its reconstruction; or the reconstructions of all rows of a file.

    Arguments:
        source: A file, a folder, a pack, or a name of the catalogue, of rows like those of the run: their
            reconstructions are written in their order, as a .npy file; not all of them are in memory.
        n: Number of held-out rows.
        out: The file; reconstructions.png (.txt, .npy) in the run's folder by default.
    """
    from pushforward.errors import check_int

    loaded = run_with(run, data)
    if source is not None:
        path = out or loaded.path / "reconstructions.npy"
        said(run, path, "reconstructions", loaded.reconstruct_file(source, path, progress=True), json)
        return
    check_int("n", n, least=1)
    out = file_of(loaded, "reconstructions", out)
    x, y = loaded.held_out(slice(0, n))
    write_pairs(loaded, "reconstructions", out, x, loaded.reconstruct(x, y), json)
