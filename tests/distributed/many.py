"""A few steps of recipes: ``many.py OUT STEPS single|double|naive CASE ...`` as one of several processes."""

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import torch
from own_parts import OWN_PARTS
from safetensors.torch import save_file

import pushforward as pf
from pushforward import distributed, process_group
from pushforward.data.split import Batch
from pushforward.networks import shared_batch
from pushforward.recipes import RECIPES
from pushforward.torch_state import plain_torch, torch_seeded
from pushforward.training import Loop

BATCH, STEPS = 8, 4
IMAGES, LARGE, TEXT = "small images", "images", "lines in two styles"
TEXT_OPTIONS = {"word_dropout": 0.3, "encoder_word_dropout": 0.2, "token_replacement": 0.3}
# By name: the recipe, or what builds a setup, its options and its data. Besides the defaults there are terms
# of the whole batch, norms of convolutions, layers that draw numbers, and batches of which processes have
# different parts.
CASES = {
    **{name: (build, {}, IMAGES) for name, build in OWN_PARTS.items()},
    **{name: (name, {}, IMAGES) for name in RECIPES if name not in ("arae", "transfer-ae")},
    "arae": ("arae", {}, TEXT),
    "transfer-ae": ("transfer-ae", {}, TEXT),
    "transfer-ae, pairs": ("transfer-ae", {"paired_fraction": 0.5}, TEXT),
    "transfer-ae, MMD": ("transfer-ae", {"discrepancy": pf.MMD(pf.IMQ(8.0))}, TEXT),
    "vae of text": ("vae", TEXT_OPTIONS, TEXT),
    "vae, free bits": ("vae", {"free_bits": 0.5}, IMAGES),
    "wae-mmd, automatic weight": ("wae-mmd", {"weight": "auto", "input_noise": 0.1}, IMAGES),
    "wae, sliced": ("wae", {"discrepancy": "sliced-w2"}, IMAGES),
    "wae, implicit": ("wae-gan", {"posterior": "implicit", "conditional": True}, IMAGES),
    "ebgan, pulling away": ("ebgan", {"pulling_away_weight": 0.1}, LARGE),
    "dcgan of convolutions": ("dcgan", {}, LARGE),
    "wae-mmd of convolutions": ("wae-mmd", {}, LARGE),
    "infogan of convolutions": ("infogan", {}, LARGE),
    "mmd-gan, penalty": ("mmd-gan", {"gp_weight": 1.0}, IMAGES),
}
NO_CRITIC = [
    "ae", "wae-mmd", "wae-random", "vae", "beta-vae", "info-vae", "gmmn-ae", "gmmn", "wae, sliced",
    "vae, free bits",
]  # fmt: skip


def rows_of(kind):
    """Few rows, with labels."""
    if kind == TEXT:
        data = pf.open_dataset("phrases", max_length=12)
        return replace(data, train=data.train.rows(torch.arange(40)), test=data.test.rows(torch.arange(20)))
    side = 8 if kind == IMAGES else 16
    x = torch.rand(40, 1, side, side, generator=torch.Generator().manual_seed(0))
    return pf.open_dataset((x, torch.arange(40) % 4))


# Of optimizers. With their own 1e-8, a gradient that is 0 but for rounding (of a bias before a BatchNorm) is
# divided by itself, and what would be a difference of 1e-17 becomes one of 1e-10.
EPS = 1e-4


def in_double(loop):
    """Makes a loop compute in float64."""
    loop.model.double()
    rows = loop.rows

    def doubled(*arguments):
        x, y = rows(*arguments)
        return Batch(x.double() if x.is_floating_point() else x, y)

    loop.rows = doubled
    return loop


def loop_of(case):
    """The loop of a case, before its first step."""
    recipe, options, kind = CASES[case]
    data = rows_of(kind)
    with torch_seeded(0):
        setup = RECIPES.get(recipe, recipe)(data.spec, **options)
    training = replace(setup.training, batch_size=BATCH)
    return Loop(setup.model.train(), data.train, training, 100, seed=3)


@plain_torch()
def steps_of(case, steps=STEPS, double=True):
    """All tensors after some steps of a case, and the terms of the last."""
    loop = loop_of(case)
    loop = in_double(loop) if double else loop
    for state in loop.player_states:
        for group in state.optimizer.param_groups:
            group["eps"] = EPS
    for _ in range(steps):
        terms, _ = loop.advance()
    loop.check_same()
    tensors = {
        f"{file}/{name}": value for file, part in loop.state()[0].items() for name, value in part.items()
    }
    return tensors | {f"term/{name}": value for name, value in terms.items()}


def largest_difference(found, expected):
    """The largest difference of tensors, relative to the largest number of their kind, and where it is.

    Tensors are of one kind if they are in one file and have the same last name, such as all first moments
    of an optimizer: of a bias before a BatchNorm they are 0 but for rounding.
    """
    assert found.keys() == expected.keys()
    largest = {}
    for name, value in expected.items():
        kind = (name.partition("/")[0], name.rpartition(".")[2])
        largest[kind] = max(largest.get(kind, 1e-3), float(value.double().abs().max()))
    worst, place = 0.0, ""
    for name, value in expected.items():
        scale = largest[name.partition("/")[0], name.rpartition(".")[2]]
        gap = float((found[name].double() - value.double()).abs().max()) / scale
        if not gap <= worst:
            worst, place = gap, name
    return worst, place


def started(size, folder, program):
    """A Python program as several processes, as torchrun starts them; the program may depend on the rank."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    address = {"MASTER_ADDR": "localhost", "MASTER_PORT": port}
    sizes = {"WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size)}
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(folder), **address, **sizes}
    return [
        subprocess.Popen(
            [sys.executable, *(program(rank) if callable(program) else program)],
            env=environment | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]


def in_processes(size, folder, program):
    """The exit codes, output and errors of a Python program as several processes."""
    processes = started(size, folder, program)
    ended = [process.communicate() for process in processes]
    return [(process.returncode, *printed) for process, printed in zip(processes, ended, strict=True)]


if __name__ == "__main__":
    out, steps, precision, *cases = sys.argv[1:]
    torch.set_num_threads(1)
    if precision == "naive":  # as if a mean over processes were all that is needed
        distributed.is_sharing = shared_batch.is_sharing = lambda: False
        distributed.check_same = lambda *_: None  # statistics of BatchNorm then differ
    with process_group.joined():
        for case in cases:
            tensors = steps_of(case, int(steps), precision != "single")
            if distributed.is_first():
                save_file(
                    {name: value.contiguous() for name, value in tensors.items()},
                    Path(out) / f"{case}.safetensors",
                )
