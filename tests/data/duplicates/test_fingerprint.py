"""Fingerprints: what they forget, what they keep, and their file."""

import numpy as np
import pytest
from scipy import ndimage

from builders_data import as_pixels, head
from slicewise.data.duplicates.fingerprint import (
    Fingerprints,
    blur,
    concatenate,
    fingerprint,
    fingerprints,
    hashed_fingerprints,
    interpolation,
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
    np.savez(path, format=np.uint8(1))
    with pytest.raises(ManifestError, match="expected a fingerprint file"):
        Fingerprints.load(path)
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ManifestError, match="expected a fingerprint file"):
        Fingerprints.load(path)


def test_a_damaged_file_is_refused_wherever_the_damage_is(tmp_path):
    path = tmp_path / "seen.npz"
    fingerprints([as_pixels(head(i)) for i in range(2)]).save(path)
    whole = path.read_bytes()
    for at in range(0, len(whole), 97):
        path.write_bytes(whole[:at])
        with pytest.raises(ManifestError, match="expected a fingerprint file"):
            Fingerprints.load(path)
    refused = 0
    for at in range(0, len(whole), 13):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
        try:
            Fingerprints.load(path)
        except ManifestError:
            refused += 1
    assert refused > len(whole) / 13 / 2


def test_a_fault_of_our_own_is_not_told_as_a_broken_file(tmp_path, monkeypatch):
    def broken(*_, **__):
        raise AttributeError("ours")

    fingerprints([]).save(tmp_path / "seen.npz")
    monkeypatch.setattr(np, "load", broken)
    with pytest.raises(AttributeError, match="ours"):
        Fingerprints.load(tmp_path / "seen.npz")


def test_blur_agrees_with_scipy_inside():
    image = np.random.default_rng(0).random((1, 40, 40)).astype(np.float32)
    expected = ndimage.gaussian_filter(image[0], 1.5, truncate=8)
    assert blur(image, 1.5)[0, 12:-12, 12:-12] == pytest.approx(expected[12:-12, 12:-12], abs=1e-5)


def test_blur_keeps_a_constant_up_to_the_edge():
    assert blur(np.full((2, 9, 9), 3, np.float32), 2.0) == pytest.approx(3)


def test_interpolation_is_linear_with_reach_one():
    weights = interpolation(np.array([[0.0, 2.25]], np.float32), 5, np.ones(1, np.float32))
    assert weights[0] == pytest.approx(np.array([[1, 0, 0, 0, 0], [0, 0, 0.75, 0.25, 0]]))


def test_interpolation_averages_with_a_longer_reach():
    weights = interpolation(np.array([[2.0]], np.float32), 5, np.array([2.0], np.float32))
    assert weights[0, 0] == pytest.approx([0, 0.25, 0.5, 0.25, 0])


def test_a_known_hash_of_pixels_takes_the_place_of_the_digest():
    one, two = (as_pixels(head(seed, side=64)) for seed in (1, 2))
    named = hashed_fingerprints([(one, "ab" * 32), (two, "cd" * 32), (one, "ab" * 32), (two, "")])
    plain = fingerprints([one, two, one, two])
    assert named.digests[0].tobytes() == named.digests[2].tobytes() == b"\xab" * 16
    np.testing.assert_array_equal(named.digests[3], plain.digests[3])
    np.testing.assert_array_equal(named.codes, plain.codes)
    np.testing.assert_array_equal(named.boxes, plain.boxes)
