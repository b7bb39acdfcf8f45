"""No test of this folder reaches the network; every refusal is one line that says enough."""

from contextlib import contextmanager

import pooch
import pytest
from blank import blank_figures

from pushforward.errors import DataError


@pytest.fixture(autouse=True, scope="module")
def _blank():
    """Runs are trained to see what becomes of their data; no test looks at their pictures."""
    with blank_figures():
        yield


@pytest.fixture(autouse=True)
def _no_network(monkeypatch, tmp_path):
    def retrieve(url, **_):
        raise ConnectionError(f"no way to\n{url}")

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    monkeypatch.setenv("PUSHFORWARD_DATA", str(tmp_path / "nowhere"))


@pytest.fixture
def refused():
    """A context in which a DataError of one line, with all these words, must be raised."""

    @contextmanager
    def context(*words):
        with pytest.raises(DataError) as caught:
            yield caught
        message = str(caught.value)
        assert "\n" not in message
        for word in words:
            assert str(word) in message, f"{word!r} is not in {message!r}"

    return context
