"""Phantoms: deterministic, labelled as synthetic, and drawn as they say."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from slicewise.errors import InputError
from slicewise.imaging.limits import Limits
from slicewise.imaging.preprocess import head_box
from slicewise.imaging.read import read_inputs
from slicewise.imaging.slice import Series
from slicewise.synthetic.phantom.drawing import Phantom, render
from slicewise.synthetic.phantom.files import SERIES_SLICES, write_phantoms
from slicewise.synthetic.phantom.geometry import Cut, WaveField, ellipsoid, tube
from slicewise.synthetic.phantom.parameters import (
    LABELS,
    PLANES,
    Label,
    Plane,
    draw_parameters,
    draw_series,
)

SIDE = 128


def drawn(label: Label, plane: Plane = "axial", seed: int = 0, size: int = SIDE) -> Phantom:
    return render(draw_parameters(np.random.default_rng(seed), label, plane), size)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    out = tmp_path_factory.mktemp("phantoms")
    return out, write_phantoms(out, count=1, seed=3, size=SIDE)


class TestGeometry:
    def test_the_middle_of_a_cut_is_where_it_says(self) -> None:
        points = Cut("coronal", 7.0, (3.0, -10.0), 100.0, 0.0, 100).points()
        middle = (slice(49, 51), slice(49, 51))
        assert points.x[middle].mean() == pytest.approx(3.0, abs=1e-4)
        assert points.y[middle].mean() == pytest.approx(7.0, abs=1e-4)
        assert points.z[middle].mean() == pytest.approx(10.0, abs=1e-4)  # rows run downwards

    def test_distance_to_a_ball_is_exact(self) -> None:
        points = Cut("axial", 0.0, (0.0, 0.0), 60.0, 0.0, 60).points()
        expected = np.sqrt(points.x**2 + points.y**2) - 20
        assert np.allclose(ellipsoid(points, (0, 0, 0), (20, 20, 20)), expected, atol=1e-3)
        assert np.allclose(tube(points, (((0, 0, -50), 20), ((0, 0, 50), 20))), expected, atol=1e-3)

    def test_fields_of_crossing_cuts_agree_where_they_meet(self) -> None:
        field = WaveField.draw(np.random.default_rng(1), 30.0)
        axial = field.on(Cut("axial", 0.5, (0.0, 0.0), 65.0, 0.0, 65))
        coronal = field.on(Cut("coronal", 2.0, (0.0, -0.5), 65.0, 0.0, 65))
        assert np.allclose(axial[34], coronal[32], atol=1e-4)


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

    def test_the_tumor_box_bounds_the_mask(self) -> None:
        phantom = drawn("meningioma")
        box = phantom.tumor_box
        assert box is not None
        x, y, width, height = (share * SIDE for share in box)
        rows, columns = np.nonzero(phantom.mask)
        assert (x - width / 2, x + width / 2) == pytest.approx((columns.min(), columns.max() + 1))
        assert (y - height / 2, y + height / 2) == pytest.approx((rows.min(), rows.max() + 1))
        assert drawn("no_tumor").tumor_box is None

    def test_the_caption_stands_outside_the_head(self) -> None:
        for plane in PLANES:
            pixels = drawn("pituitary", plane, size=256).pixels
            box = head_box(pixels)
            band = pixels[: 256 // 16]
            inked = np.argwhere(band > 350)
            assert len(inked) > 20
            assert (
                box.top > inked[:, 0].max()
                or not ((inked[:, 1] >= box.left) & (inked[:, 1] < box.right)).any()
            )


class TestSeries:
    def test_neighbouring_slices_resemble_each_other(self) -> None:
        cuts = draw_series(np.random.default_rng(0), "glioma", 12)
        near = replace(cuts[6], offset_mm=cuts[6].offset_mm + 1)
        a, b, far = (render(cut, SIDE).pixels.ravel() for cut in (cuts[6], near, cuts[0]))
        assert np.corrcoef(a, b)[0, 1] > 0.95
        assert np.corrcoef(a, b)[0, 1] > np.corrcoef(a, far)[0, 1] + 0.1

    def test_the_tumor_is_in_some_slices_only(self) -> None:
        cuts = draw_series(np.random.default_rng(0), "glioma", 12)
        with_tumor = [render(cut, SIDE).mask.any() for cut in cuts]
        assert 1 <= sum(with_tumor) < 12


class TestFiles:
    def test_layout(self, written: tuple[Path, list[Path]]) -> None:
        out, paths = written
        pictures = [f"{label}/{label}_0.png" for label in LABELS]
        slices = [f"series/slice_{n:02d}.dcm" for n in range(1, SERIES_SLICES + 1)]
        assert [path.relative_to(out).as_posix() for path in paths] == pictures + slices
        assert all(path.is_file() for path in paths)

    def test_a_picture_says_what_it_is(self, written: tuple[Path, list[Path]]) -> None:
        with Image.open(written[1][0]) as picture:
            assert picture.mode == "L"
            assert picture.info["slicewise:synthetic"] == "true"
            assert picture.info["slicewise:drawn"] == "glioma"
            assert len(picture.info["slicewise:tumor_box"].split()) == 4

    def test_a_dicom_slice_says_what_it_is(self, written: tuple[Path, list[Path]]) -> None:
        dataset = pydicom.dcmread(written[1][-1])
        assert dataset.PatientName == "SYNTHETIC^PHANTOM"
        assert dataset.Manufacturer == "SliceWise phantom"
        assert dataset.ImageType[:2] == ["DERIVED", "SECONDARY"]
        assert dataset.BurnedInAnnotation == "YES"
        assert dataset.ImageComments.startswith("slicewise:synthetic=true;drawn=glioma")
        assert dataset.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian

    def test_the_series_is_read_back_as_one_axial_volume(
        self, written: tuple[Path, list[Path]]
    ) -> None:
        (series,) = read_inputs([written[0] / "series"], Limits())
        assert isinstance(series, Series)
        assert (series.is_volume, series.plane) == (True, "axial")
        assert len(series.slices) == SERIES_SLICES
        heights = [s.position_mm[2] for s in series.slices if s.position_mm is not None]
        steps = [high - low for low, high in pairwise(heights)]
        assert steps == pytest.approx([steps[0]] * (SERIES_SLICES - 1), abs=1e-3)
        assert all(s.annotations["drawn"] == "glioma" for s in series.slices)

    def test_equal_seeds_give_equal_files(
        self, written: tuple[Path, list[Path]], tmp_path: Path
    ) -> None:
        again = write_phantoms(tmp_path, count=1, seed=3, size=SIDE)
        for old, new in zip(written[1], again, strict=True):
            assert old.read_bytes() == new.read_bytes()

    @pytest.mark.parametrize(("count", "size"), [(0, SIDE), (1, 32), (1, 10_000)])
    def test_out_of_range_is_refused(self, tmp_path: Path, count: int, size: int) -> None:
        with pytest.raises(InputError, match="expected"):
            write_phantoms(tmp_path, count=count, seed=0, size=size)

    def test_a_place_that_cannot_be_written_is_named(self, tmp_path: Path) -> None:
        blocked = tmp_path / "file"
        blocked.write_text("")
        with pytest.raises(InputError, match="file: cannot write"):
            write_phantoms(blocked, count=1, seed=0, size=64)
