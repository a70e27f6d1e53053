"""How many answers there were, and how they turned out."""

from __future__ import annotations

import re
from collections import Counter

from slicewise.imaging.slice import Failure
from slicewise.inference.decision import Verdict
from slicewise.output.sink import Item
from slicewise.text import counted

_WORDS = {Verdict.ACCEPT: "accepted", Verdict.REVIEW: "for review", Verdict.REJECT: "rejected"}


class Tally:
    """A sink that counts slices, series, decisions, errors and files."""

    def __init__(self) -> None:
        self.slices = self.series = self.errors = self.files = 0
        self._decisions: Counter[Verdict] = Counter()
        self._last_file = ""

    def write(self, item: Item) -> None:
        """Count one series, or one error."""
        if isinstance(item, Failure):
            self.errors += 1
            self._count_files({_file(item.source)})
            return
        self.slices += len(item.answers)
        self.series += item.study is not None
        self._decisions.update(answer.prediction.decision for answer in item.answers)
        self._count_files({_file(slice_.source) for slice_ in item.series.slices})

    def close(self) -> None:
        """Everything is counted."""

    def text(self, seconds: float) -> str:
        """One line: `12 slices, 1 series: 9 accepted, 3 for review, 0 rejected; 1 error; 2.4 s`."""
        series = f", {self.series} series" if self.series else ""
        decisions = ", ".join(f"{self._decisions[one]} {word}" for one, word in _WORDS.items())
        return (
            f"{counted(self.slices, 'slice')}{series}: {decisions}; "
            f"{counted(self.errors, 'error')}; {seconds:.1f} s"
        )

    def _count_files(self, files: set[str]) -> None:
        """Files that are done; a zip gives one series after another."""
        self.files += len(files - {self._last_file})
        self._last_file = next(iter(files), "") if len(files) == 1 else ""


def _file(source: str) -> str:
    """The file of a source: without the member of a zip, without the index of a slice."""
    return re.sub(r"#\d+$", "", source.partition("!")[0])
