"""``pushforward encode`` and ``pushforward score-rows``: what a run makes of the rows of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pushforward.cli.application import app
from pushforward.cli.options import Device, JsonFlag, RowsPerShard, RunFolder
from pushforward.cli.output import said, said_shards

Source = Annotated[
    str,
    Parameter(help="A file, a folder, a pack or a name of the catalogue: rows like those of the run."),
]


@app.command
def encode(
    run: RunFolder,
    source: Source,
    *,
    out: Path,
    rows_per_shard: RowsPerShard = None,
    device: Device = "auto",
    json: JsonFlag = False,
) -> None:
    """Write the codes of all rows of a file or of other data, in their order; not all of them are in memory.

    Arguments:
        out: The .npy file of codes, one a row; or a folder of such files, which are written as those of
            sample are.
    """
    from pushforward.errors import ConfigError
    from pushforward.runs.api import load
    from pushforward.runs.shards import is_folder, need_folder
    from pushforward.wording import option_name

    need_folder(out)
    loaded = load(run, device=device)
    if is_folder(out):
        made = loaded.write_codes(source, out, rows_per_shard=rows_per_shard, progress=True)
        said_shards(run, made, "codes", json)
        return
    if rows_per_shard is not None:
        raise ConfigError(
            f"{option_name('rows_per_shard', rows_per_shard)} is for folders; {option_name('out')} is a file"
        )
    said(run, out, "codes", loaded.encode_file(source, out, progress=True), json)


@app.command(name="score-rows")
def score_rows(run: RunFolder, source: Source, *, out: Path, json: JsonFlag = False) -> None:
    """Write how unusual each row of a file or of other data is, in their order: the larger, the more.

    The columns are reconstruction, the error of the row's reconstruction (of tables its negative
    log-likelihood given its code); latent, the negative log-density of its code under the prior, where that
    has one; and of tables likelihood, the negative log-likelihood of the row, of models with Gaussian codes
    and a normal prior, and surprise, the name of the column that is least probable.

    Arguments:
        out: The .csv file.
    """
    from pushforward.runs.api import load

    count = load(run).score_file(source, out, progress=True)
    said(run, out, "scores", count, json)
