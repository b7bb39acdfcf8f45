"""``pushforward impute``: a table with values in the place of those that are missing."""

from __future__ import annotations

from pathlib import Path

from pushforward.cli.application import app
from pushforward.cli.options import JsonFlag, RunFolder
from pushforward.cli.output import said


@app.command
def impute(
    run: RunFolder, source: Path, *, out: Path, seed: int = 0, candidates: int = 32, json: JsonFlag = False
) -> None:
    """Write a table with a value drawn in the place of each that is missing, given the others of its row.

    Arguments:
        source: The table: a .csv, .tsv, .parquet, .arrow or .feather file. Columns may be absent.
        out: The .csv or .parquet file.
        seed: Seed of the draws.
        candidates: Candidates of each row; the more, the closer to the exact distribution.
    """
    from pushforward.runs.api import load

    count = load(run).impute_file(source, out, seed, candidates)
    said(run, out, "imputed values", count, json)
