"""What runs on tables are used for: imputation of masked cells, and scores of planted outliers.

    python -m benchmarks.table_uses rows.csv --target COLUMN --steps 1200

Held-out rows are altered; every method knows the training rows.

Imputation: a tenth of the cells is masked at random. Ours is one draw of ``run.impute``, and the mean of
several (of categories the most frequent one), next to the mean or mode of the column and scikit-learn's
KNNImputer with 5 neighbours among 10,000 training rows: numbers in their standard deviations, categories as
one-hot columns times the root of 1/2, of which the largest imputed one is taken. Errors of numbers are root
mean squares in standard deviations of the training rows; of categories the share that is right is given.

Outliers: half of the rows have one cell altered. It gets the value of another row ("swapped"), or a number is
shifted by one standard deviation up or down ("shifted"). The AUROC of the scores of ``run.score_rows`` stands
next to that of the distance to the closest of 10,000 training rows, and of scikit-learn's IsolationForest.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import IsolationForest
from sklearn.impute import KNNImputer
from sklearn.metrics import roc_auc_score

import pushforward as pf
from benchmarks.tables import ours, split, table_arguments
from pushforward.metrics.tabular import closest_distances
from pushforward.tables.csv import read_csv
from pushforward.tables.frames import frame_of, table_of
from pushforward.tables.schema import Schema

MASKED = 0.1
KNOWN = 10_000  # training rows that neighbours are looked for among
Frame = Any  # of pandas


def report(what: str, seed: int, seconds: float, found: dict[str, float]) -> None:
    """Prints measures in one line."""
    said = {"what": what, "seed": seed, "CPU s": round(seconds, 1), "load": round(os.getloadavg()[0], 1)}
    print(json.dumps(said | {key: round(value, 3) for key, value in found.items()}), flush=True)


# ------------------------------------------------------------------------------------------- imputation


def errors(filled: Frame, rows: Frame, hidden: Frame, scales: Any) -> dict[str, float]:
    """The error of each column of numbers and the accuracy of each of categories, and the mean of both."""
    found = {}
    for name in rows:
        mask = hidden[name].to_numpy()
        made, true = filled[name].to_numpy()[mask], rows[name].to_numpy()[mask]
        if name in scales:
            found[name] = float(
                np.sqrt(np.mean((made.astype(float) - true.astype(float)) ** 2)) / scales[name]
            )
        else:
            found[name] = float((made == true).mean())
    return {
        "RMSE": float(np.mean([found[name] for name in rows if name in scales])),
        "accuracy": float(np.mean([found[name] for name in rows if name not in scales])),
    } | found


def most_usual(train: Frame, holes: Frame, scales: Any) -> Frame:
    """The mean of the column, or its most frequent category, in the place of what is missing."""
    return holes.fillna({n: train[n].mean() if n in scales else train[n].mode()[0] for n in holes})


def neighbours(train: Frame, holes: Frame, scales: Any) -> Frame:
    """The mean of the five nearest training rows that have a value."""
    names = {name: np.unique(train[name]) for name in train if name not in scales}

    def numbers(frame: Frame) -> np.ndarray:
        parts = [(frame[name].astype(float) / scales[name]).to_numpy()[:, None] for name in scales.index]
        for name, values in names.items():
            one_hot = (frame[name].to_numpy()[:, None] == values) * 0.5**0.5
            parts.append(np.where(frame[name].isna().to_numpy()[:, None], np.nan, one_hot))
        return np.concatenate(parts, axis=1)

    made = KNNImputer(n_neighbors=5).fit(numbers(train.head(KNOWN))).transform(numbers(holes))
    filled, place = holes.copy(), len(scales)
    for column, name in enumerate(scales.index):
        filled[name] = made[:, column] * scales[name]
    for name, values in names.items():
        filled[name] = values[made[:, place : place + len(values)].argmax(1)]
        place += len(values)
    return filled


def mean_of(draws: list[Frame], scales: Any) -> Frame:
    """The mean of several imputations; of categories the most frequent."""
    made = {}
    for name in draws[0]:
        columns = pd.DataFrame({n: draw[name].to_numpy() for n, draw in enumerate(draws)})
        made[name] = columns.mean(axis=1) if name in scales else columns.mode(axis=1)[0]
    return pd.DataFrame(made)


def imputation(run: Any, train: Frame, rows: Frame, scales: Any, seed: int, draws: int) -> None:
    """Masks cells and prints the errors of what is put in their place."""
    draw = np.random.default_rng(seed)
    hidden = pd.DataFrame(draw.random(rows.shape) < MASKED, columns=rows.columns)
    holes = rows.mask(hidden)
    methods: dict[str, Callable[[], Frame]] = {
        "mean or mode": lambda: most_usual(train, holes, scales),
        "KNNImputer": lambda: neighbours(train, holes, scales),
        "ours, one draw": lambda: run.impute(holes, seed),
        f"ours, {draws} draws": lambda: mean_of(
            [run.impute(holes, seed + 1000 * n) for n in range(draws)], scales
        ),
    }
    for name, fill in methods.items():
        begun = time.process_time()
        filled = fill()
        report(name, seed, time.process_time() - begun, errors(filled, rows, hidden, scales))


# ------------------------------------------------------------------------------------------- outliers


def altered(rows: Frame, scales: Any, draw: np.random.Generator, shift: bool) -> Frame:
    """Rows each of which has one cell altered."""
    made, names = rows.copy(), list(scales.index) if shift else list(rows)
    which = draw.integers(0, len(names), len(rows))
    for place, name in enumerate(names):
        mask, values = which == place, rows[name].to_numpy()
        if shift:
            moved = values + scales[name] * draw.choice([-1, 1], len(rows))
            made[name] = np.where(mask, np.round(moved, 2).astype(values.dtype), values)
            continue
        others = values[draw.permutation(len(rows))]
        for _ in range(20):  # until the value is another one
            same = mask & (others == values)
            others = np.where(same, values[draw.permutation(len(rows))], others)
        made[name] = np.where(mask, others, values)
    return made


def outliers(run: Any, train: Frame, rows: Frame, scales: Any, seed: int) -> None:
    """Alters half of the rows and prints how well scores tell them from the others."""
    schema, half = run.schema, len(rows) // 2
    known, categorical = numbers(schema, train.head(KNOWN))
    forest = IsolationForest(random_state=seed).fit(known)
    for what in ("swapped", "shifted"):
        draw = np.random.default_rng(seed)
        odd = altered(rows.iloc[half:], scales, draw, what == "shifted")
        both = pd.concat([rows.iloc[:half], odd], ignore_index=True)
        is_odd = np.arange(len(both)) >= half
        begun = time.process_time()
        scores = run.score_rows(both)
        seconds = time.process_time() - begun
        found = {name: scores[name].to_numpy() for name in scores if name != "surprise"}
        values, _ = numbers(schema, both)
        found["closest training row"] = closest_distances(values, known, categorical)
        found["IsolationForest"] = -forest.score_samples(values)
        report(what, seed, seconds, {key: float(roc_auc_score(is_odd, v)) for key, v in found.items()})


def numbers(schema: Schema, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """The rows of a frame as numbers, and which columns hold categories."""
    return schema.numbers(schema.decode(schema.encode(table_of(frame))))


def main() -> None:
    parser = table_arguments(__doc__)
    parser.add_argument("--rows", type=int, default=1000, help="held-out rows")
    parser.add_argument("--draws", type=int, default=10, help="imputations whose mean is taken")
    parser.add_argument("--only", choices=["imputation", "outliers"])
    parser.add_argument("--run", type=Path, help="a trained run, in the place of training one for each seed")
    arguments = parser.parse_args()
    train, rows = (frame_of(part) for part in split(read_csv(arguments.data)))
    rows = rows.head(arguments.rows).reset_index(drop=True)
    for seed in arguments.seeds:
        with tempfile.TemporaryDirectory() as scratch:
            if arguments.run:
                run = pf.load(arguments.run)
            else:
                run, _ = ours(
                    arguments.data, arguments.target, arguments.steps, seed, arguments.options, Path(scratch)
                )
            modelled = [c for c in run.schema.modelled if c.kind in ("numeric", "integer")]
            scales = train[[column.name for column in modelled]].std()
            if arguments.only != "outliers":
                imputation(run, train, rows, scales, seed, arguments.draws)
            if arguments.only != "imputation":
                outliers(run, train, rows, scales, seed)


if __name__ == "__main__":
    main()
