"""``pushforward sample``."""

from __future__ import annotations

from pathlib import Path

from pushforward.cli.application import app
from pushforward.cli.opening import run_with
from pushforward.cli.options import JsonFlag, RunData, RunFolder, Sampler, Words
from pushforward.cli.output import write_samples


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
    data: RunData = None,
    json: JsonFlag = False,
) -> None:
    """Write decoded draws of the prior as a picture (.png), lines (.txt), a table (.csv, .parquet) or an
    array (.npy).

    Arguments:
        n: Number of samples.
        seed: Seed of the draws.
        label: Number or name of a class, for models with classes.
        condition: Of tables, values of some columns, such as town=Rome age=30..40; town= is a missing value.
            A column that is named more than once may have any of the values.
        candidates: Candidates of each row under a condition; the more, the closer to the exact distribution.
        out: The file; samples.png (.txt, .npy) in the run's folder by default, or samples-<sampler>.png.
    """
    from pushforward.tables.given import condition_of

    loaded = run_with(run, data)
    name = "samples" if sampler == "prior" else f"samples-{sampler}"
    if condition:
        given = condition_of(loaded.schema, condition)
        parts = loaded.sample_parts(n, seed, label, sampler, condition=given, candidates=candidates)
    else:
        parts = loaded.sample_parts(n, seed, label, sampler, progress=True)
    write_samples(loaded, name, out, n, parts, json)
