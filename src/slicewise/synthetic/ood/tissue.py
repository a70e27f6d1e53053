"""Signal of the tissues of the body by kind of scan, and how a scan makes a picture of them."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from slicewise.synthetic.ood.picture import Picture, draw_side, fitted, saved
from slicewise.synthetic.ood.sketch import Array, Sketch, smooth_field

Tissues = dict[str, float]

_NAMES = (
    "air", "fat", "muscle", "marrow", "cortex", "fluid", "disc", "cartilage", "tendon",
    "blood", "organ", "kidney", "bowel", "cord", "gland", "lung",
)  # fmt: skip
_SCANS: dict[str, tuple[float, ...]] = {
    "t1": (0.02, 0.90, 0.36, 0.72, 0.06, 0.16, 0.38, 0.46, 0.08,
           0.14, 0.48, 0.34, 0.32, 0.44, 0.40, 0.04),
    "t2": (0.02, 0.68, 0.22, 0.52, 0.05, 0.97, 0.62, 0.50, 0.06,
           0.10, 0.30, 0.56, 0.58, 0.40, 0.62, 0.05),
    "fat_suppressed": (0.03, 0.20, 0.38, 0.22, 0.05, 0.95, 0.55, 0.72, 0.10,
                       0.60, 0.42, 0.66, 0.55, 0.46, 0.60, 0.05),
    "gradient_echo": (0.02, 0.52, 0.42, 0.34, 0.04, 0.55, 0.50, 0.80, 0.10,
                      0.92, 0.56, 0.48, 0.46, 0.50, 0.55, 0.04),
    "ct_soft": (0.00, 0.26, 0.56, 0.86, 1.00, 0.44, 0.58, 0.56, 0.60,
                0.64, 0.62, 0.68, 0.52, 0.54, 0.54, 0.02),
    "ct_contrast": (0.00, 0.24, 0.54, 0.88, 1.00, 0.42, 0.58, 0.56, 0.58,
                    0.92, 0.68, 0.86, 0.60, 0.54, 0.58, 0.02),
    "ct_wide": (0.00, 0.52, 0.58, 0.78, 1.00, 0.55, 0.59, 0.58, 0.59,
                0.62, 0.60, 0.60, 0.55, 0.58, 0.57, 0.16),
}  # fmt: skip
MR_SCANS = ("t1", "t2", "fat_suppressed", "gradient_echo")
CT_SCANS = ("ct_soft", "ct_contrast", "ct_wide")


def draw_tissues(rng: Generator, scans: tuple[str, ...]) -> Tissues:
    """Signal of each tissue, 0 to about 1, for one of the scans; each varies by a tenth.

    Args:
        rng: Source of chance.
        scans: Names of kinds of scan, of `MR_SCANS` and `CT_SCANS`.
    """
    signals = _SCANS[str(rng.choice(scans))]
    spread = 0.12 if scans == MR_SCANS else 0.04
    return {
        name: float(value * np.exp(rng.normal(0, spread)))
        for name, value in zip(_NAMES, signals, strict=True)
    }


def mr_scan(sketch: Sketch, shading: float = 0.25) -> Picture:
    """Shading of the coils, finite resolution, Rician noise, a window: an MR picture.

    Args:
        sketch: Signal, 0 to about 1.
        shading: Spread of the logarithm of the receive field.
    """
    rng = sketch.rng
    image = sketch.image * _fine_grain(sketch, 0.05)
    image = image * np.exp(shading * rng.uniform(0.3, 1.0) * sketch.field(1.2))
    noise = float(rng.uniform(0.01, 0.05))
    real, imaginary = noise * rng.standard_normal((2, *sketch.shape), dtype=np.float32)
    return _windowed(np.hypot(_soft(image, rng) + real, imaginary), rng)


def ct_scan(sketch: Sketch) -> Picture:
    """Finite resolution and correlated noise, clipped to the window: a CT picture."""
    rng = sketch.rng
    noise = smooth_field(rng, sketch.shape, float(rng.uniform(1.2, 2.5)))
    inside = sketch.image > 0.01
    image = _soft(sketch.image, rng) + float(rng.uniform(0.01, 0.05)) * noise * inside
    return saved(fitted(np.clip(image, 0, 1), draw_side(rng)), rng)


def radiograph(sketch: Sketch) -> Picture:
    """Gentle blur, quantum noise and a film curve: an X-ray picture."""
    rng = sketch.rng
    image = _soft(sketch.image, rng)
    image = image + float(rng.uniform(0.004, 0.02)) * rng.standard_normal(
        sketch.shape, dtype=np.float32
    )
    low, high = np.percentile(image, (0.5, 99.7))
    share = np.clip((image - low) / (high - low + 1e-6), 0, 1)
    return saved(fitted(share ** float(rng.uniform(0.7, 1.4)), draw_side(rng)), rng)


def _windowed(image: Array, rng: Generator) -> Picture:
    top = float(np.percentile(image, rng.uniform(98.5, 99.9)))
    return saved(np.clip(fitted(image, draw_side(rng)) / (top + 1e-6), 0, 1), rng)


def _fine_grain(sketch: Sketch, share: float) -> Array:
    return 1 + share * (0.6 * sketch.field(0.05) + 0.4 * sketch.field(0.15))


def _soft(image: Array, rng: Generator) -> Array:
    """Blur with (a, 1 - 2 a, a) along both axes, as finite sampling does."""
    a = np.float32(rng.uniform(0.1, 0.25))
    for axis in (0, 1):
        ahead = np.concatenate([image.take([0], axis), image, image.take([-1], axis)], axis)
        n = image.shape[axis]
        image = (1 - 2 * a) * image + a * (
            ahead.take(range(n), axis) + ahead.take(range(2, n + 2), axis)
        )
    return image
