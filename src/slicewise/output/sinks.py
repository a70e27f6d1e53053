"""Sinks: where answers go, one after another, as text, JSON, CSV or counts."""

from __future__ import annotations

import re
import shutil
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from itertools import chain
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import Any, TextIO

from slicewise.files import harmless, json_text, named, row_writer, whole
from slicewise.imaging.discovery import entry_or_failure
from slicewise.imaging.entry import Entry
from slicewise.imaging.slice import Failure
from slicewise.inference.decision import Prediction, StudyPrediction, Verdict, reasons_text
from slicewise.inference.results import DISCLAIMER, Predictions, SeriesAnswers
from slicewise.inference.words import finding_text, refusal_text, study_text, unsure, withheld_text
from slicewise.text import counted, percent_text, printable

Item = SeriesAnswers | Failure

_BAR = 20
WORDS = {Verdict.ACCEPT: "accepted", Verdict.REVIEW: "for review", Verdict.REJECT: "rejected"}


class Sink(ABC):
    """Takes answers, and is finished by `close`; one that is never closed leaves no file."""

    @abstractmethod
    def write(self, item: Item) -> None:
        """Take the answers of one series, or why an input has none."""

    def close(self) -> None:
        """Finish what was written; of most sinks, nothing is left to do."""
        return


class AnswerCounts(Sink):
    """Counts slices, series, decisions, errors and files."""

    def __init__(self) -> None:
        self.slices = self.series = self.errors = self.files = 0
        self.decisions: Counter[Verdict] = Counter()
        self._last_file = ""

    def write(self, item: Item) -> None:
        if isinstance(item, Failure):
            self.errors += 1
            files = {file_of(item.source)}
        else:
            self.slices += len(item.answers)
            self.series += item.study is not None
            self.decisions.update(answer.prediction.decision for answer in item.answers)
            files = {file_of(slice_.source) for slice_ in item.series.slices}
        self.files += len(files - {self._last_file})  # a zip gives one series after another
        self._last_file = next(iter(files), "") if len(files) == 1 else ""

    def text(self, seconds: float) -> str:
        """One line: `1 series; 12 slices: 9 accepted, 3 for review, 0 rejected; 1 error; 2.4 s`."""
        series = f"{self.series} series; " if self.series else ""
        decisions = ", ".join(f"{self.decisions[one]} {word}" for one, word in WORDS.items())
        return (
            f"{series}{counted(self.slices, 'slice')}: {decisions}; "
            f"{counted(self.errors, 'error')}; {seconds:.1f} s"
        )


def file_of(source: str) -> str:
    """The file of a source, which may have a `!member`, an `#index` or both behind its name.

    The name of a file may hold these signs as well; that of a member holds none.
    """
    without_index = re.sub(r"#\d+$", "", source)
    for name in (source, without_index):
        if isinstance(entry_or_failure(Path(name)), Entry):
            return name
    return without_index.rpartition("!")[0] or without_index


class TextSink(Sink):
    """Paragraphs on slices and series; a line on each slice of a series; errors elsewhere."""

    def __init__(self, stream: TextIO, complain: Callable[[str], object]) -> None:
        self._stream, self._complain = stream, complain

    def write(self, item: Item) -> None:
        if isinstance(item, Failure):
            self._complain(f"{printable(item.source)}\n  error: {printable(item.error)}")
            return
        shown = _line if item.series.is_volume else _paragraph
        predictions = [answer.prediction for answer in item.answers]
        texts = [shown(prediction) for prediction in predictions]
        if item.study is not None:
            texts.append(_study(item.study, predictions))
        else:
            texts += [f"  note: {note}" for note in item.series.notes]
        print(*texts, sep="\n", file=self._stream, flush=True)

    def close(self) -> None:
        """Say what the answers are not for."""
        print(DISCLAIMER, file=self._stream)


def _paragraph(prediction: Prediction) -> str:
    lines = [printable(prediction.source)]
    answered = prediction.decision is not Verdict.REJECT
    if answered:
        for name, share in sorted(prediction.probabilities.items(), key=lambda pair: -pair[1]):
            bar = ("#" * round(share * _BAR)).ljust(_BAR, ".")
            lines.append(f"  {name:<12} {bar} {_percent(share):>7}")
    lines += _verdict(prediction, finding_text(prediction))
    if answered and prediction.prediction_set is not None and len(prediction.prediction_set) > 1:
        lines.append("  cannot be ruled out: " + ", ".join(prediction.prediction_set))
    if prediction.heatmap:
        lines.append(f"  heat map: {printable(prediction.heatmap)}")
    return "\n".join(lines)


def _line(prediction: Prediction) -> str:
    """One slice of a series: the answer for the series follows in full."""
    if prediction.decision is Verdict.REJECT:
        parts = [refusal_text(prediction)]
    else:
        label = f"{prediction.label} {_percent(prediction.confidence)}"
        parts = [f"unsure, most like {label}" if unsure(prediction) else label]
        if prediction.tumor_probability is not None:
            flag = {True: " (flagged)", False: " (not flagged)", None: ""}[prediction.tumor_flag]
            parts.append(f"tumor probability {_percent(prediction.tumor_probability)}{flag}")
        parts.append(prediction.decision)
    if prediction.heatmap:
        parts.append(f"heat map: {printable(prediction.heatmap)}")
    return f"{printable(prediction.source)}: {', '.join(parts)}"


def _study(prediction: StudyPrediction, slices: Sequence[Prediction]) -> str:
    study = prediction.study
    plane = f", {prediction.plane}" if prediction.plane else ""
    lines = [f"{printable(prediction.source)}: series of {study.slices_total} slices{plane}"]
    lines += [f"  note: {note}" for note in prediction.notes]
    lines += _verdict(prediction, study_text(prediction, slices))
    if withheld := withheld_text(slices):
        lines.append(f"  {withheld}")
    lines.append("  key slices: " + ", ".join(map(printable, study.key_slices)))
    return "\n".join(lines)


def _verdict(answered: Prediction | StudyPrediction, said: str) -> list[str]:
    answer = "withheld" if answered.decision is Verdict.REJECT else said.replace(" %", "%")
    why = reasons_text(answered.reasons)
    return [
        f"  answer: {answer}",
        f"  decision: {answered.decision}" + (f" ({why})" if why else ""),
    ]


def _percent(share: float) -> str:
    """A share in percent that is never rounded to certainty."""
    return percent_text(share).replace(" ", "")


class JsonSink(Sink):
    """`{"predictions": [], "studies": [], "errors": []}`, written at the end."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._found = Predictions()

    def write(self, item: Item) -> None:
        self._found.add(item)

    def close(self) -> None:
        found = self._found
        lists: dict[str, Sequence[Prediction | StudyPrediction | Failure]]
        lists = {"predictions": found, "studies": found.studies, "errors": found.errors}
        content = {name: [asdict(part) for part in parts] for name, parts in lists.items()}
        print(_json(content, self._stream, indent=2), file=self._stream)


class JsonLinesSink(Sink):
    """One line for every prediction, study and error, written as soon as it is known."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, item: Item) -> None:
        found = Predictions()
        found.add(item)
        for part in (*found.errors, *found, *found.studies):
            print(_json(asdict(part), self._stream), file=self._stream, flush=True)


def _json(content: Any, stream: TextIO, indent: int | None = None) -> str:
    return json_text(content, indent=indent, encoding=stream.encoding or "utf-8")


class CsvSink(Sink):
    """A CSV file in UTF-8; an input that failed is a row with its `error`.

    The columns are those of a prediction: `p_<class>` for the probabilities, `bundle_name`,
    `bundle_version` and `bundle_sha256` for the bundle. Lists are joined by semicolons, what is
    null is empty. Control characters in a name are escapes, so that a row is one line. Text that a
    spreadsheet would run as a formula begins with an apostrophe.
    """

    def __init__(self, path: Path, classes: Sequence[str]) -> None:
        """Write to `path` once closed; its folder is made where it is missing."""
        self._path = path
        # Open from here to `close`, which no `with` spans.
        self._rows = TemporaryFile("w+", encoding="utf-8", newline="")  # noqa: SIM115
        self._write = row_writer(self._rows)
        parts = {
            "probabilities": [f"p_{name}" for name in classes],
            "bundle": ["bundle_name", "bundle_version", "bundle_sha256"],
        }
        names = [parts.get(field.name, [field.name]) for field in fields(Prediction)]
        self._columns = [*chain.from_iterable(names), "error"]
        self._write(self._columns)

    def write(self, item: Item) -> None:
        if isinstance(item, Failure):
            rows = [asdict(item)]
        else:
            rows = [_cells(answer.prediction) for answer in item.answers]
        with named(f"{gettempdir()} (for {self._path})"):
            for row in rows:
                self._write([_cell(row.get(name)) for name in self._columns])

    def close(self) -> None:
        self._rows.seek(0)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with whole(self._path) as draft, draft.open("w", encoding="utf-8", newline="") as file:
            shutil.copyfileobj(self._rows, file)
        self._rows.close()


def _cells(prediction: Prediction) -> dict[str, object]:
    cells = asdict(prediction)
    cells |= {f"p_{name}": share for name, share in prediction.probabilities.items()}
    return cells | {f"bundle_{name}": value for name, value in cells["bundle"].items()}


def _cell(value: object) -> object:
    if isinstance(value, list):
        from slicewise.predictions.table import JOINT

        value = JOINT.join(value)
    if isinstance(value, bool):
        return str(value).lower()
    return harmless(printable(value)) if isinstance(value, str) else value
