"""``pushforward plan``."""

from __future__ import annotations

from typing import Any, Literal

from cyclopts import Group, Parameter

from pushforward.cli.options import JsonFlag
from pushforward.cli.output import print_json
from pushforward.cli.recipe_commands import TITLES, add_verb
from pushforward.console import echo

PLAN = Group("Processes and GPUs", sort_key=len(TITLES))


def plan(recipe: str, data: str, *, json: bool = False, **given: Any) -> None:
    """Prints what training a recipe would cost; of several processes the first does."""
    from pushforward.runs.planning import plan

    found = plan(recipe, data, **given)
    if json:
        print_json(found.as_json())
        return
    for line in repr(found).splitlines():
        echo(line)


def _own(kind: Any, default: Any, words: str) -> tuple[Any, Any, Parameter]:
    return kind, default, Parameter(help=words, group=PLAN, consume_multiple=True, negative=())


add_verb(
    "plan",
    "Say what training a recipe on data would cost: memory, time, exchanges of processes, here and on GPUs.",
    call=plan,
    run=("preset", "seed", "steps", "epochs", "minutes"),
    machine=("device", "threads", "precision"),
    own={
        "world_size": _own(
            list[int] | None, None,
            "Numbers of processes that share a batch, each on a machine like this one; by default those of "
            "1, 2, 4 and 8 that divide it.",
        ),
        "latency": _own(
            float, 1e-4, "Seconds of the smallest exchange of two processes; torchrun's own are measured."
        ),
        "bandwidth": _own(
            float, 1.25e9, "Bytes that a process sends in a second; between torchrun's own it is measured."
        ),
        "gpu": _own(Literal["a100", "h100", "h200"], "h100", "The kind of GPU of the projection."),
        "gpus": _own(
            list[int], [8, 64, 1024], "Numbers of GPUs, each of which computes with a whole batch size."
        ),
        "epoch_rows": _own(float, 1e9, "Rows, such as images, of the projection's epoch."),
        "mtbf_hours": _own(
            float, 50_000.0, "Mean hours between failures of one process, with its GPU and machine."
        ),
        "json": (JsonFlag, False, Parameter()),
    },
)  # fmt: skip
