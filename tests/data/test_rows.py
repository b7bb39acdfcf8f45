"""Rows that are read by their numbers from files: the same rows, and the same runs, as in memory."""

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.data import Split, mapped, open_dataset
from pushforward.data.catalogue import open_like
from pushforward.data.dataset import hold_out, hold_out_places
from pushforward.data.rows import Forgetting, JoinedRows, ReadRows, SelectedRows, parts, select, whole
from pushforward.errors import DataError

RNG = np.random.default_rng(0)
ARRAYS = {
    "bytes": RNG.integers(0, 256, (60, 5, 7), dtype=np.uint8),
    "mask": RNG.integers(0, 2, (60, 30), dtype=np.uint8),
    "booleans": RNG.random((60, 4)) > 0.5,
    "colour": RNG.integers(0, 256, (60, 5, 7, 3), dtype=np.uint8),
    "deep": RNG.integers(0, 4096, (60, 5, 7), dtype=np.uint16),
    "grey floats": RNG.random((60, 5, 7), dtype=np.float32) * 255,
    "unit": RNG.random((60, 4)),
    "half": RNG.random((60, 4)).astype(np.float16),
    "real": RNG.normal(size=(60, 4)) * 100 + 1e6,
    "integers": RNG.integers(-50, 1000, (60, 4)),
    "big-endian": RNG.normal(size=(60, 4)).astype(">f8"),
    "big-endian depth": RNG.integers(0, 4096, (60, 5, 7)).astype(">u2"),
    "Fortran": np.asfortranarray(RNG.normal(size=(60, 4))),
}


@pytest.fixture
def everything_mapped(monkeypatch):
    monkeypatch.setattr(mapped, "SHARE", 0.0)


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("standardize", [True, False])
def test_a_mapped_file_holds_what_it_holds_in_memory(name, standardize, tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", ARRAYS[name])
    inside = open_dataset(tmp_path / "x.npy", standardize=standardize)
    monkeypatch.setattr(mapped, "SHARE", 0.0)
    outside = open_dataset(tmp_path / "x.npy", standardize=standardize)
    assert isinstance(inside.train.x, torch.Tensor)
    assert isinstance(outside.train.x, SelectedRows)
    assert outside.spec == inside.spec
    assert outside.fingerprint == inside.fingerprint
    assert torch.equal(outside.test.tensor(), inside.test.tensor())
    for index in (slice(3, 9), torch.tensor([5, 0, 5])):
        assert torch.equal(outside.train.batch(index).x, inside.train.batch(index).x)
    assert any("read as they are needed" in note for note in outside.notes)


@pytest.mark.parametrize("name", ARRAYS)
def test_rows_that_are_passed_over_once_are_those_in_memory(name, tmp_path):
    """To the last bit, in the order of the source, though none was kept and no column was looked at alone."""
    np.save(tmp_path / "x.npy", ARRAYS[name])
    spec = open_dataset(tmp_path / "x.npy").spec
    inside, later = (open_like(tmp_path / "x.npy", spec, later=later) for later in (False, True))
    assert isinstance(inside.x, torch.Tensor)
    assert not isinstance(later.x, torch.Tensor)
    assert later.x.dtype == inside.x.dtype
    assert torch.equal(later.tensor(), inside.x)
    for index in (slice(3, 9), torch.tensor([5, 0, 5])):
        assert torch.equal(later.batch(index).x, inside.batch(index).x)
    sums, wanted = inside.tensor().double().flatten(1).sum(1).numpy(), ARRAYS[name].reshape(60, -1).sum(1)
    assert np.allclose(sums / sums.max(), wanted / float(wanted.max()), rtol=1e-3)


@pytest.mark.usefixtures("everything_mapped")
def test_arrays_that_are_mapped_stay_so(tmp_path):
    np.save(tmp_path / "x.npy", ARRAYS["bytes"])
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    data = open_dataset({"x": x, "y": np.arange(60) % 3})
    assert isinstance(data.train.x, SelectedRows)
    assert data.train.labelled().batch(slice(0, 4)).y.tolist() == data.train.y[:4].tolist()
    assert isinstance(open_dataset(ARRAYS["bytes"]).train.x, torch.Tensor)


@pytest.mark.usefixtures("everything_mapped")
def test_bad_values_are_found_in_mapped_files(tmp_path):
    bad, far = RNG.normal(size=(60, 4)), RNG.normal(size=(60, 4))
    bad[41, 2], far[17, 3] = np.nan, 1e17
    np.save(tmp_path / "bad.npy", bad)
    np.save(tmp_path / "far.npy", far)
    with pytest.raises(DataError, match=r"bad.npy: x: expected finite numbers, found nan in row 41"):
        open_dataset(tmp_path / "bad.npy")
    with pytest.raises(DataError, match=r"found 1e\+17 in row 17, column 3"):
        open_dataset(tmp_path / "far.npy")
    far[17, 3] = 1e19
    np.save(tmp_path / "far.npy", far)
    with pytest.raises(
        DataError, match=r"found 1e\+19 in row 17, column 3, which is too large to be squared"
    ):
        open_dataset(tmp_path / "far.npy", standardize=False)


@pytest.mark.usefixtures("everything_mapped")
def test_columns_are_scaled_by_some_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(mapped, "SAMPLE", 0)
    x = RNG.normal(size=(5000, 3)) * [1, 10, 100]
    np.save(tmp_path / "x.npy", x)
    data = open_dataset(tmp_path / "x.npy")
    assert "centres and scales are those of 10" in data.notes[-2]
    assert np.allclose(data.scaling.scales, [1, 10, 100], rtol=0.3)
    monkeypatch.setattr(mapped, "SHARE", 1.0)
    for source in (tmp_path / "x.npy", x, {"x": x.tolist()}):  # how much memory is free changes nothing
        inside = open_dataset(source)
        assert isinstance(inside.train.x, torch.Tensor)
        assert inside.fingerprint == data.fingerprint


def test_a_run_is_evaluated_on_the_scale_that_it_has(tmp_path, monkeypatch):
    """Also one of before, when all rows decided it; and rows that are only looked at stay where they are."""
    np.save(tmp_path / "x.npy", RNG.normal(size=(5000, 3)) * [1, 10, 100])
    options = {"steps": 2, "progress": False, "pictures": False, "latent_dim": 2}
    run = pf.train("wae-mmd", tmp_path / "x.npy", out=tmp_path / "run", **options)
    monkeypatch.setattr(mapped, "SAMPLE", 0)
    assert open_dataset(tmp_path / "x.npy").scaling != run.data.scaling
    again = pf.load(tmp_path / "run").data
    assert isinstance(again.train.x, SelectedRows)
    assert again.scaling == run.data.scaling
    assert again.fingerprint == run.data.fingerprint
    assert torch.equal(again.train.tensor(), run.data.train.x)


def test_a_run_on_mapped_rows_is_the_run_on_tensors(tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", ARRAYS["bytes"])
    options = {"steps": 8, "progress": False, "batch_size": 10, "latent_dim": 2}
    inside = pf.train("wae-mmd", tmp_path / "x.npy", out=tmp_path / "inside", **options)
    monkeypatch.setattr(mapped, "SHARE", 0.0)
    outside = pf.train("wae-mmd", tmp_path / "x.npy", out=tmp_path / "outside", **options)
    first, second = inside.model.state_dict(), outside.model.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    terms = [[line["terms"] for line in run.history] for run in (inside, outside)]
    assert terms[0] == terms[1]
    assert pf.load(tmp_path / "inside").data.fingerprint == outside.data.fingerprint  # as mapped


@pytest.mark.usefixtures("everything_mapped")
def test_mapped_images_are_resized_into_memory(tmp_path):
    np.save(tmp_path / "x.npy", ARRAYS["colour"])
    data = open_dataset(tmp_path / "x.npy", image_size=4)
    assert data.shape == (3, 4, 4)
    assert torch.equal(data.train.x, open_dataset(ARRAYS["colour"], image_size=4).train.x)


def test_rows_are_read_when_they_are_asked_for():
    asked = []

    def read(index):
        asked.append(index if isinstance(index, slice) else index.tolist())
        return torch.arange(10, dtype=torch.float32)[index, None]

    split = Split(ReadRows(10, read), torch.arange(10))
    some = split.rows(torch.tensor([4, 8, 6])).rows(torch.tensor([2, 1]))
    assert len(some) == 2
    assert repr(some) == "Split(2 rows (1,), torch.float32, with labels)"
    assert asked == [slice(0, 1)]  # to learn the shape
    assert some.batch(torch.tensor([0])).x.tolist() == [[6.0]]
    assert asked[1:] == [[6]]
    assert whole(some.x, "two rows").tolist() == [[6.0], [8.0]]


@pytest.mark.parametrize("n", [4, 100, 70_000, 150_000])
def test_the_order_of_the_source_is_found_again(n):
    assert torch.equal(torch.cat(hold_out(n))[hold_out_places(n)], torch.arange(n))


def test_a_range_of_rows_takes_no_numbers():
    asked = []
    rows = ReadRows(10, lambda index: asked.append(index) or torch.arange(10.0)[index, None])
    some = select(select(rows, slice(2, 9)), slice(1, 5))
    joined = JoinedRows(some, select(rows, slice(0, 2)))
    assert joined[slice(2, 6)].flatten().tolist() == [5, 6, 0, 1]
    assert joined[torch.tensor([5, 0, 3])].flatten().tolist() == [1, 3, 6]
    assert some[slice(1, 3)].flatten().tolist() == [4, 5]
    assert asked[-1] == slice(4, 6, 1)


def test_all_rows_are_passed_over_in_parts(monkeypatch):
    monkeypatch.setattr("pushforward.data.rows.PART", 16)
    rows = ReadRows(10, lambda index: torch.arange(10, dtype=torch.float32)[index, None])
    assert [len(part) for part in parts(rows)] == [4, 4, 2]
    assert torch.cat(list(parts(rows))).flatten().tolist() == list(range(10))


def test_what_does_not_fit_is_not_read(monkeypatch):
    monkeypatch.setattr("pushforward.limits.free_memory", lambda: 2**20)
    rows = ReadRows(2**40, lambda index: torch.zeros(1, 4))
    with pytest.raises(DataError, match=r"1099511627776 rows need 16,\d+ GiB, there is room for 922 KiB"):
        Split(rows).tensor()


def test_pages_of_a_mapped_file_are_given_back(tmp_path, monkeypatch):
    given_back = []
    monkeypatch.setattr("pushforward.data.rows.TOUCHED", 300)
    np.save(tmp_path / "x.npy", ARRAYS["bytes"])
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    from pushforward.data import rows

    class Map(rows.Forgetting):
        def __call__(self, count):
            super().__call__(count)
            given_back.append(self._touched == 0)

    monkeypatch.setattr(rows, "Forgetting", Map)
    found = rows.mapped(x, lambda part: torch.from_numpy(part.copy()))
    assert torch.equal(found[slice(0, 20)], torch.from_numpy(ARRAYS["bytes"][:20]))
    assert torch.equal(found[slice(0, 2)], torch.from_numpy(ARRAYS["bytes"][:2]))
    assert given_back == [False, True, False]


def test_pages_are_given_back_while_a_mapped_file_is_looked_at(tmp_path, monkeypatch):
    given_back = []
    np.save(tmp_path / "x.npy", ARRAYS["bytes"])
    x = np.load(tmp_path / "x.npy", mmap_mode="r")

    class Map(Forgetting):
        def __call__(self, count):
            super().__call__(count)
            given_back.append(self._touched == 0)

    monkeypatch.setattr(mapped, "Forgetting", Map)
    monkeypatch.setattr(mapped, "PART", 70)  # two rows
    open_like(x, open_dataset(ARRAYS["bytes"]).spec, later=True)
    assert given_back == 7 * [False, False, False, True] + 2 * [False]


@pytest.mark.parametrize("with_preadv", [True, False])
def test_rows_of_a_file_are_read_in_any_order(with_preadv, tmp_path, monkeypatch):
    if not with_preadv:
        monkeypatch.delattr("os.preadv", raising=False)
        monkeypatch.delattr("os.posix_fadvise", raising=False)
    x = RNG.normal(size=(40, 3, 2)).astype(">f4")
    (tmp_path / "raw").write_bytes(b"head" + x.tobytes())
    rows = mapped.raw_rows(tmp_path / "raw", x.dtype, x.shape, 4)
    for index in ([], [7], [3, 4, 5], [5, 4, 5, 6, 0, 39], range(40)):
        numbers = np.array(index, np.int64)
        assert np.array_equal(rows[numbers], x[numbers])
    assert np.array_equal(rows[slice(3, 9)], x[3:9])
    (tmp_path / "raw").write_bytes(b"head")
    with pytest.raises(DataError, match="raw: expected 28 bytes or more, found fewer"):
        rows[np.array([0])]
