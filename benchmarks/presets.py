"""Candidates for the default preset of images, against two short scripts, at equal CPU time.

    python -m benchmarks.presets --data-dir DATA --choose    # on validation rows, one seed
    python -m benchmarks.presets --data-dir DATA             # on test rows, three seeds
    python -m benchmarks.presets --data-dir DATA --table     # print what is recorded

Image sets of 7,000 to 10,000 training rows: MNIST, CIFAR-10 (the JPEG edition of its test images), and
sprites at 32x32. Each candidate is trained for as many steps as take 30 or 300 seconds on one idle core.
What a step takes is the least time of many short bursts, so that other work on the machine does not change
the comparison; of the library's runs the looks at diagnostics, checkpoints and pictures are counted, too.
The score is the Fréchet distance of 2,500 samples from validation or test rows in the features of a
classifier of the labels (of sprites: of their shape), which no candidate sees. The scripts are what one
writes by hand: PyTorch's example of a VAE, and the same with convolutions.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import pushforward as pf
from pushforward.data import Dataset, Split, open_dataset
from pushforward.features import open_features
from pushforward.metrics import frechet
from pushforward.recipes import RECIPES
from pushforward.rng import Noise
from pushforward.square import Square
from pushforward.training.loop import Loop
from pushforward.training.trainer import affordable, diagnose, watch_loop

SETS = ("mnist", "cifar10-jpeg", "sprites")
BUDGETS = (30, 300)
SAMPLES, BATCH = 2500, 128
BESIDES = 3.0  # seconds of a run's ten checkpoints and grids of samples and of its last picture
CHOOSE_SEED, SEEDS = 100, (0, 1, 2)
ROWS = {"mnist": (10_000, 2500), "cifar10-jpeg": (7000, 1500), "sprites": (10_000, 2500)}

# ------------------------------------------------------------------------------------------- data


def image_set(name: str, data_dir: str, evaluated_on: str) -> Dataset:
    """Training rows, and validation or test rows in the place of held-out ones."""
    if name == "cifar10-jpeg":
        folder = Path(tempfile.gettempdir()) / "pushforward-cifar10-jpeg"
        if not folder.exists():
            shutil.unpack_archive(next(Path(data_dir, name).glob("*.zip")), folder)
        whole = open_dataset(folder)
    elif name == "sprites":
        whole = open_dataset(name, image_size=32)
    else:
        whole = open_dataset(name, data_dir=data_dir)
    x = torch.cat([whole.train.tensor(), whole.test.tensor()])
    y = torch.cat([_labels(whole.train), _labels(whole.test)])
    order = Noise("presets", name).permutation(len(x))
    n, m = ROWS[name]
    held_out = order[n : n + m] if evaluated_on == "validation" else order[n + m : n + 2 * m]
    train, test = (Split(x[index], y[index]) for index in (order[:n], held_out))
    return Dataset(name, train, test, in_unit_interval=True)


def _labels(split: Split) -> Tensor:
    if split.factors is not None:
        return split.factors[:, 0].clone()
    assert split.y is not None
    return split.y


# ---------------------------------------------------------------------------------------- scripts


class NaiveVAE(nn.Module):
    """The VAE of PyTorch's examples (github.com/pytorch/examples, vae/main.py), or one of convolutions."""

    def __init__(self, shape: tuple[int, ...], convolutions: bool, latent: int = 20) -> None:
        super().__init__()
        channels, height, width = shape
        pixels = channels * height * width
        if convolutions:
            small = (64, height // 4, width // 4)
            units = small[0] * small[1] * small[2]
            self.encoder = nn.Sequential(
                nn.Conv2d(channels, 32, 4, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 4, 2, 1), nn.ReLU(),
                nn.Flatten(), nn.Linear(units, 2 * latent),
            )  # fmt: skip
            self.decoder = nn.Sequential(
                nn.Linear(latent, units), nn.ReLU(), nn.Unflatten(1, small),
                nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(32, channels, 4, 2, 1),
            )  # fmt: skip
        else:
            self.encoder = nn.Sequential(
                nn.Flatten(), nn.Linear(pixels, 400), nn.ReLU(), nn.Linear(400, 2 * latent)
            )
            self.decoder = nn.Sequential(
                nn.Linear(latent, 400), nn.ReLU(), nn.Linear(400, pixels), nn.Unflatten(1, shape)
            )
        self.latent = latent

    def loss(self, x: Tensor) -> Tensor:
        mean, log_var = self.encoder(x).chunk(2, 1)
        logits = self.decoder(mean + torch.randn_like(mean) * (0.5 * log_var).exp())
        kl = -0.5 * (1 + log_var - mean.square() - log_var.exp()).sum()
        loss: Tensor = F.binary_cross_entropy_with_logits(logits, x, reduction="sum") + kl
        return loss / len(x)

    def sample(self, n: int) -> Tensor:
        with torch.no_grad():
            made: Tensor = self.decoder(torch.randn(n, self.latent)).sigmoid()
        return made


class Candidate(Protocol):
    """Something that is trained."""

    def step_time(self, data: Dataset) -> tuple[float, float]:
        """Seconds of a step, and of a look at diagnostics."""

    def samples(self, data: Dataset, seed: int, steps: int, out: Path) -> Tensor:
        """Samples after so many steps."""


def least(burst: Callable[[], object], bursts: int = 15) -> float:
    """The least CPU time of a burst."""
    taken = []
    for _ in range(bursts):
        start = time.process_time()
        burst()
        taken.append(time.process_time() - start)
    return min(taken)


@dataclass(frozen=True)
class Script:
    """A VAE in plain PyTorch."""

    convolutions: bool

    def step_time(self, data: Dataset) -> tuple[float, float]:
        """The time of a step; there are no looks."""
        steps = self.training(data, 0)[1]
        return least(lambda: [next(steps) for _ in range(5)]) / 5, 0.0

    def samples(self, data: Dataset, seed: int, steps: int, out: Path) -> Tensor:
        """Decoded draws of N(0, I)."""
        net, training = self.training(data, seed)
        for _ in range(steps):
            next(training)
        return net.eval().sample(SAMPLES)

    def training(self, data: Dataset, seed: int) -> tuple[NaiveVAE, Iterator[None]]:
        """The network, and its training step by step."""
        torch.manual_seed(seed)
        net = NaiveVAE(data.shape, self.convolutions)
        x = data.train.batch(slice(0, len(data.train))).x

        def steps() -> Iterator[None]:
            optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
            while True:
                for index in torch.randperm(len(x)).split(BATCH):
                    optimizer.zero_grad()
                    net.loss(x[index]).backward()
                    optimizer.step()
                    yield

        return net, steps()


@dataclass(frozen=True)
class Ours:
    """A recipe with options."""

    recipe: str
    options: dict[str, Any]

    def arguments(self, data: Dataset) -> dict[str, Any]:
        """Options of the recipe; ``share`` is the weight as a multiple of the data's total variance."""
        made = dict(self.options)
        if "share" in made:
            made["weight"] = float(f"{made.pop('share') * data.spec.variance:.3g}")
        return made

    def step_time(self, data: Dataset) -> tuple[float, float]:
        """The time of a step of the loop; and that of a look."""
        setup = RECIPES[self.recipe](data.spec, **self.arguments(data))
        setup.model.train()
        loop = Loop(setup.model, data.train, setup.training, 1_000_000, 0, "cpu")
        monitor = watch_loop(loop)
        _, square = loop.advance()

        def look() -> None:
            diagnose(loop, monitor, Square(loop.model, square.x, square.noise, square.y))

        step = least(lambda: [loop.advance() for _ in range(5)]) / 5
        return step, least(look)

    def samples(self, data: Dataset, seed: int, steps: int, out: Path) -> Tensor:
        """What a finished run samples."""
        run = pf.train(
            self.recipe, data, out=out, seed=seed, steps=steps, threads=1, progress=False,
            **self.arguments(data),
        )  # fmt: skip
        return torch.as_tensor(run.sample(SAMPLES))


def candidate(words: str) -> Candidate:
    """The candidate of a name: a script, or a recipe with options, such as "vae latent_dim=16 share=2"."""
    if words in SCRIPTS:
        return SCRIPTS[words]
    recipe, *options = words.split()
    return Ours(recipe, {name: _value(value) for name, value in (option.split("=") for option in options)})


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


SCRIPTS = {"script: MLP VAE": Script(False), "script: convolutional VAE": Script(True)}
CANDIDATES = (*SCRIPTS, "vae", "wae-mmd")


# -------------------------------------------------------------------------------------- evaluate


def score(samples: Tensor, data: Dataset, features: Any) -> float:
    with torch.no_grad():
        made = features(samples.float())
        given = features(data.test.batch(slice(0, len(data.test))).x)
    return float(frechet(made, given).value)


def main() -> None:
    """Train what is missing, record each result, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--record", type=Path, default=Path("runs/presets.jsonl"))
    parser.add_argument("--choose", action="store_true")
    parser.add_argument("--times", action="store_true", help="measure the time of a step alone")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--only", nargs="*", default=list(CANDIDATES))
    parser.add_argument("--sets", nargs="*", default=list(SETS))
    parser.add_argument("--budgets", type=int, nargs="*", default=list(BUDGETS))
    parser.add_argument("--seeds", type=int, nargs="*")
    arguments = parser.parse_args()
    evaluated_on = "validation" if arguments.choose else "test"
    seeds = arguments.seeds or ([CHOOSE_SEED] if arguments.choose else list(SEEDS))
    arguments.record.parent.mkdir(parents=True, exist_ok=True)
    done = records(arguments.record)
    if arguments.table:
        print(table(done, evaluated_on))
        return
    torch.set_num_threads(1)
    for seconds in arguments.budgets:
        for name in arguments.sets:
            data = image_set(name, arguments.data_dir, evaluated_on)
            features = open_features("classifier", data)
            for seed in seeds:
                for words in arguments.only:
                    key = dict(set=name, seconds=seconds, seed=seed, candidate=words, on=evaluated_on)
                    if any(key.items() <= known.items() for known in done):
                        continue
                    one, times = candidate(words), dict(set=name, candidate=words)
                    if not any(times.items() <= known.items() and "step" in known for known in done):
                        step, look = one.step_time(data)
                        done.append(_recorded(arguments.record, times | dict(step=step, look=look)))
                    cost = next(known for known in done if times.items() <= known.items() and "step" in known)
                    if arguments.times:
                        continue
                    left = seconds - (BESIDES if isinstance(one, Ours) else 0)
                    steps = affordable(left, cost["step"], cost["look"])
                    with tempfile.TemporaryDirectory() as folder:
                        samples = one.samples(data, seed, steps, Path(folder) / "run")
                    found = key | dict(steps=steps, fd=score(samples, data, features), data=data.fingerprint)
                    _recorded(arguments.record, found)
    print(table(records(arguments.record), evaluated_on))


def _recorded(path: Path, found: dict[str, Any]) -> dict[str, Any]:
    print(json.dumps(found), flush=True)
    with path.open("a") as file:
        file.write(json.dumps(found) + "\n")
    return found


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def table(found: list[dict[str, Any]], evaluated_on: str) -> str:
    """Mean and half the 95 % interval of the mean over seeds (Student's t), one row for each candidate."""
    half = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78}
    columns = [(name, seconds) for seconds in BUDGETS for name in SETS]
    lines = ["| candidate | " + " | ".join(f"{name}, {seconds} s" for name, seconds in columns) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for candidate in dict.fromkeys(row["candidate"] for row in found if row.get("on") == evaluated_on):
        cells = []
        for name, seconds in columns:
            wanted = dict(set=name, seconds=seconds, candidate=candidate, on=evaluated_on)
            values = [row["fd"] for row in found if wanted.items() <= row.items()]
            cell = f"{statistics.mean(values):.3g}" if values else ""
            if len(values) > 1:
                spread = half[len(values)] * statistics.stdev(values) / len(values) ** 0.5
                cell += f" ± {spread:.2g}"
            cells.append(cell)
        lines.append(f"| {candidate} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
