"""Rows that a user passes to a run, brought into the form that its model takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pushforward.data.lines import read_lines, tokenise
from pushforward.errors import DataError
from pushforward.text.vocabulary import Vocabulary


def as_rows(x: Any, shape: tuple[int, ...], vocabulary: Vocabulary | None = None) -> Tensor:
    """Rows (N, \\*) of one shape, from an array, a tensor, a line of text or a list of lines.

    Images may have their channels last or, of one channel, none; bytes are scaled to [0, 1].

    Raises:
        DataError: If they have another shape, or a line has more tokens than a row.

    >>> as_rows(torch.zeros(2, 4, 4, dtype=torch.uint8), (1, 4, 4)).shape
    torch.Size([2, 1, 4, 4])
    """
    x = [x] if isinstance(x, str) else x
    if isinstance(x, (list, tuple)) and all(isinstance(line, str) for line in x):
        if vocabulary is None or not x:
            raise DataError(f"rows must have shape {shape}, got {len(x)} lines of text")
        return vocabulary.tokens(x, shape[0])
    x = torch.as_tensor(x)
    if vocabulary is not None and x.shape[1:] == shape and not x.is_floating_point():
        return x
    if x.ndim == 3 and shape == (1, *x.shape[1:]):
        x = x.unsqueeze(1)
    elif x.ndim == 4 and tuple(x.shape[1:]) == (*shape[1:], shape[0]) != shape:
        x = x.permute(0, 3, 1, 2)
    if tuple(x.shape[1:]) != shape:
        raise DataError(f"rows must have shape {shape}, got {tuple(x.shape[1:])}")
    masks = len(x) > 0 and x.max() <= 1  # bytes that are only 0 and 1 are black and white
    return x.float() / 255 if x.dtype == torch.uint8 and not masks else x.float()


def read_text_rows(path: Path, length: int, vocabulary: Vocabulary) -> tuple[Tensor, str]:
    """The lines of a text file that fit, as rows (N, length) of tokens, and a note on the others, or "".

    Raises:
        DataError: If the file cannot be read, or no line fits.
    """
    found = tokenise(vocabulary, read_lines(path).lines, length, f"of {path}")
    if not found.rows:
        raise DataError(f"{path}: no line has 1 to {length - 1} tokens")
    return found.x, found.note


__all__ = ["as_rows", "read_text_rows"]
