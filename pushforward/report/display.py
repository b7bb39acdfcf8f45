"""What a notebook and the Python prompt show of a data set, a run and its results.

Nothing is evaluated or trained for it, and nothing fails: where there is no HTML, a notebook shows the text.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pushforward.data.dataset import Dataset
from pushforward.errors import listed
from pushforward.evaluation.findings import Findings
from pushforward.evaluation.table import extractor, lines, sentences
from pushforward.reading import read_file
from pushforward.report.images import is_whole_png
from pushforward.report.page import render
from pushforward.report.panels import Panel, file_panel
from pushforward.report.renderers import renderer_for

if TYPE_CHECKING:
    PlatformPath = Path
else:
    PlatformPath = type(Path())  # Path itself cannot be subclassed before Python 3.12

T = TypeVar("T")
NAMES = 20  # of classes that are listed
ROWS = 10_000  # of which a table of columns is made, at most


def never_fails(display: Callable[[T], str | None]) -> Callable[[T], str | None]:
    """Decorates a display: an error makes a notebook show the text in its place."""

    @wraps(display)
    def wrapper(self: T) -> str | None:
        try:
            return display(self)
        except (
            Exception
        ):  # a folder that is gone, results of another version: a display is no place for errors
            return None

    return wrapper


def fragment(
    title: str,
    description: str = "",
    *,
    facts: Iterable[Sequence[str]] = (),
    panels: Iterable[Panel] = (),
    tables: Iterable[Mapping[str, Any]] = (),
    notes: Iterable[Mapping[str, str]] = (),
    sentences: Iterable[str] = (),
) -> str:
    """A part of a page: a title above notes, a table of facts, tables, sentences and panels."""
    values = dict(facts=[*facts], panels=[*panels], tables=[*tables], notes=[*notes], sentences=[*sentences])
    return render("display.html", title=title, description=description, **values)


# ------------------------------------------------------------------------------------------ data and runs


@never_fails
def dataset_html(data: Dataset) -> str:
    """A table about a data set, and its first training rows: pictures, lines, or what columns hold."""
    facts = [("training rows", f"{len(data.train):,}"), ("held-out rows", f"{len(data.test):,}"),
             ("shape of a row", str(data.shape)), ("values", data.range)]  # fmt: skip
    if data.labels:
        facts.append(("classes", f"{len(data.labels)}: {listed(data.labels, NAMES)}"))
    if data.factors:
        facts.append(("factors", ", ".join(data.factors)))
    if data.source:
        facts.append(("from", data.source))
    split, renderer = data.train, renderer_for(data.modality, data.codec)
    rows = split.x[:ROWS] if renderer.shows_own_values else split.batch(slice(0, ROWS // 100)).x
    panels = [renderer.example_panel("first training rows", rows)]
    return fragment(data.name, facts=facts, panels=panels, notes=[{"words": note} for note in data.notes])


Dataset.display = staticmethod(dataset_html)


class PicturePath(PlatformPath):
    """The path of a PNG file, which a notebook shows as the picture."""

    def _repr_png_(self) -> bytes | None:
        try:
            return read_file(self)
        except OSError:
            return None


class AnimationPath(PlatformPath):
    """The path of a GIF, which a notebook plays."""

    def _repr_html_(self) -> str | None:
        try:
            content = base64.b64encode(read_file(self)).decode()
        except OSError:
            return None
        return f'<img src="data:image/gif;base64,{content}" alt="{self.stem}">'


def picture_of(path: Path, caption: str) -> list[Panel]:
    """A panel of a PNG file; none if it is missing or was cut off."""
    return [file_panel(caption, path)] if is_whole_png(path) else []


# ------------------------------------------------------------------------------------------------ results


class Results(dict[str, Any]):
    """The results of an evaluation by group of metrics: a dict that is shown as a table."""

    def __repr__(self) -> str:
        return "\n".join(printed(self)) if "features" in self else super().__repr__()

    @never_fails
    def _repr_html_(self) -> str:
        evaluated = f"evaluation of {self['run']}" if "run" in self else None
        return fragment(
            evaluated or f"{self['generated']} against {self['real']}",
            about(self),
            facts=lines(self),
            sentences=(*explained(self), *sentences(self)),
        )


def about(results: Mapping[str, Any]) -> str:
    """What must be said next to every score: of which step and other data they are, if they are a run's."""
    step = f"step {results['step']}; " if "step" in results else ""
    return step + _on_other_data(results.get("data")) + extractor(results)


def _on_other_data(data: Mapping[str, Any] | None) -> str:
    """On which data a run was evaluated, if it was not trained on them."""
    if data is None:
        return ""
    own = f"not on the data it was trained on ({data['trained_on']})"
    if data["training_rows"] == data["name"]:
        return (
            f"evaluated on {data['n_rows']} rows of {data['name']}, {own}, of which the other half stand in "
            "for the training rows; "
        )
    return f"evaluated on all {data['n_rows']} rows of {data['name']}, {own}; "


def explained(results: Mapping[str, Any]) -> list[str]:
    """What ± is, if it is there."""
    if any("±" in value for _, value, _ in lines(results)):
        return ["± is one standard error; of a metric without ± none is estimated"]
    return []


def printed(results: Mapping[str, Any], named: Sequence[str] = ()) -> Iterator[str]:
    """The lines of text that results are printed as.

    Arguments:
        results: The results.
        named: The groups of metrics that were asked for by name: of these alone it is said that they are
            missing.
    """
    yield about(results)
    yield from explained(results)
    found = list(lines(results))
    names, values = (max((len(line[i]) for line in found), default=0) for i in (0, 1))
    for name, value, explanation in found:
        yield f"{name:<{names}}  {value:<{values}}  {explanation}"
    yield from sentences(results, named)


@never_fails
def findings_html(findings: Findings) -> str:
    """The grades of a run, its findings, and what to try next."""
    also = [("also", f"{finding.name}: {finding.words}") for finding in findings[1:]]
    return fragment("summary of the doctor", findings.features, facts=[*findings.table(), *also])


Findings.display = staticmethod(findings_html)

__all__ = ["PicturePath", "Results", "fragment", "never_fails", "picture_of", "printed"]
