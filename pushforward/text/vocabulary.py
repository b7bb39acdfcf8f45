"""The vocabulary of text: subword tokens, learnt from the training lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor

from pushforward.codec import Codec
from pushforward.errors import ConfigError, DataError
from pushforward.text.tokens import END, SPECIAL, UNKNOWN, padded

DEFAULT_VOCAB_SIZE = 4000


class Vocabulary(Codec):
    """Converts lines of text to tokens and back.

    Arguments:
        text: The tokenizer as JSON, in the format of the tokenizers library.

    Raises:
        ConfigError: If the tokenizers library is not installed.
        DataError: If ``text`` is not such a tokenizer.

    Example:
        >>> vocabulary = Vocabulary.of(["the cat sat", "the hat"], vocab_size=40)
        >>> vocabulary.lines(vocabulary.tokens(["the cat", "a hat"], max_length=12))
        ['the cat', 'a hat']
    """

    modality = "text"
    file = "vocabulary.json"

    def __init__(self, text: str) -> None:
        super().__init__(text)
        try:
            self._tokenizer = _library().Tokenizer.from_str(text)
            self._tokenizer.encode_special_tokens = True  # "<end>" in a user's line is text, not a token
        except ConfigError:
            raise
        except Exception as error:  # the library raises several types on a damaged file
            raise DataError(f"the vocabulary cannot be read: {error}") from error
        found = tuple(self._tokenizer.id_to_token(place) for place in range(len(SPECIAL)))
        if found != SPECIAL:
            raise DataError(f"a vocabulary must begin with {' '.join(SPECIAL)}, this one with {found}")

    @classmethod
    def of(
        cls, lines: Iterable[str], vocab_size: int = DEFAULT_VOCAB_SIZE, lower: bool = False
    ) -> Vocabulary:
        """A vocabulary learnt by byte-pair encoding; it does not depend on the order of the lines.

        Arguments:
            lines: The lines to learn it from.
            vocab_size: Maximum number of tokens, the special ones included.
            lower: Whether text is converted to lower case.

        References:
            | Neural Machine Translation of Rare Words with Subword Units (Sennrich et al., 2016)
            | https://arxiv.org/abs/1508.07909
        """
        tokenizers = _library()
        tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token=SPECIAL[UNKNOWN]))
        steps = [tokenizers.normalizers.NFC(), *([tokenizers.normalizers.Lowercase()] if lower else [])]
        tokenizer.normalizer = tokenizers.normalizers.Sequence(steps)
        tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
        tokenizer.decoder = tokenizers.decoders.Metaspace()
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=vocab_size, special_tokens=list(SPECIAL), show_progress=False, min_frequency=2
        )
        tokenizer.train_from_iterator(sorted(lines), trainer)
        return cls(tokenizer.to_str())

    def __len__(self) -> int:
        return int(self._tokenizer.get_vocab_size())

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} tokens)"

    def encode(self, lines: Sequence[str]) -> list[list[int]]:
        """The tokens of every line, ``END`` last.

        Raises:
            DataError: If a line is not Unicode text.
        """
        for place, line in enumerate(lines):
            if not line.isascii() and any("\ud800" <= letter <= "\udfff" for letter in line):
                raise DataError(f"line {place + 1}: expected Unicode text, found a surrogate")
        found = self._tokenizer.encode_batch(list(lines), add_special_tokens=False)
        return [[*one.ids, END] for one in found]

    def tokens(self, lines: Sequence[str], max_length: int) -> Tensor:
        """Rows (N, max_length) of tokens, int64.

        Raises:
            DataError: If a line is empty, or has more tokens than that.
        """
        rows = self.encode(lines)
        for place, row in enumerate(rows):
            if not 1 < len(row) <= max_length:
                found = "none" if len(row) == 1 else f"{len(row)} with its end"
                raise DataError(f"line {place + 1}: expected 1 to {max_length - 1} tokens, found {found}")
        return padded(rows, max_length)

    def lines(self, x: Tensor) -> list[str]:
        """The text of rows (N, T) of tokens; what comes after ``END`` is ignored."""
        kept = [row[: row.index(END)] if END in row else row for row in x.long().tolist()]
        return [line.strip() for line in self._tokenizer.decode_batch(kept, skip_special_tokens=False)]


def _library() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        raise ConfigError("text needs the tokenizers library: pip install 'pushforward[text]'") from error
    return tokenizers


__all__ = ["DEFAULT_VOCAB_SIZE", "Vocabulary"]
