"""Noise with the spectrum and the histogram that its name says; flat pictures and stripes."""

from __future__ import annotations

import numpy as np
import pytest

from slicewise.synthetic.ood import drawn
from slicewise.synthetic.ood.kinds import KINDS
from slicewise.synthetic.ood.picture import Values


@pytest.fixture(autouse=True)
def _one_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawn, "draw_shape", lambda rng: (256, 256))


def made(name: str, seed: int = 0) -> Values:
    return KINDS[name].make(np.random.default_rng(seed))


def test_gaussian_noise_is_uncorrelated() -> None:
    pixels = made("gaussian_noise")
    centred = pixels - pixels.mean()
    assert abs(float((centred[1:] * centred[:-1]).mean() / centred.var())) < 0.02


def test_coloured_noise_falls_with_frequency() -> None:
    slopes = []
    for seed in range(6):
        pixels = made("coloured_noise", seed)
        power = np.abs(np.fft.fft2(pixels - pixels.mean())) ** 2
        radius = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256)))
        bands = [power[(radius > r) & (radius < 1.3 * r)].mean() for r in (0.03, 0.3)]
        slopes.append(np.log(bands[1] / bands[0]) / np.log(10))
    # Amplitude falls as f^-a with a in (0.6, 2), power as f^-2a.
    assert all(-4.3 < slope < -0.9 for slope in slopes)
    assert np.ptp(slopes) > 0.5


def test_speckle_noise_is_as_skewed_as_a_rayleigh_distribution() -> None:
    pixels = np.concatenate([made("speckle_noise", seed).ravel() for seed in range(4)])
    assert pixels.min() >= 0
    assert np.mean((pixels - pixels.mean()) ** 3) / pixels.std() ** 3 > 0.5


def test_flat_picture_is_flat() -> None:
    spreads = [255 * made("flat_picture", seed).std() for seed in range(12)]
    assert min(spreads) == pytest.approx(0, abs=1e-9)
    assert 0 < max(spreads) < 3


def test_gradient_has_no_edges() -> None:
    pixels = made("gradient_picture")
    assert np.abs(np.diff(pixels, axis=0)).max() < 0.05 * np.ptp(pixels)


def test_pages_are_ink_on_paper_of_one_level() -> None:
    for name in ("text_page", "barcode"):
        pixels = made(name)
        page = pixels if pixels.ndim == 2 else pixels.mean(axis=2)
        levels, counts = np.unique(page.round(2), return_counts=True)
        assert counts.max() > 0.4 * page.size, name
        assert np.abs(levels[counts > 0.002 * page.size] - levels[counts.argmax()]).max() > 0.5


def test_a_scene_has_edges_at_all_places() -> None:
    pixels = made("scene")
    plane = pixels if pixels.ndim == 2 else pixels.mean(axis=2)
    half = plane.shape[1] // 2
    for part in (plane[:, :half], plane[:, half:]):
        assert np.mean(np.abs(np.diff(part, axis=1)) > 0.1) > 0.003
