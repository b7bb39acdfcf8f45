"""A small trained run, and ways to call the command."""

import json

import pytest
from blank import blank_figures, rendered_figures

import pushforward as pf
from pushforward.cli import main


@pytest.fixture(autouse=True, scope="module")
def blank():
    """Most tests need no picture."""
    with blank_figures():
        yield


@pytest.fixture(scope="session")
def rendering():
    """A context within which figures are rendered as users get them."""
    return rendered_figures


@pytest.fixture(scope="session")
def digits():
    return pf.open_dataset("digits")


@pytest.fixture(scope="session")
def trained(tmp_path_factory, rendering):
    folder = tmp_path_factory.mktemp("runs") / "wae-mmd-digits"
    with rendering():
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
