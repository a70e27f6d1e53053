import imagecodecs
import numpy as np
import pytest

from builders_imaging import picture_bytes, ramp
from slicewise.imaging.formats.dicom.codestream import Declaration, codestream_in, declaration


@pytest.mark.parametrize(
    ("encoded", "bits"),
    [
        (imagecodecs.jpegls_encode(ramp(scale=130)), 16),
        (imagecodecs.ljpeg_encode(ramp(scale=130)), 16),
        (imagecodecs.jpeg2k_encode(ramp(scale=130), codecformat="J2K"), 16),
        (imagecodecs.jpeg2k_encode(ramp(scale=130), codecformat="JP2"), 16),
        (imagecodecs.htj2k_encode(ramp(scale=130)), 16),
        (picture_bytes(ramp().astype("u1"), "JPEG"), 8),
        (picture_bytes(ramp().astype("u1"), "JPEG", progressive=True), 8),
    ],
    ids=["jpeg-ls", "lossless", "j2k", "jp2", "htj2k", "baseline", "progressive"],
)
def test_it_is_what_the_encoder_was_given(encoded, bits):
    assert declaration(codestream_in(bytes(encoded))) == Declaration(20, 24, bits, 1)


@pytest.mark.parametrize(
    ("encoded", "lossy"),
    [
        (imagecodecs.jpeg2k_encode(ramp(scale=130), codecformat="J2K", level=40), True),
        (imagecodecs.jpeg2k_encode(ramp(scale=130), codecformat="JP2", level=40), True),
        (imagecodecs.jpegls_encode(ramp(scale=130), level=2), True),
        (imagecodecs.jpegls_encode(ramp(scale=130)), False),
        (imagecodecs.htj2k_encode(ramp(scale=130)), False),
    ],
)
def test_whether_it_lost_anything(encoded, lossy):
    assert declaration(codestream_in(bytes(encoded))).lossy is lossy


def test_colour_has_three_samples():
    codestream = picture_bytes(np.zeros((20, 24, 3), np.uint8), "JPEG")
    assert declaration(codestream) == Declaration(20, 24, 8, 3)


def test_other_bytes_declare_nothing():
    assert declaration(bytes(100)) is None
    assert declaration(b"\xff\xd8\xff\xe0\x00\x02") is None
