"""A run that is killed at any of its file operations goes on with the same command, to the same bits."""

import json
import re
import shutil
import warnings
from contextlib import suppress
from pathlib import Path

import pytest
from faulty_disk import FaultyDisk, Killed
from tiny import TinyRun, fingerprint, left_over

import pushforward as pf
from pushforward.errors import OutputError

STEPS = 3  # one checkpoint more than are kept
PARTS = 8  # in which the operations of a run are tested, so that no test takes long
# One recipe of each family, and those whose state is special.
FAMILIES = {
    "wae-mmd": {"latent_dim": 2, "weight": "auto"},
    "wae-gan": {"latent_dim": 2},
    "aae-supervised": {"latent_dim": 2},
    "gmmn-ae": {"latent_dim": 2},
    "arae": {"latent_dim": 4},
    "transfer-ae": {"latent_dim": 2},
    "gan": {"latent_dim": 2},
    "began": {"latent_dim": 2},
    "gmmn": {"latent_dim": 2},
}


class Whole:
    """A run that nothing stopped, what it came to, and its file operations."""

    def __init__(self, tiny, folder):
        self.tiny = tiny
        with FaultyDisk() as faulty:
            tiny.train(folder / "whole")
        self.calls = faulty.calls
        self.bits = fingerprint(folder / "whole")

    def check(self, folder):
        """The same command again gives the same bits, and leaves nothing behind."""
        with FaultyDisk():
            self.tiny.train(folder)
        assert fingerprint(folder) == self.bits
        assert left_over(folder) == []

    def part(self, part):
        """The numbers of some of the operations; together the parts have all."""
        return range(part, len(self.calls), PARTS)


@pytest.fixture(scope="module")
def vae(tmp_path_factory):
    return Whole(TinyRun("vae", STEPS, latent_dim=2), tmp_path_factory.mktemp("vae"))


def parts(daily=1):
    """The parts of a test, of which the first are for every day."""
    return [pytest.param(part, marks=[] if part < daily else pytest.mark.soak) for part in range(PARTS)]


def outcome(call):
    """What the user reads of a call on a faulty disk: warnings, and the error if there is one."""
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        try:
            call()
        except OutputError as error:
            return [str(error), *(str(one.message) for one in given)]
    return [str(one.message) for one in given]


@pytest.mark.parametrize("part", parts(daily=2))
def test_a_kill_at_any_file_operation_loses_nothing(vae, part, tmp_path):
    for number in vae.part(part):
        folder = tmp_path / str(number)
        with FaultyDisk("kill", number), pytest.raises(Killed):
            vae.tiny.train(folder)
        vae.check(folder)


@pytest.mark.parametrize("part", parts())
def test_an_input_output_error_at_any_file_operation_loses_nothing(vae, part, tmp_path):
    for number in vae.part(part):
        folder = tmp_path / str(number)
        with FaultyDisk("error", number):
            printed = outcome(lambda folder=folder: vae.tiny.train(folder))
        assert all("cannot be written: Input/output error" in line for line in printed)
        vae.check(folder)


@pytest.mark.parametrize("part", parts())
def test_a_disk_that_is_full_from_any_file_operation_on_loses_nothing(vae, part, tmp_path):
    said = r"cannot be written: No space left on device; [\d,]+ bytes were to be written, [\d,]+ are free"
    for number in vae.part(part):
        folder = tmp_path / str(number)
        with FaultyDisk("full", number):
            printed = outcome(lambda folder=folder: vae.tiny.train(folder))
        assert all(re.search(said, line) for line in printed)
        assert not folder.exists() or left_over(folder) == []
        vae.check(folder)


def test_nothing_is_relied_on_before_it_is_on_the_disk(vae):
    """A file is synced before it is renamed, its folder afterwards; only then does an older checkpoint go."""
    unsynced, unsettled, renamed, removed = set(), set(), 0, 0
    for name, *arguments in vae.calls:
        places = [one if isinstance(one, Path) else Path(getattr(one, "name", "")) for one in arguments]
        match name:
            case "write":
                unsynced.add(places[0])
            case "sync":
                unsynced.discard(places[0])
            case "sync_folder":
                unsettled.discard(places[0])
            case "replace" if not places[1].name.startswith(".tmp-old-"):
                assert not any(path == places[0] or places[0] in path.parents for path in unsynced)
                unsettled.add(places[1].parent)
                renamed += 1
            case "replace" | "unlink" | "rmdir":
                assert not unsettled
                removed += 1
    assert (renamed, removed) > (2 * STEPS, STEPS)


def test_writes_that_take_only_a_part_are_gone_on_with(vae, tmp_path):
    with FaultyDisk("short"):
        vae.tiny.train(tmp_path / "run")
    assert fingerprint(tmp_path / "run") == vae.bits


@pytest.fixture(scope="module")
def old(vae, tmp_path_factory):
    """A finished run of another seed."""
    folder = tmp_path_factory.mktemp("old") / "run"
    with FaultyDisk():
        vae.tiny.train(folder, seed=1)
    (folder / "notes.txt").write_text("mine")
    return folder


@pytest.mark.parametrize("part", parts())
def test_a_kill_while_another_run_is_overwritten_leaves_the_old_one_or_the_new(vae, old, part, tmp_path):
    """The old run is whole until the new one's configuration is written, and then the new one can go on."""
    for number in vae.part(part):
        folder = tmp_path / str(number)
        shutil.copytree(old, folder)
        with FaultyDisk("kill", number), pytest.raises(Killed):
            vae.tiny.train(folder, overwrite=True)
        if json.loads((folder / "config.json").read_text())["seed"] == 1:
            assert fingerprint(folder) == fingerprint(old)
            assert pf.load(folder).step == STEPS
        else:
            vae.check(folder)
        assert (folder / "notes.txt").read_text() == "mine"


def test_kills_one_after_the_other_lose_nothing(vae, tmp_path):
    """What killed processes have left does not add up to something that stops the next."""
    for first in range(3, len(vae.calls), 50):
        folder = tmp_path / str(first)
        for number in (first, 9, 21, 5):
            with FaultyDisk("kill", number), suppress(Killed):
                vae.tiny.train(folder)
        vae.check(folder)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("recipe", FAMILIES)
def test_every_family_survives_a_kill_at_any_file_operation(recipe, tmp_path):
    whole = Whole(TinyRun(recipe, 4, **FAMILIES[recipe]), tmp_path)
    for number in range(len(whole.calls)):
        folder = tmp_path / str(number)
        with FaultyDisk("kill", number), pytest.raises(Killed):
            whole.tiny.train(folder)
        whole.check(folder)
        shutil.rmtree(folder)
