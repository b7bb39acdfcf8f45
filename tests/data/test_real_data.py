"""The real files, where they are: PUSHFORWARD_TEST_DATA names the folder."""

import os
import zipfile
from pathlib import Path

import pytest
import torch

from pushforward.data import open_dataset

FOLDER = os.environ.get("PUSHFORWARD_TEST_DATA")

pytestmark = pytest.mark.skipif(not FOLDER, reason="PUSHFORWARD_TEST_DATA names no folder of real data")


@pytest.fixture(scope="module")
def folder():
    return Path(FOLDER)


def test_mnist(folder):
    if not (folder / "mnist").is_dir():
        pytest.skip(f"no mnist in {folder}")
    data = open_dataset("mnist", data_dir=folder)
    assert (data.shape, len(data.train), len(data.test)) == ((1, 28, 28), 60_000, 10_000)
    assert data.train.y[:5].tolist() == [5, 0, 4, 1, 9]
    assert data.test.y[:3].tolist() == [7, 2, 1]
    # The mean that everyone normalises with.
    assert float(data.train.x.double().mean() / 255) == pytest.approx(0.1307, abs=1e-4)
    assert torch.bincount(data.train.y)[1] == 6742


def test_a_folder_of_photographs(folder, tmp_path):
    archives = sorted((folder / "cifar10-jpeg").glob("*.zip"))
    if not archives:
        pytest.skip(f"no cifar10-jpeg in {folder}")
    with zipfile.ZipFile(archives[0]) as archive:
        archive.extractall(tmp_path)
    reported = []
    data = open_dataset(tmp_path, progress=lambda done, total: reported.append(done))
    assert (data.shape, len(data.train), len(data.test)) == ((3, 32, 32), 9000, 1000)
    assert (data.classes[0], len(data.classes)) == ("airplane", 10)
    assert torch.bincount(torch.cat([data.train.y, data.test.y])).tolist() == [1000] * 10
    assert reported[-1] == 10_000
