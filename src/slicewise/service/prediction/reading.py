"""Uploads to slices that are ready for a forward pass; runs in a thread, off the event loop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event

import numpy as np

from slicewise.audit_log.records import Arm
from slicewise.errors import LimitError, OverloadError
from slicewise.imaging.limits import Limits
from slicewise.imaging.read import read_inputs
from slicewise.imaging.slice import Failure, Series
from slicewise.inference.classifier import Classifier, Ready
from slicewise.service.http.uploads import Upload, upload_name_of
from slicewise.service.prediction.admission import Ticket

MOST_SLICES = 4096
"""Slices in one request, over all its files."""


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where a slice lies in what was sent.

    Args:
        sha256: Of the uploaded file.
        index: Which slice of that file, from zero; None where it holds one.
    """

    sha256: str
    index: int | None


@dataclass(frozen=True, slots=True, eq=False)
class ReadSeries:
    """A series and what an arm needs to answer it.

    Args:
        series: Its slices in order.
        ready: For `answer_ready` of the classifier of the arm.
        places: Of its slices.
        summaries: Statistics of its slices, for the audit database.
        arm: Who answers.
    """

    series: Series
    ready: list[Ready]
    places: list[Place]
    summaries: list[dict[str, float]]
    arm: Arm


@dataclass(slots=True)
class Reading:
    """What a request holds, in the order in which it was read."""

    series: list[ReadSeries] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


def read_uploads(
    uploads: Sequence[Upload],
    limits: Limits,
    arm_of: Callable[[str], Arm],
    classifier_of: Callable[[Arm], Classifier],
    ticket: Ticket,
    stop: Event,
) -> Reading:
    """Decode and prepare all slices of a request.

    Args:
        uploads: Its files.
        limits: What is refused before decoding.
        arm_of: Who answers an input, by its hash. A series made of several files goes where its
            first slice goes.
        classifier_of: Who that is.
        ticket: Counts the pixels.
        stop: Set where nobody waits for it any more; then it ends with the next input.

    Raises:
        LimitError: There are more than `MOST_SLICES` slices in it, or more pixels than one series
            may have.
        OverloadError: There is no room for it now, or it was stopped.
    """
    reading = Reading()
    found = _decoded(uploads, limits, reading.failures, ticket, stop)
    places = _places(uploads, found)
    for series, its_places in zip(found, places, strict=True):
        arm = arm_of(its_places[0].sha256)
        classifier = classifier_of(arm)
        ready = []
        for slice_ in series.slices:
            _require_wanted(stop)
            ready.append(classifier.prepare(slice_))
        summaries = [summary_of(one) for one in ready]
        reading.series.append(ReadSeries(series, ready, its_places, summaries, arm))
    return reading


def _decoded(
    uploads: Sequence[Upload], limits: Limits, failures: list[Failure], ticket: Ticket, stop: Event
) -> list[Series]:
    """All series of a request; what is none goes to the failures."""
    found: list[Series] = []
    slices = pixels = 0
    for item in read_inputs([upload.entry() for upload in uploads], limits):
        _require_wanted(stop)
        if isinstance(item, Failure):
            failures.append(item)
            continue
        found.append(item)
        size = sum(slice_.pixels.size for slice_ in item.slices)
        slices, pixels = slices + len(item.slices), pixels + size
        _require_at_most(slices, MOST_SLICES, "slices")
        _require_at_most(pixels, limits.max_volume_pixels, "pixels")
        ticket.hold_pixels(size)
    return found


def _require_at_most(got: int, most: int, what: str) -> None:
    if got > most:
        raise LimitError(f"expected at most {most:,} {what} in one request, got more")


def _require_wanted(stop: Event) -> None:
    if stop.is_set():
        raise OverloadError("stopped, because nobody waits for it", 1)


def summary_of(ready: Ready) -> dict[str, float]:
    """Statistics of an input: its size, and what the model reads of it, scaled to [0, 1]."""
    rows, columns = ready.slice_.shape
    levels = ready.prepared.image / np.float32(255)
    low, middle, high = np.percentile(levels, (1, 50, 99))
    return {
        "rows": float(rows),
        "columns": float(columns),
        "mean": float(levels.mean()),
        "std": float(levels.std()),
        "p1": float(low),
        "p50": float(middle),
        "p99": float(high),
    }


def _places(uploads: Sequence[Upload], found: Sequence[Series]) -> list[list[Place]]:
    """Upload and index of every slice, series by series."""
    hashes = {upload.name: upload.sha256 for upload in uploads}
    names = [[upload_name_of(slice_.source) for slice_ in series.slices] for series in found]
    held = Counter(name for each in names for name in each)
    met: Counter[str] = Counter()
    places: list[list[Place]] = []
    for each in names:
        places.append([])
        for name in each:
            places[-1].append(Place(hashes[name], met[name] if held[name] > 1 else None))
            met[name] += 1
    return places
