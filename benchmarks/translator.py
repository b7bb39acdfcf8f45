"""An upper baseline of style transfer: sequence to sequence with attention and copying, trained on pairs.

    python -m benchmarks.translator --data shakespeare --data-dir DATA --out RUNS [--steps 5000]

Unlike an auto-encoder it is not limited to a code of a hundred dimensions. It prints the metrics of
``transfer``, with a style classifier trained on its training lines, and stores its weights and its lines in
RUNS. Stored models are not trained again.

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
from pushforward.evaluation.bleu import sentence_bleu
from pushforward.evaluation.groups.transfer import StyleClassifier, moved
from pushforward.files import write_atomic
from pushforward.rng import Noise
from pushforward.text.recurrent import GRU, packed
from pushforward.text.tokens import BEGIN, END, PAD, lengths, shift_right
from pushforward.text.vocabulary import Vocabulary

WIDTH, EMBEDDING, BATCH, LR, DROPOUT = 256, 128, 64, 2e-3, 0.3
POOL = 20  # batches that are sorted by length together
PIECES = 4000  # tokens in the vocabulary: larger than those of auto-encoders, so that words are copied whole
WIDTHS = {"greedy": 1, "beam of 5": 5}
SAMPLES = 40  # lines sampled for minimum Bayes risk decoding

# Maps scores (N, W) and log-probabilities (N, W, V) of next tokens to new scores (N, W), and for each line to
# the index of the line that it continues and the token that it appends, (N, W) both.
Pick = Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]


class Source(NamedTuple):
    """An encoded source line: tokens (N, T), states (N, T, 2H), and attention keys (N, H, T)."""

    x: Tensor
    states: Tensor
    keys: Tensor


class Translator(nn.Module):
    r"""A bidirectional GRU encoder and a GRU decoder that writes words of the vocabulary or copies them.

    .. math:: p(w) = g\, \mathrm{softmax}(o)_w + (1 - g) \sum_{i : x_i = w} a_i

    It is initialised to copy: attention prefers the place after the token just written, and the gate g is
    nearly closed.
    """

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, EMBEDDING)
        self.style = nn.Embedding(2, EMBEDDING)
        self.reader = GRU(EMBEDDING, WIDTH, bidirectional=True)
        self.keys = nn.Linear(2 * WIDTH, WIDTH)
        self.first = nn.Linear(2 * WIDTH, WIDTH)
        self.decoder_rnn = GRU(2 * EMBEDDING, WIDTH)
        self.project = nn.Linear(3 * WIDTH, EMBEDDING)
        self.bias = nn.Parameter(torch.zeros(vocab_size))
        self.follow = nn.Parameter(torch.tensor(4.0))
        self.gate = nn.Linear(3 * WIDTH + EMBEDDING, 1)
        nn.init.constant_(self.gate.bias, -2.0)
        self.drop = nn.Dropout(DROPOUT)

    def read(self, x: Tensor) -> tuple[Source, Tensor]:
        """The encoded source, and the first state of the decoder."""
        states, _ = self.reader(packed(self.drop(self.embedding(x)), lengths(x)))
        states = pad_packed_sequence(states, batch_first=True, total_length=x.shape[1])[0]
        kept = (x != PAD).unsqueeze(-1)
        mean = (states * kept).sum(1) / kept.sum(1)
        states = self.drop(states)
        return Source(x, states, self.keys(states).transpose(1, 2)), self.first(mean).tanh().unsqueeze(0)

    def forward(
        self, source: Source, state: Tensor, before: Tensor, sizes: Tensor, style: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Probabilities (N, S, V) of the token after each of ``before`` (N, S), and the state after the last.

        Only the first ``sizes`` (N,) places of each row are computed.
        """
        fed = self.drop(self.embedding(before))
        wanted = self.style(style).unsqueeze(1).expand(-1, before.shape[1], -1)
        states, state = self.decoder_rnn(packed(torch.cat([fed, wanted], dim=-1), sizes), state)
        states = self.drop(pad_packed_sequence(states, batch_first=True, total_length=before.shape[1])[0])
        scores = states @ source.keys / math.sqrt(WIDTH)
        scores = scores + self.follow * (before.unsqueeze(2) == shift_right(source.x).unsqueeze(1))
        look = scores.masked_fill((source.x == PAD).unsqueeze(1), -torch.inf).softmax(-1)
        both = torch.cat([states, look @ source.states], dim=-1)
        written = F.linear(self.project(both), self.embedding.weight, self.bias).softmax(-1)
        gate = self.gate(torch.cat([both, fed], dim=-1)).sigmoid()
        place = source.x.unsqueeze(1).expand(-1, before.shape[1], -1)
        return (gate * written).scatter_add(2, place, (1 - gate) * look), state

    def loss(self, x: Tensor, given: Tensor, style: Tensor) -> Tensor:
        """Mean negative log-likelihood per token of the target lines ``given``, in nats."""
        sizes = lengths(given)
        p, _ = self(*self.read(x), shift_right(given), sizes, style)
        kept = torch.arange(given.shape[1]) < sizes.unsqueeze(1)
        return -p.gather(2, given.unsqueeze(2)).squeeze(2)[kept].clamp_min(1e-9).log().mean()

    @torch.no_grad()
    def write(
        self, x: Tensor, style: Tensor, max_length: int, score: Tensor, pick: Pick
    ) -> tuple[Tensor, Tensor]:
        """W lines (N, W, max_length) for each row (N, T) in the wanted style, and their scores (N, W).

        Scores start at ``score``; ``pick`` chooses at each place which lines to continue, and how.
        """
        n, width = score.shape
        source, state = self.read(x)
        source = Source(*(part.repeat_interleave(width, 0) for part in source))
        state, style = state.repeat_interleave(width, 1), style.repeat_interleave(width, 0)
        made, one = source.x[:, :0], torch.ones(n * width, dtype=torch.int64)
        before = torch.full((n * width, 1), BEGIN)
        over = torch.zeros(n * width, dtype=torch.bool)
        first = torch.arange(0, n * width, width).unsqueeze(1)
        while made.shape[1] < max_length and not over.all():
            p, state = self(source, state, before, one, style)
            nats = p[:, -1].clamp_min(1e-9).log()
            if made.shape[1] == max_length - 1:
                nats[:, torch.arange(nats.shape[1]) != END] = -torch.inf
            nats[over] = -torch.inf
            nats[over, PAD] = 0.0
            score, line, token = pick(score, nats.view(n, width, -1))
            row, before = (first + line).flatten(), token.reshape(-1, 1)
            made, state = torch.cat([made[row], before], dim=1), state[:, row]
            over = over[row] | (before[:, 0] == END)
        made = F.pad(made, (0, max_length - made.shape[1]), value=PAD)
        return made.view(n, width, max_length), score

    def search(self, x: Tensor, style: Tensor, max_length: int, width: int) -> Tensor:
        """Lines (N, max_length) by beam search: of ``width`` lines the one most probable per token.

        A width of 1 is greedy decoding.
        """

        def pick(score: Tensor, nats: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            best, at = (score.unsqueeze(2) + nats).flatten(1).topk(width)
            return best, at // nats.shape[2], at % nats.shape[2]

        alone = torch.tensor([0.0] + [-torch.inf] * (width - 1))  # all lines start equal: keep one of them
        made, score = self.write(x, style, max_length, alone.expand(len(x), -1), pick)
        likeliest = (score / lengths(made.flatten(0, 1)).view(score.shape)).argmax(1)
        return made[torch.arange(len(x)), likeliest]

    def sample(self, x: Tensor, style: Tensor, max_length: int, count: int) -> Tensor:
        """Lines (N, C, max_length): ``count`` samples for each row, all terminated within ``max_length``."""

        def pick(score: Tensor, nats: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            token = nats.exp().flatten(0, 1).multinomial(1).view(score.shape)
            return score, torch.arange(count).expand_as(token), token

        return self.write(x, style, max_length, torch.zeros(len(x), count), pick)[0]


def trimmed(x: Tensor) -> Tensor:
    """Lines without the columns that hold only padding."""
    return x[:, : int(lengths(x).max())]


def minimum_bayes_risk(candidates: Sequence[Sequence[str]], samples: Sequence[Sequence[str]]) -> list[str]:
    """For each row, the candidate with the highest mean BLEU against sampled lines.

    References:
        | Minimum Bayes-Risk Decoding for Statistical Machine Translation (Kumar & Byrne, 2004)
        | https://aclanthology.org/N04-1022

    >>> minimum_bayes_risk([["a b c d", "a b c e"]], [["a b c e", "a b c e", "a b c d"]])
    ['a b c e']
    """

    def expected(line: str, answers: Sequence[str]) -> float:
        return sum(sentence_bleu(line, [answer]) for answer in answers)

    rows = zip(candidates, samples, strict=True)
    return [max(dict.fromkeys(lines), key=lambda line: expected(line, answers)) for lines, answers in rows]


def fit(data: Dataset, seed: int, steps: int) -> Translator:
    """Train a translator between both styles, in both directions."""
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
            pools = order.split(POOL * BATCH)  # rows of similar length share a batch
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
            print(f"step {step}: {loss.item():.3f} nats per token", flush=True)
    return model


def rewrite(model: Translator, words: Vocabulary, x: Tensor, style: Tensor) -> dict[str, list[str]]:
    """Lines (N, T) rewritten in the wanted styles (N,), by each decoding method.

    The copied line is one of the candidates of minimum Bayes risk decoding.
    """
    rewritten: dict[str, list[str]] = {}
    short = lengths(x).argsort()  # lines of similar length are decoded together
    for rows in short.split(64):
        part = (trimmed(x[rows]), style[rows], x.shape[1])
        samples = model.sample(*part, SAMPLES)
        ways = {name: words.lines(model.search(*part, width)) for name, width in WIDTHS.items()}
        every = zip(words.lines(part[0]), *ways.values(), strict=True)
        ways["minimum Bayes risk"] = minimum_bayes_risk(
            list(every), [words.lines(lines) for lines in samples]
        )
        for name, lines in ways.items():
            rewritten.setdefault(name, []).extend(lines)
    back = short.argsort().tolist()
    return {name: [lines[place] for place in back] for name, lines in rewritten.items()}


def main() -> None:
    """Train, rewrite held-out lines in the other style, and print metrics."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="shakespeare")
    parser.add_argument("--data-dir")
    parser.add_argument("--out", type=Path, default=Path("runs/translator"))
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    arguments = parser.parse_args()
    data = open_dataset(arguments.data, data_dir=arguments.data_dir)
    if data.vocabulary is None or data.train.paired is None or data.test.y is None:
        raise SystemExit(f"{data.name} has no pairs to train on")
    words = Vocabulary.of(data.vocabulary.lines(data.train.tensor()), PIECES, lower=True)
    data = open_dataset(arguments.data, data_dir=arguments.data_dir, codec=words)
    test = data.test
    assert data.train.y is not None
    assert test.y is not None
    style_classifier = StyleClassifier(words.lines(data.train.tensor()), data.train.y)
    for seed in arguments.seeds:
        kept = arguments.out / f"{data.name}-{words.sha256[:8]}-{arguments.steps}-{seed}.safetensors"
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            part = kept.with_suffix(".part")
            save_model(fit(data, seed, arguments.steps), part)
            part.replace(kept)
        model = Translator(len(words)).eval()
        load_model(model, kept)
        torch.manual_seed(seed)
        rewritten = rewrite(model, words, test.tensor(), 1 - test.y)
        write_atomic(kept.with_suffix(".json"), json.dumps(rewritten, indent=1))
        found = moved(data, style_classifier, test.tensor(), test.y, test.paired, rewritten)
        print(json.dumps({"seed": seed, "steps": arguments.steps, **found}, indent=1), flush=True)


if __name__ == "__main__":
    main()
