"""How often the doctor is right: runs with planted faults, and healthy runs for false alarms.

    python -m benchmarks.doctor [--out RUNS] [--steps 2000] [--diagnostics]

Prints two tables for docs/results. Data are the digits and a table, both from scikit-learn; nothing is
downloaded.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import pushforward as pf
from pushforward.data import Dataset, Split, open_dataset
from pushforward.data.dataset import hold_out
from pushforward.discrepancies import Discrepancy
from pushforward.distributions import DeterministicEncoder, NormalPrior
from pushforward.evaluation import Diagnosis, EvaluationContext, diagnose
from pushforward.models import Model, Terms
from pushforward.networks import mlp
from pushforward.square import Square
from pushforward.training import Training, adam
from pushforward.training.loop import Loop

# ------------------------------------------------------------------------------------------- data


def table(scale: float = 1.0) -> Dataset:
    """569 tumours of scikit-learn, 30 columns of mean 0 and standard deviation ``scale``."""
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    rows = torch.from_numpy((x - x.mean(0)) / x.std(0) * scale).float()
    return _split(f"tumours x{scale:g}", rows, torch.from_numpy(y))


def few() -> Dataset:
    """Digits with fifty training rows."""
    data = open_dataset("digits")
    return Dataset("few", data.train.rows(torch.arange(50)), data.test, in_unit_interval=True)


def _split(name: str, x: Tensor, y: Tensor) -> Dataset:
    train, test = hold_out(len(x), 0.2)
    return Dataset(name, Split(x[train], y[train]), Split(x[test], y[test]), in_unit_interval=False)


# ---------------------------------------------------------------- faults that no recipe can be given


class Half(nn.Module):
    """An encoder of which half the outputs are always 0."""

    def __init__(self, shape: tuple[int, ...], latent: int) -> None:
        super().__init__()
        self.net = mlp(shape, latent, [256])
        self.register_buffer("mask", (torch.arange(latent) < latent // 2).float())

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.net(x) * self.mask
        return made


class Scale(nn.Module):
    """A constant factor."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, z: Tensor) -> Tensor:
        return self.factor * z


class Circle(nn.Module):
    """Projects onto the circle of radius √2."""

    def forward(self, z: Tensor) -> Tensor:
        return 2**0.5 * nn.functional.normalize(z, dim=1)


class Sampler(Model):
    """The smallest model without an encoder: a discrepancy between samples and data."""

    def __init__(self, prior: NormalPrior, decoder: nn.Module, discrepancy: Discrepancy) -> None:
        super().__init__()
        self.prior, self.decoder, self.discrepancy = prior, decoder, discrepancy
        self.cost = pf.SquaredError()

    def pair(self, s: Square) -> tuple[Any, Any]:
        return s.Gz, s.x

    def formula(self, s: Square) -> Terms:
        assert isinstance(self.discrepancy, Discrepancy)
        return {"discrepancy": self.discrepancy(*self.pair(s))}


class OneMode(Discrepancy):
    """The mean squared error of samples to the mean of the given rows: its minimum is a single mode."""

    def forward(self, q: Tensor, p: Tensor) -> Tensor:
        return (q - p.mean(0)).square().flatten(1).sum(1).mean()


def built(data: Dataset, discrepancy: Discrepancy, latent: int, weight: float) -> Model:
    """A WAE with a discrepancy that no recipe offers."""
    prior = NormalPrior(latent)
    decoder = mlp(latent, data.shape, [256, 256])
    encoder = DeterministicEncoder(mlp(data.shape, latent, [256, 256]))
    return pf.WAE(prior, decoder, encoder, discrepancy, weight=weight)


def narrow(data: Dataset) -> Model:
    """A WAE whose kernel is far narrower than the distances between codes."""
    return built(data, pf.MMD(pf.GaussianKernel([0.1])), 64, 20.0)


def one_mode(data: Dataset) -> Model:
    """A generator whose loss is smallest if all samples are the mean row."""
    return Sampler(NormalPrior(8), mlp(8, data.shape, [256]), OneMode())


# ------------------------------------------------------------------------------------------ cases

Case = Callable[[Path, int, int], Diagnosis]


def by_hand(model: Callable[[Dataset], Model]) -> Case:
    """A model that is trained on digits by the loop alone, without a recipe."""

    def case(folder: Path, steps: int, seed: int) -> Diagnosis:
        data = digits()
        torch.manual_seed(seed)
        made = model(data)
        players = {player.name: adam(2e-3) for player in made.players()}
        loop = Loop(made, data.train, Training(100, players, schedule="cosine"), steps, seed)
        history = []
        for step in range(steps):
            terms, _ = loop.advance()
            if step % max(steps // 200, 1) == 0:
                history.append({"step": step, "terms": {name: value.item() for name, value in terms.items()}})
        return Diagnosis(EvaluationContext(made.eval(), data, n_samples=2000), history, steps, 100)

    return case


def recipe(name: str, data: Callable[[], Any], **options: Any) -> Case:
    """A run of a recipe, as a user would train it."""

    def case(folder: Path, steps: int, seed: int) -> Diagnosis:
        source = data()
        arguments = {"steps": steps, **options}
        if "encoder" in arguments:
            torch.manual_seed(seed)
            arguments["encoder"] = arguments["encoder"]()
        run = pf.train(name, source, out=folder, seed=seed, progress=False, **arguments)
        run = pf.load(folder, source, **{k: v for k, v in arguments.items() if k == "encoder"})
        return run.diagnosis()

    return case


def digits() -> Dataset:
    """The digits of scikit-learn."""
    return open_dataset("digits")


def half() -> nn.Module:
    """An encoder of digits with eight outputs, of which four are 0."""
    return Half((1, 8, 8), 8)


def far() -> nn.Module:
    """An encoder of digits whose codes start thirty times as far out as the prior."""
    return nn.Sequential(mlp((1, 8, 8), 8, [256, 256]), Scale(30.0))


def circle() -> nn.Module:
    """An encoder of digits onto the circle of radius √2, which has the moments of N(0, I)."""
    return nn.Sequential(mlp((1, 8, 8), 2, [256, 256]), Circle())


# Thresholds were set while looking at seeds 0 to 2; the rates are those of other seeds.
SEEDS = (10, 11, 12)

HEALTHY: list[tuple[str, Case, int]] = [
    *(("wae-mmd on digits", recipe("wae-mmd", digits), seed) for seed in SEEDS),
    *(("vae on digits", recipe("vae", digits), seed) for seed in SEEDS),
    *(("wae-gan on digits", recipe("wae-gan", digits), seed) for seed in SEEDS),
    *(("wae-mmd, weight auto, digits", recipe("wae-mmd", digits, weight="auto"), seed) for seed in SEEDS[:2]),
    *(("wae-mmd, 5 dimensions, digits", recipe("wae-mmd", digits, latent_dim=5), seed) for seed in SEEDS[:2]),
    *(
        ("wae-mmd, 16 dimensions, digits", recipe("wae-mmd", digits, latent_dim=16), seed)
        for seed in SEEDS[:2]
    ),
    *(("wae-mmd on tumours", recipe("wae-mmd", table, latent_dim=4), seed) for seed in SEEDS[:2]),
    *(("vae on tumours", recipe("vae", table, latent_dim=4), seed) for seed in SEEDS[:2]),
    ("vae, 5 dimensions, on digits", recipe("vae", digits, latent_dim=5), SEEDS[0]),
]  # fmt: skip

BROKEN: list[tuple[str, str, Case]] = [
    ("scale of the data", "a table times 1000", recipe("wae-mmd", lambda: table(1000.0), latent_dim=4)),
    ("scale of the data", "a table times 0.001", recipe("vae", lambda: table(1e-3), latent_dim=4)),
    ("too few steps", "40 steps of wae-mmd", recipe("wae-mmd", digits, steps=40)),
    ("too few steps", "40 steps of vae", recipe("vae", digits, steps=40)),
    ("posterior collapse", "vae with weight 50", recipe("vae", digits, weight=50.0)),
    ("overfitting", "fifty training digits", recipe("ae", few)),
    ("inactive units", "half the encoder's outputs are 0", recipe("wae-mmd", digits, encoder=half)),
    ("inactive units", "vae with 32 dimensions", recipe("vae", digits, latent_dim=32)),
    ("weight too small", "wae-mmd with weight 0.001", recipe("wae-mmd", digits, weight=1e-3)),
    ("weight too small", "wae-gan with weight 0.00001", recipe("wae-gan", digits, weight=1e-5)),
    ("weight too large", "wae-mmd with weight 100,000", recipe("wae-mmd", digits, weight=1e5)),
    ("weight too large", "wae-gan with weight 10,000", recipe("wae-gan", digits, weight=1e4)),
    ("aggregate posterior does not match the prior", "ae", recipe("ae", digits)),
    ("kernel bandwidth too small", "a Gaussian kernel of width 0.1 in 64 dimensions", by_hand(narrow)),
    ("critic saturated", "wae-gan, min-max, with codes that start far from the prior",
     recipe("wae-gan", digits, non_saturating=False, n_critic=5, encoder=far)),
    ("holes", "an encoder whose codes lie on a circle",
     recipe("wae-mmd", digits, latent_dim=2, encoder=circle)),
    ("mode collapse", "a generator whose discrepancy rewards a single mode", by_hand(one_mode)),
]  # fmt: skip


def main() -> None:
    """Train all runs and print what the doctor says of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/doctor"))
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seeds", type=int, nargs="*", default=list(SEEDS), help="of the broken runs")
    parser.add_argument("--diagnostics", action="store_true", help="print all diagnostics")
    parser.add_argument("--only", choices=("healthy", "broken"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    begun = time.monotonic()

    def examined(case: Case, name: str, seed: int) -> tuple[list[str], float]:
        checkup = case(arguments.out / f"{name}-{seed}".replace(" ", "-"), arguments.steps, seed)
        found = [finding.name for finding in diagnose(checkup)]
        if arguments.diagnostics:
            print(
                "   ",
                name,
                seed,
                {key: float(f"{value:.3g}") for key, value in checkup.diagnostics().items()},
                flush=True,
            )
        assert checkup.samples is not None
        return found, checkup.samples.reached

    if arguments.only != "healthy":
        first = among = 0
        print("| planted fault | how | named first | among the reasons |\n|---|---|---|---|")
        for wanted, name, case in BROKEN:
            found = [examined(case, name, seed)[0] for seed in arguments.seeds]
            firsts = sum(names[:1] == [wanted] for names in found)
            amongs = sum(wanted in names for names in found)
            first, among = first + firsts, among + amongs
            others = sorted({names[0] if names else "nothing" for names in found if names[:1] != [wanted]})
            said = f" (else: {', '.join(others)})" if others else ""
            print(
                f"| {wanted} | {name} | {firsts} of {len(found)}{said} | {amongs} of {len(found)} |",
                flush=True,
            )
        total = len(BROKEN) * len(arguments.seeds)
        print(f"\n{first} of {total} named first, {among} of {total} among the reasons\n")
    if arguments.only != "broken":
        alarms = 0
        ratio = "smallest ratio to the train reference (precision, recall, coverage)"
        print(f"| healthy | seed | {ratio} | false alarms |\n|---|---|---|---|")
        for name, case, seed in HEALTHY:
            names, reached = examined(case, name, seed)
            alarms += bool(names)
            print(f"| {name} | {seed} | {reached:.2f} | {', '.join(names) or '-'} |", flush=True)
        print(f"\n{alarms} of {len(HEALTHY)} healthy runs raise an alarm")
    print(f"{(time.monotonic() - begun) / 60:.0f} minutes")


if __name__ == "__main__":
    main()
