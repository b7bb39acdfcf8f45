"""What a run makes of the rows of a file or of other data: codes, reconstructions and scores."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pushforward.data.catalogue import open_like
from pushforward.data.lines import tokenise
from pushforward.data.modality import modality
from pushforward.data.shards import all_lines
from pushforward.data.split import Batch, Split
from pushforward.errors import ConfigError, DataError
from pushforward.features.base import Progress
from pushforward.files import Writer, expanded, make_place, remove_stale, write_atomic
from pushforward.report.progress import bar
from pushforward.report.renderers import renderer_for
from pushforward.report.rendering import write_array
from pushforward.runs.other_data import check_labels
from pushforward.runs.trained_model import TrainedModel, computes
from pushforward.tables.csv import csv_lines
from pushforward.wording import option_name


class RowFiles(TrainedModel):
    """A trained model that reads rows from files and writes what it makes of them; not all are in memory.

    Rows are in the order of the source; of a source with splits of its own the training rows come first.
    """

    @computes
    def score_rows(self, x: Any, y: Any = None) -> dict[str, Tensor]:
        """How unusual each row is, by names: the larger, the more.

        ``reconstruction`` is the error of its reconstruction; ``latent`` the negative log-density of its code
        under the prior in nats, of priors that have one.

        Arguments:
            x: Rows, as :meth:`encode` takes them.
            y: Labels (N,), for conditional models.
        """
        self.need_encoder()
        return self._scores(self.rows(x), self._numbers(y))

    def _scores(self, rows: Tensor, y: Tensor | None, first: int = 0) -> dict[str, Tensor]:
        """The scores of rows of a source, of which ``first`` is the number of the first one."""
        codes = self._encode(rows, y)
        back = self._map(self.model.decode, codes, y)
        found = {"reconstruction": modality(self.modality).errors(back, rows)}
        density = getattr(self.model.prior(len(codes)), "log_prob", None)
        if density is not None:
            with torch.no_grad():
                found["latent"] = -density(codes.to(self.model.prior.device_buffer.device)).cpu()
        return found

    @computes
    def encode_file(self, source: Any, out: str | os.PathLike[str], progress: bool = False) -> int:
        """Writes the codes of all rows of a source as a ``.npy`` array (N, L), and returns N.

        Arguments:
            source: A file, a folder or any other data like those of the run.
            out: The file.
            progress: Whether to show progress on standard error.

        Raises:
            ConfigError: If the model has no encoder, or needs labels that the source does not have.
            DataError: If the source cannot be read, or has other rows than the run.
        """
        self.need_encoder()
        path = _target(source, out, partial(_ends_in, ending=".npy"))
        rows = self._rows_of(source, progress)
        with bar("encoding", progress) as show:
            codes = (self._encode(part.x, part.y) for part in self._parts(rows, show))
            write_array(path, codes, len(rows), "out")
        return len(rows)

    @computes
    def reconstruct_file(self, source: Any, out: str | os.PathLike[str], progress: bool = False) -> int:
        """Writes the reconstructions of all rows of a source to a file, as samples are; returns N.

        Arguments:
            source: A file, a folder or any other data like those of the run.
            out: The file, with an ending as in :meth:`~pushforward.runs.sharded_run.ShardedRun.sample_file`.
            progress: Whether to show progress on standard error.

        Raises:
            ConfigError: If the file has another ending, a picture would be too large, the model has no
                encoder, or it needs labels that the source does not have.
            DataError: If the source cannot be read, or has other rows than the run.
        """
        self.need_encoder()
        path = _target(source, out, renderer_for(self.modality, self.codec).check_suffix)
        rows = self._rows_of(source, progress)
        with bar("reconstructing", progress) as show:
            parts = self._parts(rows, show)
            made = (self._decode(self._encode(part.x, part.y), part.y) for part in parts)
            self._save(made, len(rows), path, "out")
        return len(rows)

    def _save(self, parts: Iterator[Tensor], n: int, path: Path, option: str = "n") -> None:
        """Writes n rows in the values of the data, in parts, as what the ending of the file says."""
        shown = parts if path.suffix == ".npy" else map(self.scaled, parts)
        renderer_for(self.modality, self.codec).save_parts(shown, n, path, option)

    @computes
    def score_file(self, source: Any, out: str | os.PathLike[str], progress: bool = False) -> int:
        """Writes the scores (:meth:`score_rows`) of all rows of a source as a ``.csv`` table; returns N.

        The columns are the scores under their names.
        """
        self.need_encoder()
        path = _target(source, out, partial(_ends_in, ending=".csv"))
        rows = self._rows_of(source, progress)
        with bar("scoring", progress) as show:

            def table(file: Writer) -> None:
                done = 0
                for part in self._parts(rows, show):
                    scores = self._written_scores(part.x, part.y, done)
                    head = [] if done else [[*scores]]
                    file.write(csv_lines([*head, *zip(*scores.values(), strict=True)]).encode())
                    done += len(part.x)

            remove_stale(path)
            write_atomic(path, table)
        return len(rows)

    def _written_scores(self, rows: Tensor, y: Tensor | None, first: int) -> dict[str, list[str]]:
        """The scores of rows by their names, as they are written: see :meth:`_scores`."""
        return {
            name: [f"{value:.9g}" for value in values.tolist()]
            for name, values in self._scores(rows, y, first).items()
        }

    def _rows_of(self, source: Any, progress: bool) -> Split:
        """All rows of a source, as the model sees them once they are scaled."""
        with bar("reading", progress) as show:
            return self._opened(source, show)

    def _opened(self, source: Any, progress: Progress) -> Split:
        if self.vocabulary is not None and isinstance(source, (str, os.PathLike)):
            lines = all_lines(expanded(source))
            found = tokenise(self.vocabulary, lines, self.shape[0], f"of {source}")
            if len(found.rows) != len(lines):
                raise DataError(f"{source}: a row is written for each line, but {found.note}")
            return Split(found.x, scaling=self.spec.scaling)
        # Labels that the model does not look at would take more memory than the numbers of rows.
        spec = self.spec if self.model.n_conditions else replace(self.spec, classes=())
        rows = open_like(
            source, spec, data_dir=self.config["data"]["data_dir"], progress=progress, later=True
        )
        check_labels(rows, self.model, self.path)
        return rows

    def _parts(self, rows: Split, progress: Progress) -> Iterator[Batch]:
        for part in self._slices(0, len(rows)):
            x, y = rows.batch(part)
            yield Batch(x, y if self.model.n_conditions else None)
            progress(part.stop, len(rows))


def _ends_in(path: Path, ending: str) -> None:
    if path.suffix != ending:
        raise ConfigError(f"{option_name('out')} must end in {ending}, got {path}")


def _target(source: Any, out: str | os.PathLike[str], check_suffix: Callable[[Path], None]) -> Path:
    """The file that is to be written, which must not be the source, after a check that it can be."""
    path = expanded(out)
    check_suffix(path)
    with suppress(OSError, TypeError):  # one of them is not there, or no path
        if path.samefile(Path(source).expanduser()):
            raise ConfigError(f"{option_name('out')} must be another file than the source, got {path}")
    make_place(path)
    return path


__all__ = ["RowFiles"]
