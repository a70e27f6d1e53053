from __future__ import annotations

import pytest

from slicewise.errors import OverloadError
from slicewise.service.prediction.admission import Door


def door(slices=2, size=100, pixels=1000, answers=100):
    return Door(slices, size, pixels, answers, lambda: 1.5)


def test_who_comes_too_many_is_told_when_to_come_back():
    full = door()
    with full.enter(), full.enter():
        with pytest.raises(OverloadError) as refused, full.enter():
            pass
        assert refused.value.retry_after_s == 3
    assert full.waiting == 0


def test_a_request_gets_as_much_room_as_there_is():
    half = door(slices=4)
    with half.enter() as ticket:
        assert ticket.more(10) == 3
        assert ticket.more(1) == 0
        ticket.less(3)
        assert half.waiting == 1
        assert ticket.more(2) == 2
    assert half.waiting == 0


def test_bytes_are_given_back_however_it_ends():
    small = door()
    with small.enter() as ticket:
        ticket.hold(60)
        with pytest.raises(OverloadError):
            ticket.hold(60)
        assert small.bytes_held == 60
    assert small.bytes_held == small.waiting == 0


def test_pixels_are_counted_until_the_last_who_needs_them_leaves():
    small = door()
    with small.enter() as ticket:
        ticket.hold_pixels(900)
        with pytest.raises(OverloadError):
            ticket.hold_pixels(200)
        kept = ticket.hand_over()
    assert (small.waiting, small.pixels_held) == (0, 900)
    kept.leave()
    assert small.pixels_held == 0


def test_a_shared_ticket_counts_until_both_have_left():
    small = door()
    with small.enter() as ticket:
        ticket.hold(60)
        ticket.share()
    assert (small.waiting, small.bytes_held) == (1, 60)
    ticket.leave()
    assert (small.waiting, small.bytes_held) == (0, 0)


def test_who_is_still_sending_takes_no_place():
    small = door(slices=1)
    with small.enter(sending=True) as slow, small.enter(sending=True) as quick:
        assert small.waiting == 0
        quick.arrive()
        assert small.waiting == 1
        with pytest.raises(OverloadError):
            slow.arrive()
        with pytest.raises(OverloadError), small.enter():
            pass
    assert small.waiting == 0
