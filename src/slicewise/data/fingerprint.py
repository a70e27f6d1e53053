"""Fingerprints of slices: small enough to travel in a bundle, fine enough to tell copies apart.

A fingerprint holds the local contrast of the whole picture on a 64 x 64 grid (brightness, contrast,
size and file format drop out), the place of the head (so that cropped copies can be aligned), and a
digest of the pixels (so that exact copies need no comparison).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from slicewise.errors import ManifestError

Array = NDArray[np.float32]

SIDE = 64
LEVELS = 16
FORMAT = 1
_STEP = 0.3
_ZERO = 6
"""The code of no contrast; bright detail reaches further than dark, hence not the middle."""
_DETAIL_SIGMA = 4.0
_CONTRAST_SIGMA = 6.0
_CONTRAST_FLOOR = 0.05
_FOREGROUND = 0.2
_SOFTNESS = 0.1
_HEAD_DEVIATIONS = 2.0
"""An even ellipse reaches two standard deviations from its centre along each axis."""


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprints:
    """Fingerprints of N slices.

    Args:
        codes: (N, 64, 64) uint8 in [0, 15]: local contrast, 6 is none.
        boxes: (N, 4) float16: left, top, right, bottom of the head as shares of width and height;
            may reach outside [0, 1].
        digests: (N, 16) uint8: of the pixel values and the shape.
    """

    codes: NDArray[np.uint8]
    boxes: NDArray[np.float16]
    digests: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, indices: Sequence[int] | NDArray[np.int64]) -> Fingerprints:
        """The fingerprints at `indices`, in that order."""
        chosen = np.asarray(indices, dtype=np.int64)
        return Fingerprints(self.codes[chosen], self.boxes[chosen], self.digests[chosen])

    def save(self, path: Path) -> None:
        """Write to a compressed `.npz`, two codes a byte."""
        packed = (self.codes[..., 0::2] << 4) | self.codes[..., 1::2]
        with path.open("wb") as file:
            np.savez_compressed(
                file,
                format=np.uint8(FORMAT),
                codes=packed,
                boxes=self.boxes,
                digests=self.digests,
            )

    @classmethod
    def load(cls, path: Path) -> Fingerprints:
        """Read what `save` wrote; nothing is ever unpickled.

        Raises:
            ManifestError: If the file is no fingerprint file of this format.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                version, packed = int(arrays["format"]), arrays["codes"]
                boxes, digests = arrays["boxes"], arrays["digests"]
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise ManifestError(f"{path}: expected a fingerprint file; {error}") from error
        n = len(packed)
        if (
            version != FORMAT
            or packed.dtype != np.uint8
            or (packed.shape, boxes.shape, digests.shape)
            != ((n, SIDE, SIDE // 2), (n, 4), (n, 16))
        ):
            raise ManifestError(f"{path}: expected fingerprints of format {FORMAT}")
        codes = np.empty((n, SIDE, SIDE), dtype=np.uint8)
        codes[..., 0::2], codes[..., 1::2] = packed >> 4, packed & 15
        return cls(codes, boxes.astype(np.float16), digests.astype(np.uint8))


def fingerprint(pixels: Array) -> Fingerprints:
    """The fingerprint of one slice, as a collection of one.

    Args:
        pixels: (H, W) float32, finite, any scale.
    """
    return fingerprints([pixels])


def fingerprints(slices: Iterable[Array]) -> Fingerprints:
    """Fingerprints of many slices, in order.

    Args:
        slices: Each (H, W) float32, finite, any scale.
    """
    grids, digests = [], []
    for pixels in slices:
        grids.append(_grid(pixels))
        digests.append(_digest(pixels))
    stacked = np.stack(grids) if grids else np.zeros((0, SIDE, SIDE), dtype=np.float32)
    scaled = _scaled(stacked)
    return Fingerprints(
        _encode(_local_contrast(scaled)),
        _head_boxes(scaled).astype(np.float16),
        np.array(digests, dtype=np.uint8).reshape(-1, 16),
    )


def concatenate(parts: Sequence[Fingerprints]) -> Fingerprints:
    """All fingerprints of `parts`, in order."""
    if not parts:
        return fingerprints([])
    return Fingerprints(
        np.concatenate([part.codes for part in parts]),
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.digests for part in parts]),
    )


def decode(codes: NDArray[np.uint8]) -> Array:
    """Local contrast in standard deviations, float32, same shape as `codes`."""
    return (codes.astype(np.float32) - np.float32(_ZERO)) * np.float32(_STEP)


def blur(images: Array, sigma: float) -> Array:
    """Gaussian blur of (N, 64, 64) images; the weights are renormalised at the edges."""
    offsets = np.arange(SIDE)[:, None] - np.arange(SIDE)[None]
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = (kernel / kernel.sum(axis=1, keepdims=True)).astype(np.float32)
    return np.asarray(kernel @ images @ kernel.T, dtype=np.float32)


def _grid(pixels: Array) -> Array:
    picture = Image.fromarray(np.ascontiguousarray(pixels, dtype=np.float32))
    small = picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.asarray(small, dtype=np.float32)


def _digest(pixels: Array) -> NDArray[np.uint8]:
    content = hashlib.sha256(repr(pixels.shape).encode())
    content.update(np.ascontiguousarray(pixels, dtype="<f4").tobytes())
    return np.frombuffer(content.digest()[:16], dtype=np.uint8)


def _scaled(grids: Array) -> Array:
    """Grey values with the 2nd percentile at 0 and the 98th at 1; all 0 where nothing varies."""
    low, high = np.percentile(grids, (2, 98), axis=(1, 2), keepdims=True)
    span = high - low
    return np.asarray(np.where(span > 0, (grids - low) / np.where(span > 0, span, 1), 0), "f4")


def _local_contrast(scaled: Array) -> Array:
    """Detail divided by the local strength of detail, as in local contrast normalisation."""
    detail = scaled - blur(scaled, _DETAIL_SIGMA)
    strength = np.sqrt(np.maximum(blur(detail * detail, _CONTRAST_SIGMA), 0))
    return np.asarray(detail / (strength + _CONTRAST_FLOOR), dtype=np.float32)


def _encode(contrast: Array) -> NDArray[np.uint8]:
    steps = np.rint(contrast / _STEP + _ZERO)
    return np.clip(steps, 0, LEVELS - 1).astype(np.uint8)


def _head_boxes(scaled: Array) -> Array:
    """Centre plus and minus two standard deviations of a soft foreground mask.

    Moments move smoothly with brightness and noise, where the extremes of a mask would jump.
    """
    smooth = blur(scaled, 0.6)
    mask = np.clip((smooth - _FOREGROUND) / _SOFTNESS + 0.5, 0, 1)
    centres = (np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE
    spans = []
    for axis in (1, 2):
        profile = mask.sum(axis=axis)
        profile = profile / np.maximum(profile.sum(axis=1, keepdims=True), 1e-6)
        middle = profile @ centres
        spread = np.sqrt((profile * (centres - middle[:, None]) ** 2).sum(axis=1))
        reach = np.maximum(_HEAD_DEVIATIONS * spread, 2 / SIDE)
        spans.append((middle - reach, middle + reach))
    (left, right), (top, bottom) = spans
    return np.stack([left, top, right, bottom], axis=1).astype(np.float32)
