"""Text in: what is read, what is refused and by what words, and what tokens say."""

import gzip

import pytest
import torch

from pushforward.data import open_dataset
from pushforward.data.lines import MAX_CHARACTERS, TextFile, read_table, text_dataset
from pushforward.errors import ConfigError, DataError
from pushforward.rng import Noise
from pushforward.text.tokens import END, PAD, SPECIAL, UNKNOWN, lengths
from pushforward.text.vocabulary import Vocabulary

SAID = [
    f"the {colour} {thing} is number {i} ."
    for i in range(10)
    for colour, thing in [("red", "cat"), ("old", "hat")]
]


@pytest.fixture
def file(tmp_path):
    """Writes bytes or lines into a text file."""

    def write(content, name="lines.txt"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else "\n".join(content).encode())
        return path

    return write


def test_a_file_of_lines_becomes_rows_of_tokens(file):
    data = open_dataset(file(SAID))
    assert data.modality == "text"
    assert (len(data.train), len(data.test)) == (18, 2)
    assert data.shape == (32,)
    assert data.range == f"tokens of {len(data.vocabulary)}"
    said = data.vocabulary.lines(torch.cat([data.train.x, data.test.x]))
    assert sorted(said) == sorted(SAID)
    x = data.train.x
    assert ((x == END).sum(1) == 1).all()
    assert (x[torch.arange(32) >= lengths(x).unsqueeze(1)] == PAD).all()


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_last_line_counts_with_or_without_its_end(file, ending):
    lines = ending.join(["", ""]) or "\n"
    raw = lines.join(SAID) + ending
    assert open_dataset(file(raw.encode())).fingerprint == open_dataset(file(SAID, "other.txt")).fingerprint


def test_a_byte_order_mark_is_no_word(file):
    raw = b"\xef\xbb\xbf" + "\n".join(SAID).encode()
    assert open_dataset(file(raw)).fingerprint == open_dataset(file(SAID, "other.txt")).fingerprint


def test_empty_and_long_lines_are_left_out_and_counted(file):
    data = open_dataset(file([*SAID, "", "   ", "so very long " * 40] * 2))
    notes = " ".join(data.notes)
    assert "empty" in notes
    assert "of more than 31 tokens" in notes
    assert len(data.train) + len(data.test) == 2 * len(SAID)


def test_the_maximum_length_of_a_line(file):
    path = file(SAID)
    assert open_dataset(path, max_length=40).shape == (40,)
    with pytest.raises(ConfigError, match="max_length must be at least 4, got 2"):
        open_dataset(path, max_length=2)
    with pytest.raises(ConfigError, match=r"image_size is for images, .* is text; use max_length"):
        open_dataset(path, image_size=16)
    with pytest.raises(ConfigError, match="image_size is for images, phrases is text"):
        open_dataset("phrases", image_size=(3, 4))


def test_a_maximum_length_is_for_text():
    for source in ("digits", torch.rand(9, 1, 4, 4)):
        with pytest.raises(ConfigError, match=r"max_length is for text, .* is image data; use image_size"):
            open_dataset(source, max_length=8)
    with pytest.raises(ConfigError, match=r"max_length is for text, array-.* is vector data"):
        open_dataset(torch.rand(9, 4), max_length=8)
    with pytest.raises(ConfigError, match="phrases is a Dataset"):
        open_dataset(open_dataset("phrases"), max_length=8)


BAD = {
    "not UTF-8": (
        b"good line\nbad \xff line\n" * 9,
        r"expected UTF-8, found byte 0xff at offset 14, in line 2",
    ),
    "a NUL": (b"good line\n\nb\0d\n", r"expected text, found a NUL in line 3"),
    "one line of 10 MB": (
        b"short\n" + b"x" * 10_000_000,
        r"expected a sentence a line, found 10000000 characters in line 2; "
        rf"at most {MAX_CHARACTERS} are read",
    ),
    "nothing": (b"", r"at least 4 lines with words are needed, found 0"),
    "blanks alone": (b"\n \n\t\n\n\n", r"at least 4 lines with words are needed, found 0"),
    "too few lines": (b"one\ntwo\nthree", r"at least 4 lines with words are needed, found 3"),
}


@pytest.mark.parametrize(("content", "words"), BAD.values(), ids=BAD)
def test_bad_text_is_refused_by_line_or_byte(file, content, words):
    with pytest.raises(DataError, match=words):
        open_dataset(file(content))


def test_the_order_of_lines_does_not_change_the_vocabulary():
    one, other = Vocabulary.of(SAID, 60), Vocabulary.of(SAID[::-1], 60)
    assert one == other
    assert one.sha256 == other.sha256
    assert one.encode(["the cat"]) == Vocabulary(one.text).encode(["the cat"])


def test_what_was_never_seen_is_unknown_and_is_said_to_be():
    words = Vocabulary.of(SAID, 60)
    x = words.tokens(["the ☃ cat"], max_length=12)
    assert (x == UNKNOWN).sum() == 1
    assert words.lines(x) == [f"the {SPECIAL[UNKNOWN]} cat"]


def test_capitals_can_be_made_small():
    words = Vocabulary.of(["The Cat SAT"] * 3, 60, lower=True)
    assert words.lines(words.tokens(["THE cat"], max_length=12)) == ["the cat"]


def test_lines_that_do_not_fit_are_named():
    words = Vocabulary.of(SAID, 60)
    with pytest.raises(DataError, match="line 2: expected 1 to 3 tokens, found none"):
        words.tokens(["cat", ""], max_length=4)
    with pytest.raises(DataError, match="line 1: expected 1 to 3 tokens, found"):
        words.tokens(["the red cat is number 9"], max_length=4)


def test_a_damaged_vocabulary_is_refused():
    with pytest.raises(DataError, match="the vocabulary cannot be read"):
        Vocabulary("{")
    alien = Vocabulary.of(SAID, 60).text.replace("<begin>", "<start>")
    with pytest.raises(DataError, match="must begin with <pad> <end> <unknown> <begin>"):
        Vocabulary(alien)


# ---------------------------------------------------------------------------------------- styles


@pytest.fixture
def folder(tmp_path):
    """A folder with files of these names and lines."""

    def write(**files):
        for name, lines in files.items():
            (tmp_path / name.replace("_", ".")).write_text("\n".join(lines))
        return tmp_path

    return write


OLD = [line.replace("the", "thy") for line in SAID]


def test_each_text_file_of_a_folder_is_a_style(folder):
    data = open_dataset(folder(modern_txt=SAID, original_txt=OLD))
    assert data.labels == ("modern", "original")
    said = data.vocabulary.lines(data.train.x)
    assert all(line.startswith("thy") == bool(y) for line, y in zip(said, data.train.y, strict=True))
    assert data.train.paired is None


@pytest.mark.parametrize("ending", ["", "_txt"])
def test_files_by_split_and_style(folder, ending):
    """Held-out files of one length are no pairs unless they are said to be."""
    files = {f"train_a{ending}": SAID, f"train_b{ending}": OLD[:5], f"test_a{ending}": SAID[:4]}
    data = open_dataset(folder(**files, **{f"test_b{ending}": OLD[:4]}, README_txt=["no style"]))
    assert data.labels == ("a", "b")
    assert (len(data.train), len(data.test)) == (len(SAID) + 5, 8)
    assert data.train.paired is None
    assert data.test.paired is None


def test_files_to_learn_from_and_held_out_are_no_styles(folder):
    held = [line.replace("the", "a") for line in SAID[:4]]
    data = open_dataset(folder(train_txt=SAID, test_txt=held))
    assert data.labels == ()
    assert (len(data.train), len(data.test)) == (len(SAID), 4)
    assert data.vocabulary.lines(data.test.x) == held


def test_held_out_pairs_are_those_of_their_table(folder):
    table = ["b\ta", *(f"{other}\t{one}" for one, other in zip(SAID[:3], OLD[:3], strict=True))]
    folder(train_a=SAID, train_b=OLD, test_a=SAID[5:7], test_b=OLD[5:7])
    data = open_dataset(folder(**{"test-pairs_tsv": table}))
    known = data.test.paired[:, 0] >= 0
    both = list(
        zip(
            data.vocabulary.lines(data.test.x[known]),
            data.vocabulary.lines(data.test.paired[known]),
            strict=True,
        )
    )
    there = list(zip(SAID[:3], OLD[:3], strict=True))
    assert both == [pair for one, other in there for pair in ((one, other), (other, one))]


def test_copies_of_a_line_are_all_on_one_side(file):
    data = open_dataset(file(SAID * 5))
    sides = [set(data.vocabulary.lines(split.x)) for split in (data.train, data.test)]
    assert not sides[0] & sides[1]
    assert len(data.train) + len(data.test) == 5 * len(SAID)


def test_pairs_are_learnt_from_in_both_styles(folder):
    table = ["a\tb", *(f"{one}\t{other}" for one, other in zip(SAID, OLD, strict=True))]
    data = open_dataset(folder(a_txt=SAID[:8], b_txt=OLD[:8], pairs_tsv=table))
    known = data.train.paired[:, 0] >= 0
    assert known.sum() == 2 * len(SAID)
    for line, paired, y in zip(
        data.vocabulary.lines(data.train.x[known]),
        data.vocabulary.lines(data.train.paired[known]),
        data.train.y[known],
        strict=True,
    ):
        assert paired == (line.replace("the", "thy") if y == 0 else line.replace("thy", "the"))


def test_a_file_that_is_missing_is_named(folder):
    with pytest.raises(DataError, match=r"expected test\.b beside the other files"):
        open_dataset(folder(train_a=SAID, train_b=OLD, test_a=SAID))


def test_a_table_without_the_styles_is_refused(folder):
    with pytest.raises(DataError, match="expected the columns a, b, found"):
        open_dataset(folder(a_txt=SAID, b_txt=OLD, pairs_tsv=["x\ty", "1\t2"]))


def test_a_share_of_the_pairs_can_be_shown():
    """Both rows of a pair are kept or neither; which ones is a function of the noise."""
    data = open_dataset("phrases")
    half = data.train.keep_pairs(0.5, Noise(0))
    known = half.paired[:, 0] >= 0
    assert abs(known.double().mean().item() - 0.5) < 0.05
    # Rows that say the same line share their fate, and so does the line that each is paired with.
    fate = {}
    for row, paired, kept in zip(
        data.train.x.tolist(), data.train.paired.tolist(), known.tolist(), strict=True
    ):
        pair = frozenset([tuple(row), tuple(paired)])
        assert fate.setdefault(pair, kept) == kept
    assert torch.equal(half.paired, data.train.keep_pairs(0.5, Noise(0)).paired)
    assert not torch.equal(half.paired, data.train.keep_pairs(0.5, Noise(1)).paired)
    assert (data.train.keep_pairs(1.0, Noise(0)).paired[:, 0] >= 0).all()
    assert data.train.keep_pairs(0.0, Noise(0)).paired is None
    with pytest.raises(DataError, match=r"paired_fraction 0\.5 needs paired rows, and the data have none"):
        open_dataset("digits").train.keep_pairs(0.5, Noise(0))


def test_phrases_are_pairs_in_two_styles():
    data = open_dataset("phrases")
    assert data.labels == ("plain", "old")
    assert torch.equal(data.train.paired[data.train.y == 0], data.train.x[data.train.y == 1])
    assert open_dataset("phrases").fingerprint == data.fingerprint


def test_a_compressed_table_reads_the_same(tmp_path):
    (tmp_path / "t.tsv.gz").write_bytes(gzip.compress(b"a\tb\n1 \t 2\n"))
    assert list(read_table(tmp_path / "t.tsv.gz", ["b"])) == [{"b": "2"}]
    (tmp_path / "t.tsv").write_bytes(b"a\tb\n1\n")
    with pytest.raises(DataError, match="expected 2 columns, found 1 in line 2"):
        list(read_table(tmp_path / "t.tsv", ["b"]))


def test_words_that_look_like_marks_of_ours_are_words():
    """A user's "<end>" does not end a line."""
    words = Vocabulary.of([*SAID, "the <end> of <pad> it"] * 3, 200)
    line = "the <end> of <pad> it"
    x = words.tokens([line], max_length=40)
    assert words.lines(x) == [line]
    assert (x == END).sum() == 1


def test_a_known_vocabulary_is_not_learnt_again(file):
    words = Vocabulary.of(SAID, 60)
    data = open_dataset(file(SAID), codec=words)
    assert data.vocabulary is words
    assert data.vocabulary.lines(data.train.x[:1])[0] in SAID


def test_a_byte_order_mark_counts_among_the_bytes(file):
    with pytest.raises(DataError, match="found byte 0xfe at offset 11, in line 2"):
        open_dataset(file(b"\xef\xbb\xbfone\ntwo \xfe\nthree\n"))


def test_a_damaged_compressed_table_is_refused(tmp_path):
    raw = bytearray(gzip.compress(b"a\tb\n" * 500))
    raw[20] ^= 255
    (tmp_path / "t.tsv.gz").write_bytes(bytes(raw))
    with pytest.raises(DataError, match="cannot be read"):
        read_table(tmp_path / "t.tsv.gz", ["a"])


def test_lines_in_memory():
    data = text_dataset("toy", {"": TextFile(SAID)}, {"": TextFile(SAID[:3])}, vocab_size=60)
    assert (data.source, len(data.train), len(data.test)) == (None, len(SAID), 3)


@pytest.mark.parametrize("recipe", ["gan", "wgan-gp", "gmmn"])
def test_models_in_data_space_refuse_text(recipe):
    from pushforward.recipes import RECIPES

    with pytest.raises(ConfigError, match="needs image or vector data, phrases is text data"):
        RECIPES[recipe](open_dataset("phrases").spec)


def test_networks_of_images_refuse_text_and_those_of_text_images():
    from pushforward.recipes import RECIPES

    with pytest.raises(ConfigError, match="network 'mlp' needs image or vector data"):
        RECIPES["ae"](open_dataset("phrases").spec, network="mlp")
    with pytest.raises(ConfigError, match="cost='tokens' is for text"):
        RECIPES["ae"](open_dataset("phrases").spec, cost="squared")
    with pytest.raises(ConfigError, match="network 'gru' needs text"):
        RECIPES["ae"](open_dataset("digits").spec, network="gru")
    with pytest.raises(ConfigError, match="input_noise cannot be added to tokens; use encoder_word_dropout"):
        RECIPES["ae"](open_dataset("phrases").spec, input_noise=0.1)
    with pytest.raises(
        ConfigError, match="the critic of avb compares rows beside codes, and cannot read text"
    ):
        RECIPES["avb"](open_dataset("phrases").spec)
    with pytest.raises(ConfigError, match="word_dropout is for text data, digits is image data"):
        RECIPES["ae"](open_dataset("digits").spec, word_dropout=0.3)
