"""What runs on tables can do besides: frames, samples under a condition, imputation, scores of rows."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from pushforward.distributions import Gaussian, NormalPrior
from pushforward.errors import ConfigError, check_int
from pushforward.files import expanded, make_place, write_atomic
from pushforward.rng import Noise
from pushforward.runs.row_files import RowFiles
from pushforward.runs.trained_model import computes
from pushforward.tables.distribution import TableDistribution
from pushforward.tables.files import check_written, read_table, table_bytes
from pushforward.tables.frames import frame_of, table_of
from pushforward.tables.given import Allowed, allowed_by, known_cells, resampled
from pushforward.tables.kinds import restore
from pushforward.tables.schema import Schema
from pushforward.tables.table import Column, Table
from pushforward.wording import option_name

CANDIDATES = 32  # of each row under a condition
FEW_EFFECTIVE = 2.0  # candidates with weight, of a row on average, below which more are advised
DRAWS = 16  # codes that the likelihood of a row is averaged over


class TableRun(RowFiles):
    """A trained model whose rows may be those of a table."""

    def frame(self, rows: Tensor) -> Any:
        """The frame that rows (N, C) of cells stand for, with the columns and types of the training data.

        It is a frame of pandas, or of polars if the data were one; a dict of arrays where the library is not
        installed.

        Raises:
            ConfigError: If the run is not one on a table.
        """
        return frame_of(self.schema.decode(rows))

    @computes
    def reconstruct(self, x: Any, y: Any = None) -> Any:
        """The reconstructions of rows (N, \\*), encoded, then decoded; of tables a frame, as of samples.

        Arguments:
            x: Rows, as :meth:`encode` takes them.
            y: Labels (N,), for conditional models.

        Raises:
            ConfigError: If the model has no encoder.
        """
        rows = super().reconstruct(x, y)
        return self.frame(rows) if isinstance(self.codec, Schema) else rows

    @computes
    def sample_given(
        self, condition: Mapping[str, Any], n: int = 64, seed: int = 0, candidates: int = CANDIDATES
    ) -> Any:
        """A frame of n samples whose columns have given values, by sampling-importance-resampling.

        See :mod:`pushforward.tables.given`: the more candidates, the closer to the exact distribution.

        Arguments:
            condition: For each of some columns a value, a list of values, or a pair (least, greatest).
            n: Number of samples.
            seed: Seed of the draws.
            candidates: Candidates of each sample.

        Raises:
            ConfigError: If a column is not modelled, or the run is not one on a table.
            DataError: If no training row had such a value.
        """
        return self.frame(torch.cat(list(self.parts_given(condition, n, seed, candidates))))

    def parts_given(
        self,
        condition: Mapping[str, Any],
        n: int = 64,
        seed: int = 0,
        candidates: int = CANDIDATES,
        first: int = 0,
    ) -> Iterator[Tensor]:
        """The cells (M, C) of the rows that :meth:`sample_given` returns, in parts of at most 512.

        ``first`` is the number of the first one.
        """
        allowed = allowed_by(self.schema, condition)
        check_int("candidates", candidates, least=1)
        noise, effective = Noise(check_int("seed", seed, least=0), "sample"), []
        end = check_int("first", first, least=0) + check_int("n", n, least=1)
        for start in range(first, end, self.chunk):
            size = min(self.chunk, end - start)
            y = (
                torch.arange(start, start + size) % self.model.n_conditions
                if self.model.n_conditions
                else None
            )
            rows, found = self._resampled(size, noise.rows(start), allowed, candidates, y)
            effective.append(found)
            yield rows
        share = torch.cat(effective).mean().item()
        if candidates > FEW_EFFECTIVE and share < FEW_EFFECTIVE:
            warnings.warn(
                f"of {candidates} candidates a row {share:.1f} have weight, on average: samples are far from "
                f"exact; raise {option_name('candidates')}",
                stacklevel=3,
            )

    @computes
    def impute(self, frame: Any, seed: int = 0, candidates: int = CANDIDATES) -> Any:
        """The frame with a value drawn in the place of each that is missing, given the others of its row.

        Columns that are not modelled stay as they are. What is missing is never imputed as missing.

        Arguments:
            frame: A frame of pandas or polars, or a dict of columns; columns may be absent.
            seed: Seed of the draws.
            candidates: Candidates of each row: see :mod:`pushforward.tables.given`.

        Raises:
            DataError: If a value that is there is none of the training data.
        """
        return frame_of(self._imputed(table_of(self._in_memory(frame), "rows"), seed, candidates))

    @computes
    def impute_file(
        self,
        source: str | os.PathLike[str],
        out: str | os.PathLike[str],
        seed: int = 0,
        candidates: int = CANDIDATES,
    ) -> int:
        """Writes the rows of a file with a value in the place of each that is missing; returns their number.

        Arguments:
            source: A file of a table.
            out: The ``.csv`` or ``.parquet`` file.
            seed: See :meth:`impute`.
            candidates: See :meth:`impute`.

        Raises:
            DataError: If the file cannot be read, or has values that are none of the training data.
        """
        schema, path = self.schema, expanded(out)
        check_written(path)
        make_place(path)
        table = self._imputed(read_table(expanded(source), schema.kinds), seed, candidates)
        write_atomic(path, table_bytes(table, path))
        return len(table)

    def _imputed(self, table: Table, seed: int, candidates: int) -> Table:
        schema = self.schema
        check_int("candidates", candidates, least=1)
        x = schema.encode(table, lacking=True)
        labels = self._labels(table)
        noise, parts = Noise(check_int("seed", seed, least=0), "impute"), []
        for start in range(0, len(x), self.chunk):
            part = x[start : start + self.chunk]
            allowed = valued_cells(known_cells(part, schema.sizes), part < 0, schema)
            y = None if labels is None else labels[start : start + self.chunk]
            made, _ = self._resampled(len(part), noise.rows(start), allowed, candidates, y)
            parts.append(torch.where(part < 0, made, part))
        filled = schema.decode(torch.cat(parts) if parts else x)
        return merged(table, filled, schema)

    def _labels(self, table: Table) -> Tensor | None:
        """The labels (N,) of rows, -1 where they are not known; None of models without conditions."""
        if not self.model.n_conditions:
            return None
        found = self.schema.class_of(table) if self.schema.label in table.columns else None
        return torch.full((len(table),), -1) if found is None else found[0]

    @computes
    def score_rows(self, x: Any, y: Any = None) -> Any:
        """How unusual each row is, as :meth:`~pushforward.runs.row_files.RowFiles.score_rows`; of tables a
        frame with one line for each row.

        Of tables ``reconstruction`` is the negative log-likelihood of the row given the mean of its code, in
        nats, and ``surprise`` the column that is least probable given the code (and, of an autoregressive
        decoder, the columns before). ``likelihood``, of models with Gaussian codes and a normal prior, is the
        negative log-likelihood of the row in nats, by importance sampling with 16 draws: a bound from above
        on average.

        Arguments:
            x: Rows, as :meth:`encode` takes them.
            y: Labels (N,), for conditional models.

        Raises:
            ConfigError: If the model has no encoder.
        """
        if not isinstance(self.codec, Schema):
            return super().score_rows(x, y)
        self.need_encoder()
        rows, labels = self.rows(x), self._numbers(y)
        found = self._scores(rows, labels)
        columns = {name: value.double().numpy() for name, value in found.items()}
        table = table_of({**columns, "surprise": self._surprise(rows, labels)})
        names = {"polars": ("Float64", "String")}.get(self.codec.library, ("float64", "str"))
        typed = {
            name: Column(name, column.values, column.missing, names[column.type == "text"])
            for name, column in table.columns.items()
        }
        return frame_of(Table(typed, self.codec.library))

    def _surprise(self, rows: Tensor, y: Tensor | None) -> list[str]:
        """The name of the column of each row that is least probable."""
        return [self.schema.names[place] for place in self._column_terms(rows, y).argmin(1).tolist()]

    def _written_scores(self, rows: Tensor, y: Tensor | None, first: int) -> dict[str, list[str]]:
        found = super()._written_scores(rows, y, first)
        return found | {"surprise": self._surprise(rows, y)} if isinstance(self.codec, Schema) else found

    def _scores(self, rows: Tensor, y: Tensor | None, first: int = 0) -> dict[str, Tensor]:
        found = super()._scores(rows, y, first)
        if not isinstance(self.codec, Schema):
            return found
        found["reconstruction"] = -self._column_terms(rows, y).sum(1)
        if self._has_densities(rows[:1], None if y is None else y[:1]):
            noise, numbers = Noise(0, "score").rows(first), torch.arange(len(rows))
            found["likelihood"] = -self._map(lambda x, n: self._log_likelihood(x, n, y, noise), rows, numbers)
        return found

    @torch.no_grad()
    def _has_densities(self, row: Tensor, y: Tensor | None) -> bool:
        """Whether codes are Gaussian, and their prior normal; by the code of one row (1, C)."""
        prior = self.model.prior
        if not self.model.has_encoder or not isinstance(prior, NormalPrior):
            return False
        labels = None if y is None else y.to(prior.device_buffer.device)
        return isinstance(self.model.encoder(row.to(prior.device_buffer.device), labels), Gaussian)

    def _column_terms(self, rows: Tensor, y: Tensor | None) -> Tensor:
        """The log-probability in nats (N, C) of each column of rows given the means of their codes."""
        codes, numbers = self._encode(rows, y), torch.arange(len(rows))

        def terms(z: Tensor, n: Tensor | None) -> Tensor:
            assert n is not None
            return self._generated(z, n, y).log_probs(rows[n.cpu()].to(z))

        return self._map(terms, codes, numbers)

    def _generated(self, z: Tensor, rows: Tensor | None, labels: Tensor | None) -> TableDistribution:
        """The distributions of rows given codes, with the labels of the rows of these numbers."""
        y = None if labels is None or rows is None else labels[rows.cpu()].to(z.device)
        made: Any = self.model.generate(z, y)
        assert isinstance(made, TableDistribution)
        return made

    def _log_likelihood(self, x: Tensor, rows: Tensor | None, labels: Tensor | None, noise: Noise) -> Tensor:
        assert rows is not None
        y = None if labels is None else labels[rows.cpu()].to(x.device)
        q, p = self.model.encoder(x, y), self.model.prior(len(x))
        weights = []
        for number in range(DRAWS):
            z = q.rsample(noise(number).rows(noise.start + int(rows[0])))
            weights.append(self._generated(z, rows, labels).log_prob(x) + p.log_prob(z) - q.log_prob(z))
        return torch.stack(weights).logsumexp(0) - math.log(DRAWS)

    @computes
    @torch.no_grad()
    def _resampled(
        self, n: int, noise: Noise, allowed: Allowed, candidates: int, y: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """n rows with allowed cells, of codes drawn from the prior, and their effective numbers of
        candidates.
        """
        device = self.model.prior.device_buffer.device
        labels = None if y is None else y.to(device)

        def decode(codes: Tensor) -> TableDistribution:
            made: Any = self.model.generate(codes, labels)
            assert isinstance(made, TableDistribution)
            return made

        def encode(rows: Tensor) -> Gaussian:
            found = self.model.encoder(rows, labels)
            assert isinstance(found, Gaussian)
            return found

        only = tuple(None if part is None else part.to(device) for part in allowed)
        prior, some = self.model.distribution(n, labels), torch.full((1, *self.shape), 0.5, device=device)
        dense = self._has_densities(some, None if labels is None else labels[:1])
        rows, effective = resampled(prior, decode, noise, only, candidates, encode if dense else None)
        return rows.cpu(), effective.cpu()

    @property
    def schema(self) -> Schema:
        """The schema of the table that the run was trained on.

        Raises:
            ConfigError: If it was none.
        """
        if not isinstance(self.codec, Schema):
            raise ConfigError(f"{self.path} is not a run on a table: its rows have shape {self.shape}")
        return self.codec


def valued_cells(known: Allowed, hidden: Tensor, schema: Schema) -> Allowed:
    """The cells that are allowed, without that of missing values where a value is to be imputed (N, C)."""
    found: list[Tensor | None] = []
    for place, (only, column) in enumerate(zip(known, schema.modelled, strict=True)):
        if column.missing and hidden[:, place].any():
            valued = torch.arange(column.n) < column.n - 1
            every = torch.ones(len(hidden), column.n, dtype=torch.bool) if only is None else only
            only = torch.where(hidden[:, place : place + 1], every & valued, every)
        found.append(only)
    return tuple(found)


def merged(table: Table, filled: Table, schema: Schema) -> Table:
    """A table with the values of another one where it has none; columns that it lacks come last."""
    columns = {}
    for name, column in table.columns.items():
        if name not in schema.names:
            columns[name] = column
            continue
        given = filled.columns[name]
        known = restore(column, given.type, table)
        if not known.missing.any():
            columns[name] = column
            continue
        values = given.values.copy()
        values[~known.missing] = known.known.astype(values.dtype)
        columns[name] = Column(
            name, values, given.missing & known.missing, given.dtype, given.categories, given.ordered
        )
    absent = {name: filled.columns[name] for name in schema.names if name not in columns}
    return Table(columns | absent, table.library)


__all__ = ["TableRun"]
