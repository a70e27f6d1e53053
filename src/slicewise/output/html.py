"""Answers as one HTML page: self-contained, no script, readable on paper and on a phone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import cycle, takewhile
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple

from PIL import Image

from slicewise.errors import InputError
from slicewise.explain.heatmap import HeatMap, heat_map_of
from slicewise.explain.overlay import DEFAULT_STYLE, OverlayStyle, display, overlay, panel_sized
from slicewise.files import whole
from slicewise.imaging.slice import Failure, Slice
from slicewise.inference.bundle import Bundle
from slicewise.inference.classifier import Answer
from slicewise.inference.decision import REASON_TEXTS, Prediction, StudyPrediction, Verdict
from slicewise.inference.results import DISCLAIMER
from slicewise.inference.words import (
    finding_text,
    headline,
    refusal_text,
    study_text,
    unsure,
    withheld_text,
)
from slicewise.output.sinks import WORDS, AnswerCounts, Item, Sink
from slicewise.reports.html import data_address, jpeg, templates
from slicewise.text import counted, percent_text

_CHUNK = 1 << 20
_MOST_PICTURED = 24  # slices of a series


class ClassLook(NamedTuple):
    """The colour is a CSS one, and never the only sign of the class."""

    title: str
    colour: str
    gloss: str


_KNOWN = {
    "glioma": ClassLook(
        "Glioma",
        "#ef4444",
        "Grows from the supporting cells of the brain itself. High-grade ones often show a ragged "
        "bright rim round a dark centre, with swelling beside it.",
    ),
    "meningioma": ClassLook(
        "Meningioma",
        "#f59e0b",
        "Grows from the coverings of the brain, so it sits against the skull or the falx. Usually "
        "round, evenly bright after contrast, and slow to grow.",
    ),
    "no_tumor": ClassLook(
        "No tumor",
        "#10b981",
        "None of the tumor kinds this model knows was recognised on this slice. That does not show "
        "that the brain is healthy.",
    ),
    "pituitary": ClassLook(
        "Pituitary tumor",
        "#6366f1",
        "Mostly an adenoma: a rounded mass of the pituitary gland, in the bony saddle at the base "
        "of the skull in the midline.",
    ),
    "tumor": ClassLook("Tumor", "#ef4444", "A mass of any kind, told from slices without one."),
}
_SPARE_COLOURS = ("#0ea5e9", "#d946ef", "#84cc16", "#f97316", "#14b8a6", "#a855f7")


class Row(NamedTuple):
    """One slice of a series: a bar of its curve and a line of its list."""

    prediction: Prediction
    name: str  # the source without the folder that all slices of the series share
    withheld: bool
    flagged: bool
    key: bool
    pictured: bool

    @property
    def marks(self) -> list[str]:
        """What is special about it, in words."""
        missing = self.flagged and not self.pictured
        marks = {"flagged": self.flagged, "key slice": self.key, "no picture": missing}
        return [name for name, holds in marks.items() if holds]


class Card(NamedTuple):
    """One slice on the page; pictures are data addresses."""

    prediction: Prediction
    picture: str
    overlay: str | None  # None where the answer is withheld
    evidence: bool  # whether the heat map has any
    drawn: str | None  # class that a phantom says was drawn; None for a real picture
    peak_in_drawing: bool | None  # None where that is not known


class HtmlReport(Sink):
    """The page of all answers, with their pictures and how to read them.

    What an answer looks like is made when it comes and kept in unnamed files beside the page;
    closing joins them below their counts. So a folder of any size takes the memory of a series.
    """

    def __init__(self, path: Path, bundle: Bundle, style: OverlayStyle = DEFAULT_STYLE) -> None:
        """Write to `path` once closed; an InputError says that nothing can be written there."""
        self._path, self._bundle, self._style = path, bundle, style
        self._counts: Counter[str] = Counter()
        self._tally = AnswerCounts()
        self._templates = templates("slicewise.output")
        looks = class_looks(bundle.classes)
        self._templates.filters |= {
            "percent": percent,
            "reason": REASON_TEXTS.__getitem__,
            "headline": _worded(headline, looks),
            "finding": _worded(finding_text, looks),
            "study_finding": _worded(study_text, looks),
            "refusal": refusal_text,
            "unsure": unsure,
            "counted": counted,
        }
        self._templates.globals |= {
            "looks": looks,
            "look_of": lambda name: class_looks((name,))[name],
            "rejected": Verdict.REJECT,
            "disclaimer": DISCLAIMER,
        }
        with self._writing():
            path.parent.mkdir(parents=True, exist_ok=True)
            spool = partial(TemporaryFile, "w+", encoding="utf-8", errors="backslashreplace")
            self._parts = {n: spool(dir=path.parent) for n in ("failures", "series", "slices")}

    def write(self, item: Item) -> None:
        self._tally.write(item)
        if isinstance(item, Failure):
            self._add("failures", failure=item)
            return
        pairs = list(zip(item.series.slices, item.answers, strict=True))
        if item.study is None:
            for slice_, answer in pairs:
                card = self._card(slice_, answer)
                if card.drawn is not None and answer.prediction.decision is not Verdict.REJECT:
                    self._counts["drawn"] += 1
                    self._counts["as drawn"] += card.drawn == answer.prediction.label
                self._add("slices", card=card)
            return
        predictions = [answer.prediction for answer in item.answers]
        rows = _rows(item.study, predictions)
        cards = [
            (row, self._card(*pair)) for row, pair in zip(rows, pairs, strict=True) if row.pictured
        ]
        drawn = next((_drawn(slice_) for slice_ in item.series.slices), None)
        self._add(
            "series",
            study=item.study,
            slices=predictions,
            rows=rows,
            cards=cards,
            drawn=drawn,
            withheld=withheld_text(predictions),
        )

    def close(self) -> None:
        """Put the page in place; an InputError says that it cannot be written."""
        for part in self._parts.values():
            part.seek(0)
        page = self._templates.get_template("report.html.j2").generate(
            counts=self._counts,
            tally=self._tally,
            decided={word: self._tally.decisions[one] for one, word in WORDS.items()},
            bundle=self._bundle.reference,
            info=self._bundle.info,
            **{name: iter(partial(part.read, _CHUNK), "") for name, part in self._parts.items()},
        )
        with (
            self._writing(),
            whole(self._path) as draft,
            draft.open("w", encoding="utf-8", errors="backslashreplace") as file,
        ):
            file.writelines(page)
        for part in self._parts.values():
            part.close()

    def _add(self, part: str, **shown: object) -> None:
        self._counts[part] += 1
        text = self._templates.get_template("answer.html.j2").render(part=part, **shown)
        with self._writing():
            self._parts[part].write(text)

    def _card(self, slice_: Slice, answer: Answer) -> Card:
        prediction, heat = answer.prediction, heat_map_of(slice_, answer)
        shown = prediction.decision is not Verdict.REJECT
        tumor = shown and prediction.label != self._bundle.negative_class
        return Card(
            prediction=prediction,
            picture=_address(Image.fromarray(display(slice_))),
            overlay=_address(overlay(slice_, heat, self._style)) if shown else None,
            evidence=heat.peak is not None,
            drawn=_drawn(slice_),
            peak_in_drawing=_peak_in_drawing(heat, slice_) if tumor else None,
        )

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(
                f"{self._path}: cannot write the report there: {error.strerror}"
            ) from error


def percent(share: float) -> str:
    """A share in percent that never rounds to certainty and is not broken over lines."""
    return _unbroken(percent_text(share))


def class_looks(classes: tuple[str, ...]) -> dict[str, ClassLook]:
    """How each class of a model is shown; classes of the user's own get a spare colour."""
    spare = cycle(_SPARE_COLOURS)
    return {
        name: _KNOWN.get(name) or ClassLook(name.replace("_", " ").capitalize(), next(spare), "")
        for name in classes
    }


def _rows(study: StudyPrediction, predictions: Sequence[Prediction]) -> list[Row]:
    """The slices of a series in its order; pictured are the key slices and what is flagged.

    Where that is more than a page can show, those of the highest tumor probability are.
    """
    keys, places = set(study.study.key_slices), range(len(predictions))
    withheld = [one.decision is Verdict.REJECT for one in predictions]
    flagged = [bool(predictions[i].tumor_flag) and not withheld[i] for i in places]
    key = [one.source in keys for one in predictions]
    others = [i for i in places if flagged[i] and not key[i]]
    others.sort(key=lambda i: -(predictions[i].tumor_probability or 0.0))
    shown = {*others[: max(0, _MOST_PICTURED - sum(key))], *(i for i in places if key[i])}
    parts = [one.source.split("/") for one in predictions]
    folders = zip(*(part[:-1] for part in parts), strict=False)
    shared = sum(1 for _ in takewhile(lambda names: len(set(names)) == 1, folders))
    return [
        Row(one, "/".join(parts[i][shared:]), withheld[i], flagged[i], key[i], i in shown)
        for i, one in enumerate(predictions)
    ]


def _worded(text: Callable[..., str], looks: dict[str, ClassLook]) -> Callable[..., str]:
    """A sentence with the names that the page gives to classes, no number broken over lines."""
    named = {name: look.title.lower() for name, look in looks.items()}
    return lambda *answered: _unbroken(text(*answered, named=named.__getitem__))


def _unbroken(text: str) -> str:
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


def _drawn(slice_: Slice) -> str | None:
    """What a phantom says was drawn; None for a real picture."""
    notes = slice_.annotations
    return notes.get("drawn") if notes.get("synthetic") == "true" else None


def _peak_in_drawing(heat: HeatMap, slice_: Slice) -> bool | None:
    """Whether the peak lies in the box of the drawn tumor; None where there is no peak or box.

    The box is its centre, width and height as shares of the slice.
    """
    try:
        x, y, width, height = map(float, slice_.annotations.get("tumor_box", "").split())
    except ValueError:  # anyone may write such a note into a PNG
        return None
    if heat.peak is None:
        return None
    row, column = ((at + 0.5) / side for at, side in zip(heat.peak, slice_.shape, strict=True))
    return abs(column - x) <= width / 2 and abs(row - y) <= height / 2


def _address(picture: Image.Image) -> str:
    return data_address(jpeg(panel_sized(picture)))
