"""Answers as text for a terminal or a log."""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO

from slicewise.imaging.slice import Failure
from slicewise.inference.decision import Prediction, StudyPrediction, Verdict, reasons_text
from slicewise.inference.results import DISCLAIMER
from slicewise.output.sink import Item
from slicewise.text import percent_text, printable

_BAR = 20


class TextSink:
    """Paragraphs on slices and series; a line on each slice of a series; errors elsewhere."""

    def __init__(self, stream: TextIO, complain: Callable[[str], object]) -> None:
        """Write answers to a stream, and tell errors."""
        self._stream, self._complain = stream, complain

    def write(self, item: Item) -> None:
        """Write on one series, or on one error."""
        if isinstance(item, Failure):
            self._complain(f"{printable(item.source)}\n  error: {printable(item.error)}")
            return
        shown = _line if item.series.is_volume else _paragraph
        texts = [shown(answer.prediction) for answer in item.answers]
        if item.study is not None:
            texts.append(_study(item.study))
        print(*texts, sep="\n", file=self._stream, flush=True)

    def close(self) -> None:
        """Say what the answers are not for."""
        print(DISCLAIMER, file=self._stream)


def _paragraph(prediction: Prediction) -> str:
    lines = [printable(prediction.source)]
    ranked = sorted(prediction.probabilities.items(), key=lambda pair: -pair[1])
    lines += [f"  {name:<12} {_bar(p)} {_percent(p):>7}" for name, p in ranked]
    lines += _verdict(prediction, prediction.label, prediction.tumor_probability)
    if prediction.prediction_set is not None and len(prediction.prediction_set) > 1:
        lines.append("  cannot be ruled out: " + ", ".join(prediction.prediction_set))
    if prediction.heatmap:
        lines.append(f"  heat map: {printable(prediction.heatmap)}")
    return "\n".join(lines)


def _line(prediction: Prediction) -> str:
    """One slice of a series: the answer for the series follows in full."""
    if prediction.decision is Verdict.REJECT:
        parts = ["withheld", reasons_text(prediction.reasons)]
    else:
        parts = [f"{prediction.label} {_percent(prediction.confidence)}"]
        if prediction.tumor_probability is not None:
            flag = {True: " (flagged)", False: " (not flagged)", None: ""}[prediction.tumor_flag]
            parts.append(f"tumor probability {_percent(prediction.tumor_probability)}{flag}")
        parts.append(prediction.decision)
    if prediction.heatmap:
        parts.append(f"heat map: {printable(prediction.heatmap)}")
    return f"{printable(prediction.source)}: {', '.join(parts)}"


def _study(prediction: StudyPrediction) -> str:
    study = prediction.study
    plane = f", {prediction.plane}" if prediction.plane else ""
    lines = [f"{printable(prediction.source)}: series of {study.slices_total} slices{plane}"]
    lines += _verdict(prediction, study.label, study.tumor_probability)
    if study.slices_flagged is not None:
        lines.append(f"  {study.slices_flagged} of {study.slices_total} slices reach the threshold")
    lines.append("  key slices: " + ", ".join(map(printable, study.key_slices)))
    return "\n".join(lines)


def _verdict(answered: Prediction | StudyPrediction, label: str, tumor: float | None) -> list[str]:
    withheld, threshold = answered.decision == Verdict.REJECT, answered.threshold
    answer = "  answer: withheld" if withheld else f"  answer: {label}"
    if tumor is not None and threshold is not None and not withheld:
        side = "at or above" if tumor >= threshold else "below"
        answer += (
            f"; tumor probability {_percent(tumor)}, {side} the threshold of {_percent(threshold)}"
        )
    why = reasons_text(answered.reasons)
    return [answer, f"  decision: {answered.decision}" + (f" ({why})" if why else "")]


def _percent(share: float) -> str:
    """A share in percent that is never rounded to certainty."""
    return percent_text(share).replace(" ", "")


def _bar(share: float) -> str:
    filled = round(share * _BAR)
    return "#" * filled + "." * (_BAR - filled)
