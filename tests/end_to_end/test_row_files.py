"""Rows of a file through a run, from the command line: in their order, part by part, whatever the door."""

import json
import os
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import pushforward as pf
from pushforward.cli import main
from pushforward.data import mapped
from pushforward.errors import ConfigError, DataError, OutputError
from pushforward.report import rendering

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


FEW = {
    "npy": lambda folder, rows: np.save(folder / "x.npy", rows) or folder / "x.npy",
    "npz": lambda folder, rows: np.savez(folder / "x.npz", x=rows) or folder / "x.npz",
    "folder": lambda folder, rows: (
        [Image.fromarray(image).save(folder / f"{number}.png") for number, image in enumerate(rows)]
        and folder
    ),
    "images of Pillow": lambda folder, rows: [Image.fromarray(image) for image in rows],
}


@pytest.mark.parametrize("door", FEW)
@pytest.mark.parametrize("n", [1, 3])
def test_a_source_may_have_one_row(door, n, run, tmp_path):
    """What is encoded is not split, so that no count of rows is too small."""
    source, out = FEW[door](tmp_path, IMAGES[:n]), tmp_path / "codes.npy"
    assert run.encode_file(source, out) == n
    assert np.allclose(np.load(out), run.encode(IMAGES).numpy()[:n], atol=1e-5)
    made = run.write_codes(source, tmp_path / "codes")
    assert repr(made).startswith("1 row in 1 shard: " if n == 1 else "3 rows in 1 shard: ")
    assert run.reconstruct_file(source, out) == n
    assert run.score_file(source, tmp_path / "scores.csv") == n
    with pytest.raises(DataError, match="expected at least 4"):  # to train on, and to hold out
        pf.open_dataset(source)


@pytest.mark.parametrize("n", [1, 3])
def test_a_table_and_a_text_may_have_one_row(n, tmp_path):
    rows = pd.DataFrame({"a": RNG.normal(size=30), "b": ["x", "y", "z"] * 10})
    of_table = pf.train("vae", rows, out=tmp_path / "table", steps=2, progress=False)
    rows[:n].to_csv(tmp_path / "rows.csv", index=False)
    for source in (rows[:n], tmp_path / "rows.csv"):
        assert of_table.encode_file(source, tmp_path / "codes.npy") == n
        assert np.allclose(np.load(tmp_path / "codes.npy"), of_table.encode(rows)[:n], atol=1e-4)
    assert of_table.impute_file(tmp_path / "rows.csv", tmp_path / "whole.csv") == n

    (tmp_path / "lines.txt").write_text("".join(f"the {a} {b}\n" for a in "pqrs" for b in "tuvw"))
    of_text = pf.train("vae", tmp_path / "lines.txt", out=tmp_path / "text", steps=2, progress=False)
    (tmp_path / "few.txt").write_text("the p u\n" * n)
    assert of_text.encode_file(tmp_path / "few.txt", tmp_path / "codes.npy") == n
    made = of_text.write_samples(tmp_path / "samples", n)
    part = replace(made.files[0], bytes=8 * n)
    (tmp_path / "samples" / part.name).write_text("the q t\n" * n)
    manifest = replace(made, files=(part,)).as_json()
    (tmp_path / "samples" / "shards.json").write_text(json.dumps(manifest))
    assert of_text.encode_file(tmp_path / "samples", tmp_path / "codes.npy") == n


def test_rows_of_a_file_are_reconstructed(run, tmp_path, capsys):
    np.save(tmp_path / "x.npy", IMAGES)
    command("reconstruct", run.path, tmp_path / "x.npy", "--out", tmp_path / "back.npy")
    assert f"reconstructions of 40 rows: {tmp_path / 'back.npy'}" in capsys.readouterr().out
    assert np.allclose(np.load(tmp_path / "back.npy"), run.reconstruct(IMAGES).numpy(), atol=1e-5)


def test_images_of_a_file_are_reconstructed_as_a_picture(run, tmp_path):
    assert run.reconstruct_file(IMAGES, tmp_path / "back.png") == 40
    run.renderer.save(run.scaled(run.reconstruct(IMAGES)), tmp_path / "expected.png")
    back, expected = (np.asarray(Image.open(tmp_path / name), int) for name in ("back.png", "expected.png"))
    assert back.shape == expected.shape
    assert abs(back - expected).max() <= 1  # of the 256 levels: rounding


def test_advice_on_reconstructions_that_do_not_fit_names_what_can_be_changed(run, tmp_path, monkeypatch):
    monkeypatch.setattr("pushforward.report.renderers.MOST_PIXELS", 10)
    with pytest.raises(ConfigError, match=r"0 are written; write them to a file that ends in \.npy"):
        run.reconstruct_file(IMAGES, tmp_path / "back.png")
    monkeypatch.setattr(rendering.shutil, "disk_usage", lambda place: type("usage", (), {"free": 100}))
    with pytest.raises(OutputError, match="100 bytes are free; choose another out"):
        run.reconstruct_file(IMAGES, tmp_path / "back.npy")


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


def test_the_source_is_not_replaced(run, tmp_path):
    source = SOURCES["npy"](tmp_path)
    for method, ending in (
        (run.encode_file, ".npy"),
        (run.reconstruct_file, ".npy"),
        (run.score_file, ".csv"),
    ):
        out = source.rename(source.with_suffix(ending))
        with pytest.raises(ConfigError, match=r"out must be another file than the source, got .*x\."):
            method(out, tmp_path / "." / out.name)
        source = out.rename(tmp_path / "x.npy")
    assert np.array_equal(np.load(source), IMAGES)


def test_what_is_left_of_killed_commands_is_removed(run, tmp_path):
    """A temporary file may be as large as the disk; one that is still written, or another's, stays."""
    left, young, others = (tmp_path / name for name in (
        ".codes.npy.0123456789abcdef.tmp", ".codes.npy.fedcba9876543210.tmp", ".codes.npy.mine.tmp",
    ))  # fmt: skip
    for path in (left, young, others):
        path.write_bytes(b"x")
    for path in (left, others):
        os.utime(path, (0, 0))
    run.encode_file(IMAGES, tmp_path / "codes.npy")
    assert sorted(tmp_path.iterdir()) == sorted([young, others, tmp_path / "codes.npy"])


def test_a_disk_that_is_too_small_is_known_before(run, tmp_path, monkeypatch):
    monkeypatch.setattr(rendering.shutil, "disk_usage", lambda place: type("usage", (), {"free": 100}))
    for write in (run.encode_file, run.write_codes):
        with pytest.raises(
            OutputError, match=r"it takes 320 bytes( in 1 shard)?, 100 bytes are free; choose another out"
        ):
            write(IMAGES, tmp_path / ("codes.npy" if write == run.encode_file else "codes"))
    assert not any(tmp_path.iterdir())


def test_a_file_of_two_rows(run, tmp_path):
    assert run.encode_file(IMAGES[:2], tmp_path / "codes.npy") == 2
    assert np.allclose(np.load(tmp_path / "codes.npy"), run.encode(IMAGES[:2]).numpy(), atol=1e-5)


def test_images_of_another_size_are_resized_as_they_are_read(run, tmp_path):
    large = IMAGES.repeat(2, 1).repeat(3, 2)
    np.save(tmp_path / "x.npy", large)
    run.encode_file(tmp_path / "x.npy", tmp_path / "codes.npy")
    resized = pf.open_dataset(tmp_path / "x.npy", image_size=8, test=np.arange(40) < 2)
    found = dict(
        zip(map(tuple, run.encode(resized.train.x).round(decimals=4).tolist()), resized.train.x, strict=True)
    )
    codes = np.load(tmp_path / "codes.npy")
    assert len(codes) == 40
    assert {tuple(code) for code in torch.from_numpy(codes[2:]).round(decimals=4).tolist()} == {*found}


@pytest.mark.parametrize("kind", [".npy", "pack"])
def test_a_row_that_does_not_fit_is_named_by_its_number(kind, tmp_path):
    x = RNG.normal(size=(600, 3))
    run = pf.train("wae-mmd", x, out=tmp_path / "run", steps=2, latent_dim=2, progress=False, pictures=False)
    x[555, 1] = 1e12
    np.save(tmp_path / "x.npy", x)
    if kind == "pack":
        pf.pack(tmp_path / "x.npy", tmp_path / "x", standardize=False, progress=False)
    with pytest.raises(DataError, match=r"found 1e\+12 in row 555, column 1, more than 1e\+06 deviations"):
        run.encode_file(tmp_path / ("x" if kind == "pack" else "x.npy"), tmp_path / "codes.npy")
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


def test_lines_of_a_file_are_reconstructed_as_lines(tmp_path, capsys):
    run = pf.train("vae", "phrases", out=tmp_path / "run", steps=1, progress=False)
    lines = run.lines(run.data.test.tensor()[:9])
    (tmp_path / "lines.txt").write_text("\n".join(lines))
    capsys.readouterr()
    command("reconstruct", run.path, tmp_path / "lines.txt")
    place = run.path / "reconstructions.txt"
    assert capsys.readouterr().out == f"reconstructions of 9 rows: {place}\n"
    assert place.read_text() == "".join(f"{line}\n" for line in run.lines(run.reconstruct(lines)))
    command("reconstruct", run.path, tmp_path / "lines.txt", "--out", tmp_path / "back.npy")
    note = "(tokens, their numbers in the vocabulary; a .txt file holds lines)"
    assert capsys.readouterr().out.endswith(f"back.npy {note}\n")
    assert np.array_equal(np.load(tmp_path / "back.npy"), run.reconstruct(lines))


def test_rows_of_a_table_are_encoded_in_their_order(tmp_path):
    rows = [f"{number % 7},{'uv'[number % 2]}" for number in range(40)]
    (tmp_path / "rows.csv").write_text("\n".join(["a,b", *rows]) + "\n")
    run = pf.train("vae", tmp_path / "rows.csv", out=tmp_path / "run", steps=2, progress=False)
    assert run.encode_file(tmp_path / "rows.csv", tmp_path / "codes.npy") == 40
    codes = np.load(tmp_path / "codes.npy")
    assert np.allclose(codes[0], codes[14], atol=1e-5)  # the same cells
    assert np.allclose(codes[:14], codes[14:28], atol=1e-5)
    assert not np.allclose(codes[0], codes[1], atol=1e-5)
    (tmp_path / "odd.csv").write_text("\n".join(["a,b", *rows[:30], "3,w", *rows[31:]]) + "\n")
    with pytest.raises(DataError, match="line 32, column 'b': expected a value of the training rows"):
        run.encode_file(tmp_path / "odd.csv", tmp_path / "odd.npy")


@pytest.mark.parametrize("n", [7, 8, 9, 40])
def test_many_rows_in_memory_are_scaled_in_parts(n, run, monkeypatch):
    """The codes are those of all rows at once; rows and labels keep their numbers, and one row is one row."""
    whole, one = run.encode(IMAGES[:n]), run.encode(IMAGES[0])
    monkeypatch.setattr("pushforward.runs.trained_model.CHUNK", 2)  # eight rows in a part
    for x in (IMAGES[:n], torch.from_numpy(IMAGES[:n]), IMAGES[:n, None]):
        assert torch.allclose(run.encode(x), whole, atol=1e-5)
    assert torch.allclose(run.encode(IMAGES[0]), one, atol=1e-5)
    assert run.encode(IMAGES[:0]).shape == (0, 2)


def test_errors_of_rows_in_parts_name_their_numbers(tmp_path, monkeypatch):
    x, y = RNG.normal(size=(40, 3)), np.arange(40) % 2
    options = {"steps": 2, "latent_dim": 2, "conditional": True, "progress": False, "pictures": False}
    run = pf.train("wae-mmd", (x, y), out=tmp_path / "run", **options)
    codes = run.encode(x, y)
    monkeypatch.setattr("pushforward.runs.trained_model.CHUNK", 2)
    assert torch.allclose(run.encode(x, y), codes, atol=1e-5)
    with pytest.raises(DataError, match=r"y must have shape \(40,\), one label a row, got \(39,\)"):
        run.encode(x, y[:39])
    x[33, 1] = 1e12
    with pytest.raises(DataError, match=r"found 1e\+12 in row 33, column 1"):
        run.encode(x, y)
