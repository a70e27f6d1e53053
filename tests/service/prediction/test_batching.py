"""Shared forward passes: sizes, patience, and that nobody gets the answer of another."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import numpy as np
import pytest

from builders import head_with_spot, make_slice, tiny_bundle
from slicewise.inference.classifier import Classifier
from slicewise.inference.decision import Threshold
from slicewise.service.monitoring.metrics import Metrics
from slicewise.service.prediction.batching import Batcher
from slicewise.service.settings import Settings

LIMIT = Threshold(0.4)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return Classifier(tiny_bundle(tmp_path_factory.mktemp("bundle")))


class Watched(Classifier):
    """Tells the sizes of its passes, and waits to be let through."""

    def __init__(self, bundle):
        super().__init__(bundle)
        self.sizes, self.gate = [], threading.Event()

    def answer_ready(self, ready, limits, *, tta=False):
        self.gate.wait(5)
        self.sizes.append((len(ready), tta))
        return super().answer_ready(ready, limits, tta=tta)


def batcher(classifier, *, size=4, patience_ms=1000.0, coming=1):
    settings = Settings(batch_size=size).model_copy(update={"batch_patience_ms": patience_ms})
    return Batcher(classifier, settings, Metrics(), lambda: coming, "main")


def slices(count):
    return [make_slice(head_with_spot(i % 4, seed=i), source=f"s{i}") for i in range(count)]


def test_answers_never_mix(classifier):
    mine = batcher(classifier, patience_ms=2)
    alone = classifier.answers(slices(48))
    found: dict[int, Future] = {}

    def ask(first):
        for i in range(first, 48, 8):
            ready = [classifier.prepare(slices(48)[i])]
            (found[i],) = mine.submit(ready, LIMIT, tta=False)

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, expected in enumerate(alone):
        got = found[i].result(10)
        assert got.prediction.source == f"s{i}"
        assert got.prediction.label == expected.prediction.label
        np.testing.assert_allclose(
            list(got.prediction.probabilities.values()),
            list(expected.prediction.probabilities.values()),
            atol=1e-5,
        )
        np.testing.assert_allclose(got.cam, expected.cam, atol=1e-4)
    mine.close()


def test_a_pass_holds_no_more_than_its_size_and_no_slice_is_lost(tmp_path):
    watched = Watched(tiny_bundle(tmp_path))
    mine = batcher(watched, size=4)
    ready = [watched.prepare(one) for one in slices(10)]
    waiting = mine.submit(ready, LIMIT, tta=False)
    watched.gate.set()
    assert [f.result(10).prediction.source for f in waiting] == [f"s{i}" for i in range(10)]
    assert [size for size, _ in watched.sizes] == [4, 4, 2]
    mine.close()


def test_it_does_not_wait_when_nobody_else_is_coming(tmp_path):
    watched = Watched(tiny_bundle(tmp_path))
    watched.gate.set()
    mine = batcher(watched, patience_ms=300_000, coming=0)
    (waiting,) = mine.submit([watched.prepare(slices(1)[0])], LIMIT, tta=False)
    assert waiting.result(60)
    mine.close()


def test_views_are_averaged_only_for_those_who_asked(tmp_path):
    watched = Watched(tiny_bundle(tmp_path))
    mine = batcher(watched, size=8, patience_ms=100)
    plain = mine.submit([watched.prepare(slices(1)[0])], LIMIT, tta=False)
    views = mine.submit([watched.prepare(slices(1)[0])], LIMIT, tta=True)
    watched.gate.set()
    got = [f.result(10).prediction.probabilities for f in (*plain, *views)]
    expected = [watched.predict(slices(1), tta=tta)[0].probabilities for tta in (False, True)]
    for one, other in zip(got, expected, strict=True):
        assert one == pytest.approx(other, abs=1e-5)
    mine.close()


def test_each_slice_has_its_own_threshold(classifier):
    mine = batcher(classifier)
    limits = [Threshold(0.1), Threshold(0.9)]
    waiting = [
        mine.submit([classifier.prepare(slices(1)[0])], limit, tta=False)[0] for limit in limits
    ]
    assert [f.result(10).prediction.threshold for f in waiting] == [0.1, 0.9]
    mine.close()


def test_a_failed_pass_is_told_to_its_slices_and_the_next_one_runs(classifier, tmp_path):
    class Fails(Watched):
        def answer_ready(self, ready, limits, *, tta=False):
            if ready[0].slice_.source == "s0":
                raise ValueError("broken")
            return super().answer_ready(ready, limits, tta=tta)

    failing = Fails(tiny_bundle(tmp_path))
    failing.gate.set()
    mine = batcher(failing, size=1)
    bad, good = mine.submit([failing.prepare(s) for s in slices(2)], LIMIT, tta=False)
    with pytest.raises(ValueError, match="broken"):
        bad.result(10)
    assert good.result(10).prediction.source == "s1"
    assert mine.alive
    mine.close()
    assert not mine.alive


def test_a_slice_that_breaks_a_pass_costs_the_others_of_the_pass_nothing(tmp_path):
    class Fails(Watched):
        def answer_ready(self, ready, limits, *, tta=False):
            found = super().answer_ready(ready, limits, tta=tta)
            if any(one.slice_.source == "s1" for one in ready):
                raise ValueError("broken")
            return found

    failing = Fails(tiny_bundle(tmp_path))
    mine = batcher(failing, size=3)
    waiting = mine.submit([failing.prepare(s) for s in slices(3)], LIMIT, tta=False)
    failing.gate.set()
    assert [waiting[i].result(10).prediction.source for i in (0, 2)] == ["s0", "s2"]
    with pytest.raises(ValueError, match="broken"):
        waiting[1].result(10)
    assert [size for size, _ in failing.sizes] == [3, 1, 1, 1]
    mine.close()


def test_cancelled_slices_are_not_run(tmp_path):
    watched = Watched(tiny_bundle(tmp_path))
    mine = batcher(watched, size=1)
    first, second, third = mine.submit([watched.prepare(s) for s in slices(3)], LIMIT, tta=False)
    second.cancel()
    watched.gate.set()
    assert first.result(10)
    assert third.result(10)
    assert len(watched.sizes) == 2
    mine.close()


def test_closing_answers_what_waits(tmp_path):
    watched = Watched(tiny_bundle(tmp_path))
    mine = batcher(watched, size=2)
    waiting = mine.submit([watched.prepare(s) for s in slices(5)], LIMIT, tta=False)
    watched.gate.set()
    mine.close()
    assert all(f.done() for f in waiting)
    with pytest.raises(RuntimeError):
        mine.submit([], LIMIT, tta=False)
