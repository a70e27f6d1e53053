import pytest

from builders_imaging import dicom_bytes, gzip_bytes, nifti_bytes, picture_bytes, ramp, zip_bytes
from slicewise.imaging.formats.content import (
    HEAD_BYTES,
    content_of,
    looks_like_text,
    unknown_content,
)

PICTURES = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
VOLUME = nifti_bytes(ramp().reshape(20, 24, 1).astype("i2"))


@pytest.mark.parametrize(
    ("data", "content"),
    [
        *[
            (picture_bytes(ramp().astype("u1"), k), k)
            for k in ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
        ],
        (dicom_bytes(ramp()), "DICOM"),
        (dicom_bytes(ramp())[132:], "DICOM"),
        (b"II*\0" + dicom_bytes(ramp())[4:], "DICOM"),
        (VOLUME, "NIFTI"),
        (gzip_bytes(VOLUME), "NIFTI"),
        (zip_bytes({"a": b"b"}), "ZIP"),
        (zip_bytes({}), "ZIP"),
        (gzip_bytes(b"no volume" * 99), None),
        (b"BM is a word", None),
        (bytes(20_000), None),
        (b"GIF89a", None),
        (b"", None),
    ],
)
def test_content_is_told_by_the_first_bytes(data, content):
    assert content_of(data[:HEAD_BYTES]) == content


def test_text_may_be_cut_inside_a_character():
    assert looks_like_text("äöü".encode()[:-1])
    assert not looks_like_text(b"\x00\x01\x02")
    assert not looks_like_text(b"")


def test_unknown_content_says_what_it_looks_like():
    assert "got text" in str(unknown_content(b"hello"))
    assert "gzip" in str(unknown_content(gzip_bytes(b"x")))
