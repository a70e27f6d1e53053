"""The report: everything that was asked, nothing from elsewhere, nothing unescaped."""

from __future__ import annotations

import gc
import re
import weakref
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from builders_explain import CLASSES, REFERENCE, bundle, single, volume
from slicewise.errors import InputError
from slicewise.imaging.slice import Failure, Slice
from slicewise.inference.bundle import Bundle
from slicewise.inference.classifier import Classifier
from slicewise.inference.decision import REASON_TEXTS, Reason, Verdict
from slicewise.inference.predict import answer_inputs
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


def with_slices(item: SeriesAnswers, **changes: dict[str, object]) -> SeriesAnswers:
    """The same answers for a series, slices of these places (`_3`) changed."""
    answers = list(item.answers)
    for place, change in changes.items():
        at = int(place[1:])
        answers[at] = replace(answers[at], prediction=replace(answers[at].prediction, **change))
    return replace(item, answers=answers)


def series_of(tumor: list[float], key: list[int], folder: str = "/scans/t1") -> SeriesAnswers:
    """A series of one file a slice: `IM000.dcm`, `IM001.dcm` and so on."""
    return volume([picture(f"{folder}/IM{k:03}.dcm") for k in range(len(tumor))], tumor, key)


OUT = {"decision": Verdict.REJECT, "reasons": [Reason.OUT_OF_DISTRIBUTION]}
BLANK = {"decision": Verdict.REJECT, "reasons": [Reason.BLANK_IMAGE], "tumor_flag": None}
VOID = {"meta", "img", "br", "link", "hr", "input"}


class Markup(HTMLParser):
    """The elements of a page, which must be closed in order; rows of tables as their words."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.open: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs)  # none given twice
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data.replace("\N{NO-BREAK SPACE}", " ")

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def bars(page: str) -> list[tuple[set[str], str]]:
    """Classes and title of each bar of the curves of a page."""
    found = [one for one in Markup(page).all("i") if "title" in one]
    return [
        (set(str(one["class"]).split()), str(one["title"]).replace("\N{NO-BREAK SPACE}", " "))
        for one in found
    ]


def pictured(page: str) -> list[str]:
    """The sources of the slices with a picture, in the order of the page."""
    alts = [str(one["alt"]) for one in Markup(page).all("img")]
    return [alt.removeprefix("The slice ") for alt in alts if alt.startswith("The slice ")]


def words(page: str) -> str:
    """The text of a page, without markup, on one line."""
    text = re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.S)
    return re.sub(r"\s+", " ", text.replace("\N{NO-BREAK SPACE}", " "))


class TestReport:
    def test_an_answer_is_shown_in_full(self) -> None:
        text = words(render_report([single(picture(), SHARES)], bundle()))
        for part in ("scan.png", "Glioma 70.0 %", "Meningioma 10.0 %",
                     "Glioma (70.0 %), flagged as a tumor: tumor probability 85.0 %, "
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
        assert "tumor probability of the series 90.0 %" in text
        assert "2 of 5 slices are flagged." in text
        assert page.count("data:image/jpeg") == 4

    def test_notes_stand_below_the_head_of_a_series(self) -> None:
        item = volume([picture(f"series#{k}") for k in range(3)], [0.1, 0.9, 0.8], [1])
        notes = ["2 slices share one position", "split by <b>"]
        assert item.study is not None
        page = render_report([replace(item, study=replace(item.study, notes=notes))], bundle())
        assert "Note: 2 slices share one position." in words(page)
        assert "split by &lt;b&gt;" in page

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
        [card] = re.findall(r"<article.*?</article>", page, flags=re.S)
        assert "%" not in words(card)
        assert "glioma" not in card.lower()
        assert card.count("data:image/jpeg") == 1  # the slice, without a heat map
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
        assert "3 slices withheld: 3 out of distribution" in text
        assert text.count("withheld: out of distribution: no training slice is like it") == 3
        assert "Withheld: out of distribution: no training slice is like it" in text
        assert card.count("data:image/jpeg") == 1

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


class TestSeries:
    def test_every_flagged_slice_is_pictured_in_the_order_of_the_series(self) -> None:
        page = render_report([series_of([0.5, 0.1, 0.2, 0.9, 0.1, 0.7], [2, 3])], bundle())
        assert pictured(page) == [f"/scans/t1/IM00{k}.dcm" for k in (0, 2, 3, 5)]

    def test_a_withheld_slice_is_not_flagged_whatever_its_numbers(self) -> None:
        item = with_slices(series_of([0.5, 0.9, 0.2, 0.1], [2]), _1=OUT)
        page = render_report([item], bundle())
        assert pictured(page) == ["/scans/t1/IM000.dcm", "/scans/t1/IM002.dcm"]
        assert [kinds for kinds, _ in bars(page)] == [
            {"flagged"}, {"withheld"}, {"plain", "key"}, {"plain"},
        ]  # fmt: skip

    def test_of_many_flagged_slices_the_most_probable_are_pictured_and_all_are_named(self) -> None:
        tumor = [0.45 + k / 100 for k in range(40)]
        page = render_report([series_of(tumor, [0, 1])], bundle())
        assert pictured(page) == [f"/scans/t1/IM{k:03}.dcm" for k in (0, 1, *range(18, 40))]
        assert "Not pictured: 16 more flagged slices, named in the list" in words(page)
        unseen = [row[0] for row in Markup(page).rows if "no picture" in row[-1]]
        assert unseen == [f"IM{k:03}.dcm" for k in range(2, 18)]

    def test_nothing_is_said_of_pictures_where_none_is_missing(self) -> None:
        page = render_report([series_of([0.5] * 24, [3])], bundle())
        assert len(pictured(page)) == 24
        assert "no picture" not in page
        assert "Not pictured" not in page

    def test_a_bar_tells_what_a_slice_is_and_a_withheld_one_only_why(self) -> None:
        item = with_slices(series_of([0.1, 0.9, 0.3, 0.8], [1]), _0=BLANK, _2=OUT)
        found = bars(render_report([item], bundle()))
        assert [kinds for kinds, _ in found] == [
            {"withheld"}, {"flagged", "key"}, {"withheld"}, {"flagged"},
        ]  # fmt: skip
        assert [title for _, title in found] == [
            "IM000.dcm: withheld: the picture is blank: all its pixels are alike",
            "IM001.dcm: tumor probability 90.0 %, flagged, key slice",
            "IM002.dcm: withheld: out of distribution: no training slice is like it",
            "IM003.dcm: tumor probability 80.0 %, flagged",
        ]

    def test_the_height_of_a_withheld_bar_says_nothing(self) -> None:
        item = with_slices(series_of([0.1, 0.9, 0.3], [1]), _0=OUT, _2=OUT)
        page = render_report([item], bundle())
        heights = [
            one.get("style") for one in Markup(page).all("i") if one.get("class") == "withheld"
        ]
        assert heights == [None] * 3  # two bars and the legend
        assert "repeating-linear-gradient" in page

    def test_the_legend_counts_what_each_look_means(self) -> None:
        item = with_slices(series_of([0.1, 0.9, 0.3, 0.2, 0.5], [1]), _0=BLANK, _2=OUT, _3=OUT)
        page = render_report([item], bundle())
        [legend] = re.findall(r'<ul class="legend">(.*?)</ul>', page, flags=re.S)
        parts = [words(part).strip() for part in legend.split("</li>") if part.strip()]
        assert parts == [
            "0 below the threshold",
            "2 flagged: at or above the threshold",
            "3 slices withheld: 2 out of distribution, 1 blank",
            "1 key slice",
            "threshold, 40.0 %",
        ]

    def test_without_a_withheld_slice_the_legend_has_none(self) -> None:
        page = render_report([series_of([0.1, 0.9, 0.3], [1])], bundle())
        assert "withheld" not in words(re.findall(r"<ul.*?</ul>", page, flags=re.S)[-1])

    def test_the_curve_is_one_picture_with_a_label_that_sums_it_up(self) -> None:
        item = with_slices(series_of([0.1, 0.9, 0.3, 0.2], [1]), _0=OUT)
        [curve] = [
            one
            for one in Markup(render_report([item], bundle())).all("div")
            if one.get("role") == "img"
        ]
        label = str(curve["aria-label"])
        for part in ("4 slices", "1 flagged", "2 below", "1 slice withheld: 1 out of distribution"):
            assert part in label

    @pytest.mark.parametrize("slices", [1, 3, 300])
    def test_every_slice_is_a_line_of_the_list(self, slices: int) -> None:
        tumor = [0.1 + 0.8 * (k == 0) for k in range(slices)]
        item = series_of(tumor, [0])
        changes = {f"_{slices - 1}": OUT} if slices > 1 else {}
        found = Markup(render_report([with_slices(item, **changes)], bundle()))
        assert "details" in [name for name, _ in found.elements]
        head, *rows = found.rows
        assert head == ["Slice", "Answer", "Tumor probability", "Mark"]
        assert [row[0] for row in rows] == [f"IM{k:03}.dcm" for k in range(slices)]
        assert rows[0][1:] == ["glioma 72.0 %", "90.0 %", "flagged, key slice"]
        if slices > 1:
            assert rows[-1][1:] == ["withheld: out of distribution: no training slice is like it"]

    def test_a_list_is_light(self) -> None:
        pages = [render_report([series_of([0.1] * n, [0])], bundle()) for n in (100, 600)]
        assert (len(pages[1]) - len(pages[0])) / 500 < 400  # bytes a slice, its bar as well

    def test_slices_of_a_volume_keep_their_index(self) -> None:
        slices = [picture(f"/scans/head.nii.gz#{k}") for k in range(8, 12)]
        page = render_report([volume(slices, [0.1, 0.2, 0.9, 0.1], [1])], bundle())
        assert [row[0] for row in Markup(page).rows[1:]] == [
            f"head.nii.gz#{k}" for k in range(8, 12)
        ]
        places = re.findall(r'<p class="source">([^<]*)', page)
        assert places == ["head.nii.gz#9", "head.nii.gz#10"]

    def test_names_of_several_folders_stay_apart(self) -> None:
        slices = [picture(f"/s/{name}") for name in ("a/1.dcm", "b/1.dcm", "c.zip!1.dcm")]
        page = render_report([volume(slices, [0.1, 0.2, 0.3], [1])], bundle())
        names = [row[0] for row in Markup(page).rows[1:]]
        assert names == ["a/1.dcm", "b/1.dcm", "c.zip!1.dcm"]

    def test_a_flagged_slice_of_a_series_without_a_tumor_is_no_contradiction(self) -> None:
        item = series_of([0.1, 0.9, 0.1], [0])
        assert item.study is not None
        none = replace(item.study.study, label="no_tumor", tumor_probability=0.1)
        page = render_report([replace(item, study=replace(item.study, study=none))], bundle())
        text = words(page)
        assert "Unsure whether there is a tumor axial series" in text
        assert "No tumor in the series as a whole (" in text
        assert "but 1 of 3 slices is flagged. A person should look." in text
        assert pictured(page) == ["/scans/t1/IM000.dcm", "/scans/t1/IM001.dcm"]

    def test_a_key_slice_that_is_withheld_says_why(self) -> None:
        item = with_slices(series_of([0.9, 0.1], [0]), _0=BLANK)
        text = words(render_report([item], bundle()))
        assert "Answer withheld key slice" in text
        assert "Withheld: the picture is blank: all its pixels are alike" in text

    def test_without_a_negative_class_slices_are_listed_without_a_curve(self) -> None:
        none = {"tumor_probability": None, "tumor_flag": None, "threshold": None}
        item = with_slices(series_of([0.9, 0.8], [0]), _0=none, _1=OUT | none)
        assert item.study is not None
        study = replace(item.study.study, tumor_probability=None, slices_flagged=None)
        item = replace(item, study=replace(item.study, study=study, threshold=None))
        page = render_report([item], bundle())
        assert bars(page) == []
        assert Markup(page).rows == [
            ["Slice", "Answer", "Mark"],
            ["IM000.dcm", "glioma 72.0 %", "key slice"],
            ["IM001.dcm", "withheld: out of distribution: no training slice is like it"],
        ]
        text = words(page)
        assert "Most like glioma on the mean over its slices" in text
        assert "1 slice withheld: 1 out of distribution" in text


@pytest.mark.realdata
def test_a_real_series_of_which_most_is_withheld(real_data: Path) -> None:
    model = Classifier.load()
    [item] = answer_inputs([real_data / "dicom" / "datalad_t1"], model)
    assert isinstance(item, SeriesAnswers)
    page = render_report([item], model.bundle)
    found = bars(page)
    withheld = [title for kinds, title in found if "withheld" in kinds]
    rejected = [a for a in item.answers if a.prediction.decision is Verdict.REJECT]
    assert (len(found), len(withheld)) == (24, len(rejected))
    assert len(withheld) >= 12
    assert all("withheld: out of distribution" in title for title in withheld)
    assert not any("%" in title for title in withheld)
    [flagged] = [title.split(":")[0] for kinds, title in found if "flagged" in kinds]
    assert flagged in [Path(name).name for name in pictured(page)]
    count = len(withheld)
    assert f"{count} slices withheld: {count} out of distribution" in words(page)


class TestLabelAndFlag:
    def test_a_tumor_below_the_threshold_is_unsure(self) -> None:
        item = single(picture(), (0.01, 0.93, 0.05, 0.01))
        change = {"tumor_flag": False, "threshold": 0.96}
        text = words(render_report([with_slices(item, _0=change)], bundle()))
        assert "Unsure: most like meningioma 93.0 % scan.png" in text
        assert "not sure enough that there is a tumor at all: tumor probability 95.0 %" in text

    def test_classes_have_one_name_on_the_page(self) -> None:
        item = single(picture(), (0.01, 0.01, 0.05, 0.93))
        change = {"prediction_set": ["pituitary", "no_tumor"]}
        text = words(render_report([with_slices(item, _0=change)], bundle()))
        assert "Pituitary tumor (93.0 %), flagged as a tumor" in text
        assert "Classes that cannot be ruled out: pituitary tumor, no tumor" in text


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
