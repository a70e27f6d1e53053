"""The report folder: what is in it, how it is stamped; the page and the text, part by part."""

from __future__ import annotations

import builtins
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from builders_evaluation import decided_table, rule_of, table_of
from builders_reports import ReadPage
from slicewise.errors import MissingExtraError
from slicewise.evaluation.gate import Gate, judge, write_gate
from slicewise.evaluation.report import (
    Refusals,
    ReportContext,
    model_text,
    write_metrics,
    write_pages,
)
from slicewise.evaluation.sections import plots as drawn
from slicewise.imaging.slice import Failure
from slicewise.inference.decision import BundleReference
from slicewise.inference.results import DISCLAIMER
from slicewise.predictions.files import read_predictions
from slicewise.predictions.table import pooled
from slicewise.reports.blocks import Section
from slicewise.stats.bootstrap import Bootstrap

QUICK = Bootstrap(resamples=20)
WORDS = {"report.html", "evaluation_report.txt"}
PICTURES = {
    "confidence.png",
    "confusion_matrix.png",
    "confusion_matrix_binary.png",
    "per_class_metrics.png",
    "pr.png",
    "reliability.png",
    "risk_coverage.png",
    "roc.png",
    "threshold_sweep.png",
}

PARTS = (
    "Research gate",
    "Each class",
    "Tumor or no tumor",
    "Each source",
    "What was answered for what",
    "ROC and precision-recall",
    "Whether probabilities mean what they say",
    "Accept, review, reject",
    "Why answers were not simply accepted",
    "Prediction sets",
    "How sure right and wrong answers are",
    "Which mistakes are made",
    "The most confident wrong answers",
    "Something more",
)


def context_of(**refusals):
    fields = {"seen": (), "seen_check": "compared with 10 training slices", **refusals}
    return ReportContext(
        split="test",
        command="slicewise evaluate m.csv",
        bundle=BundleReference("demo", "1.0.0", "ab" * 32),
        threshold_rule="youden_j",
        refusals=Refusals(**fields),
    )


def report(table, folder, *, plots=False, **refusals):
    context = context_of(**refusals)
    written = write_metrics(
        table, folder, context, neighbour="not measured", bootstrap=QUICK, plots=plots
    )
    write_pages(table, written, folder, plots=plots)
    return written


def test_all_files_are_written(tmp_path):
    table = table_of().decided(rule_of())
    returned = report(table, tmp_path / "out", plots=True)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == PICTURES | WORDS | {"metrics.json", "predictions.csv"}
    written = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert written == returned
    assert written["bundle"] == {"name": "demo", "version": "1.0.0", "sha256": "ab" * 32}
    assert (written["split"], written["command"]) == ("test", "slicewise evaluate m.csv")
    assert written["tumor"]["threshold"] == {
        "value": 0.4,
        "ci_low": None,
        "ci_high": None,
        "reason": "set before this evaluation; youden_j",
        "rule": "youden_j",
        "fitted": True,
    }
    assert written["interval"]["resamples"] == 20
    back = read_predictions(tmp_path / "out" / "predictions.csv", "no_tumor")
    np.testing.assert_array_equal(back.tumor_flag(), table.tumor_flag())
    for name in PICTURES:
        with Image.open(tmp_path / "out" / name) as picture:
            assert min(picture.size) > 500


def test_the_same_table_gives_the_same_file(tmp_path):
    table = table_of().decided(rule_of())
    report(table, tmp_path / "a")
    report(table, tmp_path / "b")
    one, other = (tmp_path / name / "metrics.json" for name in "ab")
    assert one.read_bytes() == other.read_bytes()


def test_refused_slices_are_listed(tmp_path):
    written = report(
        table_of(), tmp_path, seen=("a.png", "b.png"), failed=(Failure("c.png", "truncated"),)
    )
    assert written["allow_seen"] is False
    assert written["refused"]["seen"]["count"] == 2
    assert written["refused"]["seen"]["paths"] == ["a.png", "b.png"]
    assert written["refused"]["failed"]["errors"] == [{"source": "c.png", "error": "truncated"}]
    assert "seen_evaluated" not in written


def test_allowed_seen_slices_stamp_every_file(tmp_path, monkeypatch):
    notices = []
    real = drawn.drawing

    def watched(path, width, height, *, notice):
        notices.append(notice)
        return real(path, width, height, notice=notice)

    monkeypatch.setattr(drawn, "drawing", watched)
    written = report(table_of(), tmp_path, plots=True, seen=("glioma/0.png",), allow_seen=True)
    assert written["allow_seen"] is True
    assert written["seen_evaluated"]["paths"] == ["glioma/0.png"]
    assert written["refused"]["seen"]["count"] == 0
    assert notices
    assert all("trained on" in notice for notice in notices)
    first = (tmp_path / "predictions.csv").read_text().splitlines()[1]
    assert first.endswith(",yes")


@pytest.mark.parametrize(
    ("seen", "checked", "words"),
    [
        (("a.png",), True, "Includes slices the model was trained"),
        ((), True, None),
        ((), False, "May include slices the model was trained"),
        (("a.png",), False, "Includes slices"),
    ],
)
def test_only_what_was_or_may_have_been_seen_is_stamped(seen, checked, words):
    notice = Refusals(seen, "", allow_seen=True, checked=checked).notice
    assert notice is None if words is None else notice.startswith(words)
    assert Refusals(seen, "", checked=checked).notice is None


def test_thresholds_of_several_models_are_told_as_a_range(tmp_path):
    folds = [table_of(seed=s).decided(rule_of(threshold=t)) for s, t in ((1, 0.2), (2, 0.6))]
    threshold = report(pooled(folds), tmp_path, plots=True)["tumor"]["threshold"]
    assert threshold["value"] is None
    assert threshold["reason"] == "2 models, 0.200 to 0.600; youden_j"


def test_tasks_without_negative_class_have_no_binary_matrix(tmp_path):
    table = table_of(classes=("a", "b", "c"), negative_class=None).decided(rule_of())
    written = report(table, tmp_path, plots=True)
    assert not (tmp_path / "confusion_matrix_binary.png").exists()
    assert written["tumor"]["threshold"]["value"] is None


def test_a_split_of_one_class_still_reports(tmp_path):
    table = table_of().decided(rule_of())
    written = report(table.take(table.targets == 0), tmp_path, plots=True)
    assert written["macro_auroc"]["value"] is None
    assert written["accuracy"]["value"] > 0.5


def test_pictures_without_matplotlib_name_the_extra_and_write_nothing(tmp_path, monkeypatch):
    real = builtins.__import__

    def without_matplotlib(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_matplotlib)
    with pytest.raises(MissingExtraError, match=r"plots needs an extra.*slicewise\[evaluate\]"):
        report(table_of(), tmp_path / "out", plots=True)
    assert not (tmp_path / "out").exists()
    assert report(table_of(), tmp_path / "out")["n"] == 200


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    table = decided_table()
    wrong = int(np.flatnonzero(table.predicted != table.targets)[0])
    paths = table.paths.astype("U40")
    paths[wrong] = "<script>alert(1)</script>.png"
    table = replace(table, paths=paths)
    context = ReportContext(
        split="test",
        command="slicewise evaluate 'a & b.csv'",
        bundle=BundleReference("demo", "1.0.0", "ab" * 32),
        threshold_rule="youden_j",
        refusals=Refusals(("seen.png",), "compared with 10 training slices"),
        promised_coverage=0.95,
    )
    report = write_metrics(
        table, folder, context, neighbour="not measured", bootstrap=Bootstrap(resamples=20)
    )
    gate = Gate(accuracy=0.99)
    judgement = judge(gate, report)
    first = (write_gate(judgement, gate, folder),)
    more = (Section.of("Something more", "First.\n\nSecond.", ("a",), [("cell <b>",)]),)
    write_pages(table, report, folder, plots=True, judgement=judgement, first=first, more=more)
    return folder, report


def test_the_page_has_every_part_in_order(written):
    folder, _ = written
    page = ReadPage((folder / "report.html").read_text())
    assert page.headings == ["Summary", *PARTS, "Advice", "How this was made"]


def test_a_long_reason_in_the_summary_stays_in_its_card(written):
    """On a phone it wraps; the table scrolls inside where it is still too wide."""
    source = (written[0] / "report.html").read_text()
    assert '<div class="scroll"><table class="key">' in source
    narrow = source[source.index("@media (max-width: 620px)") : source.index("@media print")]
    assert ".key tr { display: grid;" in narrow


def test_the_page_needs_nothing_from_outside(written):
    folder, _ = written
    page = ReadPage((folder / "report.html").read_text())
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert all(re.match(r"data:image/(png|jpeg);base64,|#", address) for address in page.loaded)
    assert sum(address.startswith("data:") for address in page.loaded) == 9


def test_what_came_from_outside_is_escaped(written):
    folder, _ = written
    source = (folder / "report.html").read_text()
    assert "<script>alert(1)" not in source
    assert "<script>alert(1)</script>.png" in ReadPage(source).text
    assert "cell <b>" in ReadPage(source).text
    assert "slicewise evaluate 'a & b.csv'" in ReadPage(source).text


def test_page_and_text_tell_the_same_figures(written):
    folder, report = written
    page = ReadPage((folder / "report.html").read_text()).text
    text = (folder / "evaluation_report.txt").read_text()
    accuracy = report["accuracy"]
    figure = f"{accuracy['value']:.3f} ({accuracy['ci_low']:.3f}-{accuracy['ci_high']:.3f})"
    for told in (page, text):
        assert figure in told
        assert "research gate failed" in told.lower()
        assert DISCLAIMER in told
        assert "1 seen in training (compared with 10 training slices)" in told
        assert report["cautions"][0][:40] in told
        assert "ready for" not in told.lower()
    assert text.count("\nSummary\n-------\n") == 1
    assert all(f"\n{title}\n{'-' * len(title)}\n" in text for title in PARTS)


def test_nothing_in_metrics_names_a_slice_that_was_not_refused(written):
    folder, report = written
    assert "alert(1)" not in (folder / "metrics.json").read_text()
    assert report["refused"]["seen"]["paths"] == ["seen.png"]


def test_a_model_that_is_still_being_made_has_no_identity_yet():
    made = {"name": "demo", "version": "1.0.0", "sha256": "ab" * 32}
    assert model_text(made) == f"demo 1.0.0 ({'ab' * 32})"
    assert "metrics.json names its identity" in model_text({**made, "sha256": "draft"})
