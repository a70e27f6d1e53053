"""How unlike the slices of a model a picture is: one score, and what speaks against an answer.

The score comes from what the network makes of a picture (its embedding) and from what the picture
looks like (`imaging.appearance`), both whitened; a logistic regression on these numbers and their
squares, fitted to tell held-out MR slices from strange pictures (outlier exposure, Hendrycks et
al. 2019). The squares let it also see what is merely far from everything known.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from slicewise.arrays import Array, Floats
from slicewise.errors import BundleError
from slicewise.imaging.appearance import APPEARANCE_NAMES, appearance
from slicewise.imaging.slice import Slice
from slicewise.inference.arrays import read_arrays
from slicewise.inference.bundle import OOD_NAME, Bundle
from slicewise.inference.decision import Reason
from slicewise.inference.rule import OutOfDistribution

COLOUR_LIMIT = 0.06
"""Mean difference between colour channels above which a picture is no grey MR slice."""

_OTHER = "OT"
"""DICOM Modality (0008,0060) of pictures that were converted from something: it claims nothing."""

SMALLEST = 1e-9
"""Least squared length whose logarithm is taken."""

_WHITENINGS = ("embedding", "look")
_ARRAYS = ("look_spread", "weights", "bias")
_CLIP = 6.0
"""Whitened numbers beyond this say no more than this."""


@dataclass(frozen=True, slots=True, eq=False)
class Whitening:
    """Turns numbers that belong together into numbers of unit spread along their main directions.

    Args:
        centre: (D,) mean.
        axes: (P, D) directions, divided by the spread along them.
        rest: (2,) mean and spread of the logarithm of what the directions leave over.
    """

    centre: Array
    axes: Array
    rest: Array

    def apply(self, values: NDArray[np.floating]) -> Floats:
        """(N, P + 1): place along each direction, then how much is left over.

        Args:
            values: (N, D).
        """
        apart = values.astype(np.float64) - self.centre
        axes = self.axes.astype(np.float64)
        along = apart @ axes.T
        # The axes are divided by the spread along them: undo it to measure what they leave over.
        explained = np.sum((along / np.linalg.norm(axes, axis=1)) ** 2, axis=1)
        left = np.log(np.maximum(np.sum(apart**2, axis=1) - explained, SMALLEST))
        rest = (left - self.rest[0]) / self.rest[1]
        return np.concatenate([along, rest[:, None]], axis=1)

    def fits(self, numbers: int | None) -> bool:
        """Whether the arrays fit each other, and values of so many numbers (None: any)."""
        known = self.centre.size if numbers is None else numbers
        axes = self.axes.ndim == 2 and self.axes.shape[1] == known
        return bool(axes and self.centre.shape == (known,) and self.rest.shape == (2,))


@dataclass(frozen=True, slots=True, eq=False)
class OodDetector:
    """The fitted numbers behind the score.

    Args:
        embedding: Of the D numbers of an embedding to P directions.
        look: Of the F appearance numbers, divided by `look_spread`, to Q directions.
        look_spread: (F,) spread of each appearance number.
        weights: (2 M,) of the M = P + 1 + Q + 1 whitened numbers, then of their squares.
        bias: (1,) added to their sum.
    """

    embedding: Whitening
    look: Whitening
    look_spread: Array
    weights: Array
    bias: Array

    def scores(self, embeddings: Array, looks: Floats) -> Floats:
        """The score of each slice; higher is stranger, 0 is even odds in the fitted mixture.

        Args:
            embeddings: (N, D) of the network.
            looks: (N, F) appearance numbers.
        """
        numbers = expanded(self.whitened(embeddings, looks))
        return np.asarray(numbers @ self.weights + self.bias[0], dtype=np.float64)

    def whitened(self, embeddings: Array, looks: Floats) -> Floats:
        """(N, M) numbers of about unit spread on known slices, clipped at 6."""
        parts = [self.embedding.apply(embeddings), self.look.apply(looks / self.look_spread)]
        return np.asarray(np.clip(np.concatenate(parts, axis=1), -_CLIP, _CLIP))

    def to_bytes(self) -> bytes:
        """Content of `outliers.npz`."""
        stream = io.BytesIO()
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        for name in _WHITENINGS:
            part = getattr(self, name)
            arrays |= {f"{name}_{f.name}": getattr(part, f.name) for f in fields(Whitening)}
        np.savez_compressed(stream, **{k: v.astype(np.float32) for k, v in arrays.items()})
        return stream.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> OodDetector:
        """Read what `to_bytes` wrote.

        Raises:
            BundleError: It holds something else, or numbers of another version.
        """
        parts = {name: [f"{name}_{f.name}" for f in fields(Whitening)] for name in _WHITENINGS}
        wanted = [name for part in parts.values() for name in part]
        stored = read_arrays(OOD_NAME, content, [*wanted, *_ARRAYS])
        embedding, look = (Whitening(*(stored[name] for name in parts[p])) for p in _WHITENINGS)
        found = cls(embedding, look, *(stored[name] for name in _ARRAYS))
        found.require_consistent()
        return found

    def require_consistent(self) -> None:
        """Check that the arrays fit each other and the appearance numbers of this version.

        Raises:
            BundleError: They do not.
        """
        looks = len(APPEARANCE_NAMES)
        fitting = self.embedding.fits(None) and self.look.fits(looks)
        if not (fitting and self.look_spread.shape == (looks,) and self.bias.shape == (1,)):
            raise BundleError(
                f"{OOD_NAME}: expected whitenings of an embedding and of {looks} appearance "
                f"numbers; got {self.embedding.axes.shape} and {self.look.axes.shape}"
            )
        count = 2 * (len(self.embedding.axes) + len(self.look.axes) + 2)
        if self.weights.shape != (count,):
            raise BundleError(
                f"{OOD_NAME}: weights: expected {count} numbers; got {self.weights.shape}"
            )


def expanded(numbers: Floats) -> Floats:
    """(N, 2M): the numbers, then their squares."""
    return np.concatenate([numbers, numbers**2], axis=1)


def looks_of(slices: Sequence[Slice]) -> Floats:
    """(N, F) appearance numbers of slices."""
    return np.stack([appearance(slice_.pixels).vector() for slice_ in slices])


def load_ood_detector(bundle: Bundle, width: int | str | None) -> OodDetector | None:
    """The statistics in a bundle; None where its rule has no limits for them.

    Args:
        bundle: A verified bundle.
        width: Numbers in an embedding of its graph, where the graph tells.

    Raises:
        BundleError: The rule has limits but the file is missing, holds something else, or belongs
            to another graph.
    """
    if bundle.info.decision.out_of_distribution is None:
        return None
    if OOD_NAME not in bundle.files:
        raise BundleError(f"{OOD_NAME} is missing; the decision rule has limits that need it")
    found = OodDetector.from_bytes(bundle.files[OOD_NAME])
    if isinstance(width, int) and found.embedding.centre.size != width:
        raise BundleError(
            f"{OOD_NAME}: expected embeddings of {width} numbers, as the graph gives; "
            f"got {found.embedding.centre.size}"
        )
    return found


def input_concerns(
    slice_: Slice, limits: OutOfDistribution | None, score: float | None, *, blank: bool
) -> list[Reason]:
    """What speaks against answering for an input, whatever the answer is.

    Args:
        slice_: What is known of it: colour, modality.
        limits: Of the outlier score; None where none are fitted.
        score: Its outlier score; None where there is none.
        blank: Whether all its pixels are alike.
    """
    if blank:
        return [Reason.BLANK_IMAGE]
    found = []
    if slice_.modality not in (None, "MR", _OTHER):
        found.append(Reason.NOT_MR)
    if slice_.colour is not None and slice_.colour > COLOUR_LIMIT:
        found.append(Reason.COLOUR_PICTURE)
    if limits is not None and score is not None:
        if score > limits.reject_above:
            found.append(Reason.OUT_OF_DISTRIBUTION)
        elif score > limits.review_above:
            found.append(Reason.POSSIBLY_OUT_OF_DISTRIBUTION)
    return found
