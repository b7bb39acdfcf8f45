"""The data that a run was trained on, read again, and other data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pushforward.codec import Codec
from pushforward.data.catalogue import open_for, opened_like
from pushforward.data.dataset import LEAST, Dataset
from pushforward.data.scaling import scaling_from_json
from pushforward.data.spec import DataSpec
from pushforward.data.split import Split
from pushforward.errors import ConfigError, DataError, PushforwardError
from pushforward.models import Model
from pushforward.runs.config import DATA
from pushforward.wording import option_name

READING = (  # how a source was read
    "data_dir", "image_size", "max_length", "standardize", "channels", "on_bad", "columns", "target", "test",
    "group",
)  # fmt: skip


def own_or_other(
    config: dict[str, Any], spec: DataSpec, source: Any
) -> tuple[Dataset | None, tuple[str, Split] | None]:
    """The data that a run was trained on, if a source holds these; else name and rows of other data.

    Arguments:
        config: The configuration of the run.
        spec: The description of its data.
        source: The source; None for none.

    Raises:
        DataError: If it cannot be read, or its rows do not fit the run.
    """
    if source is None:
        return None, None
    try:
        found = read_as(config, spec.codec, source, later=True)
    except PushforwardError:
        found = None  # not read as the data of the run were, it is of other data
    if found is not None and len(found.train) == spec.n_train and differs(config, found) is None:
        return found, None
    # What was read with the run's own held-out rows holds these, too.
    fits = found is not None and found.shape == spec.shape and config["data"]["test"] is None
    again = found if fits else source
    opened, rows = opened_like(again, spec, data_dir=config["data"]["data_dir"], later=True)
    if len(rows) < LEAST:
        raise DataError(f"{opened.name}: expected at least {LEAST} rows, found {len(rows)}")
    return None, (opened.name, rows)


def check_labels(rows: Split, model: Model, path: Path) -> None:
    """Checks that rows have the labels that a model needs.

    Raises:
        ConfigError: If the model is conditional and the label of a row is not known.
    """
    if model.n_conditions and (rows.y is None or bool((rows.y < 0).any())):
        raise ConfigError(
            f"{path} was trained with {option_name('conditional', True)}: every row needs a label "
            f"of its classes, and {'there are none' if rows.y is None else 'some are unknown'}"
        )


def read_as(config: dict[str, Any], codec: Codec | None, source: Any, later: bool = False) -> Dataset:
    """Data that are read as those of a run were, and their values on its scale.

    Raises:
        ConfigError: If they cannot be read so.
        DataError: If they cannot be read.
    """
    how = {name: config["data"][name] for name in READING}
    if isinstance(source, Dataset):  # it has its split
        how |= {"test": None, "group": None}
    scaling = scaling_from_json(config["data"]["scaling"])
    return open_for(source, codec=codec, scaling=scaling, later=later, **how)


def differs(config: dict[str, Any], data: Dataset) -> str | None:
    """What of data is not as a run was trained on it, in words; None if they are the same."""
    about, found = config["data"], {**data.spec.as_json(), "sha256": data.fingerprint}
    for part in DATA:
        if json.dumps(found[part]) != json.dumps(about[part]):
            wanted, got = (f"{one[part]!s:.60}" for one in (about, found))
            return f"{part} should be {wanted}, is {got}"
    return None


__all__ = ["READING", "check_labels", "differs", "own_or_other", "read_as"]
