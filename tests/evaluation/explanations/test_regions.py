"""Where a tumor is: boxes by name, masks by reference, the head's ellipse."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

from builders import head_pixels
from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.errors import EvaluationError, ManifestError
from slicewise.evaluation.explanations.regions import (
    TumorBox,
    head_region,
    read_boxes,
    tumor_region,
)
from slicewise.imaging.preprocess import head_box

HEADER = "number,x_center,y_center,width,height\n"


def row(path: str, **extra: str) -> ManifestRow:
    return ManifestRow(path, "glioma", "made", "", "g", "test", "0" * 64, 8, 8, extra)


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "boxes.csv"
    path.write_text(HEADER + text)
    return path


def test_a_box_covers_the_pixels_whose_centres_it_holds() -> None:
    region = TumorBox(0.5, 0.25, 0.5, 0.5).region((8, 4))
    assert np.argwhere(region).tolist() == [[r, c] for r in range(4) for c in (1, 2)]


def test_a_tiny_box_is_one_pixel() -> None:
    assert np.argwhere(TumorBox(1.0, 0.0, 0.0, 0.0).region((8, 4))).tolist() == [[0, 3]]


@pytest.mark.parametrize("path", ["../x/glioma/7.png", "7.png", "other/7.jpg", "/a/b/glioma/7.png"])
def test_slices_are_named_by_path_name_or_stem(tmp_path, path) -> None:
    boxes = read_boxes(table(tmp_path, "7,0.5,0.5,1,1\n"))
    assert boxes.region(path, (3, 3)).all()
    assert boxes.region("8.png", (3, 3)) is None
    assert boxes.region("17.png", (3, 3)) is None


def test_the_longest_name_counts_and_boxes_of_a_slice_join(tmp_path) -> None:
    text = "a/7.png,0.25,0.5,0.5,1\n7,0.75,0.5,0.5,1\na/8,0.25,0.5,0.5,1\na/8,0.75,0.5,0.5,1\n"
    boxes = read_boxes(table(tmp_path, text))
    assert boxes.region("x/a/7.png", (2, 2)).tolist() == [[True, False]] * 2
    assert boxes.region("b/7.png", (2, 2)).tolist() == [[False, True]] * 2
    assert boxes.region("a/8.png", (2, 2)).all()


def test_one_name_for_two_slices_is_refused(tmp_path) -> None:
    boxes = read_boxes(table(tmp_path, "7,0.5,0.5,1,1\n"))
    boxes.require_one_each(iter(["a/7.png", "a/7.png", "8.png"]))
    with pytest.raises(ManifestError, match=r"one slice for '7'; got a/7.png and b/7.png"):
        boxes.require_one_each(iter(["a/7.png", "b/7.png"]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER + "1,0.5,0.5,1.5,1\n", "row 1, column width: expected a fraction .* got '1.5'"),
        (HEADER + "1,0.5,x,1,1\n", "column y_center: expected a fraction"),
        (HEADER + "1,0.5,nan,1,1\n", "column y_center: expected a fraction"),
        ("x_center,y_center,width,height\n0,0,1,1\n", "expected a column that names the slice"),
        ("number,x,y\n1,0,0\n", "x_center, y_center, width, height; got number, x, y"),
        (HEADER, "got no rows"),
    ],
)
def test_tables_that_hold_no_boxes_are_refused(tmp_path, text, message) -> None:
    (tmp_path / "boxes.csv").write_text(text)
    with pytest.raises(ManifestError, match=message):
        read_boxes(tmp_path / "boxes.csv")


def test_a_mask_goes_before_a_box(tmp_path) -> None:
    mask = np.zeros((16, 18, 2), np.uint8)
    mask[15, 17, 1] = 1  # right, anterior: the upper left corner of the picture
    nibabel.save(nibabel.Nifti1Image(mask, np.eye(4)), tmp_path / "m.nii")
    boxes = read_boxes(table(tmp_path, "1,0.5,0.5,1,1\n"))
    manifest = Manifest((), tmp_path)
    region = tumor_region(manifest, row("1.png", mask="m.nii#1"), (18, 16), boxes)
    assert np.argwhere(region).tolist() == [[0, 0]]
    assert tumor_region(manifest, row("1.png", mask="m.nii#0"), (18, 16), boxes) is None
    assert tumor_region(manifest, row("1.png"), (8, 6), boxes).all()
    assert tumor_region(manifest, row("1.png"), (8, 6), None) is None
    with pytest.raises(EvaluationError, match=r"expected a mask of \(9, 6\); got \(18, 16\)"):
        tumor_region(manifest, row("1.png", mask="m.nii#1"), (9, 6), boxes)


def test_the_head_is_the_ellipse_in_its_box() -> None:
    pixels = head_pixels(128, centre=(0.45, 0.55))
    region, box = head_region(pixels), head_box(pixels)
    rows, columns = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
    assert (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1) == pytest.approx(
        (box.top, box.bottom, box.left, box.right), abs=1
    )
    area = np.pi / 4 * (box.bottom - box.top) * (box.right - box.left)
    assert region.sum() == pytest.approx(area, rel=0.02)


def test_a_table_of_a_spreadsheet_in_german_is_read(tmp_path) -> None:
    path = tmp_path / "boxes.csv"
    text = "Schicht;x_center;y_center;width;height\r\ngröße\\7.png;0,25;0,5;0,5;1\r\n"
    path.write_bytes(text.encode("latin-1"))
    boxes = read_boxes(path)
    assert boxes.region("x/größe/7.png", (2, 2)).tolist() == [[True, False]] * 2
    assert boxes.region("7.png", (2, 2)) is None
