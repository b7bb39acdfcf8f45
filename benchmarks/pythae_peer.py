"""Speed of the library's loop next to pythae's trainer and a bare loop: WAE-MMD on the same networks.

    python -m benchmarks.pythae_peer --threads 2

Needs pythae (0.1.2). The networks are pythae's: 784-512-8 and its mirror, or convolutions of 32, 64 and 128
channels; batches of 100 images of 28x28, latent_dim 8, seven scales, Adam at 1e-3. pythae iterates over its
own loader of tensors in memory, as by default. The bare loop has the library's MMD and fused Adam. The
library's loop runs as by default and with ``compile=True``. All alternate in short rounds of one process.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import tempfile
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import pushforward as pf
from benchmarks.throughput import Steps, alternate, ratios, rows
from pushforward.training import Loop, Training
from pushforward.training.compiling import compile_losses
from pushforward.training.player_state import adam

BATCH, LATENT, ROWS, LR, WEIGHT = 100, 8, 5_000, 1e-3, 10.0
SHAPE = (1, 28, 28)


def mlp() -> tuple[nn.Module, nn.Module]:
    """The networks of pythae's defaults."""
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, LATENT))
    decoder = nn.Sequential(
        nn.Linear(LATENT, 512), nn.ReLU(), nn.Linear(512, 784), nn.Sigmoid(), nn.Unflatten(1, SHAPE)
    )
    return encoder, decoder


def convolutions() -> tuple[nn.Module, nn.Module]:
    """Strided convolutions of 32, 64 and 128 channels, and back."""

    def down(n: int, k: int) -> list[nn.Module]:
        return [nn.Conv2d(n, k, 4, 2, 1), nn.BatchNorm2d(k), nn.ReLU()]

    def up(n: int, k: int, rest: int = 0) -> list[nn.Module]:
        return [nn.ConvTranspose2d(n, k, 3, 2, 1, output_padding=rest), nn.BatchNorm2d(k), nn.ReLU()]

    encoder = nn.Sequential(
        *down(1, 32), *down(32, 64), *down(64, 128), nn.Flatten(), nn.Linear(128 * 9, LATENT)
    )
    decoder = nn.Sequential(
        nn.Linear(LATENT, 128 * 16), nn.Unflatten(1, (128, 4, 4)), *up(128, 64), *up(64, 32, 1),
        nn.ConvTranspose2d(32, 1, 3, 2, 1, output_padding=1), nn.Sigmoid(),
    )  # fmt: skip
    return encoder, decoder


def pythae_loop(data: Tensor, build: Callable[[], tuple[nn.Module, nn.Module]]) -> Steps:
    """Epochs of pythae's trainer."""
    from pythae.data.datasets import BaseDataset
    from pythae.models import WAE_MMD, WAE_MMD_Config
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    encoder, decoder = build()

    class Encoder(BaseEncoder):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.net, self.latent_dim = encoder, LATENT

        def forward(self, x: Tensor) -> Any:
            return ModelOutput(embedding=self.net(x))

    class Decoder(BaseDecoder):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.net = decoder

        def forward(self, z: Tensor) -> Any:
            return ModelOutput(reconstruction=self.net(z))

    config = WAE_MMD_Config(
        input_dim=SHAPE, latent_dim=LATENT, kernel_choice="imq", reg_weight=WEIGHT,
        scales=[0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0],
    )  # fmt: skip
    training = BaseTrainerConfig(
        output_dir=tempfile.mkdtemp(), learning_rate=LR, per_device_train_batch_size=BATCH, no_cuda=True,
        optimizer_cls="Adam",
    )  # fmt: skip
    logging.disable(logging.INFO)
    data_set = BaseDataset(data.float() / 255, torch.ones(len(data)))
    trainer = BaseTrainer(WAE_MMD(config, Encoder(), Decoder()), data_set, training_config=training)
    trainer.prepare_training()

    def epochs(n: int) -> None:
        for _ in range(n):
            trainer.train_step(1)

    return epochs


def bare_loop(data: Tensor, build: Callable[[], tuple[nn.Module, nn.Module]]) -> Steps:
    """Epochs of a loop for this model only."""
    encoder, decoder = build()
    mmd = pf.MMD(pf.IMQ(2.0 * LATENT))
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=LR, fused=True)

    def epoch() -> None:
        order = torch.randperm(len(data))
        for place in range(len(data) // BATCH):
            x = data[order[place * BATCH : (place + 1) * BATCH]].float() / 255
            code = encoder(x)
            cost = (decoder(code) - x).square().flatten(1).sum(1).mean()
            loss = cost + WEIGHT * mmd(code, torch.randn(BATCH, LATENT))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    def epochs(n: int) -> None:
        for _ in range(n):
            epoch()

    return epochs


def library_loop(data: Any, build: Callable[[], tuple[nn.Module, nn.Module]], compile: bool = False) -> Steps:
    """As many steps of the library's loop."""
    encoder, decoder = build()
    prior = pf.NormalPrior(LATENT)
    model = pf.WAE(
        prior,
        decoder,
        pf.DeterministicEncoder(encoder),
        discrepancy=pf.MMD(pf.IMQ(2.0 * LATENT)),
        weight=WEIGHT,
    )
    loop = Loop(model.train(), data.train, Training(BATCH, {"model": adam(LR)}), 1_000_000)
    if compile:
        compile_losses(loop)

    def epochs(n: int) -> None:
        for _ in range(n * ROWS // BATCH):
            loop.advance()

    return epochs


def compare(build: Callable[[], tuple[nn.Module, nn.Module]], rounds: int) -> dict[str, object]:
    """Milliseconds of a step of each, and the ratios."""
    torch.manual_seed(0)
    data = rows(SHAPE, ROWS)
    loops = {
        "pythae": pythae_loop(data.train.tensor(), build),
        "bare": bare_loop(data.train.tensor(), build),
        "library": library_loop(data, build),
        "compiled": library_loop(data, build, compile=True),
    }
    took = {name: times[1:] for name, times in alternate(loops, 1, rounds + 1).items()}  # the first warms up

    def ratio(name: str, other: str) -> list[float]:
        return [round(value, 3) for value in ratios(took[name], took[other])]

    step = 1e3 / (ROWS // BATCH)
    return {
        "networks": build.__name__,
        **{f"{name}, ms": round(step * statistics.median(times), 2) for name, times in took.items()},
        **{
            f"{name} / {other} (range)": ratio(name, other)
            for other in ("library", "compiled")
            for name in ("pythae", "bare")
        },
    }


def main() -> None:
    """Prints one JSON object per line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for build in (mlp, convolutions):
        print(json.dumps({**compare(build, options.rounds), "threads": options.threads}), flush=True)


if __name__ == "__main__":
    main()
