"""More than 200 inputs of all kinds for `compare_checkouts.py`, built in code and never from data.

Everything is drawn from seeds, so that two runs write the same bytes. Nothing of SliceWise is
imported: what is compared may not make its own inputs.
"""

from __future__ import annotations

import gzip
import io
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from comparison_dicom import dicom, dicom_files, series
from comparison_drawing import (
    CHANGES,
    KINDS,
    coloured,
    grey8,
    grey16,
    head,
    strange,
    volume,
    with_noise,
)

Files = dict[str, bytes]
"""Content by path, relative to the folder that all inputs lie in."""

_ORIENTATION = 0x0112
_PHOTOMETRIC = 262
_NIFTI_SLOPE, _NIFTI_CODES, _NIFTI_SECOND_ROW = 112, 252, 296
_NEARLY_ACCEPTED = (297, 156, 288, 499, 199)
"""Seeds of noise on a head that model 0.6.0 accepts; it asks for a review of the last one."""
_MEMBER_TIME = (2020, 1, 1, 0, 0, 0)


def inputs() -> Files:
    """Every input that `predict` is given."""
    parts = {
        "heads": heads(),
        "formats": formats(),
        "strange": no_slices(),
        "dicom": dicom_files(),
        "series": series(),
        "volumes": volumes(),
        "archives": archives(),
        "broken": broken(),
        "names": names(),
    }
    return {f"{part}/{name}": data for part, files in parts.items() for name, data in files.items()}


def write(files: Mapping[str, bytes], folder: Path) -> None:
    """Write files below a folder."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def picture(pixels: NDArray[Any] | Image.Image, form: str = "PNG", **options: Any) -> bytes:
    """A picture file; `mode` converts first, all other options are Pillow's."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    mode = options.pop("mode", None)
    stream = io.BytesIO()
    (image.convert(mode) if mode else image).save(stream, form, **options)
    return stream.getvalue()


def heads() -> Files:
    """Heads of every kind, in several sizes, and what scanners and people do to them."""
    found = {f"{kind}_{seed}.png": picture(grey8(head(seed, 224, kind))) for seed, kind in _cast()}
    for side in (32, 64, 100, 160, 256, 512):
        found[f"side_{side}.png"] = picture(grey8(head(4, side)))
    for seed in _NEARLY_ACCEPTED:
        noisy = with_noise(head(209, 224, "meningioma"), seed)
        found[f"near_limit_{seed}.png"] = picture(grey8(noisy))
    for name, change in CHANGES.items():
        found[f"{name}.png"] = picture(grey8(change(head(8, 224))))
    return found


def _cast(first: int = 0, of_each: int = 5) -> list[tuple[int, str]]:
    """Seeds, each with the kind of its head."""
    return [(seed, KINDS[seed % 4]) for seed in range(first, first + 4 * of_each)]


def formats() -> Files:
    """One head in every format and mode that is read, and in some that are not."""
    small = head(12, 160)
    grey, deep = grey8(small), grey16(small, 65535)
    image, rgb = Image.fromarray(grey), np.repeat(grey[..., None], 3, axis=2)
    rgba = np.dstack([rgb, np.where(grey > 20, 255, 80).astype(np.uint8)])
    pages = [Image.fromarray(grey8(head(seed, 96))) for seed in range(3)]
    turned = Image.Exif()
    turned[_ORIENTATION] = 6
    deep_pages = [Image.fromarray(grey16(head(seed, 96))) for seed in range(3)]
    with_hole = small.astype(np.float32)
    with_hole[5, 5] = np.nan
    return {
        **{f"{m}.png": picture(image, mode=m) for m in ("L", "LA", "RGB", "RGBA", "P", "1")},
        "16_bit.png": picture(deep),
        "12_bit_in_16.png": picture(grey16(small)),
        "clear.png": picture(rgba),
        "turned.png": picture(image, exif=turned),
        **{f"q{q}.jpg": picture(image, "JPEG", quality=q) for q in (30, 75, 95)},
        **{f"{m}.jpg": picture(image, "JPEG", mode=m) for m in ("RGB", "CMYK")},
        "progressive.jpg": picture(image, "JPEG", progressive=True),
        "turned.jpg": picture(image, "JPEG", exif=turned),
        **{f"{m}.bmp": picture(image, "BMP", mode=m) for m in ("L", "RGB", "RGBA", "P", "1")},
        **{f"{m}.tif": picture(image, "TIFF", mode=m) for m in ("L", "RGB", "RGBA", "1", "F", "I")},
        **{
            f"{c}.tif": picture(image, "TIFF", compression=c)
            for c in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")
        },
        "16_bit.tif": picture(deep, "TIFF"),
        "big_endian.tif": picture(Image.fromarray(deep.astype(">u2")), "TIFF"),
        "white_is_zero.tif": picture(255 - grey, "TIFF", tiffinfo={_PHOTOMETRIC: 0}),
        "deep_white_is_zero.tif": picture(65535 - deep, "TIFF", tiffinfo={_PHOTOMETRIC: 0}),
        "float.tif": picture(small.astype(np.float32) * 1000, "TIFF"),
        "negative_float.tif": picture(small.astype(np.float32) - 0.5, "TIFF"),
        "not_a_number.tif": picture(with_hole, "TIFF"),
        "pages.tif": picture(pages[0], "TIFF", save_all=True, append_images=pages[1:]),
        "deep_pages.tif": picture(
            deep_pages[0], "TIFF", save_all=True, append_images=deep_pages[1:]
        ),
        "lossy.webp": picture(image, "WEBP"),
        "lossless.webp": picture(image, "WEBP", lossless=True),
        "clear.webp": picture(rgba, "WEBP", lossless=True),
        "moving.webp": picture(pages[0], "WEBP", save_all=True, append_images=pages[1:]),
        "moving.png": picture(pages[0], "PNG", save_all=True, append_images=pages[1:]),
        "grey.gif": picture(image, "GIF"),
        "grey.ppm": picture(image, "PPM"),
        "grey.jp2": picture(image, "JPEG2000"),
    }


def no_slices() -> Files:
    """Blank pictures, noise, patterns, colour, and sizes at the limit of what is read."""
    found = {f"{name}.png": picture(pixels) for name, pixels in strange().items()}
    for percent in (2, 10, 40, 100):
        found[f"colour_{percent}.png"] = picture(coloured(20, strength=percent / 100))
    tinted = np.dstack([grey8(head(16, 160) * share) for share in (1.0, 0.8, 0.6)])
    found["tinted.jpg"] = picture(tinted, "JPEG")
    shapes = {"16x16": (16, 16), "15x15": (15, 15), "1x1": (1, 1), "17x240": (17, 240)}
    for name, (rows, columns) in shapes.items():
        found[f"{name}.png"] = picture(grey8(head(4, 256)[:rows, :columns]))
    return found


def volumes() -> Files:
    """NIfTI volumes: kinds of voxels, orientations, and shapes that are not read."""
    voxels = np.ascontiguousarray(volume(48, 5, 112).transpose(2, 1, 0)[:, ::-1])
    whole = grey16(voxels, 1000, np.int16)
    spaced = np.diag([2.0, 2.0, 20.0, 1.0])
    plain = nifti(whole, spaced)
    packed = gzip.compress(plain, mtime=0)
    hole = voxels.astype(np.float32)
    hole[3, 3, 3] = np.nan
    oblique = spaced.copy()
    oblique[:2, :2] = [[1.9, -0.6], [0.6, 1.9]]
    colour = np.zeros((32, 32, 2), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    return {
        "int16.nii": plain,
        "packed.nii.gz": packed,
        "uint8.nii": nifti(grey8(voxels), spaced),
        "float32.nii.gz": gzip.compress(nifti(voxels.astype(np.float32), spaced), mtime=0),
        "float64.nii": nifti(voxels[:, :, 1:4], spaced),
        "big_endian.nii": nifti(whole.astype(">i2"), spaced),
        "second_version.nii": nifti(whole, spaced, nibabel.Nifti2Image),
        "scaled.nii": _patched(plain, _NIFTI_SLOPE, struct.pack("<ff", 0.5, -20.0)),
        "flipped.nii": nifti(whole, np.diag([-2.0, -2.0, 20.0, 1.0])),
        "sagittal.nii": nifti(whole.transpose(2, 0, 1), spaced[:, [2, 0, 1, 3]]),
        "coronal.nii": nifti(whole.transpose(0, 2, 1), spaced[:, [0, 2, 1, 3]]),
        "oblique.nii": nifti(whole, oblique),
        "no_affine.nii": _patched(plain, _NIFTI_CODES, bytes(4)),
        "no_inverse.nii": _patched(plain, _NIFTI_SECOND_ROW, bytes(16)),
        "one_slice.nii": nifti(whole[:, :, 2:3], spaced),
        "flat.nii": nifti(whole[:, :, 2], spaced),
        "one_time.nii": nifti(whole[..., None], spaced),
        "two_times.nii": nifti(np.stack([whole, whole], axis=3), spaced),
        "not_a_number.nii": nifti(hole, spaced),
        "complex.nii": nifti(voxels.astype(np.complex64), spaced),
        "colour.nii": nifti(colour, spaced),
        "thin.nii": nifti(whole[:10], spaced),
        "cut.nii": plain[:5000],
        "cut.nii.gz": packed[: len(packed) // 2],
    }


def nifti(
    voxels: NDArray[Any], affine: NDArray[Any], kind: type[Any] = nibabel.Nifti1Image
) -> bytes:
    """A single-file NIfTI image in the byte order of its voxels."""
    header = kind.header_class(endianness=">" if voxels.dtype.byteorder == ">" else "<")
    header.set_data_dtype(voxels.dtype)
    return bytes(kind(voxels, affine, header).to_bytes())


def _patched(data: bytes, at: int, new: bytes) -> bytes:
    """A NIfTI-1 header as nibabel would not write it."""
    return data[:at] + new + data[at + len(new) :]


def archive(members: Mapping[str, bytes], packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip file."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", packing) as out:
        for name, data in members.items():
            out.writestr(zipfile.ZipInfo(name, _MEMBER_TIME), data, packing)
    return stream.getvalue()


def archives() -> Files:
    """Zips of pictures, series and volumes, nested, with junk, and those that are refused."""
    pictures = {f"{kind}.png": picture(grey8(head(s, 128, kind))) for s, kind in _cast(60, 1)}
    slices = {name: data for name, data in series().items() if name.startswith("axial/")}
    junk = {"notes.txt": b"read me", "__MACOSX/._a.png": b"\x00\x05", ".hidden.png": b"x"}
    whole = archive(pictures)
    return {
        "pictures.zip": whole,
        "stored.zip": archive(pictures, zipfile.ZIP_STORED),
        "bzip2.zip": archive(pictures, zipfile.ZIP_BZIP2),
        "series.zip": archive(slices),
        "volume.zip": archive({"a/int16.nii": volumes()["int16.nii"]}),
        "mixed.zip": archive({**pictures, **slices, **junk}),
        "nested.zip": archive({"inner.zip": whole, "a.png": pictures["glioma.png"]}),
        "one_bad.zip": archive({**pictures, "bad.png": pictures["glioma.png"][:300]}),
        "only_text.zip": archive({"notes.txt": b"read me"}),
        "nothing.zip": archive({}),
        "outside.zip": archive({"../../out.png": pictures["glioma.png"], **pictures}),
        "bomb.zip": archive({"bomb.png": bytes(30_000_000)}),
        "odd_names.zip": archive({"ä ö/ü.png": pictures["glioma.png"], "a#1.png": b"x"}),
        "cut.zip": whole[: len(whole) // 2],
        "zip.png": whole,
    }


def broken() -> Files:
    """Files that promise an image and hold none, or a part of one."""
    pixels = grey8(head(4, 160))
    png, jpeg = picture(pixels), picture(pixels, "JPEG")
    whole = {
        "png": png,
        "jpg": jpeg,
        "tif": picture(pixels, "TIFF"),
        "bmp": picture(pixels, "BMP"),
        "webp": picture(pixels, "WEBP"),
        "dcm": dicom(grey16(head(4, 128)), InstanceNumber=77),
    }
    found = {f"half.{kind}": data[: len(data) // 2] for kind, data in whole.items()}
    found |= {f"start.{kind}": data[:40] for kind, data in whole.items()}
    junk = np.random.default_rng(9).bytes(3000)
    found |= {f"junk.{kind}": junk for kind in ("png", "dcm", "nii", "zip")}
    return {
        **found,
        "empty.png": b"",
        "empty.dcm": b"",
        "text.jpg": b"this is no picture\n" * 10,
        "page.png": b"<html><body>not found</body></html>",
        "notes.txt": b"lies beside the pictures",
        "table.csv": b"a,b\n1,2\n",
        "no_suffix_text": b"lies beside the pictures",
        "wrong_check.png": png[:-30] + bytes([png[-30] ^ 255]) + png[-29:],
        "huge.png": _declaring(png, 60_000),
        "jpeg.png": jpeg,
        "png.jpg": png,
        "png.dcm": png,
        "more_behind.png": png + junk,
        "zeros.dcm": bytes(2000),
    }


def _declaring(png: bytes, side: int) -> bytes:
    """A PNG whose header claims another extent, with the check sum that goes with it."""
    header = png[12:16] + struct.pack(">II", side, side) + png[24:29]
    return png[:12] + header + struct.pack(">I", zlib.crc32(header)) + png[33:]


def names() -> Files:
    """Readable pictures whose names are odd; each is another head, none may be lost."""
    given = (
        "with space.png",
        "ümläut.png",
        "医学.png",
        "😀.png",
        "two\nlines.png",
        "tab\there.png",
        "escape\x1b[31m.png",
        'quote".png',
        "comma,semicolon;.png",
        "number#1.png",
        "-dash.png",
        "<b>.png",
        "UPPER.PNG",
        "no_suffix",
        "two.dots.png",
        ".hidden.png",
        "long_" + 190 * "x" + ".png",
        "deep/er/and/deeper.png",
        os.fsdecode(b"not_utf8_\xff.png"),
    )
    return {name: picture(grey8(head(i, 128))) for i, name in enumerate(given, start=30)}


def class_folders() -> Files:
    """Class folders for `data build`: heads, their copies, a contradiction, a broken file."""
    found = {}
    for seed, kind in _cast(100, 8):
        pixels = grey8(head(seed, 160, kind))
        found[f"{kind}/{seed}.png"] = picture(pixels)
        if seed % 8 < 4:
            found[f"{kind}/{seed}_copy.jpg"] = picture(np.fliplr(pixels), "JPEG", quality=70)
    glioma = found["glioma/100.png"]
    return {
        **found,
        "glioma/100_same_bytes.png": glioma,
        "meningioma/100_contradicts.png": glioma,
        "pituitary/198_broken.png": glioma[:500],
        "no_tumor/199.dcm": dicom(grey16(head(102, 160, "no_tumor")), InstanceNumber=5),
        "unknown_class/a.png": picture(grey8(head(140, 160))),
    }
