"""The report: everything that was asked, nothing from elsewhere, nothing unescaped."""

from __future__ import annotations

import gc
import re
import weakref
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from builders_explain import CLASSES, REFERENCE, bundle, single, volume
from slicewise.errors import InputError
from slicewise.imaging.slice import Failure, Slice
from slicewise.inference.bundle import Bundle
from slicewise.inference.decision import REASON_TEXTS, Reason, Verdict
from slicewise.inference.results import DISCLAIMER, SeriesAnswers
from slicewise.output.html import HtmlReport, percent
from slicewise.output.sinks import AnswerCounts, Item

SHARES = (0.7, 0.1, 0.15, 0.05)


def picture(source: str = "scan.png", **notes: str) -> Slice:
    pixels = np.random.default_rng(0).random((64, 64), dtype=np.float32)
    return Slice(pixels, source, annotations=notes)


def render_report(items: Sequence[Item], model: Bundle) -> str:
    """The page of these answers."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        write_report(items, model, path)
        return path.read_text(encoding="utf-8")


def write_report(items: Sequence[Item], model: Bundle, path: Path) -> None:
    sink = HtmlReport(path, model)
    for item in items:
        sink.write(item)
    sink.close()


def rejected(item: SeriesAnswers) -> SeriesAnswers:
    """The same answers for a series, all of them rejected."""
    change = {"decision": Verdict.REJECT, "reasons": [Reason.OUT_OF_DISTRIBUTION]}
    answers = [replace(a, prediction=replace(a.prediction, **change)) for a in item.answers]
    assert item.study is not None
    return replace(item, answers=answers, study=replace(item.study, **change))


def words(page: str) -> str:
    """The text of a page, without markup, on one line."""
    text = re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.S)
    return re.sub(r"\s+", " ", text.replace("\N{NO-BREAK SPACE}", " "))


class TestReport:
    def test_an_answer_is_shown_in_full(self) -> None:
        text = words(render_report([single(picture(), SHARES)], bundle()))
        for part in ("scan.png", "Glioma 70.0 %", "Meningioma 10.0 %", "Tumor probability 85.0 %",
                     "at or above the threshold of 40.0 %", "review",
                     "no fitted limits for accepting", "ring: peak"):  # fmt: skip
            assert part in text
        assert "Drawn as" not in text

    def test_the_disclaimer_stands_on_top_and_on_each_answer(self) -> None:
        items = [single(picture(name), SHARES) for name in ("a.png", "b.png")]
        assert words(render_report(items, bundle())).count(DISCLAIMER) == 3

    def test_the_model_and_the_classes_are_named(self) -> None:
        text = words(render_report([single(picture(), SHARES)], bundle()))
        assert f"{REFERENCE.name} {REFERENCE.version}" in text
        assert REFERENCE.sha256 in text
        assert text.count("Grows from") == 2
        assert "None of the tumor kinds" in text
        assert "Grad-CAM" in text

    def test_what_was_drawn_stands_beside_what_was_answered(self) -> None:
        notes = {"synthetic": "true", "drawn": "meningioma", "tumor_box": "0.5 0.5 0.3 0.3"}
        text = words(render_report([single(picture(**notes), SHARES, (3, 3))], bundle()))
        assert "Drawn as Meningioma , answered Glioma" in text
        assert "peaks inside the drawn tumor" in text
        assert "0 of 1 synthetic slices answered as drawn" in text

    def test_a_peak_elsewhere_is_said_to_be_elsewhere(self) -> None:
        notes = {"synthetic": "true", "drawn": "glioma", "tumor_box": "0.2 0.2 0.1 0.1"}
        text = words(render_report([single(picture(**notes), SHARES, (6, 6))], bundle()))
        assert "peaks outside the drawn tumor" in text

    @pytest.mark.parametrize("box", ["", "a b c d", "1 2", "1 2 3 4 5"])
    def test_a_broken_box_is_no_box(self, box: str) -> None:
        notes = {"synthetic": "true", "drawn": "glioma", "tumor_box": box}
        text = words(render_report([single(picture(**notes), SHARES)], bundle()))
        assert "the drawn tumor" not in text

    def test_no_evidence_is_said(self) -> None:
        text = words(render_report([single(picture(), SHARES, None)], bundle()))
        assert "No evidence map for glioma" in text

    def test_a_series_shows_its_key_slices(self) -> None:
        slices = [picture(f"series#{k}") for k in range(5)]
        page = render_report([volume(slices, [0.1, 0.2, 0.9, 0.8, 0.1], [2, 3])], bundle())
        text = words(page)
        assert "axial series" in text
        assert "Tumor probability 90.0 %" in text
        assert "2 at or above the threshold" in text
        assert page.count("data:image/jpeg") == 4

    def test_a_rejected_slice_shows_its_reason_and_no_answer(self) -> None:
        item = single(picture(), SHARES)
        [answer] = item.answers
        refused = replace(answer.prediction, decision=Verdict.REJECT, reasons=[Reason.BLANK_IMAGE])
        page = render_report(
            [replace(item, answers=[replace(answer, prediction=refused)])], bundle()
        )
        text = words(page)
        assert "Answer withheld scan.png" in text
        assert f"reject {REASON_TEXTS[Reason.BLANK_IMAGE]}" in text
        assert "Tumor probability" not in text
        assert "1 slice 1 slice rejected" in text

    def test_the_tiles_count_what_the_command_counts(self) -> None:
        slices = [picture(f"series#{k}") for k in range(3)]
        items = [rejected(volume(slices, [0.1, 0.9, 0.8], [1])), single(picture(), SHARES)]
        counts = AnswerCounts()
        for item in items:
            counts.write(item)
        assert counts.text(0).startswith(
            "1 series; 4 slices: 0 accepted, 1 for review, 3 rejected;"
        )
        text = words(render_report(items, bundle()))
        assert "1 series 4 slices 1 slice for review 3 slices rejected" in text

    def test_a_rejected_series_shows_no_class_and_no_number(self) -> None:
        slices = [picture(f"series#{k}", synthetic="true", drawn="pituitary") for k in range(3)]
        page = render_report([rejected(volume(slices, [0.1, 0.9, 0.8], [1]))], bundle())
        [card] = re.findall(r"<article.*?</article>", page, flags=re.S)
        text = words(card)
        assert text.count("Answer withheld") == 2  # the series and its key slice
        assert "answer withheld ." in text or "answer withheld." in text
        assert "glioma" not in card.lower()
        assert "threshold" not in text
        assert "%" not in text
        assert 'class="curve"' not in card

    def test_failures_stand_with_their_error(self) -> None:
        text = words(render_report([Failure("bad.dcm", "expected pixels, got none")], bundle()))
        assert "bad.dcm expected pixels, got none" in text

    def test_names_and_notes_are_escaped(self) -> None:
        nasty = "<script>alert(1)</script>"
        items = [
            single(picture(nasty, synthetic="true", drawn=nasty), SHARES),
            Failure(nasty, nasty),
        ]
        page = render_report(items, bundle())
        assert "<script" not in page

    def test_nothing_is_loaded_from_elsewhere(self) -> None:
        page = render_report([single(picture(), SHARES)], bundle())
        assert "http" not in page
        assert all(at.startswith("data:") for at in re.findall(r'src="([^"]*)"', page))

    def test_written_to_a_new_folder(self, tmp_path: Path) -> None:
        path = tmp_path / "new" / "report.html"
        write_report([single(picture(), SHARES)], bundle(), path)
        assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")

    def test_a_place_that_cannot_be_written_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(InputError, match=r"a\.html: cannot write the report there: \w+"):
            HtmlReport(tmp_path / "file" / "a.html", bundle())
        with pytest.raises(InputError, match="cannot write the report"):
            write_report([], bundle(), tmp_path)

    def test_counts_stand_on_top_and_the_parts_in_their_order(self) -> None:
        items = [
            single(picture("a.png"), SHARES),
            Failure("bad.dcm", "expected pixels, got none"),
            volume([picture(f"series#{k}") for k in range(3)], [0.1, 0.9, 0.2], [1]),
            single(picture("b.png"), SHARES),
        ]
        page = render_report(items, bundle())
        text = words(page)
        assert "1 series 5 slices 5 slices for review 1 not readable" in text
        titles = ["Inputs that could not be read", "Series", "Slices", "What the classes are"]
        assert re.findall(r"<h2[^>]*>([^<]*)", page)[:4] == titles
        places = [text.index(name) for name in ("bad.dcm", "series#1", "a.png", "b.png")]
        assert places == sorted(places)


class TestStreaming:
    def test_nothing_of_an_answer_is_kept_in_memory(self, tmp_path: Path) -> None:
        sink = HtmlReport(tmp_path / "a.html", bundle())
        pixels = []
        for number in range(3):
            slice_ = picture(f"{number}.png")
            pixels.append(weakref.ref(slice_.pixels))
            sink.write(single(slice_, SHARES))
        del slice_
        gc.collect()
        assert [one() for one in pixels] == [None] * 3
        sink.close()
        page = (tmp_path / "a.html").read_text(encoding="utf-8")
        assert page.count("<article") == 3

    def test_no_file_appears_before_the_page_is_whole(self, tmp_path: Path) -> None:
        (tmp_path / "a.html").write_text("old")
        sink = HtmlReport(tmp_path / "a.html", bundle())
        sink.write(single(picture(), SHARES))
        assert [path.name for path in tmp_path.iterdir()] == ["a.html"]
        assert (tmp_path / "a.html").read_text() == "old"
        del sink
        gc.collect()
        assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]

    def test_a_name_that_utf_8_cannot_hold_is_escaped(self, tmp_path: Path) -> None:
        write_report([Failure("\udce9.png", "unreadable")], bundle(), tmp_path / "a.html")
        assert "\\udce9.png" in (tmp_path / "a.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0.0 %"), (0.0004, "<0.1 %"), (0.5, "50.0 %"), (0.9999, ">99.9 %"), (1.0, "100.0 %")],
)
def test_percent_never_rounds_to_certainty(share: float, text: str) -> None:
    assert percent(share).replace("\N{NO-BREAK SPACE}", " ") == text


def test_every_class_has_its_colour() -> None:
    page = render_report([single(picture(), SHARES)], bundle())
    assert len(CLASSES) == 4
    for colour in ("#ef4444", "#f59e0b", "#10b981", "#6366f1"):
        assert colour in page
