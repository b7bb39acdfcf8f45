"""What every renderer of rows does, and the registry of renderers by modality."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor

from pushforward.codec import Codec
from pushforward.errors import ConfigError, OutputError
from pushforward.files import Writer, remove_stale, write_atomic
from pushforward.reading import size_in_words
from pushforward.report.axes import NamedSamples
from pushforward.report.panels import Panel
from pushforward.report.plot_data import PlotData
from pushforward.wording import option_name

if TYPE_CHECKING:
    from PIL.Image import Image

HELD_OUT = "held-out data"
SAMPLES = "decoded draws of the prior"


class Renderer(ABC):
    """Shows rows of one modality in figures, pages and files.

    A subclass is registered under the name of its modality.

    Attributes:
        modality: The name of the modality.
        rows_are: What rows are called in errors.
        suffix: Ending of the file that rows are written to by default; ``.npy`` can always be written.
        shows_grids: Whether samples by class and latent traversals are shown.
        shows_own_values: Whether examples of data are shown in their own values, not in those a model sees.
        n_samples: Samples in the overview, at most.
        n_pairs: Held-out rows with their reconstructions in the overview, at most.
        samples_over_data: Whether samples are drawn over held-out data, which need no panel of their own.
        n_paths: Paths of an animation that leads from some rows to others.
        pair_columns: Rows to a line of a file that holds pairs of rows.
        in_parts: Whether the content of a file is that of its parts, one after the other.
        formats: Endings, without the dot, of files of however many rows; the first one is the default.
        array_holds: What the numbers of a ``.npy`` file are, if they are not the values of the data.
    """

    modality: ClassVar[str]
    rows_are: ClassVar[str]
    suffix: ClassVar[str]
    shows_grids: ClassVar[bool] = False
    shows_own_values: ClassVar[bool] = False
    n_samples: ClassVar[int] = 96
    n_pairs: ClassVar[int] = 48
    samples_over_data: ClassVar[bool] = False
    n_paths: ClassVar[int] = 8
    pair_columns: ClassVar[int] = 8
    in_parts: ClassVar[bool] = False
    formats: ClassVar[tuple[str, ...]] = ("npy",)
    array_holds: ClassVar[str] = ""

    def __init__(self, codec: Codec | None = None) -> None:
        self.codec = codec

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        RENDERERS[cls.modality] = cls

    def count(self, shown: int, n_held_out: int) -> int:
        """Number of samples to draw where ``shown`` are shown beside ``n_held_out`` held-out rows."""
        return shown

    def draw_rows(self, figure: Any, plots: PlotData) -> None:
        """Draws samples, and held-out rows with their reconstructions, in a figure.

        Without reconstructions held-out rows are drawn alone, to compare the samples with.
        """
        if plots.reconstructions is None and self.samples_over_data:
            return self.draw_samples(figure, plots, self.n_samples)
        above, below = figure.subfigures(2, 1)
        if plots.by_class is not None:
            self.draw_classes(above, plots)
        else:
            self.draw_samples(above, plots, self.n_samples)
        if plots.reconstructions is None:
            self.draw_held_out(below, plots, self.n_samples)
        else:
            self.draw_reconstructions(below, plots, self.n_pairs)

    @abstractmethod
    def draw_samples(self, figure: Any, plots: PlotData, n: int) -> None:
        """Draws the first n samples."""

    @abstractmethod
    def draw_held_out(self, figure: Any, plots: PlotData, n: int) -> None:
        """Draws the first n held-out rows."""

    @abstractmethod
    def draw_reconstructions(self, figure: Any, plots: PlotData, n: int) -> None:
        """Draws the first n held-out rows with their reconstructions."""

    def draw_classes(self, figure: Any, plots: PlotData) -> None:
        """Draws samples of every class.

        Raises:
            ConfigError: Unless ``shows_grids``.
        """
        raise ConfigError(f"samples of every class are drawn of images; the rows are {self.rows_are}")

    def draw_traversals(self, figure: Any, plots: PlotData) -> None:
        """Draws traversals of single latent dimensions.

        Raises:
            ConfigError: Unless ``shows_grids``.
        """
        raise ConfigError(f"traversals are drawn of images; the rows are {self.rows_are}")

    @abstractmethod
    def figure_size(self, rows: Tensor, columns: int = 0) -> tuple[float, float]:
        """Width and height in inches of a figure of rows, ``columns`` of them side by side."""

    @abstractmethod
    def draw_interpolations(self, axes: Any, interpolations: Tensor, plots: PlotData) -> None:
        """Draws decoded paths (K, steps, \\*) between codes."""

    def n_previews(self, size: int) -> int:
        """Number of samples to write during training, of rows of ``size`` numbers."""
        return 64

    def preview_frames(
        self, files: Sequence[Path], scaled: Callable[[Tensor], Tensor], data: Tensor | None
    ) -> list[Image]:
        """The frames of an animation of the samples that training has written, one for each file.

        Arguments:
            files: The files, in order.
            scaled: Makes rows that a model sees of rows in the values of the data.
            data: Held-out rows as a model sees them, (M, \\*), if ``samples_over_data``.

        Raises:
            ConfigError: If rows of the modality are not animated.
            DataError: If a file holds something else.
        """
        raise self._not_animated()

    def path_frames(self, rows: Sequence[Tensor], data: Tensor | None) -> list[Image]:
        """The frames of an animation of paths: of each the rows (K, \\*) of all paths at one time.

        Raises:
            ConfigError: If rows of the modality are not animated.
        """
        raise self._not_animated()

    def _not_animated(self) -> ConfigError:
        return ConfigError(
            f"animations are made of images and vectors, the data of this run are {self.modality} data"
        )

    @abstractmethod
    def sample_panels(self, plots: PlotData) -> list[Panel]:
        """Panels of samples."""

    @abstractmethod
    def code_panels(self, reconstructions: Tensor, interpolations: Tensor, plots: PlotData) -> list[Panel]:
        """Panels of what passes through the codes: reconstructions, interpolations, traversals."""

    @abstractmethod
    def tile(self, caption: str, samples: NamedSamples) -> Panel:
        """A small panel of the last of the samples; a scatter plot shows the others too."""

    @abstractmethod
    def example_panel(self, caption: str, rows: Tensor) -> Panel:
        """A small panel of the first rows of a data set, or of what its columns hold."""

    def text(self, rows: Tensor, columns: int | None = None) -> str:
        """What is printed of rows besides the name of their file."""
        return ""

    def check_suffix(self, path: Path) -> None:
        """Checks the ending of a file.

        Raises:
            ConfigError: If it is neither ``suffix`` nor ``.npy``.
        """
        if path.suffix not in (self.suffix, ".npy"):
            raise ConfigError(
                f"{option_name('out')} must end in {' or '.join(sorted({self.suffix, '.npy'}))}, got {path}"
            )

    def save(self, rows: Tensor, path: Path, columns: int | None = None) -> None:
        """Writes rows to a file, as the modality's own kind of file or as an array.

        Raises:
            ConfigError: If the path ends in neither ``suffix`` nor ``.npy``.
            OutputError: If the file cannot be written.
        """
        self.check_suffix(path)
        if path.suffix == ".npy":
            write_atomic(path, lambda file: np.save(file, rows.numpy()))
        else:
            write_atomic(path, self._content(rows, columns))

    def note(self, path: Path) -> str:
        """What is said behind the name of a file of rows: what the numbers of an array are, or nothing."""
        return f" ({self.array_holds})" if self.array_holds and path.suffix == ".npy" else ""

    def save_parts(self, parts: Iterator[Tensor], n: int, path: Path, option: str = "n") -> Tensor:
        """Writes n rows that come in parts, of which only pictures are held in memory together.

        ``option`` is what the user is to change if they do not fit: see :func:`check_room`.

        Returns:
            The first part.

        Raises:
            ConfigError: If the path ends in neither ``suffix`` nor ``.npy``, or a picture would be too large.
            OutputError: If the file cannot be written, or there is no room for it on the disk.
        """
        self.check_suffix(path)
        first = next(parts)
        rest = chain((first,), parts)
        if path.suffix == ".npy":
            write_array(path, rest, n, option)
        else:
            if not self.in_parts:
                self.check_count(n, first, option)
            write_atomic(path, lambda file: self.write_parts(file, rest, n, path))
        return first

    def write_parts(self, file: Writer, parts: Iterable[Tensor], n: int, path: Path) -> None:
        """Writes n rows that come in parts to an open file, as what its name ``path`` says."""
        if path.suffix == ".npy":
            array_content(file, parts, n)
        elif self.in_parts:
            for part in parts:
                file.write(self._content(part, None))
        else:
            file.write(self._content(torch.cat(list(parts)), None))

    def check_count(self, n: int, rows: Tensor, option: str = "n") -> None:  # noqa: B027
        """Checks that n rows such as these fit into one file of the modality's own kind.

        Raises:
            ConfigError: If they do not.
        """

    @abstractmethod
    def _content(self, rows: Tensor, columns: int | None) -> bytes:
        """Rows as the content of the modality's own kind of file."""


RENDERERS: dict[str, type[Renderer]] = {}


def check_room(path: Path, size: int, option: str = "n", shared: str = "") -> None:
    """Checks that there is room for a file, or for files in a folder, of so many bytes.

    Arguments:
        path: The file, or the folder.
        size: The bytes.
        option: The option that is to be changed if there is not: "n" or "out".
        shared: How many files share the bytes, in words: " in 3 shards".

    Raises:
        OutputError: If there is not.
    """
    place = next((one for one in (path, *path.absolute().parents) if one.is_dir()), None)
    free = size if place is None else shutil.disk_usage(place).free
    if size > free:
        sizes = f"it takes {size_in_words(size)}{shared}, {size_in_words(free)} are free"
        advice = f"lower {option_name('n')}" if option == "n" else f"choose another {option_name(option)}"
        raise OutputError(f"{path} cannot be written: {sizes}; {advice}")


def write_array(path: Path, parts: Iterable[Tensor], n: int, option: str = "n") -> None:
    """Writes n rows that come in parts as a ``.npy`` file; what killed processes left of it is removed.

    Arguments:
        path: The file.
        parts: The rows.
        n: Their number.
        option: See :func:`check_room`.

    Raises:
        OutputError: If it cannot be written, or there is no room for it on the disk.
    """
    rest = iter(parts)
    first = next(rest)
    remove_stale(path)
    check_room(path, n * first[0].numel() * first.element_size(), option)
    write_atomic(path, lambda file: array_content(file, chain((first,), rest), n))


def array_content(file: Writer, parts: Iterable[Tensor], n: int) -> None:
    """Writes parts to an open file, as one array of n rows in numpy's format."""
    begun = False
    for part in parts:
        rows = part.contiguous().numpy()
        if not begun:
            header = {"descr": rows.dtype.str, "fortran_order": False, "shape": (n, *rows.shape[1:])}
            np.lib.format.write_array_header_1_0(cast(IO[bytes], file), header)
            begun = True
        file.write(rows.tobytes())


__all__ = ["HELD_OUT", "RENDERERS", "SAMPLES", "Renderer", "array_content", "check_room", "write_array"]
