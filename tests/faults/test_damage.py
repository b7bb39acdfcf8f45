"""Damage to the files of a run is noticed, and repaired where a checkpoint holds a copy."""

import json
import random
import shutil
import warnings

import pytest
from faulty_disk import FaultyDisk
from tiny import TinyRun, fingerprint

import pushforward as pf
from pushforward.errors import CheckpointError, OutputError
from pushforward.runs.directory import RunDirectory
from pushforward.training.checkpoints import Checkpoints

FLIPS = 1000
STEPS = 4


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run, and the tiny run that it is of."""
    tiny, folder = TinyRun("vae", STEPS, latent_dim=2), tmp_path_factory.mktemp("damage") / "run"
    with FaultyDisk():
        tiny.train(folder)
    return tiny, folder


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """A finished run on text, and the tiny run that it is of."""
    tiny, folder = TinyRun("arae", 2, latent_dim=4), tmp_path_factory.mktemp("damage") / "text"
    with FaultyDisk():
        tiny.train(folder)
    return tiny, folder


@pytest.fixture
def run(whole, tmp_path):
    """A copy of the finished run, to be damaged."""
    return shutil.copytree(whole[1], tmp_path / "run")


def flip(path, place=-1, bit=0):
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << bit
    path.write_bytes(content)


def believed(folder):
    """What is believed of a run: configuration, history, vocabulary, step, and tensors of a checkpoint."""
    directory = RunDirectory(folder)
    config = directory.config()
    vocabulary = directory.codec(config)
    found, _ = directory.checkpoints(config).newest()
    tensors = {
        f"{part}/{name}": value.numpy().tobytes()
        for part, inside in found.tensors.items()
        for name, value in inside.items()
    }
    return config, directory.history(), vocabulary and vocabulary.text, found.step, tensors


def flips(count, folder):
    """Random bits of all files of a run that hold its state."""
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.name in ("config.json", "history.jsonl", "vocabulary.json") or "checkpoints" in path.parts
    ]
    files = [path.relative_to(folder) for path in files if path.is_file()]
    draw = random.Random(0)
    for number in range(count):
        file = files[number % len(files)]
        yield file, draw.randrange((folder / file).stat().st_size), draw.randrange(8)


@pytest.mark.parametrize("count", [30, pytest.param(FLIPS, marks=pytest.mark.soak)])
@pytest.mark.parametrize("kind", ["whole", "text"])
def test_a_flipped_bit_is_never_believed(kind, count, request, tmp_path):
    """What is believed is what was written, at the step of one of the two checkpoints."""
    folder = shutil.copytree(request.getfixturevalue(kind)[1], tmp_path / "run")
    written = {believed(folder)[3]: believed(folder)}
    newest = max(written)
    hidden = folder / "checkpoints" / f"{newest:08d}"
    hidden.rename(tmp_path / "hidden")
    written[believed(folder)[3]] = believed(folder)
    (tmp_path / "hidden").rename(hidden)
    assert len(written) == 2
    for file, place, bit in flips(count, folder):
        flip(folder / file, place, bit)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = believed(folder)
        assert found == written[found[3]], (file, place, bit)
        if "checkpoints" in file.parts and str(newest) not in file.parts[1]:
            assert found[3] == newest
        flip(folder / file, place, bit)


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "remove", "list", "deep"])
def test_a_damaged_configuration_is_restored_from_a_checkpoint(run, whole, damage):
    path = run / "config.json"
    content = path.read_bytes()
    match damage:
        case "flip":
            path.write_bytes(content.replace(b'"seed": 0', b'"seed": 1'))
        case "cut":
            path.write_bytes(content[:100])
        case "empty":
            path.write_bytes(b"")
        case "remove":
            path.unlink()
        case "list":
            path.write_text("[1, 2]")
        case "deep":
            path.write_text("[" * 100_000)
    said = r"config.json (is missing|cannot be read: .*); the copy in the checkpoint of step 4 is used"
    with pytest.warns(UserWarning, match=said):
        assert pf.load(run).config["seed"] == 0
    with pytest.warns(UserWarning, match=r"config.json"):
        whole[0].train(run)
    assert path.read_bytes() == content


def test_a_configuration_that_no_checkpoint_holds_is_not_believed(run, whole):
    shutil.rmtree(run / "checkpoints")
    flip(run / "config.json", 300)
    said = r"config.json cannot be read: .*No checkpoint holds a copy of it; train again with overwrite"
    for call in (pf.load, whole[0].train):
        with pytest.raises(OutputError, match=said):
            call(run)
    assert whole[0].train(run, overwrite=True).step == STEPS


def test_checkpoints_of_another_run_are_refused(run, whole, tmp_path):
    tiny, _ = whole
    other = tiny.train(tmp_path / "other", seed=1)
    shutil.rmtree(run / "checkpoints")
    shutil.copytree(other.path / "checkpoints", run / "checkpoints")
    for call in (pf.load, tiny.train):
        with pytest.raises(CheckpointError, match=r"00000004 belongs to another run: its id should be"):
            call(run)


def test_a_checkpoint_under_another_number_is_refused(run):
    (run / "checkpoints" / "00000004").rename(run / "checkpoints" / "00000009")
    with pytest.warns(UserWarning, match=r"00000009 is not a whole checkpoint: it is of step 4; using .* 3"):
        assert pf.load(run).step == 3


def test_a_bad_line_of_the_history_hides_no_other(run, whole):
    tiny, folder = whole
    lines = (run / "history.jsonl").read_bytes().splitlines(keepends=True)
    lines[1] = b"\xff" + lines[1]
    (run / "history.jsonl").write_bytes(b"".join(lines))
    with pytest.warns(UserWarning, match=r"history.jsonl is damaged or missing; its copy .* up to step 4"):
        assert [line["step"] for line in pf.load(run).history] == [1, 2, 3, 4]
    tiny.train(run)
    assert (run / "history.jsonl").read_bytes() == (folder / "history.jsonl").read_bytes()


def test_bad_lines_of_a_history_without_a_copy_are_counted(run):
    (run / "history.jsonl").write_bytes(
        b'{"step": 1, "terms": {"a": 1.0}}\n[]\nnull\n{"step": "2", "terms": {}}\n'
        b'{"step": 3, "terms": {"a": "high"}}\n' + b"[" * 100_000 + b'\n{"step": 4, "terms": {"a": 2.0}}\n'
    )
    shutil.rmtree(run / "checkpoints")
    with pytest.warns(UserWarning, match=r"history.jsonl: left out 5 damaged lines: 2, 3, 4, 5, 6"):
        assert [line["step"] for line in RunDirectory(run).history()] == [1, 4]


def test_a_vocabulary_that_is_damaged_is_restored(text, tmp_path):
    tiny, folder = text
    run = shutil.copytree(folder, tmp_path / "run")
    flip(run / "vocabulary.json", 500)
    with pytest.warns(UserWarning, match=r"vocabulary.json cannot be read: its sha256 .* of step 2"):
        assert pf.load(run).vocabulary.text == tiny.data.vocabulary.text
    tiny.train(run)
    assert (run / "vocabulary.json").read_bytes() == (folder / "vocabulary.json").read_bytes()


def test_if_both_checkpoints_are_damaged_it_is_said_what_can_still_be_done(run, whole):
    tiny, folder = whole
    for place in (run / "checkpoints").iterdir():
        flip(place / "model.safetensors")
    said = (
        r"00000004/model.safetensors is damaged: sha256 .*00000003/model.safetensors is damaged.*the weights "
        r"are lost. config.json and history.jsonl can still be read; to get the weights back, train again"
    )
    for call in (pf.load, tiny.train):
        with pytest.raises(CheckpointError, match=said):
            call(run)
    assert len(RunDirectory(run).history()) == STEPS
    tiny.train(run, overwrite=True)
    assert fingerprint(run) == fingerprint(folder)


def test_only_checkpoints_that_verify_are_counted_when_old_ones_are_removed(tmp_path):
    """Empty, damaged and foreign folders, of whatever number, make no good checkpoint go."""
    good = {"model": {}}
    checkpoints = Checkpoints(tmp_path, "mine")
    (tmp_path / "00000090").mkdir()
    Checkpoints(tmp_path, "other").write(80, good, {"step": 80})
    checkpoints.write(70, good, {"step": 70})
    flip(tmp_path / "00000070" / "state.json")
    for step in (1, 2, 3):
        Checkpoints(tmp_path, "mine").write(step, good, {"step": step})
        assert Checkpoints(tmp_path, "mine").newest()[0].step == step
    assert checkpoints.steps() == [2, 3, 70, 80, 90]
    flip(tmp_path / "00000002" / "state.json")
    Checkpoints(tmp_path, "mine").write(4, good, {"step": 4})
    assert checkpoints.steps() == [2, 3, 4, 70, 80, 90]


def test_a_checkpoint_that_is_removed_while_it_is_read_is_no_fault(tmp_path, monkeypatch):
    """A run that trains writes newer ones meanwhile, which are found."""
    writer, reader = Checkpoints(tmp_path, "mine"), Checkpoints(tmp_path, "mine")
    writer.write(1, {}, {"step": 1})
    read = Checkpoints.read

    def raced(checkpoints, step):
        monkeypatch.setattr(Checkpoints, "read", read)
        for later in (2, 3):
            writer.write(later, {}, {"step": later})
        return read(checkpoints, step)

    monkeypatch.setattr(Checkpoints, "read", raced)
    found, faults = reader.newest()
    assert (found.step, faults) == (3, [])


def test_the_configuration_of_a_run_is_json_that_people_can_read(whole):
    config = json.loads((whole[1] / "config.json").read_text())
    assert config["recipe"] == "vae"
    assert len(config["id"]) == 32
