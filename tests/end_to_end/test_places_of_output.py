"""Where output goes is looked at by every command before anything is read or made; one line refuses it."""

import inspect
import os
import socket

import numpy as np
import pandas as pd
import pytest

import pushforward as pf
from pushforward import files
from pushforward.cli.application import app
from pushforward.errors import OutputError

QUICK = {"steps": 1, "progress": False, "latent_dim": 2}
FOLDERS = ("train", "compare", "pack", "sample to a folder", "encode to a folder")


@pytest.fixture(scope="module")
def ways(tmp_path_factory):
    """Command lines without their last word, the output, and how it ends."""
    folder = tmp_path_factory.mktemp("places")
    x = np.random.default_rng(0).normal(size=(40, 3))
    np.save(folder / "x.npy", x)
    pd.DataFrame({"a": np.arange(40) % 3, "b": ["u", "v"] * 20}).to_csv(folder / "t.csv", index=False)
    np.savez(folder / "y.npz", x=x, y=["a", "b"] * 20)
    run = pf.train("transfer-ae", folder / "y.npz", out=folder / "run", pictures=False, **QUICK).path
    plain = pf.train("vae", folder / "x.npy", out=folder / "plain", **QUICK).path
    table = pf.train("vae", folder / "t.csv", out=folder / "table", pictures=False, **QUICK).path
    source = folder / "x.npy"
    return {
        "train": (("train", "vae", source, "--steps", 1, "--evaluate", "none", "--out"), ""),
        "compare": (("compare", "vae", "--data", source, "--steps", 1, "--seeds", 0, "--out"), ""),
        "pack": (("pack", source), ""),
        "sample": (("sample", plain, "--out"), ".npy"),
        "sample to a folder": (("sample", plain, "--out"), ""),
        "encode": (("encode", plain, source, "--out"), ".npy"),
        "encode to a folder": (("encode", plain, source, "--out"), ""),
        "score-rows": (("score-rows", plain, source, "--out"), ".csv"),
        "impute": (("impute", table, folder / "t.csv", "--out"), ".csv"),
        "interpolate": (("interpolate", plain, "--out"), ".npy"),
        "reconstruct": (("reconstruct", plain, "--out"), ".npy"),
        "reconstruct a file": (("reconstruct", plain, source, "--out"), ".npy"),
        "animate": (("animate", plain, "--out"), ".gif"),
        "transfer": (("transfer", run, "--to", "a", "--data", folder / "y.npz", "--out"), ".npy"),
    }


WAYS = (
    *FOLDERS, "sample", "encode", "score-rows", "impute", "interpolate", "reconstruct", "reconstruct a file",
    "animate", "transfer",
)  # fmt: skip


def test_every_command_with_an_output_is_tried(ways):
    named = {name for name in app if app[name].default_command is not None}
    with_out = {name for name in named if "out" in inspect.signature(app[name].default_command).parameters}
    assert with_out | {"train"} == {name.split(" ")[0] for name in ways}
    assert set(ways) == set(WAYS)


@pytest.fixture(scope="module")
def shards(ways, tmp_path_factory):
    """A folder of ten samples."""
    folder = tmp_path_factory.mktemp("places") / "shards"
    (_, run, _), _ = ways["sample"]
    return pf.load(run).write_samples(folder, 10).folder


@pytest.fixture
def refused(ways, command, monkeypatch, tmp_path):
    """What a command says of an output: one line, before any row is read or made, and nothing is changed."""

    def too_early(*_, **__):
        raise AssertionError("rows were read or made before the place of output was looked at")

    for place in (
        "runs.api.open_dataset", "runs.compare.open_dataset", "runs.packing.open_for",
        "runs.row_files.RowFiles._opened", "runs.sampling.Sampling._samples", "runs.table_run.read_table",
        "runs.trained_model.TrainedModel.held_out", "runs.trained_model.TrainedModel.encode",
        "runs.animation.Animated._training_frames",
    ):  # fmt: skip
        monkeypatch.setattr(f"pushforward.{place}", too_early)

    def said(way, out):
        words, suffix = ways[way]
        place = out.with_name(out.name + suffix)
        before = sorted(tmp_path.rglob("*"))
        code, printed, err = command(*words, place)
        assert sorted(tmp_path.rglob("*")) == before
        assert (code, printed) == (74, "")
        (line,) = err.splitlines()
        return line.replace(str(place), "OUT")

    return said


def lying(tmp_path, way, make):
    """An output at which there is something, which ``make`` makes of the path."""
    suffix = {"animate": ".gif", "score-rows": ".csv", "impute": ".csv"}.get(way, ".npy")
    make(tmp_path / ("there" if way in FOLDERS else f"there{suffix}"))
    return tmp_path / "there"


def bound(path):
    before = os.getcwd()
    os.chdir(path.parent)  # names of sockets are short
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(before)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("kind", "make"),
    [("a device", lambda path: path.symlink_to("/dev/full")), ("a pipe", os.mkfifo), ("a socket", bound)],
)
def test_what_is_neither_file_nor_folder_is_not_replaced(refused, way, kind, make, tmp_path):
    wanted = "a folder" if way in FOLDERS else "a file"
    line = refused(way, lying(tmp_path, way, make))
    assert line == f"error: OUT cannot be written: expected {wanted} or a new name, found {kind}"


@pytest.mark.parametrize("way", [way for way in WAYS if way not in ("sample", "encode")])  # to shards there
def test_a_file_is_no_folder_and_a_folder_no_file(refused, way, tmp_path):
    one = lying(tmp_path, way, lambda path: path.touch() if way in FOLDERS else path.mkdir())
    wanted, found = ("a folder", "a file") if way in FOLDERS else ("a file", "a folder")
    assert (
        refused(way, one) == f"error: OUT cannot be written: expected {wanted} or a new name, found {found}"
    )


@pytest.mark.parametrize("way", WAYS)
def test_the_place_must_be_in_a_folder_that_may_be_written(refused, way, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for out in (tmp_path / "file" / "x", tmp_path / "file" / "y" / "x"):
        said = f"error: OUT cannot be written: expected {tmp_path / 'file'} to be a folder, found a file"
        assert refused(way, out) == said
    monkeypatch.setattr(files.os, "access", lambda path, how: path != tmp_path)
    for out in (tmp_path / "x", tmp_path / "y" / "x"):
        assert refused(way, out) == f"error: OUT cannot be written: Permission denied in {tmp_path}"


@pytest.mark.parametrize("way", ["train", "pack", "sample to a folder", "encode to a folder"])
def test_a_folder_of_something_else_is_refused_before_rows_are_read(refused, way, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "thesis.tex").touch()
    line = refused(way, tmp_path / "there")
    assert "thesis.tex" in line or line == "error: OUT exists: remove it, or choose another folder"


def test_shards_of_another_request_are_refused_before_rows_are_read(shards, refused):
    found = "error: OUT holds what another command made: "
    assert refused("encode to a folder", shards).startswith(f"{found}holds was 'samples', is 'codes'; choose")
    assert refused("sample to a folder", shards).startswith(f"{found}n was 10, is 64; choose another --out")


def test_a_pack_is_not_begun_in_a_folder_of_something_else(refused, tmp_path):
    (tmp_path / "there.part").mkdir()
    (tmp_path / "there.part" / "thesis.tex").touch()
    assert "OUT.part, where the pack would be begun, holds something else" in refused(
        "pack", tmp_path / "there"
    )


@pytest.mark.parametrize("way", WAYS)
def test_a_home_that_is_not_there_is_no_path(ways, command, way):
    words, suffix = ways[way]
    code, _, err = command(*words, f"~nobody-at-all/x{suffix}")
    assert code == 78
    (line,) = err.splitlines()
    assert "is not a path: Could not determine home" in line


def test_no_write_replaces_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(
        OutputError, match="pipe cannot be written: expected a file or a new name, found a pipe"
    ):
        files.write_atomic(tmp_path / "pipe", b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]
    assert (tmp_path / "pipe").is_fifo()
