"""``pushforward compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from pushforward.cli.application import app
from pushforward.cli.options import Features, JsonFlag, Numbers, Words
from pushforward.console import echo
from pushforward.reading import read_file


@app.command
def compare(
    *what: Annotated[
        str,
        Parameter(help="Recipes, with options of their own as in wae-mmd:weight=auto; or folders of runs."),
    ],
    data: Words = None,
    seeds: Numbers = None,
    out: Path = Path("runs/comparison"),
    n_samples: int = 10_000,
    features: Features = "auto",
    steps: int | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    preset: str | None = None,
    latent_dim: int | None = None,
    data_dir: Path | None = None,
    image_size: int | None = None,
    max_length: int | None = None,
    device: str | None = None,
    threads: int | None = None,
    json: JsonFlag = False,
) -> None:
    """Train recipes on data with several seeds and one budget, evaluate all alike, and print one table.

    Finished runs are not trained again: the same command continues a comparison that was stopped.

    Arguments:
        data: Training data; several data sets are compared one by one.
        seeds: One run is trained with each; 0 1 2 by default.
        out: The folder of tables, page and runs.
        n_samples: Number of held-out rows, at most, and of samples in every evaluation.
        steps: Budget of each run in training steps.
        epochs: Budget of each run in passes over the data.
        minutes: Budget of each run in time.
        preset: Which preset, for all recipes.
        latent_dim: Dimensions of a code, for all recipes.
        data_dir: Folder that catalogue data are read from or downloaded to.
        image_size: Height and width that images are resized to.
        max_length: Tokens of a line of text, at most.
        device: Device to train on: auto, cpu, cuda, ...
        threads: Threads of a CPU.
    """
    from pushforward.runs.compare import compare

    options: dict[str, Any] = {
        "steps": steps,
        "epochs": epochs,
        "minutes": minutes,
        "preset": preset,
        "latent_dim": latent_dim,
        "data_dir": data_dir,
        "image_size": image_size,
        "max_length": max_length,
        "device": device,
        "threads": threads,
    }
    given = {name: value for name, value in options.items() if value is not None}
    found = compare(
        what, data, seeds=seeds or (0, 1, 2), out=out, n_samples=n_samples, features=features, **given
    )
    if json:
        echo(read_file(found.path / "comparison.json").decode(), end="")
        return
    for name, table in found.tables.items():
        echo(f"{name}\n{table.text()}\n{table.note}")
    echo(f"tables and report: {found.path}")
