"""Noise with the spectrum and the histogram that its name says."""

from __future__ import annotations

import numpy as np
import pytest

from slicewise.synthetic.ood import noise, picture


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large pictures without JPEG, so that the numbers are those of the noise."""
    monkeypatch.setattr(picture, "_JPEG_SHARE", 0.0)
    monkeypatch.setattr(noise, "_shape", lambda rng: (256, 256))


def test_gaussian_noise_is_uncorrelated() -> None:
    pixels = noise.gaussian_noise(np.random.default_rng(0)).pixels
    centred = pixels - pixels.mean()
    assert abs(float((centred[1:] * centred[:-1]).mean() / centred.var())) < 0.02


def test_coloured_noise_falls_with_frequency() -> None:
    slopes = []
    for seed in range(6):
        pixels = noise.coloured_noise(np.random.default_rng(seed)).pixels
        power = np.abs(np.fft.fft2(pixels - pixels.mean())) ** 2
        radius = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256)))
        bands = [power[(radius > r) & (radius < 1.3 * r)].mean() for r in (0.03, 0.3)]
        slopes.append(np.log(bands[1] / bands[0]) / np.log(10))
    # Amplitude falls as f^-a with a in (0.6, 2), power as f^-2a; clipping flattens it a little.
    assert all(-4.3 < slope < -0.9 for slope in slopes)
    assert np.ptp(slopes) > 0.5


def test_salt_and_pepper_has_three_levels() -> None:
    pixels = noise.salt_and_pepper(np.random.default_rng(0)).pixels
    assert {0.0, 255.0} < set(np.unique(pixels))
    assert np.unique(pixels).size == 3


def test_flat_picture_is_flat() -> None:
    spreads = [noise.flat_picture(np.random.default_rng(seed)).pixels.std() for seed in range(12)]
    assert min(spreads) == 0
    assert 0 < max(spreads) < 3


def test_gradient_has_no_edges() -> None:
    pixels = noise.gradient_picture(np.random.default_rng(0)).pixels
    assert np.abs(np.diff(pixels, axis=0)).max() < 0.05 * np.ptp(pixels)
