"""Typed options of dataclasses: a help text, a range and choices for each field, checked in one place."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, field, fields
from numbers import Real
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pushforward.errors import ConfigError, check_int, nearest, plain
from pushforward.wording import option_name

MOST_INT = 10**18  # beyond all numbers that torch counts with


def option(
    help: str,
    default: Any = MISSING,
    *,
    ge: float | None = None,
    gt: float | None = None,
    lt: float | None = None,
    le: float | None = None,
    modality: str | None = None,
    choices: Callable[[], Iterable[str]] | None = None,
) -> Any:
    """A field of a dataclass that users can set.

    Arguments:
        help: What it is, in one sentence.
        default: Its value where no preset sets it.
        ge: Least value.
        gt: What values must be above.
        lt: What values must be below.
        le: Greatest value.
        modality: The modality of data that it is for; None for all.
        choices: Makes the names that it can be, if they are not known before the program runs.
    """
    metadata = dict(help=help, ge=ge, gt=gt, lt=lt, le=le, modality=modality, choices=choices)
    return field(default=default, metadata=metadata)


def check_fields(settings: Any) -> None:
    """Brings every field of a frozen dataclass to its type.

    Raises:
        ConfigError: If a value is of another type, out of range or none of the choices.
    """
    hints = types_of(type(settings))
    for one in fields(settings):
        value = checked(one.name, getattr(settings, one.name), hints[one.name], one.metadata)
        object.__setattr__(settings, one.name, value)


def types_of(settings: Any) -> dict[str, Any]:
    """The type of every field of a dataclass."""
    return get_type_hints(settings)


def choices_of(hint: Any, metadata: Mapping[str, Any]) -> tuple[Any, ...]:
    """The values that an option of a type can be, if they are listed."""
    if metadata.get("choices"):
        return tuple(metadata["choices"]())
    if get_origin(hint) in (Union, UnionType):
        return tuple(choice for part in get_args(hint) for choice in choices_of(part, {}))
    return get_args(hint) if get_origin(hint) is Literal else ()


def checked(name: str, value: Any, hint: Any, metadata: Mapping[str, Any]) -> Any:
    """A value of a setting, brought to its type.

    Raises:
        ConfigError: If it is of another type, out of range or none of the choices.
    """
    value = plain(value)
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    choices = choices_of(hint, metadata)
    if value is None and NoneType in kinds:
        return None
    if choices and (value in choices and type(value) in {type(choice) for choice in choices}):
        return value
    if float in kinds:
        if isinstance(value, bool) or not isinstance(value, Real):
            either = "".join(f" or {choice!r}" for choice in choices)
            raise ConfigError(f"{option_name(name)} must be a number{either}, got {value!r}")
        try:
            number = float(value)
        except OverflowError:  # a whole number of more than 308 digits
            number = math.inf if value > 0 else -math.inf  # type: ignore[operator]
        return in_range(name, number, value, metadata)
    if int in kinds:
        return in_range(name, check_int(name, value, least=-MOST_INT), value, metadata)
    if bool in kinds:
        if not isinstance(value, bool):
            raise ConfigError(f"{option_name(name)} must be True or False, got {value!r}")
        return value
    if choices:
        raise ConfigError(f"unknown {option_name(name)} {value!r}: {nearest(value, map(str, choices))}")
    return tuple(value) if isinstance(value, list) else value


def in_range(name: str, number: Any, value: Any, metadata: Mapping[str, Any]) -> Any:
    """A number within the range of an option.

    Raises:
        ConfigError: If it is not.
    """
    ge, gt, lt, le = (metadata.get(bound) for bound in ("ge", "gt", "lt", "le"))
    above = number > gt if gt is not None else ge is None or number >= ge
    below = number < lt if lt is not None else le is None or number <= le
    sized = abs(number) < MOST_INT if isinstance(number, int) else math.isfinite(number)
    if above and below and sized:
        return number
    if isinstance(number, int) and not sized:
        expected = f"between {-MOST_INT} and {MOST_INT}"
    elif ge is not None and (lt is not None or le is not None):
        expected = f"in [{ge:g}, {lt:g})" if lt is not None else f"in [{ge:g}, {le:g}]"
    elif ge is not None:
        expected = f"at least {ge:g}"
    else:
        most = f"below {lt:g}" if lt is not None else "finite" if le is None else f"at most {le:g}"
        expected = most if gt is None else f"above {gt:g}"
        if gt is not None and (lt is not None or le is not None):
            expected += f" and {most}"
    raise ConfigError(f"{option_name(name)} must be {expected}, got {value}")
