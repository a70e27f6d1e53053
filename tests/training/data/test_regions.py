from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from builders_training import write_heads
from slicewise.data.manifest import Manifest
from slicewise.data.tasks import FOUR_CLASS
from slicewise.errors import ManifestError
from slicewise.imaging.preprocess import Placement, PreprocessSpec
from slicewise.training.data.dataset import load_slices
from slicewise.training.data.regions import load_regions, placed

SPEC = PreprocessSpec(size=32, crop="none")


def regions_of(manifest: Manifest, table: Path, cache: Path) -> np.ndarray:
    slices = load_slices(manifest, SPEC, cache.with_name("slices"))
    return load_regions(slices, FOUR_CLASS, SPEC, table, cache)


@pytest.fixture
def manifest(tmp_path) -> Manifest:
    return write_heads(tmp_path, groups=1)


def boxes(manifest: Manifest, text: str = "0.5,0.25,0.5,0.25"):
    path = manifest.folder / "boxes.csv"
    lines = [f"{row.path},{text}" for row in manifest.rows if row.label != "meningioma"]
    path.write_text("\n".join(["path,x_center,y_center,width,height", *lines]) + "\n")
    return path


def test_a_box_lies_on_the_square_where_it_lies_on_the_slice(manifest, tmp_path):
    regions = regions_of(manifest, boxes(manifest), tmp_path / "cache")
    assert regions.shape == (len(manifest.rows), 32, 32)
    expected = np.zeros((32, 32), dtype=bool)
    expected[4:12, 8:24] = True
    for row, region in zip(manifest.rows, regions, strict=True):
        if row.label in {"glioma", "pituitary"}:
            assert ((region > 127) == expected).all()
        else:
            assert not region.any()  # no tumor, or no box


def test_regions_are_kept_and_made_anew_for_another_table(manifest, tmp_path):
    cache = tmp_path / "cache"
    first = regions_of(manifest, boxes(manifest), cache)
    again = regions_of(manifest, boxes(manifest), cache)
    assert len(list(cache.iterdir())) == 1
    assert (first == again).all()
    other = regions_of(manifest, boxes(manifest, "0.5,0.5,0.2,0.2"), cache)
    assert len(list(cache.iterdir())) == 2
    assert (first != other).any()


def test_masks_come_before_boxes(manifest, tmp_path):
    from PIL import Image

    mask = np.zeros((64, 64), dtype=np.uint8)
    mask[40:60, 40:60] = 255
    Image.fromarray(mask).save(manifest.folder / "mask.png")
    rows = tuple(replace(row, extra={**row.extra, "mask": "mask.png"}) for row in manifest.rows)
    regions = regions_of(replace(manifest, rows=rows), boxes(manifest), tmp_path / "cache")
    for row, region in zip(rows, regions, strict=True):
        if row.label == "no_tumor":
            assert not region.any()
        else:
            assert (region[21:29, 21:29] > 127).all()
            assert not region[:19].any()


def test_what_lies_outside_of_the_slice_is_no_region():
    region = np.ones((10, 20), dtype=bool)
    square = placed(region, Placement(top=-5, left=0, side=20), 20)
    assert (square[5:15] == 255).all()
    assert not square[:5].any()
    assert not square[15:].any()


def test_a_table_that_is_none_is_refused(manifest, tmp_path):
    (tmp_path / "bad.csv").write_text("path,x\na,1\n")
    with pytest.raises(ManifestError, match="x_center"):
        regions_of(manifest, tmp_path / "bad.csv", tmp_path / "cache")
