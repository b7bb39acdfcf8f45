"""``pushforward sample``."""

from __future__ import annotations

from pathlib import Path

from pushforward.cli.application import app
from pushforward.cli.options import JsonFlag, RunData, RunFolder, Sampler
from pushforward.cli.output import write_samples


@app.command
def sample(
    run: RunFolder,
    *,
    n: int = 64,
    seed: int = 0,
    label: str | None = None,
    sampler: Sampler = "prior",
    out: Path | None = None,
    data: RunData = None,
    json: JsonFlag = False,
) -> None:
    """Write decoded draws of the prior as a picture (.png), lines (.txt) or an array (.npy).

    Arguments:
        n: Number of samples.
        seed: Seed of the draws.
        label: Number or name of a class, for models with classes.
        out: The file; samples.png (.txt, .npy) in the run's folder by default, or samples-<sampler>.png.
    """
    from pushforward.runs.api import load

    loaded = load(run, data)
    name = "samples" if sampler == "prior" else f"samples-{sampler}"
    write_samples(loaded, name, out, n, loaded.sample_parts(n, seed, label, sampler, progress=True), json)
