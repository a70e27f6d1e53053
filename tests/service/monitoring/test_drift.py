"""Windows of records in bounded memory, what has changed between them, and against a bundle."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from builders import fitted_rule
from builders_monitor import BUNDLE, START, answer, answers
from slicewise.audit_log.records import PredictionRecord
from slicewise.inference.rule import Acceptance, DecisionRule
from slicewise.service.monitoring import drift
from slicewise.service.monitoring.drift import (
    Change,
    Expectation,
    Gathering,
    changes,
    expectations,
    gather,
)

SINCE = START + timedelta(days=1)
RULE = fitted_rule(review_above=0.0, reject_above=2.0, confidence=0.8)


def compare(first: list[PredictionRecord], recent: list[PredictionRecord]) -> dict[str, Change]:
    since = START + timedelta(days=3000)
    moved = [  # the builder dates by number; here the windows are given
        *first,
        *(answer(0, **{f: getattr(r, f) for f in FIELDS}, created=since) for r in recent),
    ]
    found = gather(moved, BUNDLE[2], since, reference_uploads=10_000)
    return {change.name: change for change in changes(found.reference, found.recent)}


FIELDS = ("input_sha256", "slice_index", "label", "confidence", "tumor_probability", "decision",
          "reasons", "summary", "ood_score")  # fmt: skip


def test_every_level_has_its_bin_where_there_are_few() -> None:
    some = [answer(n, summary={"rows": 256.0 if n % 4 else 512.0}) for n in range(100)]
    change = compare(some, [answer(n, summary={"rows": 512.0}) for n in range(1000, 1100)])["rows"]
    assert (change.kind, change.bins) == ("levels", (256.0, 512.0))
    assert change.reference.tolist() == [0.75, 0.25]
    assert change.recent.tolist() == [0, 1]
    assert change.state == "alert"


def test_windows_of_the_same_kind_are_steady() -> None:
    found = compare(answers(400), answers(200, 1000))
    assert {change.state for change in found.values()} == {"steady"}


def test_each_kind_of_drift_is_found_and_the_others_stay_steady() -> None:
    for what, changed in {
        "ood_score": [answer(n, ood_score=-2.0 + n / 500) for n in range(1000, 1200)],
        "rows": [
            answer(n, summary={**answer(n).summary, "rows": 256.0 + 256 * (n % 2)})
            for n in range(1000, 1200)
        ],
        "label": [answer(n, label="glioma") for n in range(1000, 1200)],
    }.items():
        found = compare(answers(400), changed)
        assert found[what].state == "alert", what
        others = {change.state for name, change in found.items() if name != what}
        assert others == {"steady"}, what


def test_medians_and_shares_are_those_of_the_windows() -> None:
    found = compare(answers(400), [answer(n, label="glioma") for n in range(1000, 1100)])
    label = found["label"]
    assert label.bins == ("glioma", "meningioma", "no_tumor", "pituitary")
    assert label.recent.tolist() == [1, 0, 0, 0]
    counted = sum(one.label == "glioma" for one in answers(400)) / 400
    assert label.reference[0] == pytest.approx(counted)
    distances = [one.ood_score for one in answers(400)]
    assert found["ood_score"].typical is not None
    assert found["ood_score"].typical[0] == pytest.approx(np.median(np.array(distances, float)))


def volumes(count: int, first: int, slices: int = 30) -> list[PredictionRecord]:
    """Scans of many slices that are all alike: few scans say little, however many slices."""
    made = []
    for scan in range(first, first + count):
        whole = answer(scan)
        for index in range(slices):
            made.append(answer(scan, slice_index=index, ood_score=whole.ood_score))
    return made


def test_slices_of_a_scan_do_not_count_as_many() -> None:
    """By slices, every one of these would be a difference far beyond chance."""
    states = []
    for round_ in range(10):
        found = compare(volumes(12, 1000 * round_), volumes(12, 1000 * round_ + 500))
        states.append(found["ood_score"].state)
    assert states.count("alert") <= 1


def test_false_alarms_are_as_rare_as_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty reports on windows of the same kind, index limit out of the way: about 5 % may err."""
    monkeypatch.setattr(drift, "ALERT", 0.0)
    monkeypatch.setattr(drift, "WATCH", 0.0)
    monkeypatch.setattr("slicewise.stats.drift.PERMUTATIONS", 400)
    alarms = 0
    for round_ in range(40):
        found = compare(answers(60, 10_000 * round_), answers(60, 10_000 * round_ + 5000))
        alarms += any(change.state == "alert" for change in found.values())
    assert alarms <= 6  # binomial(40, 0.05) exceeds 6 in 0.3 % of cases


def test_a_quantity_without_values_is_unknown() -> None:
    without = [answer(n, ood_score=None) for n in range(1000, 1100)]
    change = compare(answers(100), without)["ood_score"]
    assert (change.state, change.index, change.chance) == ("unknown", None, None)


def test_a_quantity_that_is_no_longer_recorded_is_told_as_unknown() -> None:
    now = [answer(n, summary={"other": 1.0}) for n in range(1000, 1100)]
    found = compare(answers(100), now)
    assert {found[name].state for name in ("rows", "mean", "other")} == {"unknown"}


def expected(recent: list[PredictionRecord], rule: DecisionRule = RULE) -> dict[str, Expectation]:
    found = gather(recent, BUNDLE[2], START, reference_uploads=10)
    return {one.name: one for one in expectations(rule, found.reference, found.recent)}


def test_shares_are_counted_as_the_decision_does() -> None:
    scores = [-1.0] * 70 + [0.0] * 10 + [1.0] * 15 + [2.5] * 5
    found = expected([answer(n, ood_score=score) for n, score in enumerate(scores)])
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
    found = expected([answer(n, ood_score=1.0 if n % 4 == 0 else -1.0) for n in range(400)])
    share = found["possibly_out_of_distribution"].recent
    assert share is not None
    half = 1.96 * np.sqrt(0.25 * 0.75 / 400)
    assert (share.ci_low, share.ci_high) == pytest.approx((0.25 - half, 0.25 + half), abs=0.01)


def test_every_upload_weighs_the_same() -> None:
    scan = [answer(0, slice_index=i, ood_score=5.0) for i in range(100)]
    found = expected([*scan, *[answer(n, ood_score=-5.0) for n in range(1, 5)]])
    assert found["out_of_distribution"].recent is not None
    assert found["out_of_distribution"].recent.value == pytest.approx(0.2)


def test_less_confidence_is_watched_and_no_alert() -> None:
    found = expected([answer(n, confidence=0.5 if n % 2 else 0.9) for n in range(200)])
    assert found["confident"].recent is not None
    assert found["confident"].recent.value == pytest.approx(0.5)
    assert found["confident"].state == "watch"
    assert expected(answers(200, confidence=0.8))["confident"].state == "steady"


def test_trust_is_read_from_the_reasons() -> None:
    """Of what was rejected nothing is known."""
    limit = Acceptance(trust=1.3, target=0.99, accuracy=0.99, coverage=0.7, n=40, groups=20)
    rule = RULE.model_copy(update={"acceptance": limit})
    said = [
        *(answer(n, decision="review", reasons=["low_trust"]) for n in range(50)),
        *(answer(n, decision="accept", reasons=[]) for n in range(50, 80)),
        *(answer(n, decision="reject", reasons=["colour_picture"]) for n in range(80, 100)),
    ]
    found = expected(said, rule)
    assert "confident" not in found
    assert found["trusted"].recent is not None
    assert found["trusted"].recent.value == pytest.approx(30 / 80)
    assert found["trusted"].expected == 0.7
    assert found["trusted"].state == "watch"


def test_a_bundle_without_limits_expects_nothing() -> None:
    assert expected(answers(20), DecisionRule()) == {}


def test_without_scores_nothing_is_known() -> None:
    assert expected(answers(20, ood_score=None))["possibly_out_of_distribution"].state == "unknown"


def test_first_uploads_before_recent_ones_after_and_other_bundles_left_out() -> None:
    records = [*answers(300), *answers(5, 300, bundle=("other", "1.0.0", "cd" * 32))]
    found = gather(records, BUNDLE[2], SINCE, reference_uploads=100)
    assert found.reference.uploads == found.reference.answers == 100
    assert found.reference.last == START + timedelta(minutes=990)
    assert found.recent.uploads == 300 - 144
    assert found.recent.first == SINCE
    assert found.others == 5
    assert [day.answers for day in found.days] == [144, 144, 12]
    assert sum(found.days[0].labels.values()) == 144
    assert len(found.days[2].ood_scores) == 12


def test_an_input_that_comes_again_counts_once_with_its_last_answer() -> None:
    gathering = Gathering()
    for number in range(5):
        gathering.add(answer(number, input_sha256="aa" * 32, confidence=number / 10))
    gathering.add(answer(9, input_sha256="bb" * 32))
    window = gathering.window()
    assert (window.uploads, window.answers) == (2, 2)
    assert window.numbers["confidence"][0] == pytest.approx(0.4)


def test_slices_of_one_upload_belong_together() -> None:
    gathering = Gathering()
    for index in range(3):
        gathering.add(answer(index, input_sha256="aa" * 32, slice_index=index, ood_score=None))
    gathering.add(answer(9, input_sha256="bb" * 32))
    window = gathering.window()
    assert window.upload.tolist() == [0, 0, 0, 1]
    assert np.isnan(window.numbers["ood_score"]).tolist() == [True, True, True, False]
    assert window.words["reasons"][0] in {("none",), ("low_confidence",)}


def test_of_many_uploads_a_fair_draw_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "MOST_UPLOADS", 200)
    gathering = Gathering()
    for number in range(3000):
        gathering.add(answer(number, confidence=number / 3000))
    window = gathering.window()
    assert window.sampled
    assert 100 <= window.uploads <= 200
    # Fair: as many of the early as of the late ones, within chance (five standard deviations).
    expected = 0.5 + np.array([-5, 5]) / np.sqrt(12 * window.uploads)
    assert expected[0] < window.numbers["confidence"].mean() < expected[1]
    assert (window.first, window.last) == (START, START + timedelta(minutes=29990))


def test_a_full_first_window_stays_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "MOST_UPLOADS", 40)
    gathered = gather(answers(140), BUNDLE[2], SINCE, reference_uploads=100)
    assert gathered.reference.sampled
    assert 20 <= gathered.reference.uploads <= 40
    assert gathered.reference.last == START + timedelta(minutes=990)


def test_of_many_slices_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "MOST_ANSWERS", 50)
    gathering = Gathering()
    for number in range(20):
        for index in range(10):
            gathering.add(
                answer(number * 100 + index, slice_index=index, input_sha256=f"{number:064x}")
            )
    window = gathering.window()
    assert window.answers <= 50
    assert window.answers == 10 * window.uploads > 0


def test_nothing_is_an_empty_window() -> None:
    window = gather([], BUNDLE[2], SINCE, 10).recent
    assert (window.uploads, window.answers, window.first) == (0, 0, None)
