"""The index against its definition, and the test against what it promises."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import pytest

from builders_monitor import BUNDLE, START, answer, answers
from slicewise.audit_log.records import PredictionRecord
from slicewise.service.monitoring import drift
from slicewise.service.monitoring.drift import (
    Change,
    _median,
    bin_limits,
    changes,
    holm,
    stability_index,
)
from slicewise.service.monitoring.windows import gather


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


def test_index_is_the_textbook_sum_for_large_windows() -> None:
    reference, recent = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])
    textbook = sum((b - a) * math.log(b / a) for a, b in zip(reference, recent, strict=True))
    found = stability_index(reference, recent, (10**9, 10**9))
    assert float(found) == pytest.approx(textbook, rel=1e-6)
    assert float(stability_index(reference, reference, (100, 100))) == 0


def test_an_empty_bin_is_no_infinity() -> None:
    found = float(stability_index(np.array([1.0, 0.0]), np.array([0.0, 1.0]), (100, 100)))
    share = 0.5 / 101
    assert found == pytest.approx(2 * (1 - 2 * share) * math.log((1 - share) / share))


def test_holm_is_that_of_the_paper() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([None, 0.2, None]) == [None, 0.2, None]
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_every_level_has_its_bin_where_there_are_few() -> None:
    some = [answer(n, summary={"rows": 256.0 if n % 4 else 512.0}) for n in range(100)]
    change = compare(some, [answer(n, summary={"rows": 512.0}) for n in range(1000, 1100)])["rows"]
    assert (change.kind, change.bins) == ("levels", (256.0, 512.0))
    assert change.reference.tolist() == [0.75, 0.25]
    assert change.recent.tolist() == [0, 1]
    assert change.state == "alert"


def test_many_values_are_cut_into_even_bins() -> None:
    values = np.random.default_rng(0).normal(size=5000)
    limits = bin_limits(values)
    counts = np.histogram(values, limits)[0]
    assert len(counts) == drift.BINS
    assert counts.sum() == 5000
    assert counts.min() > 450


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
    monkeypatch.setattr(drift, "PERMUTATIONS", 400)
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


def test_the_median_weighs_uploads_and_not_slices():
    values = np.array([1.0, 2.0, 3.0, *[9.0] * 50])
    upload = np.array([0, 1, 2, *[3] * 50])
    assert _median(values, upload) == 2.5
    assert _median(np.array([4.0, 6.0, 5.0]), np.array([0, 1, 2])) == 5.0
