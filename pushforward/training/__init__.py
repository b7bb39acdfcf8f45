"""Whose turn it is. No formula."""

from pushforward.training.loop import Loop, Training, adam

__all__ = ["Loop", "Training", "adam"]
