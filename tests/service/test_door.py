from __future__ import annotations

import pytest

from slicewise.errors import OverloadError
from slicewise.service.door import Door


def door(slices=2, size=100):
    return Door(slices, size, lambda: 1.5)


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
