"""A translator that is told all pairs, attends to every word and may copy it: an upper baseline.

    python -m benchmarks.translator --data shakespeare --data-dir DATA --out RUNS [--steps 5000]

What a code of a hundred numbers must squeeze through, it sees whole. It prints the figures of the section
``transfer``, by a judge that learns from its training lines, and keeps its weights and its lines under RUNS;
what is there is not learnt again.

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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from safetensors.torch import load_model, save_model
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_packed_sequence

from pushforward.data import Dataset, open_dataset
from pushforward.evaluation.text import StyleJudge, moved, sentence_bleu
from pushforward.files import replace_text
from pushforward.rng import Noise
from pushforward.text.networks import packed
from pushforward.text.recurrent import GRU
from pushforward.text.tokens import BEGIN, END, PAD, lengths, told_before
from pushforward.text.vocabulary import Vocabulary

WIDTH, EMBEDDING, BATCH, LR, DROPOUT = 256, 128, 64, 2e-3, 0.3
POOL = 20  # batches
PIECES = 4000  # of the plays larger ones than auto-encoders take: a word is copied or changed at once
WIDTHS = {"greedy": 1, "beam of 5": 5}
DRAWN = 40  # lines, to choose the one that agrees with them

# from scores (N, W) and nats (N, W, V) of what may follow to new scores, and of each line (N, W) which one it
# goes on from and with what token
Pick = Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]


class Source(NamedTuple):
    """A line as it is looked at: tokens (N, T), the states (N, T, 2H) there, and keys (N, H, T) to them."""

    x: Tensor
    states: Tensor
    keys: Tensor


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

    def read(self, x: Tensor) -> tuple[Source, Tensor]:
        """What is looked at, and the writer's first state."""
        states, _ = self.reader(packed(self.drop(self.embedding(x)), lengths(x)))
        states = pad_packed_sequence(states, batch_first=True, total_length=x.shape[1])[0]
        kept = (x != PAD).unsqueeze(-1)
        mean = (states * kept).sum(1) / kept.sum(1)
        states = self.drop(states)
        return Source(x, states, self.keys(states).transpose(1, 2)), self.first(mean).tanh().unsqueeze(0)

    def forward(
        self, source: Source, state: Tensor, before: Tensor, sizes: Tensor, style: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Probabilities (N, S, V) of what follows the tokens ``before`` (N, S), and the state after them.

        Of each row the first ``sizes`` (N,) places are written.
        """
        fed = self.drop(self.embedding(before))
        told = self.style(style).unsqueeze(1).expand(-1, before.shape[1], -1)
        states, state = self.writer(packed(torch.cat([fed, told], dim=-1), sizes), state)
        states = self.drop(pad_packed_sequence(states, batch_first=True, total_length=before.shape[1])[0])
        scores = states @ source.keys / math.sqrt(WIDTH)
        scores = scores + self.follow * (before.unsqueeze(2) == told_before(source.x).unsqueeze(1))
        look = scores.masked_fill((source.x == PAD).unsqueeze(1), -torch.inf).softmax(-1)
        both = torch.cat([states, look @ source.states], dim=-1)
        written = F.linear(self.project(both), self.embedding.weight, self.bias).softmax(-1)
        gate = self.gate(torch.cat([both, fed], dim=-1)).sigmoid()
        place = source.x.unsqueeze(1).expand(-1, before.shape[1], -1)
        return (gate * written).scatter_add(2, place, (1 - gate) * look), state

    def loss(self, x: Tensor, given: Tensor, style: Tensor) -> Tensor:
        """Nats of a token of the lines that are wanted, a mean."""
        sizes = lengths(given)
        p, _ = self(*self.read(x), told_before(given), sizes, style)
        kept = torch.arange(given.shape[1]) < sizes.unsqueeze(1)
        return -p.gather(2, given.unsqueeze(2)).squeeze(2)[kept].clamp_min(1e-9).log().mean()

    @torch.no_grad()
    def write(
        self, x: Tensor, style: Tensor, longest: int, score: Tensor, pick: Pick
    ) -> tuple[Tensor, Tensor]:
        """W lines (N, W, longest) of each row (N, T) in the style that is wanted, and their scores (N, W).

        ``score`` is what they begin with; ``pick`` says at each place which lines go on, and how.
        """
        n, width = score.shape
        source, state = self.read(x)
        source = Source(*(part.repeat_interleave(width, 0) for part in source))
        state, style = state.repeat_interleave(width, 1), style.repeat_interleave(width, 0)
        made, one = source.x[:, :0], torch.ones(n * width, dtype=torch.int64)
        before = torch.full((n * width, 1), BEGIN)
        over = torch.zeros(n * width, dtype=torch.bool)
        first = torch.arange(0, n * width, width).unsqueeze(1)
        while made.shape[1] < longest and not over.all():
            p, state = self(source, state, before, one, style)
            nats = p[:, -1].clamp_min(1e-9).log()
            if made.shape[1] == longest - 1:
                nats[:, torch.arange(nats.shape[1]) != END] = -torch.inf
            nats[over] = -torch.inf
            nats[over, PAD] = 0.0
            score, line, token = pick(score, nats.view(n, width, -1))
            row, before = (first + line).flatten(), token.reshape(-1, 1)
            made, state = torch.cat([made[row], before], dim=1), state[:, row]
            over = over[row] | (before[:, 0] == END)
        made = F.pad(made, (0, longest - made.shape[1]), value=PAD)
        return made.view(n, width, longest), score

    def search(self, x: Tensor, style: Tensor, longest: int, width: int) -> Tensor:
        """Lines (N, longest), the likeliest a token of ``width`` followed at once.

        A width of 1 takes the most likely token at each place.
        """

        def pick(score: Tensor, nats: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            best, at = (score.unsqueeze(2) + nats).flatten(1).topk(width)
            return best, at // nats.shape[2], at % nats.shape[2]

        alone = torch.tensor([0.0] + [-torch.inf] * (width - 1))  # lines begin alike: one speaks for all
        made, score = self.write(x, style, longest, alone.expand(len(x), -1), pick)
        likeliest = (score / lengths(made.flatten(0, 1)).view(score.shape)).argmax(1)
        return made[torch.arange(len(x)), likeliest]

    def sample(self, x: Tensor, style: Tensor, longest: int, count: int) -> Tensor:
        """Lines (N, C, longest), ``count`` of each row, as likely as the model says; all end in time."""

        def pick(score: Tensor, nats: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            token = nats.exp().flatten(0, 1).multinomial(1).view(score.shape)
            return score, torch.arange(count).expand_as(token), token

        return self.write(x, style, longest, torch.zeros(len(x), count), pick)[0]


def trimmed(x: Tensor) -> Tensor:
    """Lines without columns of padding alone."""
    return x[:, : int(lengths(x).max())]


def agreed(told: Sequence[Sequence[str]], drawn: Sequence[Sequence[str]]) -> list[str]:
    """Of lines told in several ways, those that BLEU expects most of: its mean over drawn lines.

    References:
        | Minimum Bayes-Risk Decoding for Statistical Machine Translation (Kumar & Byrne, 2004)
        | https://aclanthology.org/N04-1022

    >>> agreed([["a b c d", "a b c e"]], [["a b c e", "a b c e", "a b c d"]])
    ['a b c e']
    """

    def expected(line: str, answers: Sequence[str]) -> float:
        return sum(sentence_bleu(line, [answer]) for answer in answers)

    pairs = zip(told, drawn, strict=True)
    return [max(dict.fromkeys(ways), key=lambda line: expected(line, answers)) for ways, answers in pairs]


def learn(data: Dataset, seed: int, steps: int) -> Translator:
    """A translator between both styles, in both directions."""
    train = data.train
    assert data.vocabulary is not None
    assert train.y is not None
    assert train.paired is not None
    rows = (train.paired[:, 0] >= 0).nonzero().flatten()
    torch.manual_seed(seed)
    model, noise = Translator(len(data.vocabulary)), Noise(seed, "translator")
    optimizer = torch.optim.Adam(model.parameters(), LR)
    per_epoch = len(rows) // BATCH
    for step in range(steps):
        epoch, place = divmod(step, per_epoch)
        if place == 0:
            order = rows[noise(epoch).permutation(len(rows))[: per_epoch * BATCH]]
            pools = order.split(POOL * BATCH)  # of which rows of like length share a batch
            order = torch.cat([pool[lengths(train.x[pool]).argsort()] for pool in pools])
            deal = noise(epoch, "deal").permutation(per_epoch)
        start = int(deal[place]) * BATCH
        index = order[start : start + BATCH]
        optimizer.param_groups[0]["lr"] = LR * (1 + math.cos(math.pi * step / steps)) / 2
        loss = model.loss(trimmed(train.x[index]), trimmed(train.paired[index]), 1 - train.y[index])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        if step % 200 == 0:
            print(f"step {step}: {loss.item():.3f} nats a token", flush=True)
    return model


def tell(model: Translator, words: Vocabulary, x: Tensor, style: Tensor) -> dict[str, list[str]]:
    """What lines (N, T) become in the styles that are wanted, by each way of choosing.

    To copy is one of the ways that are agreed on.
    """
    told: dict[str, list[str]] = {}
    short = lengths(x).argsort()  # lines of like length are done at once
    for rows in short.split(64):
        part = (trimmed(x[rows]), style[rows], x.shape[1])
        drawn = model.sample(*part, DRAWN)
        ways = {name: words.lines(model.search(*part, width)) for name, width in WIDTHS.items()}
        every = zip(words.lines(part[0]), *ways.values(), strict=True)
        ways["most agreed"] = agreed(list(every), [words.lines(lines) for lines in drawn])
        for name, lines in ways.items():
            told.setdefault(name, []).extend(lines)
    back = short.argsort().tolist()
    return {name: [lines[place] for place in back] for name, lines in told.items()}


def main() -> None:
    """Learns, tells the lines that were held out in their other style, and prints figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="shakespeare")
    parser.add_argument("--data-dir")
    parser.add_argument("--out", type=Path, default=Path("runs/translator"))
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    arguments = parser.parse_args()
    data = open_dataset(arguments.data, data_dir=arguments.data_dir)
    if data.vocabulary is None or data.train.paired is None or data.test.y is None:
        raise SystemExit(f"{data.name} has no pairs to learn from")
    words = Vocabulary.of(data.vocabulary.lines(data.train.x), PIECES, lower=True)
    data = open_dataset(arguments.data, data_dir=arguments.data_dir, words=words)
    test = data.test
    assert data.train.y is not None
    assert test.y is not None
    style_classifier = StyleJudge(words.lines(data.train.x), data.train.y)
    for seed in arguments.seeds:
        kept = arguments.out / f"{data.name}-{words.sha256[:8]}-{arguments.steps}-{seed}.safetensors"
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            part = kept.with_suffix(".part")
            save_model(learn(data, seed, arguments.steps), part)
            part.replace(kept)
        model = Translator(len(words)).eval()
        load_model(model, kept)
        torch.manual_seed(seed)
        told = tell(model, words, test.x, 1 - test.y)
        replace_text(kept.with_suffix(".json"), json.dumps(told, indent=1))
        found = moved(data, style_classifier, test.x, test.y, test.paired, told)
        print(json.dumps({"seed": seed, "steps": arguments.steps, **found}, indent=1), flush=True)


if __name__ == "__main__":
    main()
