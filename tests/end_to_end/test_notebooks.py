"""What the cells of a notebook show, in a kernel: one bar of a training, and each picture once."""

import re

import nbformat
import pytest
from nbclient import NotebookClient

from pushforward.report import progress
from pushforward.report.progress import NotebookProgress

CELLS = [
    "import pushforward as pf\n"
    "run = pf.train('wae-mmd', 'digits', latent_dim=2, steps=30, out='run', pictures=False)",
    "run.plots.samples(16)",
    "figure = run.plots.history()",
]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """The outputs of each cell, as a notebook stores them."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    NotebookClient(
        notebook,
        timeout=120,
        resources={"metadata": {"path": str(tmp_path_factory.mktemp("notebook"))}},
    ).execute()
    return [cell.outputs for cell in notebook.cells]


def test_training_is_one_bar_that_is_updated(outputs):
    (bar,) = outputs[0]
    assert bar.output_type == "display_data"
    assert "30/30" in bar.data["text/plain"]
    assert re.search(
        r'wae-mmd on digits <progress max="30" value="30"></progress> 30/30', bar.data["text/html"]
    )
    assert "1438 training rows" in bar.data["text/html"]


def test_a_figure_is_shown_once_where_a_cell_returns_it(outputs):
    (shown,) = outputs[1]
    assert shown.output_type == "execute_result"
    assert shown.data["image/png"].startswith("iVBOR")
    assert outputs[2] == []


class Handle:
    """Keeps what is shown in a cell."""

    def __init__(self, shown):
        self.states = [shown._repr_html_()]

    def update(self, shown):
        self.states.append(shown._repr_html_())


@pytest.fixture
def cell(monkeypatch):
    """The outputs of a cell of a notebook."""
    handles = []

    def display(shown):
        handles.append(Handle(shown))
        return handles[-1]

    monkeypatch.setattr(progress, "notebook_display", lambda: display)
    return handles


def test_a_bar_is_not_updated_more_often_than_one_sees(cell):
    with progress.bar("counting") as show:
        for done in range(1001):
            show(done, 1000, f"at {done}")
    (handle,) = cell
    assert len(handle.states) < 20
    assert 'value="1000"' in handle.states[-1]
    assert "at 1000" in handle.states[-1]


def test_lines_stay_above_the_bar_and_are_escaped(cell):
    with progress.bar("<i>", True) as show:
        show.say("a < b")
        show(1, 2)
    assert cell[0].states[-1].count("a &lt; b") == 1
    assert "&lt;i&gt; <progress" in cell[0].states[-1]
    with progress.bar("nothing", False) as show:
        show.say("silent")
    with progress.bar("reading"):
        pass
    assert len(cell) == 1


def fail_half_way():
    with progress.bar("work") as show:
        for done in range(4):
            show(done, 10)
        raise ValueError("no")


def test_a_bar_shows_what_was_done_when_the_work_failed(cell):
    with pytest.raises(ValueError, match="no"):
        fail_half_way()
    assert 'value="3"' in cell[0].states[-1]


def test_the_state_is_text_where_there_is_no_html():
    bar = NotebookProgress("work", Handle)
    bar.say("first")
    assert repr(bar) == "first"
    bar(2, 2, "loss 1")
    assert repr(bar) == "first\nwork 2/2  loss 1  0 s"
