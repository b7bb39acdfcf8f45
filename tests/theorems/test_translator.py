"""The upper baseline of style transfer: its initialisation copies, and beam search finds the best line."""

from itertools import product

import pytest
import torch
from scipy.stats import chi2

from benchmarks.translator import Translator, minimum_bayes_risk, rewrite, trimmed
from pushforward.text.tokens import BEGIN, END, PAD, lengths, shift_right

PIECES, WORDS = 7, (4, 5, 6)
STYLES = torch.arange(20) % 2
LINES = torch.tensor([[*words, END] for words in product(WORDS, repeat=3)][:20])


@pytest.fixture
def translator():
    torch.manual_seed(0)
    model = Translator(PIECES).eval()
    with torch.no_grad():  # one that has something to say
        model.project.weight.mul_(10)
        model.gate.bias.zero_()
        model.bias[[PAD, BEGIN, 3]] = -20
        for weight in (model.first.weight, *model.decoder_rnn.parameters()):
            weight.mul_(4)
    return model


def nats(model, x, style, lines):
    """Log-probabilities of the tokens of each of the lines (M, T) for one row (1, T), 0 for padding."""
    x, style = x.expand(len(lines), -1), style.expand(len(lines))
    p, _ = model(*model.read(x), shift_right(lines), lengths(lines), style)
    kept = torch.arange(lines.shape[1]) < lengths(lines).unsqueeze(1)
    return p.gather(2, lines.unsqueeze(2)).squeeze(2).log() * kept


def ended():
    """All lines of at most four places that end."""
    whole = [(*words, END, *[PAD] * (3 - n)) for n in range(4) for words in product((2, 3, *WORDS), repeat=n)]
    return torch.tensor(whole)


@torch.no_grad()
def test_a_search_that_follows_all_lines_finds_the_likeliest_a_token(translator):
    found = translator.search(LINES, STYLES, 4, 343)
    for row, (x, style) in enumerate(zip(LINES.split(1), STYLES.split(1), strict=True)):
        scores = nats(translator, x, style, ended()).sum(1) / lengths(ended())
        assert torch.equal(found[row], ended()[scores.argmax()])


@torch.no_grad()
def test_a_width_of_one_takes_the_likeliest_token_at_each_place(translator):
    found = translator.search(LINES, STYLES, 4, 1)
    for row, (x, style) in enumerate(zip(LINES.split(1), STYLES.split(1), strict=True)):
        source, state = translator.read(x)
        before, line = torch.tensor([[BEGIN]]), []
        while END not in line and len(line) < 3:
            p, state = translator(source, state, before, torch.ones(1, dtype=torch.int64), style)
            before = p[:, -1].argmax(-1, keepdim=True)
            line.append(int(before))
        line += [END] * (END not in line)
        assert found[row].tolist() == line + [PAD] * (4 - len(line))


@torch.no_grad()
def test_lines_may_be_longer_than_what_is_read(translator):
    short = LINES[:, 2:]  # one word and an end
    narrow, wide = (translator.search(short, STYLES, max_length, 1) for max_length in (2, 6))
    assert narrow.shape == (20, 2)
    assert wide.shape == (20, 6)
    assert lengths(wide).max() > 2


@torch.no_grad()
def test_lines_are_drawn_as_often_as_the_model_says(translator):
    """χ² of 4000 draws over the lines that are expected at least five times: below its 0.999 quantile."""
    torch.manual_seed(1)
    x, style = LINES[:1], STYLES[:1]
    drawn = translator.sample(x, style, 4, 4000)[0]
    p = nats(translator, x, style, ended())[:, :3].sum(1).exp()  # in the last place a line must end
    seen = (drawn.unsqueeze(1) == ended()).all(2).float().sum(0)
    often = p > 5 / 4000
    assert p.sum().item() == pytest.approx(1, abs=1e-3)
    misses = ((seen - 4000 * p) ** 2 / (4000 * p))[often].sum()
    assert misses.item() < chi2.ppf(0.999, int(often.sum()))


def test_minimum_bayes_risk_has_the_highest_mean_bleu():
    drawn = [["to be or not"] * 3 + ["to be or so"]]
    assert minimum_bayes_risk([["to be or so", "to be or not"]], drawn) == ["to be or not"]
    assert minimum_bayes_risk([["to be or so", "not to be"]], drawn) == ["to be or so"]
    never = ["a b c d x y z w", "a b"]  # neither was drawn
    assert minimum_bayes_risk([never], [["a b c d", "a b c e"]]) == ["a b"]


class Words:
    """Lines that are their tokens."""

    def lines(self, x):
        return [" ".join(map(str, row[: int((row == END).int().argmax())].tolist())) for row in x]


def test_lines_are_returned_in_the_order_of_the_input(translator):
    """Lines are decoded together with others of similar length, and returned in the order of the input."""
    torch.manual_seed(3)
    x = torch.full((70, 4), PAD)
    for row in x:
        words = int(torch.randint(1, 4, ()))
        row[:words] = torch.randint(4, 7, (words,))
        row[words] = END
    style = torch.arange(70) % 2
    rewritten = rewrite(translator, Words(), x, style)["greedy"]
    alone = [
        Words().lines(translator.search(trimmed(line), one, 4, 1))[0]
        for line, one in zip(x.split(1), style.split(1), strict=True)
    ]
    assert rewritten == alone
    assert len(set(rewritten)) > 10


@torch.no_grad()
def test_its_initialisation_copies():
    """Before training the most probable line is the source itself."""
    torch.manual_seed(0)
    x = torch.stack([4 + torch.randperm(46)[:12] for _ in range(20)])
    x[:, -1] = END
    found = Translator(50).eval().search(x, torch.arange(20) % 2, 12, 1)
    assert (found == x).float().mean() > 0.95
