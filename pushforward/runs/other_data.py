"""Other data than those that a run was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pushforward.data.catalogue import opened_like
from pushforward.data.dataset import LEAST, Dataset
from pushforward.data.spec import DataSpec
from pushforward.data.split import Split
from pushforward.errors import ConfigError, DataError, PushforwardError
from pushforward.models import Model
from pushforward.runs.trained_model import differs, read_as
from pushforward.wording import option_name


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
        found = read_as(config, spec.codec, source)
    except PushforwardError:
        found = None  # not read as the data of the run were, it is of other data
    if found is not None and differs(config, found) is None:
        return found, None
    # What was read with the run's own held-out rows holds these, too.
    fits = found is not None and found.shape == spec.shape and config["data"]["test"] is None
    name, rows = opened_like(found if fits else source, spec, data_dir=config["data"]["data_dir"])
    if len(rows) < LEAST:
        raise DataError(f"{name}: expected at least {LEAST} rows, found {len(rows)}")
    return None, (name, rows)


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


__all__ = ["check_labels", "own_or_other"]
