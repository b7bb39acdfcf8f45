"""``pushforward score``."""

from __future__ import annotations

from pushforward.cli.application import app
from pushforward.cli.opening import kinds_of
from pushforward.cli.options import Columns, DataDir, Features, ImageSize, JsonFlag, Target
from pushforward.cli.output import print_results
from pushforward.console import echo


@app.command
def score(
    real: str,
    generated: str,
    *,
    train: str | None = None,
    features: Features = "auto",
    n_samples: int = 10_000,
    seed: int = 0,
    data_dir: DataDir = None,
    image_size: ImageSize = None,
    columns: Columns = None,
    target: Target = None,
    json: JsonFlag = False,
) -> None:
    """Compare generated rows with real ones, whoever made them: no run is needed.

    Arguments:
        real: Real rows, best such as no model was trained on: a folder, a file, or a name of the catalogue;
            or a .npz file of statistics, mu and sigma.
        generated: Generated rows, of any such kind.
        train: The rows that the generator was trained on: with them each metric is printed next to that of
            training rows, and samples get a grade.
        n_samples: Number of rows of each kind, at most, chosen at random.
        seed: Seed of the choice of rows.
    """
    from pushforward.runs.score import score as scored

    results = scored(
        real, generated, train=train, features=features, n_samples=n_samples, seed=seed, data_dir=data_dir,
        image_size=image_size, columns=kinds_of(columns), target=target, progress=True,
    )  # fmt: skip
    if not json and (grade := results.get("grade")):
        echo(f"samples: {grade['level']}; {grade['words']}")
    print_results(results, json)
