"""Options that several commands share."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from pushforward.cli.opening import kinds_of

RunFolder = Annotated[Path, Parameter(help="The folder of the run.")]
RunData = Annotated[
    str | None,
    Parameter(
        name="--data",
        help="The data that the run was trained on, such as a .npz file with x and y, if they were given in "
        "memory or are no longer where they were.",
        show_default=False,
    ),
]
JsonFlag = Annotated[
    bool,
    Parameter(
        name="--json",
        help="Print the results as JSON on standard output.",
        negative=(),
        show_default=False,
    ),
]
Features = Annotated[
    str,
    Parameter(
        help="The features in which samples are compared with data: auto, quick, pixels, pca, classifier, "
        "imagenet, inception, the folder of a classifier, or a .safetensors file of Inception weights."
    ),
]
Evaluate = Annotated[
    Literal["none", "quick", "full"],
    Parameter(
        help="What is said of the run when it has been trained: none, nothing; quick, how good samples, "
        "reconstructions and codes are, and what to try next; full, all metrics as well, for which a "
        "classifier is trained where the data have labels."
    ),
]
Sampler = Annotated[
    str,
    Parameter(
        help="Distribution of the codes that samples are decoded from: prior; or gmm or flow, fitted to "
        "the codes of training rows."
    ),
]
Device = Annotated[
    str,
    Parameter(help="Device to compute on: auto (CUDA, else MPS, else the CPU), cpu, cuda, ..."),
]
RowsPerShard = Annotated[
    int | None,
    Parameter(help="Rows in a file of a folder; by default those of some 64 MiB, or 65536 lines."),
]
DataDir = Annotated[Path | None, Parameter(name="--data-dir", help="Where the catalogue's files are kept.")]
ImageSize = Annotated[int | None, Parameter(help="Height and width to which images are resized.")]
Columns = Annotated[
    str | None,
    Parameter(
        help="Kinds of columns of a table, such as age=integer,zip=categorical, in the place of those that "
        "are inferred: numeric, integer, categorical, ordinal, boolean, date, constant or identifier."
    ),
]
Target = Annotated[str | None, Parameter(help="Name of the column of a table whose values are the labels.")]
Standardize = Annotated[
    bool, Parameter(help="Whether columns of real numbers are centred and scaled for the model.")
]
ChannelsOf = Annotated[
    Literal["first", "last"] | None,
    Parameter(
        help="Where the channels of an array of images are, if there are not 1 or 3 of them; of three "
        "axes, that it holds series, (N, T, C) or (N, C, T), not grey images."
    ),
]
Held = Annotated[
    str | None,
    Parameter(
        help="The held-out rows, in the place of a tenth at random: a file or other data of their own."
    ),
]
Group = Annotated[
    str | None,
    Parameter(
        help="A column, such as that of a person: rows with the same value are on the same side of the split."
    ),
]


@dataclass(frozen=True)
class Reading:
    """How data are read, as the options of a command."""

    data_dir: DataDir = None
    image_size: ImageSize = None
    columns: Columns = None
    target: Target = None
    standardize: Standardize = True
    channels: ChannelsOf = None
    test: Held = None
    group: Group = None

    def arguments(self) -> dict[str, Any]:
        """The arguments of a function of Python that reads data."""
        given = {one.name: getattr(self, one.name) for one in fields(self)}
        return given | {"columns": kinds_of(self.columns)}


AsRead = Annotated[Reading, Parameter(name="*")]
AS_USUAL = Reading()
Words = Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())]
Numbers = Annotated[list[int] | None, Parameter(consume_multiple=True, negative=())]

__all__ = [
    "AS_USUAL", "AsRead", "Columns", "DataDir", "Device", "Evaluate", "Features", "ImageSize", "JsonFlag",
    "Numbers", "Reading", "RowsPerShard", "RunData", "RunFolder", "Sampler", "Target", "Words",
]  # fmt: skip
