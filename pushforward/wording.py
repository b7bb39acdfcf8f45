"""How messages name options and commands.

``latent_dim=4`` in Python is ``--latent-dim 4`` on the command line.

Whoever raises an error or gives advice names options by :func:`option_name`, which spells them in the way of
the place from which the package was called. Nothing else of a message is ever changed: a path, a line of data
or a word that looks like an option stays what it is.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

Spelling = Callable[[str, tuple[object, ...]], str]


class Placeholder(str):
    """What stands for a value that the user has to fill in: ``...`` in Python, a word on the command line."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "..."


def in_python(name: str, values: tuple[object, ...]) -> str:
    """An option as an argument in Python; of several values each is a possible one."""
    return f"{name}={' or '.join(map(repr, values))}" if values else name


def on_command_line(name: str, values: tuple[object, ...]) -> str:
    """An option as it is typed."""
    shown = name.replace("_", "-")
    value = values[0] if len(values) == 1 else None
    if isinstance(value, bool):
        return f"--{shown}" if value else f"--no-{shown}"
    return f"--{shown} {' or '.join(map(str, values))}".rstrip()


_SPELLING: ContextVar[Spelling] = ContextVar("spelling", default=in_python)


@contextmanager
def spelling(way: Spelling) -> Iterator[None]:
    """Inside, options are spelt in this way."""
    token = _SPELLING.set(way)
    try:
        yield
    finally:
        _SPELLING.reset(token)


def option_name(name: str, *values: object) -> str:
    """An option, with a value if there is one, as it is spelt where the message appears.

    Arguments:
        name: Its name in Python.
        values: Its value; several are alternatives.

    >>> option_name("latent_dim"), option_name("conditional", True), option_name("sampler", "gmm", "flow")
    ('latent_dim', 'conditional=True', "sampler='gmm' or 'flow'")
    >>> with spelling(on_command_line):
    ...     option_name("latent_dim"), option_name("conditional", True), option_name("standardize", False)
    ...     option_name("sampler", "gmm", "flow"), option_name("data", Placeholder("FILE"))
    ('--latent-dim', '--conditional', '--no-standardize')
    ('--sampler gmm or flow', '--data FILE')
    """
    return _SPELLING.get()(name, values)


VERBS = {"is": "are", "has": "have"}


def plural(count: float, word: str) -> str:
    """A noun, or a verb, as it stands behind a number.

    >>> plural(1, "shard"), plural(0, "row"), plural(2, "process"), plural(1, "is"), plural(2, "is")
    ('shard', 'rows', 'processes', 'is', 'are')
    """
    return word if count == 1 else VERBS.get(word) or f"{word}{'es' if word.endswith('s') else 's'}"


def near(path: str | os.PathLike[str]) -> str:
    """A path as one would type it: from the working directory, if it lies there.

    >>> near(Path.cwd() / "runs" / "vae"), near("/data/vae")
    ('runs/vae', '/data/vae')
    """
    path = Path(path)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def typed(
    verb: str,
    run: str | os.PathLike[str],
    in_memory: bool = False,
    own: Sequence[str] = (),
    program: str = "pushforward",
    **options: object,
) -> str:
    """A command on a run, as it can be pasted into a shell; or the call in Python, if only that can do it.

    Arguments:
        verb: The command, such as "resume".
        run: The run's folder.
        in_memory: Whether the run was trained on data in memory, which have to be given again.
        own: Names of the parts of the user's own, which are given again in Python.
        program: How the command is started.
        options: Options and their values; those that are None are left out.

    >>> typed("resume", "my runs/vae", in_memory=True, steps="+1000")
    "pushforward resume 'my runs/vae' --steps +1000 --data FILE"
    >>> typed("resume", "runs/vae", in_memory=True, own=["encoder"], steps=1000)
    "pushforward.resume('runs/vae', data, steps=1000, encoder=...)"
    """
    options = {name: value for name, value in options.items() if value is not None}
    if own:
        given = options | dict.fromkeys(own, Placeholder())
        named = [in_python(name, (value,)) for name, value in given.items()]
        return f"pushforward.{verb}({', '.join([repr(near(run)), *['data'] * in_memory, *named])})"
    words = [on_command_line(name, (value,)) for name, value in options.items()]
    return " ".join([program, verb, shlex.quote(near(run)), *words, *["--data FILE"] * in_memory])


__all__ = [
    "Placeholder", "Spelling", "in_python", "near", "on_command_line", "option_name", "plural", "spelling",
    "typed",
]  # fmt: skip
