"""Rows of tokens from a text file that a user passes to a run."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from pushforward.data.lines import read_lines, tokenise
from pushforward.errors import DataError
from pushforward.text.vocabulary import Vocabulary


def read_text_rows(path: Path, length: int, vocabulary: Vocabulary) -> tuple[Tensor, str]:
    """The lines of a text file that fit, as rows (N, length) of tokens, and a note on the others, or "".

    Raises:
        DataError: If the file cannot be read, or no line fits.
    """
    found = tokenise(vocabulary, read_lines(path).lines, length, f"of {path}")
    if not found.rows:
        raise DataError(f"{path}: no line has 1 to {length - 1} tokens")
    return found.x, found.note


__all__ = ["read_text_rows"]
