"""``pushforward sample``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pushforward.cli.application import app
from pushforward.cli.opening import run_with
from pushforward.cli.options import Device, JsonFlag, RowsPerShard, RunData, RunFolder, Sampler, Words
from pushforward.cli.output import file_of, said_rows, said_shards


@app.command
def sample(
    run: RunFolder,
    *,
    n: int = 64,
    seed: int = 0,
    label: str | None = None,
    sampler: Sampler = "prior",
    condition: Words = None,
    candidates: int = 32,
    out: Path | None = None,
    format: Literal["npy", "csv", "parquet", "txt"] | None = None,
    dtype: Literal["float32", "uint8"] = "float32",
    rows_per_shard: RowsPerShard = None,
    device: Device = "auto",
    data: RunData = None,
    json: JsonFlag = False,
) -> None:
    """Write decoded draws of the prior as a picture (.png), lines (.txt), a table (.csv, .parquet) or an
    array (.npy; of tables and text numbers of cells or tokens); or, however many, to a folder of such files.

    A folder has the files part-00000.npy and so on, and shards.json. The same command goes on with those that
    are missing; under torchrun each process writes its share. Other commands read the folder as data.

    Arguments:
        n: Number of samples.
        seed: Seed of the draws.
        label: Number or name of a class, for models with classes.
        condition: Of tables, values of some columns, such as town=Rome age=30..40; town= is a missing value.
            A column that is named more than once may have any of the values.
        candidates: Candidates of each row under a condition; the more, the closer to the exact distribution.
        out: The file, or a folder; samples.png (.txt, .npy) in the run's folder by default, or
            samples-<sampler>.png.
        format: Of the files of a folder: npy; of tables csv (the default), parquet or npy; of text txt (the
            default) or npy.
        dtype: Of images in the .npy files of a folder: float32, or uint8, rounded to bytes.
    """
    from pushforward.errors import ConfigError
    from pushforward.runs.shards import is_folder, need_folder
    from pushforward.tables.given import condition_of
    from pushforward.wording import option_name

    need_folder(out)
    loaded = run_with(run, data, device)
    given = condition_of(loaded.schema, condition) if condition else None
    if out is not None and is_folder(out):
        made = loaded.write_samples(
            out, n, seed, label, sampler, given, candidates,
            format=format, dtype=dtype, rows_per_shard=rows_per_shard, progress=True,
        )  # fmt: skip
        said_shards(run, made, "samples", json)
        return
    of_folders = {"format": format, "rows_per_shard": rows_per_shard, "dtype": {"uint8": dtype}.get(dtype)}
    for option, value in of_folders.items():
        if value is not None:
            raise ConfigError(f"{option_name(option, value)} is for folders; {option_name('out')} is a file")
    name = "samples" if sampler == "prior" else f"samples-{sampler}"
    path = file_of(loaded, name, out)
    first = loaded.sample_file(path, n, seed, label, sampler, given, candidates, progress=given is None)
    said_rows(loaded, name, path, n, first, json)
