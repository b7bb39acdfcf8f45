"""Data sets of the library ``datasets`` of Hugging Face, by their features: images, text or numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pushforward.data.arrays import NAMED_BY, from_arrays
from pushforward.data.dataset import Dataset
from pushforward.data.formats import OpenOptions, data_format
from pushforward.data.items import Y_KEYS, Item, read_items
from pushforward.data.lines import TextFile, split_lines, text_dataset
from pushforward.errors import DataError, listed

HELD_OUT = ("test", "validation", "valid", "val")  # the first that exists is held out
LISTS = ("List", "LargeList", "Sequence", "Array2D", "Array3D")
TEXTS = ("text", "sentence")
NAMED = 6  # columns that a message names


def _kind(source: object) -> str:
    """The name of a class of the library; empty of all others, and the library is not imported."""
    return type(source).__name__ if type(source).__module__.partition(".")[0] == "datasets" else ""


@data_format("a Dataset or DatasetDict of Hugging Face", accepts=lambda source: bool(_kind(source)))
def open_hugging_face(source: Any, options: OpenOptions) -> Dataset:
    """A map-style data set, or a dict of one for each split, with columns of these kinds.

    Images, if there is a column of them; else lines of text, if there is one column of strings besides the
    labels; else numbers: a column of lists, or all columns of single numbers. Labels are the column of
    ``ClassLabel``, or one that is called ``label`` or the like.

    Raises:
        DataError: If it is a stream, or has no such columns.
    """
    if _kind(source).startswith("Iterable"):
        raise DataError(
            f"{_kind(source)}: expected a data set with len() and [number], found a stream, whose rows "
            "cannot be read by number; load it without streaming=True, or import it by Dataset.from_generator"
        )
    train, test, notes = source, None, []
    if isinstance(source, Mapping):
        held_out = next((name for name in HELD_OUT if name in source), None)
        if "train" not in source:
            raise DataError(f"DatasetDict: expected a split train, found {', '.join(source) or 'none'}")
        train, test = source["train"], None if held_out is None else source[held_out]
        unused = [name for name in source if name not in ("train", held_out)]
        notes = [f"held out: {held_out}"] * bool(held_out) + [f"not used: {', '.join(unused)}"] * bool(unused)
    features = train.features
    label = next((name for name, one in features.items() if type(one).__name__ == "ClassLabel"), None)
    label = label or next((name for name in Y_KEYS if name in features), None)
    others = {name: one for name, one in features.items() if name != label}
    parts = [part.with_format(None) for part in (train, test) if part is not None]
    words = [name for name, one in others.items() if _value(one) == "string"]
    images = [name for name, one in others.items() if type(one).__name__ == "Image"]
    if not images and words and (len(others) == 1 or any(name in TEXTS for name in words)):
        text = next((name for name in TEXTS if name in words), words[0])
        data = _text(parts, text, label, options)
    else:
        data = _numbers(parts, others, images, label, options)
    data = data.noted(*notes)
    return replace(data, name=f"{data.name}-{data.fingerprint[:NAMED_BY]}")


def _value(feature: Any) -> str:
    """The type of a column of single values: "string", "number", or empty."""
    kind = str(feature.dtype) if type(feature).__name__ == "Value" else ""
    if kind in ("string", "large_string"):
        return "string"
    return "number" if kind.startswith(("int", "uint", "float", "bool")) else ""


def _names(part: Any, label: str | None) -> Sequence[str]:
    """The names of the classes of a column of ``ClassLabel``."""
    feature: Any = None if label is None else part.features[label]
    return list(feature.names) if type(feature).__name__ == "ClassLabel" else []


def _text(parts: list[Any], text: str, label: str | None, options: OpenOptions) -> Dataset:
    files: list[dict[str, TextFile]] = []
    for part in parts:
        names = _names(part, label)
        lines: dict[str, list[str]] = {}
        labels = [""] * len(part) if label is None else part[label][:]
        for line, y in zip(part[text][:], labels, strict=True):
            lines.setdefault(names[y] if names else str(y), []).append(" ".join((line or "").split()))
        files.append(
            {style: TextFile(lines[style], f"{text} of {style or 'all'}") for style in sorted(lines)}
        )
    train, test = files if len(files) == 2 else split_lines(files[0])
    return text_dataset(text, train, test, options=options)


def _numbers(
    parts: list[Any], others: Mapping[str, Any], images: list[str], label: str | None, options: OpenOptions
) -> Dataset:
    lists = [name for name, one in others.items() if type(one).__name__ in LISTS or isinstance(one, list)]
    column = next(iter([*images, *lists]), None)
    numbers = [name for name, one in others.items() if _value(one) == "number"]
    unused = [name for name in others if name != column and (column or name not in numbers)]
    if column is None and not numbers:
        raise DataError(f"expected a column of images, text or numbers, found {listed(list(others), NAMED)}")
    arrays: dict[str, Any] = {}
    notes = [f"not used: {', '.join(unused)}"] * bool(unused)
    for part, end in zip(parts, ("train", "test") if len(parts) == 2 else ("",), strict=True):
        found: dict[str, Any]
        if column is not None:
            rows = part.select_columns([column, *([label] if label else [])])
            read = read_items(rows, column, options, lambda item: Item(_array(item[column]), item.get(label)))
            found, notes = read.arrays, notes + read.notes
        else:
            found = {"x": np.stack([np.asarray(part[name][:], np.float64) for name in numbers], 1)}
            found |= {} if label is None else {"y": part[label][:]}
        arrays |= {f"{key}_{end}" if end else key: value for key, value in found.items()}
    data = from_arrays(arrays, column or "columns", None, options).noted(*notes)
    names = _names(parts[0], label)
    if data.train.y is None or not names:
        return data
    return replace(data, classes=tuple(names[int(one)] for one in data.labels))


def _array(value: Any) -> Any:
    return np.asarray(value) if isinstance(value, list) else value


__all__ = ["open_hugging_face"]
