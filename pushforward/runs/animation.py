"""A run as a GIF: its samples while it was trained, or the way from some rows to others."""

from __future__ import annotations

import os
from io import BytesIO
from typing import TYPE_CHECKING, Literal, get_args

from pushforward.errors import ConfigError, nearest
from pushforward.reading import read_file
from pushforward.report.display import AnimationPath
from pushforward.report.images import picture, write_gif
from pushforward.runs.plots import Plotting

if TYPE_CHECKING:
    from PIL.Image import Image

Animation = Literal["training", "interpolation"]
ANIMATIONS = get_args(Animation)
PATHS = 8


class Animated(Plotting):
    """A trained model of images that is shown in motion."""

    def animate(
        self,
        what: Animation = "training",
        out: str | os.PathLike[str] | None = None,
        seconds: float = 0.3,
        steps: int = 16,
    ) -> AnimationPath:
        """Writes a GIF, which a notebook plays: ``training.gif`` or ``interpolation.gif`` in the folder.

        Arguments:
            what: "training", the samples that were kept in training, of the same draws of the prior in each
                frame; or "interpolation", paths from held-out rows to others through their codes.
            out: The file, if not in the run's folder.
            seconds: How long a frame is shown, above 0.
            steps: Frames of an interpolation.

        Raises:
            ConfigError: If the data are no images, or no pictures were kept.

        Example:
            >>> import pushforward as pf, tempfile
            >>> run = pf.train("ae", "digits", steps=4, out=tempfile.mkdtemp(), progress=False)
            >>> run.animate("interpolation").name
            'interpolation.gif'
        """
        if what not in ANIMATIONS:
            raise ConfigError(f"unknown animation {what!r}: {nearest(what, ANIMATIONS)}")
        if not self.renderer.shows_grids:
            raise ConfigError(f"animations are made of images, the data of this run are {self.modality} data")
        if not 0 < seconds < 60:
            raise ConfigError(f"seconds must be above 0 and below 60, got {seconds}")
        frames = self._training_frames() if what == "training" else self._interpolation_frames(steps)
        path = AnimationPath(out or self.path / f"{what}.gif")
        write_gif(path, frames, seconds)
        return path

    def _training_frames(self) -> list[Image]:
        from PIL import Image

        files = sorted((self.path / "samples").glob("*.png"))
        if not files:
            raise ConfigError(
                f"{self.path} holds no pictures of its training: it was trained without, or too briefly"
            )
        return [Image.open(BytesIO(read_file(file))).convert("RGB") for file in files]

    def _interpolation_frames(self, steps: int) -> list[Image]:
        """There and back, so that the GIF has no jump."""
        half = min(PATHS, len(self.data.test) // 2)
        if self.model.has_encoder:
            x, y = self.held_out(slice(0, 2 * half))
            paths = self.interpolate(x[:half], x[half:], steps, y=None if y is None else y[:half])
        else:
            codes = self.sample_codes(2 * half)
            paths = self.interpolate_codes(codes[:half], codes[half:], steps)
        frames = [picture(self.scaled(rows), half) for rows in paths.unbind(1)]
        return [*frames, *frames[-2:0:-1]]


__all__ = ["Animated"]
