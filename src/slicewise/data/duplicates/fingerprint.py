"""Fingerprints of slices: small enough to travel in a bundle, fine enough to find copies by.

They hold the local contrast of the head on a 56 x 56 grid (brightness, contrast, size and file
format drop out), where the head stands in the picture, and a digest of the pixels.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from slicewise.arrays import Array, write_arrays
from slicewise.errors import ManifestError
from slicewise.files import write_whole
from slicewise.imaging.batches import batched

SIDE = 56
FORMAT = 1
_LEVELS = 16
_STEP = 0.4
_ZERO = 5
"""The code of no contrast; bright detail reaches further than dark, hence not the middle."""

_PICTURE_SIDE = 128
_MASK_SIDE = 64
_MASK_BLUR = 0.6
_FOREGROUND = 0.2
_SOFTNESS = 0.1
_HEAD_DEVIATIONS = 2.2
"""An even ellipse reaches two standard deviations from its centre along each axis."""

_DETAIL_SIGMA = 2.0
_STRENGTH_SIGMA = 4.0
_STRENGTH_FLOOR = 0.03
_BATCH = 256
_DAMAGED = (
    BadZipFile, EOFError, KeyError, OSError, RuntimeError, TypeError, ValueError, zlib.error,
)  # fmt: skip
"""What NumPy and zipfile raise on files that are no such archive, or a damaged one."""


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprints:
    """Fingerprints of N slices.

    Args:
        codes: (N, 56, 56) uint8 in [0, 15]: local contrast of the head; 5 is none.
        boxes: (N, 4) float16: left, top, right, bottom of the coded region as shares of the
            picture's width and height; may reach outside [0, 1].
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

    def contrast(self) -> Array:
        """(N, 56, 56) float32 local contrast, in local standard deviations."""
        return (self.codes.astype(np.float32) - np.float32(_ZERO)) * np.float32(_STEP)

    def save(self, path: Path) -> None:
        """Write to a compressed `.npz`, two codes a byte (about 1 kB a slice)."""
        write_whole(path, write_arrays(self.arrays()))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What `save` writes."""
        packed = (self.codes[..., 0::2] << 4) | self.codes[..., 1::2]
        version = np.array(FORMAT, dtype=np.uint8)
        return {"format": version, "codes": packed, "boxes": self.boxes, "digests": self.digests}

    @classmethod
    def load(cls, file: Path | BinaryIO, name: str = "") -> Fingerprints:
        """Read what `save` wrote, never unpickled; `ManifestError` with `name` if it is none."""
        try:
            with np.load(file, allow_pickle=False) as arrays:
                version, packed = int(arrays["format"]), arrays["codes"]
                boxes, digests = arrays["boxes"], arrays["digests"]
        except _DAMAGED as error:
            raise ManifestError(f"{name or file}: expected a fingerprint file; {error}") from error
        n = len(packed) if packed.ndim else 0
        shapes = (packed.shape, boxes.shape, digests.shape)
        kinds = (packed.dtype, boxes.dtype, digests.dtype)
        expected = ((n, SIDE, SIDE // 2), (n, 4), (n, 16))
        if (version, shapes, kinds) != (FORMAT, expected, (np.uint8, np.float16, np.uint8)):
            raise ManifestError(
                f"{name or file}: expected fingerprints of format {FORMAT}; got format {version}, "
                f"{shapes}"
            )
        codes = np.empty((len(packed), SIDE, SIDE), dtype=np.uint8)
        codes[..., 0::2], codes[..., 1::2] = packed >> 4, packed & 15
        return cls(codes, boxes, digests)


def fingerprint(pixels: Array) -> Fingerprints:
    """The fingerprint of one slice, (H, W) float32, as a collection of one."""
    return fingerprints([pixels])


def fingerprints(slices: Iterable[Array]) -> Fingerprints:
    """Fingerprints of many slices, in order, each (H, W) float32, finite, any scale.

    Holds 256 shrunken pictures at a time.
    """
    return hashed_fingerprints((pixels, "") for pixels in slices)


def hashed_fingerprints(slices: Iterable[tuple[Array, str]]) -> Fingerprints:
    """The same of slices with a SHA-256 of their pixels in hexadecimal, empty where none is known.

    Digests are taken from these hashes, which saves hashing twice: they tell what is equal within
    one collection, and are never to be stored.
    """
    small = (
        (_shrunk(pixels), _start_of(text) if text else _digest(pixels)) for pixels, text in slices
    )
    parts = []
    for batch in batched(small, _BATCH):
        pictures, digests = zip(*batch, strict=True)
        parts.append(_describe(np.stack(pictures), np.stack(digests)))
    return concatenate(parts)


def concatenate(parts: Sequence[Fingerprints]) -> Fingerprints:
    """All fingerprints of `parts`, in order."""
    empty = Fingerprints(
        np.zeros((0, SIDE, SIDE), dtype=np.uint8),
        np.zeros((0, 4), dtype=np.float16),
        np.zeros((0, 16), dtype=np.uint8),
    )
    names = ("codes", "boxes", "digests")
    return Fingerprints(
        *(np.concatenate([getattr(part, name) for part in (empty, *parts)]) for name in names)
    )


def blur(images: Array, sigma: float) -> Array:
    """Gaussian blur of (N, S, S) float32, sigma in pixels; weights are renormalised at edges."""
    steps = np.arange(images.shape[-1])
    kernel = np.exp(-0.5 * ((steps[:, None] - steps[None]) / sigma) ** 2)
    kernel = (kernel / kernel.sum(axis=1, keepdims=True)).astype(np.float32)
    return np.asarray(kernel @ images @ kernel.T, dtype=np.float32)


def interpolation(positions: Array, side: int, reach: Array) -> Array:
    """(N, M, side) float32 weights of a triangle filter; each row sums to one.

    Args:
        positions: (N, M) where to sample, in grid steps; expected within [0, side - 1].
        reach: (N,) half width of the triangle in grid steps: 1 interpolates linearly, more also
            averages, which keeps detail from aliasing when the result is coarser.
    """
    distance = np.abs(positions[:, :, None] - np.arange(side, dtype=np.float32))
    weights = np.maximum(1 - distance / reach[:, None, None], 0)
    total = weights.sum(axis=2, keepdims=True)
    return np.asarray(weights / np.maximum(total, 1e-6), dtype=np.float32)


def _describe(pictures: Array, digests: NDArray[np.uint8]) -> Fingerprints:
    masks = pictures.reshape(-1, _MASK_SIDE, 2, _MASK_SIDE, 2).mean(axis=(2, 4))
    low, high = np.percentile(masks, (2, 98), axis=(1, 2), keepdims=True).astype(np.float32)
    span = np.where(high > low, high - low, np.float32(np.inf))
    boxes = _head_boxes((masks - low) / span).astype(np.float16)
    heads = _cut((pictures - low) / span, boxes.astype(np.float32))
    # Detail divided by the local strength of detail, as in local contrast normalisation.
    detail = heads - blur(heads, _DETAIL_SIGMA)
    strength = np.sqrt(np.maximum(blur(detail * detail, _STRENGTH_SIGMA), 0))
    contrast = np.asarray(detail / (strength + _STRENGTH_FLOOR), dtype=np.float32)
    codes = np.clip(np.rint(contrast / _STEP + _ZERO), 0, _LEVELS - 1).astype(np.uint8)
    return Fingerprints(codes, boxes, digests)


def _shrunk(pixels: Array) -> Array:
    picture = Image.fromarray(np.ascontiguousarray(pixels, dtype=np.float32))
    small = picture.resize((_PICTURE_SIDE, _PICTURE_SIDE), Image.Resampling.BILINEAR)
    return np.asarray(small, dtype=np.float32)


def _digest(pixels: Array) -> NDArray[np.uint8]:
    content = hashlib.sha256(repr(pixels.shape).encode())
    content.update(np.ascontiguousarray(pixels, dtype="<f4").data)
    return np.frombuffer(content.digest()[:16], dtype=np.uint8)


def _start_of(sha256: str) -> NDArray[np.uint8]:
    return np.frombuffer(bytes.fromhex(sha256)[:16], dtype=np.uint8)


def _head_boxes(scaled: Array) -> Array:
    """Centre plus and minus some standard deviations of a soft foreground mask.

    Moments move smoothly with brightness and noise, where the extremes of a mask would jump.
    """
    mask = np.clip((blur(scaled, _MASK_BLUR) - _FOREGROUND) / _SOFTNESS + 0.5, 0, 1)
    centres = (np.arange(_MASK_SIDE, dtype=np.float32) + 0.5) / _MASK_SIDE
    spans = []
    for axis in (1, 2):
        profile = mask.sum(axis=axis)
        profile = profile / np.maximum(profile.sum(axis=1, keepdims=True), 1e-6)
        middle = profile @ centres
        spread = np.sqrt((profile * (centres - middle[:, None]) ** 2).sum(axis=1))
        reach = np.maximum(_HEAD_DEVIATIONS * spread, 0.05)
        spans.append((middle - reach, middle + reach))
    (left, right), (top, bottom) = spans
    return np.stack([left, top, right, bottom], axis=1).astype(np.float32)


def _cut(pictures: Array, boxes: Array) -> Array:
    """The boxed regions on the code's grid; beyond the picture its edge is repeated."""
    pixels = boxes * _PICTURE_SIDE - 0.5
    steps = (np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE

    def weights(start: Array, stop: Array) -> Array:
        positions = np.asarray(start + (stop - start) * steps, dtype=np.float32)
        reach = np.asarray((stop - start)[:, 0] / SIDE, dtype=np.float32)
        inside = np.clip(positions, 0, _PICTURE_SIDE - 1)
        return interpolation(inside, _PICTURE_SIDE, np.maximum(reach, 1))

    columns = weights(pixels[:, 0:1], pixels[:, 2:3])
    rows = weights(pixels[:, 1:2], pixels[:, 3:4])
    return np.asarray(rows @ pictures @ columns.transpose(0, 2, 1), dtype=np.float32)
