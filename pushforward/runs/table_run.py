"""What runs on tables can do besides: make frames of rows."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from pushforward.errors import ConfigError
from pushforward.runs.trained_model import TrainedModel
from pushforward.tables.frames import frame_of
from pushforward.tables.schema import Schema


class TableRun(TrainedModel):
    """A trained model whose rows may be those of a table."""

    def frame(self, rows: Tensor) -> Any:
        """The frame that rows (N, C) of cells stand for, with the columns and types of the training data.

        It is a frame of pandas, or of polars if the data were one; a dict of arrays where the library is not
        installed.

        Raises:
            ConfigError: If the run is not one on a table.
        """
        return frame_of(self._need_schema().decode(rows))

    def _need_schema(self) -> Schema:
        if not isinstance(self.codec, Schema):
            raise ConfigError(f"{self.path} is not a run on a table: its rows have shape {self.shape}")
        return self.codec


__all__ = ["TableRun"]
