"""Every command prints on every console, and no name of a file, class or folder breaks what shows it."""

import contextlib
import io
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import pushforward as pf
from pushforward.cli import main
from pushforward.console import echo
from pushforward.report.progress import Live, bar

ENCODINGS = ("ascii", "cp1252", "cp437", "cp932", "gbk")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A run on labelled vectors whose evaluation and diagnosis print every symbol that there is."""
    x = np.random.default_rng(0).random((80, 4)).astype(np.float32)
    folder = tmp_path_factory.mktemp("small")
    np.savez(folder / "x.npz", x=x, y=np.arange(80) % 2)
    pf.train("wae-mmd", folder / "x.npz", out=folder / "run", steps=3, latent_dim=2, progress=False)
    return folder / "run"


@pytest.fixture
def console(monkeypatch):
    """Replaces both standard streams by a console of an encoding; returns what it shows, read back."""

    def install(encoding):
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "stderr", stream)
        return lambda: stream.buffer.getvalue().decode(encoding)

    return install


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_commands_print_on_consoles_that_know_few_characters(console, small, encoding):
    shown = console(encoding)
    for words in (
        ["list"],
        ["train", "wae-mmd", "--help"],
        ["evaluate", small, "--n-samples", 50, "--metrics", "latent", "objective"],
        ["doctor", small],
        ["sample", small, "--label", "λ"],
    ):
        with contextlib.suppress(SystemExit):  # the last one asks for a class of a model without
            main([str(word) for word in words])
    echo("β λ² ± 3 … Ñ", err=True)
    assert "wae-mmd" in shown()
    assert "has no classes" in shown()
    if encoding == "ascii":
        assert "beta lambda^2 +- 3 ... N" in shown()
        assert "MMD^2" in shown()


def test_a_process_prints_on_such_a_console():
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    words = [sys.executable, "-m", "pushforward", "train", "wae-mmd", "--help"]
    done = subprocess.run(words, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"lambda" in done.stdout


def test_progress_without_standard_error_is_silent(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with bar("work") as show:
        show.say("a line")
    echo("a line", err=True)


@pytest.mark.parametrize("name", ["a{x}.npy", "[b]bold[/x]", "\x1b[2J", "λ", "a\udcff"])
def test_names_are_neither_formats_nor_markup_in_a_live_bar(console, name):
    shown = console("ascii")
    live = Live(name)
    with live.progress:
        live(1, 2, f"in {name}")
        live.say(f"reading {name}")
    assert "\x1b" not in shown()
    expected = {"λ": "lambda", "\x1b[2J": "\\x1b[2J", "a\udcff": "a\\xff"}.get(name, name)
    assert f"reading {expected}" in shown()


ODD_NAMES = ["$x^{", "a{x}_[b]", "\x1b[31mred", os.fsdecode(b"\xff\xfe"), "new\nline"]


@pytest.mark.skipif(os.name == "nt", reason="Windows refuses such names")
def test_odd_names_reach_figures_and_pages_as_they_are(tmp_path, rendering, command):
    generator = np.random.default_rng(0)
    folder = tmp_path / "$data^{$\udcff"
    for name in ODD_NAMES:
        (folder / name).mkdir(parents=True)
        for i in range(6):
            pixels = generator.integers(0, 256, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    with rendering():
        words = ("--steps", 2, "--latent-dim", 2, "--conditional", "--out", tmp_path / "run$_{")
        code, out, err = command("train", "vae", folder, *words)
        assert code == 0, err
        page = pf.load(tmp_path / "run$_{").report(features="pixels")
    assert "\x1b" not in out + err
    text = page.read_text(encoding="utf-8")
    assert "\x1b" not in text
    assert "$data^{$\\xff" in text


def test_errors_are_one_line_whatever_the_name(command, tmp_path):
    code, _, err = command("train", "vae", tmp_path / "two\nlines\x1b[2J.npy")
    assert code == 65
    assert err.count("\n") == 1
    assert "two\\nlines\\x1b[2J.npy" in err
