"""What is said of a run while it trains and when it has: numbers are explained, and grades come first."""

import re
from itertools import count

import pytest
import torch
from matplotlib.figure import Figure

import pushforward as pf
from pushforward.evaluation import registry
from pushforward.evaluation.diagnosis import Finding
from pushforward.evaluation.findings import Findings
from pushforward.evaluation.grades import Grade
from pushforward.recipes import RECIPES
from pushforward.report import overview as overviews
from pushforward.report.axes import show_curves
from pushforward.report.page import unbroken
from pushforward.rng import Noise
from pushforward.square import Square
from pushforward.training.legend import legend
from pushforward.training.monitor import watch


@pytest.mark.parametrize("name", RECIPES)
def test_every_number_of_a_line_of_progress_is_explained(name):
    data = pf.open_dataset("phrases" if name == "transfer-ae" else "digits")
    model = RECIPES[name](data.spec).model
    x, y = data.train.batch(torch.arange(16))
    named = {}
    for player in model.players():
        named |= player.loss(Square(model, x, Noise(0), y))
    square = Square(model, x, Noise(1), y)
    named |= watch(model, 16).diagnostics(square) | model.diagnostics(square)
    explained = [one.partition(": ")[0] for one in legend(model, named).split("; ")]
    for one in named:
        assert one in explained or one.partition("_")[0] in explained, one


def test_a_legend_is_said_once_and_names_each_number_once(command, tmp_path):
    code, _, err = command(
        "train", "wae-gan", "digits", "--steps", 4, "--out", tmp_path / "run", "--evaluate", "none"
    )
    assert code == 0
    (line,) = [line for line in err.splitlines() if line.startswith("the numbers below are ")]
    names = re.findall(r"(?:are|;) (\w+): ", line)
    assert names == ["reconstruction", "discrepancy", "critic", "std", "mmd"]
    assert "reconstruction: error of reconstructions, less is better" in line
    assert "should be that of the prior, 1;" in line
    assert err.index(line) < err.index("wae-gan on digits 4/4")


def curves(**terms):
    """The axes with the curves of terms, and the axes at their right, if there are any."""
    figure = Figure()
    axes = figure.subplots()
    lines = [
        {"step": step, "terms": {name: values[step] for name, values in terms.items()}} for step in range(100)
    ]
    show_curves(axes, lines)
    return figure.axes


def test_curves_that_are_positive_are_shown_on_a_logarithmic_axis():
    (axes,) = curves(reconstruction=[100.0 / (step + 1) for step in range(100)], discrepancy=[0.1] * 100)
    assert axes.get_yscale() == "log"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["reconstruction", "discrepancy"]
    assert axes.yaxis.get_major_formatter()(0.01) == "0.01"


def test_curves_with_negative_values_are_shown_on_a_linear_axis_that_outliers_do_not_stretch():
    signed = [1e6, -3.0, *([0.5, -0.5] * 49)]
    (axes,) = curves(discrepancy=signed)
    assert axes.get_yscale() == "linear"
    low, high = axes.get_ylim()
    assert -1 < low < -0.5 < 0.5 < high < 1
    left, right = curves(reconstruction=[10.0] * 100, discrepancy=signed)
    assert (left.get_yscale(), right.get_yscale()) == ("log", "linear")
    assert [text.get_text() for text in left.get_legend().get_texts()] == [
        "reconstruction",
        "discrepancy (right)",
    ]


@pytest.fixture
def titles(monkeypatch):
    """The titles of the overviews that are drawn; none is written."""
    found = []
    monkeypatch.setattr(
        overviews, "write_figure", lambda figure, *_, **__: found.append(figure.get_suptitle())
    )
    monkeypatch.setattr(overviews, "write_atomic", lambda *_: None)
    return found


def test_the_title_of_an_overview_tells_the_grades(trained, titles, tmp_path, command):
    trained.overview()
    trained.overview(False)
    grades = [Grade("samples", "poor", "1"), Grade("latent fit", "good", "2")]
    trained.overview(Findings([Finding("holes", "there are holes", "use latent_dim=2", {})], grades))
    own, bare, given = titles
    assert own.startswith(bare)
    assert "\nsamples: fair, reconstructions: fair, latent fit: good\ncause: too few steps; try next: " in own
    assert given.endswith("\nsamples: poor, latent fit: good\ncause: holes; try next: use latent_dim=2")
    command("train", "vae", "digits", "--steps", 2, "--out", tmp_path / "run")
    assert "samples: " in titles[-1]


def test_an_evaluation_says_how_long_its_parts_took(trained, command, monkeypatch):
    clock = count(step=40.0)
    monkeypatch.setattr(registry, "monotonic", lambda: next(clock))
    code, out, err = command("evaluate", trained.path, "--features", "pca", "--metrics", "samples", "latent")
    assert code == 0
    assert "evaluated in 2 min 0 s: features 40 s, samples 40 s, latent 40 s" in err
    assert not out.startswith("samples  ")  # no summary where groups are named
    monkeypatch.setattr(registry, "monotonic", lambda: 0.0)
    assert (
        "evaluated in" not in command("evaluate", trained.path, "--features", "pca", "--metrics", "latent")[2]
    )


def test_an_evaluation_begins_with_the_summary(trained, command, figures):
    words = ("evaluate", trained.path, "--features", "pca", "--n-samples", 100)
    _, out, _ = command(*words)
    assert [line.split("  ")[0] for line in out.splitlines()[:5]] == [
        "samples", "reconstructions", "latent fit", "cause", "try next",
    ]  # fmt: skip
    assert out.index("\n\nstep 300; features: pca") > 0
    assert {"samples", "grades", "findings"} <= figures(*words).keys()


def test_grades_come_before_all_findings_in_a_notebook():
    findings = [Finding(name, f"words of {name}", "advice", {}) for name in ("first", "second")]
    page = Findings(findings, [Grade("samples", "poor", "1")])._repr_html_()
    places = [
        page.index(words) for words in ("poor: 1", "words of first", "advice", "second: words of second")
    ]
    assert places == sorted(places)


def test_options_in_advice_are_not_broken_at_the_end_of_a_line():
    assert unbroken("resume with --steps 300; or <b> --no-lr, a-b") == (
        "resume with <span class='unbroken'>--steps 300</span>; or &lt;b&gt; "
        "<span class='unbroken'>--no-lr</span>, a-b"
    )
