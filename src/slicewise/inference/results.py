"""Answers as JSON: one object with predictions, studies and errors, or one line each."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from slicewise.imaging.slice import Failure
from slicewise.inference.decision import REASON_TEXTS, Prediction, Reason, StudyPrediction
from slicewise.inference.pipeline import SeriesAnswers

DISCLAIMER = "Research use only. Not a medical device; not for diagnosis or patient care."


@dataclass(slots=True)
class Envelope:
    """What `--json`, zips and the batch route answer with."""

    predictions: list[Prediction] = field(default_factory=list)
    studies: list[StudyPrediction] = field(default_factory=list)
    errors: list[Failure] = field(default_factory=list)

    def add(self, item: SeriesAnswers | Failure) -> None:
        """Put in the answers of one series, or one failure."""
        if isinstance(item, Failure):
            self.errors.append(item)
            return
        self.predictions += [answer.prediction for answer in item.answers]
        if item.study is not None:
            self.studies.append(item.study)

    def to_json(self) -> str:
        """One JSON object, indented."""
        return _dumps(dataclasses.asdict(self), indent=2)


def json_line(item: Prediction | StudyPrediction | Failure) -> str:
    """One answer on one line."""
    return _dumps(dataclasses.asdict(item), indent=None)


def printable(text: str) -> str:
    """A source as it may be shown: control characters and undecodable bytes as escapes."""
    visible = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return visible.encode("utf-8", "backslashreplace").decode()


def _dumps(content: dict[str, Any], indent: int | None) -> str:
    """JSON in UTF-8; a lone surrogate of an undecodable file name becomes its JSON escape."""
    text = json.dumps(content, indent=indent, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "backslashreplace").decode()


def reasons_text(reasons: Sequence[Reason]) -> str:
    """Reasons in words, on one line."""
    return "; ".join(REASON_TEXTS[reason] for reason in reasons)
