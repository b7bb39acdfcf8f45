"""What notebooks and the Python prompt show: tables, pictures and sentences, escaped, without any work."""

import html
import json
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.data.dataset import Split
from pushforward.evaluation.diagnosis import Finding
from pushforward.evaluation.findings import Findings
from pushforward.report.axes import show_codes
from pushforward.report.display import PicturePath, Results
from pushforward.runs.run import Run

EVIL = "<script>alert(1)</script>"


class Balanced(HTMLParser):
    """Tags that are opened and closed."""

    VOID = {"img", "br", "meta"}

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def tags(page):
    found = Balanced()
    found.feed(page)
    assert not found.open
    return found.seen


@pytest.fixture(scope="module")
def evaluated(trained):
    return trained.evaluate(n_samples=100, features="pca")


@pytest.fixture(scope="module")
def unfinished(trained, tmp_path_factory):
    """The same run without its overview."""
    path = tmp_path_factory.mktemp("nothing")
    return Run(path, trained.config, trained.model, trained.data, trained.step)


def test_a_data_set_is_shown_in_one_line(digits):
    assert repr(digits) == (
        "Dataset('digits': 1438 training and 359 held-out rows (1, 8, 8), [0, 1], 10 classes)"
    )
    assert repr(digits.train) == "Split(1438 rows (1, 8, 8), torch.float32, with labels)"
    points = pf.open_dataset(np.random.default_rng(0).normal(size=(50, 3)))
    assert (
        repr(points)
        == f"Dataset({points.name!r}: 45 training and 5 held-out rows (3,), standardised real numbers)"
    )


def test_images_are_shown_as_a_strip(digits):
    page = digits._repr_html_()
    assert tags(page).count("img") == 1
    for text in ("digits", "1,438", "359", "(1, 8, 8)", "[0, 1]", "10: 0, 1, 2"):
        assert text in page


def test_vectors_are_shown_by_their_columns():
    x = np.linspace(0, 1, 40)[:, None] * [1.0, 200.0] + [5.0, 0.0]
    page = pf.open_dataset({"x": x, "x_test": x})._repr_html_()
    assert "img" not in tags(page)
    for text in ("column", "mean", "std", "min", "max", ">5.5<", ">100<", ">200<", ">5<", ">6<"):
        assert text in page
    wide = pf.open_dataset(np.random.default_rng(0).normal(size=(40, 30)))._repr_html_()
    assert "the first 20 of 30 columns" in wide


def test_text_is_shown_as_lines():
    data = pf.open_dataset("phrases")
    page = html.unescape(data._repr_html_())
    assert all(line in page for line in data.vocabulary.lines(data.train.x[:8]))


def test_names_are_escaped(trained):
    rows = torch.rand(10, 2)
    data = pf.Dataset(EVIL, Split(rows), Split(rows), True, notes=(EVIL,))
    finding = Finding(EVIL, EVIL, EVIL, {})
    config = {**trained.config, "description": EVIL}
    run = Run(trained.path, config, trained.model, None, trained.step)
    for shown in (data, Findings([finding]), run):
        page = shown._repr_html_()
        assert html.escape(EVIL) in page
        assert "script" not in tags(page)


def test_a_run_is_shown_with_its_overview_else_with_samples(trained, unfinished):
    page = trained._repr_html_()
    assert tags(page).count("img") == 1
    for text in (
        "wae-mmd on digits",
        str(trained.path),
        "300 of 300",
        trained.config["description"],
        "overview",
    ):
        assert text in html.unescape(page)
    page = unfinished._repr_html_()
    assert "samples at step 300" in page
    assert tags(page).count("img") == 1


def test_a_display_never_fails(trained, tmp_path):
    assert Run(tmp_path, {"recipe": "?"}, trained.model, None)._repr_html_() is None
    assert Results(samples={})._repr_html_() is None
    assert repr(Results(samples={})) == "{'samples': {}}"
    assert PicturePath(tmp_path / "none.png")._repr_png_() is None
    empty = pf.Dataset("empty", Split(torch.rand(3, 0)), Split(torch.rand(3, 0)), True)
    assert "empty" in repr(empty)
    empty._repr_html_()


def test_a_display_evaluates_nothing(trained, unfinished, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError

    for name in ("evaluate", "doctor", "report", "plot_data", "overview"):
        monkeypatch.setattr(Run, name, refuse)
    assert trained._repr_html_()
    assert unfinished._repr_html_()


def test_results_are_a_dict_that_is_shown_as_a_table(trained, evaluated, command):
    assert isinstance(evaluated, dict)
    assert json.loads(json.dumps(evaluated)) == evaluated
    assert isinstance(evaluated["samples"]["fd"]["value"], float)
    assert type(trained.evaluate_once(n_samples=100, features="pca")) is Results
    printed = command("evaluate", trained.path, "--n-samples", 100, "--features", "pca")[1]
    summary, _, table = printed.partition("\n\n")
    assert summary.splitlines()[:4] == repr(trained.doctor()).splitlines()[:4]
    assert repr(evaluated).splitlines() == table.splitlines()
    page = evaluated._repr_html_()
    assert tags(page).count("table") == 1
    for line in repr(evaluated).splitlines():
        assert all(part.strip() in html.unescape(page) for part in line.split("  "))


def test_findings_are_shown_as_sentences(trained):
    assert repr(Findings()) == "cause  nothing wrong was found"
    assert "nothing wrong was found" in Findings()._repr_html_()
    assert Findings() == []
    one = Finding("holes", "there are holes", "use latent_dim=2", {})
    assert repr(Findings([one])) == "cause     holes: there are holes\ntry next  use latent_dim=2"
    found = trained.doctor()
    names = ["samples", "reconstructions", "latent fit", "cause", "try next", *found.features.splitlines()]
    assert [line.split("  ")[0] for line in repr(found).splitlines()] == names
    page = html.unescape(found._repr_html_())
    assert all(part.strip() in page for line in repr(found).splitlines() for part in line.split("  "))


def test_the_overview_is_a_path_that_is_shown_as_the_picture(trained, rendering):
    with rendering():
        path = trained.overview()
    assert path == trained.path / "overview.png"
    assert path._repr_png_() == path.read_bytes()
    assert path._repr_png_().startswith(b"\x89PNG")


def test_comparisons_are_shown_as_tables(trained, tmp_path):
    found = pf.compare([trained], out=tmp_path, n_samples=100, features="pca", progress=False)
    table = found.tables["digits"]
    assert repr(table) in repr(found)
    assert table.text() in repr(table)
    for page in (found._repr_html_(), table._repr_html_()):
        assert tags(page).count("table") == 1
        assert all(cell.text in html.unescape(page) for row in table.rows for cell in row)


NAMES = ["cat", "dog", "a name that is far too long for a legend"]


@pytest.fixture(scope="module")
def animals(tmp_path_factory):
    """A conditional run on images of three classes with names."""
    x = np.random.default_rng(0).integers(0, 256, (180, 4, 4)).astype(np.uint8)
    options = {"conditional": True, "latent_dim": 2, "steps": 2, "progress": False}
    return pf.train("wae-mmd", (x, NAMES * 60), out=tmp_path_factory.mktemp("animals") / "run", **options)


def texts(figure):
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text)]


def test_classes_have_their_names_in_legends(animals):
    from matplotlib.figure import Figure

    plots = animals.plot_data()
    shown = {"cat", "dog", "a name that is far …"}
    assert plots.class_names == plots.row_names == animals.spec.classes
    figure = Figure()
    show_codes(figure.subplots(), plots.codes, plots.labels, plots.prior, names=plots.class_names)
    assert shown <= {*texts(figure)}
    assert not {"0", "1", "2"} & {text.get_text() for text in figure.axes[0].get_legend().get_texts()}
    figure = Figure()
    animals.renderer.draw_rows(figure, plots)
    assert shown <= {text.strip() for text in texts(figure)}
    assert any(f"from the top: {', '.join(animals.spec.classes)}" in panel.caption
               for panel in animals.renderer.sample_panels(plots))  # fmt: skip


def test_classes_without_names_have_their_numbers():
    from matplotlib.figure import Figure

    figure = Figure()
    show_codes(figure.subplots(), torch.randn(4, 2), torch.tensor([0, 1, 2, -1]), torch.randn(4, 2))
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend == ["draws of the prior", "unknown", "0", "1", "2"]


def test_results_of_before_an_extension_are_named_as_such(trained, tmp_path, command, evaluated):
    """In a notebook, and after training; the report evaluates anew."""
    run = pf.train("wae-mmd", "digits", out=tmp_path / "run", latent_dim=2, steps=3, progress=False)
    assert str(run.evaluate(60, features="pca", metrics=["samples"])).startswith("step 3; features: pca")
    assert "is of step" not in run._repr_html_()
    code, out, err = command("resume", run.path, "--steps", "+2", "--evaluate", "none")
    assert code == 0, err
    assert (
        "evaluation.json is of step 3, the run is at step 5; to evaluate it anew: pushforward evaluate" in out
    )
    longer = pf.load(run.path)
    assert "evaluation.json is of step 3, the run is at step 5" in longer._repr_html_()
    assert longer.evaluate_once(60, features="pca", metrics=["samples"])["step"] == 5
    assert longer.outdated == []
