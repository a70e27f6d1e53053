import pytest

from slicewise.errors import InputError, LimitError
from slicewise.imaging.limits import Limits


def test_the_limit_itself_is_allowed():
    limits = Limits(max_bytes=10, max_pixels=400, max_frames=2, max_volume_pixels=800)
    limits.check_bytes(10)
    limits.check_image(20, 20, 2)


@pytest.mark.parametrize(
    ("extent", "message"),
    [
        ((21, 20), "at most 400 pixels, got 21 x 20"),
        ((20, 20, 3), "at most 2 images, got 3"),
        ((20, 18, 2), "at most 700 pixels in 2 images, got 720"),
    ],
)
def test_more_is_refused(extent, message):
    with pytest.raises(LimitError, match=message):
        Limits(max_pixels=400, max_frames=2, max_volume_pixels=700).check_image(*extent)


def test_bytes():
    with pytest.raises(LimitError, match="at most 10 bytes, unpacked; got 11"):
        Limits(max_bytes=10).check_bytes(11)
    with pytest.raises(InputError, match="empty"):
        Limits().check_bytes(0)


@pytest.mark.parametrize("extent", [(1, 1), (15, 16), (16, 15), (0, 99), (-5, 99)])
def test_what_is_too_small_for_a_head_is_refused(extent):
    with pytest.raises(InputError, match="at least 16 x 16 pixels, got"):
        Limits().check_image(*extent)


def test_small_expansion_is_harmless():
    limits = Limits(max_zip_ratio=100)
    limits.check_expansion(8 * 2**20, 1)
    limits.check_expansion(100 * 10**6, 10**6)
    with pytest.raises(LimitError, match="at most 100 times, got 100,000,001 bytes from 1,000,000"):
        limits.check_expansion(100_000_001, 1_000_000)
