"""The front page: its code runs, its output is what commands print, its addresses are the package's."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from blank import blank_figures

import pushforward as pf

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
ADDRESSES = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = [line for language, code in BLOCKS if language == "text" for line in code.splitlines()]
COMMANDS = [shlex.split(line, comments=True)[1:] for line in COMMANDS if line.startswith("pushforward ")]


def plain(line):
    """A line of a summary with # for its numbers and for the folder of its run."""
    return re.sub(r"-?\d[\d.]*(e-\d+)?", "#", re.sub(r"runs/\S+", "#", line))


def shown_summary():
    (block,) = [code for _, code in BLOCKS if code.startswith("samples  ")]
    return block.splitlines()


def compare(shown, printed):
    for line, found in zip(map(plain, shown), map(plain, printed), strict=False):
        start = line.removesuffix("...")
        assert found[: len(start)] == start
        assert line.endswith("...") or len(found) == len(start)


def test_it_is_short():
    assert len(README.splitlines()) <= 150


def test_code_runs(folder, capped, command):
    python = [code for language, code in BLOCKS if language == "python"]
    assert python
    names = {}
    for code in python:
        exec(code, names)
    assert names["samples"].shape == (1000, 1, 8, 8)
    assert len(COMMANDS) == 3
    for words in COMMANDS:
        command(words)
    assert (folder / "samples.npy").exists()


def test_the_table_of_data_runs(folder, capped, command):
    rows = re.findall(r"`pushforward (.*?)`", README.partition("## Your data")[2].partition("\n\n`pushf")[0])
    assert len(rows) == 4
    with blank_figures():
        for words in map(shlex.split, rows):
            command(words)


@pytest.mark.slow
def test_the_summary_is_what_the_command_prints(folder, capsys, command):
    command(["train", "wae-mmd", "digits"])
    printed = capsys.readouterr().out.splitlines()
    shown = shown_summary()
    compare(shown, printed)
    grades = [re.findall(r"^\S[\w ]*? +(good|fair|poor):", line) for line in printed[:3]]
    assert grades == [re.findall(r"^\S[\w ]*? +(good|fair|poor):", line) for line in shown[:3]]


def test_addresses_are_those_of_the_package():
    repository = ADDRESSES["Repository"]
    raw = repository.replace("https://github.com", "https://raw.githubusercontent.com") + "/main/"
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", README)
    assert len(pictures) >= 2
    for address in pictures:
        assert address.startswith(raw), "a package index shows pictures by absolute addresses only"
        assert (ROOT / address.removeprefix(raw)).exists()
    assert ADDRESSES["Documentation"] in README
    citation = (ROOT / "CITATION.cff").read_text()
    assert f'repository-code: "{repository}"' in citation
    assert f"\nversion: {pf.__version__}\n" in citation
