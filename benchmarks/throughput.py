"""Speed of the library's training loop relative to a loop written by hand, for the same networks and data.

    python -m benchmarks.throughput --threads 2 [--device cuda]

The two loops alternate in short rounds of one process, so that other load on the machine affects both. The
median and the range of the ratio over rounds are printed. Both loops use the library's MMD and fused Adam:
the loops are compared, not the objectives.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pushforward.data.dataset import Dataset, Split
from pushforward.discrepancies import Discrepancy
from pushforward.recipes import RECIPES, Setup
from pushforward.torch_state import plain_torch
from pushforward.training import Loop
from pushforward.training.block import Blocks
from pushforward.training.compiling import compile_losses


def rows(shape: tuple[int, ...], n: int = 10_000) -> Dataset:
    """Random bytes in the shape of images."""
    x = torch.randint(0, 256, (n, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return Dataset("noise", Split(x), Split(x[:2]), in_unit_interval=True)


def by_hand(setup: Setup, data: Tensor, recipe: str, device: torch.device) -> Iterator[None]:
    """A loop written for these networks only, with all rows on the device."""
    model, data = setup.model.to(device), data.to(device)
    batch, weight = setup.training.batch_size, float(getattr(model, "weight", 0))
    encoder: nn.Module = model.encoder.get_submodule("net")
    decoder, discrepancy = model.decoder, model.discrepancy
    assert discrepancy is not None
    adversarial = discrepancy if isinstance(discrepancy, Discrepancy) else None
    critic = list(discrepancy.parameters())
    own = [*model.encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(own, lr=1e-3, fused=True)
    other = torch.optim.Adam(critic, lr=1e-3, fused=True) if critic else None
    latent = model.prior.latent_dim
    while True:
        order = torch.randperm(len(data), device=device)
        for place in range(len(data) // batch):
            x = data[order[place * batch : (place + 1) * batch]].float() / 255
            z = torch.randn(batch, latent, device=device)
            code = encoder(x)
            if recipe == "vae":
                mean, log_var = code.chunk(2, dim=1)
                code = mean + (log_var / 2).exp() * torch.randn_like(mean)
                kl = 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum(1).mean()
                logits = decoder(code)
                loss = F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / batch + kl
            else:
                loss = (decoder(code) - x).square().flatten(1).sum(1).mean() + weight * discrepancy(code, z)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if other is not None and adversarial is not None:
                with torch.no_grad():
                    code = encoder(x)
                loss = -adversarial.critic_objective(code, z)
                other.zero_grad()
                loss.backward()
                other.step()
            yield


Steps = Callable[[int], object]  # takes so many steps


def general(setup: Setup, data: Dataset, device: torch.device, compile: bool = False) -> Steps:
    """The library's loop, in blocks as in training."""
    loop = Loop(setup.model, data.train, setup.training, total=1_000_000, device=device)
    if compile:
        compile_losses(loop)
    blocks = Blocks(loop)

    def take(n: int) -> None:
        while n:
            n -= len(blocks.advance(n)[0])

    return take


def seconds(steps: Steps, n: int) -> float:
    """Seconds that n steps take, including the work queued on the device."""
    synchronize: Callable[[], None] = torch.cuda.synchronize if torch.cuda.is_available() else lambda: None
    synchronize()
    begun = time.perf_counter()
    steps(n)
    synchronize()
    return time.perf_counter() - begun


def steps_of(steps: Steps, duration: float) -> int:
    """How many steps take so many seconds: of steps after the first ones, in which a GPU loads libraries."""
    seconds(steps, 10)
    return max(3, round(duration / (seconds(steps, 10) / 10)))


def alternate(loops: Mapping[str, Steps], steps: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of so many steps of each loop, by round; which one goes first alternates."""
    took: dict[str, list[float]] = {name: [] for name in loops}
    for i in range(rounds):
        for name in sorted(loops, reverse=bool(i % 2)):
            took[name].append(seconds(loops[name], steps))
    return took


def ratios(over: Sequence[float], under: Sequence[float]) -> tuple[float, float, float]:
    """The median, the least and the largest ratio of two loops over rounds."""
    found = sorted(a / b for a, b in zip(over, under, strict=True))
    return statistics.median(found), found[0], found[-1]


def compare(
    recipe: str, shape: tuple[int, ...], rounds: int, network: str | None, device: torch.device
) -> dict[str, object]:
    """Speeds of both loops in images per second, and their ratio."""
    data = rows(shape)

    def build() -> Setup:
        torch.manual_seed(0)
        return RECIPES[recipe](data.spec, network=network)

    hand, ours = build(), build()
    written = by_hand(hand, data.train.tensor(), recipe, device)
    loops: dict[str, Steps] = {
        "by hand": lambda n: deque(islice(written, n), maxlen=0),
        "library": general(ours, data, device),
    }
    nn.Module.train(hand.model)
    seconds(loops["by hand"], 10)
    steps = steps_of(loops["library"], 0.5)
    took = alternate(loops, steps, rounds)
    ratio, least, most = (round(value, 3) for value in ratios(took["by hand"], took["library"]))
    speed: Callable[[str], float] = lambda name: (  # noqa: E731
        steps * hand.training.batch_size / statistics.median(took[name])
    )
    return {
        "recipe": recipe,
        "shape": shape,
        "network": ours.resolved["network"],
        "by hand, images/s": round(speed("by hand")),
        "library, images/s": round(speed("library")),
        "library / by hand": ratio,
        "range": [least, most],
        "rounds": rounds,
    }


@plain_torch()
def main() -> None:
    """Print one JSON object per line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device)
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{arguments.threads} threads"
    cases: list[tuple[str, tuple[int, ...], str | None]] = [
        (recipe, (1, 28, 28), None) for recipe in ("wae-mmd", "wae-gan", "vae")
    ]
    cases.append(("wae-mmd", (1, 28, 28), "conv"))
    for recipe, shape, network in cases:
        result = compare(recipe, shape, arguments.rounds, network, device)
        print(json.dumps({**result, "on": machine}), flush=True)


if __name__ == "__main__":
    main()
