"""Normalisation layers by name."""

from __future__ import annotations

from torch import nn

from pushforward.errors import ConfigError, nearest

AT_HAND = "batch-at-hand"
NORMS = ("batch", AT_HAND, "layer")


def in_image(norm: str | None, channels: int) -> list[nn.Module]:
    """The normalisation of feature maps.

    Arguments:
        norm: "batch"; "batch-at-hand", which keeps no running statistics, so that a batch is mapped
            in evaluation mode as it is in training; "layer", which sees each row alone; or None.
        channels: Maps of each row.

    Raises:
        ConfigError: If there is no such normalisation.

    >>> in_image("layer", 8), in_image(None, 8)
    ([GroupNorm(1, 8, ...)], [])
    """
    if not _known(norm):
        return []
    if norm == "layer":
        return [nn.GroupNorm(1, channels)]
    return [nn.BatchNorm2d(channels, track_running_stats=norm == "batch")]


def in_vector(norm: str | None, units: int) -> list[nn.Module]:
    """The normalisation of vectors (N, units), by the same names; none for None.

    Raises:
        ConfigError: If there is no such normalisation.
    """
    if not _known(norm):
        return []
    if norm == "layer":
        return [nn.LayerNorm(units)]
    return [nn.BatchNorm1d(units, track_running_stats=norm == "batch")]


def _known(norm: str | None) -> bool:
    if norm is not None and norm not in NORMS:
        raise ConfigError(f"unknown normalisation {norm!r}: {nearest(norm, NORMS)}")
    return norm is not None


__all__ = ["AT_HAND", "in_image", "in_vector"]
