"""Atomic writes: the old content or the new, and nothing beside it."""

import errno

import pytest

from pushforward.errors import OutputError
from pushforward.files import disk, write_atomic, write_folder_atomic


@pytest.mark.parametrize("content", ["naïve text\n", b"\x00\xff"])
def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path, content):
    path = tmp_path / "file"
    path.write_text("old")
    write_atomic(path, content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_keeps_its_content(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")

    def full(file, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(disk, "write", full)
    said = r"file cannot be written: No space left on device; 3 bytes were to be written, [\d,]+ are free"
    with pytest.raises(OutputError, match=said):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    place = tmp_path / "parts" / "00000001"
    left_over = tmp_path / "parts" / ".tmp-00000007"
    left_over.mkdir(parents=True)
    write_folder_atomic(place, {"a": b"1", "b": b"2"})
    write_folder_atomic(place, {"b": b"3"})
    assert {path.name: path.read_bytes() for path in place.iterdir()} == {"b": b"3"}
    assert [path.name for path in place.parent.iterdir()] == ["00000001"]
