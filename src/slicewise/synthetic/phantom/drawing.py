"""Parameters to a phantom slice: the deterministic renderer.

Phantoms are cartoons. They show what a reader looks for, not how tissue varies; no model may be
trained, calibrated or judged on them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from slicewise.arrays import Array
from slicewise.synthetic.phantom.anatomy import paint_head
from slicewise.synthetic.phantom.geometry import Array as Signal
from slicewise.synthetic.phantom.geometry import WaveField
from slicewise.synthetic.phantom.parameters import PhantomParameters

FULL_SIGNAL = 1000.0
"""Modality value of signal 1: what a display shows as white."""

CAPTION = "SYNTHETIC"
_CAPTION_SIGNAL = 0.55
_SHADING_WAVELENGTH_MM = 320.0


@dataclass(frozen=True, slots=True, eq=False)
class Phantom:
    """A drawn slice and the truth about it.

    Args:
        pixels: (H, W) float32 modality values, about 0 to 1000.
        mask: (H, W) bool, where the tumor is.
        parameters: What it was drawn from.
    """

    pixels: Array
    mask: NDArray[np.bool_]
    parameters: PhantomParameters

    @property
    def tumor_box(self) -> tuple[float, float, float, float] | None:
        """Centre x, centre y, width and height of the tumor as shares of the picture, if any."""
        if not self.mask.any():
            return None
        rows, columns = np.flatnonzero(self.mask.any(axis=1)), np.flatnonzero(self.mask.any(axis=0))
        height, width = self.mask.shape
        return (
            float(columns[0] + columns[-1] + 1) / 2 / width,
            float(rows[0] + rows[-1] + 1) / 2 / height,
            float(columns[-1] + 1 - columns[0]) / width,
            float(rows[-1] + 1 - rows[0]) / height,
        )


def render(parameters: PhantomParameters, size: int = 512) -> Phantom:
    """Draw a phantom slice; the same parameters and size give the same pixels.

    Args:
        parameters: What to draw.
        size: Pixels a side, at least 64.
    """
    cut = parameters.cut(size)
    lesion = parameters.lesion
    anatomy = paint_head(cut, parameters.head, None if lesion is None else lesion.mass)
    image = anatomy.scene.image
    tumor = np.zeros_like(image) if lesion is None else lesion.paint(anatomy)
    rng = np.random.default_rng(parameters.noise_seed)
    shade = WaveField.draw(rng, _SHADING_WAVELENGTH_MM).on(cut)
    image *= 1 + parameters.shading * np.clip(shade, -2, 2)
    scanned = _soften(_rician(image, parameters.noise, rng))
    _burn_caption(scanned)
    return Phantom((scanned * FULL_SIGNAL).astype(np.float32), tumor > 0.5, parameters)


def _rician(image: Signal, sigma: float, rng: np.random.Generator) -> Signal:
    """Magnitude of a complex signal with Gaussian noise (Gudbjartsson and Patz 1995)."""
    real = image + sigma * rng.standard_normal(image.shape, dtype=np.float32)
    imaginary = sigma * rng.standard_normal(image.shape, dtype=np.float32)
    magnitude: Signal = np.hypot(real, imaginary)
    return magnitude


def _soften(image: Signal) -> Signal:
    """Blur by one pixel, as the finite sampling of k-space does."""
    for axis in (0, 1):
        ahead = np.concatenate([image.take([0], axis), image, image.take([-1], axis)], axis)
        count = image.shape[axis]
        before, after = ahead.take(range(count), axis), ahead.take(range(2, count + 2), axis)
        image = 0.5 * image + 0.25 * (before + after)
    return image


def _burn_caption(image: Signal) -> None:
    """Write that it is synthetic into the darkest upper corner, in place."""
    size = image.shape[0]
    font = ImageFont.load_default(max(7, size // 42))
    left, top, right, bottom = (int(edge) for edge in font.getbbox(CAPTION))
    margin = size // 64
    ink = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(ink).text((-left, -top), CAPTION, fill=255, font=font)
    corners = [margin, size - margin - ink.width]
    rows = slice(margin, margin + ink.height)
    start = min(corners, key=lambda c: float(image[rows, c : c + ink.width].mean()))
    patch = image[rows, start : start + ink.width]
    np.maximum(patch, np.asarray(ink, dtype=np.float32) * (_CAPTION_SIGNAL / 255), out=patch)
