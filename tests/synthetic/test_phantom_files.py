"""Phantoms as files: labelled as synthetic, the same from the same seed, read back as they say."""

from __future__ import annotations

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
from slicewise.synthetic.phantom import LABELS, PLANES, Label, Plane, draw_parameters
from slicewise.synthetic.phantom_files import SERIES_SLICES, Phantom, render, write_phantoms

SIDE = 128


def drawn(label: Label, plane: Plane = "axial", size: int = SIDE) -> Phantom:
    return render(draw_parameters(np.random.default_rng(0), label, plane), size)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    out = tmp_path_factory.mktemp("phantoms")
    return out, write_phantoms(out, count=1, seed=3, size=SIDE)


class TestPicture:
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
