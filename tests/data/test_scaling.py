"""What a value stands for is decided once, when data are read, for every door and type of number."""

import numpy as np
import pytest
import torch

from pushforward.data import open_dataset
from pushforward.data.modality import modality
from pushforward.data.scaling import Standardized, UnitInterval, Unscaled, scaling_from_json
from pushforward.errors import DataError

RANDOM = np.random.default_rng(0)
BYTES = RANDOM.integers(0, 256, (12, 5, 7))
BYTES[0, 0, 0], BYTES[1, 0, 0] = 0, 255
MASKS = RANDOM.integers(0, 2, (12, 5, 7))
DEEP = RANDOM.integers(0, 4096, (12, 5, 7))
DEEP[0, 0, 0] = 4095
TABLE = np.stack([RANDOM.integers(18, 90, 40), RANDOM.lognormal(10, 1, 40), RANDOM.uniform(0, 0.01, 40)], 1)

VALUES = [
    *((BYTES, dtype) for dtype in ("u1", "i2", "u2", "i4", "i8", "f4", "f8", ">i4", ">f4")),
    *((BYTES / 255, dtype) for dtype in ("f2", "f4", "f8", ">f8")),
    *((MASKS, dtype) for dtype in ("?", "u1", "i8", "f4")),
    (DEEP, "u2"), (DEEP, ">u2"),
    *((BYTES / 100 - 1, dtype) for dtype in ("f4", "f8")),
    *((TABLE, dtype) for dtype in ("f4", "f8", ">f8", "i4")),
    (TABLE / TABLE.max(), "f8"),
]  # fmt: skip


def seen(data, x):
    """What the model of a run on ``data`` is given for rows ``x``."""
    return modality(data.modality).rows(x, data.shape, data.spec.scaling)


def trained_on(data):
    return torch.cat([split.batch(slice(None)).x for split in (data.train, data.test)])


def npy(x, folder):
    np.save(folder / "x.npy", x)
    return folder / "x.npy"


def npz(x, folder):
    np.savez(folder / "x.npz", x_train=x[:-4], x_test=x[-4:])
    return folder / "x.npz"


DOORS = {
    "array": lambda x, folder: x,
    "Fortran order": lambda x, folder: np.asfortranarray(x),
    "not contiguous": lambda x, folder: np.repeat(x, 2, 0)[::-1][::2],
    "list": lambda x, folder: x.tolist(),
    "npy": npy,
    "npz": npz,
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("x", "dtype"), VALUES, ids=lambda value: value if isinstance(value, str) else "x")
def test_what_comes_in_later_is_seen_as_in_training(x, dtype, door, tmp_path):
    x = x.astype(dtype)
    if door == "list" and dtype != "f8":
        pytest.skip("a list holds numbers of one kind")
    data = open_dataset(DOORS[door](x, tmp_path))
    x = x[::-1] if door == "not contiguous" else x
    later = seen(data, x)
    assert later.dtype == torch.float32
    in_training = trained_on(data)
    assert sorted(map(bytes, later.numpy())) == sorted(map(bytes, in_training.numpy()))
    for at in (0, 3):  # a row alone is what it is among others
        assert torch.equal(seen(data, x[at : at + 1]), later[at : at + 1])
    # What the data set itself holds comes in by the same door.
    assert torch.equal(seen(data, data.train.x), data.train.batch(slice(None)).x)


@pytest.mark.parametrize(
    "dtype", [torch.bool, torch.uint8, torch.int32, torch.float16, torch.bfloat16, torch.float64]
)
def test_tensors_are_seen_as_in_training(dtype):
    x = torch.from_numpy(MASKS).to(dtype)
    data = open_dataset(x)
    assert seen(data, x).unique().tolist() == [0, 1]
    assert torch.equal(seen(data, data.train.x), data.train.batch(slice(None)).x)


def test_a_dark_image_alone_is_no_mask():
    """Its code must not depend on its neighbours: a byte of 1 is 1/255, with or without bright rows."""
    data = open_dataset(BYTES.astype(np.uint8))
    dark = np.ones((1, 5, 7), np.uint8)
    both = np.concatenate([dark, BYTES[:1].astype(np.uint8)])
    assert torch.equal(seen(data, dark), seen(data, both)[:1])
    assert seen(data, dark).unique().tolist() == pytest.approx([1 / 255])


@pytest.mark.parametrize(
    ("x", "later", "found"),
    [
        (MASKS.astype(np.uint8), BYTES.astype(np.uint8), "integers from 0 to 1, as in training, found"),
        (BYTES.astype(np.uint8), BYTES.astype(float), "numbers from 0 to 1, as in training, found"),
        (BYTES.astype(np.uint8), DEEP, "integers from 0 to 255, as in training, found .* to 4095"),
        (BYTES / 255, BYTES, "floating-point numbers in .0, 1., as in training, found integers"),
        (TABLE, np.full((1, 3), 1e30), r"found 1e\+30 in row 0, column 0, more than 1e\+06 deviations"),
        (BYTES / 255, BYTES / 255 - 0.5, "numbers from 0 to 1, as in training, found -0.5"),
        (TABLE, np.full((1, 3), np.nan), "finite numbers, found others in 1 row"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(x, later, found):
    data = open_dataset(x)
    with pytest.raises(DataError, match=found):
        seen(data, later)


def test_a_dark_row_is_warned_of_and_not_refused():
    """Whether a row is taken must not depend on the rows beside it."""
    data = open_dataset(BYTES.astype(float))
    with pytest.warns(UserWarning, match="no value is above 0.5, where 255 stands for 1"):
        dark = seen(data, np.full((1, 5, 7), 0.5))
    assert dark.unique().tolist() == pytest.approx([0.5 / 255])


def test_a_constant_comes_back_as_it_is():
    x = np.stack([np.full(30, 7.0), np.arange(30.0)], 1)
    scaling = open_dataset(x).spec.scaling
    assert scaling.invert(torch.randn(5, 2))[:, 0].tolist() == [7.0] * 5
    assert scaling.apply(torch.from_numpy(x))[:, 0].tolist() == [0.0] * 30


def test_small_numbers_in_the_unit_interval_are_no_grey_values():
    """Rates and returns: a model whose outputs fill [0, 1] would miss them by factors."""
    rates = np.random.default_rng(5).random((50, 3)) * [1e-3, 1e-30, 1e-2]
    assert isinstance(open_dataset(rates).spec.scaling, Standardized)
    grey = RANDOM.random((50, 16)) * np.where(np.arange(16) < 5, 0.02, 1)  # few at the edges of a flat image
    data = open_dataset(grey)
    assert data.spec.scaling == UnitInterval(None)
    assert "values in [0, 1]: kept as they are" in data.notes


def test_one_outlier_does_not_squeeze_a_small_table():
    x = np.random.default_rng(6).normal(0, 10, (60, 1))
    x[3] = 1e5
    assert open_dataset(x).spec.scaling.scales[0] == pytest.approx(10, rel=0.3)


def test_merged_values_are_noted():
    x = np.random.default_rng(7).normal(0, 1, (60, 2)) + 1e9
    assert any("32 bits" in note for note in open_dataset(x, standardize=False).notes)
    assert not any("32 bits" in note for note in open_dataset(x).notes)


def test_rounding_beyond_the_interval_is_allowed():
    data = open_dataset(BYTES / 255)
    assert seen(data, np.full((1, 5, 7), 1 + 1e-6)).max() > 1


# Real numbers


def test_columns_are_centred_and_scaled():
    x = np.random.default_rng(1).normal([40, 50_000, 0.003], [20, 30_000, 0.001], (2000, 3))
    data = open_dataset(x)
    inside = data.train.batch(slice(None)).x
    assert torch.allclose(inside.mean(0), torch.zeros(3), atol=0.05)
    assert torch.allclose(inside.std(0), torch.ones(3), atol=0.1)
    back = data.spec.scaling.invert(inside).numpy()
    assert np.allclose(back, data.train.x.numpy(), rtol=1e-6, atol=1e-6 * np.array(data.spec.scaling.scales))


def test_an_offset_merges_no_rows():
    """At 10^6 a float32 tells steps of 0.06: rows that differ by 0.001 must stay different."""
    x = 1e6 + np.random.default_rng(2).normal(0, 0.001, (270, 1))
    data = open_dataset(x)
    assert len(trained_on(data).unique()) == 270
    assert np.allclose(
        data.spec.scaling.invert(data.train.batch(slice(None)).x).numpy(), data.train.x.numpy(), rtol=1e-12
    )


def test_outliers_do_not_squeeze_the_rest():
    x = np.random.default_rng(3).normal(0, 1, (1000, 1))
    x[:5] = 1000.0
    assert Standardized.of(torch.tensor(x), columns=True).scales[0] == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize(("x", "scale"), [([7.0] * 10, 0.0), ([0.0] * 999 + [1.0], 0.0316)])
def test_constants_and_rare_values_have_a_scale(x, scale):
    scaling = Standardized.of(torch.tensor(x, dtype=torch.float64).unsqueeze(1), columns=True)
    assert scaling.scales[0] == pytest.approx(scale, rel=1e-2)


def test_held_out_rows_have_the_scale_of_training_rows():
    data = open_dataset({"x_train": TABLE, "x_test": TABLE * 2})
    assert data.spec.scaling == Standardized.of(torch.from_numpy(TABLE), columns=True)
    assert torch.equal(seen(data, TABLE * 2), data.test.batch(slice(None)).x)


def test_images_of_real_numbers_have_one_scale():
    data = open_dataset(BYTES / 10 - 300)
    assert len(data.spec.scaling.scales) == 1
    assert data.train.batch(slice(None)).x.std() == pytest.approx(1, abs=0.1)


def test_standardising_can_be_switched_off():
    data = open_dataset(TABLE, standardize=False)
    assert data.spec.scaling == Unscaled()
    assert torch.equal(seen(data, TABLE), torch.from_numpy(TABLE).float())
    assert data.fingerprint != open_dataset(TABLE).fingerprint


@pytest.mark.parametrize("standardize", [True, False])
def test_a_value_out_of_all_proportion_is_refused(standardize):
    x = np.random.default_rng(4).normal(0, 1, (1000, 2))
    x[7, 1] = 1e19
    with pytest.raises(DataError, match=r"found 1e\+19 in row 7, column 1"):
        open_dataset(x, standardize=standardize)


# Masked arrays, channels, storage


def test_masked_values_are_refused():
    x = np.ma.masked_equal(np.where(RANDOM.random((20, 3)) < 0.1, -9999.0, 1.0), -9999.0)
    with pytest.raises(DataError, match=f"found {x.mask.sum()} masked"):
        open_dataset(x)
    whole = np.ma.masked_array(TABLE)
    assert torch.equal(open_dataset(whole).train.x, open_dataset(TABLE).train.x)


@pytest.mark.parametrize("channels", [2, 4, 7])
def test_any_number_of_channels_is_taken_when_asked(channels):
    x = RANDOM.random((10, 5, 6, channels))
    with pytest.raises(DataError, match="channels='first' or 'last'"):
        open_dataset(x)
    data = open_dataset(x, channels="last")
    assert data.shape == (channels, 5, 6)
    first = open_dataset(x.transpose(0, 3, 1, 2), channels="first")
    assert torch.equal(first.train.x, data.train.x)
    assert torch.equal(seen(data, x), seen(first, x.transpose(0, 3, 1, 2)))


@pytest.mark.parametrize(
    "scaling", [Unscaled(), UnitInterval(4095), UnitInterval(floats=255), Standardized((1.0,), (2.0,))]
)
def test_a_scaling_survives_json(scaling):
    assert scaling_from_json(scaling.as_json()) == scaling
