"""Whatever a ``.npy`` or ``.npz`` file holds, it is read or one typed error says what is wrong."""

import io
import warnings

import numpy as np
from damage import damaged, many
from hypothesis import given
from hypothesis import strategies as st
from test_run_files import bounded_memory, opens_or_says_why

import pushforward as pf

assert bounded_memory  # of this module too
ROWS = np.arange(60.0).reshape(20, 3)


def saved(name):
    file = io.BytesIO()
    np.save(file, ROWS) if name == "npy" else np.savez(file, x=ROWS, y=np.arange(20) % 2)
    return file.getvalue()


CONTENTS = {name: saved(name) for name in ("npy", "npz")}
DESCRIPTIONS = st.sampled_from(
    ["<f8", ">f8", "<i8", "|b1", "<c16", "<U4", "|O", "<f2", "<f16", "|V8", "", "x"]
)
DIMENSIONS = st.integers(-2, 30) | st.sampled_from([2**31, 2**62, 10**12])


@st.composite
def headers(draw):
    """A file whose header declares what it does not hold."""
    shape = tuple(draw(st.lists(DIMENSIONS, max_size=4)))
    about = {"descr": draw(DESCRIPTIONS), "fortran_order": draw(st.booleans()), "shape": shape}
    text = repr(about).encode() + b" " * draw(st.integers(0, 8)) + b"\n"
    length = draw(st.sampled_from([len(text), 0, 65535]))
    return (
        b"\x93NUMPY"
        + bytes([draw(st.integers(0, 4)), 0])
        + length.to_bytes(2, "little")
        + text
        + ROWS.tobytes()
    )


def check(folder, name, content):
    place = folder / f"rows.{name}"
    place.write_bytes(content)
    with opens_or_says_why(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert len(pf.open_dataset(place).train) > 0


@many
@given(headers())
def test_headers(tmp_path, content):
    check(tmp_path, "npy", content)


@many
@given(
    st.sampled_from(sorted(CONTENTS)).flatmap(lambda name: st.tuples(st.just(name), damaged(CONTENTS[name])))
)
def test_damage(tmp_path, case):
    check(tmp_path, *case)
