"""Answers as JSON: one object with predictions, studies and errors, or one line each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, TextIO

from slicewise.files import json_text
from slicewise.imaging.slice import Failure
from slicewise.inference.decision import Prediction, StudyPrediction
from slicewise.inference.results import Predictions
from slicewise.output.sink import Item

Part = Prediction | StudyPrediction | Failure


class JsonSink:
    """`{"predictions": [], "studies": [], "errors": []}`, written at the end."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._found = Predictions()

    def write(self, item: Item) -> None:
        """Keep the answers of one series, or one error."""
        self._found.add(item)

    def close(self) -> None:
        """Write the object."""
        found = self._found
        lists: dict[str, Sequence[Part]] = {
            "predictions": found,
            "studies": found.studies,
            "errors": found.errors,
        }
        content = {name: [asdict(part) for part in parts] for name, parts in lists.items()}
        print(_text(content, self._stream, indent=2), file=self._stream)


class JsonLinesSink:
    """One line for every prediction, study and error, written as soon as it is known."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, item: Item) -> None:
        """Write the lines of one series, or of one error."""
        for part in _parts(item):
            print(_text(asdict(part), self._stream), file=self._stream, flush=True)

    def close(self) -> None:
        """Everything is written."""


def _parts(item: Item) -> Iterator[Part]:
    if isinstance(item, Failure):
        yield item
        return
    yield from (answer.prediction for answer in item.answers)
    if item.study is not None:
        yield item.study


def _text(content: Any, stream: TextIO, indent: int | None = None) -> str:
    return json_text(content, indent=indent, encoding=stream.encoding or "utf-8")
