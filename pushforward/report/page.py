"""Pages: one self-contained HTML file for a run or a comparison, that opens offline and on a phone."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pushforward._version import __version__
from pushforward.console import visible
from pushforward.evaluation.table import extractor, lines
from pushforward.report.axes import show_codes
from pushforward.report.panels import Panel, curves_panel, plot_panel
from pushforward.report.plot_data import PlotData
from pushforward.report.renderers import Renderer

if TYPE_CHECKING:
    from pushforward.evaluation.findings import Findings


def run_page(
    plots: PlotData,
    renderer: Renderer,
    results: Mapping[str, Any],
    findings: Findings,
    config: Mapping[str, Any],
) -> str:
    """The report of a run as HTML.

    Arguments:
        plots: What there is to show.
        renderer: How rows of the run's modality are shown.
        results: The results of its evaluation.
        findings: The grades and findings of the doctor.
        config: The run's configuration.
    """
    data = config["data"]
    warnings = [
        {"step": line["step"], "words": words} for line in plots.history for words in line.get("warnings", [])
    ]
    back, paths = plots.reconstructions, plots.interpolations
    through = [] if back is None or paths is None else renderer.code_panels(back, paths, plots)
    return render(
        "run.html",
        title=f"{config['recipe']} on {data['name']}",
        description=config["description"],
        step=results["step"],
        seed=config["seed"],
        rows={"train": data["n_train"], "test": data["n_test"]},
        shape=tuple(data["shape"]),
        range=results["range"],
        sha256=data["sha256"],
        findings=findings,
        warnings=warnings,
        samples=renderer.sample_panels(plots),
        through=through,
        latent=latent_panels(plots),
        extractor=extractor(results),
        lines=list(lines(results)),
        curves=curves_panel("the terms of the loss and the latent MMD² over training steps", plots.history),
        config=json.dumps(config, indent=1, ensure_ascii=False),
        results=json.dumps(results, indent=1, ensure_ascii=False),
    )


def render(template: str, **values: Any) -> str:
    """A page from one of the templates; every text is escaped, and control characters are made visible."""
    from jinja2 import Environment, PackageLoader

    loader = PackageLoader("pushforward.report", "templates")
    environment = Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, finalize=_printable
    )
    environment.filters["unbroken"] = unbroken
    return environment.get_template(template).render(version=__version__, **values)


def unbroken(text: str) -> Any:
    """A text whose options, such as --steps 300, are not broken at the end of a line."""
    from markupsafe import Markup, escape

    parts = re.split(r"(?<!\S)(--[a-z][\w-]*(?: [\w.+-]*\w)?)", visible(text))
    return Markup("").join(
        Markup("<span class='unbroken'>{}</span>").format(part) if place % 2 else escape(part)
        for place, part in enumerate(parts)
    )


def _printable(value: Any) -> Any:
    """What a template writes of a value: text that any browser shows; markup as it is."""
    return visible(value) if type(value) is str else value


def latent_panels(plots: PlotData) -> list[Panel]:
    """Scatter plots of codes and draws of the prior; none of models without an encoder."""
    codes = plots.codes
    if codes is None:
        return []
    size, names = (5, 4.2), plots.class_names
    labelled = "" if plots.labels is None else ", coloured by label"
    panels = [
        plot_panel(
            f"codes of held-out data{labelled}, and draws of the prior in grey",
            lambda axes: show_codes(axes, codes, plots.labels, plots.prior, names=names),
            size,
        )
    ]
    if plots.plane is not None and codes.shape[1] > 2:
        panels.append(
            plot_panel(
                "the same in the plane where mean and covariance differ most from the prior's",
                lambda axes: show_codes(axes, codes, plots.labels, plots.prior, plots.plane, names),
                size,
            )
        )
    return panels


__all__ = ["latent_panels", "render", "run_page"]
