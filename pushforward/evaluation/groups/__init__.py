"""The groups of metrics, one file each; every file here is found and registered."""

from pushforward.utils import import_submodules

import_submodules(__name__)
