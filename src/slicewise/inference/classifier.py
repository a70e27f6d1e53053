"""The kernel: slices to answers by one forward pass of a bundle in ONNX Runtime."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar, cast

import numpy as np
from PIL import Image

from slicewise.arrays import Array, Bytes, Floats
from slicewise.errors import BundleError, ConfigError
from slicewise.imaging.preprocess import Placement, Preprocessed, preprocess, to_batch
from slicewise.imaging.slice import Series, Slice
from slicewise.inference.bundle import (
    MODEL_NAME,
    OOD_NAME,
    TRUST_NAME,
    Bundle,
    bundled_model,
    load_bundle,
)
from slicewise.inference.decision import (
    Prediction,
    StudyPrediction,
    Threshold,
    conclude,
    probabilities_of,
    threshold_of,
)
from slicewise.inference.ood import OodDetector, appearances_of, input_concerns
from slicewise.inference.runtime import session_of
from slicewise.inference.study import study_prediction
from slicewise.inference.trust import TrustReference

OUTPUTS = ("logits", "cam", "embedding")
MOST_THREADS = 256
_ANGLES = (-7.5, 7.5)  # degrees; half of the largest turn of the standard training augmentation
Part = TypeVar("Part", OodDetector, TrustReference)


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """What the graph returns, float32."""

    logits: Array  # (N, K)
    cam: Array  # (N, K, h, w)
    embedding: Array  # (N, D)


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """A prediction with its evidence; None where the bundle has nothing to measure it by."""

    prediction: Prediction
    logits: Array  # (K,) as the graph gave them, of the slice as it is
    cam: Array  # (K, h, w) raw Grad-CAM of every class on the preprocessed square, at least 0
    embedding: Array  # (D,) pooled features
    placement: Placement  # where the preprocessed square lies on the slice
    ood_score: float | None = None  # higher is less like a training slice
    class_distances: Floats | None = None  # (K,) to the training slices of each class


@dataclass(frozen=True, slots=True, eq=False)
class Ready:
    """A slice made ready, in so many ms; appearance (F,) is None where the bundle needs none."""

    slice_: Slice
    prepared: Preprocessed
    appearance: Floats | None
    took_ms: float


class Classifier:
    """A loaded bundle. One instance may be used by several threads at once."""

    def __init__(self, bundle: Bundle, threads: int = 1) -> None:
        """Start an ONNX Runtime session, with so many threads within one forward pass.

        Raises:
            ConfigError: `threads` is no whole number from 1 to 256.
            BundleError: Its files do not fit each other or its description.
        """
        if type(threads) is not int or not 1 <= threads <= MOST_THREADS:
            expected = f"a whole number from 1 to {MOST_THREADS}"
            raise ConfigError(f"threads: expected {expected}; got {threads!r}")
        if not isinstance(bundle, Bundle):
            got = type(bundle).__name__
            raise TypeError(f"bundle: expected a Bundle, as load_bundle gives; got {got}")
        self.bundle, self.threads = bundle, threads
        self._session = session_of(MODEL_NAME, bundle.files[MODEL_NAME], threads)
        self._width = self._check_graph()
        rule, classes = bundle.info.decision, len(bundle.classes)
        self._ood = self._trust = None
        if rule.out_of_distribution is not None:
            self._ood = self._part(OOD_NAME, OodDetector.from_bytes)
        if rule.goes_by_trust or TRUST_NAME in bundle.files:
            self._trust = self._part(TRUST_NAME, lambda c: TrustReference.from_bytes(c, classes))

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None, threads: int = 1) -> Classifier:
        """Load a bundle folder or zip; the bundled model where no path is given.

        Raises:
            BundleError: It is missing, incomplete or changed.
        """
        return cls(load_bundle(bundled_model() if path is None else path), threads)

    def predict(
        self, slices: Sequence[Slice], *, threshold: float | None = None, tta: bool = False
    ) -> list[Prediction]:
        """Answers for slices, in their order; `tta` averages over mirrored and turned views."""
        return [answer.prediction for answer in self.answers(slices, threshold=threshold, tta=tta)]

    def answers(
        self, slices: Sequence[Slice], *, threshold: float | None = None, tta: bool = False
    ) -> list[Answer]:
        """Like `predict`, with heat maps and embeddings."""
        _require_slices(slices)
        require_switch("tta", tta)
        limits = [self.threshold(threshold)] * len(slices)
        return self.answer_ready([self.prepare(slice_) for slice_ in slices], limits, tta=tta)

    def prepare(self, slice_: Slice) -> Ready:
        """Everything about a slice that needs no forward pass; what `answer_ready` takes."""
        started = time.perf_counter()
        prepared = preprocess(slice_.pixels, self.bundle.info.preprocessing)
        appearance = None if self._ood is None else appearances_of([slice_])[0]
        return Ready(slice_, prepared, appearance, (time.perf_counter() - started) * 1000)

    def answer_ready(
        self, ready: Sequence[Ready], limits: Sequence[Threshold], *, tta: bool = False
    ) -> list[Answer]:
        """One forward pass for slices that may come from different requests, one threshold each."""
        if not ready:
            return []
        started, rule = time.perf_counter(), self.bundle.info.decision
        images = np.stack([one.prepared.image for one in ready])
        bias = rule.bias_of(self.bundle.classes)
        views = (images, *other_views(images)) if tta else (images,)
        of_views = [self.run(to_batch(view)) for view in views]
        found = [probabilities_of(one.logits, rule.temperature, bias) for one in of_views]
        outputs, probabilities = of_views[0], np.mean(found, axis=0) if tta else found[0]
        scores: Sequence[float | None] = [None] * len(ready)
        if self._ood is not None:
            appearances = np.stack([a for one in ready if (a := one.appearance) is not None])
            scores = self._ood.scores(outputs.embedding, appearances).tolist()
        distances: Floats | list[None] = [None] * len(ready)
        if self._trust is not None:
            distances = self._trust.class_distances(outputs.embedding)
        each_ms = (time.perf_counter() - started) * 1000 / len(ready)
        rows = zip(ready, probabilities, limits, scores, distances, strict=True)
        return [
            Answer(
                self._prediction(*row, each_ms),
                outputs.logits[i],
                outputs.cam[i],
                outputs.embedding[i],
                row[0].prepared.placement,
                *row[3:],
            )
            for i, row in enumerate(rows)
        ]

    def study(
        self, series: Series, predictions: Sequence[Prediction], *, threshold: float | None = None
    ) -> StudyPrediction:
        """One answer for a series from the answers for its slices."""
        return study_prediction(series, predictions, self.bundle.info, self.threshold(threshold))

    def forward(self, slices: Sequence[Slice]) -> Outputs:
        """Preprocess slices and run the graph once."""
        _require_slices(slices)
        spec = self.bundle.info.preprocessing
        images = np.stack([preprocess(slice_.pixels, spec).image for slice_ in slices])
        return self.run(to_batch(images))

    def run(self, batch: Array) -> Outputs:
        """One forward pass over a batch (N, C, size, size), float32 in [0, 1].

        Raises:
            BundleError: The graph gives numbers that are not finite, which no limit would stop.
        """
        found = self._session.run(list(OUTPUTS), {"image": batch})
        for name, numbers in zip(OUTPUTS, found, strict=True):
            if not np.isfinite(numbers).all():
                where = f"{self.bundle.info.name}: {name}"
                raise BundleError(f"{where}: expected finite numbers from the graph; got others")
        return Outputs(*found)

    def threshold(self, override: float | None = None) -> Threshold:
        """The tumor threshold in force."""
        return threshold_of(self.bundle.info.decision, self.bundle.negative_class, override)

    def _prediction(
        self,
        ready: Ready,
        probabilities: Floats,
        limit: Threshold,
        score: float | None,
        class_distances: Floats | None,
        each_ms: float,
    ) -> Prediction:
        info, classes, negative = self.bundle.info, self.bundle.classes, self.bundle.negative_class
        rule, blank, colour_limit = info.decision, ready.prepared.blank, info.study.colour_limit
        fitted = rule.out_of_distribution
        concerns = input_concerns(ready.slice_, fitted, score, blank, colour_limit)
        found = conclude(probabilities, classes, negative, rule, limit, concerns, class_distances)
        return Prediction(
            source=ready.slice_.source,
            probabilities=dict(zip(classes, map(float, probabilities), strict=True)),
            threshold=limit.value,
            bundle=self.bundle.reference,
            timing_ms=round(ready.took_ms + each_ms, 3),
            **asdict(found),
        )

    def _part(self, name: str, parse: Callable[[bytes], Part]) -> Part:
        """What a file of the bundle holds, if it belongs to the graph."""
        where = f"bundle {self.bundle.info.name} {self.bundle.info.version}, {name}"
        if name not in self.bundle.files:
            raise BundleError(f"{where}: expected the file, which its rule needs; got none")
        try:
            part = parse(self.bundle.files[name])
        except BundleError as error:
            raise BundleError(f"{where}: {error}") from error
        if isinstance(self._width, int) and part.width != self._width:
            expected = f"embeddings of {self._width} numbers, as the graph gives"
            raise BundleError(f"{where}: expected {expected}; got {part.width}")
        return part

    def _check_graph(self) -> int | str | None:
        """Refuse a graph of another task here and not in an answer; returns the embedding's D."""
        inputs = {one.name: one.shape for one in self._session.get_inputs()}
        outputs = {one.name: one.shape for one in self._session.get_outputs()}
        if set(inputs) != {"image"} or set(OUTPUTS) - set(outputs):
            got = f"{', '.join(inputs)} and {', '.join(outputs)}"
            expected = f"input image and outputs {', '.join(OUTPUTS)}"
            raise BundleError(f"{MODEL_NAME}: expected {expected}; got {got}")
        classes, spec = len(self.bundle.classes), self.bundle.info.preprocessing
        sizes = (len(spec.channels), spec.size, spec.size)
        shapes = {"image": sizes, "logits": (classes,), "cam": (classes, "h", "w")}
        for name, wanted in shapes.items():
            found = (inputs | outputs)[name][1:]
            pairs = [(w, f) for w, f in zip(wanted, found, strict=False) if w != f]
            known = any(isinstance(w, int) and isinstance(f, int) for w, f in pairs)
            if known or len(found) != len(wanted):
                said, got = (", ".join(map(str, shape)) for shape in (wanted, found))
                where = f"{MODEL_NAME}: {name}"
                raise BundleError(
                    f"{where}: expected (N, {said}) by the description; got (N, {got})"
                )
        return cast(int | str | None, outputs["embedding"][-1])


def require_switch(name: str, value: object) -> None:
    """Raise a ConfigError unless an argument is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise ConfigError(f"{name}: expected True or False; got {value!r}")


def _require_slices(slices: Any) -> None:
    """Raise a TypeError unless it is a list of slices."""
    several = isinstance(slices, Sequence) and not isinstance(slices, str | bytes)
    others = (one for one in slices if not isinstance(one, Slice)) if several else iter((slices,))
    for other in others:
        got = f"{type(other).__name__}{' in it' if several else ''}"
        raise TypeError(f"slices: expected a list of Slice, as read_slices gives; got {got}")


def other_views(images: Bytes) -> Iterator[Bytes]:
    """Yield mirrored, turned, and mirrored and turned copies of (N, size, size) images."""
    mirrored = images[:, :, ::-1]
    yield mirrored
    for angle in _ANGLES:
        for view in (images, mirrored):
            pictures = (Image.fromarray(np.ascontiguousarray(image)) for image in view)
            turned = [picture.rotate(angle, Image.Resampling.BILINEAR) for picture in pictures]
            yield np.stack([np.asarray(picture, dtype=np.uint8) for picture in turned])
