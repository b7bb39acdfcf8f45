"""Training: the loop over players, its checkpoints, schedules and monitors."""

from pushforward.training.loop import Loop, Training
from pushforward.training.player_state import adam

__all__ = ["Loop", "Training", "adam"]
