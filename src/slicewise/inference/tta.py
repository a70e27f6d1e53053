"""Test-time views of a preprocessed image: what training treats as the same picture."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

ANGLES = (-7.5, 7.5)
"""Degrees; half of the largest turn of the standard training augmentation."""


def other_views(images: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Yield mirrored, turned, and mirrored and turned copies of (N, size, size) images."""
    mirrored = images[:, :, ::-1]
    yield mirrored
    for angle in ANGLES:
        yield _turned(images, angle)
        yield _turned(mirrored, angle)


def _turned(images: NDArray[np.uint8], angle: float) -> NDArray[np.uint8]:
    turned = [
        Image.fromarray(np.ascontiguousarray(image)).rotate(angle, Image.Resampling.BILINEAR)
        for image in images
    ]
    return np.stack([np.asarray(picture, dtype=np.uint8) for picture in turned])
