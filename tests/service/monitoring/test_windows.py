"""Records to windows: in order, without repeats, in bounded memory."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from builders_monitor import BUNDLE, START, answer, answers
from slicewise.service.monitoring import windows
from slicewise.service.monitoring.windows import Gathering, gather

SINCE = START + timedelta(days=1)


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
    monkeypatch.setattr(windows, "MOST_UPLOADS", 200)
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
    monkeypatch.setattr(windows, "MOST_UPLOADS", 40)
    gathered = gather(answers(140), BUNDLE[2], SINCE, reference_uploads=100)
    assert gathered.reference.sampled
    assert 20 <= gathered.reference.uploads <= 40
    assert gathered.reference.last == START + timedelta(minutes=990)


def test_of_many_slices_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "MOST_ANSWERS", 50)
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
