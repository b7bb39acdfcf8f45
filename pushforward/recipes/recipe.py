"""What a recipe is: a declaration of presets and options, and a function that builds a model from them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Generic, Literal, TypeVar, get_args

from torch import nn

from pushforward.costs import Cost
from pushforward.data.spec import DataSpec
from pushforward.discrepancies import Discrepancy
from pushforward.distributions import Prior
from pushforward.errors import ConfigError, nearest
from pushforward.models import Model
from pushforward.options import choices_of, option, types_of
from pushforward.recipes.settings import Settings
from pushforward.training import Training
from pushforward.wording import option_name

S = TypeVar("S", bound=Settings)
FAMILIES = (
    "Wasserstein auto-encoders",
    "Variational auto-encoders",
    "Adversarial auto-encoders",
    "Auto-encoders with a learnt prior",
    "Style transfer",
    "Generative adversarial networks",
    "Moment matching networks",
)
WASSERSTEIN, VARIATIONAL, ADVERSARIAL, LEARNT_PRIOR, TRANSFER, GANS, MOMENTS = FAMILIES


@dataclass(frozen=True)
class OwnParts:
    """Parts of the user's own; None for those of the recipe.

    Raises:
        ConfigError: If one is of another type.
    """

    encoder: nn.Module | None = option(
        "A module of your own, from data to (N, latent_dim) numbers; if the posterior is 'gaussian' or "
        "'uniform', to (N, 2 latent_dim): means, then log-variances; if codes hold a class, to (N, classes + "
        "latent_dim).",
        None,
    )
    decoder: nn.Module | None = option(
        "A module of your own, from codes, and one-hot labels behind them if it is conditional, to data: to "
        "logits if the cost is 'bernoulli', to distributions of lines if the data are text.",
        None,
    )
    critic: nn.Module | None = option(
        "A module of your own, from what is compared to (N, 1), unbounded; of energies and learnt kernels, "
        "to energies or features.",
        None,
    )
    discrepancy: Discrepancy | None = option("A Discrepancy of your own, in the place of the recipe's.", None)
    cost: Cost | None = option("A Cost of your own, between data and reconstruction.", None)
    prior: Prior | None = option("A Prior of your own.", None)

    def __post_init__(self) -> None:
        for name, part in self.named.items():
            kind = PART_TYPES[name]
            if not isinstance(part, kind):
                raise ConfigError(f"{option_name(name)} must be a {kind.__name__}, got {type(part).__name__}")

    def discrepancy_name(self, usual: str) -> str:
        """The type of the user's own discrepancy, or the name of the recipe's."""
        return type(self.discrepancy).__name__ if self.discrepancy else usual

    @property
    def named(self) -> dict[str, nn.Module]:
        """The parts that are there, by name."""
        parts = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: part for name, part in parts.items() if part is not None}


PART_TYPES = {name: get_args(kind)[0] for name, kind in types_of(OwnParts).items()}
PART_HELP = {one.name: one.metadata["help"] for one in fields(OwnParts)}


@dataclass(frozen=True)
class Option:
    """One option of a recipe.

    Attributes:
        name: Its name in Python; on the command line with hyphens.
        type: Its type. None, the default of every option, stands for the preset's value.
        default: Its default value.
        help: What it is, in one sentence.
        modality: The modality of data that it is for; None for all.
        python_only: Whether it cannot be written on a command line.
    """

    name: str
    type: Any
    default: Any
    help: str
    modality: str | None = None
    python_only: bool = False


@dataclass(frozen=True)
class Setup:
    """A model ready to be trained, and how to train it.

    Attributes:
        model: The model.
        training: How it is trained.
        settings: Every setting that it was built from; None of a model of the user's own.
        description: One line that says what is minimised.
    """

    model: Model
    training: Training
    settings: Settings | None
    description: str

    @property
    def resolved(self) -> dict[str, Any]:
        """The settings as plain values; of a model of the user's own, how it is trained."""
        if self.settings is not None:
            return self.settings.as_json()
        names = ("batch_size", "schedule", "epochs", "pretrain", "n_labels", "paired_fraction")
        return {name: getattr(self.training, name) for name in names}


Preset = Callable[[DataSpec], Mapping[str, Any]]
Build = Callable[[DataSpec, Any, OwnParts], Setup]


class Recipe(Generic[S]):
    """A named way to build and train a model.

    Calling it with a :class:`~pushforward.data.spec.DataSpec`, a preset and options returns a :class:`Setup`.

    Attributes:
        name: Its name on the command line.
        family: The heading that it is listed under.
        summary: The first sentence of its documentation.
        presets: Makes the values of each preset for a data set; what is missing has the default of
            ``settings``.
        settings: The type of its settings.
        options: What users can set, those of all recipes of a family first.
        parts: The names of parts that users can replace by objects of their own.
    """

    def __init__(
        self,
        name: str,
        family: str,
        settings: type[S],
        presets: Mapping[str, Preset],
        options: Iterable[str],
        parts: Iterable[str],
        build: Build,
    ) -> None:
        functools.update_wrapper(self, build)
        self.name = name
        self.family = family
        self.settings = settings
        self.presets = dict(presets)
        self.parts = tuple(parts)
        self.build = build
        self.options = tuple(self._options([*dict.fromkeys(options)]))
        doc = inspect.cleandoc(build.__doc__ or "")
        self.summary = " ".join(doc.partition("\n\n")[0].split())
        self.__doc__ = self._documented(doc)

    def __repr__(self) -> str:
        return f"<recipe {self.name}>"

    def __call__(self, spec: DataSpec, preset: str = "small", **arguments: Any) -> Setup:
        """A model for data of a description.

        Arguments:
            spec: Describes the data; ``Dataset.spec`` gives it.
            preset: The name of the preset.
            arguments: Options by name; None stands for the preset's value.

        Raises:
            ConfigError: If there is no such preset or option, a value is not allowed, or a part of the user's
                own does not fit the data.
        """
        given, own = self.split(arguments)
        return self.build(spec, self.resolve(spec, preset, given, own), own)

    def rebuild(self, spec: DataSpec, resolved: Mapping[str, Any], own: Mapping[str, Any]) -> Setup:
        """The model of settings that were resolved before, such as those of a stored run."""
        return self.build(spec, self.settings.from_json(resolved), OwnParts(**own))

    def split(self, arguments: Mapping[str, Any]) -> tuple[dict[str, Any], OwnParts]:
        """The arguments that are settings, and those that are parts of the user's own.

        Raises:
            ConfigError: If there is no such option, or a part is of another type.
        """
        known = {one.name: one for one in self.options}
        given: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for name, value in arguments.items():
            if name not in known:
                raise ConfigError(f"{self.name} has no option {name!r}: {nearest(name, known)}")
            if value is None:
                continue
            if name in self.parts and (known[name].python_only or not isinstance(value, str)):
                kind = PART_TYPES[name]
                if not isinstance(value, kind):
                    either = "a" if known[name].python_only else "a name or a"
                    found = f"got {type(value).__name__}"
                    raise ConfigError(f"{option_name(name)} must be {either} {kind.__name__}, {found}")
                own[name] = value
            else:
                given[name] = value
        return given, OwnParts(**own)

    def resolve(self, spec: DataSpec, preset: str, given: Mapping[str, Any], own: OwnParts) -> S:
        """All settings of a preset, for a data set, with the options that a user gave.

        Raises:
            ConfigError: If there is no such preset, a value is not allowed, or an option is for other data.
        """
        if not isinstance(spec, DataSpec):
            raise ConfigError(
                f"{self.name} expects a DataSpec, such as Dataset.spec, got {type(spec).__name__}"
            )
        if preset not in self.presets:
            raise ConfigError(f"{self.name} has no preset {preset!r}: {nearest(preset, self.presets)}")
        for one in self.options:
            if one.name in given and one.modality not in (None, spec.modality):
                what = f"{option_name(one.name)} is for {one.modality} data"
                raise ConfigError(f"{what}, {spec.name} is {spec.modality} data of shape {spec.shape}")
        if own.prior is not None:
            latent_dim = own.prior.latent_dim
            if given.get("latent_dim", latent_dim) != latent_dim:
                raise ConfigError(
                    f"{option_name('latent_dim')} must be {latent_dim}, as of the prior, got "
                    f"{given['latent_dim']!r}"
                )
            given = {**given, "latent_dim": latent_dim}
        return self.settings(**self.presets[preset](spec)).with_options(given, spec)

    @property
    def __signature__(self) -> inspect.Signature:
        """The signature with every option, for ``help`` and editors."""
        positional, named = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
        presets = Literal[tuple(self.presets)]  # type: ignore[valid-type]
        parameters = [
            inspect.Parameter("spec", positional, annotation=DataSpec),
            inspect.Parameter("preset", positional, default="small", annotation=presets),
        ]
        for one in self.options:
            parameters.append(
                inspect.Parameter(one.name, named, default=one.default, annotation=one.type | None)
            )
        return inspect.Signature(parameters, return_annotation=Setup)

    def _options(self, names: list[str]) -> Iterable[Option]:
        known = {one.name: one for one in fields(self.settings)}
        hints = types_of(self.settings)
        for name in names:
            metadata = known[name].metadata
            kind = Literal[choices_of(hints[name], metadata)] if metadata["choices"] else hints[name]
            yield Option(name, kind, None, metadata["help"], metadata["modality"])
        for name in self.parts:
            if name not in names:
                yield Option(name, PART_TYPES[name], None, PART_HELP[name], python_only=True)

    def _documented(self, doc: str) -> str:
        """The docstring of the function with all options in its section of arguments."""
        lines = ["    spec: Describes the data.", f"    preset: {', '.join(map(repr, self.presets))}."]
        lines += [f"    {one.name}: {one.help}" for one in self.options]
        text, heading, rest = doc.partition("\n\nReferences:")
        if not heading:
            text, heading, rest = doc.partition("\n\nExample:")
        raises = "Raises:\n    ConfigError: If an option is not allowed, or a part of your own does not fit."
        return "\n".join([text, "", "Arguments:", *lines, "", raises]) + heading + rest


RECIPES: dict[str, Recipe[Any]] = {}


def recipe(
    name: str,
    *,
    family: str,
    settings: type[S],
    presets: Mapping[str, Preset],
    options: Iterable[str],
    parts: Iterable[str] = ("encoder", "decoder", "cost"),
) -> Callable[[Callable[[DataSpec, S, OwnParts], Setup]], Recipe[S]]:
    """Registers a function ``(spec, settings, own) -> Setup`` as a recipe.

    Arguments:
        name: Its name on the command line.
        family: The heading that it is listed under.
        settings: The type of its settings.
        presets: Makes the values of each preset for a data set.
        options: The names of settings that users can set.
        parts: The names of parts that users can replace by objects of their own.

    Example:
        >>> from pushforward.recipes import RECIPES
        >>> RECIPES["vae"].family, [option.name for option in RECIPES["vae"].options][:2]
        ('Variational auto-encoders', ['latent_dim', 'prior_std'])
    """

    def register(build: Callable[[DataSpec, S, OwnParts], Setup]) -> Recipe[S]:
        made = Recipe(name, family, settings, presets, options, parts, build)
        RECIPES[name] = made
        return made

    return register


__all__ = ["FAMILIES", "RECIPES", "Option", "OwnParts", "Recipe", "Setup", "recipe"]
