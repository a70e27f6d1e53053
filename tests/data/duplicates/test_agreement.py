"""Laying one code upon another: known warps are found, and agreement is told from none."""

import numpy as np
import pytest

from builders_data import as_pixels, cropped, head
from slicewise.data.duplicates.agreement import (
    agreement,
    laid_upon,
    refine,
    same_head,
    same_picture,
)
from slicewise.data.duplicates.fingerprint import SIDE, fingerprint

EVERYWHERE = np.ones((1, SIDE, SIDE), dtype=bool)


def code(image) -> np.ndarray:
    return fingerprint(as_pixels(image)).contrast()


def test_a_code_agrees_with_itself_and_not_with_another():
    assert agreement(code(head(1)), code(head(1)), EVERYWHERE)[0] > 0.95
    assert abs(agreement(code(head(1)), code(head(2)), EVERYWHERE)[0]) < 0.4


def test_blank_codes_agree_in_nothing():
    blank = np.zeros((1, SIDE, SIDE), np.float32)
    assert agreement(blank, blank, EVERYWHERE)[0] == 0


def test_the_identity_warp_changes_nothing():
    image = code(head(3))
    values, inside = laid_upon(image, same_head(1))
    assert values == pytest.approx(image)
    assert inside.all()


def test_a_shifted_code_is_found():
    image = code(head(4))
    moved, _ = laid_upon(image, np.array([[1.04, -1.5, 0.98, 1.2]], np.float32))
    warp = refine(moved, image, same_head(1))
    assert warp[0] == pytest.approx([1.04, -1.5, 0.98, 1.2], abs=0.15)


def test_the_same_picture_lies_upon_itself_from_different_boxes():
    one = np.array([[0.1, 0.2, 0.9, 0.8]], np.float32)
    two = np.array([[0.2, 0.1, 0.8, 0.9]], np.float32)
    a, b, c, d = same_picture(one, two)[0]
    # The middle of the picture is the middle of both codes.
    middle = (SIDE - 1) / 2
    assert (a * middle + b, c * middle + d) == pytest.approx((middle, middle), abs=1e-4)
    assert (a, c) == pytest.approx((0.8 / 0.6, 0.6 / 0.8), rel=1e-5)


def test_a_crop_is_aligned_by_its_head():
    whole, part = code(head(5)), code(cropped(head(5)))
    warp = refine(whole, part, same_head(1))
    assert agreement(whole, *laid_upon(part, warp))[0] > 0.75
