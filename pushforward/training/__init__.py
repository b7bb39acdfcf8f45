"""Training: the loop over players, its checkpoints, schedules and monitors."""

from pushforward.training.loop import Loop, Training, adam

__all__ = ["Loop", "Training", "adam"]
