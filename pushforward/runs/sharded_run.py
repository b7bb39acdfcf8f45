"""Samples and codes that are more than fit into memory or one file: folders of shards."""

from __future__ import annotations

import hashlib
import io
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from pushforward.data.rows import take
from pushforward.data.scaling import UnitInterval
from pushforward.data.shards import Shards
from pushforward.data.split import Batch, Split
from pushforward.errors import ConfigError, check_int, nearest
from pushforward.files import Writer, expanded, make_place
from pushforward.reading import MIB
from pushforward.report.renderers import renderer_for
from pushforward.report.rendering import array_content
from pushforward.runs.latent_samplers import PRIOR
from pushforward.runs.sampling import Sampling
from pushforward.runs.shards import ShardWriter, Show, folder_of
from pushforward.runs.table_run import CANDIDATES
from pushforward.runs.trained_model import CHUNK, computes
from pushforward.wording import option_name

ShardFormat = Literal["npy", "csv", "parquet", "txt"]
PixelType = Literal["float32", "uint8"]
SIZE = 64 * MIB  # of a shard of arrays, about
MOST_ROWS = 512 * CHUNK  # in a shard of arrays
MOST_LINES = 128 * CHUNK  # in a shard of tables or text
TRIAL = CHUNK  # rows whose size as lines is measured


class ShardedRun(Sampling):
    """A trained model whose samples and codes are written to folders of shards, or samples to one file."""

    @computes
    def sample_file(
        self,
        out: str | os.PathLike[str],
        n: int = 64,
        seed: int = 0,
        label: int | str | None = None,
        sampler: str = PRIOR,
        condition: Mapping[str, Any] | None = None,
        candidates: int = CANDIDATES,
        *,
        progress: bool = False,
    ) -> Tensor:
        """Writes n samples to one file; those of arrays and text are not all in memory.

        Arguments:
            out: The file: ``.npy`` (of tables the numbers of cells, which :meth:`frame` takes, and of text
                tokens, which :meth:`lines` takes); of images ``.png``; of tables ``.csv`` or ``.parquet``; of
                text ``.txt``.
            n: As in :meth:`sample`, and so are all others.
            seed: Seed of the draws.
            label: Class of the samples.
            sampler: Distribution of the codes.
            condition: Of tables, values of some columns.
            candidates: Of each row under a condition: see :meth:`sample_given`.
            progress: Whether to show progress on standard error.

        Returns:
            The first samples, at most 512, as :meth:`sample_parts` returns them.

        Raises:
            ConfigError: If the file has another ending, or a picture would be too large; and as
                :meth:`sample`.
            OutputError: If the file cannot be written, or there is no room for it on the disk.
        """
        path = expanded(out)
        renderer_for(self.modality, self.codec).check_suffix(path)
        make_place(path)
        parts = self.sample_parts(n, seed, label, sampler, progress, condition, candidates)
        first = next(parts)
        self._save(chain((first,), parts), n, path)
        return first

    @computes
    def write_samples(
        self,
        out: str | os.PathLike[str],
        n: int,
        seed: int = 0,
        label: int | str | None = None,
        sampler: str = PRIOR,
        condition: Mapping[str, Any] | None = None,
        candidates: int = CANDIDATES,
        *,
        format: ShardFormat | None = None,
        dtype: PixelType = "float32",
        rows_per_shard: int | None = None,
        progress: bool = False,
    ) -> Shards:
        """Writes n samples to a folder of shards, however many; few are in memory at once.

        The samples are those of :meth:`sample`, up to rounding. A call that was stopped goes on with the
        shards that are missing. Under torchrun process r of W writes every W-th shard. The folder is data as
        any other: :func:`pushforward.open_dataset`, :func:`pushforward.score` and :func:`pushforward.train`
        read it.

        Arguments:
            out: The folder; a name with an ending is that of a file, which :meth:`sample_file` writes.
            n: Number of samples.
            seed: Seed of the draws.
            label: As in :meth:`sample`.
            sampler: As in :meth:`sample`.
            condition: As in :meth:`sample`.
            candidates: Of each row under a condition: see :meth:`sample_given`.
            format: "npy"; of tables "csv" (the default), "parquet" or "npy" of cells; of text "txt" (the
                default) or "npy" of tokens.
            dtype: Of images in [0, 1]: "float32", their exact values, or "uint8", rounded to bytes.
            rows_per_shard: Rows in a file; by default those of some 64 MiB, or 65,536 lines.
            progress: Whether to show progress on standard error.

        Returns:
            The folder with its files; without those that other processes are still writing.

        Raises:
            ConfigError: As :meth:`sample`, or if there is no such format or dtype of these rows.
            OutputError: If the folder holds something else or cannot be written, or if there is no room for
                it on the disk.
        """
        n, seed = check_int("n", n, least=1), check_int("seed", seed, least=0)
        kind, as_bytes = self._format(format), self._as_bytes(dtype)
        request = {
            **self._identity("samples"), "n": n, "seed": seed, "label": label, "sampler": sampler,
            "condition": None if condition is None else {**condition},
            "candidates": None if condition is None else candidates, "format": kind, "dtype": dtype,
        }  # fmt: skip
        folder = folder_of(out, "sample_file", request)
        renderer, name = renderer_for(self.modality, self.codec), Path(f"part.{kind}")

        def parts(first: int, count: int) -> Iterator[Tensor]:
            made = self.sample_parts(
                count, seed, label, sampler, condition=condition, candidates=candidates, first=first
            )
            for rows in made:
                yield self.scaled(rows).clamp(0, 1).mul(255).round().byte() if as_bytes else rows

        def make(file: Writer, start: int, stop: int, show: Show) -> None:
            renderer.write_parts(file, counted(parts(start, stop - start), show), stop - start, name)

        with channels_last(self.model.decoder):
            row_bytes = float(math.prod(self.shape) * (1 if as_bytes else 4))
            if kind != "npy":
                trial, count = io.BytesIO(), min(n, TRIAL)
                make(trial, 0, count, lambda rows: None)
                row_bytes = trial.tell() / count
            writer = self._writer(folder, request, n, rows_per_shard, row_bytes, kind)
            return writer.write("sampling", row_bytes, make, progress)

    @computes
    def write_codes(
        self,
        source: Any,
        out: str | os.PathLike[str],
        *,
        rows_per_shard: int | None = None,
        progress: bool = False,
    ) -> Shards:
        """Writes the codes of all rows of a source to a folder of shards; few are in memory at once.

        It goes on after a stop, and is shared by the processes of torchrun, as :meth:`write_samples`. Of
        each shard the sha256 of the rows that it was made of is kept, and a call that goes on, or is
        repeated, reads these rows again to compare: it takes as long as reading them, without encoding.

        Arguments:
            source: A file, a folder or any other data like those of the run.
            out: The folder; a name with an ending is that of a file, which :meth:`encode_file` writes.
            rows_per_shard: Rows in a file; by default those of some 64 MiB.
            progress: Whether to show progress on standard error.

        Raises:
            ConfigError: If the model has no encoder, or needs labels that the source does not have.
            DataError: If the source cannot be read, or has other rows than the run.
            OutputError: As :meth:`write_samples`, or if the folder holds codes of rows that have changed in
                the source since.
        """
        self.need_encoder()
        request: dict[str, Any] = {
            **self._identity("codes"),
            "source": os.path.abspath(source) if isinstance(source, (str, os.PathLike)) else None,
        }
        folder = folder_of(out, "encode_file", request)
        rows = self._rows_of(source, progress)

        def batches(start: int, stop: int, digest: hashlib._Hash) -> Iterator[Batch]:
            for part in self._slices(start, stop):
                y = rows.y[part] if self.model.n_conditions and rows.y is not None else None
                x = take(rows.x, part)
                for values in (x, y):
                    if values is not None:
                        digest.update(values.contiguous().numpy().data)
                yield Split(x, y, scaling=rows.scaling).batch(slice(None))

        def make(file: Writer, start: int, stop: int, show: Show) -> str:
            digest = hashlib.sha256()
            codes = (self._encode(*batch) for batch in batches(start, stop, digest))
            array_content(file, counted(codes, show), stop - start)
            return digest.hexdigest()

        def made_of(start: int, stop: int, show: Show) -> str:
            digest = hashlib.sha256()
            for _ in counted((batch.x for batch in batches(start, stop, digest)), show):
                pass
            return digest.hexdigest()

        request["n"], row_bytes = len(rows), 4 * self.model.prior.latent_dim
        writer = self._writer(folder, request, len(rows), rows_per_shard, row_bytes, "npy")
        writer.check_source(made_of, progress)
        return writer.write("encoding", row_bytes, make, progress, "out")

    def _identity(self, holds: str) -> dict[str, Any]:
        """What tells which model made the rows of a folder."""
        return {
            "holds": holds, "recipe": self.config["recipe"], "run": self.config["id"], "step": self.step,
        }  # fmt: skip

    def _writer(
        self,
        folder: Path,
        request: dict[str, Any],
        n: int,
        rows_per_shard: int | None,
        row_bytes: float,
        format: str,
    ) -> ShardWriter:
        if rows_per_shard is None:
            # Whole chunks, so that a chunk is never cut short by the end of a file.
            fit = max(int(SIZE / row_bytes) // self.chunk, 1) * self.chunk
            rows_per_shard = min(fit, MOST_ROWS) if format == "npy" else MOST_LINES
        size = check_int("rows_per_shard", rows_per_shard, least=1)
        return ShardWriter(folder, request | {"rows_per_shard": size}, n, size, f".{format}")

    def _format(self, format: str | None) -> str:
        known = renderer_for(self.modality, self.codec).formats
        if format is not None and format not in known:
            raise ConfigError(
                f"unknown {option_name('format')} {format!r} of {self.modality} data: "
                f"{nearest(format, known)}"
            )
        return format or known[0]

    def _as_bytes(self, dtype: str) -> bool:
        """Whether pixels become bytes."""
        if dtype not in get_args(PixelType):
            raise ConfigError(
                f"unknown {option_name('dtype')} {dtype!r}: {nearest(dtype, get_args(PixelType))}"
            )
        pixels = self.modality == "image" and isinstance(self.spec.scaling, UnitInterval)
        if dtype == "uint8" and not pixels:
            raise ConfigError(
                f"{option_name('dtype', 'uint8')} is for images in [0, 1], {self.path} is on {self.modality} "
                f"data, {self.spec.range}"
            )
        return dtype == "uint8"


def counted(parts: Iterator[Tensor], show: Callable[[int], None]) -> Iterator[Tensor]:
    """The parts; each time one has been used, the number of rows so far is shown."""
    done = 0
    for part in parts:
        yield part
        done += len(part)
        show(done)


@contextmanager
def channels_last(module: nn.Module) -> Iterator[None]:
    """Inside, the weights of convolutions on the CPU lie in memory with their channels last.

    The last bits of what they compute are others; it takes a tenth to a quarter less time.
    """
    weights = [
        one.weight
        for one in module.modules()
        if isinstance(one, (nn.Conv2d, nn.ConvTranspose2d)) and one.weight.device.type == "cpu"
    ]
    before = [weight.data for weight in weights]
    for weight in weights:
        weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    try:
        yield
    finally:
        for weight, data in zip(weights, before, strict=True):
            weight.data = data


__all__ = ["PixelType", "ShardFormat", "ShardedRun", "channels_last"]
