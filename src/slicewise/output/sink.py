"""What a sink is: somewhere that answers go, one after another."""

from __future__ import annotations

from typing import Protocol

from slicewise.imaging.slice import Failure
from slicewise.inference.results import SeriesAnswers

Item = SeriesAnswers | Failure


class Sink(Protocol):
    """Takes answers, and is finished by `close`; one that is never closed leaves no file."""

    def write(self, item: Item) -> None:
        """Take the answers of one series, or why an input has none."""

    def close(self) -> None:
        """Finish what was written."""
