"""WAE-GAN in plain PyTorch, from top to bottom, on scikit-learn's handwritten digits.

It trains the same model as ``pushforward train wae-gan digits``, step for step; only the data and the random
numbers come from the library. A test compares the library with the numbers computed here.

Wasserstein Auto-Encoders (Tolstikhin et al., 2018), algorithm 1, https://arxiv.org/abs/1711.01558
"""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from pushforward.data import open_dataset
from pushforward.rng import Noise

SEED, LATENT, BATCH, WEIGHT, RATE = 0, 8, 100, 0.938, 1e-3


def layers(*widths: int, norm: bool = True) -> list[nn.Module]:
    """Linear layers, each followed by BatchNorm (if ``norm``) and ReLU."""
    built: list[nn.Module] = []
    for a, b in pairwise(widths):
        built += [nn.Linear(a, b, bias=not norm), *([nn.BatchNorm1d(b)] if norm else []), nn.ReLU()]
    return built


def train(steps: int, planned: int = 6000) -> list[tuple[float, float, float]]:
    """Reconstruction, weighted discrepancy and critic loss of the first ``steps`` of a run of ``planned``."""
    data = open_dataset("digits").train
    torch.manual_seed(Noise(SEED, "weights").integer())
    encoder = nn.Sequential(nn.Flatten(), *layers(64, 256, 256), nn.Linear(256, LATENT))
    decoder = nn.Sequential(
        *layers(LATENT, 256, 256), nn.Linear(256, 64), nn.Unflatten(1, (1, 8, 8)), nn.Sigmoid()
    )
    critic = nn.Sequential(*layers(LATENT, 256, 256, 256, norm=False), nn.Linear(256, 1))
    model = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=RATE, betas=(0.5, 0.999))
    player = torch.optim.Adam(critic.parameters(), lr=RATE, betas=(0.5, 0.999))
    per_epoch = len(data) // BATCH
    terms = []
    for step in range(steps):
        epoch, place = divmod(step, per_epoch)
        order = Noise(SEED, "order", epoch).permutation(len(data))
        x = data.x[order[place * BATCH : (place + 1) * BATCH]]
        z = Noise(SEED, "step", step, 0, "prior").normal(BATCH, LATENT)
        done = step / planned
        cosine = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (done - 0.05) / 0.95))
        for optimizer in (model, player):
            optimizer.param_groups[0]["lr"] = RATE * (done / 0.05 if done < 0.05 else cosine)

        # Encoder and decoder, non-saturating: the encoder makes the critic classify codes as draws of the
        # prior. The critic's term on the prior is a constant here, kept so that the value is a bound.
        codes = encoder(x)
        reconstruction = (decoder(codes) - x).square().flatten(1).sum(1).mean()
        discrepancy = WEIGHT * (F.softplus(-critic(codes)).mean() + F.softplus(critic(z)).mean())
        model.zero_grad()
        (reconstruction + discrepancy).backward()
        model.step()

        # The critic: codes of the same rows, encoded again, against the same draws of the prior.
        for norm in (part for part in encoder if isinstance(part, nn.BatchNorm1d)):
            norm.track_running_stats = False  # only the encoder's own update changes them
        codes = encoder(x).detach()
        for norm in (part for part in encoder if isinstance(part, nn.BatchNorm1d)):
            norm.track_running_stats = True
        loss = F.softplus(-critic(z)).mean() + F.softplus(critic(codes)).mean()
        player.zero_grad()
        loss.backward()
        player.step()
        terms.append((reconstruction.item(), discrepancy.item(), loss.item()))
    return terms


if __name__ == "__main__":
    for step, (reconstruction, discrepancy, loss) in enumerate(train(1000)):
        if step % 100 == 99:
            print(
                f"step {step + 1:4}: reconstruction {reconstruction:.4f}, discrepancy {discrepancy:.4f}, "
                f"critic {loss:.4f}"
            )
