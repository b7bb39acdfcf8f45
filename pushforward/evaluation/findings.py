"""What is said of a run: how good it is, why, and what to try next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar

from pushforward.evaluation.diagnosis import Finding
from pushforward.evaluation.grades import Grade

NOTHING = "nothing wrong was found"
GO_ON = "draw samples, or compare it with another recipe on the same data"


class Findings(list[Finding]):
    """The findings about a run, causes first, and its grades.

    Attributes:
        grades: How good samples, reconstructions and codes are.
        features: What rows were compared by, in words.
        decoded_share: How much of the distance of samples from data is there already in reconstructions, in
            [0, 1]; None where it is not known.
    """

    display: ClassVar[Callable[[Findings], str | None] | None] = None  # set where pages are made

    def __init__(
        self,
        found: Iterable[Finding] = (),
        grades: Iterable[Grade] = (),
        features: str = "",
        decoded_share: float | None = None,
    ) -> None:
        super().__init__(found)
        self.grades = tuple(grades)
        self.features = features
        self.decoded_share = decoded_share

    def table(self) -> Iterator[tuple[str, str]]:
        """The lines of a summary: what each is about, and what is said of it."""
        for grade in self.grades:
            yield grade.name, f"{grade.level}: {grade.words}"
        if self:
            yield "cause", f"{self[0].name}: {self[0].words}"
            yield "try next", self[0].advice
        else:
            yield "cause", self.nothing
            if self.grades and self.nothing == NOTHING:
                yield "try next", GO_ON

    @property
    def short(self) -> list[str]:
        """The grades in one line, and the cause with the advice in another: the summary without numbers."""
        graded = [", ".join(f"{grade.name}: {grade.level}" for grade in self.grades)] if self.grades else []
        return [*graded, f"cause: {self[0].name}; try next: {self[0].advice}" if self else self.nothing]

    @property
    def nothing(self) -> str:
        """What is said where there is no finding."""
        levels = {grade.name: grade.level for grade in self.grades}
        if not {"fair", "poor"} & {*levels.values()}:
            return NOTHING
        if levels["samples"] == "good" or self.decoded_share is None:
            return "not found; pushforward evaluate computes all metrics"
        return (
            f"{self.decoded_share:.0%} of the distance of samples from the data is there already in "
            "reconstructions, the rest comes from the codes that the prior draws"
        )

    def __repr__(self) -> str:
        lines = list(self.table())
        width = max(len(name) for name, _ in lines)
        rows = [f"{name:<{width}}  {words}" for name, words in lines]
        return "\n".join([*rows, self.features] if self.grades else rows)

    def _repr_html_(self) -> str | None:
        return None if Findings.display is None else Findings.display(self)


__all__ = ["NOTHING", "Findings"]
