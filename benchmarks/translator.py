"""A translator that is told all pairs, attends to every word and may copy it: an upper baseline.

    python -m benchmarks.translator --data shakespeare --data-dir DATA [--steps 5000] [--seeds 0 1 2]

What a code of a hundred numbers must squeeze through, it sees whole. It prints the figures of the section
``transfer``, by the same judge.

References:
    | Shakespearizing Modern Language Using Copy-Enriched Sequence-to-Sequence Models (Jhamtani et al., 2017)
    | https://arxiv.org/abs/1707.01161
    | Get To The Point: Summarization with Pointer-Generator Networks (See et al., 2017), equations 8 and 9
    | https://arxiv.org/abs/1704.04368
"""

from __future__ import annotations

import argparse
import json
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_packed_sequence

from pushforward.data import open_dataset
from pushforward.evaluation.text import StyleJudge, moved
from pushforward.networks.recurrent import GRU
from pushforward.networks.sequence import packed
from pushforward.randomness import Noise
from pushforward.tokens import BEGIN, END, PAD, lengths, told_before

WIDTH, EMBEDDING, BATCH, LR, DROPOUT = 256, 128, 64, 2e-3, 0.3
POOL = 20  # batches


class Translator(nn.Module):
    r"""Reads a line both ways, and writes each word from the vocabulary or from where it looks.

    .. math:: p(w) = g\, \mathrm{softmax}(o)_w + (1 - g) \sum_{i : x_i = w} a_i

    It begins as one that copies: of places it prefers those after the word just written, and the gate is
    nearly shut.
    """

    def __init__(self, pieces: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(pieces, EMBEDDING)
        self.style = nn.Embedding(2, EMBEDDING)
        self.reader = GRU(EMBEDDING, WIDTH, bidirectional=True)
        self.keys = nn.Linear(2 * WIDTH, WIDTH)
        self.first = nn.Linear(2 * WIDTH, WIDTH)
        self.writer = GRU(2 * EMBEDDING, WIDTH)
        self.project = nn.Linear(3 * WIDTH, EMBEDDING)
        self.bias = nn.Parameter(torch.zeros(pieces))
        self.follow = nn.Parameter(torch.tensor(4.0))
        self.gate = nn.Linear(3 * WIDTH + EMBEDDING, 1)
        nn.init.constant_(self.gate.bias, -2.0)
        self.drop = nn.Dropout(DROPOUT)

    def read(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What is attended to, (N, T, 2H), and the writer's first state."""
        states, _ = self.reader(packed(self.drop(self.embedding(x)), lengths(x)))
        states = pad_packed_sequence(states, batch_first=True, total_length=x.shape[1])[0]
        kept = (x != PAD).unsqueeze(-1)
        mean = (states * kept).sum(1) / kept.sum(1)
        return self.drop(states), self.first(mean).tanh().unsqueeze(0)

    def forward(
        self, x: Tensor, seen: Tensor, state: Tensor, before: Tensor, sizes: Tensor, style: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Probabilities (N, S, V) of what follows the tokens ``before`` (N, S), and the state after them.

        Of each row the first ``sizes`` (N,) places are written.
        """
        fed = self.drop(self.embedding(before))
        told = self.style(style).unsqueeze(1).expand(-1, before.shape[1], -1)
        states, state = self.writer(packed(torch.cat([fed, told], dim=-1), sizes), state)
        states = self.drop(pad_packed_sequence(states, batch_first=True, total_length=before.shape[1])[0])
        scores = states @ self.keys(seen).transpose(1, 2) / math.sqrt(WIDTH)
        scores = scores + self.follow * (before.unsqueeze(2) == told_before(x).unsqueeze(1))
        look = scores.masked_fill((x == PAD).unsqueeze(1), -torch.inf).softmax(-1)
        both = torch.cat([states, look @ seen], dim=-1)
        written = F.linear(self.project(both), self.embedding.weight, self.bias).softmax(-1)
        gate = self.gate(torch.cat([both, fed], dim=-1)).sigmoid()
        place = x.unsqueeze(1).expand(-1, before.shape[1], -1)
        return (gate * written).scatter_add(2, place, (1 - gate) * look), state

    def loss(self, x: Tensor, given: Tensor, style: Tensor) -> Tensor:
        """Nats of a token of the lines that are wanted, a mean."""
        before = told_before(given)
        seen, state = self.read(x)
        sizes = lengths(given)
        p, _ = self(x, seen, state, before, sizes, style)
        kept = torch.arange(given.shape[1]) < sizes.unsqueeze(1)
        return -p.gather(2, given.unsqueeze(2)).squeeze(2)[kept].clamp_min(1e-9).log().mean()

    @torch.no_grad()
    def search(self, x: Tensor, style: Tensor, width: int) -> Tensor:
        """Lines (N, T) in the style that is wanted, the likeliest a token of ``width`` followed at once.

        A width of 1 takes the most likely token at each place.
        """
        n, places = x.shape
        seen, state = self.read(x)
        x, seen, style = (part.repeat_interleave(width, 0) for part in (x, seen, style))
        state = state.repeat_interleave(width, 1)
        made, one = x[:, :0], torch.ones(n * width, dtype=torch.int64)
        before = torch.full_like(x[:, :1], BEGIN)
        over = torch.zeros(n * width, dtype=torch.bool)
        score = torch.tensor([0.0] + [-torch.inf] * (width - 1)).repeat(n)
        first = torch.arange(0, n * width, width).unsqueeze(1)
        for place in range(places):
            p, state = self(x, seen, state, before, one, style)
            nats = p[:, -1].clamp_min(1e-9).log()
            if place == places - 1:
                nats[:, torch.arange(nats.shape[1]) != END] = -torch.inf
            nats[over] = -torch.inf
            nats[over, PAD] = 0.0
            best, at = (score.unsqueeze(1) + nats).view(n, -1).topk(width)
            row, token = (first + at // nats.shape[1]).flatten(), (at % nats.shape[1]).view(-1, 1)
            score, state, before = best.flatten(), state[:, row], token
            made, over = torch.cat([made[row], token], dim=1), over[row] | (token[:, 0] == END)
        likeliest = (score / lengths(made)).view(n, width).argmax(1)
        return made[first[:, 0] + likeliest]


def trimmed(x: Tensor) -> Tensor:
    """Lines without columns of padding alone."""
    return x[:, : int(lengths(x).max())]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="shakespeare")
    parser.add_argument("--data-dir")
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    arguments = parser.parse_args()
    data = open_dataset(arguments.data, data_dir=arguments.data_dir)
    assert data.words is not None
    train, test = data.train, data.test
    if train.y is None or train.twin is None or test.y is None:
        raise SystemExit(f"{data.name} has no pairs to learn from")
    rows = (train.twin[:, 0] >= 0).nonzero().flatten()
    judge = StyleJudge(data.words.lines(train.x), train.y)
    for seed in arguments.seeds:
        torch.manual_seed(seed)
        model, noise = Translator(len(data.words)), Noise(seed, "translator")
        optimizer = torch.optim.Adam(model.parameters(), LR)
        per_epoch = len(rows) // BATCH
        for step in range(arguments.steps):
            epoch, place = divmod(step, per_epoch)
            if place == 0:
                order = rows[noise(epoch).permutation(len(rows))[: per_epoch * BATCH]]
                pools = order.split(POOL * BATCH)  # of which rows of like length share a batch
                order = torch.cat([pool[lengths(train.x[pool]).argsort()] for pool in pools])
                deal = noise(epoch, "deal").permutation(per_epoch)
            start = int(deal[place]) * BATCH
            index = order[start : start + BATCH]
            optimizer.param_groups[0]["lr"] = LR * (1 + math.cos(math.pi * step / arguments.steps)) / 2
            x, given = trimmed(train.x[index]), trimmed(train.twin[index])
            loss = model.loss(x, given, 1 - train.y[index])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            if step % 200 == 0:
                print(f"step {step}: {loss.item():.3f} nats a token", flush=True)
        model.eval()
        told = {
            name: torch.cat(
                [
                    model.search(*rows, width)
                    for rows in zip(test.x.split(100), (1 - test.y).split(100), strict=True)
                ]
            )
            for name, width in (("greedy", 1), ("beam of 5", 5))
        }
        found = moved(data, judge, test.x, test.y, test.twin, told)
        print(json.dumps({"seed": seed, "steps": arguments.steps, **found}, indent=1), flush=True)


if __name__ == "__main__":
    main()
