"""Wasserstein, adversarial and variational auto-encoders, GANs and moment-matching networks.

>>> import pushforward as pf
>>> run = pf.train("wae-mmd", "digits", steps=1, out="/dev/null/a")
Traceback (most recent call last):
    ...
pushforward.errors.OutputError: /dev/null/a cannot be written: expected /dev/null to be a folder, found a...
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from pushforward._version import __version__ as __version__

if TYPE_CHECKING:
    from pushforward._api import *  # noqa: F403

# _api is imported when a name is first used: the command line answers --help without loading torch.


def _exported() -> dict[str, Any]:
    """Every public name and its value."""
    api = vars(import_module("pushforward._api"))
    return {name: value for name, value in api.items() if not name.startswith("_")}


def __getattr__(name: str) -> Any:
    if name == "__all__":
        return sorted(_exported())
    # Modules come first: one that imports another from here must not import all that is exported.
    if not name.startswith("_") and find_spec(f"{__name__}.{name}"):
        return import_module(f"{__name__}.{name}")
    if name.startswith("_") or name not in _exported():
        raise AttributeError(f"module 'pushforward' has no attribute {name!r}")
    return _exported()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *_exported()})
