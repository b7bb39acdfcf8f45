"""Samples of tables next to those of CTGAN and TVAE (the package ctgan), in the same CPU seconds.

    python -m benchmarks.tables rows.csv --target COLUMN --peers /path/to/python
    python -m benchmarks.tables rows.csv --target COLUMN --choose '{}' '{"column_dropout": 0.5}'

Ours is trained first, on one thread; the peers then have the CPU seconds that it took, from reading their
rows to the last step. Their python is one that has ctgan and pandas. Every model sees the same training rows,
and is evaluated on the same held-out ones. With --choose held-out rows are left alone: options are tried on
validation rows, a tenth of the training rows.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

import pushforward as pf
from pushforward.data.dataset import hold_out
from pushforward.distributions import Gaussian
from pushforward.metrics.tabular import copying, fidelity, usefulness
from pushforward.tables.csv import csv_text, read_csv
from pushforward.tables.schema import Schema
from pushforward.tables.table import Table

COPYING = 2000  # rows whose closest training rows are looked for, at most
CODES = 3000  # rows whose codes are looked at, at most

PEER = """
import itertools, sys, time
import pandas, torch
from ctgan import CTGAN, TVAE
import ctgan.synthesizers.ctgan as one, ctgan.synthesizers.tvae as two

name, path, out, seconds, rows, seed, discrete = sys.argv[1:]
torch.set_num_threads(1)
torch.manual_seed(int(seed))
__import__("numpy").random.seed(int(seed))


class InTime:
    def __init__(self, *_, **__):
        pass

    def __iter__(self):
        return itertools.takewhile(lambda _: time.process_time() < float(seconds), itertools.count())

    def set_description(self, *_):
        pass


one.tqdm = two.tqdm = InTime
frame = pandas.read_csv(path)
arguments = {"enable_gpu": False}
try:
    model = {"CTGAN": CTGAN, "TVAE": TVAE}[name](**arguments)
except TypeError:
    model = {"CTGAN": CTGAN, "TVAE": TVAE}[name](cuda=False)
model.fit(frame, discrete.split(","))
print(time.process_time())
made = model.sample(int(rows))
for column in frame:
    if frame[column].dtype.kind == "i":
        made[column] = made[column].round().astype(int)
made.to_csv(out, index=False)
"""


def split(table: Table) -> tuple[Table, Table]:
    """The training and held-out rows that a run on the table has."""
    train, test = (table.rows(index.numpy()) for index in hold_out(len(table)))
    return train, test


def score(schema: Schema, made: Table, train: Table, test: Table, target: str, seed: int) -> dict[str, Any]:
    """All measures of made rows, as many as held-out ones."""
    (q, categorical), (p, _), (given, _) = (schema.numbers(table) for table in (made, test, train))
    found = fidelity(q, p, categorical, schema.names, seed)
    useful = usefulness(q, given[: len(q)], p, categorical, schema.names.index(target), seed)
    distance, held_out, closer = copying(q[:COPYING], p[:COPYING], given, categorical)
    return {
        "KS": found.get("ks"), "worst KS": found.get("worst_ks", {}).get("value"),
        "TV": found.get("total_variation"), "correlation": found.get("correlation"),
        "contingency": found.get("contingency"), "C2ST AUC": found["c2st_auc"],
        "useful": useful.made, "gap": useful.given - useful.made, "closer than held-out": closer,
        "distance": distance, "distance (held-out)": held_out,
    }  # fmt: skip


def codes(run: Any, rows: Table) -> dict[str, float]:
    """What codes hold: the KL in nats, the negative log-likelihood of rows given their own codes and given
    those of other rows, and the rank correlation of rows and their reconstructions, mean over columns of
    numbers.
    """
    schema, model = run.codec, run.model
    x = schema.encode(rows)[:CODES]
    z = run.encode(x)
    with torch.no_grad():
        q, other = model.encoder(x, None), z.roll(len(z) // 2, 0)
        found = {
            "nats, own code": -model.generate(z, None).log_prob(x).mean().item(),
            "nats, other code": -model.generate(other, None).log_prob(x).mean().item(),
        }
        if isinstance(q, Gaussian):
            found["KL"] = 0.5 * (q.center**2 + q.log_var.exp() - 1 - q.log_var).sum(1).mean().item()
    tables = (schema.decode(part) for part in (x, run.reconstruct(x)))
    (given, categorical), (back, _) = (schema.numbers(table) for table in tables)
    pairs = [(given[:, j], back[:, j]) for j in np.flatnonzero(~categorical)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of constant reconstructions, whose correlation counts as 0
        found["reconstructed"] = float(np.mean([np.nan_to_num(spearmanr(*pair)[0]) for pair in pairs]))
    return found


def ours(
    source: Any, target: str, steps: int, seed: int, options: dict[str, Any], folder: Path
) -> tuple[Any, float]:
    """Our run, and the CPU seconds from reading to the last step."""
    begun = time.process_time()
    options = dict(options)
    run = pf.train(
        options.pop("recipe", "vae"), source, target=target, out=folder, steps=steps, seed=seed, threads=1,
        progress=False, overwrite=True, **options,
    )  # fmt: skip
    return run, time.process_time() - begun


def peers(
    python: str, schema: Schema, train: Table, n: int, seconds: float, seed: int, folder: Path
) -> Iterator[tuple[str, Table, float]]:
    """The samples of each peer, and its CPU seconds."""
    (folder / "train.csv").write_text(csv_text(train))
    discrete = [c.name for c in schema.modelled if c.kind in ("categorical", "ordinal", "boolean")]
    for name in ("TVAE", "CTGAN"):
        out = folder / f"{name}.csv"
        words = [name, folder / "train.csv", out, seconds, n, seed, ",".join(discrete)]
        command = [python, "-c", PEER, *map(str, words)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            print(json.dumps({"model": name, "seed": seed, "failed": said}), flush=True)
            continue
        yield name, read_csv(out), float(done.stdout.split()[-1])


def report(model: str, seed: int, seconds: float, found: dict[str, Any]) -> None:
    """Prints measures in one line."""
    numbers = {key: None if value is None else round(value, 4) for key, value in found.items()}
    said = {"model": model, "seed": seed, "CPU s": round(seconds), "load": round(os.getloadavg()[0], 1)}
    print(json.dumps(said | numbers), flush=True)


def choose(arguments: argparse.Namespace, folder: Path) -> None:
    """Tries options on validation rows."""
    train, _ = split(read_csv(arguments.data))
    source = folder / "train.csv"
    source.write_text(csv_text(train))
    rest, validation = split(read_csv(source))
    for seed in arguments.seeds:
        for options in arguments.choose:
            run, seconds = ours(source, arguments.target, arguments.steps, seed, options, folder / "run")
            made = run.codec.decode(run.sample_tensor(len(validation), seed))
            found = score(run.codec, made, rest, validation, arguments.target, seed)
            report(json.dumps(options), seed, seconds, found | codes(run, validation))


def compare(arguments: argparse.Namespace, seed: int, folder: Path) -> None:
    """Ours, its peers and training rows in their place, on held-out rows."""
    train, test = split(read_csv(arguments.data))
    run, seconds = ours(
        arguments.data, arguments.target, arguments.steps, seed, arguments.options, folder / "run"
    )
    schema = run.codec

    def measured(name: str, made: Table, seconds: float, more: dict[str, float]) -> None:
        report(name, seed, seconds, score(schema, made, train, test, arguments.target, seed) | more)

    measured("ours", schema.decode(run.sample_tensor(len(test), seed)), seconds, codes(run, test))
    measured("training rows", train.rows(np.arange(len(test))), 0, {})
    if arguments.peers:
        for name, made, took in peers(arguments.peers, schema, train, len(test), seconds, seed, folder):
            measured(name, made, took, {})


def table_arguments(description: str | None) -> argparse.ArgumentParser:
    """The arguments of a benchmark that trains on one table."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("data", type=Path)
    parser.add_argument("--target", required=True)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--options", type=json.loads, default={}, help="options of the recipe, as JSON")
    return parser


def main() -> None:
    parser = table_arguments(__doc__)
    parser.add_argument("--peers", help="a python with ctgan; without it only ours is trained")
    parser.add_argument("--choose", type=json.loads, nargs="+", help="options to try on validation rows")
    arguments = parser.parse_args()
    print("sha256 of the file", hashlib.sha256(arguments.data.read_bytes()).hexdigest())
    with tempfile.TemporaryDirectory() as scratch:
        if arguments.choose:
            choose(arguments, Path(scratch))
            return
        for seed in arguments.seeds:
            compare(arguments, seed, Path(scratch))


if __name__ == "__main__":
    main()
