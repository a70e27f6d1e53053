"""The out-of-distribution score of an image, and what speaks against answering for it.

A logistic regression on its embedding and the statistics of its appearance, both whitened, and on
the squares of these numbers, which rise for whatever differs from everything known. It is fitted to
tell held-out MR slices from other images (outlier exposure, Hendrycks et al. 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slicewise.arrays import Array, Floats, read_arrays, write_arrays
from slicewise.errors import BundleError
from slicewise.imaging.appearance import APPEARANCE_NAMES, appearance
from slicewise.imaging.slice import Slice
from slicewise.inference.decision import Reason
from slicewise.inference.rule import OutOfDistribution

SMALLEST = 1e-9  # least squared length whose logarithm is taken
_CLIP = 6.0  # whitened numbers beyond this count as this
_STORED = (  # names in `ood.npz`; `look` is the appearance
    *("embedding_centre", "embedding_axes", "embedding_rest"),
    *("look_centre", "look_axes", "look_rest", "look_spread", "weights", "bias"),
)


@dataclass(frozen=True, slots=True, eq=False)
class Whitening:
    """Turns numbers that belong together into such of unit spread along their main directions."""

    centre: Array  # (D,) mean
    axes: Array  # (P, D) directions, divided by the spread along them
    rest: Array  # (2,) mean and spread of the logarithm of what the directions leave over

    def apply(self, values: NDArray[np.floating]) -> Floats:
        """(N, P + 1) of values (N, D): place along each direction, then how much is left over."""
        apart, axes = values.astype(np.float64) - self.centre, self.axes.astype(np.float64)
        along = apart @ axes.T
        # The axes are divided by the spread along them: undo it to measure what they leave over.
        explained = np.sum((along / np.linalg.norm(axes, axis=1)) ** 2, axis=1)
        left = np.log(np.maximum(np.sum(apart**2, axis=1) - explained, SMALLEST))
        return np.column_stack([along, (left - self.rest[0]) / self.rest[1]])

    def fits(self, numbers: int) -> bool:
        """Whether the arrays fit each other, and values of so many numbers."""
        axes = self.axes.ndim == 2 and self.axes.shape[1] == numbers
        return bool(axes and self.centre.shape == (numbers,) and self.rest.shape == (2,))


@dataclass(frozen=True, slots=True, eq=False)
class OodDetector:
    """The fitted numbers behind the score."""

    embedding: Whitening
    appearance: Whitening  # of the F appearance numbers, divided by their spread, to Q directions
    appearance_spread: Array  # (F,)
    weights: Array  # (2 M,) of the M = P + 1 + Q + 1 whitened numbers, then of their squares
    bias: Array  # (1,) added to their sum

    @property
    def width(self) -> int:
        """D, the numbers of an embedding."""
        return self.embedding.centre.size

    def scores(self, embeddings: Array, appearances: Floats) -> Floats:
        """(N,) of embeddings (N, D) and appearance numbers (N, F).

        Higher is less like a known slice; 0 is even odds in the fitted mixture.
        """
        numbers = expanded(self.whitened(embeddings, appearances))
        return np.asarray(numbers @ self.weights + self.bias[0], dtype=np.float64)

    def whitened(self, embeddings: Array, appearances: Floats) -> Floats:
        """(N, M) numbers of about unit spread on known slices, clipped at 6."""
        scaled = appearances / self.appearance_spread
        parts = [self.embedding.apply(embeddings), self.appearance.apply(scaled)]
        return np.asarray(np.clip(np.concatenate(parts, axis=1), -_CLIP, _CLIP))

    def to_bytes(self) -> bytes:
        """Content of `ood.npz`."""
        parts = (p for w in (self.embedding, self.appearance) for p in (w.centre, w.axes, w.rest))
        arrays = (*parts, self.appearance_spread, self.weights, self.bias)
        return write_arrays({n: a.astype("f4") for n, a in zip(_STORED, arrays, strict=True)})

    @classmethod
    def from_bytes(cls, content: bytes) -> OodDetector:
        """Read what `to_bytes` wrote.

        Raises:
            BundleError: It holds something else, or appearance numbers of another version.
        """
        arrays = list(read_arrays(content, dict.fromkeys(_STORED, "f")).values())
        found = cls(Whitening(*arrays[:3]), Whitening(*arrays[3:6]), *arrays[6:])
        numbers, (embedding, other) = len(APPEARANCE_NAMES), (found.embedding, found.appearance)
        shapes = (found.appearance_spread.shape, found.bias.shape) == ((numbers,), (1,))
        if not (shapes and embedding.fits(found.width) and other.fits(numbers)):
            expected = f"whitenings of an embedding and of {numbers} appearance numbers"
            got = f"{embedding.axes.shape} and {other.axes.shape}"
            raise BundleError(f"expected {expected}; got {got}")
        count = 2 * (len(embedding.axes) + len(other.axes) + 2)
        if found.weights.shape != (count,):
            raise BundleError(f"weights: expected {count} numbers; got {found.weights.shape}")
        return found


def expanded(numbers: Floats) -> Floats:
    """(N, 2M): the numbers, then their squares."""
    return np.concatenate([numbers, numbers**2], axis=1)


def appearances_of(slices: Sequence[Slice]) -> Floats:
    """(N, F) appearance numbers of slices."""
    return np.stack([appearance(slice_.pixels).vector() for slice_ in slices])


def input_concerns(
    slice_: Slice,
    limits: OutOfDistribution | None,
    score: float | None,
    blank: bool,
    colour_limit: float,
) -> list[Reason]:
    """What speaks against answering for a slice, whatever the answer; a blank one is only that."""
    if blank:
        return [Reason.BLANK_IMAGE]
    found = []
    if slice_.modality not in (None, "MR", "OT"):  # OT is converted from something, claims nothing
        found.append(Reason.NOT_MR)
    if slice_.colour is not None and slice_.colour > colour_limit:
        found.append(Reason.COLOUR_PICTURE)
    if limits is not None and score is not None:
        if score > limits.reject_above:
            found.append(Reason.OUT_OF_DISTRIBUTION)
        elif score > limits.review_above:
            found.append(Reason.POSSIBLY_OUT_OF_DISTRIBUTION)
    return found
