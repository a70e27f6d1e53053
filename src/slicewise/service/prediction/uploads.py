"""Uploads to slices that are ready for a forward pass; runs in a thread, off the event loop."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from threading import Event

import numpy as np
import structlog

from slicewise.audit_log.records import Arm
from slicewise.errors import BundleError, InternalError, LimitError, OverloadError
from slicewise.imaging.entry import bytes_entry
from slicewise.imaging.formats.decoding import naming
from slicewise.imaging.limits import Limits
from slicewise.imaging.read import read_inputs
from slicewise.imaging.slice import Failure, InternalFailure, Series
from slicewise.inference.classifier import Classifier, Ready
from slicewise.service.prediction.admission import Admission
from slicewise.service.settings import Settings

MOST_SLICES = 4096  # slices in one request, over all its files
FAULT = "SliceWise failed ({}); this is a fault of SliceWise, not of the file: please report it"
BUNDLE_FAULT = "{}; this is a fault of the bundle, not of the file: tell whoever runs the service"
_STATISTICS = ("rows", "columns", "mean", "std", "p1", "p50", "p99")

log = structlog.stdlib.get_logger("slicewise.service")


@dataclass(frozen=True, slots=True, eq=False)
class Upload:
    """One file of a request.

    Its name is another than any other file of the request has, without folders, control characters
    and the marks `!` and `#` that sources are made with.
    """

    name: str
    content: bytes
    sha256: str

    @classmethod
    def of(cls, name: str, content: bytes) -> Upload:
        return cls(name, content, hashlib.sha256(content).hexdigest())


@dataclass(frozen=True, slots=True, eq=False)
class PreparedSlice:
    """A slice, ready for the classifier of its arm, and where it lies in what was sent.

    The index in the upload is None where that holds one slice.
    """

    ready: Ready
    sha256: str
    index: int | None
    summary: dict[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class PreparedSeries:
    """A series and its slices in order, prepared for the bundle of an arm."""

    series: Series
    slices: list[PreparedSlice]
    arm: Arm

    def only(self, slices: list[PreparedSlice]) -> PreparedSeries:
        """The same with those slices that could be answered."""
        series = replace(self.series, slices=[one.ready.slice_ for one in slices])
        return PreparedSeries(series, slices, self.arm)


@dataclass(frozen=True, slots=True)
class PreparedUploads:
    """What the files of a request hold, in the order in which it was read."""

    series: list[PreparedSeries] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


def limits_of(settings: Settings) -> Limits:
    """What is refused before decoding: less than on the command line, for memory is shared."""
    return Limits(
        max_bytes=settings.max_upload_bytes,
        max_pixels=25_000_000,
        max_frames=1024,
        max_volume_pixels=64_000_000,
        max_zip_entries=2048,
        max_zip_bytes=8 * settings.max_upload_bytes,
    )


def read_uploads(
    uploads: Sequence[Upload],
    limits: Limits,
    arm_of: Callable[[str], Arm],
    classifiers: Mapping[Arm, Classifier],
    admission: Admission,
    stop: Event,
) -> PreparedUploads:
    """Decode and prepare all slices of a request.

    Args:
        arm_of: Who answers an input, by its hash. A series made of several files goes where its
            first slice goes.
        stop: Set where nobody waits for it any more; then it ends with the next input.

    Raises:
        LimitError: There are more than `MOST_SLICES` slices in it, or more pixels than one series
            may have.
        OverloadError: There is no room for it now, or it was stopped.
    """
    prepared = PreparedUploads()
    found = _decoded(uploads, limits, prepared.failures, admission, stop)
    for series, places in zip(found, _places(uploads, found), strict=True):
        arm = arm_of(places[0][0])
        classifier = classifiers[arm]
        slices: list[PreparedSlice] = []
        for slice_, place in zip(series.slices, places, strict=True):
            _require_wanted(stop)
            try:
                ready = classifier.prepare(slice_)
                slices.append(PreparedSlice(ready, *place, summary_of(ready)))
            except Exception as error:  # whatever it is, the other slices are answered
                prepared.failures.append(failure_on(slice_.source, error))
        if slices:
            prepared.series.append(PreparedSeries(series, [], arm).only(slices))
    return prepared


def failure_on(source: str, error: BaseException) -> Failure:
    """The entry for an input that was read and not answered; a fault not of the file is logged."""
    try:
        with naming(source):
            raise error
    except LimitError as told:
        return Failure(source, str(told).removeprefix(f"{source}: "))
    except Exception as told:
        fault = error.__cause__ if isinstance(error, InternalError) else None
        log.error("failure on an input", exc_info=fault or error)
        text = str(told) if isinstance(told, InternalError) else FAULT.format(type(told).__name__)
        if isinstance(told, BundleError):
            text = BUNDLE_FAULT.format(told)
        return InternalFailure(source, text.removeprefix(f"{source}: "))


def _decoded(
    uploads: Sequence[Upload],
    limits: Limits,
    failures: list[Failure],
    admission: Admission,
    stop: Event,
) -> list[Series]:
    """All series of a request; what is none goes to the failures."""
    found: list[Series] = []
    slices = pixels = 0
    skipped: list[str] = []
    entries = [bytes_entry(upload.content, upload.name) for upload in uploads]
    for item in read_inputs(entries, limits, skip=skipped.append):
        _require_wanted(stop)
        if isinstance(item, Failure):
            failures.append(item)
            if isinstance(item, InternalFailure):  # it says where in the code, and names no file
                log.error("failure on an input", fault=item.error)
            continue
        found.append(item)
        size = sum(slice_.pixels.size for slice_ in item.slices)
        slices, pixels = slices + len(item.slices), pixels + size
        most_pixels = limits.max_volume_pixels
        for got, most, what in ((slices, MOST_SLICES, "slices"), (pixels, most_pixels, "pixels")):
            if got > most:
                raise LimitError(f"expected at most {most:,} {what} in one request, got more")
        admission.hold_pixels(size)
    if skipped:
        log.info("skipped members of zips that are not meant as images", members=len(skipped))
    return found


def _require_wanted(stop: Event) -> None:
    if stop.is_set():
        raise OverloadError("stopped, because nobody waits for it", 1)


def summary_of(ready: Ready) -> dict[str, float]:
    """Statistics of an input: its size, and what the model reads of it, scaled to [0, 1]."""
    rows, columns = ready.slice_.shape
    levels = ready.prepared.image / np.float32(255)
    values = (rows, columns, levels.mean(), levels.std(), *np.percentile(levels, (1, 50, 99)))
    return dict(zip(_STATISTICS, map(float, values), strict=True))


def upload_name_of(source: str) -> str:
    """The name of the upload that a slice came in, from the source of the slice."""
    return re.split(r"[!#]", source, maxsplit=1)[0]


def _places(
    uploads: Sequence[Upload], found: Sequence[Series]
) -> list[list[tuple[str, int | None]]]:
    """SHA-256 of the upload, and index there, of every slice, series by series."""
    hashes = {upload.name: upload.sha256 for upload in uploads}
    names = [[upload_name_of(slice_.source) for slice_ in series.slices] for series in found]
    held = Counter(name for each in names for name in each)
    counts = {name: count() for name in held}
    return [
        [(hashes[name], next(counts[name]) if held[name] > 1 else None) for name in each]
        for each in names
    ]
