"""One HTML page of all answers: self-contained, no script, readable on paper and on a phone."""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from slicewise.errors import InputError
from slicewise.explain.heatmap import HeatMap, heat_map_of
from slicewise.explain.overlay import DEFAULT_STYLE, OverlayStyle, display, overlay, panel_sized
from slicewise.files import write_whole
from slicewise.imaging.slice import Failure, Slice
from slicewise.inference.bundle import Bundle
from slicewise.inference.classifier import Answer
from slicewise.inference.decision import (
    REASON_TEXTS,
    Prediction,
    Reason,
    StudyPrediction,
    Verdict,
)
from slicewise.inference.results import DISCLAIMER, SeriesAnswers
from slicewise.output.html_classes import ClassLook, class_looks
from slicewise.reports.html import templates
from slicewise.text import percent_text

_TEMPLATE = "report.html.j2"
_JPEG_QUALITY = 86
_GAP = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True, slots=True)
class Bar:
    """One class in a list of probabilities."""

    look: ClassLook
    probability: float


@dataclass(frozen=True, slots=True)
class Card:
    """One slice on the page; pictures are data addresses."""

    source: str
    prediction: Prediction
    look: ClassLook
    bars: list[Bar]
    reasons: list[str]
    picture: str
    overlay: str
    evidence: bool
    synthetic: bool
    drawn: ClassLook | None
    peak_in_drawing: bool | None

    @property
    def withheld(self) -> bool:
        """Whether the input was rejected, so that no answer is shown."""
        return self.prediction.decision is Verdict.REJECT


@dataclass(frozen=True, slots=True)
class Step:
    """One slice in the curve of tumor probability through a series."""

    name: str
    probability: float
    key: bool


@dataclass(frozen=True, slots=True)
class StudyCard:
    """One series on the page."""

    prediction: StudyPrediction
    look: ClassLook
    reasons: list[str]
    steps: list[Step]
    cards: list[Card]
    drawn: ClassLook | None

    @property
    def withheld(self) -> bool:
        """Whether every slice was rejected, so that no answer is shown."""
        return self.prediction.decision is Verdict.REJECT


def write_report(
    items: Sequence[SeriesAnswers | Failure],
    bundle: Bundle,
    path: Path,
    style: OverlayStyle = DEFAULT_STYLE,
) -> None:
    """Write all answers, with pictures and how to read them, as one HTML file.

    Args:
        items: Answers and failures in the order of the inputs, all from one model.
        path: File to write; its folder is made where it does not exist.

    Raises:
        InputError: The file cannot be written.
    """
    page = render_report(items, bundle, style)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, page)
    except OSError as error:
        raise InputError(f"{path}: cannot write the report there: {error.strerror}") from error


def render_report(
    items: Sequence[SeriesAnswers | Failure], bundle: Bundle, style: OverlayStyle = DEFAULT_STYLE
) -> str:
    """The page that `write_report` writes."""
    looks = class_looks(bundle.classes)
    answered = [item for item in items if isinstance(item, SeriesAnswers)]
    singles = [item for item in answered if item.study is None]
    cards = [card for item in singles for card in _cards(item, bundle, looks, style)]
    studies = [
        _study_card(item, item.study, bundle, looks, style) for item in answered if item.study
    ]
    drawn = [card for card in cards if card.drawn is not None]
    environment = templates("slicewise.output")
    environment.filters["percent"] = percent
    return environment.get_template(_TEMPLATE).render(
        cards=cards,
        studies=studies,
        failures=[item for item in items if isinstance(item, Failure)],
        decisions=Counter(card.prediction.decision.value for card in cards),
        drawn=drawn,
        drawn_as_answered=sum(card.drawn == card.look for card in drawn),
        looks=looks,
        bundle=bundle.reference,
        info=bundle.info,
        disclaimer=DISCLAIMER,
    )


def percent(share: float) -> str:
    """A share in percent that never rounds to certainty and is not broken over lines."""
    return percent_text(share).replace(" ", _GAP)


def _cards(
    item: SeriesAnswers, bundle: Bundle, looks: dict[str, ClassLook], style: OverlayStyle
) -> list[Card]:
    pairs = zip(item.series.slices, item.answers, strict=True)
    return [_card(slice_, answer, bundle, looks, style) for slice_, answer in pairs]


def _card(
    slice_: Slice, answer: Answer, bundle: Bundle, looks: dict[str, ClassLook], style: OverlayStyle
) -> Card:
    prediction = answer.prediction
    heat = heat_map_of(slice_, answer)
    return Card(
        source=prediction.source,
        prediction=prediction,
        look=looks[prediction.label],
        bars=[Bar(looks[name], share) for name, share in prediction.probabilities.items()],
        reasons=_in_words(prediction.reasons),
        picture=_data_address(Image.fromarray(display(slice_))),
        overlay=_data_address(overlay(slice_, heat, style)),
        evidence=heat.peak is not None,
        synthetic=slice_.annotations.get("synthetic") == "true",
        drawn=_drawn(slice_),
        peak_in_drawing=(
            None if prediction.label == bundle.negative_class else _peak_in_drawing(heat, slice_)
        ),
    )


def _study_card(
    item: SeriesAnswers,
    study: StudyPrediction,
    bundle: Bundle,
    looks: dict[str, ClassLook],
    style: OverlayStyle,
) -> StudyCard:
    key = set(study.study.key_slices)
    pairs = list(zip(item.series.slices, item.answers, strict=True))
    return StudyCard(
        prediction=study,
        look=looks[study.study.label],
        reasons=_in_words(study.reasons),
        steps=[
            Step(a.prediction.source, a.prediction.tumor_probability, a.prediction.source in key)
            for a in item.answers
            if a.prediction.tumor_probability is not None
        ],
        cards=[
            _card(slice_, answer, bundle, looks, style)
            for slice_, answer in pairs
            if answer.prediction.source in key
        ],
        drawn=next((_drawn(slice_) for slice_ in item.series.slices), None),
    )


def _in_words(reasons: Sequence[Reason]) -> list[str]:
    return [REASON_TEXTS[reason] for reason in reasons]


def _drawn(slice_: Slice) -> ClassLook | None:
    """What a phantom says was drawn; None for a real picture."""
    if slice_.annotations.get("synthetic") != "true" or "drawn" not in slice_.annotations:
        return None
    name = slice_.annotations["drawn"]
    return class_looks((name,))[name]


def _peak_in_drawing(heat: HeatMap, slice_: Slice) -> bool | None:
    """Whether the peak lies in the box of the drawn tumor; None where there is no peak or box."""
    box = _tumor_box(slice_)
    if heat.peak is None or box is None:
        return None
    x, y, width, height = box
    row, column = ((at + 0.5) / side for at, side in zip(heat.peak, slice_.shape, strict=True))
    return abs(column - x) <= width / 2 and abs(row - y) <= height / 2


def _tumor_box(slice_: Slice) -> tuple[float, float, float, float] | None:
    """Centre, width and height of the drawn tumor as shares; None where a file does not tell."""
    try:
        numbers = [float(share) for share in slice_.annotations.get("tumor_box", "").split()]
        x, y, width, height = numbers
    except ValueError:  # anyone may write such a note into a PNG
        return None
    return x, y, width, height


def _data_address(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    panel_sized(picture).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
