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
            reconstructions are written in their order; not all of them are in memory, except for tables and
            pictures.
        n: Number of held-out rows.
        out: The file: a picture (.png), lines (.txt), a table (.csv, .parquet) or an array (.npy);
            reconstructions.png (.txt, .csv, .npy) in the run's folder by default, of images of a file .npy.
    """
    from pushforward.errors import check_int

    loaded = run_with(run, data)
    if source is not None:
        path = out or loaded.path / f"reconstructions.{loaded.renderer.formats[0]}"
        count = loaded.reconstruct_file(source, path, progress=True)
        said(run, path, "reconstructions", count, json, loaded.renderer.note(path))
        return
    check_int("n", n, least=1)
    out = file_of(loaded, "reconstructions", out)
    x, y = loaded.held_out(slice(0, n))
    write_pairs(loaded, "reconstructions", out, x, loaded.decode(loaded.encode(x, y), y), json)
