"""Answers as JSON: one object with predictions, studies and errors, or one line each."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field

from slicewise.imaging.slice import Failure
from slicewise.inference.decision import Prediction, StudyPrediction
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
        return json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False, allow_nan=False)


def json_line(item: Prediction | StudyPrediction | Failure) -> str:
    """One answer on one line."""
    return json.dumps(dataclasses.asdict(item), ensure_ascii=False, allow_nan=False)
