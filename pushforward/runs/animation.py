"""A run as a GIF: its samples while it was trained, or the way from some rows to others."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal, get_args

from pushforward.errors import ConfigError, nearest
from pushforward.files import expanded, make_place
from pushforward.report.display import AnimationPath
from pushforward.report.images import write_gif
from pushforward.runs.plots import Plotting
from pushforward.wording import option_name

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

Animation = Literal["training", "interpolation"]
ANIMATIONS = get_args(Animation)


class Animated(Plotting):
    """A trained model of images or vectors that is shown in motion."""

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
                frame, those of vectors as points over held-out data; or "interpolation", paths from held-out
                rows to others through their codes.
            out: The file, if not in the run's folder.
            seconds: How long a frame is shown, above 0.
            steps: Frames of an interpolation.

        Raises:
            ConfigError: If the file is no ``.gif``, the data are neither images nor vectors, or no samples
                were kept.
            DataError: If the data are needed, to draw samples of vectors over, and are not there; or a file
                of samples is damaged.

        Example:
            >>> import pushforward as pf, tempfile
            >>> run = pf.train("ae", "digits", steps=4, out=tempfile.mkdtemp(), progress=False)
            >>> run.animate("interpolation").name
            'interpolation.gif'
        """
        if what not in ANIMATIONS:
            raise ConfigError(f"unknown animation {what!r}: {nearest(what, ANIMATIONS)}")
        if not 0 < seconds < 60:
            raise ConfigError(f"{option_name('seconds')} must be above 0 and below 60, got {seconds}")
        path = AnimationPath(expanded(out or self.path / f"{what}.gif"))
        if path.suffix.lower() != ".gif":
            raise ConfigError(f"{option_name('out')} must end in .gif, got {path}")
        make_place(path)
        frames = self._training_frames() if what == "training" else self._interpolation_frames(steps)
        write_gif(path, frames, seconds)
        return path

    def _training_frames(self) -> list[Image]:
        files = sorted((self.path / "samples").glob(f"*{self.renderer.suffix}"))
        if not files:
            raise ConfigError(
                f"{self.path} holds no samples of its training: it was trained without pictures"
            )
        return self.renderer.preview_frames(files, self.scaled, self._behind())

    def _interpolation_frames(self, steps: int) -> list[Image]:
        """There and back, so that the GIF has no jump."""
        half = min(self.renderer.n_paths, len(self.data.test) // 2)
        if self.model.has_encoder:
            x, y = self.held_out(slice(0, 2 * half))
            paths = self.interpolate(x[:half], x[half:], steps, y=None if y is None else y[:half])
        else:
            codes = self.sample_codes(2 * half)
            paths = self.interpolate_codes(codes[:half], codes[half:], steps)
        frames = self.renderer.path_frames([self.scaled(rows) for rows in paths.unbind(1)], self._behind())
        return [*frames, *frames[-2:0:-1]]

    def _behind(self) -> Tensor | None:
        """The data that samples are drawn over, if they are."""
        return self._held_out_shown().x if self.renderer.samples_over_data else None


__all__ = ["Animated"]
