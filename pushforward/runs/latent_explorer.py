"""Ways to look at a latent space: interpolations, traversals, samples by class, and transfer."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from pushforward.distributions.interpolation import PATHS
from pushforward.errors import ConfigError, DataError, check_int, nearest
from pushforward.limits import check_memory
from pushforward.models import transfer
from pushforward.rng import Noise
from pushforward.runs.trained_model import TrainedModel, computes
from pushforward.wording import option_name


class LatentExplorer(TrainedModel):
    """A trained model whose latent space can be explored."""

    @computes
    def interpolate(self, a: Any, b: Any, steps: int = 8, path: str | None = None, y: Any = None) -> Tensor:
        """Decoded paths (N, steps, \\*) between the codes of rows ``a`` and those of rows ``b``.

        Arguments:
            a: Rows at the start, (N, \\*).
            b: Rows at the end, (N, \\*).
            steps: Points on each path, its ends included.
            path: "linear" or "spherical"; by default the one that suits the prior: spherical for priors on
                spheres and for normal priors of 8 or more dimensions, whose mass lies near a sphere.
            y: Labels (N,), for conditional models; they are the same along the whole path.
        """
        return self._paths(self.encode(a, y), self.encode(b, y), steps, path, self._numbers(y))

    @computes
    def interpolate_codes(
        self, a: Tensor, b: Tensor, steps: int = 8, path: str | None = None, y: Any = None
    ) -> Tensor:
        """Decoded paths (N, steps, \\*) between codes ``a`` (N, L) and ``b``; see :meth:`interpolate`."""
        return self._paths(a, b, steps, path, self._numbers(y))

    def _paths(self, a: Tensor, b: Tensor, steps: int, path: str | None, y: Tensor | None) -> Tensor:
        if a.shape != b.shape:
            raise DataError(f"paths need as many ends as starts, got {len(a)} starts and {len(b)} ends")
        path = path or self.model.prior.path
        if path not in PATHS:
            raise ConfigError(f"unknown path {path!r}: {nearest(path, PATHS)}")
        steps = check_int("steps", steps, least=2)
        check_memory(f"{steps:,} steps", 8 * steps * a.numel(), f"lower {option_name('steps')}")
        codes = PATHS[path](a, b, steps)
        labels = None if y is None else y.repeat_interleave(steps)
        return self._decode(codes.flatten(0, 1), labels).unflatten(0, (len(codes), steps))

    @computes
    def traverse(
        self,
        x: Any = None,
        dimensions: int = 12,
        steps: int = 10,
        y: Any = None,
        code: Tensor | None = None,
    ) -> tuple[Tensor, list[int]]:
        """Decoded traversals of single latent dimensions, from one row or one code.

        In each traversal one dimension goes from the 0.1 % to the 99.9 % quantile of the prior, which is from
        about -3 to 3 for N(0, 1), while the other dimensions stay as they are.

        Arguments:
            x: A row of data (1, \\*).
            dimensions: Number of dimensions; those that change the decoded rows the most come first.
            steps: Points on each traversal.
            y: The label (1,) of the row, for conditional models.
            code: A code (1, L) in place of a row, such as a draw of the prior; it needs no encoder.

        Returns:
            The traversals (dimensions, steps, \\*), and the numbers of their dimensions.

        Raises:
            ConfigError: If neither or both of ``x`` and ``code`` are given.
        """
        if (x is None) == (code is None):
            raise ConfigError("traverse takes either a row x or a code")
        start = self.encode(x, y)[:1] if code is None else self._codes(code)[:1]
        return self._traversals(start, dimensions, steps, self._numbers(y))

    def _traversals(
        self, start: Tensor, dimensions: int, steps: int, y: Tensor | None
    ) -> tuple[Tensor, list[int]]:
        draws = self.model.prior(10_000).rsample(Noise(0, "traverse")).detach().cpu()
        ends = draws.quantile(torch.tensor([0.001, 0.999]), dim=0)
        steps, places = check_int("steps", steps, least=2), self.model.prior.continuous_dims
        check_memory(
            f"{steps:,} steps", 8 * steps * start.numel() * len(places), f"lower {option_name('steps')}"
        )
        t = torch.linspace(0, 1, steps).view(-1, 1)
        codes = start.repeat(len(places), len(t), 1)
        for row, place in enumerate(places):
            codes[row, :, place] = (ends[0, place] + (ends[1, place] - ends[0, place]) * t).flatten()
        labels = None if y is None else y[:1].repeat(len(places) * len(t))
        decoded = self._decode(codes.flatten(0, 1), labels).unflatten(0, (len(places), len(t)))
        most = _change(self.scaled(decoded)).argsort(descending=True)[
            : check_int("dimensions", dimensions, least=1)
        ]
        return decoded[most], [places[i] for i in most.tolist()]

    @computes
    def by_class(self, columns: int = 10, seed: int = 0) -> Tensor:
        """Samples of every class, (classes, columns, \\*).

        All samples of a column share the draw of the code dimensions that do not hold the class.
        """
        rows = []
        for label in range(self.model.classes):
            y = torch.full((columns,), label)
            z = self.model.distribution(columns, y).rsample(Noise(seed, "by class"))
            rows.append(self._decode(z, y))
        return torch.stack(rows)

    @computes
    def view(self, codes: Tensor) -> Tensor:
        """Codes (N, L) in the space in which they are plotted, (N, M); of most models they are the same."""
        return self._map(lambda z, y: self.model.view(z), codes)

    @computes
    def transfer(self, x: Any, to: int | str, y: Any = None, guidance_scale: float = 1.0) -> Tensor:
        """Rows (N, \\*), encoded and then decoded under another label, such as lines in another style.

        Arguments:
            x: Rows, or lines of text.
            to: Number or name of the label.
            y: Labels (N,) of the rows, needed by conditional encoders and by guidance scales other than 1; if
                there are two labels, the other one is the default.
            guidance_scale: Values above 1 exaggerate the label: they extrapolate from what the code is
                decoded to under its own label to what it is decoded to under the other.

        Raises:
            ConfigError: If the model is not conditional or has no encoder, the label is unknown, or the scale
                is below 0, or other than 1 with a cost that defines no guidance.
        """
        self.need_labels()
        if not 0 <= guidance_scale < math.inf:
            raise ConfigError(f"{option_name('guidance_scale')} must be at least 0, got {guidance_scale}")
        rows, wanted = self.rows(x), self._class_number(to)
        labels = self._numbers(y)
        if labels is None and guidance_scale != 1 and self.model.n_conditions == 2:
            labels = torch.full((len(rows),), 1 - wanted)

        def transferred(x: Tensor, y: Tensor | None) -> Tensor:
            return transfer(self.model, x, y, torch.full((len(x),), wanted, device=x.device), guidance_scale)

        return self.spec.scaling.invert(self._map(transferred, rows, labels))

    def need_labels(self) -> None:
        """Checks that rows can be rewritten under another label.

        Raises:
            ConfigError: If the model has no encoder, or its decoder receives no label.
        """
        self.need_encoder()
        if not self.model.n_conditions:
            raise ConfigError(
                f"{self.config['recipe']} decodes without a label, so that rows cannot be rewritten under "
                f"another: {self._conditional_advice}"
            )

    def held_out_except(self, label: int | str, n: int) -> tuple[Tensor, Tensor]:
        """The first n held-out rows whose label is another than this one, and their labels.

        Raises:
            DataError: If the data have no labels.
        """
        wanted, y = self._class_number(label), self.data.test.y
        if y is None:
            raise DataError(f"the rows of {self.config['data']['name']} have no labels")
        index = (y != wanted).nonzero().flatten()[:n]
        x, y = self.held_out(index)
        assert y is not None
        return x, y


def _change(decoded: Tensor) -> Tensor:
    """How much traversals (D, steps, \\*) change, (D,): their variance; of tokens, how many differ."""
    if decoded.is_floating_point():
        return decoded.flatten(2).var(1).sum(1)
    return (decoded[:, 1:] != decoded[:, :-1]).flatten(1).sum(1)


__all__ = ["LatentExplorer"]
