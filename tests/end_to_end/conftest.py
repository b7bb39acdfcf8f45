"""A small trained run, and ways to call the command."""

import json

import pytest

import pushforward as pf
from pushforward.cli import main


@pytest.fixture(autouse=True)
def quick_overview(request, monkeypatch):
    """Leaves out the picture of a run, which takes longer to draw than the few steps of most tests to train.

    What the picture shows is computed all the same. Tests marked ``overview`` draw it.
    """
    if "overview" not in request.keywords:
        monkeypatch.setattr("pushforward.runs.run.overview", blank)


def blank(path, plots, renderer):
    """An empty file in the place of the picture."""
    path.write_bytes(b"")
    return path


@pytest.fixture(scope="session")
def digits():
    return pf.open_dataset("digits")


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "wae-mmd-digits"
    return pf.train("wae-mmd", "digits", out=folder, latent_dim=4, steps=300, progress=False)


@pytest.fixture
def command(capsys):
    """Runs a command line; returns its exit code, standard output and standard error."""

    def call(*words):
        code = 0
        try:
            main([str(word) for word in words])
        except SystemExit as stop:
            code = stop.code or 0
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def figures(command):
    """Runs a command line with ``--json``; returns what it printed, read."""

    def call(*words):
        code, out, err = command(*words, "--json")
        assert code == 0, err
        return json.loads(out)

    return call
