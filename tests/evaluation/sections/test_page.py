"""The page and the text: the same parts, self-contained, escaped."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from builders_evaluation import decided_table
from builders_reports import ReadPage
from slicewise.evaluation.gate import Gate, judge, write_gate
from slicewise.evaluation.report import Refusals, ReportContext, write_metrics, write_pages
from slicewise.evaluation.sections.page import model_text
from slicewise.inference.decision import BundleReference
from slicewise.inference.results import DISCLAIMER
from slicewise.reports.blocks import Section
from slicewise.stats.bootstrap import Bootstrap

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
