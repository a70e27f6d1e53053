"""What is done is added up and told."""

from __future__ import annotations

from slicewise.progress import ProgressCount, steps, track


def test_a_tally_tells_the_sum_each_time() -> None:
    told: list[tuple[str, int, int]] = []
    tally = ProgressCount(lambda *step: told.append(step), "reading", 5)
    tally()
    tally(3)
    tally()
    assert told == [("reading", 1, 5), ("reading", 4, 5), ("reading", 5, 5)]


def test_a_tally_without_listener_is_silent() -> None:
    ProgressCount(None, "reading", 1)()


def test_work_is_told_in_a_log_after_half_a_minute(monkeypatch, capsys) -> None:
    now = 0.0
    monkeypatch.setattr("slicewise.progress.time.monotonic", lambda: now)
    with steps() as progress:
        for done in range(101):
            progress("reading", done, 200)
            now += 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "reading: 30 of 200, about 170 s left, 1.0/s",
        "reading: 60 of 200, about 140 s left, 1.0/s",
        "reading: 90 of 200, about 110 s left, 1.0/s",
    ]


def test_what_has_no_total_is_told_without_one(monkeypatch, capsys) -> None:
    now = 0.0
    monkeypatch.setattr("slicewise.progress.time.monotonic", lambda: now)
    with steps() as progress:
        progress("reading", 1, 0)
        now += 31
        progress("reading", 62, 0)
    assert capsys.readouterr().err == "reading: 62, 2.0/s\n"


def test_tracked_items_come_in_order(capsys) -> None:
    assert list(track("abc", "reading")) == ["a", "b", "c"]
    assert capsys.readouterr() == ("", "")
