"""Noise has the spectrum and the histogram that its name says; rows lie where they say."""

from __future__ import annotations

import numpy as np
import pytest

from slicewise.arrays import Array
from slicewise.synthetic.ood import drawn
from slicewise.synthetic.ood.drawn import Row
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


@pytest.fixture
def _flat(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plane that is not bent, so that places are exact."""
    monkeypatch.setattr(drawn, "_bent", lambda rng, image: np.asarray(image)[::2, ::2])


def section(*rows: Row) -> Array:
    signals = dict.fromkeys(drawn._TISSUES, 0.0) | {"fat": 0.7}
    return drawn._section(np.random.default_rng(0), 1.0, rows, signals)


def at(values: Array, x: float, y: float) -> float:
    return float(values[round((y + 1) * 112), round((x + 1) * 112)])


@pytest.mark.usefixtures("_flat")
def test_an_ellipse_is_where_it_says() -> None:
    values = section(("fat", 0.2, -0.1, 0.5, 0.25))
    assert values.shape == (224, 224)
    assert [at(values, 0.2 + dx, -0.1) for dx in (0.46, 0.54)] == pytest.approx([0.7, 0])
    assert [at(values, 0.2, -0.1 + dy) for dy in (-0.22, -0.28)] == pytest.approx([0.7, 0])


@pytest.mark.usefixtures("_flat")
def test_a_rod_runs_through_its_stations_and_later_rows_cover_earlier_ones() -> None:
    values = section((0.3, 0.1, -0.5, 0.0, 0.0, 0.0, 0.0, 0.6), ("fat", 0.0, 0.0, 0.02, 0.02))
    assert at(values, -0.25, 0.05) == pytest.approx(0.3)
    assert at(values, 0.05, 0.3) == pytest.approx(0.3)
    assert at(values, -0.25, 0.15) == at(values, -0.25, 0.4) == 0
    assert at(values, 0.0, 0.0) == pytest.approx(0.7)


def test_a_bone_is_marrow_in_a_rind_in_cartilage() -> None:
    rows = drawn._bones((0.0, 0.0, 0.3, 0.2), (0.1, -0.5, 0.0, 0.5, 0.0))
    assert [row[0] for row in rows] == ["cartilage"] * 2 + ["cortex"] * 2 + ["marrow"] * 2
    assert rows[0][1:] == pytest.approx((0.0, 0.0, 0.325, 0.225))
    assert rows[-1][1:] == pytest.approx((0.075, -0.5, 0.0, 0.5, 0.0))


def test_bending_moves_a_border_by_a_little() -> None:
    rows: list[Row] = [("fat", 0.0, 0.0, 0.5, 0.5)]
    one, other = (
        drawn._section(np.random.default_rng(seed), 1.0, rows, {"fat": 0.7}) for seed in (0, 1)
    )
    assert one.shape == other.shape == (224, 224)
    assert not np.array_equal(one, other)
    for values in (one, other):
        radius = np.sqrt(np.mean(values > 0.35) * 4 / np.pi)
        assert 0.42 < radius < 0.58


@pytest.mark.parametrize("name", ["abdomen_ct", "head_ct", "head_ct_bone"])
def test_ct_has_white_bone_and_black_air(name: str) -> None:
    values = KINDS[name].make(np.random.default_rng(3))
    assert np.mean(values > 0.8) > 0.005
    assert np.mean(values[0]) < 0.05
    assert np.mean(values < 0.05) > 0.15


def test_an_abdomen_is_the_same_section_as_mr_and_as_ct() -> None:
    signals = dict.fromkeys(("air", "fat"), 0.0)
    assert {row[0] for row in drawn._abdomen(np.random.default_rng(0))} <= set(drawn._TISSUES)
    assert not signals.keys() - set(drawn._TISSUES)
    mr, ct = (KINDS[name].make(np.random.default_rng(2)) for name in ("abdomen_mr", "abdomen_ct"))
    assert mr.shape[1] / mr.shape[0] == pytest.approx(1.4, abs=0.02)
    assert ct.shape[1] / ct.shape[0] == pytest.approx(1.4, abs=0.02)


def test_ultrasound_is_a_fan_of_speckle() -> None:
    values = KINDS["ultrasound"].make(np.random.default_rng(0))
    rows = values[:, values.shape[1] // 8 : -values.shape[1] // 8]
    lit = (rows > 0.05).mean(axis=1)
    assert lit[len(lit) // 8] < lit[3 * len(lit) // 4]
    assert values.std() > 0.05
