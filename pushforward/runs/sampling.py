"""Sampling from a trained model: at once, in parts, and from densities fitted to its codes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from pushforward.distributed import is_first
from pushforward.distributions import Prior
from pushforward.errors import CheckpointError, ConfigError, check_int, reason
from pushforward.limits import check_memory
from pushforward.out_of_memory import halving
from pushforward.parts import once
from pushforward.report.progress import bar
from pushforward.rng import Noise
from pushforward.runs.latent_samplers import (
    PRIOR,
    SAMPLERS,
    check_sampler,
    draw_codes,
    read_sampler,
    sampler_key,
    save_sampler,
)
from pushforward.runs.table_run import CANDIDATES, TableRun
from pushforward.runs.trained_model import computes
from pushforward.tables.schema import Schema
from pushforward.wording import option_name

MANY = 20_000  # samples from which on progress is shown


class Sampling(TableRun):
    """A trained model that samples are drawn from."""

    @computes
    def sample(
        self,
        n: int = 64,
        seed: int = 0,
        label: int | str | None = None,
        sampler: str = PRIOR,
        progress: bool = False,
        condition: Mapping[str, Any] | None = None,
    ) -> Any:
        """n decoded draws of the prior, (n, \\*); of tables a frame of n rows, drawn from the likelihood.

        The first 10 samples of 64 equal the first 10 of 1000, except for rounding.

        Arguments:
            n: Number of samples.
            seed: Seed of the draws.
            label: Number or name of a class, for models with classes: conditional models (trained with
                ``conditional=True``) and adversarial auto-encoders with class codes. By default the samples
                of a conditional model go through all classes in turn.
            sampler: Distribution of the codes: see :meth:`sampler`.
            progress: Whether to show progress on standard error.
            condition: Of tables, values of some columns: see :meth:`sample_given`.

        Raises:
            ConfigError: If the class or sampler is unknown, the model has no classes, or a condition is given
                with either.
        """
        if condition is not None:
            return self.frame(
                torch.cat(list(self.sample_parts(n, seed, label, sampler, progress, condition)))
            )
        rows = self.sample_tensor(n, seed, label, sampler, progress)
        return self.frame(rows) if isinstance(self.codec, Schema) else rows

    def sample_tensor(
        self,
        n: int = 64,
        seed: int = 0,
        label: int | str | None = None,
        sampler: str = PRIOR,
        progress: bool = False,
    ) -> Tensor:
        """The samples of :meth:`sample` as a tensor (n, \\*), also of tables, whose rows are cells."""
        n = check_int("n", n, least=1)
        numbers = 2 * n * (math.prod(self.shape) + self.model.prior.latent_dim)  # the parts, and all of them
        check_memory(
            f"{n:,} samples",
            4 * numbers,
            f"lower {option_name('n')}, or take them in parts: run.sample_parts",
        )
        return torch.cat(list(self.sample_parts(n, seed, label, sampler, progress)))

    def sample_parts(
        self,
        n: int,
        seed: int = 0,
        label: int | str | None = None,
        sampler: str = PRIOR,
        progress: bool = False,
        condition: Mapping[str, Any] | None = None,
        candidates: int = CANDIDATES,
        first: int = 0,
    ) -> Iterator[Tensor]:
        """The samples that :meth:`sample` returns, in parts of at most 512, one after the other.

        Arguments are those of :meth:`sample`; ``candidates`` of each row under a condition, see
        :meth:`sample_given`; and ``first``, the number of the first sample: those from 100 on are, up to
        rounding, what comes after 100 of them.
        """
        if condition is not None:
            if label is not None or sampler != PRIOR:
                raise ConfigError(f"{option_name('condition')} is for samples without label, of the prior")
            yield from self.parts_given(condition, n, seed, candidates, first)
            return
        n, first = check_int("n", n, least=1), check_int("first", first, least=0)
        noise = Noise(check_int("seed", seed, least=0), "sample")
        number = None if label is None else self._class_number(label)
        if label is not None and sampler != PRIOR and not self.model.n_conditions:
            raise ConfigError(
                f"{option_name('label')} is available with {option_name('sampler', 'prior')} only, got "
                f"sampler {sampler!r}"
            )
        prior = None if sampler == PRIOR else self.sampler(sampler, progress)

        with bar("sampling", progress and n > MANY) as show:
            for part in self._slices(first, first + n):
                yield self._samples(part.start, part.stop, noise, number, prior)
                show(part.stop - first, n)

    @computes
    def _samples(self, start: int, stop: int, noise: Noise, label: int | None, prior: Prior | None) -> Tensor:
        """The samples from one number to another."""
        device, n_conditions = self.model.prior.device_buffer.device, self.model.n_conditions

        def draw(start: int, stop: int) -> Tensor:
            rows = torch.arange(start, stop, device=device)
            y = rows % n_conditions if n_conditions else None
            y = y if label is None else torch.full_like(rows, label)
            with torch.no_grad():
                made = self.model.sample(len(rows), noise.rows(start), y, prior)
            return self.spec.scaling.invert(made.cpu())

        return torch.cat([*halving(draw, start, stop)])

    @computes
    def sample_codes(self, n: int, seed: int = 0) -> Tensor:
        """n codes (n, L), drawn from the prior."""
        n = check_int("n", n, least=1)
        check_memory(f"{n:,} codes", 8 * n * self.model.prior.latent_dim, f"lower {option_name('n')}")
        return self.model.distribution(n).rsample(Noise(seed, "sample")).detach().cpu()

    @computes
    def sampler(self, name: str = PRIOR, progress: bool = False) -> Prior:
        """The distribution of the codes that samples are decoded from.

        A sampler other than the prior is a density fitted to the codes of training rows. It is a function of
        the run and its step; it is fitted once and kept in the folder ``samplers/``.

        Arguments:
            name: "prior", the model's own; "gmm", a Gaussian mixture; or "flow", which needs zuko.
            progress: Whether to show the progress of fitting on standard error.

        Raises:
            ConfigError: If the sampler is unknown, the model has no encoder, or zuko is not installed.
        """
        check_sampler(name)
        if name == PRIOR:
            return self.model.prior
        if not self.model.has_encoder:
            raise ConfigError(
                f"{self.config['recipe']} has no encoder: there are no codes to fit a {name} to"
            )
        folder, seed = self.path / "samplers", self.config["seed"]
        key = sampler_key(self.step, seed, self.config["data"]["sha256"])
        try:
            kept = read_sampler(folder, name, key)
        except CheckpointError as error:
            warnings.warn(f"{error}; fitting it again", stacklevel=2)
            kept = None
        # Several processes fit it together, and whether they do must not depend on when each of them looks.
        if once(lambda: kept is not None) and kept is not None:
            return kept
        noise = Noise(seed, "sampler")
        with bar(f"fitting a {name}", progress) as show:
            fitted = SAMPLERS[name](draw_codes(self.model, self._own.train, noise), noise, show)
        try:
            if is_first():
                save_sampler(folder, name, fitted, key)
        except OSError as error:
            warnings.warn(f"the {name} cannot be written to {folder}: {reason(error)}", stacklevel=2)
        return fitted


__all__ = ["Sampling"]
