"""Evaluations of small runs: ``evaluations.py FOLDER`` as one of several processes.

The runs are those of FOLDER. Parts are of few rows here, so that there are several of them for each process.
"""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import pushforward as pf
from pushforward.evaluation import context, default_metrics
from pushforward.metrics import precision_recall

ROWS = 70  # in five parts
SHORT = ("objective", "reconstruction", "samples")
# By modality: the recipe and its options, the metrics, and a sampler of codes.
CASES = {
    "image": (
        "wae-gan",
        {"conditional": True},
        (*SHORT, "reference", "sharpness", "classes", "modes"),
        "prior",
    ),
    "vector": ("vae", {}, (*default_metrics(), "likelihood", "parzen"), "gmm"),
    "text": ("transfer-ae", {}, (*SHORT, "text", "transfer"), "prior"),
    "table": ("vae", {}, (*SHORT, "table"), "prior"),
}


def data_of(kind):
    """Few rows of a modality."""
    numbers = torch.Generator().manual_seed(0)
    if kind == "image":
        x, y = torch.rand(200, 1, 8, 8, generator=numbers), torch.arange(200) % 4
        return pf.open_dataset((x, y), test=torch.arange(130, 200))
    if kind == "vector":
        return pf.open_dataset(torch.randn(200, 3, generator=numbers), test=torch.arange(130, 200))
    if kind == "table":
        draw = np.random.default_rng(0)
        town, age = draw.choice(["Rome", "Oslo"], 200), draw.integers(17, 60, 200)
        frame = pd.DataFrame({"town": town, "age": age, "pay": age * 100 + draw.normal(size=200)})
        return pf.open_dataset(frame, target="town", test=np.arange(130, 200))
    data = pf.open_dataset("phrases")
    return replace(data, train=data.train.rows(torch.arange(130)), test=data.test.rows(torch.arange(ROWS)))


def train(kind, folder):
    """A run of few steps."""
    recipe, options, *_ = CASES[kind]
    pf.train(
        recipe, data_of(kind), out=folder, steps=5, batch_size=20, progress=False, pictures=False, **options
    )


def evaluations(folder):
    """What evaluations and the doctor say of all runs, as they are returned."""
    context.CHUNK, precision_recall.CELLS = 17, 17 * ROWS
    said = {}
    for kind, (_, _, metrics, sampler) in CASES.items():
        run = pf.load(folder / kind, data_of(kind))
        found = run.doctor()
        numbers = [dict(finding.numbers) for finding in found], [asdict(grade) for grade in found.grades]
        said[kind] = run.evaluate(metrics=metrics, sampler=sampler), numbers
    return json.dumps(said)


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.stdout.write(evaluations(Path(sys.argv[1])))
