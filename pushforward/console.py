"""Printing that never fails: what a terminal cannot show is spelt in ASCII, control characters are visible.

A console may know no λ (ASCII, cp1252), may interpret escape sequences that hide in the name of a file, or
may not exist at all (``sys.stderr`` is None under pythonw). Everything that the package prints passes
through :func:`echo`; what other libraries print, such as the help of a command, passes through streams that
:func:`lenient` has prepared.
"""

from __future__ import annotations

import codecs
import re
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import IO, Any

SPELLINGS = {
    "±": "+-", "×": "x", "·": "*", "÷": "/", "−": "-", "–": "-", "—": "--", "…": "...", "•": "*",
    "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~", "∼": "~", "→": "->", "←": "<-", "↔": "<->",
    "√": "sqrt", "∞": "inf", "∑": "sum", "∏": "prod", "∫": "int", "∇": "grad", "∂": "d", "∈": "in",
    "‖": "||", "“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "«": "<<", "»": ">>", "⁄": "/",
    "✓": "ok", "✗": "x", "─": "-", "━": "-", "│": "|", "┃": "|", "╭": "+", "╮": "+", "╰": "+", "╯": "+",
    "╸": "-", "╺": "-", "█": "#", "▁": "_", "λ": "lambda", "Λ": "Lambda", "ς": "sigma",
}  # fmt: skip
HANDLER = "pushforward-spelling"  # the name under which codecs know spelt()
# Control characters but tab and line feed, half characters of names that are not UTF-8, and the marks that
# reverse the direction of writing, by which a name can pretend to be another.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def ascii_spelling(character: str) -> str:
    r"""A character in ASCII: its name, its parts, or its number.

    >>> [ascii_spelling(character) for character in "λβσ²₁±ŷé½"]
    ['lambda', 'beta', 'sigma', '^2', '_1', '+-', 'y', 'e', '1/2']
    >>> ascii_spelling("語")
    '\\u8a9e'
    """
    if character in SPELLINGS:
        return SPELLINGS[character]
    greek = re.fullmatch("GREEK (SMALL|CAPITAL) LETTER ([A-Z]+)", unicodedata.name(character, ""))
    if greek:
        return greek[2].lower() if greek[1] == "SMALL" else greek[2].capitalize()
    kind, *codes = unicodedata.decomposition(character).split() or [""]
    if kind in ("<super>", "<sub>"):
        parts = "".join(chr(int(code, 16)) for code in codes)
        return ("^" if kind == "<super>" else "_") + "".join(map(_ascii, parts))
    plain = "".join(
        SPELLINGS.get(part, part)
        for part in unicodedata.normalize("NFKD", character)
        if not unicodedata.combining(part)
    )
    return plain if plain and plain.isascii() else _ascii(character)


def _ascii(character: str) -> str:
    return character.encode("ascii", "backslashreplace").decode()


def visible(text: str) -> str:
    r"""The text with every control character and every half character written as an escape.

    >>> visible("\x1b[31mred"), visible("name-\udcff")
    ('\\x1b[31mred', 'name-\\xff')
    """
    return _UNSEEN.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    number = ord(found[0])
    if 0xDC80 <= number <= 0xDCFF:  # how Python carries a byte of a name that is not UTF-8
        number -= 0xDC00
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def spelt(error: UnicodeError) -> tuple[str, int]:
    """What an encoder writes for characters that it does not know: a handler for :mod:`codecs`.

    >>> "λ² ± 語".encode("cp437", HANDLER).decode("cp437")
    'lambda² ± \\\\u8a9e'
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    return "".join(visible(character) if _UNSEEN.match(character) else ascii_spelling(character)
                   for character in characters), error.end  # fmt: skip


codecs.register_error(HANDLER, spelt)


def printable(text: str, stream: IO[str]) -> str:
    """The text as a stream can show it."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return visible(text).encode(encoding, HANDLER).decode(encoding)


def echo(*values: Any, end: str = "\n", err: bool = False) -> None:
    """Prints values, separated by blanks, on standard output or standard error, if the process has one."""
    stream = sys.stderr if err else sys.stdout
    if stream is not None:
        text = " ".join(map(str, values))
        stream.write(printable(text, stream) + end)
        stream.flush()


@contextmanager
def lenient() -> Iterator[None]:
    """Inside, nothing that any library prints fails at a character that the console does not know."""
    streams = [stream for stream in (sys.stdout, sys.stderr) if isinstance(stream, TextIOWrapper)]
    before = [stream.errors for stream in streams]
    for stream in streams:
        stream.reconfigure(errors=HANDLER)
    try:
        yield
    finally:
        for stream, errors in zip(streams, before, strict=True):
            if not stream.closed:
                stream.reconfigure(errors=errors)


__all__ = ["HANDLER", "ascii_spelling", "echo", "lenient", "printable", "spelt", "visible"]
