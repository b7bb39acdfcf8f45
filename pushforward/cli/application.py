"""The application that commands are registered with."""

from __future__ import annotations

from cyclopts import App

from pushforward._version import __version__

app = App(
    name="pushforward",
    help_format="plaintext",  # other formats drop what they take for tags, such as <name>
    help="Train and evaluate Wasserstein, adversarial and variational auto-encoders, GANs and "
    "moment-matching networks.",
    version=__version__,
    version_flags="--version",
)

__all__ = ["app"]
