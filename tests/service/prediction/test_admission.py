from __future__ import annotations

import pytest

from slicewise.errors import OverloadError
from slicewise.service.prediction.admission import AdmissionControl


def control(slices=2, size=100, pixels=1000, answers=100):
    return AdmissionControl(slices, size, pixels, answers, lambda: 1.5)


def test_who_comes_too_many_is_told_when_to_come_back():
    full = control()
    with full.admit(), full.admit():
        with pytest.raises(OverloadError) as refused, full.admit():
            pass
        assert refused.value.retry_after_s == 3
    assert full.waiting == 0


def test_a_request_gets_as_much_room_as_there_is():
    half = control(slices=4)
    with half.admit() as admission:
        assert admission.add_slices(10) == 3
        assert admission.add_slices(1) == 0
        admission.remove_slices(3)
        assert half.waiting == 1
        assert admission.add_slices(2) == 2
    assert half.waiting == 0


def test_bytes_are_given_back_however_it_ends():
    small = control()
    with small.admit() as admission:
        admission.hold_bytes(60)
        with pytest.raises(OverloadError):
            admission.hold_bytes(60)
        assert small.bytes_held == 60
    assert small.bytes_held == small.waiting == 0


def test_pixels_are_counted_until_the_last_who_needs_them_leaves():
    small = control()
    with small.admit() as admission:
        admission.hold_pixels(900)
        with pytest.raises(OverloadError):
            admission.hold_pixels(200)
        kept = admission.hand_over_pixels()
    assert (small.waiting, small.pixels_held) == (0, 900)
    kept.release()
    assert small.pixels_held == 0


def test_a_shared_admission_counts_until_both_have_left():
    small = control()
    with small.admit() as admission:
        admission.hold_bytes(60)
        admission.share()
    assert (small.waiting, small.bytes_held) == (1, 60)
    admission.release()
    assert (small.waiting, small.bytes_held) == (0, 0)


def test_who_is_still_sending_takes_no_place():
    small = control(slices=1)
    with small.admit(sending=True) as slow, small.admit(sending=True) as quick:
        assert small.waiting == 0
        quick.take_place()
        assert small.waiting == 1
        with pytest.raises(OverloadError):
            slow.take_place()
        with pytest.raises(OverloadError), small.admit():
            pass
    assert small.waiting == 0
