"""One word for one thing: names that were replaced do not come back, in code, options, keys or prose."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
HERE = Path(__file__).name

# What was said, and what is said now. Words are found inside identifiers too: ``PushedPrior``, ``at_rest``.
REPLACED = {
    "law laws": "distribution",
    "game games": "adversarial discrepancy, critic",
    "told": "conditional, given",
    "retell stroll strolls": "decode_as, traverse",
    "climb climbs climbed climbing climber": "maximise, ascend, optimizer",
    "judge judges judged judging judgement": "evaluate",
    "verdict verdicts": "results",
    "price prices priced": "penalty, cost",
    "album albums sheet sheets": "plots, overview",
    "seat seats deck decks": "PlayerState, BatchSampler",
    "asleep awake sleeps resting": "frozen, requires_grad, eval_mode",
    "rehearse rehearses rehearsal": "augment, steps_in",
    "recogniser recognisers": "CodePosterior",
    "admit admits": "validate",
    "walkable": "continuous_dims",
    "lever levers": "strength_option",
    "signs": "diagnostics",
}
PHRASES = {
    "at rest": "in evaluation mode",
    "by heart": "overfitting, memorised",
    "s turn": "update",
    "own turn": "update",
    "in turns": "alternating",
    "pushed prior": "GeneratorPrior",
    "following ae": "LearntPriorAE",
    "learnt mmd": "DeepKernelMMD",
    "rising weight": "WarmUp",
    "prior density": "add_log_prior",
    "claims bound": "estimates_elbo",
    "is bound": "is_elbo",
    "critic label": "conditional_critic",
    "noise weight": "variance_weight",
    "word swap": "token_replacement",
    "word noise": "encoder_word_dropout",
    "code noise": "latent_noise",
    "class score": "Inception-style score",
    "label leaks": "label predictability of z",
    "majority error": "1 - purity",
    "class asked": "conditional accuracy",
    "label swapped": "label-swap accuracy",
    "unique lines": "unique ratio",
    "nats a token": "NLL per token",
}
WORDS = {word: new for words, new in REPLACED.items() for word in words.split()}

# Names of streams of random numbers: the numbers are a function of them.
STREAMS = ('"rehearse"', '"album"', '"sheet"')
EXTEND = ("adversarial-discrepancy", "cost", "discrepancy", "model", "recipe")
# The same words in another sense.
OTHER_SENSES = [
    ("CONTRIBUTING.md", "tests/laws"),  # algebraic laws, which all members of a family obey
    ("docs/reliability.md", "tests/laws"),
    *((f"docs/extend/{page}.md", "tests/laws") for page in EXTEND),
    ("docs/design-notes.md", "thin sheets"),  # surfaces
    ("docs/results/tables.md", "price"),  # a column
]
# Pages that say what things were called, and pages of results, whose commits knew the old names.
SAY_WHAT_WAS = ("docs/glossary.md", "docs/results/README.md", "docs/results/names.md")
SEPARATORS = str.maketrans("_'-", "   ")


def pages():
    """All files whose words are checked."""
    for folder in ("pushforward", "examples", "benchmarks", "tests"):
        yield from (ROOT / folder).rglob("*.py")
    yield from (ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"))
    docs = (path for kind in ("*.md", "*.py", "*.txt") for path in (ROOT / "docs").rglob(kind))
    yield from (
        path
        for path in docs
        if path.relative_to(ROOT).as_posix() not in SAY_WHAT_WAS and "_build" not in path.parts
    )


def plain(text):
    """Text in small letters, its identifiers as separate words."""
    for stream in STREAMS:
        text = text.replace(stream, '""')
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    return text.translate(SEPARATORS).lower()


def faults(text):
    """The replaced words of a text."""
    text = plain(text)
    found = WORDS.keys() & set(re.findall(r"[a-z]+", text))
    return sorted(found | {old for old in PHRASES if old in text and re.search(rf"\b{old}\b", text)})


def test_no_word_that_was_replaced_comes_back():
    found = []
    for path in pages():
        name = path.relative_to(ROOT).as_posix()
        text = path.read_text()
        for place, sense in OTHER_SENSES:
            text = text.replace(sense, "") if place == name else text
        if path.name == HERE or not faults(text):
            continue
        for number, line in enumerate(text.splitlines(), 1):
            found += [
                f"{name}:{number}: {word!r} is now {(WORDS | PHRASES)[word]!r}: {line.strip()}"
                for word in faults(line)
            ]
    assert not found, "\n".join(found)


def test_words_are_found_inside_names():
    """What is checked are words, whether they stand in prose, in an identifier or in a name of an option."""
    assert faults("class PushedPrior: told = at_rest") == ["at rest", "pushed prior", "told"]
    assert faults("the critic's turn, --word-swap") == ["s turn", "word swap"]
    assert faults('lawful deckchairs, a prior, its density; Noise(0)("album")') == []
