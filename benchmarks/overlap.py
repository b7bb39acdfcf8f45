"""Would training by several processes be faster if gradients passed while the backward pass goes on?

    torchrun --nproc-per-node 2 -m benchmarks.overlap [--threads 1] [--rounds 9]

The library exchanges all gradients of a player together, after its backward pass. Here they are exchanged in
buckets, each as soon as its gradients are there, as ``DistributedDataParallel`` does. They pass in a group of
their own: those of BatchNorm come in between. Both ways alternate in one process; the median and the
range of the ratio of times over rounds are printed, below 1 where buckets are faster.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from unittest.mock import patch

import torch
import torch.distributed as dist
from torch import Tensor, nn

from benchmarks.processes import CASES, loop_of
from benchmarks.throughput import ratios
from pushforward import distributed, process_group
from pushforward.torch_state import plain_torch
from pushforward.training.player_state import PlayerState

SIZES = {"1 MiB": 2**20, "4 MiB": 2**22, "25 MiB": 25 * 2**20}  # of a bucket


class Buckets:
    """Exchanges gradients of parameters in buckets, from the last parameter to the first.

    Arguments:
        parameters: The parameters.
        most: Bytes of a bucket, at least those of one parameter.
        group: The processes.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], most: int, group: Any) -> None:
        self.group = group
        self.buckets: list[list[nn.Parameter]] = []
        room = 0
        for parameter in reversed(parameters):
            if parameter.nbytes > room:
                self.buckets.append([])
                room = most
            self.buckets[-1].append(parameter)
            room -= parameter.nbytes
        for number, bucket in enumerate(self.buckets):
            for parameter in bucket:
                parameter.register_post_accumulate_grad_hook(self._hook(number))
        self.missing = [0] * len(self.buckets)
        self.sent: list[tuple[Tensor, Any]] = []

    def begin(self) -> None:
        """Before a backward pass."""
        self.missing = [len(bucket) for bucket in self.buckets]
        self.sent = []

    def _hook(self, number: int) -> Callable[[Tensor], None]:
        def ready(_: Tensor) -> None:
            self.missing[number] -= 1
            # In the order of buckets, which is the same in all processes, and the last one with the losses.
            while len(self.sent) < len(self.buckets) - 1 and not self.missing[len(self.sent)]:
                self._send()

        return ready

    def _send(self, *more: Tensor) -> None:
        gradients = [
            (torch.zeros_like(p) if p.grad is None else p.grad).flatten()
            for p in self.buckets[len(self.sent)]
        ]
        flat = torch.cat([*gradients, *more])
        self.sent.append((flat, dist.all_reduce(flat, group=self.group, async_op=True)))

    def average_gradients(self, _: Sequence[nn.Parameter], losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What :func:`pushforward.distributed.average_gradients` does, if every parameter has a gradient."""
        values = torch.stack(list(losses.values()))
        while len(self.sent) < len(self.buckets):
            self._send(*[values] * (len(self.sent) == len(self.buckets) - 1))
        for bucket, (flat, work) in zip(self.buckets, self.sent, strict=True):
            work.wait()
            flat.div_(distributed.size())
            *parts, values = flat.split(
                [*(p.numel() for p in bucket), flat.numel() - sum(map(Tensor.numel, bucket))]
            )
            for parameter, part in zip(bucket, parts, strict=True):
                parameter.grad = part.view_as(parameter)
        return dict(zip(losses, values, strict=True))


def overlapping(most: int, group: Any) -> Callable[..., Any]:
    """``PlayerState.descend`` with buckets of so many bytes."""
    made: dict[int, Buckets] = {}
    plain = PlayerState.descend

    def descend(state: PlayerState, *arguments: Any) -> Any:
        if id(state) not in made:
            made[id(state)] = Buckets(state.parameters, most, group)
        buckets = made[id(state)]
        buckets.begin()
        with patch.object(distributed, "average_gradients", buckets.average_gradients):
            return plain(state, *arguments)

    return descend


@plain_torch()
def compare(case: str, rounds: int, group: Any) -> dict[str, object]:
    """Milliseconds of a step of both, their ratios, and the largest difference of their weights."""
    ways = {"after": PlayerState.descend} | {name: overlapping(most, group) for name, most in SIZES.items()}
    loops: dict[str, Any] = {}
    took: dict[str, list[float]] = {name: [] for name in ways}
    steps = max(3, CASES[case][-1] // 4)
    for name, way in ways.items():
        with patch.object(PlayerState, "descend", way):
            loops[name] = loop_of(case)
    for _ in range(rounds):
        for name, way in ways.items():
            with patch.object(PlayerState, "descend", way):
                distributed.wait()
                begun = time.perf_counter()
                for _ in range(steps):
                    loops[name].advance()
                took[name].append((time.perf_counter() - begun) / steps)
    weights = {name: nn.utils.parameters_to_vector(loop.model.parameters()) for name, loop in loops.items()}
    return {
        "case": case,
        "after the backward pass, ms": round(1e3 * statistics.median(took["after"]), 2),
        **{
            name: [round(value, 3) for value in ratios(took[name], took["after"])]
            for name in SIZES
        },
        "largest difference of weights": max(
            (weights[name] - weights["after"]).abs().max().item() for name in SIZES
        ),
    }  # fmt: skip


def main() -> None:
    """Prints one JSON object per line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with process_group.joined():
        group = dist.new_group()
        for case in options.cases:
            found = compare(case, options.rounds, group)
            if distributed.is_first():
                print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
