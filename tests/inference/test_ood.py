from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest

from builders import fitted_rule
from slicewise.errors import BundleError
from slicewise.imaging.appearance import APPEARANCE_NAMES
from slicewise.imaging.slice import Slice
from slicewise.inference.decision import Reason
from slicewise.inference.ood import OodDetector, Whitening, input_concerns
from slicewise.inference.rule import STUDY_RULES, OutOfDistribution

NUMBERS = len(APPEARANCE_NAMES)


def whitening(centre: list[float], spread: list[float]) -> Whitening:
    """Along the first axes of its space, one for each spread."""
    axes = np.eye(len(centre), dtype=np.float32)[: len(spread)] / np.array(spread)[:, None]
    rest = np.array([0.0, 1.0], np.float32)
    return Whitening(np.array(centre, np.float32), axes.astype(np.float32), rest)


def detector(weights: np.ndarray | None = None) -> OodDetector:
    """Two of three embedding directions and one of the appearance numbers."""
    appearance = whitening([0.0] * NUMBERS, [1.0])
    count = 2 * (2 + 1 + 1 + 1)
    chosen = np.zeros(count, np.float32) if weights is None else weights
    embedding = whitening([1.0, 0.0, 0.0], [2.0, 0.5])
    return OodDetector(
        embedding, appearance, np.ones(NUMBERS, np.float32), chosen, np.array([-1.0], "f4")
    )


def limits() -> OutOfDistribution:
    found = fitted_rule(review_above=0.0, reject_above=2.0).out_of_distribution
    assert found is not None
    return found


def concerns_of(slice_: Slice, score: float | None, *, blank: bool = False) -> list[Reason]:
    limit = STUDY_RULES.colour_limit
    return input_concerns(slice_, limits(), score, blank, limit)


def test_whitened_numbers_by_hand() -> None:
    found = whitening([1.0, 0.0, 0.0], [2.0, 0.5]).apply(np.array([[3.0, 1.0, np.e]]))
    np.testing.assert_allclose(found, [[1.0, 2.0, 2.0]], rtol=1e-6)


def test_score_weighs_numbers_and_their_squares() -> None:
    weights = np.zeros(10, np.float32)
    weights[1], weights[5 + 1] = 0.5, 0.25  # the second direction and its square
    scores = detector(weights).scores(np.array([[1.0, 1.0, 0.0]], "f4"), np.zeros((1, NUMBERS)))
    assert scores == pytest.approx([0.5 * 2 + 0.25 * 4 - 1])


def test_numbers_beyond_six_are_clipped() -> None:
    extreme = detector().whitened(np.array([[1e9, 0, 0]], "f4"), np.full((1, NUMBERS), -1e9))
    assert (extreme.min(), extreme.max()) == (-6, 6)


def test_bytes_and_back() -> None:
    before = detector(np.arange(10, dtype=np.float32))
    after = OodDetector.from_bytes(before.to_bytes())
    embeddings, others = np.ones((3, 3), np.float32), np.ones((3, NUMBERS))
    np.testing.assert_array_equal(
        before.scores(embeddings, others), after.scores(embeddings, others)
    )


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut off"])
def test_other_content_is_refused(content: bytes) -> None:
    with pytest.raises(BundleError, match="expected arrays"):
        OodDetector.from_bytes(content)


def test_objects_are_never_unpickled() -> None:
    stream = io.BytesIO()
    np.savez(stream, embedding_centre=np.array([{"a": 1}], dtype=object))
    with pytest.raises(BundleError, match="expected arrays"):
        OodDetector.from_bytes(stream.getvalue())


def test_one_array_alone_and_numbers_that_are_none_are_refused() -> None:
    stream = io.BytesIO()
    np.save(stream, np.zeros(3))
    with pytest.raises(BundleError, match="expected arrays"):
        OodDetector.from_bytes(stream.getvalue())
    broken = detector(np.full(10, np.nan, np.float32))
    with pytest.raises(BundleError, match="expected finite numbers"):
        OodDetector.from_bytes(broken.to_bytes())


def test_numbers_of_another_version_are_refused() -> None:
    fewer = replace(detector(), appearance=whitening([0.0] * 5, [1.0]))
    with pytest.raises(BundleError, match=f"of {NUMBERS} appearance numbers"):
        OodDetector.from_bytes(fewer.to_bytes())
    with pytest.raises(BundleError, match="weights: expected 10"):
        OodDetector.from_bytes(replace(detector(), weights=np.zeros(9, np.float32)).to_bytes())


class TestConcerns:
    def concerns(
        self, score: float | None = None, modality: str | None = None, colour: float | None = None
    ) -> list[Reason]:
        pixels = np.zeros((4, 4), np.float32)
        slice_ = Slice(pixels, "x", modality=modality, colour=colour)
        return concerns_of(slice_, score)

    def test_of_the_score(self) -> None:
        assert self.concerns(-0.1) == []
        assert self.concerns(1.0) == [Reason.POSSIBLY_OUT_OF_DISTRIBUTION]
        assert self.concerns(2.5) == [Reason.OUT_OF_DISTRIBUTION]

    def test_of_what_the_file_says(self) -> None:
        assert self.concerns(modality="CT") == [Reason.NOT_MR]
        assert self.concerns(modality="MR") == self.concerns(modality="OT") == []

    def test_of_colour(self) -> None:
        assert self.concerns(colour=0.2) == [Reason.COLOUR_PICTURE]
        assert self.concerns(colour=0.01) == []

    def test_a_blank_picture_is_only_that(self) -> None:
        slice_ = Slice(np.zeros((4, 4), np.float32), "x", modality="CT")
        assert concerns_of(slice_, 9.0, blank=True) == [Reason.BLANK_IMAGE]
