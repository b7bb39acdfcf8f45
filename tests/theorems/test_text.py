"""Lines, their likelihood, and the metrics of generated lines."""

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pushforward.costs import Tokens
from pushforward.errors import ConfigError, DataError
from pushforward.evaluation.bleu import bleu, distinct, self_bleu, sentence_bleu
from pushforward.evaluation.groups.transfer import StyleClassifier
from pushforward.metrics.ngram_lm import KneserNey
from pushforward.networks.conditional import Conditional
from pushforward.rng import Noise
from pushforward.text.distribution import Guided
from pushforward.text.networks import (
    DecoderPerClass,
    GRUDecoder,
    GRUEncoder,
    TransformerDecoder,
    TransformerEncoder,
)
from pushforward.text.tokens import BEGIN, END, PAD, UNKNOWN, drop_tokens, lengths, replace_tokens

VOCAB_SIZE = 20


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def lines(rows=12, max_length=9):
    """Lines of all lengths from 1 to ``max_length`` tokens, the last of them END."""
    x = torch.randint(BEGIN + 1, VOCAB_SIZE, (rows, max_length))
    sizes = torch.arange(rows) % max_length + 1
    x[torch.arange(rows), sizes - 1] = END
    return x.masked_fill(torch.arange(max_length) >= sizes.unsqueeze(1), PAD)


DECODERS = {
    "gru": lambda: GRUDecoder(4, VOCAB_SIZE, max_length=9, width=16, embedding_dim=8),
    "transformer": lambda: TransformerDecoder(4, VOCAB_SIZE, max_length=9, width=16),
    "per class": lambda: DecoderPerClass(
        [GRUDecoder(2, VOCAB_SIZE, max_length=9, width=16, embedding_dim=8) for _ in "ab"]
    ),
}
ENCODERS = {
    "gru": lambda: GRUEncoder(VOCAB_SIZE, 4, width=16, embedding_dim=8),
    "transformer": lambda: TransformerEncoder(VOCAB_SIZE, 4, max_length=16, width=16),
}


@pytest.fixture(params=DECODERS)
def decoder(request):
    return DECODERS[request.param]().double().eval()


@pytest.fixture(params=ENCODERS)
def encoder(request):
    return ENCODERS[request.param]().double().eval()


def codes(rows):
    return torch.randn(rows, 4, dtype=torch.float64)


def test_the_likelihood_is_the_product_of_steps(decoder):
    """log p(x | z) = Σ log p(x_t | x_<t, z), one step after the other."""
    x, z = lines(), codes(12)
    for row, code, wanted in zip(x, z, decoder(z).log_prob(x), strict=True):
        state, before, total = decoder.begin(code.unsqueeze(0)), BEGIN, 0.0
        for token in row[: int(lengths(row.unsqueeze(0)))].tolist():
            said, state = decoder.step(code.unsqueeze(0), torch.tensor([before]), state)
            scores = decoder.logits(said)
            total += scores.log_softmax(-1)[0, token].item()
            before = token
        assert wanted.item() == pytest.approx(total, rel=1e-12)


def test_lines_of_two_tokens_have_total_probability_one(decoder):
    """Of all lines of at most 2 tokens, and all beginnings of 2 that go on, the probabilities add up to 1."""
    ended = [[END, PAD]] + [[a, END] for a in range(VOCAB_SIZE) if a != END]
    going = [[a, b] for a, b in itertools.product(range(VOCAB_SIZE), repeat=2) if END not in (a, b)]
    x = torch.tensor(ended + going)
    z = codes(1).expand(len(x), -1)
    # PAD as a token that is said would be taken for padding by ``lengths`` only after an END.
    assert decoder(z).log_prob(x).exp().sum().item() == pytest.approx(1, rel=1e-10)


def test_padding_costs_nothing(encoder, decoder):
    x, z = lines(), codes(12)
    wider = F.pad(x, (0, 7), value=PAD)
    assert torch.allclose(decoder(z).log_prob(x), decoder(z).log_prob(wider), rtol=1e-12)
    assert torch.allclose(encoder(x), encoder(wider), rtol=1e-12)


def test_padding_gets_no_gradient(encoder, decoder):
    """The vector that stands for padding is never touched."""
    x = lines()
    (-decoder(encoder(x)).log_prob(x).mean()).backward()
    assert encoder.embedding.weight.grad[PAD].abs().max() == 0
    used = decoder.embedding.weight.grad.abs().sum(1)
    assert used[x.unique()].min() > 0


def test_rows_do_not_see_each_other(encoder, decoder):
    """The loss does not depend on the order of a batch, nor a row on the other rows."""
    x, order = lines(), torch.randperm(12)
    z = encoder(x)
    assert torch.allclose(encoder(x[order]), z[order], rtol=1e-10)
    assert torch.allclose(decoder(z[order]).log_prob(x[order]), decoder(z).log_prob(x)[order], rtol=1e-10)
    alone = torch.cat([decoder(z[i : i + 1]).log_prob(x[i : i + 1]) for i in range(12)])
    assert torch.allclose(alone, decoder(z).log_prob(x), rtol=1e-10)


def test_where_lengths_are_not_read_numbers_and_gradients_are_the_same(encoder, decoder, monkeypatch):
    """On a GPU rows are not packed, places of padding are computed, and each decoder has all rows."""
    x = lines().roll(3, 0)  # the longest line is not the last
    found = []
    for kinds in (("cpu",), ()):
        monkeypatch.setattr("pushforward.torch_state.AT_HAND", kinds)
        encoder.zero_grad(), decoder.zero_grad()
        z = encoder(x)
        likelihood = decoder(z).log_prob(x)
        (likelihood * torch.arange(12)).sum().backward()
        slopes = [parameter.grad for net in (encoder, decoder) for parameter in net.parameters()]
        found.append([z, likelihood, *slopes])
    for here, there in zip(*found, strict=True):
        torch.testing.assert_close(here, there, rtol=1e-12, atol=1e-12)


def test_greedy_equals_batched_greedy_and_is_the_best_step(decoder):
    z = codes(30)
    together = decoder(z).greedy()
    assert torch.equal(together, torch.cat([decoder(code.unsqueeze(0)).greedy() for code in z]))
    for row, code in zip(together, z, strict=True):
        state, before = decoder.begin(code.unsqueeze(0)), BEGIN
        for place, token in enumerate(row[: int(lengths(row.unsqueeze(0)))].tolist()):
            said, state = decoder.step(code.unsqueeze(0), torch.tensor([before]), state)
            scores = decoder.logits(said)
            scores[:, [PAD, UNKNOWN, BEGIN]] = -torch.inf
            assert token == (END if place == decoder.max_length - 1 else scores.argmax().item())
            before = token


@pytest.mark.parametrize("guidance_scale", [0.0, 0.5, 1.0])
def test_a_guided_distribution_is_the_normalised_product_of_powers(decoder, guidance_scale):
    """p_s(x_t) ∝ p(x_t)^s p̃(x_t)^(1-s) at every step; with s = 1 and 0 the two distributions themselves."""
    x, z, other = lines(), codes(12), codes(12)
    distribution, away = decoder(z), decoder(other)
    guided = Guided(distribution, away, guidance_scale)
    kept = torch.arange(x.shape[1]) < lengths(x).unsqueeze(1)
    before = F.pad(x[:, :-1], (1, 0), value=BEGIN)
    places = kept.flatten().nonzero().flatten()
    own, theirs = (one.logits(before, lengths(x), places).softmax(-1) for one in (distribution, away))
    product = own**guidance_scale * theirs ** (1 - guidance_scale)
    by_hand = (product / product.sum(-1, keepdim=True)).log()[torch.arange(len(own)), x[kept]]
    torch.testing.assert_close(guided.log_probs(x)[0], by_hand, rtol=1e-9, atol=1e-9)
    if guidance_scale in (0.0, 1.0):
        torch.testing.assert_close(guided.log_prob(x), (distribution if guidance_scale else away).log_prob(x))
        assert guided.greedy().equal((distribution if guidance_scale else away).greedy())


def test_with_a_scale_above_1_only_plausible_tokens_are_said():
    """The largest of log p + (s - 1) log p/p̃ among tokens with at least a hundredth of the largest p."""
    decoder = DECODERS["gru"]().double()
    with torch.no_grad():
        decoder.bias.copy_(3 * torch.randn(VOCAB_SIZE))
    guided = Guided(decoder(codes(12)), decoder(codes(12)), 4.0)
    own, theirs = torch.randn(2, 500, VOCAB_SIZE, dtype=torch.float64) * 2
    found = guided.mixed(own, theirs)
    p, other = own.softmax(-1), theirs.softmax(-1)
    plausible = p >= 0.01 * p[:, END].unsqueeze(1).maximum(p[:, BEGIN + 1 :].amax(-1, keepdim=True))
    assert found.isfinite().equal(plausible)
    leant = p * (p / other) ** 3
    assert found.argmax(-1).equal(torch.where(plausible, leant, 0 * leant).argmax(-1))
    assert not found.argmax(-1).equal(leant.argmax(-1))  # or the rule would not matter
    assert ((guided.greedy() == END).sum(1) == 1).all()


def test_a_guided_distribution_without_plausible_tokens():
    """Where the unknown token is nearly certain, lines are still made of what can be said, and end."""
    decoder = DECODERS["gru"]().double()
    with torch.no_grad():
        decoder.bias[UNKNOWN] = 20.0
    x = Guided(decoder(codes(12)), decoder(codes(12)), 2.0).greedy()
    inside = torch.arange(x.shape[1]) < lengths(x).unsqueeze(1)
    assert not torch.isin(x[inside], torch.tensor([PAD, UNKNOWN, BEGIN])).any()


def test_each_label_has_its_decoder_and_all_have_the_same_vocabulary():
    both = DECODERS["per class"]().double().eval()
    z, x = torch.randn(12, 2, dtype=torch.float64), lines()
    y = torch.arange(12) % 3 - 1  # -1 is unknown
    conditional = Conditional(both, 2)(z, y)
    for label, decoder in enumerate(both.decoders):
        rows = y.clamp(min=0) == label
        assert torch.allclose(conditional.log_prob(x)[rows], decoder(z[rows]).log_prob(x[rows]), rtol=1e-10)
        assert conditional.greedy()[rows].equal(decoder(z[rows]).greedy())
    assert both.decoders[0].embedding is both.decoders[1].embedding is both.embedding


def test_what_is_read_out_ends_once_and_is_padded(decoder):
    x = decoder(codes(50)).greedy()
    sizes = lengths(x)
    assert ((x == END).sum(1) == 1).all()
    after = torch.arange(x.shape[1]) >= sizes.unsqueeze(1)
    assert (x[after] == PAD).all()
    assert (x[~after] != PAD).all()


def test_the_cost_is_the_negative_log_likelihood_summed_over_tokens(decoder):
    x, z = lines(), codes(12)
    made = decoder(z)
    terms, rows = made.log_probs(x)
    assert len(terms) == int(lengths(x).sum())
    assert torch.allclose(Tokens()(made, x), -terms.sum() / 12, rtol=1e-12)
    assert torch.equal(rows.bincount(minlength=12), lengths(x))


def test_words_are_dropped_in_training_alone_and_never_ends(encoder, decoder):
    x, z = lines(500), codes(500)
    gone = drop_tokens(x, 0.3)
    words = x > BEGIN
    assert torch.equal(gone[~words], x[~words])
    share = (gone[words] == UNKNOWN).double().mean().item()
    assert abs(share - 0.3) < 4 * math.sqrt(0.21 / int(words.sum()))
    decoder.word_dropout = encoder.word_dropout = 0.9
    assert torch.equal(decoder(z).log_prob(x), decoder(z).log_prob(x))
    assert torch.equal(encoder(x), encoder(x))
    assert not torch.equal(decoder.train()(z).log_prob(x), decoder(z).log_prob(x))
    assert not torch.equal(encoder.train()(x), encoder(x))


def test_swapped_words_come_from_the_batch_in_every_second_line():
    x = lines(2000)
    made = replace_tokens(x, Noise(0), 0.5)
    words = x > BEGIN
    assert made[~words].equal(x[~words])
    assert set(made.unique().tolist()) <= set(x.unique().tolist())
    touched = (made != x)[:, :5].any(1)[lengths(x) > 6]
    assert touched.float().mean().item() == pytest.approx(0.5 * (1 - (1 - 0.5 * 0.95) ** 5), abs=0.04)
    assert replace_tokens(x, Noise(0), 0.0).equal(x)
    empty = torch.tensor([[END, PAD]])
    assert replace_tokens(empty, Noise(0), 0.5).equal(empty)


def test_dropped_words_are_still_asked_for(decoder):
    """Word dropout hides what was said, not what is to be said: all-unknown inputs give the same targets."""
    decoder.word_dropout = 1.0 - 1e-9
    x, z = lines(), codes(12)
    hidden = x.masked_fill(x > BEGIN, UNKNOWN)
    net = decoder
    before = F.pad(hidden[:, :-1], (1, 0), value=BEGIN)
    states = net.eval().states(z, before, torch.full((12,), 9))
    every = net.logits(states).log_softmax(-1).gather(2, x.unsqueeze(2)).squeeze(2)
    wanted = (every * (torch.arange(9) < lengths(x).unsqueeze(1))).sum(1)
    for part in net.modules():
        part.training = part is net  # dropout of other kinds would blur what is compared
    assert torch.allclose(net(z).log_prob(x), wanted, rtol=1e-10)


# ------------------------------------------------------------------------------ the language model


def brute(x, vocab_size, order):
    """Interpolated Kneser-Ney by dictionaries and recursion, as it is written in the books."""
    rows = [
        [BEGIN] * (order - 1) + row[: int(size)]
        for row, size in zip(x.tolist(), lengths(x).tolist(), strict=True)
    ]
    grams = {}
    for row in rows:
        for place in range(order - 1, len(row)):
            gram = tuple(row[place - order + 1 : place + 1])
            grams[gram] = grams.get(gram, 0) + 1
    levels = {order: grams}
    for size in range(order - 1, 0, -1):
        levels[size] = {}
        for gram in levels[size + 1]:
            levels[size][gram[1:]] = levels[size].get(gram[1:], 0) + 1

    def p(word, context):
        size = len(context) + 1
        below = p(word, context[1:]) if context else 1 / vocab_size
        counts = levels[size]
        after = {gram[-1]: count for gram, count in counts.items() if gram[:-1] == context}
        total = sum(after.values())
        if not total:
            return below
        once = sum(count == 1 for count in counts.values())
        twice = sum(count == 2 for count in counts.values())
        discount = once / (once + 2 * twice) if once else 0.5
        kept = max(after.get(word, 0) - discount, 0)
        return (kept + discount * len(after) * below) / total

    return p


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_kneser_ney_is_what_the_books_say(order):
    x = lines(60)
    model, p = KneserNey(x, VOCAB_SIZE, order), brute(x, VOCAB_SIZE, order)
    held = lines(8)
    wanted = []
    for row, size in zip(held.tolist(), lengths(held).tolist(), strict=True):
        history = [BEGIN] * (order - 1) + row[:size]
        wanted += [
            math.log(p(history[i], tuple(history[i - order + 1 : i]))) for i in range(order - 1, len(history))
        ]
    assert np.allclose(model.log_probs(held), wanted, rtol=1e-12)
    assert model.perplexity(held) == pytest.approx(math.exp(-np.mean(wanted)))


def test_kneser_ney_adds_up_to_one():
    """After any beginning of a line, seen or not, the probabilities of all tokens add up to 1."""
    x = lines(60)
    model = KneserNey(x, VOCAB_SIZE)
    for beginning in ([], x[8, :3].tolist(), [7, 7, 7, 7], [11, 4]):
        rows = torch.tensor([[*beginning, token] for token in range(VOCAB_SIZE)])
        last = np.cumsum(lengths(rows).numpy()) - 1
        # A line that is cut short has no end; its last token is what is asked for.
        assert np.exp(model.log_probs(rows)[last]).sum() == pytest.approx(1, rel=1e-12)


def test_a_uniform_text_has_the_perplexity_of_its_alphabet():
    """Two-token lines, the first uniform over 16: perplexity 16^(1/2) = 4 a token, as the end is certain."""
    first = torch.arange(4, 20).repeat(400)
    x = torch.stack([first, torch.full_like(first, END)], dim=1)
    assert KneserNey(x, VOCAB_SIZE).perplexity(x) == pytest.approx(4, rel=0.01)


def test_the_order_shrinks_where_keys_would_overflow():
    assert KneserNey(lines(), 2**20).order == 3
    with pytest.raises(DataError, match="at least one line"):
        KneserNey(torch.zeros(0, 3), VOCAB_SIZE)
    with pytest.raises(ConfigError, match="order must be at least 1, got 0"):
        KneserNey(lines(), VOCAB_SIZE, 0)


# ---------------------------------------------------------------------------------------- the scores


def test_bleu_by_hand():
    """Five of six words, three of five pairs, one of four triples... computed by hand, brevity 1.

    "the cat sat on the mat" against "the cat lay on the mat": 5/6, 3/5, 1/4, and no quadruple of 3: the
    standard smoothing counts half of one, 1/(2·3).
    """
    wanted = 100 * (5 / 6 * 3 / 5 * 1 / 4 * 1 / 6) ** 0.25
    assert bleu(["the cat sat on the mat"], ["the cat lay on the mat"]) == pytest.approx(wanted)
    assert bleu(["The Cat sat on the mat"], ["the cat lay on the mat"]) == pytest.approx(wanted)
    short = 100 * math.exp(1 - 6 / 5)
    assert bleu(["the cat sat on the"], ["the cat sat on the mat"]) == pytest.approx(short)


def test_lines_that_are_all_alike_have_self_bleu_100():
    assert self_bleu(["a b c d e"] * 5, Noise(0)) == pytest.approx(100)
    apart = [" ".join(f"{row}-{word}" for word in range(6)) for row in range(5)]
    assert self_bleu(apart, Noise(0)) < 1e-6


def test_self_bleu_is_the_mean_bleu_of_lines_against_all_others():
    """Also where a line repeats words, is short or empty, and where several lines share an n-gram."""
    words = ["the", "cat", "The", "dog", "sat", "on", "a", "a"]
    draw = torch.Generator().manual_seed(1)
    lines = [
        " ".join(words[i] for i in torch.randint(len(words), (size,), generator=draw))
        for size in (7, 7, 0, 1, 3, 12, 5, 7, 9, 2)
    ]
    others = [lines[:place] + lines[place + 1 :] for place in range(len(lines))]
    wanted = sum(map(sentence_bleu, lines, others)) / len(lines)
    assert 10 < wanted < 90
    assert self_bleu(lines, Noise(0)) == pytest.approx(wanted, rel=1e-12)


def test_one_line_has_no_self_bleu():
    with pytest.raises(ConfigError, match="self-BLEU needs at least 2 lines, got 1"):
        self_bleu(["a b"], Noise(0))


def test_distinct_counts_n_grams_once():
    assert distinct(["a b a b"], 1) == 0.5
    assert distinct(["a b a b"], 2) == pytest.approx(2 / 3)
    assert distinct([], 1) == 0


def test_the_style_classifier_learns_words():
    plain, old = ["you are here"] * 20 + ["you go"] * 20, ["thou art here"] * 20 + ["thou goest"] * 20
    evaluate = StyleClassifier(plain + old, torch.arange(80) // 40)
    assert evaluate.accuracy(["you run", "thou runnest"], torch.tensor([0, 1])) == 1
