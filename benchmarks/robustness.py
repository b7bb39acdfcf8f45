"""Seven pairs of generator and critic networks, four losses, one setting each: which of them train at all?

    python -m benchmarks.robustness DATA_SET --data-dir DATA --out RUNS [--full] [--only gp] [--steps 1000]

Small by default: 32 pixels, 16 channels and residual networks of 32 layers; ``--full`` uses 64 pixels, 64
channels and the 101 layers of the paper, and needs an accelerator. Prints the FD of samples in each cell.

References:
    | Improved Training of Wasserstein GANs (Gulrajani et al., 2017), figure 2
    | https://arxiv.org/abs/1704.00028
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

import pushforward as pf
from pushforward.errors import DivergedError
from pushforward.evaluation.table import extractor
from pushforward.networks import GatedTanh, conv_decoder, conv_encoder, mlp, resnet_critic, resnet_generator
from pushforward.networks.architectures import Shape, leaky
from pushforward.networks.dcgan import halvings
from pushforward.rng import Noise

LATENT = 128


@dataclass(frozen=True)
class Scale:
    """Size of images and networks."""

    side: int
    width: int
    blocks: int

    @property
    def channels(self) -> list[int]:
        """Channels after each halving, down to 4 pixels."""
        return [self.width * 2**i for i in range(halvings(self.side, 4))]


Make = Callable[[Scale, Shape, str | None], tuple[nn.Module, nn.Module]]


def dcgan(scale: Scale, shape: Shape, norm: str | None) -> tuple[nn.Module, nn.Module]:
    """The baseline."""
    return (
        conv_decoder(LATENT, shape, scale.channels[::-1], 5, last=False),
        conv_encoder(shape, 1, scale.channels, 5, norm=norm, activation=leaky, bare=True),
    )


def crippled(scale: Scale, shape: Shape, norm: str | None) -> tuple[nn.Module, nn.Module]:
    """A generator without normalisation and with the same number of filters in every stage."""
    flat = [scale.width] * len(scale.channels)
    return conv_decoder(LATENT, shape, flat, 5, last=False, norm=None), dcgan(scale, shape, norm)[1]


def connected(scale: Scale, shape: Shape, norm: str | None) -> tuple[nn.Module, nn.Module]:
    """A fully connected generator."""
    return mlp(LATENT, shape, [512] * 4, norm=None), dcgan(scale, shape, norm)[1]


def bare(scale: Scale, shape: Shape, norm: str | None) -> tuple[nn.Module, nn.Module]:
    """No normalisation anywhere."""
    generator = conv_decoder(LATENT, shape, scale.channels[::-1], 5, last=False, norm=None)
    return generator, conv_encoder(shape, 1, scale.channels, 5, norm=None, activation=leaky)


def gated(scale: Scale, shape: Shape, norm: str | None) -> tuple[nn.Module, nn.Module]:
    """Multiplicative activations."""
    return (
        conv_decoder(LATENT, shape, scale.channels[::-1], 5, last=False, activation=GatedTanh, gated=True),
        conv_encoder(shape, 1, scale.channels, 5, norm=norm, activation=GatedTanh, gated=True),
    )


def tanh(scale: Scale, shape: Shape, norm: str | None) -> tuple[nn.Module, nn.Module]:
    """Saturating activations."""
    return (
        conv_decoder(LATENT, shape, scale.channels[::-1], 5, last=False, activation=nn.Tanh),
        conv_encoder(shape, 1, scale.channels, 5, norm=norm, activation=nn.Tanh),
    )


def resnet(scale: Scale, shape: Shape, norm: str | None) -> tuple[nn.Module, nn.Module]:
    """Residual networks, 101 layers each at full scale."""
    return (
        resnet_generator(LATENT, shape, scale.width, scale.blocks),
        resnet_critic(shape, 1, scale.width, scale.blocks, norm),
    )


PAIRS: dict[str, Make] = {
    "dcgan": dcgan, "crippled": crippled, "connected": connected, "bare": bare, "gated": gated, "tanh": tanh,
    "resnet": resnet,
}  # fmt: skip
# recipe, normalisation of the critic, and learning rates and n_critic as in the paper's code; all but the
# clipped one use Adam with our momenta, and learning rates follow a cosine schedule
LOSSES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "dcgan": ("dcgan", "batch", {"lr": 2e-4, "critic_lr": 2e-4}),
    "lsgan": ("lsgan", "batch", {"lr": 1e-4, "critic_lr": 1e-4}),
    "clip": ("wgan", "batch", {"lr": 5e-5, "critic_lr": 5e-5, "n_critic": 5}),
    "gp": ("wgan-gp", "layer", {"lr": 1e-4, "critic_lr": 1e-4, "n_critic": 5}),
}


def main() -> None:
    """Train every cell and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--data-dir")
    parser.add_argument("--out", type=Path, default=Path("runs/robustness"))
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--only", choices=LOSSES, nargs="*", default=list(LOSSES))
    parser.add_argument("--pairs", choices=PAIRS, nargs="*", default=list(PAIRS))
    arguments = parser.parse_args()
    scale = Scale(64, 64, 6) if arguments.full else Scale(32, 16, 2)
    data = pf.open_dataset(arguments.data, data_dir=arguments.data_dir, image_size=scale.side)
    kind = f"{data.name}-{'full' if arguments.full else 'small'}-{arguments.steps}-{arguments.seed}"
    about = reference = ""
    print("| pair | " + " | ".join(arguments.only) + " |\n" + "|---" * (1 + len(arguments.only)) + "|")
    for pair in arguments.pairs:
        cells = []
        for loss in arguments.only:
            recipe, norm, settings = LOSSES[loss]
            torch.manual_seed(Noise(arguments.seed, pair, loss).integer())
            decoder, critic = PAIRS[pair](scale, data.shape, norm)
            try:
                out = arguments.out / kind / f"{pair}-{loss}"
                run = pf.train(
                    recipe, data, out=out, seed=arguments.seed, latent_dim=LATENT,
                    steps=arguments.steps, decoder=nn.Sequential(decoder, nn.Sigmoid()), critic=critic,
                    device=arguments.device, progress=False, batch_size=64, **settings,
                )  # fmt: skip
                found = run.evaluate(metrics=("samples", "reference"))
                about, reference = extractor(found), f"{found['reference']['frechet']['value']:.3g}"
                cells.append(f"{found['samples']['frechet']['value']:.1f}")
            except DivergedError:
                cells.append("diverged")
        print(f"| {pair} | " + " | ".join(cells) + " |", flush=True)
    print(f"FD; {about}; train reference {reference}; seed {arguments.seed}, {arguments.steps} steps")


if __name__ == "__main__":
    main()
