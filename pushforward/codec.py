"""Codecs: what turns rows that are not numbers into what a model sees, and back.

The codec of text is a :class:`~pushforward.text.vocabulary.Vocabulary`. It is learnt from training rows, and
a run keeps it in a file of its own.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import ClassVar


class Codec:
    """A codec is its JSON: two with the same text are the same.

    Attributes:
        modality: Name of the modality of the rows.
        file: Name of its file in the folder of a run.

    Arguments:
        text: The JSON.
    """

    modality: ClassVar[str]
    file: ClassVar[str]

    def __init__(self, text: str) -> None:
        self.text = text

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        CODECS[cls.modality] = cls

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, Codec) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    @cached_property
    def sha256(self) -> str:
        """The sha256 of the JSON."""
        return hashlib.sha256(self.text.encode()).hexdigest()


CODECS: dict[str, type[Codec]] = {}  # by the modality of the rows

__all__ = ["CODECS", "Codec"]
