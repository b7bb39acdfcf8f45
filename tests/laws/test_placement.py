"""Rows come to the device in the same order and with the same bits, wherever they lie meanwhile."""

import threading

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.conformance.subject import differing
from pushforward.data.rows import ReadRows
from pushforward.data.scaling import UnitInterval
from pushforward.data.split import Split
from pushforward.errors import DataError, InterruptedRunError
from pushforward.interrupts import StopRequested
from pushforward.recipes import RECIPES
from pushforward.torch_state import torch_seeded
from pushforward.training import Loop, placement
from pushforward.training.placement import Prefetched, Resident, Source, fits, source_of

CPU = torch.device("cpu")
BYTES = torch.randint(0, 256, (40, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
NUMBERS = 1e3 * torch.randn(40, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
LABELS = torch.arange(40) % 4
STEPS = 12  # of 8 rows each: an epoch of 5, and two ends of it


def bytes_of_images():
    return pf.open_dataset((BYTES, LABELS))


def columns():
    return pf.open_dataset((NUMBERS, LABELS))


def lines():
    return pf.open_dataset("phrases")


CASES = {
    "wae-gan of bytes": ("wae-gan", bytes_of_images, {}),
    "wae-mmd of columns": ("wae-mmd", columns, {}),
    "a critic with five updates": ("wgan", bytes_of_images, {}),
    "rows with labels": ("aae-semi-supervised", bytes_of_images, {"n_labels": 12}),
    "rows with counterparts": ("transfer-ae", lines, {"paired_fraction": 0.5}),
}


def loop_of(case):
    recipe, opened, options = CASES[case]
    data = opened()
    with torch_seeded(0):
        setup = RECIPES[recipe](data.spec, batch_size=8, **options)
    train = data.train.rows(torch.arange(36)) if recipe == "transfer-ae" else data.train
    return Loop(setup.model.train(), train, setup.training, 100, seed=3)


def all_after(loop, steps=STEPS):
    """Everything that a loop comes to."""
    terms = [loop.advance()[0] for _ in range(steps)]
    loop.close()
    found = {
        f"{file}/{name}": value for file, part in loop.state()[0].items() for name, value in part.items()
    }
    return found | {f"{step}/{name}": value for step, one in enumerate(terms) for name, value in one.items()}


@pytest.mark.parametrize("kind", [Resident, Prefetched])
@pytest.mark.parametrize("case", CASES)
def test_where_rows_lie_changes_no_bit(case, kind, monkeypatch):
    wanted = all_after(loop_of(case))
    monkeypatch.setattr("pushforward.training.loop.source_of", kind)
    loop = loop_of(case)
    assert {type(source) for source in loop.sources.values()} == {kind}
    assert differing(all_after(loop), wanted) == []


@pytest.mark.parametrize("kind", [Source, Prefetched])
def test_rows_of_a_file_are_those_of_memory(kind, tmp_path, monkeypatch):
    monkeypatch.setattr("pushforward.training.loop.source_of", kind)
    np.save(tmp_path / "rows.npy", BYTES.numpy())
    found = []
    for source in (BYTES, tmp_path / "rows.npy"):
        if source is not BYTES:
            monkeypatch.setattr("pushforward.data.mapped.SHARE", 0)
        data = pf.open_dataset(source)
        assert isinstance(data.train.x, torch.Tensor) == (source is BYTES)
        with torch_seeded(0):
            setup = RECIPES["vae"](data.spec, batch_size=8)
        found.append(all_after(Loop(setup.model.train(), data.train, setup.training, 100)))
    assert differing(*found) == []


def test_resuming_and_going_back_ask_for_rows_in_any_order(monkeypatch):
    """A thread that is ahead is of no use then, and does no harm."""
    plain = loop_of("wae-gan of bytes")
    monkeypatch.setattr("pushforward.training.loop.source_of", Prefetched)
    loop = loop_of("wae-gan of bytes")
    for draw in (0, 1, 1, 7, 3, 4, 0):
        assert torch.equal(loop.rows(draw).x, plain.rows(draw).x)
    for one in (plain, loop):
        one.rollbacks = 2
    assert torch.equal(loop.rows(1).x, plain.rows(1).x)
    loop.close()
    assert torch.equal(loop.rows(2).x, plain.rows(2).x)
    loop.close()


def counted(read=lambda index: None):
    """Rows that count how often they are read, and call something first."""
    reads = []

    def rows(index):
        reads.append(index)
        read(index)
        return BYTES[index]

    split = Split(ReadRows(len(BYTES), rows))
    reads.clear()
    return split, reads


def batch_number(n):
    return torch.arange(8 * n, 8 * n + 8)


def test_the_batch_that_follows_is_read_before_it_is_asked_for():
    wanted, last = threading.Event(), threading.Event()

    def read(index):
        if not isinstance(index, slice):
            for row, seen in ((8, wanted), (24, last)):
                if row in index:
                    seen.set()

    split, reads = counted(read)
    source = Prefetched(split, CPU)
    source.take(batch_number(0), lambda: batch_number(1))
    assert wanted.wait(60)
    for n in (0, 1, 1, 2):  # players share a batch
        source.take(batch_number(n), lambda n=n: batch_number(n + 1))
    assert last.wait(60)  # what has not begun is not read once the source is closed
    source.close()
    assert [int(index[0]) for index in reads] == [0, 8, 16, 24]


def test_an_error_of_the_thread_is_that_of_reading():
    def fail(index):
        if not isinstance(index, slice) and 16 in index:
            raise DataError("rows.npy was cut off at row 16")

    for kind in (Source, Prefetched):
        split, _ = counted(fail)
        source = kind(split, CPU)
        for n in (0, 1):
            source.take(batch_number(n), lambda n=n: batch_number(n + 1))
        for _ in range(2):
            with pytest.raises(DataError, match="cut off at row 16"):
                source.take(batch_number(2), lambda: batch_number(3))
        assert torch.equal(
            source.take(batch_number(3), lambda: batch_number(4)).x, BYTES[24:32].float() / 255
        )
        source.close()


def readers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("pushforward-rows")]


@pytest.mark.parametrize("ended", ["to its end", "by a stop", "by an error"])
def test_a_run_leaves_no_thread_behind(ended, tmp_path, monkeypatch):
    seen, take_step = [], Loop.take_step

    def struck(loop, *arguments):
        seen.append(len(readers()))
        if loop.step == 3 and ended == "by a stop":
            raise StopRequested(15)
        if loop.step == 3 and ended == "by an error":
            raise DataError("a file is gone")
        return take_step(loop, *arguments)

    monkeypatch.setattr(Loop, "take_step", struck)
    monkeypatch.setattr("pushforward.training.loop.source_of", Prefetched)

    def run():
        pf.train("ae", BYTES, out=tmp_path / "run", steps=6, batch_size=8, progress=False, pictures=False)

    if ended == "to its end":
        run()
    else:
        with pytest.raises((InterruptedRunError, DataError)):
            run()
    assert seen[-1] == 1
    assert readers() == []


def test_rows_are_kept_on_a_gpu_where_they_take_a_quarter_of_its_free_memory(monkeypatch):
    gpu = torch.device("cuda")
    rows = Split(BYTES, LABELS)
    needed = BYTES.nbytes + LABELS.nbytes
    monkeypatch.setattr(placement, "Resident", lambda *_: "kept")
    monkeypatch.setattr(placement, "Prefetched", lambda *_: "read ahead")
    for free, found in ((4 * needed, "kept"), (4 * needed - 4, "read ahead")):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, free=free: (free, 10**12))
        assert source_of(rows, gpu) == found
    assert type(source_of(rows, CPU)) is Source
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (10**12, 10**12))
    assert not fits(counted()[0], gpu)


def test_bytes_become_the_same_numbers_whatever_divides_them():
    every = torch.arange(256, dtype=torch.uint8)
    exact = (every.double() / 255).float()  # rounded once
    assert torch.equal(UnitInterval().apply(every), exact)
    assert not torch.equal(every.float() * torch.tensor(1 / 255), exact)  # what a GPU makes of a number
