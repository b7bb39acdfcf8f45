"""What runs on text can do besides: write rows of tokens as lines, and read a file of lines."""

from __future__ import annotations

import os
from pathlib import Path

from torch import Tensor

from pushforward.data.lines import read_lines, tokenise
from pushforward.errors import ConfigError, DataError
from pushforward.runs.trained_model import TrainedModel
from pushforward.text.vocabulary import Vocabulary


class TextRun(TrainedModel):
    """A trained model whose rows may be lines of text."""

    def lines(self, rows: Tensor) -> list[str]:
        """The lines of text that rows (N, T) of tokens stand for.

        Raises:
            ConfigError: If the run is not one on text.
        """
        return self._need_vocabulary().lines(rows.reshape(-1, rows.shape[-1]))

    def read(self, path: str | os.PathLike[str]) -> tuple[Tensor, str]:
        """The lines of a text file that fit, as rows (N, T) of tokens, and a note on the others, or "".

        Raises:
            ConfigError: If the run is not one on text.
            DataError: If the file cannot be read, or no line fits.
        """
        length = self.shape[0]
        found = tokenise(self._need_vocabulary(), read_lines(Path(path)).lines, length, f"of {path}")
        if not found.rows:
            raise DataError(f"{path}: no line has 1 to {length - 1} tokens")
        return found.x, found.note

    def _need_vocabulary(self) -> Vocabulary:
        if self.vocabulary is None:
            raise ConfigError(f"{self.path} is not a run on text: its rows have shape {self.shape}")
        return self.vocabulary


__all__ = ["TextRun"]
