"""Pictures without content: noise of several kinds, and flat or nearly flat ones."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from slicewise.synthetic.ood.picture import Picture, draw_side, saved
from slicewise.synthetic.ood.sketch import Array, smooth_field


def gaussian_noise(rng: Generator) -> Picture:
    """White noise of a random mean and spread."""
    return saved(rng.uniform(0.2, 0.6) + rng.uniform(0.05, 0.3) * _white(rng), rng)


def speckle_noise(rng: Generator) -> Picture:
    """Rayleigh noise as of an empty scan, sometimes over a smooth brightness."""
    shape = _shape(rng)
    size = rng.rayleigh(rng.uniform(0.1, 0.35), shape)
    return saved(size * np.exp(rng.uniform(0, 0.6) * smooth_field(rng, shape, shape[0] / 2)), rng)


def salt_and_pepper(rng: Generator) -> Picture:
    """A grey level with single pixels, or small squares, black or white."""
    height, width = _shape(rng)
    grain = int(rng.integers(1, 5))
    draws = rng.random((height // grain + 1, width // grain + 1))
    share = rng.uniform(0.03, 0.45)
    values = np.where(draws < share, 0.0, np.where(draws > 1 - share, 1.0, rng.uniform(0.1, 0.9)))
    return saved(values.repeat(grain, 0).repeat(grain, 1)[:height, :width], rng)


def coloured_noise(rng: Generator) -> Picture:
    """Noise whose amplitude falls with frequency f as 1 / f^a, a from 0.6 to 2: clouds."""
    height, width = _shape(rng)
    down, across = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    frequency = np.maximum(np.hypot(down, across), 1 / max(height, width))
    spectrum = np.fft.rfft2(rng.standard_normal((height, width)))
    values = np.fft.irfft2(spectrum / frequency ** rng.uniform(0.6, 2.0), (height, width))
    return saved(0.5 + rng.uniform(0.1, 0.3) * values / values.std(), rng)


def flat_picture(rng: Generator) -> Picture:
    """One grey level, at times with the last bit flickering."""
    level = np.full(_shape(rng), rng.integers(0, 256) / 255)
    if rng.random() < 0.5:
        level += rng.normal(0, rng.uniform(0.4, 1.5) / 255, level.shape)
    return saved(level, rng)


def gradient_picture(rng: Generator) -> Picture:
    """Brightness that rises along a line or from a point."""
    height, width = _shape(rng)
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    angle = rng.uniform(0, 2 * np.pi)
    along = x * np.cos(angle) + y * np.sin(angle)
    if rng.random() < 0.5:
        along = np.hypot(x - rng.uniform(0, 1), y - rng.uniform(0, 1))
    share = (along - along.min()) / np.ptp(along)
    return saved(rng.uniform(0, 0.4) + rng.uniform(0.1, 0.6) * share ** rng.uniform(0.5, 2), rng)


def single_object(rng: Generator) -> Picture:
    """One smooth ellipse or rectangle on an even ground: a test object, or a lens cap."""
    height, width = _shape(rng)
    y, x = np.mgrid[0:height, 0:width] / min(height, width)
    u, v = x - x.max() * rng.uniform(0.35, 0.65), y - y.max() * rng.uniform(0.35, 0.65)
    power = rng.choice([2.0, 2.0, 8.0])
    size = rng.uniform(0.15, 0.48, 2)
    level = (np.abs(u) / size[0]) ** power + (np.abs(v) / size[1]) ** power
    ground, shade = rng.uniform(0, 0.4), rng.uniform(0.45, 1)
    values = ground + (shade - ground) * np.clip(20 * (1 - level) + 0.5, 0, 1)
    return saved(values + rng.uniform(0, 0.03) * rng.standard_normal((height, width)), rng)


def _shape(rng: Generator) -> tuple[int, int]:
    height = draw_side(rng)
    return height, max(64, round(height * float(rng.uniform(0.7, 1.4))))


def _white(rng: Generator) -> Array:
    return rng.standard_normal(_shape(rng), dtype=np.float32)
