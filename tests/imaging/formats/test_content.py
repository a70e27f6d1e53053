import bz2
import gzip
import io
import lzma
import tarfile

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from builders_imaging import dicom_bytes, gzip_bytes, nifti_bytes, picture_bytes, ramp, zip_bytes
from slicewise.errors import InputError
from slicewise.imaging.formats.content import (
    HEAD_BYTES,
    content_of,
    inflate,
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
    assert "gzip data that hold no NIfTI" in str(unknown_content(gzip_bytes(b"x")))


def saved(kind, **options):
    return picture_bytes(Image.fromarray(ramp().astype("u1")), kind, **options)


def tar_bytes():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"))
    return stream.getvalue()


GREY = ramp().astype("u1")


@pytest.mark.parametrize(
    ("data", "got"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC picture; save it as PNG or JPEG"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "a HEIC picture"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avif", "an AVIF picture"),
        (imagecodecs.avif_encode(np.stack([GREY] * 3, -1)), "an AVIF picture"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0isom", "an MP4 or QuickTime film"),
        (b"RIFF\0\0\0\0AVI LIST", "an AVI film"),
        (saved("GIF"), "a GIF picture; save it as PNG or JPEG"),
        (imagecodecs.jpeg2k_encode(GREY, codecformat="jp2"), "a JPEG 2000 picture"),
        (imagecodecs.jpeg2k_encode(GREY, codecformat="j2k"), "a JPEG 2000 picture"),
        (imagecodecs.jpegxl_encode(GREY), "a JPEG XL picture"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL picture"),
        (saved("PPM"), "a PGM, PPM or PFM picture"),
        (saved("ICO"), "an icon"),
        (saved("PDF"), "a PDF document"),
        (b"8BPS\0\1", "a Photoshop picture"),
        (b"<?xml version='1.0'?>\n<!-- x -->\n<svg xmlns='x'>", "an SVG drawing"),
        (b"<!DOCTYPE html>\n<html>", "a web page"),
        (b"<?xml version='1.0'?><a/>", "text"),
        (b"7z\xbc\xaf\x27\x1c\0\4", "a 7z archive; unpack it first, or make it a zip"),
        (b"Rar!\x1a\x07\1\0", "a RAR archive"),
        (tar_bytes(), "a tar archive"),
        (gzip_bytes(tar_bytes()), "gzip data that hold a tar archive; unpack it first"),
        (gzip_bytes(dicom_bytes(ramp())), "gzip data that hold DICOM; unpack it first"),
        (bz2.compress(b"x"), "bzip2 data; unpack it first"),
        (lzma.compress(b"x"), "XZ data"),
        (imagecodecs.zstd_encode(b"x" * 99), "Zstandard data"),
        (b"\x89HDF\r\n\x1a\n\0", "an HDF5 file"),
        (b"MATLAB 5.0 MAT-file, Platform: PCWIN64\0\1", "a MATLAB file"),
        (b"\x93NUMPY\1\0v\0", "a NumPy array"),
        (b"MZ\x90\0\3", "a program"),
        (b"\x7fELF\2\1\1\0", "a program"),
        (b"MZ is a word", "text"),
        (bytes(range(128, 256)), "unknown content"),
    ],
)
def test_a_file_of_another_kind_is_named(data, got):
    told = str(unknown_content(data[:HEAD_BYTES]))
    assert told.startswith(f"expected PNG, JPEG, TIFF, BMP, WebP, DICOM, NIfTI or zip, got {got}")


def test_a_great_many_empty_gzip_members_are_no_gzip_data():
    empty = gzip.compress(b"")
    assert inflate(io.BytesIO(empty * 500 + gzip.compress(b"x")), 10) == b"x"
    with pytest.raises(InputError, match="empty members"):
        inflate(io.BytesIO(empty * 5000), 10)
