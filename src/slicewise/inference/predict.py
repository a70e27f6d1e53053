"""Inputs of any kind to answers: read, predict in small batches, one study answer a series."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain, groupby
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slicewise.errors import ConfigError, InputError
from slicewise.imaging.batches import batched
from slicewise.imaging.discovery import Skip, ignore_skip
from slicewise.imaging.entry import Entry, bytes_entry
from slicewise.imaging.limits import DEFAULT_LIMITS, Limits
from slicewise.imaging.read import read_inputs
from slicewise.imaging.slice import Failure, Series, Slice
from slicewise.inference.bundle import Bundle
from slicewise.inference.classifier import Answer, Classifier, require_switch
from slicewise.inference.results import Predictions, SeriesAnswers
from slicewise.inference.study import with_ends_marked

Input = str | os.PathLike[str] | bytes | bytearray | memoryview | NDArray[Any] | Slice
Model = str | os.PathLike[str] | Bundle | Classifier | None

BATCH = 8  # slices in one forward pass: enough for throughput, little memory
_EXPECTED = "expected a path, bytes, an array (H, W), a Slice, or a list of these"
_loading = Lock()


def predict(
    inputs: Input | Sequence[Input],
    *,
    bundle: Model = None,
    threshold: float | None = None,
    tta: bool = False,
    threads: int = 1,
) -> Predictions:
    """Answers for inputs of any kind; research use only.

    What cannot be read stands in `.errors` and never stops the others. DICOM files are grouped by
    series, and come after the pictures beside them; `.studies` has the answers for whole series.

    Args:
        inputs: One input or a list: a path (file, folder, zip), bytes of a file, an array (H, W) of
            real numbers of any range in which larger is brighter, or a `Slice`.
        bundle: Folder or zip of a model, a `Bundle`, or a `Classifier`, which is quickest for many
            calls; None for the model of the installation, which is loaded once.
        threshold: Tumor threshold, 0 to 1, to use instead of the one of the model.
        tta: Average over mirrored and slightly turned views; six times the work.
        threads: Of one forward pass; those of a `Classifier` stay.

    Raises:
        TypeError: An input is of another kind, or `bundle` is.
        BundleError: The model cannot be loaded.
        ConfigError: A path is empty, the model has no class without a tumor, or `threshold`,
            `tta` or `threads` is out of range.
    """
    items = _items_of(inputs)
    require_switch("tta", tta)
    classifier = _classifier(bundle, threads)
    classifier.threshold(threshold)
    found = Predictions()
    for item in _answered(items, classifier, threshold, tta):
        found.add(item)
    return found


def read_slices(inputs: Input | Sequence[Input]) -> list[Slice]:
    """The slices that `predict` answers for, in the order of its predictions.

    Raises:
        TypeError: An input is of another kind than `predict` takes.
        ConfigError: A path is empty.
        InputError: One cannot be read.
    """
    slices: list[Slice] = []
    for item in _items_of(inputs):
        if isinstance(item, Failure):
            raise InputError(f"{item.source}: {item.error}")
        slices += item.slices
    return slices


def answer_inputs(
    inputs: Iterable[str | Path | Entry],
    classifier: Classifier,
    *,
    threshold: float | None = None,
    tta: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    leave_out: Path | None = None,
    skip: Skip = ignore_skip,
) -> Iterator[SeriesAnswers | Failure]:
    """Answer for what `read_inputs` takes, series by series; a bad input is a `Failure` there."""
    return _answered(read_inputs(inputs, limits, leave_out, skip), classifier, threshold, tta)


def answer_series(
    series: Series, classifier: Classifier, *, threshold: float | None = None, tta: bool = False
) -> SeriesAnswers:
    """Answer for the slices of one series."""
    answers: list[Answer] = []
    for batch in batched(series.slices, BATCH):
        answers += classifier.answers(batch, threshold=threshold, tta=tta)
    return joined(series, answers, classifier, threshold=threshold)


def joined(
    series: Series,
    answers: list[Answer],
    classifier: Classifier,
    *,
    threshold: float | None = None,
) -> SeriesAnswers:
    """The answers for the slices of a series, with the study answer where it is a volume."""
    if not series.is_volume:
        return SeriesAnswers(series, answers, None)
    end_share = classifier.bundle.info.study.end_share
    predictions = with_ends_marked([answer.prediction for answer in answers], end_share)
    study = classifier.study(series, predictions, threshold=threshold)
    marked = [replace(a, prediction=p) for a, p in zip(answers, predictions, strict=True)]
    return SeriesAnswers(series, marked, study)


def _answered(
    items: Iterable[Series | Failure], classifier: Classifier, threshold: float | None, tta: bool
) -> Iterator[SeriesAnswers | Failure]:
    for item in items:
        if isinstance(item, Series):
            yield answer_series(item, classifier, threshold=threshold, tta=tta)
        else:
            yield item


def _classifier(bundle: Model, threads: int) -> Classifier:
    if isinstance(bundle, Classifier):
        return bundle
    if isinstance(bundle, Bundle):
        return Classifier(bundle, threads)
    if bundle is not None:
        return Classifier.load(bundle, threads)
    with _loading:
        return _bundled(threads) if type(threads) is int else Classifier.load(threads=threads)


@lru_cache(maxsize=1)
def _bundled(threads: int) -> Classifier:
    return Classifier.load(threads=threads)


def _items_of(inputs: Any) -> Iterator[Series | Failure]:
    """All inputs as series; one of another kind is an error before anything is read."""
    several = isinstance(inputs, list | tuple)
    places = [(one, f"[{i}]") for i, one in enumerate(inputs)] if several else [(inputs, "")]
    given: list[Any] = [_given(one, place) for one, place in places]
    runs = groupby(given, key=lambda one: isinstance(one, Slice))
    return chain.from_iterable((_checked if ready else read_inputs)(run) for ready, run in runs)


def _given(one: Any, place: str) -> Path | Entry | Slice:
    """What a reader takes of an input, named by its place in a list."""
    if isinstance(one, str | os.PathLike):
        if not os.fspath(one):
            told = "expected a path, got an empty one; . is the working directory"
            raise ConfigError(f"inputs{place}: {told}")
        return Path(one)
    if isinstance(one, bytes | bytearray | memoryview):
        return bytes_entry(bytes(one), f"bytes{place}")
    slice_ = one if isinstance(one, Slice) else Slice(one, f"array{place}")
    pixels: Any = slice_.pixels
    if not isinstance(pixels, np.ndarray):
        picture = ". Give its file, or np.asarray(image.convert('F'))"
        hint = picture if hasattr(pixels, "convert") else ""
        raise TypeError(f"{_EXPECTED}; got {type(pixels).__name__}{hint}")
    if pixels.ndim != 2:
        hint = "list(volume), of a colour picture one channel or its brightness"
        got = f"an array of shape {pixels.shape}. Of a volume (N, H, W) give {hint}"
        raise TypeError(f"{_EXPECTED}; got {got}")
    masked = isinstance(pixels, np.ma.MaskedArray)
    if pixels.dtype.kind not in "iuf" or masked:
        kind = "a masked array" if masked else pixels.dtype
        raise TypeError(f"{_EXPECTED}; an array holds real numbers, larger is brighter; got {kind}")
    return slice_


def _checked(slices: Iterable[Slice]) -> Iterator[Series | Failure]:
    """Each by itself, float32; a failure where it is out of the limits or not finite."""
    for slice_ in slices:
        try:
            DEFAULT_LIMITS.check_image(*slice_.shape)
            with np.errstate(over="ignore"):
                pixels = slice_.pixels.astype(np.float32)
            if bad := np.count_nonzero(~np.isfinite(pixels)):
                counts = f"{bad:,} of {pixels.size:,}"
                raise InputError(f"expected finite pixels; got {counts} NaN or infinite")
            yield Series([replace(slice_, pixels=pixels)], slice_.source)
        except InputError as error:
            yield Failure(slice_.source, str(error))
