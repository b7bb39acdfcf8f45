"""WAE-MMD in plain PyTorch, from top to bottom, on scikit-learn's handwritten digits.

It trains the same model as ``pushforward train wae-mmd digits``, step for step; only the data and the random
numbers come from the library. A test compares the library with the numbers computed here.

Wasserstein Auto-Encoders (Tolstikhin et al., 2018), algorithm 2, https://arxiv.org/abs/1711.01558
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from pushforward.data import open_dataset
from pushforward.rng import Noise

SEED, LATENT, BATCH, WEIGHT, RATE = 0, 8, 100, 18.8, 2e-3
SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def kernel(x: Tensor, y: Tensor) -> Tensor:
    """The inverse multiquadric kernel of all pairs, summed over seven scales."""
    squares = (x[:, None] - y[None]).square().sum(-1)
    return sum((s * 2 * LATENT / (s * 2 * LATENT + squares) for s in SCALES), torch.zeros_like(squares))


def mmd(q: Tensor, p: Tensor) -> Tensor:
    """The unbiased estimate of the squared maximum mean discrepancy (it may be negative)."""
    n = len(q)
    others = 1 - torch.eye(n)
    within = ((kernel(q, q) + kernel(p, p)) * others).sum() / (n * (n - 1))
    return within - 2 * kernel(q, p).mean()


def layers(*widths: int) -> list[nn.Module]:
    """Linear layers, each followed by BatchNorm and ReLU."""
    pairs = pairwise(widths)
    return [part for a, b in pairs for part in (nn.Linear(a, b, bias=False), nn.BatchNorm1d(b), nn.ReLU())]


def train(steps: int, planned: int = 6000) -> list[tuple[float, float]]:
    """Reconstruction and weighted discrepancy of the first ``steps`` of a run of ``planned``."""
    data = open_dataset("digits").train
    torch.manual_seed(Noise(SEED, "weights").integer())
    encoder = nn.Sequential(nn.Flatten(), *layers(64, 256, 256), nn.Linear(256, LATENT))
    decoder = nn.Sequential(
        *layers(LATENT, 256, 256), nn.Linear(256, 64), nn.Unflatten(1, (1, 8, 8)), nn.Sigmoid()
    )
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=RATE)
    per_epoch = len(data) // BATCH
    terms = []
    for step in range(steps):
        epoch, place = divmod(step, per_epoch)
        order = Noise(SEED, "order", epoch).permutation(len(data))
        x = data.x[order[place * BATCH : (place + 1) * BATCH]]
        z = Noise(SEED, "step", step, 0, "prior").normal(BATCH, LATENT)

        codes = encoder(x)
        reconstruction = (decoder(codes) - x).square().flatten(1).sum(1).mean()
        discrepancy = WEIGHT * mmd(codes, z)

        done = step / planned
        cosine = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (done - 0.05) / 0.95))
        optimizer.param_groups[0]["lr"] = RATE * (done / 0.05 if done < 0.05 else cosine)
        optimizer.zero_grad()
        (reconstruction + discrepancy).backward()
        optimizer.step()
        terms.append((reconstruction.item(), discrepancy.item()))
    return terms


if __name__ == "__main__":
    for step, (reconstruction, discrepancy) in enumerate(train(1000)):
        if step % 100 == 99:
            print(f"step {step + 1:4}: reconstruction {reconstruction:.4f}, discrepancy {discrepancy:+.4f}")
