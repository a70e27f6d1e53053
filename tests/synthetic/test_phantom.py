"""Phantoms: anatomy in millimetres, deterministic, and drawn as they say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from slicewise.synthetic.phantom import (
    LABELS,
    PLANES,
    Cut,
    Label,
    Plane,
    distance,
    draw_parameters,
    draw_series,
    paint,
)
from slicewise.synthetic.phantom_files import Phantom, render

SIDE = 128


def drawn(label: Label, plane: Plane = "axial", seed: int = 0, size: int = SIDE) -> Phantom:
    return render(draw_parameters(np.random.default_rng(seed), label, plane), size)


class TestGeometry:
    def test_the_middle_of_a_cut_is_where_it_says(self) -> None:
        points = Cut("coronal", 7.0, (3.0, -10.0), 100.0, 0.0, 100).points()
        middle = points[:, 49:51, 49:51].mean(axis=(1, 2))
        assert middle == pytest.approx((3.0, 7.0, 10.0), abs=1e-4)  # rows run downwards

    def test_distance_to_a_ball_is_exact(self) -> None:
        points = Cut("axial", 0.0, (0.0, 0.0), 60.0, 0.0, 60).points()
        expected = np.hypot(points[0], points[1]) - 20
        ball, tube = (0, 0, 0, 20, 20, 20), ((0, 0, -50, 20), (0, 0, 50, 20))
        for shape in (ball, tube):
            assert np.allclose(distance(points, shape), expected, atol=2e-3)

    def test_fields_of_crossing_cuts_agree_where_they_meet(self) -> None:
        cuts = (
            Cut("axial", 0.5, (0.0, 0.0), 65.0, 0.0, 65),
            Cut("coronal", 2.0, (0.0, -0.5), 65.0, 0.0, 65),
        )
        axial, coronal = (cut.field(np.random.default_rng(1), 30.0) for cut in cuts)
        assert np.allclose(axial[34], coronal[32], atol=1e-4)
        assert axial.std() == pytest.approx(1, abs=0.35)


class TestDrawing:
    @pytest.mark.parametrize("plane", PLANES)
    @pytest.mark.parametrize("label", LABELS)
    def test_every_label_in_every_plane(self, label: Label, plane: Plane) -> None:
        for seed in range(3):
            phantom = drawn(label, plane, seed)
            assert phantom.pixels.shape == (SIDE, SIDE)
            assert phantom.pixels.dtype == np.float32
            assert np.isfinite(phantom.pixels).all()
            assert phantom.pixels.min() >= 0
            assert phantom.mask.any() == (label != "no_tumor")

    def test_equal_seeds_give_equal_pixels_and_others_do_not(self) -> None:
        first, again, other = (drawn("glioma", seed=seed).pixels for seed in (5, 5, 6))
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)

    @pytest.mark.parametrize("label", ["meningioma", "pituitary"])
    def test_the_tumor_is_brighter_than_the_same_place_without(self, label: Label) -> None:
        parameters = draw_parameters(np.random.default_rng(2), label, "coronal")
        tumor = render(parameters, SIDE)
        without = render(replace(parameters, label="no_tumor", lesion=None), SIDE)
        assert tumor.pixels[tumor.mask].mean() > 1.5 * without.pixels[tumor.mask].mean()

    def test_a_glioma_has_a_bright_rim_and_a_dark_core(self) -> None:
        phantom = drawn("glioma", seed=1, size=256)
        rows, columns = np.nonzero(phantom.mask)
        middle = (round(rows.mean()), round(columns.mean()))
        core = phantom.pixels[middle[0] - 2 : middle[0] + 3, middle[1] - 2 : middle[1] + 3]
        assert np.percentile(phantom.pixels[phantom.mask], 90) > 2 * core.mean()

    def test_a_tumor_is_painted_where_it_was_drawn(self) -> None:
        parameters = draw_parameters(np.random.default_rng(4), "glioma", "axial")
        assert parameters.lesion is not None
        _, tumor = paint(replace(parameters, cut=replace(parameters.cut, size=SIDE)))
        x, y, _ = replace(parameters.cut, size=SIDE).points()[:, tumor > 0.5].mean(axis=1)
        assert (x, y) == pytest.approx(parameters.lesion.center[:2], abs=6)


class TestSeries:
    def test_neighbouring_slices_resemble_each_other(self) -> None:
        cuts = draw_series(np.random.default_rng(0), "glioma", 12, gap_mm=8.75)
        near = replace(cuts[6], cut=replace(cuts[6].cut, offset_mm=cuts[6].cut.offset_mm + 1))
        a, b, far = (render(cut, SIDE).pixels.ravel() for cut in (cuts[6], near, cuts[0]))
        assert np.corrcoef(a, b)[0, 1] > 0.95
        assert np.corrcoef(a, b)[0, 1] > np.corrcoef(a, far)[0, 1] + 0.1

    def test_the_tumor_is_in_some_slices_only(self) -> None:
        cuts = draw_series(np.random.default_rng(0), "glioma", 12, gap_mm=8.75)
        with_tumor = [render(cut, SIDE).mask.any() for cut in cuts]
        assert 1 <= sum(with_tumor) < 12
