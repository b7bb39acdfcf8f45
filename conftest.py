"""What examples in docstrings can use without importing it."""

import pytest


@pytest.fixture(autouse=True, scope="session")
def names_in_examples(doctest_namespace: dict[str, object]) -> None:
    """``open_dataset`` is what nearly every example of a recipe begins with."""
    from pushforward.data import open_dataset

    doctest_namespace["open_dataset"] = open_dataset
