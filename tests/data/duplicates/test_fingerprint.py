"""Fingerprints: what they forget, what they keep, and their file."""

import numpy as np
import pytest

from builders_data import as_pixels, head
from slicewise.data.duplicates.fingerprint import (
    Fingerprints,
    concatenate,
    fingerprint,
    fingerprints,
)
from slicewise.errors import ManifestError


def test_brightness_and_scale_drop_out():
    pixels = as_pixels(head(1))
    one, two = fingerprint(pixels), fingerprint(pixels * 37 + 1000)
    assert np.abs(one.codes.astype(int) - two.codes).max() <= 1
    assert one.boxes == pytest.approx(two.boxes, abs=1e-3)
    assert (one.digests != two.digests).any()


def test_a_box_frames_an_ellipse():
    y, x = np.mgrid[0:1:200j, 0:1:200j]
    ellipse = (np.hypot((x - 0.5) / 0.3, (y - 0.45) / 0.4) < 1).astype(np.float32)
    left, top, right, bottom = fingerprint(ellipse).boxes[0].astype(float)
    # 2.2 standard deviations are 1.1 half axes
    assert (left, right) == pytest.approx((0.17, 0.83), abs=0.01)
    assert (top, bottom) == pytest.approx((0.01, 0.89), abs=0.01)


def test_many_are_the_same_as_one_by_one():
    heads = [as_pixels(head(i, side=64)) for i in range(3)]
    apart = concatenate([fingerprint(pixels) for pixels in heads])
    together = fingerprints(iter(heads))
    assert (apart.codes == together.codes).all()
    assert (apart.digests == together.digests).all()
    assert len(together.take([2, 0])) == 2
    assert len(concatenate([])) == len(fingerprints([])) == 0


@pytest.mark.parametrize("value", [0.0, 5.0])
def test_a_blank_slice_has_no_contrast(value):
    blank = fingerprint(np.full((64, 64), value, np.float32))
    assert (blank.contrast() == 0).all()


def test_a_file_gives_back_what_was_saved(tmp_path):
    prints = fingerprints([as_pixels(head(i)) for i in range(8)])
    prints.save(tmp_path / "seen.npz")
    loaded = Fingerprints.load(tmp_path / "seen.npz")
    assert (loaded.codes == prints.codes).all()
    assert (loaded.boxes == prints.boxes).all()
    assert (loaded.digests == prints.digests).all()
    assert (tmp_path / "seen.npz").stat().st_size < 8 * 1700 + 1000


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "seen.npz"
    path.write_bytes(b"PK no")
    with pytest.raises(ManifestError, match="expected a fingerprint file"):
        Fingerprints.load(path)
    np.savez(path, format=np.uint8(1), codes=np.zeros((2, 3)), boxes=[], digests=[])
    with pytest.raises(ManifestError, match="format 1"):
        Fingerprints.load(path)
    np.savez(path, format=np.array(object()), codes=[], boxes=[], digests=[])
    with pytest.raises(ManifestError):
        Fingerprints.load(path)
