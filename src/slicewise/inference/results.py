"""Prediction results together, as a terminal or a notebook shows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from slicewise.imaging.slice import Failure, Series
from slicewise.inference.classifier import Answer
from slicewise.inference.decision import Prediction, StudyPrediction, Verdict, table_html
from slicewise.text import counted, printable

DISCLAIMER = "Research use only. Not a medical device; not for diagnosis or patient care."
_SHOWN = 40  # rows of a long result
_WIDEST = 48  # characters of a name in a line


@dataclass(frozen=True, slots=True, eq=False)
class SeriesAnswers:
    """Answers for the slices of one series, and for the series where it is a volume."""

    series: Series
    answers: list[Answer]
    study: StudyPrediction | None


class Predictions(list[Prediction]):
    """Predictions slice by slice; `studies` for whole series, `errors` for inputs without any."""

    def __init__(self) -> None:
        super().__init__()
        self.studies: list[StudyPrediction] = []
        self.errors: list[Failure] = []

    def add(self, item: SeriesAnswers | Failure) -> None:
        """Put in the answers of one series, or one failure."""
        if isinstance(item, Failure):
            self.errors.append(item)
            return
        self += [answer.prediction for answer in item.answers]
        if item.study is not None:
            self.studies.append(item.study)

    def __repr__(self) -> str:
        rows = [[cell[-_WIDEST:] for cell in row[:-1]] + [row[-1]] for row in self._rows()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        return "\n".join([self._counts(), *lines, DISCLAIMER])

    def _repr_html_(self) -> str:
        return f"<p>{self._counts()}</p>{table_html(self._rows())}<p>{DISCLAIMER}</p>"

    def _counts(self) -> str:
        found = Counter(prediction.decision for prediction in self)
        decisions = ", ".join(f"{found[verdict]} {verdict}" for verdict in Verdict)
        text = f"{counted(len(self), 'prediction')} ({decisions})"
        if self.studies:
            text += f", {len(self.studies)} for series"
        return text + (f", {counted(len(self.errors), 'error')}" if self.errors else "")

    def _rows(self) -> Iterator[tuple[str, ...]]:
        """Errors and series first, which a long list would hide."""
        for failure in self.errors[:_SHOWN]:
            yield printable(failure.source), "error", "", "", printable(failure.error)
        for one in [*self.studies, *self][:_SHOWN]:
            yield one.cells()
        if (hidden := len(self.studies) + len(self) - _SHOWN) > 0:
            yield f"... {hidden:,} more", "", "", "", ""
