"""A folder with the files that pages speak of, and training that ends after a few steps."""

import shlex

import numpy as np
import pytest
from PIL import Image
from registries import registries_restored

from pushforward.cli import main
from pushforward.runs import training

STEPS = 3


@pytest.fixture
def capped(monkeypatch):
    """Every run ends after three steps."""
    total_steps = training._total_steps

    def few(*arguments):
        return min(STEPS, total_steps(*arguments))

    monkeypatch.setattr(training, "_total_steps", few)


@pytest.fixture
def command():
    """Runs the words of a command, which has to end well."""

    def run(words):
        try:
            main(words)
        except SystemExit as end:
            if end.code:
                pytest.fail(f"pushforward {shlex.join(words)} exits with {end.code}")

    return run


@pytest.fixture(autouse=True)
def registries():
    """What a page registers, such as a recipe of its own, is known to no other page."""
    with registries_restored():
        yield


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder of a page: images, arrays, a table and lines of text."""
    random = np.random.default_rng(0)
    for name, n in (("photos/cats", 30), ("photos/dogs", 30), ("generated", 40)):
        (tmp_path / name).mkdir(parents=True)
        for i in range(n):
            image = random.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(image).save(tmp_path / name / f"{i:02}.png")
    np.save(tmp_path / "images.npy", random.integers(0, 256, (120, 16, 16), dtype=np.uint8))
    np.save(tmp_path / "labels.npy", random.integers(0, 3, 120))
    np.save(tmp_path / "rows.npy", random.normal(size=(300, 5)))
    towns = random.choice(["Rome", "Oslo", "Lima"], 300)
    lines = ["age,income,town,married"]
    for town in towns:
        age, income = random.integers(18, 80), random.gamma(2, 2e4)
        lines.append(f"{age},{income:.2f},{town},{random.choice(['yes', 'no'])}")
    (tmp_path / "people.csv").write_text("\n".join(lines) + "\n")
    who, does, what = (
        ("the cat", "a dog", "my aunt"),
        ("sees", "likes", "draws"),
        ("the sea", "a tree", "my house"),
    )

    def sentences(ending):
        return "".join(
            f"{random.choice(who)} {random.choice(does)} {random.choice(what)}{ending}\n" for _ in range(300)
        )

    (tmp_path / "lines.txt").write_text(sentences(" today"))
    (tmp_path / "styles").mkdir()
    (tmp_path / "styles/modern.txt").write_text(sentences(" now"))
    (tmp_path / "styles/original.txt").write_text(sentences(" anon"))
    monkeypatch.chdir(tmp_path)
    return tmp_path
