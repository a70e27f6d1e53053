"""Shares that a bundle carries against those that were seen."""

from __future__ import annotations

import numpy as np
import pytest

from builders import fitted_rule
from builders_monitor import BUNDLE, START, answer, answers
from slicewise.audit_log.records import PredictionRecord
from slicewise.inference.rule import Acceptance, DecisionRule
from slicewise.service.monitoring.expected import Expectation, expectations
from slicewise.service.monitoring.windows import gather

RULE = fitted_rule(review_above=0.0, reject_above=2.0, confidence=0.8)


def compare(recent: list[PredictionRecord], rule: DecisionRule = RULE) -> dict[str, Expectation]:
    found = gather(recent, BUNDLE[2], START, reference_uploads=10)
    return {one.name: one for one in expectations(rule, found.reference, found.recent)}


def test_shares_are_counted_as_the_decision_does() -> None:
    scores = [-1.0] * 70 + [0.0] * 10 + [1.0] * 15 + [2.5] * 5
    found = compare([answer(n, ood_score=score) for n, score in enumerate(scores)])
    assert found["possibly_out_of_distribution"].recent is not None
    assert found["possibly_out_of_distribution"].recent.value == pytest.approx(
        0.20
    )  # the limit itself is in
    assert found["out_of_distribution"].recent is not None
    assert found["out_of_distribution"].recent.value == pytest.approx(0.05)
    assert found["possibly_out_of_distribution"].expected == 0.03
    assert found["possibly_out_of_distribution"].state == "alert"
    assert found["out_of_distribution"].state == "steady"


def test_interval_is_that_of_a_share() -> None:
    """Against the normal approximation, which is close for 400 uploads of one slice each."""
    found = compare([answer(n, ood_score=1.0 if n % 4 == 0 else -1.0) for n in range(400)])
    share = found["possibly_out_of_distribution"].recent
    assert share is not None
    half = 1.96 * np.sqrt(0.25 * 0.75 / 400)
    assert (share.ci_low, share.ci_high) == pytest.approx((0.25 - half, 0.25 + half), abs=0.01)


def test_every_upload_weighs_the_same() -> None:
    scan = [answer(0, slice_index=i, ood_score=5.0) for i in range(100)]
    found = compare([*scan, *[answer(n, ood_score=-5.0) for n in range(1, 5)]])
    assert found["out_of_distribution"].recent is not None
    assert found["out_of_distribution"].recent.value == pytest.approx(0.2)


def test_less_confidence_is_watched_and_no_alert() -> None:
    found = compare([answer(n, confidence=0.5 if n % 2 else 0.9) for n in range(200)])
    assert found["confident"].recent is not None
    assert found["confident"].recent.value == pytest.approx(0.5)
    assert found["confident"].state == "watch"
    assert compare(answers(200, confidence=0.8))["confident"].state == "steady"


def test_trust_is_read_from_the_reasons() -> None:
    """Of what was rejected nothing is known."""
    limit = Acceptance(trust=1.3, target=0.99, accuracy=0.99, coverage=0.7, n=40, groups=20)
    rule = RULE.model_copy(update={"acceptance": limit})
    said = [
        *(answer(n, decision="review", reasons=["low_trust"]) for n in range(50)),
        *(answer(n, decision="accept", reasons=[]) for n in range(50, 80)),
        *(answer(n, decision="reject", reasons=["colour_picture"]) for n in range(80, 100)),
    ]
    found = compare(said, rule)
    assert "confident" not in found
    assert found["trusted"].recent is not None
    assert found["trusted"].recent.value == pytest.approx(30 / 80)
    assert found["trusted"].expected == 0.7
    assert found["trusted"].state == "watch"


def test_a_bundle_without_limits_expects_nothing() -> None:
    assert compare(answers(20), DecisionRule()) == {}


def test_without_scores_nothing_is_known() -> None:
    assert compare(answers(20, ood_score=None))["possibly_out_of_distribution"].state == "unknown"
