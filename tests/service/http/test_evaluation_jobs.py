"""Long work ends: at its time, and where nobody waits for it any more."""

from __future__ import annotations

import asyncio
import os
import threading
import time

import pytest

from slicewise.errors import AccessError, InputError, LimitError
from slicewise.service.http.evaluation_jobs import DataRoots, Deadline, EvaluationJobs


def test_cancelled_work_ends_the_next_time_it_tells_how_far_it_is() -> None:
    ended, began = threading.Event(), threading.Event()

    def job(_roots: DataRoots, deadline: Deadline) -> None:
        try:
            for done in range(1000):
                began.set()
                time.sleep(0.01)
                deadline("measuring", done, 1000)
        except LimitError:
            ended.set()
            raise

    async def cancelled() -> None:
        task = asyncio.create_task(EvaluationJobs(DataRoots(()), 60).run(job))
        await asyncio.to_thread(began.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert ended.wait(2)


def test_a_deadline_says_how_far_the_work_was() -> None:
    with pytest.raises(LimitError, match="got 3 of 8"):
        Deadline(-1)("measuring", 3, 8)
    Deadline(60)("measuring", 3, 8)


@pytest.fixture
def roots(tmp_path):
    for name in ("one", "two", "secret"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.csv").write_text("x")
    return DataRoots([tmp_path / "one", tmp_path / "two"])


def test_a_path_is_found_below_any_root(roots, tmp_path):
    assert roots.find("two.csv") == tmp_path / "two" / "two.csv"
    assert roots.find(str(tmp_path / "one" / "one.csv")) == tmp_path / "one" / "one.csv"
    assert roots.find(".") == tmp_path / "one"


@pytest.mark.parametrize("given", ["../secret/secret.csv", "/", "../onemore", "link/secret.csv"])
def test_nothing_else_is(roots, tmp_path, given):
    (tmp_path / "onemore").mkdir()
    for name in ("one", "two"):
        (tmp_path / name / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(AccessError):
        roots.find(given)


def test_what_is_missing_or_no_path_is_an_input_error(roots):
    for given in ("missing.csv", "a\0b", "x" * 5000):
        with pytest.raises((InputError, AccessError)):
            roots.find(given)


def test_a_loop_of_links_is_no_path(roots, tmp_path):
    (tmp_path / "one" / "loop").symlink_to(tmp_path / "one" / "loop")
    with pytest.raises((InputError, AccessError)):
        roots.find("loop")


def test_places_are_taken_out_of_texts(roots, tmp_path):
    text = f"{tmp_path}/one/a.png: broken; {tmp_path}/two"
    assert roots.hidden(text) == "a.png: broken; ."


def test_a_reference_is_checked_as_it_is_opened(roots, tmp_path):
    inside, link = tmp_path / "one" / "one.csv", tmp_path / "one" / "l.png"
    link.symlink_to(tmp_path / "secret" / "secret.csv")
    roots.require_all([inside, f"{inside}#0"])
    for sly in (link, f"{link}#0", f"{link}#12"):
        with pytest.raises(AccessError):
            roots.require_all([sly])


def test_places_are_taken_out_of_every_text_of_a_report(tmp_path):
    place = tmp_path / "Größe"
    said = DataRoots([place]).hidden_in({f"{place}/a": [1, f"{place}/b", None, {"x": str(place)}]})
    assert said == {"a": [1, "b", None, {"x": "."}]}


def test_a_root_by_a_link_is_taken_out_of_texts_by_both_names(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    roots = DataRoots([tmp_path / "link"])
    said = f"{tmp_path / 'link'}/a.png and {tmp_path / 'data'}/b.png in {tmp_path / 'link'}"
    assert roots.hidden(said) == "a.png and b.png in ."


def test_a_pipe_is_no_file(roots, tmp_path):
    os.mkfifo(tmp_path / "one" / "pipe.csv")
    with pytest.raises(InputError, match="got neither"):
        roots.find("pipe.csv")
    with pytest.raises(InputError, match="expected files"):
        roots.require_all([tmp_path / "one" / "pipe.csv"])
