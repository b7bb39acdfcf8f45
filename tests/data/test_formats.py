"""A data format and a named data set are each added by one registration."""

import pytest
import torch

from pushforward.data import CATALOGUE, Dataset, Split, open_dataset
from pushforward.data.formats import FORMATS, data_format, named_dataset
from pushforward.errors import ConfigError, DataError


@pytest.fixture
def registries():
    """The registries, which are left as they were."""
    formats, names = list(FORMATS), dict(CATALOGUE)
    yield
    FORMATS[:] = formats
    CATALOGUE.clear()
    CATALOGUE.update(names)


def numbers(path):
    return torch.tensor(
        [[float(number) for number in line.split()] for line in path.read_text().splitlines()]
    )


def test_a_format_of_ones_own(tmp_path, registries):
    @data_format("a .nums file", suffixes=(".nums",), modality="vector")
    def open_numbers(path, options):
        rows = numbers(path)
        return Dataset(path.stem, Split(rows[:2]), Split(rows[2:]), in_unit_interval=False, source=str(path))

    path = tmp_path / "few.NUMS"
    path.write_text("1 2\n3 4\n5 6\n7 8\n")
    assert open_dataset(path).train.x.tolist() == [[1, 2], [3, 4]]
    assert open_dataset(str(path)).source == str(path)
    with pytest.raises(ConfigError, match="max_length is for text"):
        open_dataset(path, max_length=8)
    with pytest.raises(DataError, match=r"a source is .*, a \.nums file"):
        open_dataset("absent")


def test_a_data_set_of_ones_own(registries):
    @named_dataset("squares", "6 white squares, 1x4x4; generated", modality="image")
    def open_squares(options):
        return Dataset(
            "squares", Split(torch.ones(4, 1, 4, 4)), Split(torch.ones(2, 1, 4, 4)), in_unit_interval=True
        )

    assert open_dataset("squares").shape == (1, 4, 4)
    assert open_dataset("squares", image_size=8).shape == (1, 8, 8)
    with pytest.raises(DataError, match="did you mean 'squares'"):
        open_dataset("squarse")


def test_an_entry_says_its_modality():
    for name in ("digits", "ring", "phrases"):
        assert CATALOGUE[name].modality == open_dataset(name).modality
