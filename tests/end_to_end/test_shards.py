"""Folders of shards: the rows of run.sample, in files that are resumed, shared out and read back."""

import hashlib
import json

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.cli import main
from pushforward.data.shards import MANIFEST, read_shards
from pushforward.errors import ConfigError, DataError, OutputError
from pushforward.report import rendering
from pushforward.runs import shards, trained_model
from pushforward.tables.csv import read_csv
from pushforward.tables.frames import frame_of, read_arrow

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (40, 8, 8), dtype=np.uint8)
QUICK = {"steps": 5, "batch_size": 10, "progress": False, "pictures": False}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A WAE on grey images of bytes, with convolutions."""
    out = tmp_path_factory.mktemp("shards") / "run"
    return pf.train("wae-mmd", IMAGES, out=out, latent_dim=2, network="conv", **QUICK)


@pytest.fixture(scope="module")
def table_run(tmp_path_factory):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"age": np.arange(60) % 50 + 20, "town": ["Rome", "Oslo", "Bern"] * 20})
    return pf.train("vae", frame, out=tmp_path_factory.mktemp("shards") / "table", latent_dim=2, **QUICK)


@pytest.fixture(scope="module")
def text_run(tmp_path_factory):
    out = tmp_path_factory.mktemp("shards") / "text"
    return pf.train("vae", "phrases", out=out, latent_dim=2, **QUICK)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(trained_model, "CHUNK", 8)


def arrays(folder):
    return np.concatenate([np.load(path) for path in sorted(folder.glob("part-*.npy"))])


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def command(*words):
    try:
        main([str(word) for word in words])
    except SystemExit as stop:
        return stop.code
    return 0


def test_a_folder_holds_the_samples_in_their_order(run, tmp_path):
    made = run.write_samples(tmp_path / "out", 50, seed=3, rows_per_shard=20)
    assert [(one.name, one.rows) for one in made.files] == [
        ("part-00000.npy", 20), ("part-00001.npy", 20), ("part-00002.npy", 10)
    ]  # fmt: skip
    assert made.complete
    assert np.allclose(arrays(tmp_path / "out"), run.sample(50, seed=3).numpy(), atol=1e-5)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "part-00000.npy", "part-00001.npy", "part-00002.npy", MANIFEST
    ]  # fmt: skip
    manifest = json.loads((tmp_path / "out" / MANIFEST).read_text())
    assert manifest["rows"] == 50
    assert manifest["request"] | {"holds": "samples", "n": 50, "seed": 3, "step": 5} == manifest["request"]
    for one in manifest["files"]:
        content = (tmp_path / "out" / one["name"]).read_bytes()
        assert (one["bytes"], one["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())


def test_neither_the_size_of_shards_nor_that_of_chunks_matters(run, tmp_path, monkeypatch):
    run.write_samples(tmp_path / "a", 50, rows_per_shard=50)
    monkeypatch.setattr(trained_model, "CHUNK", 512)
    run.write_samples(tmp_path / "b", 50, rows_per_shard=7)
    assert np.allclose(arrays(tmp_path / "a"), arrays(tmp_path / "b"), atol=1e-5)


def test_the_run_is_as_it_was(run, tmp_path):
    """Weights lie in memory as before, so that what is computed afterwards is the same to the last bit."""
    before = run.sample(20)
    run.write_samples(tmp_path / "out", 20)
    assert torch.equal(run.sample(20), before)


class Stopped(BaseException):
    """What ends the process in these tests."""


@pytest.mark.parametrize("at", range(8))
def test_a_killed_call_goes_on_to_the_same_bytes(at, run, tmp_path, monkeypatch):
    """Killed before any of its writes, and repeated: what was there is kept, and the bytes are the same."""
    run.write_samples(tmp_path / "whole", 50, rows_per_shard=20)
    write, calls = shards.write_atomic, []

    def killed(path, content):
        calls.append(path)
        if len(calls) > at:
            raise Stopped
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(shards, "write_atomic", killed)
        with pytest.raises(Stopped):
            run.write_samples(tmp_path / "out", 50, rows_per_shard=20)
    made = []
    monkeypatch.setattr(
        shards, "write_atomic", lambda path, content: made.append(path.name) or write(path, content)
    )
    run.write_samples(tmp_path / "out", 50, rows_per_shard=20)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    noted = sum(path.name.endswith(".npy.json") for path in calls[:at])
    assert sum(name.endswith(".npy") for name in made) == 3 - noted
    assert run.write_samples(tmp_path / "out", 50, rows_per_shard=20) == read_shards(tmp_path / "out")


def test_a_shard_that_is_lost_or_cut_short_is_written_again(run, tmp_path):
    run.write_samples(tmp_path / "out", 50, rows_per_shard=20)
    before = contents(tmp_path / "out")
    (tmp_path / "out" / "part-00000.npy").unlink()
    (tmp_path / "out" / "part-00002.npy").write_bytes(b"cut")
    run.write_samples(tmp_path / "out", 50, rows_per_shard=20)
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 1}, "seed was 0, is 1"),
        ({"n": 60}, "n was 50, is 60"),
        ({"dtype": "uint8"}, "dtype was 'float32'"),
    ],
)
def test_another_request_is_refused_and_named(finished, change, said, run, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        if not finished:
            patch.setenv("RANK", "0")
            patch.setenv("WORLD_SIZE", "2")
        assert run.write_samples(tmp_path / "out", 50, rows_per_shard=20).complete is finished
    before = contents(tmp_path / "out")
    with pytest.raises(
        OutputError, match=f"out holds what another command made: {said}.*; choose another out"
    ):
        run.write_samples(tmp_path / "out", **{"n": 50, "rows_per_shard": 20} | change)
    with pytest.raises(OutputError, match="holds was 'samples', is 'codes'"):
        run.write_codes(IMAGES, tmp_path / "out", rows_per_shard=20)
    assert contents(tmp_path / "out") == before


def test_a_folder_of_something_else_is_refused(run, tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(
        OutputError, match=r"holds thesis.tex, and is no folder of shards; choose another out"
    ):
        run.write_samples(tmp_path, 10)


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_the_shards(world, run, tmp_path, monkeypatch):
    """In any order, one after another or killed in between: the bytes are those of one process."""
    run.write_samples(tmp_path / "one", 50, rows_per_shard=8)
    monkeypatch.setenv("WORLD_SIZE", str(world))
    for rank in reversed(range(world)):
        monkeypatch.setenv("RANK", str(rank))
        made = run.write_samples(tmp_path / "out", 50, rows_per_shard=8)
        assert made.complete is (rank == 0)
        assert {int(one.name[5:10]) % world for one in made.files} == set(range(rank, world))
    assert contents(tmp_path / "out") == contents(tmp_path / "one")


@pytest.mark.parametrize(
    ("rank", "said"),
    [("2", "expected RANK below WORLD_SIZE 2, found 2"), ("x", "RANK must be a whole number of at least 0")],
)
def test_wrong_environments_are_refused(rank, said, run, tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=said):
        run.write_samples(tmp_path / "out", 10)


def test_commands_of_torchrun_share_folders_and_refuse_files(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    words = ("sample", run.path, "--n", 30, "--rows-per-shard", 10, "--out")
    for rank in "01":
        monkeypatch.setenv("RANK", rank)
        assert command(*words, tmp_path / "out") == 0
        assert ("other processes are still writing" in capsys.readouterr().out) is (rank == "0")
    assert np.allclose(arrays(tmp_path / "out"), run.sample(30).numpy(), atol=1e-5)
    np.save(tmp_path / "x.npy", IMAGES)
    encoding = ("encode", run.path, tmp_path / "x.npy", "--out", tmp_path / "codes.npy")
    for refused in ((*words, tmp_path / "one.npy"), words[:2], encoding):
        assert command(*refused) == 78
        assert "one file is written by one process, got 2 (WORLD_SIZE)" in capsys.readouterr().err


def test_a_full_disk_is_known_before(run, tmp_path, monkeypatch):
    usage = type("usage", (), {"free": 5000})
    monkeypatch.setattr(rendering.shutil, "disk_usage", lambda place: usage)
    run.write_samples(tmp_path / "fits", 16)
    said = "out cannot be written: it takes 12.5 KiB in 3 shards, 4.88 KiB are free; lower n"
    with pytest.raises(OutputError, match=said):
        run.write_samples(tmp_path / "out", 50, rows_per_shard=20)
    assert not (tmp_path / "out").exists()
    run.write_samples(tmp_path / "fits", 16)


def test_memory_does_not_grow_with_the_number_of_samples(run, tmp_path, monkeypatch):
    """At no time are more than a few chunks of samples alive."""
    alive, most, made = [], [], run.sample_parts

    def watched(*arguments, **named):
        import weakref

        for part in made(*arguments, **named):
            alive[:] = [one for one in alive if one() is not None]
            alive.append(weakref.ref(part))
            most.append(len(alive))
            yield part
            del part

    monkeypatch.setattr(run, "sample_parts", watched)
    run.write_samples(tmp_path / "out", 400, rows_per_shard=100)
    assert len(most) == 4 * 13
    assert max(most) <= 2


# ------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("lazy", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_shards_of_images_are_data(dtype, lazy, run, tmp_path, monkeypatch):
    if lazy:
        monkeypatch.setattr("pushforward.data.mapped.SHARE", 0)
    run.write_samples(tmp_path / "out", 50, rows_per_shard=20, dtype=dtype)
    data = pf.open_dataset(tmp_path / "out")
    assert (data.shape, data.modality, data.in_unit_interval) == ((1, 8, 8), "image", True)
    assert len(data.train) + len(data.test) == 50
    whole = np.concatenate([arrays(tmp_path / "out")])
    assert whole.dtype == np.dtype(dtype)
    np.save(tmp_path / "whole.npy", whole)
    assert data.fingerprint == pf.open_dataset(tmp_path / "whole.npy").fingerprint
    samples = run.sample(50).numpy()
    assert np.allclose(
        whole if dtype == "float32" else whole / 255, samples, atol=1e-5 if dtype == "float32" else 0.003
    )


def test_a_run_is_scored_and_another_is_trained_on_a_folder(run, tmp_path):
    run.write_samples(tmp_path / "out", 50, rows_per_shard=20)
    results = pf.score(IMAGES, tmp_path / "out", features="pixels")
    assert results["n_samples"] == 50
    assert pf.train("vae", tmp_path / "out", out=tmp_path / "run", latent_dim=2, **QUICK).step == 5


def test_shards_of_tables_and_lines_are_data(table_run, text_run, tmp_path):
    for kind in ("csv", "parquet"):
        table_run.write_samples(tmp_path / kind, 30, rows_per_shard=12, format=kind)
        data = pf.open_dataset(tmp_path / kind)
        assert data.modality == "table"
        assert len(data.train) + len(data.test) == 30
        first, *more = sorted((tmp_path / kind).glob(f"*.{kind}"))
        table = read_csv(first, None, more) if kind == "csv" else read_arrow(first, more)
        assert frame_of(table).equals(table_run.sample(30))
    assert sorted((tmp_path / "csv").glob("*.csv"))[0].read_text().startswith("age,town\n")
    text_run.write_samples(tmp_path / "text", 30, rows_per_shard=12)
    lines = [
        line
        for path in sorted((tmp_path / "text").glob("*.txt"))
        for line in path.read_text().split("\n")[:-1]
    ]
    assert lines == text_run.lines(text_run.sample(30))
    assert pf.open_dataset(tmp_path / "text").modality == "text"


def test_a_condition_is_kept(table_run, tmp_path):
    table_run.write_samples(tmp_path / "out", 30, rows_per_shard=12, condition={"town": "Oslo"}, candidates=4)
    rows = [path.read_text().split("\n")[1:-1] for path in sorted((tmp_path / "out").glob("*.csv"))]
    assert [len(part) for part in rows] == [12, 12, 6]
    assert all(line.endswith(",Oslo") for part in rows for line in part)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "part-00001.npy").unlink(), "part-00001.npy: expected .* bytes, found 0"),
        (lambda folder: (folder / MANIFEST).write_text("{}"), "shards.json cannot be read: KeyError"),
        (
            lambda folder: (folder / MANIFEST).write_text(
                (folder / MANIFEST).read_text().replace("part-00001", "../b")
            ),
            "a shard lies in another folder",
        ),
    ],
)
def test_damaged_folders_are_refused(damage, said, run, tmp_path):
    run.write_samples(tmp_path / "out", 50, rows_per_shard=20)
    damage(tmp_path / "out")
    with pytest.raises(DataError, match=said):
        pf.open_dataset(tmp_path / "out")


def test_a_changed_byte_is_found_by_check(run, tmp_path, capsys):
    run.write_samples(tmp_path / "out", 50, rows_per_shard=20)
    assert command("check", tmp_path / "out") == 0
    path = tmp_path / "out" / "part-00001.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    capsys.readouterr()
    assert command("check", tmp_path / "out") == 65
    assert "the sha256 of part-00001.npy should be" in capsys.readouterr().out


# ------------------------------------------------------------------------------------------- commands


def test_codes_of_a_file_are_written_to_a_folder(run, tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", IMAGES)
    assert (
        command("encode", run.path, tmp_path / "x.npy", "--out", tmp_path / "codes", "--rows-per-shard", 12)
        == 0
    )
    assert np.allclose(arrays(tmp_path / "codes"), run.encode(IMAGES).numpy(), atol=1e-5)
    assert read_shards(tmp_path / "codes").request["holds"] == "codes"
    assert pf.open_dataset(tmp_path / "codes").shape == (2,)


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("changed", [0, 5, 20, 39])
def test_codes_of_other_rows_are_refused(changed, finished, run, tmp_path, monkeypatch):
    """One row of the source changes, whichever: what is there is kept, and a call that goes on is refused."""
    np.save(tmp_path / "x.npy", IMAGES)
    with monkeypatch.context() as patch:
        if not finished:  # the other process has not yet written its shards
            patch.setenv("WORLD_SIZE", "2")
            patch.setenv("RANK", str(changed // 10 % 2))
        made = run.write_codes(tmp_path / "x.npy", tmp_path / "out", rows_per_shard=10)
    assert made.complete is finished
    before, rows = contents(tmp_path / "out"), IMAGES.copy()
    rows[changed, 0, 0] ^= 1
    np.save(tmp_path / "x.npy", rows)
    start = changed // 10 * 10
    words = (
        rf"some of those of part-0000{changed // 10}.npy, {start} to {start + 9} of the source, have changed "
        "since; choose another out, or remove the folder"
    )
    with pytest.raises(OutputError, match=words):
        run.write_codes(tmp_path / "x.npy", tmp_path / "out", rows_per_shard=10)
    assert contents(tmp_path / "out") == before
    np.save(tmp_path / "x.npy", IMAGES)
    assert run.write_codes(tmp_path / "x.npy", tmp_path / "out", rows_per_shard=10).complete
    assert np.allclose(arrays(tmp_path / "out"), run.encode(IMAGES).numpy(), atol=1e-5)


def test_codes_of_other_labels_are_refused(tmp_path):
    """Of a conditional model codes depend on labels, too; rows in memory are compared as those of a file."""
    labels = np.arange(40) % 2
    run = pf.train("wae-mmd", (IMAGES, labels), out=tmp_path / "run", conditional=True, latent_dim=2, **QUICK)
    data = pf.open_dataset((IMAGES, labels))
    run.write_codes(data, tmp_path / "out", rows_per_shard=10)
    run.write_codes(data, tmp_path / "out", rows_per_shard=10)
    with pytest.raises(
        OutputError, match=r"holds what was made of other rows: some of those of part-00000\.npy, 0 to 9"
    ):
        run.write_codes(pf.open_dataset((IMAGES, 1 - labels)), tmp_path / "out", rows_per_shard=10)


def test_the_command_writes_what_python_does(run, tmp_path, capsys):
    run.write_samples(tmp_path / "python", 30, rows_per_shard=20)
    words = (
        "sample",
        run.path,
        "--n",
        "30",
        "--rows-per-shard",
        20,
        "--device",
        "cpu",
        "--out",
        tmp_path / "out",
    )
    assert command(*words) == 0
    assert f"samples of 30 rows in 2 shards: {tmp_path / 'out'}" in capsys.readouterr().out
    assert command("sample", run.path, "--n", 1, "--out", tmp_path / "one") == 0
    assert f"samples of 1 row in 1 shard: {tmp_path / 'one'}" in capsys.readouterr().out
    assert command(*words, "--json") == 0
    assert json.loads(capsys.readouterr().out)["complete"] is True
    assert contents(tmp_path / "out") == contents(tmp_path / "python")
    assert command(*words, "--seed", 1) == 74
    assert "seed was 0, is 1; choose another --out" in capsys.readouterr().err


def test_a_name_with_an_ending_is_one_file_in_python_as_well(run, tmp_path, capsys):
    """`run.write_codes("codes.npy")` made a folder of that name, `encode --out codes.npy` a file."""
    for name in ("codes.npy", "samples.png"):
        message = rf"out must name a folder, without an ending, got .*{name}: run.%s writes one file"
        with pytest.raises(ConfigError, match=message % "encode_file"):
            run.write_codes(IMAGES, tmp_path / name)
        with pytest.raises(ConfigError, match=message % "sample_file"):
            run.write_samples(tmp_path / name, 10)
    assert not [*tmp_path.iterdir()]
    first = run.sample_file(tmp_path / "python.npy", 20, seed=1)
    assert command("sample", run.path, "--n", 20, "--seed", 1, "--out", tmp_path / "command.npy") == 0
    assert (tmp_path / "command.npy").read_bytes() == (tmp_path / "python.npy").read_bytes()
    assert np.allclose(np.load(tmp_path / "python.npy"), run.sample(20, seed=1), atol=1e-6)
    assert torch.equal(first, torch.from_numpy(np.load(tmp_path / "python.npy"))[: len(first)])


@pytest.mark.parametrize(
    "write",
    [
        lambda run, out: run.encode_file("x.npy", out / "x.npy"),
        lambda run, out: run.reconstruct_file("x.npy", out / "x.npy"),
        lambda run, out: run.score_file("x.npy", out / "x.csv"),
        lambda run, out: run.write_codes("x.npy", out / "x"),
        lambda run, out: run.write_samples(out / "x", 10),
        lambda run, out: run.sample_file(out / "x.npy", 10),
    ],
)
def test_the_place_of_output_is_made_before_rows_are_read(write, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("no folder")

    def too_early(*_):
        raise AssertionError("rows were read, or made, before the place of output was looked at")

    monkeypatch.setattr(type(run), "_opened", too_early)
    monkeypatch.setattr(type(run), "_samples", too_early)
    with pytest.raises(OutputError, match=r"file/x.* cannot be written: expected .*file to be a folder"):
        write(run, tmp_path / "file")
    for name in ("x.npy", "x.csv"):
        (tmp_path / "taken" / name).mkdir(parents=True)
    (tmp_path / "taken" / "x").write_text("no folder")
    with pytest.raises(
        OutputError, match=r"taken/x.* cannot be written: expected a (file|folder) or a new name"
    ):
        write(run, tmp_path / "taken")
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", IMAGES)
    write(run, tmp_path / "new" / "folder")
    assert [*(tmp_path / "new" / "folder").iterdir()]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--rows-per-shard", 5), "--rows-per-shard 5 is for folders; --out is a file"),
        (("--dtype", "uint8"), "--dtype uint8 is for folders; --out is a file"),
        (("--format", "npy"), "--format npy is for folders; --out is a file"),
    ],
)
def test_options_of_folders_are_refused_for_files(options, said, run, tmp_path, capsys):
    assert command("sample", run.path, *options, "--out", tmp_path / "x.npy") == 78
    assert said in capsys.readouterr().err


def test_formats_and_types_that_rows_cannot_have_are_refused(run, table_run, tmp_path):
    with pytest.raises(ConfigError, match="unknown format 'csv' of image data: known: npy"):
        run.write_samples(tmp_path / "out", 10, format="csv")
    with pytest.raises(ConfigError, match=r"dtype='uint8' is for images in \[0, 1\], .* is on table data"):
        table_run.write_samples(tmp_path / "out", 10, dtype="uint8")
    with pytest.raises(ConfigError, match="unknown dtype 'int8': did you mean 'uint8'"):
        run.write_samples(tmp_path / "out", 10, dtype="int8")
    with pytest.raises(ConfigError, match="rows_per_shard must be at least 1, got 0"):
        run.write_samples(tmp_path / "out", 10, rows_per_shard=0)
    assert not (tmp_path / "out").exists()
