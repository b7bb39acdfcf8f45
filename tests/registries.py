"""What examples register by name is known to no other test."""

from collections.abc import Iterator
from contextlib import contextmanager

from pushforward.cli.application import app
from pushforward.data.formats import CATALOGUE, FORMATS
from pushforward.discrepancies import registry
from pushforward.evaluation.registry import METRICS
from pushforward.recipes import RECIPES


@contextmanager
def registries_restored() -> Iterator[None]:
    """Leaves all registries as they were: discrepancies, recipes, metrics, data formats, commands."""
    named = (registry._BUILDERS, RECIPES, METRICS, CATALOGUE)
    before = [dict(table) for table in named]
    formats, commands = list(FORMATS), set(app)
    try:
        yield
    finally:
        for table, entries in zip(named, before, strict=True):
            table.clear()
            table.update(entries)
        FORMATS[:] = formats
        for name in set(app) - commands:
            del app[name]
