"""Pages: one self-contained HTML file for a run or a comparison, that opens offline and on a phone."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pushforward.evaluation.table import extractor, lines, reached
from pushforward.report.pictures import RunPlots, pairs, picture, show_codes, show_curves, show_vectors

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from pushforward.evaluation.diagnosis import Finding


SHOWN = 24  # rows of lines on a page


@dataclass(frozen=True)
class Panel:
    """A picture of a page: a caption, and either PNG bytes in base64, of pixels or of a plot, or SVG.

    Of text it is rows of lines instead; those of a row belong together.
    """

    caption: str
    png: str = ""
    svg: str = ""
    kind: str = "pixels"
    rows: tuple[tuple[str, ...], ...] = ()


def run_page(
    album: RunPlots, results: Mapping[str, Any], findings: Sequence[Finding], config: Mapping[str, Any]
) -> str:
    """A whole run as HTML.

    Arguments:
        album: What there is to look at.
        verdict: Its figures.
        findings: What the doctor says, causes first.
        config: What was trained on what.
    """
    data = config["data"]
    warnings = [
        {"step": line["step"], "words": words} for line in album.history for words in line.get("warnings", [])
    ]
    return render(
        "run.html",
        title=f"{config['recipe']} on {data['name']}",
        meaning=config["meaning"],
        step=results["step"],
        seed=config["seed"],
        rows=data["rows"],
        shape=tuple(data["shape"]),
        range=results["range"],
        sha256=data["sha256"],
        findings=findings,
        reached=reached(results),
        warnings=warnings,
        samples=_samples(album),
        through=_through(album),
        latent_dim=_latent(album),
        extractor=extractor(results),
        lines=list(lines(results)),
        curves=curves("the formula's terms and the codes' MMD² over steps", album.history),
        config=json.dumps(config, indent=1, ensure_ascii=False),
        results=json.dumps(results, indent=1, ensure_ascii=False),
    )


def render(template: str, **values: Any) -> str:
    """A page from one of our templates; every text is escaped."""
    from jinja2 import Environment, PackageLoader

    from pushforward import __version__

    loader = PackageLoader("pushforward.report", "templates")
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template(template).render(version=__version__, **values)


def image_plate(caption: str, image: Image) -> Panel:
    """A picture as PNG."""
    buffer = io.BytesIO()
    image.save(buffer, format="png", optimize=True)
    return Panel(caption, png=base64.b64encode(buffer.getvalue()).decode())


def line_plate(caption: str, lines: Sequence[str], columns: int = 1) -> Panel:
    """Lines of text, so many to a row."""
    return Panel(caption, rows=tuple(zip(*[iter(lines)] * columns, strict=True)))


def plot_plate(caption: str, draw: Callable[[Any], None], size: tuple[float, float] = (7, 4)) -> Panel:
    """A plot as PNG: thousands of points would make a large SVG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    draw(figure.subplots())
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return Panel(caption, png=base64.b64encode(buffer.getvalue()).decode(), kind="plot")


def curves(caption: str, history: list[dict[str, Any]]) -> Panel:
    """Curves as SVG, sharp at any size."""
    import matplotlib
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.6), layout="constrained")
    show_curves(figure.subplots(), history)
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "pushforward"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return Panel(caption, svg=text[text.index("<svg") :])


def _rows(caption: str, rows: Tensor, album: RunPlots, columns: int) -> Panel:
    if album.drawable:
        return image_plate(caption, picture(rows[: 8 * columns], columns))
    if album.read:
        return line_plate(caption, album.read(rows[: SHOWN * columns]), columns)
    given = ("held-out data", album.originals)
    return plot_plate(caption, lambda axes: show_vectors(axes, "", [given, (caption.split(",")[0], rows)]))


def _samples(album: RunPlots) -> list[Panel]:
    columns = 1 if album.read else 12
    plates = [_rows("decoded draws of the prior, the first ones drawn", album.samples, album, columns)]
    if album.by_class is not None and album.drawable:
        sheet = picture(album.by_class.flatten(0, 1), album.by_class.shape[1])
        plates.append(image_plate("a row for every class, a column for every draw beside it", sheet))
    return plates


def _through(album: RunPlots) -> list[Panel]:
    if album.back is None or album.paths is None:
        return []
    if album.read:
        beside = pairs(album.originals, album.back)
        return [
            _rows("held-out lines, each with its reconstruction", beside, album, 2),
            _rows(
                "from one held-out line to another", album.paths.flatten(0, 1), album, album.paths.shape[1]
            ),
        ]
    if album.traversals is None:
        return [
            _rows("reconstructions", album.back, album, 12),
            _rows("interpolations", album.paths.flatten(0, 1), album, 12),
        ]
    walks, dimensions = album.traversals
    named = ", ".join(str(number) for number in dimensions)
    n = min(len(album.originals), 48)
    beside = pairs(album.originals[:n], album.back[:n])
    return [
        _rows("held-out data, each beside its reconstruction", beside, album, 12),
        _rows("from one held-out image to another", album.paths.flatten(0, 1), album, album.paths.shape[1]),
        image_plate(
            f"walks along one latent dimension each: number {named}",
            picture(walks.flatten(0, 1), walks.shape[1]),
        ),
    ]


def _latent(album: RunPlots) -> list[Panel]:
    codes = album.codes
    if codes is None:
        return []
    size = (5, 4.2)
    labelled = "" if album.labels is None else ", coloured by label"
    plates = [
        plot_plate(
            f"codes of held-out data{labelled}, and draws of the prior in grey",
            lambda axes: show_codes(axes, codes, album.labels, album.prior),
            size,
        )
    ]
    if album.plane is not None and codes.shape[1] > 2:
        plates.append(
            plot_plate(
                "the same in the plane where mean and covariance differ most from the prior's",
                lambda axes: show_codes(axes, codes, album.labels, album.prior, album.plane),
                size,
            )
        )
    return plates


__all__ = ["Panel", "curves", "image_plate", "line_plate", "plot_plate", "render", "run_page"]
