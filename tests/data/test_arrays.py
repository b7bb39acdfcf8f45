"""Arrays: which one is the data, how its rows lie, what its values mean."""

import io
import pickle
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pushforward.data import open_dataset
from pushforward.data.catalogue import open_for
from pushforward.errors import DataError

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (10, 5, 7), dtype=np.uint8)
BYTES[0, 0, 0] = 255
UNIT = RNG.random((10, 4))


def whole(data):
    """All rows, in the order of the source: what was held out is put back."""
    from pushforward.data import hold_out

    x = torch.empty(len(data.train) + len(data.test), *data.shape, dtype=data.train.x.dtype)
    for split, index in zip((data.train, data.test), hold_out(len(x)), strict=True):
        x[index] = split.x
    return x


# Layouts


@pytest.mark.parametrize(
    ("given_shape", "shape"),
    [
        ((10, 4), (4,)),
        ((10, 1), (1,)),
        ((10, 5, 7), (1, 5, 7)),
        ((10, 5, 7, 3), (3, 5, 7)),
        ((10, 5, 7, 1), (1, 5, 7)),
        ((10, 3, 5, 7), (3, 5, 7)),
        ((10, 1, 5, 7), (1, 5, 7)),
    ],
)
def test_layouts(given_shape, shape):
    x = RNG.random(given_shape, dtype=np.float32)
    data = open_dataset(x)
    assert data.shape == shape
    channels_last = len(shape) == 3 and given_shape[1] not in (1, 3)
    expected = np.moveaxis(x, -1, 1) if len(x.shape) == 4 and channels_last else x.reshape(10, *shape)
    assert np.array_equal(whole(data).numpy(), expected)


def test_ambiguous_layouts_are_noted():
    assert "read as (N, C, H, W)" in open_dataset(np.zeros((5, 3, 8, 3))).notes[0]
    assert "read as 8 grey images" in open_dataset(np.zeros((8, 8, 3))).notes[0]
    assert not any("read as" in note for note in open_dataset(np.zeros((5, 8, 8, 3))).notes)


# Values


def test_bytes_stay_bytes():
    data = open_dataset(BYTES)
    assert data.in_unit_interval
    assert np.array_equal(whole(data).numpy()[:, 0], BYTES)
    assert data.train.x.dtype == torch.uint8
    assert data.train.batch(slice(None)).x.max() == 1


def test_booleans_are_nought_and_one():
    for x in (BYTES > 99, (BYTES > 99).reshape(10, -1)):
        data = open_dataset(x)
        assert data.in_unit_interval
        assert set(data.train.batch(slice(None)).x.unique().tolist()) == {0.0, 1.0}


def test_a_mask_of_bytes_is_not_black():
    data = open_dataset((BYTES > 99).astype(np.uint8))
    assert data.train.batch(slice(None)).x.max() == 1
    assert "only 0 and 1" in data.notes[0]


@pytest.mark.parametrize("dtype", [np.int16, np.int64, np.uint16, np.float32, np.float64])
def test_images_up_to_255_are_divided(dtype):
    data = open_dataset(BYTES.astype(dtype))
    assert data.in_unit_interval
    assert "divided by 255" in data.notes[0]
    assert torch.equal(data.train.batch(slice(None)).x, open_dataset(BYTES).train.batch(slice(None)).x)


@pytest.mark.parametrize("x", [BYTES / 127.5 - 1.0, BYTES.astype(float) * 3, (BYTES // 16).astype(int)])
def test_other_images_are_real_numbers(x):
    data = open_dataset(x)
    assert not data.in_unit_interval
    assert "read as real numbers" in data.notes[0]
    assert np.allclose(whole(data).numpy()[:, 0], x)


def test_vectors_are_never_divided():
    assert open_dataset(UNIT).in_unit_interval
    for x in (UNIT * 255, UNIT - 0.5, (UNIT * 255).astype(int)):
        data = open_dataset(x)
        assert not data.in_unit_interval
        assert np.allclose(whole(data).numpy(), x)


def test_vectors_of_bytes_are_pictures_without_a_shape():
    data = open_dataset(BYTES.reshape(10, -1))
    assert data.in_unit_interval
    assert "divided by 255" in data.notes[0]


def test_dark_bytes_are_noted():
    assert "the largest byte is 15" in open_dataset(BYTES // 17).notes[0]


def test_one_scale_for_train_and_test():
    dark, bright = np.full((4, 5, 7), 0.5), np.full((4, 5, 7), 200.0)
    data = open_dataset({"x_train": dark, "x_test": bright})
    assert data.train.batch(slice(None)).x.max() == pytest.approx(0.5 / 255)
    assert data.test.batch(slice(None)).x.max() == pytest.approx(200 / 255)


@given(hnp.arrays(np.float64, (6, 3), elements=st.floats(-1e30, 1e30)))
def test_any_finite_table_is_kept(x):
    data = open_dataset(x)
    highest = x.max(0)[x.max(0) > x.min(0)]  # of the columns that vary
    grey = not len(highest) or (highest >= 0.5).mean() >= 0.5
    unit = bool((x >= 0).all() and (x <= 1).all() and grey)
    assert data.in_unit_interval == unit
    assert np.array_equal(whole(data).numpy(), x.astype(np.float32) if unit else x)


def test_a_constant_that_is_rounded_is_a_constant_whatever_its_size():
    """2e-13 of 1e30 is 2e17: no outlier, but what rounding leaves."""
    for value in (1.0, 1e6, 1e30):
        x = np.full((6, 2), value)
        x[2] *= 1 + 2e-13
        x[:, 1] = range(6)
        data = open_dataset(x)
        assert data.train.batch(slice(None)).x[:, 0].abs().max() < 1


def test_the_data_are_a_copy():
    x = UNIT.astype(np.float32)
    data = open_dataset({"x_train": x, "x_test": x})
    before = data.train.x.clone()
    x[:] = 0
    assert torch.equal(data.train.x, before)


# Sources


def test_every_source_of_one_array_is_the_same_data(tmp_path):
    np.save(tmp_path / "a.npy", UNIT)
    np.savez(tmp_path / "a.npz", UNIT)
    np.savez_compressed(tmp_path / "b.npz", X=UNIT, foreign=np.array([{}], dtype=object))
    tensor = torch.from_numpy(UNIT).requires_grad_()
    files = [tmp_path / "a.npy", str(tmp_path / "a.npz"), tmp_path / "b.npz"]
    sources = [UNIT, tensor, (UNIT,), {"x": UNIT}, {"images": UNIT}, {"any": UNIT}, UNIT.tolist(), *files]
    assert len({open_dataset(source).fingerprint for source in sources}) == 1


def test_names_and_sources(tmp_path):
    np.save(tmp_path / "cells.npy", UNIT)
    data = open_dataset(tmp_path / "cells.npy")
    assert (data.name, data.source) == ("cells", str(tmp_path / "cells.npy"))
    data = open_dataset(UNIT)
    assert (data.name, data.source) == (f"array-{data.fingerprint[:6]}", None)


def test_a_dataset_is_returned_as_it_is():
    data = open_dataset(UNIT)
    assert open_dataset(data) is data


def test_bfloat16():
    assert open_dataset(torch.rand(10, 3).bfloat16()).train.x.dtype == torch.float32


def test_rows_are_held_out_once_and_for_all():
    data = open_dataset((np.arange(50.0).reshape(50, 1), np.arange(50)))
    assert (len(data.train), len(data.test)) == (45, 5)
    assert sorted([*data.train.y.tolist(), *data.test.y.tolist()]) == list(range(50))
    assert torch.equal(data.test.x[:, 0].long(), data.test.y)
    assert data.notes[-1] == "5 of 50 rows are held out, the same in every run"


def test_own_held_out_rows(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=UNIT, x_test=UNIT[:3], y_train=np.arange(10), y_test=[0, 1, 2])
    data = open_dataset(tmp_path / "a.npz")
    assert (len(data.train), len(data.test)) == (10, 3)
    assert data.test.y.tolist() == [0, 1, 2]


def test_what_is_not_used_is_noted():
    assert "not used: latents" in open_dataset({"imgs": UNIT, "latents": UNIT}).notes


# Labels


def test_names_become_numbers():
    data = open_dataset(
        {"x_train": UNIT, "x_test": UNIT[:2], "y_train": list("ccaaccaacc"), "y_test": list("bc")}
    )
    assert data.classes == ("a", "b", "c")
    assert data.train.y.tolist() == [2, 2, 0, 0, 2, 2, 0, 0, 2, 2]
    assert data.test.y.tolist() == [1, 2]


@pytest.mark.parametrize("y", [np.ones(10), torch.ones(10, 1).int(), [True] * 10, np.ones((10, 1))])
def test_forms_of_labels(y):
    data = open_dataset((UNIT, y))
    assert data.train.y.dtype == torch.int64
    assert data.train.y.tolist() == [0] * 8
    assert data.labels == ("1",)


def test_classes_are_the_values_that_occur():
    """Ten, twenty, ..., a hundred are ten classes, and not a hundred and one of which ninety are empty."""
    data = open_dataset((np.zeros((40, 3)), np.repeat(np.arange(10, 50, 10), 10)))
    assert data.labels == ("10", "20", "30", "40")
    assert sorted(set(data.train.y.tolist())) == [0, 1, 2, 3]


@pytest.mark.parametrize("y", [[1999, 2024] * 5, [2_000_000_000, 7] * 5, [-1, 5] * 5])
def test_labels_may_be_any_whole_numbers(y):
    data = open_dataset((UNIT, y))
    assert data.labels == tuple(str(value) for value in sorted(set(y) - {-1}))
    whole_y = torch.cat([data.train.y, data.test.y])
    assert set(whole_y.tolist()) == set(range(len(data.labels))) | ({-1} if -1 in y else set())


def test_numbers_of_rows_are_no_classes():
    rows = np.zeros((200, 2))
    with pytest.raises(DataError, match="found 200 values in 200 rows; leave out y"):
        open_dataset((rows, np.arange(200) * 50_000))


def test_unknown_labels():
    assert -1 in open_dataset((UNIT, [-1] * 10)).train.y


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (range(9), ["array: y", "expected 10 labels", "(9,)"]),
        (np.eye(10), ["expected 10 labels", "(10, 10)", "y.argmax(1)"]),
        ([0.5] * 10, ["whole numbers", "found 0.5"]),
        ([-2] * 10, ["whole numbers", "found -2"]),
        ([float("nan")] * 10, ["whole numbers", "found nan"]),
        ([{}] * 10, ["found Python objects"]),
    ],
)
def test_bad_labels(y, words, refused):
    with refused(*words):
        open_dataset((UNIT, y))


def test_labels_of_one_split_alone(refused):
    with refused("y for x and y_test for x_test", "found y"):
        open_dataset({"x": UNIT, "x_test": UNIT, "y": range(10)})
    with refused("there is no x_test", "y, y_test"):
        open_dataset({"x": UNIT, "y": range(10), "y_test": [1]})


# What cannot be learnt from


def spoilt(value, rows):
    x = UNIT.copy()
    x[rows, 1] = value
    return x


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (spoilt(np.nan, [3, 7]), ["array: x", "found nan in row 3", "2 of 10 rows"]),
        (spoilt(-np.inf, [9]), ["found -inf in row 9", "1 of 10"]),
        (spoilt(1e300, [2]), ["too large for 32 bits in row 2"]),
        (np.array([[{}], [1], [2]], dtype=object), ["expected numbers", "found Python objects"]),
        (np.array([["a"], ["b"], ["c"]]), ["expected numbers", "found text"]),
        (UNIT + 1j, ["expected numbers", "complex"]),
        (np.zeros((3, 2), "M8[s]"), ["expected numbers", "dates"]),
        (np.zeros(3, [("a", float)]), ["expected numbers", "records"]),
        (np.zeros((0, 4)), ["(0, 4)", "no rows"]),
        (np.zeros((4, 0)), ["(4, 0)", "no values in a row"]),
        (np.zeros((3, 4)), ["expected at least 4 rows", "found 3"]),
        (np.zeros(9), ["(N, D)", "(9,)", "x.reshape(-1, 1)"]),
        (np.zeros((9, 3, 3, 3, 3)), ["(N, C, H, W)", "(9, 3, 3, 3, 3)"]),
        (np.float64(3), ["found ()"]),
        (np.zeros((9, 5, 5, 4)), ["1 or 3 channels", "(9, 5, 5, 4)"]),
        ([[1, 2], [3]], ["array: x", "expected an array", "list"]),
    ],
)
def test_bad_arrays(x, words, refused):
    with refused(*words):
        open_dataset(x)


def test_bad_groups(refused):
    with refused("expected the data as x", "found a, b"):
        open_dataset({"a": UNIT, "b": UNIT})
    with refused("no array"):
        open_dataset({})
    with refused("one shape and type", "(10, 4)", "(10, 3)"):
        open_dataset({"x": UNIT, "x_test": UNIT[:, :3]})
    with refused("one shape and type", "uint8", "float64"):
        open_dataset({"x": BYTES, "x_test": BYTES / 255})
    with refused("(x,) or (x, y)", "one of 3"):
        open_dataset((UNIT, UNIT, UNIT))


def test_nan_in_the_held_out_rows_is_found(refused):
    with refused("x_test", "nan in row 3"):
        open_dataset({"x": UNIT, "x_test": spoilt(np.nan, [3])})


# Files


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
@pytest.mark.parametrize(
    "x", [BYTES, UNIT, UNIT.astype(">f4"), np.asfortranarray(UNIT), UNIT[:, ::2], UNIT[:, :1]],
    ids=["bytes", "floats", "big-endian", "Fortran", "strided", "one column"],
)  # fmt: skip
def test_rows_of_an_archive_that_are_read_later_are_those_that_it_holds(write, x, tmp_path):
    for arrays in ({"x": x, "y": np.arange(10) % 2}, {"x_train": x, "x_test": x[:3], "foreign": np.eye(2)}):
        write(tmp_path / "a.npz", **arrays)
        later, whole = open_for(tmp_path / "a.npz", later=True), open_dataset({**arrays})
        assert later.fingerprint == whole.fingerprint
        for found, wanted in ((later.train, whole.train), (later.test, whole.test)):
            assert torch.equal(found.tensor(), wanted.tensor())
        if write is np.savez and x.flags.c_contiguous:
            assert not isinstance(later.train.x, torch.Tensor)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


def test_nothing_is_unpickled(tmp_path, refused):
    bomb = np.array([Bomb()], dtype=object)
    np.save(tmp_path / "a.npy", bomb, allow_pickle=True)
    np.savez(tmp_path / "b.npz", x=bomb)
    (tmp_path / "c.npy").write_bytes(pickle.dumps(Bomb()))
    for name in ("a.npy", "b.npz", "c.npy"):
        with refused(tmp_path / name, "never unpickled"):
            open_dataset(tmp_path / name)


def test_damaged_files(tmp_path, refused):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, x=RNG.random((50, 8)))
    archive = bytearray(buffer.getvalue())
    damaged = archive.copy()
    damaged[300:310] = bytes(10)
    np.save(tmp_path / "whole.npy", UNIT)
    plain = (tmp_path / "whole.npy").read_bytes()
    header = plain.replace(b"(10, 4)", b"(9999999999999, 9)"[:7])
    cases = {
        "empty.npy": b"",
        "empty.npz": b"",
        "text.npy": b"hello, this is text",
        "short.npy": plain[:-8],
        "header.npy": plain[:20],
        "odd.npy": header,
        "short.npz": archive[:-40],
        "flipped.npz": damaged,
    }
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        with refused(tmp_path / name):
            open_dataset(tmp_path / name)


def test_every_truncation_is_refused(tmp_path, refused):
    np.save(tmp_path / "whole.npy", UNIT)
    plain = (tmp_path / "whole.npy").read_bytes()
    for length in range(0, len(plain), 7):
        (tmp_path / "short.npy").write_bytes(plain[:length])
        with refused("short.npy"):
            open_dataset(tmp_path / "short.npy")


def test_an_archive_of_no_arrays(tmp_path, refused):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with refused("a.npz"):
        open_dataset(tmp_path / "a.npz")
