"""What is done is added up and told."""

from __future__ import annotations

from slicewise.progress import Tally


def test_a_tally_tells_the_sum_each_time() -> None:
    told: list[tuple[str, int, int]] = []
    tally = Tally(lambda *step: told.append(step), "reading", 5)
    tally()
    tally(3)
    tally()
    assert told == [("reading", 1, 5), ("reading", 4, 5), ("reading", 5, 5)]


def test_a_tally_without_listener_is_silent() -> None:
    Tally(None, "reading", 1)()
