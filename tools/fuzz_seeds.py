"""Small valid files of every kind that is read, for `fuzz.py` to damage; all made in code."""

from __future__ import annotations

import gzip
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any
from zipfile import ZIP_STORED

import imagecodecs
import nibabel
import numpy as np
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from builders_imaging import (
    AXIAL,
    dicom_bytes,
    dicom_dataset,
    encapsulated_bytes,
    enhanced_bytes,
    gzip_bytes,
    nifti_bytes,
    picture_bytes,
    written,
    zip_bytes,
)

Bytes = np.ndarray[Any, np.dtype[Any]]
_SIDE = 32
_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2))
_ADAM7_LAST = (1, 0, 2, 1)
_INSTANCE = "1.2.3.5.1"


@dataclass(frozen=True, slots=True)
class Seed:
    """A valid file.

    Args:
        name: Its format, then what is particular: `dicom-rle`.
    """

    name: str
    data: bytes

    @property
    def format(self) -> str:
        """What it is made of, in the words of the table: `dicom`."""
        return self.name.partition("-")[0]


@cache
def seeds() -> dict[str, Seed]:
    """Every seed by name, the same bytes in every process."""
    makers = (_pngs, _jpegs, _tiffs, _bmps, _webps, _plain_dicoms, _compressed_dicoms)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        files = dict(file for maker in (*makers, _special_dicoms, _niftis) for file in maker())
        files |= _zips(files)
    return {name: Seed(name, data) for name, data in files.items()}


Files = Iterator[tuple[str, bytes]]


def _grey(dtype: Any = np.uint8, top: int = 255, depth: int = 0) -> Bytes:
    """A bright ellipse with texture on black; with a depth, so many of them."""
    rows, columns = np.mgrid[-1 : 1 : _SIDE * 1j, -1 : 1 : _SIDE * 1j]
    head = np.clip(1.2 - rows**2 - 1.4 * columns**2, 0, 1) * (0.8 + 0.2 * np.sin(9 * rows))
    values = (head / head.max() * top).astype(dtype)
    return values if not depth else np.stack([values // (k + 1) for k in range(depth)])


def _rgb() -> Bytes:
    return np.stack([_grey(), _grey(top=200), _grey(top=150)], axis=-1)


def _rgba() -> Bytes:
    return np.concatenate([_rgb(), _grey()[..., None]], axis=-1)


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def _pngs() -> Files:
    yield "png-8", picture_bytes(_grey())
    yield "png-16", picture_bytes(_grey(np.uint16, 60000))
    yield "png-1", picture_bytes(_grey(), mode="1")
    yield "png-la", picture_bytes(_rgba(), mode="LA")
    yield "png-rgba", picture_bytes(_rgba())
    yield "png-rgb16", bytes(imagecodecs.png_encode(_rgb().astype(np.uint16) * 250))
    yield "png-palette", picture_bytes(_rgb(), mode="P")
    yield "png-palette-transparent", picture_bytes(_rgb(), mode="P", transparency=3)
    yield "png-exif", picture_bytes(_rgb(), exif=_exif(6))
    yield "png-interlaced", _interlaced_png(_grey())
    frames = [Image.fromarray(frame) for frame in _grey(depth=2)]
    yield "png-animated", picture_bytes(frames[0], save_all=True, append_images=frames[1:])


def _interlaced_png(pixels: Bytes) -> bytes:
    """Grey, 8 bit, in the seven passes of Adam7, which Pillow reads but does not write."""
    raw = b""
    for row, column, down, across in (*_ADAM7, _ADAM7_LAST):
        raw += b"".join(b"\0" + line.tobytes() for line in pixels[row::down, column::across])
    header = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 0, 0, 0, 1)
    body = ((b"IHDR", header), (b"IDAT", zlib.compress(raw)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*part) for part in body)


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk of a PNG: length, kind, content, check sum."""
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def _jpegs() -> Files:
    yield "jpeg-grey", picture_bytes(_grey(), "JPEG")
    yield "jpeg-rgb", picture_bytes(_rgb(), "JPEG", subsampling=2)
    yield "jpeg-progressive", picture_bytes(_rgb(), "JPEG", progressive=True)
    yield "jpeg-cmyk", picture_bytes(_rgb(), "JPEG", mode="CMYK")
    yield "jpeg-exif", picture_bytes(_rgb(), "JPEG", exif=_exif(8), dpi=(300, 300))
    yield "jpeg-restarts", picture_bytes(_rgb(), "JPEG", restart_marker_blocks=2, comment=b"x")


def _tiffs() -> Files:
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd"):
        name = compression.removeprefix("tiff_")
        yield f"tiff-{name}", picture_bytes(_rgb(), "TIFF", compression=compression)
    yield "tiff-fax", picture_bytes(_grey(), "TIFF", mode="1", compression="group4")
    yield "tiff-16", picture_bytes(_grey(np.uint16, 60000), "TIFF")
    yield "tiff-16-lzw", picture_bytes(_grey(np.uint16, 60000), "TIFF", compression="tiff_lzw")
    yield "tiff-16-white", picture_bytes(_grey(np.uint16), "TIFF", tiffinfo={262: 0})
    yield "tiff-float", picture_bytes(_grey(np.float32), "TIFF")
    yield "tiff-int32", picture_bytes(_grey(np.int32), "TIFF")
    yield "tiff-palette", picture_bytes(_rgb(), "TIFF", mode="P")
    yield "tiff-rgba", picture_bytes(_rgba(), "TIFF", tiffinfo={274: 5})
    yield "tiff-big", picture_bytes(_grey(), "TIFF", big_tiff=True)
    pages = [Image.fromarray(page) for page in _grey(depth=3)]
    yield "tiff-pages", picture_bytes(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    yield "tiff-motorola", _motorola_tiff(_grey(np.uint16, 60000))


def _motorola_tiff(pixels: Bytes) -> bytes:
    """Big-endian, 16 bit, one strip."""
    data, side = pixels.astype(">u2").tobytes(), _SIDE
    entries = ((256, side), (257, side), (258, 16), (259, 1), (262, 1), (273, 8), (277, 1))
    directory = b"".join(
        struct.pack(">HHIHH", tag, 3, 1, value, 0)
        for tag, value in (*entries, (278, side), (279, len(data)))
    )
    count = struct.pack(">H", len(entries) + 2)
    return b"MM\0*" + struct.pack(">I", 8 + len(data)) + data + count + directory + bytes(4)


def _bmps() -> Files:
    yield "bmp-8", picture_bytes(_grey(), "BMP")
    yield "bmp-1", picture_bytes(_grey(), "BMP", mode="1")
    yield "bmp-palette", picture_bytes(_rgb(), "BMP", mode="P")
    yield "bmp-rgb", picture_bytes(_rgb(), "BMP")
    yield "bmp-rgba", picture_bytes(_rgba(), "BMP")
    yield "bmp-runs", _bmp_of_runs(_grey())


def _bmp_of_runs(pixels: Bytes) -> bytes:
    """Run-length encoded, each run of one pixel."""
    body = b"".join(b"".join(b"\x01" + bytes([v]) for v in row) + b"\0\0" for row in pixels[::-1])
    body += b"\0\1"
    palette, start = b"".join(bytes([v, v, v, 0]) for v in range(256)), 54 + 1024
    sizes = struct.pack("<IiiHHIIiiII", 40, _SIDE, _SIDE, 1, 8, 1, len(body), 0, 0, 256, 0)
    head = b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start)
    return head + sizes + palette + body


def _webps() -> Files:
    yield "webp-lossy", picture_bytes(_rgb(), "WEBP")
    yield "webp-lossless", picture_bytes(_rgb(), "WEBP", lossless=True)
    yield "webp-alpha", picture_bytes(_rgba(), "WEBP", exif=_exif(3))
    frames = [Image.fromarray(frame) for frame in _grey(depth=2)]
    yield "webp-animated", picture_bytes(frames[0], "WEBP", save_all=True, append_images=frames[1:])


def _geometry() -> dict[str, Any]:
    return {
        "SOPInstanceUID": _INSTANCE,
        "SeriesInstanceUID": "1.2.3.4.1",
        "ImageOrientationPatient": list(AXIAL),
        "ImagePositionPatient": [-10.5, 3.25, 40],
        "PixelSpacing": [0.5, 0.75],
        "SliceThickness": 3,
        "InstanceNumber": 5,
        "SpecificCharacterSet": "ISO_IR 192",
    }


def _dicom(pixels: Bytes, syntax: uid.UID = uid.ExplicitVRLittleEndian, **tags: Any) -> bytes:
    return dicom_bytes(pixels, syntax, **{**_geometry(), **tags})


def _plain_dicoms() -> Files:
    deep = _grey(np.uint16, 4000)
    window = {"WindowCenter": 2000, "WindowWidth": 4000, "RescaleSlope": 2, "RescaleIntercept": -5}
    yield "dicom-implicit", _dicom(deep, uid.ImplicitVRLittleEndian, **window)
    yield "dicom-explicit", _dicom(deep, **window)
    yield "dicom-big", _dicom(deep, uid.ExplicitVRBigEndian, **window)
    yield "dicom-deflated", _dicom(deep, uid.DeflatedExplicitVRLittleEndian)
    yield "dicom-bare", _dicom(deep, uid.ImplicitVRLittleEndian)[132:]
    yield "dicom-signed", _dicom(_grey(np.int16, 4000) - 200, PixelPaddingValue=-200)
    yield "dicom-32", _dicom(_grey(np.uint32, 4000))
    yield "dicom-rgb", _dicom(_rgb())
    yield "dicom-ybr", _dicom(_rgb(), PhotometricInterpretation="YBR_FULL")
    yield "dicom-multiframe", _dicom(_grey(depth=3), InstanceNumber=1)
    bits = dicom_dataset(_grey(), **_geometry(), NumberOfFrames=1)
    bits.PixelData = np.packbits(_grey() > 100, bitorder="little").tobytes()
    bits.BitsAllocated, bits.BitsStored, bits.HighBit = 1, 1, 0
    yield "dicom-1", written(bits)
    real = dicom_dataset(_grey(np.uint32), **_geometry(), FloatPixelData=_grey("<f4").tobytes())
    del real.PixelData
    yield "dicom-float", written(real)


def _compressed_dicoms() -> Files:
    deep, shallow = _grey(np.uint16, 4000), _grey()
    near: Callable[..., Any] = partial(imagecodecs.jpegls_encode, level=3)
    lossy: Callable[..., Any] = partial(imagecodecs.jpeg2k_encode, level=40, codecformat="j2k")
    twelve: Callable[..., Any] = partial(imagecodecs.jpeg8_encode, bitspersample=12)
    yield "dicom-rle", _dicom(deep, uid.RLELossless)
    yield "dicom-rle-multiframe", _dicom(_grey(depth=3), uid.RLELossless)
    yield "dicom-rle-rgb", _dicom(_rgb(), uid.RLELossless)
    yield "dicom-jpegls", _dicom(deep, uid.JPEGLSLossless)
    yield "dicom-jpeg2000", _dicom(deep, uid.JPEG2000Lossless)
    yield "dicom-jpeg2000-multiframe", _dicom(_grey(depth=3), uid.JPEG2000Lossless)
    for name, syntax, pixels, encode in (
        ("jpegls-near", uid.JPEGLSNearLossless, shallow, near),
        ("jpeg2000-lossy", uid.JPEG2000, deep, lossy),
        ("htj2k", uid.HTJ2KLossless, deep, imagecodecs.htj2k_encode),
        ("jpeg-lossless", uid.JPEGLosslessSV1, deep, imagecodecs.ljpeg_encode),
        ("jpeg-lossless-8", uid.JPEGLossless, shallow, imagecodecs.ljpeg_encode),
        ("jpeg", uid.JPEGBaseline8Bit, shallow, imagecodecs.jpeg8_encode),
        ("jpeg-12", uid.JPEGExtended12Bit, deep, twelve),
    ):
        yield f"dicom-{name}", _encapsulated(pixels, bytes(encode(pixels)), syntax)
    yield "dicom-jpeg2000-rgb", _dicom(_rgb(), uid.JPEG2000Lossless)
    yield "dicom-jpegls-rgb", _dicom(_rgb(), uid.JPEGLSLossless)
    boxed = bytes(imagecodecs.jpeg2k_encode(deep, codecformat="jp2"))
    yield "dicom-jp2", _encapsulated(deep, boxed, uid.JPEG2000Lossless)
    colour = picture_bytes(_rgb(), "JPEG")
    photometric = {"PhotometricInterpretation": "YBR_FULL_422"}
    yield "dicom-jpeg-rgb", _encapsulated(_rgb(), colour, uid.JPEGBaseline8Bit, **photometric)


def _encapsulated(pixels: Bytes, codestream: bytes, syntax: uid.UID, **tags: Any) -> bytes:
    bits = {} if pixels.itemsize == 1 else {"BitsStored": 12, "HighBit": 11}
    return encapsulated_bytes(pixels, codestream, syntax, **{**_geometry(), **bits, **tags})


def _special_dicoms() -> Files:
    grey = _grey()
    palette = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour in ("Red", "Green", "Blue"):
        palette[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        palette[f"{colour}PaletteColorLookupTableData"] = np.arange(256, dtype="<u2").tobytes()
    yield "dicom-palette", _dicom(grey, **palette)
    yield "dicom-modality-lut", _dicom(grey, ModalityLUTSequence=_table(range(256)))
    inverted = {"PhotometricInterpretation": "MONOCHROME1", "PixelPaddingValue": 0}
    yield "dicom-voi-lut", _dicom(grey, VOILUTSequence=_table(range(0, 1024, 4)), **inverted)
    positions = [(0, 0, 3 * k) for k in range(3)]
    identity = {"SOPInstanceUID": _INSTANCE, "SpecificCharacterSet": "ISO_IR 100"}
    frames = (_grey(np.uint16, 4000, depth=3), positions, [1, 2, 3])
    yield "dicom-enhanced", enhanced_bytes(*frames, **identity)
    yield "dicom-enhanced-rle", enhanced_bytes(*frames, syntax=uid.RLELossless, **identity)


def _table(entries: range) -> Sequence:
    item = Dataset()
    item.LUTDescriptor = [len(entries), 0, 16]
    item.LUTData = np.asarray(entries, "<u2").tobytes()
    item["LUTDescriptor"].VR, item["LUTData"].VR = "US", "OW"
    return Sequence([item])


def _niftis() -> Files:
    affine = np.array([[-2.0, 0, 0, 30], [0, 0, 3, -20], [0, 2.5, 0, 7], [0, 0, 0, 1]])
    voxels = {kind: _grey(kind, 100, depth=16).T for kind in ("u1", "i2", "f4", "f8")}
    for kind, values in voxels.items():
        yield f"nifti-{kind}", nifti_bytes(values, affine)
    yield "nifti-flat", nifti_bytes(_grey())
    yield "nifti-gz", gzip_bytes(nifti_bytes(voxels["i2"], affine))
    yield "nifti-unplaced", nifti_bytes(voxels["i2"], code=0)
    scaled = nibabel.Nifti1Image(voxels["i2"], affine)
    scaled.header.set_slope_inter(0.5, -3)
    scaled.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"a note"))
    yield "nifti-extension", scaled.to_bytes()
    yield "nifti-extension-gz", gzip.compress(scaled.to_bytes(), mtime=0)
    yield "nifti-2", nibabel.Nifti2Image(voxels["f4"], affine).to_bytes()
    big = nibabel.Nifti1Header(endianness=">")
    big.set_data_dtype(">i2")
    yield "nifti-big", nibabel.Nifti1Image(voxels["i2"], affine, big).to_bytes()


def _zips(files: dict[str, bytes]) -> dict[str, bytes]:
    three = ("png-8", "dicom-explicit", "nifti-gz", "tiff-pages")
    members = {f"study/{name}": files[name] for name in three}
    return {"zip-deflated": zip_bytes(members), "zip-stored": zip_bytes(members, ZIP_STORED)}
