"""A split of one's own: rows that are named, data of their own, and groups that stay together."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import pushforward as pf
from pushforward.cli import main
from pushforward.data import open_dataset
from pushforward.errors import ConfigError, DataError, PushforwardError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3)).astype(np.float32)
GREY = RNG.integers(0, 256, (40, 8, 8), dtype=np.uint8)
MASK = np.arange(60) % 4 == 1


def rows(split):
    return {tuple(row.flatten().tolist()) for row in split.x[:]}


def frame(n=60):
    return pd.DataFrame(
        {"n": np.arange(n) % 7, "town": ["Rome", "Oslo"] * (n // 2), "who": np.arange(n) // 5}
    )


@pytest.mark.parametrize("test", [MASK, MASK.nonzero()[0], list(MASK.nonzero()[0]), torch.from_numpy(MASK),
                                  pd.Series(MASK)])  # fmt: skip
def test_rows_that_are_named_are_held_out(test):
    data = open_dataset(X, test=test)
    assert rows(data.test) == {tuple(row.tolist()) for row in torch.from_numpy(X[MASK])}
    assert len(data.train) == 45
    assert "15 of 60 rows are held out, as asked" in data.notes
    assert not any("the same in every run" in note for note in data.notes)
    assert data.fingerprint == open_dataset(X, test=MASK).fingerprint


def npz(folder):
    np.savez(folder / "x.npz", x=X, y=np.arange(60) % 2)
    return folder / "x.npz", 60


def table(folder):
    frame()[["n", "town"]].to_csv(folder / "x.csv", index=False)
    return folder / "x.csv", 60


def pack(folder):
    pf.pack(X, folder / "pack", progress=False)
    return folder / "pack", 60


def images(folder):
    for number, image in enumerate(GREY):
        Image.fromarray(image).save(folder / f"{number:02}.png")
    return folder, 40


@pytest.mark.parametrize("door", [npz, table, pack, images])
def test_through_every_door_rows_are_those_of_the_order_of_the_source(door, tmp_path):
    source, n = door(tmp_path)
    mask = np.arange(n) % 5 == 0
    data, usual = open_dataset(source, test=mask), open_dataset(source)
    assert (len(data.train), len(data.test)) == (n - n // 5, n // 5)
    every = open_dataset(source, test=~mask)
    assert rows(every.train) == rows(data.test)
    assert rows(every.test) == rows(data.train)
    assert rows(data.train) | rows(data.test) == rows(usual.train) | rows(usual.test)


def test_held_out_rows_may_be_data_of_their_own(tmp_path):
    """They are scaled as training rows are, and their labels are numbers of the same classes."""
    y = np.array(["b", "a"] * 30)
    data = open_dataset((X, y), test=(X[:10] + 5, ["a"] * 8 + ["c", "b"]))
    assert len(data.train) == 60
    assert torch.equal(data.test.x, torch.from_numpy(X[:10] + 5))
    assert data.test.y.tolist() == [0] * 8 + [-1, 1]
    assert data.spec.scaling == open_dataset((X, y)).spec.scaling
    assert {"1 held-out row of no class of training rows"} <= {*data.notes}
    (tmp_path / "train").mkdir()
    (tmp_path / "other").mkdir()
    images(tmp_path / "train")
    Image.fromarray(GREY[0].repeat(2, 0).repeat(2, 1)).save(tmp_path / "other" / "a.png")
    for name in "bcd":
        Image.fromarray(GREY[1]).save(tmp_path / "other" / f"{name}.png")
    data = open_dataset(tmp_path / "train", test=tmp_path / "other")
    assert (len(data.train), len(data.test), data.shape) == (40, 4, (1, 8, 8))


def test_the_schema_of_a_table_is_that_of_all_training_rows():
    data = open_dataset(frame(), test=frame(20))
    assert (len(data.train), len(data.test)) == (60, 20)
    with pytest.raises(DataError, match="town"):
        open_dataset(frame(), test=frame(20).assign(town="Bern"))


@pytest.mark.parametrize("kind", ["frame", "array", "npz"])
def test_rows_of_one_group_are_on_one_side(kind, tmp_path):
    groups = np.repeat([f"person {number}" for number in range(20)], 3)
    x = np.arange(60.0)[:, None] + np.zeros(3)
    if kind == "frame":
        table = pd.DataFrame({"who": groups, "row": np.arange(60.0) + 0.5, "n": np.arange(60) % 7})
        data = open_dataset(table, group="who")
        assert [column.name for column in data.codec.modelled] == ["row", "n"]
    elif kind == "array":
        data = open_dataset(x, group=groups)
    else:
        np.savez(tmp_path / "x.npz", x=x, who=groups)
        data = open_dataset(tmp_path / "x.npz", group="who")
    assert len(data.test) == 6
    assert "6 of 60 rows are held out, those of 2 of 20 groups, the same in every run" in data.notes
    held_out = {int(row) for row in data.test.x[:, 0]} if kind != "frame" else None
    if held_out is not None:
        assert len({row // 3 for row in held_out}) == 2
        assert {row // 3 for row in held_out}.isdisjoint(int(row) // 3 for row in data.train.x[:, 0])


def test_of_large_groups_the_smallest_is_held_out():
    data = open_dataset(X, group=[0] * 30 + [1] * 12 + [2] * 18)
    assert len(data.test) == 12


def test_a_split_of_ones_own_must_not_mix_groups():
    who = np.arange(60) // 5
    assert len(open_dataset(X, test=who < 2, group=who).test) == 10
    with pytest.raises(DataError, match=r"each group on one side of test, found 1 on both, such as 2"):
        open_dataset(X, test=np.arange(60) < 12, group=who)
    with pytest.raises(DataError, match=r"found 4 on both, such as 0"):
        open_dataset(frame(), test=frame(20), group="who")
    assert len(open_dataset(frame(), test=frame(20).assign(who=99), group="who").test) == 20


BAD = {
    "mask of another length": ({"test": MASK[1:]}, DataError, "a mask test of 60 rows, found one of 59"),
    "row that is not there": ({"test": [1, 60]}, DataError, "numbers of rows from 0 to 59 in test, found 60"),
    "negative": ({"test": [1, -1]}, DataError, "found -1"),
    "twice": ({"test": [1, 1, 2]}, DataError, "expected each row once"),
    "none": ({"test": np.zeros(60, bool)}, DataError, "2 training and 2 held-out rows, found 60 and 0"),
    "all": ({"test": np.ones(60, bool)}, DataError, "found 0 and 60"),
    "empty": ({"test": []}, DataError, "found 60 and 0"),
    "other shape": ({"test": X[:, :2]}, DataError, r"expected vector data of shape \(3,\)"),
    "no file": ({"test": "no-such.npy"}, DataError, "does not exist"),
    "a number": ({"test": 3}, DataError, "expected data, found int"),
    "floats": ({"test": [0.5, 1.5]}, PushforwardError, "expected shape"),
    "column": ({"group": "who"}, ConfigError, "must name a column, and array has no column 'who'"),
    "groups": ({"group": np.arange(59)}, DataError, r"for each of 60 rows, found shape \(59,\)"),
    "one group": ({"group": np.zeros(60)}, DataError, "expected at least 2 groups to hold one out, found 1"),
    "a table of groups": ({"group": X}, ConfigError, r"a column or one value a row, got shape \(60, 3\)"),
    "lost": ({"group": [None] + ["a"] * 59}, DataError, "a value of group in every row, found none in row 0"),
    "nan": ({"group": [1.0, np.nan] * 30}, DataError, "found none in row 1"),
    "both": ({"group": np.arange(60), "test": X}, ConfigError, "needs test as numbers of rows or a mask"),
    "stored": ({"test": {"sha256": "0"}}, DataError, "the held-out rows were given in memory"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_bad_splits_are_refused(what):
    options, kind, message = BAD[what]
    with pytest.raises(kind, match=message):
        open_dataset(X, **options)


def test_data_that_have_a_split_are_given_no_other(tmp_path):
    for source in ("digits", {"x_train": X, "x_test": X[:9]}):
        with pytest.raises(ConfigError, match="test is for data without a split of their own"):
            open_dataset(source, test=MASK)
    with pytest.raises(ConfigError, match="is a Dataset, which has its split"):
        open_dataset(open_dataset(X), test=MASK)
    (tmp_path / "x.txt").write_text("a b\nc d\ne f\ng h\ni j\n" * 4)
    with pytest.raises(ConfigError, match=r"test is not for text, .* a folder of train.txt and test.txt"):
        open_dataset(tmp_path / "x.txt", test=tmp_path / "x.txt")


@pytest.mark.parametrize("split", [{"test": MASK}, {"group": np.arange(60) // 5}, {"test": "other.npy"}])
def test_a_run_opens_its_split_again(split, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", X)
    np.save("other.npy", X[:9] * 0.5)
    run = pf.train("ae", "x.npy", out="run", steps=2, latent_dim=2, progress=False, **split)
    json.loads((run.path / "config.json").read_text())
    monkeypatch.chdir("/")
    again = pf.load(run.path)
    assert again.data.fingerprint == run.data.fingerprint == open_dataset(run.data).fingerprint
    assert pf.resume(run.path, steps=4, progress=False).step == 4
    assert pf.load(run.path, data=run.data).other is None


def test_held_out_rows_in_memory_have_to_be_given_again(tmp_path):
    np.save(tmp_path / "x.npy", X)
    run = pf.train("ae", tmp_path / "x.npy", test=X[:9], out=tmp_path / "run", steps=2, latent_dim=2,
                   progress=False)  # fmt: skip
    with pytest.raises(DataError, match="was trained on data in memory"):
        pf.resume(run.path, steps=4, progress=False)
    with pytest.raises(DataError, match="give a Dataset that open_dataset made with them"):
        pf.resume(run.path, tmp_path / "x.npy", steps=4, progress=False)
    assert (
        pf.resume(run.path, open_dataset(tmp_path / "x.npy", test=X[:9]), steps=4, progress=False).step == 4
    )


def test_a_comparison_takes_a_split(tmp_path):
    found = pf.compare(["ae"], X, seeds=[0], steps=2, out=tmp_path, features="pca", progress=False, test=MASK)
    assert len(found.runs[0].run.data.test) == 15


def command(capsys, *words):
    try:
        main([str(word) for word in words])
        code = 0
    except SystemExit as stop:
        code = stop.code or 0
    return code, *capsys.readouterr()


def test_on_the_command_line(tmp_path, capsys):
    frame().to_csv(tmp_path / "x.csv", index=False)
    frame(20).assign(who=99).to_csv(tmp_path / "y.csv", index=False)
    for words in (["--group", "who"], ["--test", tmp_path / "y.csv", "--group", "who"]):
        code, _, err = command(capsys, "train", "vae", tmp_path / "x.csv", "--steps", 2, "--out",
                               tmp_path / f"run{len(words)}", "--evaluate", "none", *words)  # fmt: skip
        assert code == 0, err
    held_out = pf.load(tmp_path / "run4").data.test
    assert len(held_out) == 20
    code, out, _ = command(capsys, "check", tmp_path / "x.csv", "--test", tmp_path / "x.csv")
    assert "also among the training rows" in out
    code, _, err = command(capsys, "check", tmp_path / "x.csv", "--group", "whom")
    assert code != 0
    assert "--group must name a column, and" in err


def test_check_tells_leaks_of_a_folder_of_held_out_images(tmp_path):
    for name in ("train", "test"):
        (tmp_path / name / "a").mkdir(parents=True)
    for number in range(12):
        Image.fromarray(GREY[number]).save(tmp_path / "train" / "a" / f"{number}.png")
    for number in range(10, 16):
        Image.fromarray(GREY[number]).save(tmp_path / "test" / "a" / f"{number}.png")
    found = pf.check(tmp_path / "train", test=tmp_path / "test", progress=False)
    assert found.names("leak") == {f"test/a/{n}.png = train/a/{n}.png" for n in (10, 11)}
    assert "leak" not in {one.kind for one in pf.check(tmp_path / "train", progress=False).oddities}
    (tmp_path / "train" / "a" / "x.png").write_bytes((tmp_path / "train" / "a" / "0.png").read_bytes())
    mask = np.zeros(13, bool)
    mask[[1, 12]] = True  # 1.png, and x.png, a copy of 0.png
    assert len(pf.check(tmp_path / "train", test=mask, progress=False).names("leak")) == 1
    with pytest.raises(ConfigError, match="must be one, too, to be checked"):
        pf.check(tmp_path / "train", test=X, progress=False)
