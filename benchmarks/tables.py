"""Samples of tables next to those of CTGAN and TVAE (the package ctgan), in the same CPU seconds.

    python benchmarks/tables.py rows.csv --target COLUMN --peers /path/to/python

Ours is trained first, on one thread; the peers then have the CPU seconds that it took, from reading their
rows to the last step. Their python is one that has ctgan and pandas. Every model sees the same training rows,
and is evaluated on the same held-out ones.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import pushforward as pf
from pushforward.metrics.tabular import (
    c2st_auc,
    copying,
    kolmogorov_smirnov,
    pair_gaps,
    total_variation,
    usefulness,
)
from pushforward.tables.csv import csv_text, read_csv
from pushforward.tables.schema import Schema
from pushforward.tables.table import Table

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


def score(schema: Schema, made: Table, train: Table, test: Table, target: str, seed: int) -> dict[str, float]:
    """All measures of made rows, as many as held-out ones."""
    (q, categorical), (p, _), (given, _) = (schema.numbers(table) for table in (made, test, train))
    same = given[: len(q)]
    columns = range(len(categorical))
    ks = [kolmogorov_smirnov(q[:, j], p[:, j]) for j in columns if not categorical[j]]
    variation = [total_variation(q[:, j], p[:, j]) for j in columns if categorical[j]]
    gaps: dict[str, list[float]] = {"correlation": [], "contingency": []}
    for kind, gap in pair_gaps(q, p, categorical).values():
        gaps[kind].append(gap)
    useful = usefulness(q, same, p, categorical, schema.names.index(target), seed)
    distance, held_out, closer = copying(q[:2000], p[:2000], given, categorical)
    return {
        "KS": float(np.mean(ks)), "worst KS": max(ks), "TV": float(np.mean(variation)),
        "correlation": float(np.mean(gaps["correlation"])),
        "contingency": float(np.mean(gaps["contingency"])),
        "C2ST AUC": c2st_auc(q, p, categorical, seed), "useful": useful.made, "useful (real)": useful.given,
        "closer than held-out": closer, "distance": distance, "distance (held-out)": held_out,
    }  # fmt: skip


def ours(
    path: Path, target: str, steps: int, seed: int, options: dict[str, Any], folder: Path
) -> tuple[Any, float]:
    """Our run, and the CPU seconds from reading to the last step."""
    begun = time.process_time()
    run = pf.train(
        "vae",
        path,
        target=target,
        out=folder,
        steps=steps,
        seed=seed,
        threads=1,
        progress=False,
        overwrite=True,
        **options,
    )
    return run, time.process_time() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--target", required=True)
    parser.add_argument("--steps", type=int, default=1300)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--peers", help="a python with ctgan; without it only ours is trained")
    parser.add_argument("--options", type=json.loads, default={}, help="options of the recipe, as JSON")
    arguments = parser.parse_args()
    print("sha256 of the file", hashlib.sha256(arguments.data.read_bytes()).hexdigest())
    for seed in arguments.seeds:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            run, seconds = ours(
                arguments.data, arguments.target, arguments.steps, seed, arguments.options, folder / "run"
            )
            schema = run.codec
            table = read_csv(arguments.data)
            train, test = (table.rows(index.numpy()) for index in pf.data.dataset.hold_out(len(table)))
            tables = {
                "ours": schema.decode(run.sample_tensor(len(test), seed)),
                "training rows": train.rows(np.arange(len(test))),
            }
            times = {"ours": seconds}
            if arguments.peers:
                (folder / "train.csv").write_text(csv_text(train))
                discrete = [
                    c.name for c in schema.modelled if c.kind in ("categorical", "ordinal", "boolean")
                ]
                for name in ("TVAE", "CTGAN"):
                    words = [
                        name,
                        folder / "train.csv",
                        folder / f"{name}.csv",
                        seconds,
                        len(test),
                        seed,
                        ",".join(discrete),
                    ]
                    done = subprocess.run(
                        [arguments.peers, "-c", PEER, *map(str, words)],
                        check=True,
                        capture_output=True,
                        text=True,
                    )
                    times[name] = float(done.stdout.split()[-1])
                    tables[name] = read_csv(folder / f"{name}.csv")
            for name, made in tables.items():
                found = {"model": name, "seed": seed, "CPU s": round(times.get(name, 0))}
                found |= {
                    key: round(v, 4)
                    for key, v in score(schema, made, train, test, arguments.target, seed).items()
                }
                print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
