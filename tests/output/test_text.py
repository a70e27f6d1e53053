"""Answers as text: what stands on a line, and where errors go."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np

from builders_explain import single, volume
from slicewise.imaging.slice import Failure, Slice
from slicewise.inference.decision import Reason, Verdict
from slicewise.inference.results import DISCLAIMER
from slicewise.output.sink import Item
from slicewise.output.text import TextSink

SHARES = (0.7, 0.1, 0.15, 0.05)


def picture(source: str) -> Slice:
    return Slice(np.zeros((16, 16), dtype=np.float32), source)


def written(*items: Item) -> tuple[str, list[str]]:
    stream, complaints = io.StringIO(), []
    sink = TextSink(stream, complaints.append)
    for item in items:
        sink.write(item)
    sink.close()
    return stream.getvalue(), complaints


def changed(item, **values):
    answers = [replace(a, prediction=replace(a.prediction, **values)) for a in item.answers]
    return replace(item, answers=answers)


def test_a_picture_is_a_paragraph():
    text, complaints = written(single(picture("scan.png"), SHARES))
    assert text.splitlines() == [
        "scan.png",
        "  glioma       ##############......   70.0%",
        "  no_tumor     ###.................   15.0%",
        "  meningioma   ##..................   10.0%",
        "  pituitary    #...................    5.0%",
        "  answer: glioma; tumor probability 85.0%, at or above the threshold of 40.0%",
        "  decision: review (this model has no fitted limits for accepting an answer by itself)",
        DISCLAIMER,
    ]
    assert complaints == []


def test_a_set_and_a_picture_are_named():
    item = single(picture("a"), SHARES)
    text, _ = written(changed(item, prediction_set=["glioma", "meningioma"], heatmap="x/1.png"))
    assert "  cannot be ruled out: glioma, meningioma\n  heat map: x/1.png\n" in text


def test_a_rejected_picture_has_no_answer():
    item = changed(
        single(picture("a"), SHARES), decision=Verdict.REJECT, reasons=[Reason.BLANK_IMAGE]
    )
    text, _ = written(item)
    assert "  answer: withheld\n  decision: reject (the picture is blank" in text
    assert "answer: glioma" not in text


def test_a_series_is_a_line_a_slice_and_a_paragraph():
    series = volume([picture(f"v#{k}") for k in range(2)], [0.1, 0.9], [1])
    text, _ = written(series)
    lines = text.splitlines()
    assert lines[0] == "v#0: no_tumor 90.0%, tumor probability 10.0% (not flagged), review"
    assert lines[1] == "v#1: glioma 72.0%, tumor probability 90.0% (flagged), review"
    assert lines[2] == "series: series of 2 slices, axial"
    assert lines[-3:] == [
        "  1 of 2 slices reach the threshold",
        "  key slices: v#1",
        DISCLAIMER,
    ]


def test_an_error_goes_elsewhere():
    text, complaints = written(Failure("bad\x1b.png", "expected\none"))
    assert text == f"{DISCLAIMER}\n"
    assert complaints == ["bad\\x1b.png\n  error: expected\\none"]
