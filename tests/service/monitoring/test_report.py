"""How a report stands, and what its page says."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest

from builders import bundle_info, fitted_rule
from builders_monitor import BUNDLE, START, answer, answers
from slicewise.audit_log.records import PredictionRecord
from slicewise.service.monitoring.page import render_page
from slicewise.service.monitoring.report import Question, Report, monitor

INFO = bundle_info(decision=fitted_rule(confidence=0.6, review_above=0.0, reject_above=2.0))
QUESTION = Question(START + timedelta(days=2), START + timedelta(days=4), 200, 50)


def report(records: list[PredictionRecord], **changed: Any) -> Report:
    return monitor(records, INFO, BUNDLE[2], QUESTION)


@pytest.fixture(scope="module")
def drifted() -> Report:
    return report([*answers(288), *answers(200, 288, ood_score=3.0, label="glioma")])


def test_steady_without_drift() -> None:
    found = report(answers(500))
    assert found.standing == "steady"
    assert len(found.changes) == 8
    assert [one.state for one in found.expectations] == ["steady"] * 3


def test_alert_with_drift(drifted: Report) -> None:
    assert drifted.standing == "alert"
    alerts = {one.name for one in drifted.changes if one.state == "alert"}
    assert alerts == {"ood_score", "label"}
    assert {o.name for o in drifted.expectations if o.state == "alert"} == {
        "possibly_out_of_distribution",
        "out_of_distribution",
    }


def test_too_little_is_said() -> None:
    assert report(answers(300)).standing == "too_little"  # 12 recent uploads
    assert report([]).standing == "too_little"


def test_the_bundle_speaks_even_before_there_is_a_first_window() -> None:
    young = report(answers(200, 290, ood_score=3.0))
    assert young.changes == []
    assert young.standing == "alert"


def test_json_is_plain_and_complete(drifted: Report) -> None:
    found = json.loads(json.dumps(drifted.as_json(), allow_nan=False))
    assert found["standing"] == "alert"
    assert found["recent"]["uploads"] == 200
    assert {one["name"] for one in found["changes"]} >= {"rows", "mean", "ood_score", "reasons"}
    assert all(sum(one["recent"]) == pytest.approx(1) for one in found["changes"])


def test_page_is_self_contained_and_shows_every_quantity(drifted: Report) -> None:
    page = render_page(drifted, INFO)
    assert "Alert" in page
    assert page.count('src="data:image/') == 8 + 3
    assert "<script" not in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "not a medical device" in page.lower()
    for title in ("Rows of the slice", "Out-of-distribution score", "Label", "Reasons"):
        assert title in page


def test_page_of_too_little_says_so() -> None:
    page = render_page(report(answers(20)), INFO)
    assert "Too little to say" in page
    assert "fewer than 50" in page


def test_words_from_the_database_are_escaped() -> None:
    some = [answer(n, summary={"<b>x</b>": 1.0}, reasons=["<i>y</i>"]) for n in range(200, 400)]
    page = render_page(report(some), INFO)
    assert "&lt;b&gt;x&lt;/b&gt;" in page
    assert "<b>x</b>" not in page
