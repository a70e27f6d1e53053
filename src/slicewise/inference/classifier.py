"""The kernel: slices to answers by one forward pass of a bundle in ONNX Runtime."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from slicewise.arrays import Array
from slicewise.errors import BundleError
from slicewise.imaging.preprocess import Placement, Preprocessed, preprocess, to_batch
from slicewise.imaging.slice import Series, Slice
from slicewise.inference.bundle import MODEL_NAME, Bundle, bundled_model, load_bundle
from slicewise.inference.decision import (
    Prediction,
    StudyPrediction,
    Threshold,
    conclude,
    probabilities_of,
    threshold_of,
)
from slicewise.inference.neighbours import load_neighbours
from slicewise.inference.ood import input_concerns, load_ood_detector, looks_of
from slicewise.inference.runtime import session_of
from slicewise.inference.study import study_prediction
from slicewise.inference.tta import other_views

OUTPUTS = ("logits", "cam", "embedding")


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """What the graph returns: logits (N, K), cam (N, K, h, w), embedding (N, D); float32."""

    logits: Array
    cam: Array
    embedding: Array


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """A prediction with its evidence.

    Args:
        prediction: What is said about the slice.
        logits: (K,) as the graph gave them, of the slice as it is.
        cam: (K, h, w) raw Grad-CAM of every class on the preprocessed square, at least 0.
        embedding: (D,) pooled features.
        placement: Where the preprocessed square lies on the slice.
        ood_score: Higher is further from the training slices; None where not fitted.
        class_distances: (K,) to the training slices of each class; None where the bundle has none.
    """

    prediction: Prediction
    logits: Array
    cam: Array
    embedding: Array
    placement: Placement
    ood_score: float | None = None
    class_distances: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Ready:
    """A slice made ready for a forward pass of one bundle.

    Args:
        slice_: The slice.
        prepared: What the graph reads of it.
        look: (F,) appearance numbers; None where the bundle has no use for them.
        took_ms: Time this took.
    """

    slice_: Slice
    prepared: Preprocessed
    look: NDArray[np.float64] | None
    took_ms: float


class Classifier:
    """A loaded bundle. One instance may be used by several threads at once."""

    def __init__(self, bundle: Bundle, threads: int = 1) -> None:
        """Start an ONNX Runtime session.

        Args:
            bundle: A verified bundle.
            threads: Threads within one forward pass; one is the steady choice on shared machines.
        """
        self.bundle = bundle
        self.threads = threads
        self._session = session_of(MODEL_NAME, bundle.files[MODEL_NAME], threads)
        self._check_graph()
        shapes = {output.name: output.shape for output in self._session.get_outputs()}
        self._outliers = load_ood_detector(bundle, shapes["embedding"][-1])
        self._neighbours = load_neighbours(bundle, shapes["embedding"][-1])

    @classmethod
    def load(cls, path: str | Path | None = None, threads: int = 1) -> Classifier:
        """Load a bundle folder or zip; the bundled model where no path is given.

        Raises:
            BundleError: It is missing, incomplete or changed.
        """
        return cls(load_bundle(bundled_model() if path is None else path), threads)

    def predict(
        self, slices: Sequence[Slice], *, threshold: float | None = None, tta: bool = False
    ) -> list[Prediction]:
        """Answers for slices, in their order.

        Args:
            slices: From `slicewise.imaging.read`.
            threshold: Tumor threshold to use instead of the one in the bundle.
            tta: Average the calibrated probabilities over a mirrored and slightly turned views.
        """
        return [answer.prediction for answer in self.answers(slices, threshold=threshold, tta=tta)]

    def answers(
        self, slices: Sequence[Slice], *, threshold: float | None = None, tta: bool = False
    ) -> list[Answer]:
        """Like `predict`, with heat maps and embeddings."""
        limit = self.threshold(threshold)
        ready = [self.prepare(slice_) for slice_ in slices]
        return self.answer_ready(ready, [limit] * len(ready), tta=tta)

    def prepare(self, slice_: Slice) -> Ready:
        """Everything about a slice that needs no forward pass; what `answer_ready` takes."""
        started = time.perf_counter()
        prepared = preprocess(slice_.pixels, self.bundle.info.preprocessing)
        look = None if self._outliers is None else looks_of([slice_])[0]
        return Ready(slice_, prepared, look, (time.perf_counter() - started) * 1000)

    def answer_ready(
        self, ready: Sequence[Ready], limits: Sequence[Threshold], *, tta: bool = False
    ) -> list[Answer]:
        """One forward pass for slices that may come from different requests.

        Args:
            ready: From `prepare` of this classifier.
            limits: One tumor threshold a slice.
            tta: As in `predict`, for all of them.
        """
        if not ready:
            return []
        started = time.perf_counter()
        outputs, probabilities = self._evidence([each.prepared for each in ready], tta=tta)
        scores = self._scores(ready, outputs)
        near = self._distances(outputs)
        each_ms = (time.perf_counter() - started) * 1000 / len(ready)
        return [
            Answer(
                self._prediction(one, probabilities[i], limits[i], scores[i], near[i], each_ms),
                outputs.logits[i],
                outputs.cam[i],
                outputs.embedding[i],
                one.prepared.placement,
                scores[i],
                near[i],
            )
            for i, one in enumerate(ready)
        ]

    def study(
        self, series: Series, predictions: Sequence[Prediction], *, threshold: float | None = None
    ) -> StudyPrediction:
        """One answer for a series from the answers for its slices."""
        return study_prediction(
            series.source,
            series.plane,
            predictions,
            self.bundle.negative_class,
            self.bundle.info.decision,
            self.threshold(threshold),
        )

    def forward(self, slices: Sequence[Slice]) -> Outputs:
        """Preprocess slices and run the graph once."""
        spec = self.bundle.info.preprocessing
        images = np.stack([preprocess(slice_.pixels, spec).image for slice_ in slices])
        return self.run(to_batch(images))

    def run(self, batch: Array) -> Outputs:
        """One forward pass.

        Args:
            batch: (N, 1, size, size) float32 in [0, 1].

        Raises:
            BundleError: The graph gives numbers that are none, which no limit would stop.
        """
        outputs = Outputs(*self._session.run(list(OUTPUTS), {"image": batch}))
        for name in OUTPUTS:
            if not np.isfinite(getattr(outputs, name)).all():
                raise BundleError(
                    f"{self.bundle.reference.name}: {name}: expected finite numbers from the "
                    "graph; got others"
                )
        return outputs

    def threshold(self, override: float | None = None) -> Threshold:
        """The tumor threshold in force."""
        return threshold_of(self.bundle.info.decision, self.bundle.negative_class, override)

    def _evidence(
        self, prepared: Sequence[Preprocessed], *, tta: bool
    ) -> tuple[Outputs, NDArray[np.float64]]:
        rule = self.bundle.info.decision
        images = np.stack([ready.image for ready in prepared])
        outputs = self.run(to_batch(images))
        bias = rule.bias_of(self.bundle.classes)
        probabilities = probabilities_of(outputs.logits, rule.temperature, bias)
        if not tta:
            return outputs, probabilities
        views = [
            probabilities_of(self.run(to_batch(view)).logits, rule.temperature, bias)
            for view in other_views(images)
        ]
        return outputs, np.mean([probabilities, *views], axis=0)

    def _scores(self, ready: Sequence[Ready], outputs: Outputs) -> list[float] | list[None]:
        """How unlike the slices of the model each slice is."""
        looks = [one.look for one in ready if one.look is not None]
        if self._outliers is None:
            return [None] * len(ready)
        scores = self._outliers.scores(outputs.embedding, np.stack(looks))
        return [float(score) for score in scores]

    def _distances(self, outputs: Outputs) -> NDArray[np.float64] | list[None]:
        """(N, K) how far the training slices of each class are."""
        if self._neighbours is None:
            return [None] * len(outputs.embedding)
        return self._neighbours.distances(outputs.embedding)

    def _prediction(
        self,
        ready: Ready,
        probabilities: NDArray[np.float64],
        limit: Threshold,
        score: float | None,
        class_distances: NDArray[np.float64] | None,
        each_ms: float,
    ) -> Prediction:
        bundle, rule = self.bundle, self.bundle.info.decision
        concerns = input_concerns(
            ready.slice_, rule.out_of_distribution, score, blank=ready.prepared.blank
        )
        found = conclude(
            probabilities,
            bundle.classes,
            bundle.negative_class,
            rule,
            limit,
            concerns,
            class_distances,
        )
        return Prediction(
            source=ready.slice_.source,
            label=found.label,
            probabilities=dict(zip(bundle.classes, map(float, probabilities), strict=True)),
            confidence=found.confidence,
            tumor_probability=found.tumor_probability,
            tumor_flag=found.tumor_flag,
            threshold=limit.value,
            prediction_set=found.prediction_set,
            decision=found.decision,
            reasons=found.reasons,
            bundle=bundle.reference,
            timing_ms=round(ready.took_ms + each_ms, 3),
        )

    def _check_graph(self) -> None:
        """Names and sizes, so that a graph of another task fails here and not in an answer."""
        shapes = {output.name: output.shape for output in self._session.get_outputs()}
        inputs = {entry.name: entry.shape for entry in self._session.get_inputs()}
        if set(inputs) != {"image"} or set(OUTPUTS) - set(shapes):
            raise BundleError(
                f"{MODEL_NAME}: expected input image and outputs {', '.join(OUTPUTS)}; "
                f"got {', '.join(inputs)} and {', '.join(shapes)}"
            )
        classes, size = len(self.bundle.classes), self.bundle.info.preprocessing.size
        for name, found, expected in (
            ("image", inputs["image"][1:], [1, size, size]),
            ("logits", shapes["logits"][1:], [classes]),
            ("cam", shapes["cam"][1:2], [classes]),
        ):
            known = [
                e if isinstance(f, str | None) else f for f, e in zip(found, expected, strict=False)
            ]
            if len(found) != len(expected) or known != expected:
                raise BundleError(
                    f"{MODEL_NAME}: {name}: expected (N, {', '.join(map(str, expected))}) "
                    f"by the description; got (N, {', '.join(map(str, found))})"
                )
