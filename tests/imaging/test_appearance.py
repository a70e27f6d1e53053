from __future__ import annotations

import numpy as np
import pytest

from slicewise.imaging.appearance import APPEARANCE_NAMES, Appearance, appearance


def ellipse(height: int = 200, width: int = 200, tall: float = 80, wide: float = 60) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    inside = ((rows - height / 2) / tall) ** 2 + ((columns - width / 2) / wide) ** 2 < 1
    return np.where(inside, 100.0, 0.0).astype(np.float32)


def of(pixels: np.ndarray) -> Appearance:
    return appearance(np.ascontiguousarray(pixels, dtype=np.float32))


def test_shape_of_an_ellipse() -> None:
    found = of(ellipse())
    assert found.foreground_share == pytest.approx(np.pi * 80 * 60 / 200**2, abs=0.02)
    assert found.elongation == pytest.approx(np.log(80 / 60), abs=0.02)
    assert found.fill > 0.97
    assert found.spill < 0.01
    assert (found.offset_down, found.offset_across) == pytest.approx((0, 0), abs=0.02)
    assert found.mirror_symmetry > 0.7
    assert found.border_level == 0


def test_brightness_and_contrast_change_nothing() -> None:
    rng = np.random.default_rng(0)
    pixels = ellipse() + rng.normal(0, 5, (200, 200))
    np.testing.assert_allclose(of(pixels).vector(), of(pixels * 37 + 900).vector(), atol=1e-3)


def test_size_of_the_picture_matters_little() -> None:
    small, large = of(ellipse()).vector(), of(ellipse(400, 400, 160, 120)).vector()
    assert np.abs(small - large).max() < 0.35


def test_levels_down_the_picture() -> None:
    pixels = ellipse()
    pixels[100:] *= 0.5
    assert of(pixels).down_tilt == pytest.approx(-0.5, abs=0.06)
    assert of(pixels[::-1]).down_tilt == pytest.approx(0.5, abs=0.06)


def test_a_bright_rim_shows_in_the_rings() -> None:
    found = of(ellipse() + ellipse(tall=80, wide=60) - ellipse(tall=60, wide=45))
    assert found.ring_3 > 1.5 * found.ring_0


def test_noise_is_rough_and_a_ramp_is_smooth() -> None:
    rng = np.random.default_rng(0)
    noise, ramp = of(rng.normal(size=(128, 128))), of(np.mgrid[:128, :128][0])
    assert noise.noise > 20 * ramp.noise
    assert noise.grain > 0 > ramp.grain
    assert ramp.straightness == 0 or ramp.straightness > 0.9


def test_straight_edges_of_a_screen() -> None:
    pixels = np.zeros((120, 120))
    for top in range(5, 115, 12):
        pixels[top : top + 6, 10:110] = 1
    assert of(pixels).straightness > 0.9 > 0.5 > of(ellipse()).straightness


@pytest.mark.parametrize("shape", [(40, 900), (900, 40), (16, 16)])
def test_odd_shapes_and_blank_pictures_are_finite(shape: tuple[int, int]) -> None:
    for pixels in (np.zeros(shape), np.random.default_rng(0).random(shape)):
        found = of(pixels).vector()
        assert np.isfinite(found).all()
        assert found.shape == (len(APPEARANCE_NAMES),)


def test_names_are_in_the_order_of_the_numbers() -> None:
    found = of(ellipse())
    vector = dict(zip(APPEARANCE_NAMES, found.vector(), strict=True))
    assert vector["ring_1"] == pytest.approx(found.ring_1)
    assert vector["grain"] == pytest.approx(found.grain)
    assert vector["log_aspect"] == 0
