"""Inputs that nobody would write: JSON of another shape, flipped and missing bytes, deep nesting."""

import copy
import json
import os

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

SOAK = "PUSHFORWARD_SOAK" in os.environ
CHECKS = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]


def examples(daily):
    """How many inputs are tried: every day always the same ones, and 1,000 new ones in `make soak`."""
    if SOAK:
        how = dict(max_examples=1000, print_blob=True)
    else:
        how = dict(max_examples=daily, derandomize=True, phases=[Phase.generate])
    return settings(deadline=None, database=None, suppress_health_check=CHECKS, **how)


many, few = examples(40), examples(8)  # few where an example builds a model
TEXTS = st.text(max_size=8)
NUMBERS = st.integers() | st.sampled_from([0, -1, 10**6, 2**63, 10**400]) | st.floats()
ANY_JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(TEXTS, inside, max_size=4),
    max_leaves=8,
)
DEEP = 100_000  # nested lists


def places(value, path=()):
    """The paths of all values inside a JSON value, but for its own."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inside:
        yield (*path, key)
        yield from places(part, (*path, key))


@st.composite
def of_another_shape(draw, value):
    """A JSON value in which one or two parts are replaced, left out, or of another type."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 2))):
        found = list(places(value))
        if not found:
            return draw(ANY_JSON)
        *path, last = draw(st.sampled_from(found))
        parent = value
        for key in path:
            parent = parent[key]
        if draw(st.integers(0, 3)):
            parent[last] = draw(ANY_JSON)
        else:
            del parent[last]
    return value


@st.composite
def damaged(draw, content):
    """Bytes that were flipped, cut off, inserted or replaced by a JSON text or by many brackets."""
    kind = draw(st.sampled_from(("flip", "cut", "insert", "json", "deep", "empty")))
    place = draw(st.integers(0, len(content) - 1))
    if kind == "flip":
        changed = bytearray(content)
        changed[place] ^= 1 << draw(st.integers(0, 7))
        return bytes(changed)
    if kind == "cut":
        return content[:place]
    if kind == "insert":
        return content[:place] + draw(st.binary(min_size=1, max_size=8)) + content[place:]
    if kind == "json":
        return json.dumps(draw(ANY_JSON)).encode()
    return b"[" * DEEP if kind == "deep" else b""


__all__ = ["ANY_JSON", "damaged", "few", "many", "of_another_shape"]
