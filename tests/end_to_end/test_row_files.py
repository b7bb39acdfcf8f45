"""Rows of a file through a run, from the command line: in their order, part by part, whatever the door."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import pushforward as pf
from pushforward.cli import main
from pushforward.data import mapped
from pushforward.errors import ConfigError, DataError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (40, 8, 8), dtype=np.uint8)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A WAE on grey images of bytes."""
    out = tmp_path_factory.mktemp("row-files") / "run"
    return pf.train("wae-mmd", IMAGES, out=out, steps=5, batch_size=10, latent_dim=2, progress=False)


def command(*words):
    try:
        main([str(word) for word in words])
    except SystemExit as stop:
        assert not stop.code  # noqa: PT017


SOURCES = {
    "npy": lambda folder: np.save(folder / "x.npy", IMAGES) or folder / "x.npy",
    "npz": lambda folder: np.savez(folder / "x.npz", x=IMAGES, y=np.arange(40) % 2) or folder / "x.npz",
    "floats": lambda folder: np.save(folder / "x.npy", IMAGES / 255.0) or folder / "x.npy",
    "folder": lambda folder: (
        [Image.fromarray(image).save(folder / f"{number:02}.png") for number, image in enumerate(IMAGES)]
        and folder
    ),
    "pack": lambda folder: pf.pack(IMAGES, folder / "pack", progress=False) and folder / "pack",
}


@pytest.mark.parametrize("door", SOURCES)
@pytest.mark.parametrize("lazy", [False, True])
def test_rows_of_a_file_are_encoded_in_their_order(door, lazy, run, tmp_path, monkeypatch):
    source = SOURCES[door](tmp_path)
    monkeypatch.setattr(mapped, "SHARE", 0.0 if lazy else 0.2)
    monkeypatch.setattr("pushforward.runs.trained_model.CHUNK", 7)
    out = tmp_path / "codes.npy"
    command("encode", run.path, source, "--out", out)
    codes = np.load(out)
    assert codes.shape == (40, 2)
    assert np.allclose(codes, run.encode(IMAGES).numpy(), atol=1e-5)


def test_rows_of_a_file_are_reconstructed(run, tmp_path, capsys):
    np.save(tmp_path / "x.npy", IMAGES)
    command("reconstruct", run.path, tmp_path / "x.npy", "--out", tmp_path / "back.npy")
    assert f"reconstructions of 40 rows: {tmp_path / 'back.npy'}" in capsys.readouterr().out
    assert np.allclose(np.load(tmp_path / "back.npy"), run.reconstruct(IMAGES).numpy(), atol=1e-5)


def test_rows_of_a_file_are_scored(run, tmp_path, capsys):
    odd = IMAGES.copy()
    odd[11] = 255 * (np.indices((8, 8)).sum(0) % 2)
    np.save(tmp_path / "x.npy", odd)
    command("score-rows", run.path, tmp_path / "x.npy", "--out", tmp_path / "scores.csv", "--json")
    assert json.loads(capsys.readouterr().out)["n"] == 40
    head, *lines = (tmp_path / "scores.csv").read_text().splitlines()
    assert head == "reconstruction,latent"
    table = np.array([[float(value) for value in line.split(",")] for line in lines])
    scores = run.score_rows(odd)
    assert np.allclose(table, torch.stack(list(scores.values()), 1).numpy(), rtol=1e-4)
    assert table[:, 0].argmax() == 11
    x = run.rows(odd)
    assert torch.allclose(
        scores["reconstruction"], (run.scaled(run.reconstruct(odd)) - x).square().sum((1, 2, 3))
    )
    codes = run.encode(odd)
    assert torch.allclose(scores["latent"], codes.square().sum(1) / 2 + np.log(2 * np.pi), atol=1e-4)


def test_what_cannot_be_encoded(run, tmp_path):
    np.save(tmp_path / "x.npy", IMAGES[:, :5])
    with pytest.raises(DataError, match=r"expected image data of shape \(1, 8, 8\).* found .*\(1, 5, 8\)"):
        run.encode_file(IMAGES[:, :5], tmp_path / "codes.npy")
    with pytest.raises(ConfigError, match=r"out must end in .npy, got .*codes.txt"):
        run.encode_file(IMAGES, tmp_path / "codes.txt")
    assert not (tmp_path / "codes.npy").exists()


def test_labels_of_conditional_models_come_from_the_file(tmp_path):
    y = ["cat" if number % 3 else "dog" for number in range(40)]
    run = pf.train("vae", (IMAGES, y), out=tmp_path / "run", steps=2, conditional=True, progress=False)
    run.encode_file((IMAGES, y), tmp_path / "codes.npy")
    assert np.allclose(np.load(tmp_path / "codes.npy"), run.encode(IMAGES, y).numpy(), atol=1e-5)
    with pytest.raises(ConfigError, match="every row needs a label of its classes, and there are none"):
        run.encode_file(IMAGES, tmp_path / "codes.npy")
    with pytest.raises(ConfigError, match="and some are unknown"):
        run.encode_file((IMAGES, ["owl", *y[1:]]), tmp_path / "codes.npy")


def test_gans_have_no_codes(tmp_path):
    run = pf.train("gan", "ring", out=tmp_path / "run", steps=1, progress=False)
    for method in (run.encode_file, run.reconstruct_file, run.score_file):
        with pytest.raises(ConfigError, match="gan has no encoder"):
            method("ring", tmp_path / "x.npy")


def test_lines_of_a_file(tmp_path):
    run = pf.train("vae", "phrases", out=tmp_path / "run", steps=1, progress=False)
    lines = run.lines(run.data.test.tensor()[:9])
    (tmp_path / "lines.txt").write_text("\n".join(lines))
    assert run.encode_file(tmp_path / "lines.txt", tmp_path / "codes.npy") == 9
    assert np.allclose(np.load(tmp_path / "codes.npy"), run.encode(lines).numpy(), atol=1e-5)
    (tmp_path / "lines.txt").write_text("\n".join([*lines, ""]) + "\n\n")
    with pytest.raises(DataError, match="a row is written for each line, but left out"):
        run.encode_file(tmp_path / "lines.txt", tmp_path / "codes.npy")


def test_rows_of_a_table_are_encoded_in_their_order(tmp_path):
    rows = [f"{number % 7},{'uv'[number % 2]}" for number in range(40)]
    (tmp_path / "rows.csv").write_text("\n".join(["a,b", *rows]) + "\n")
    run = pf.train("vae", tmp_path / "rows.csv", out=tmp_path / "run", steps=2, progress=False)
    assert run.encode_file(tmp_path / "rows.csv", tmp_path / "codes.npy") == 40
    codes = np.load(tmp_path / "codes.npy")
    assert np.allclose(codes[0], codes[14], atol=1e-5)  # the same cells
    assert np.allclose(codes[:14], codes[14:28], atol=1e-5)
    assert not np.allclose(codes[0], codes[1], atol=1e-5)
