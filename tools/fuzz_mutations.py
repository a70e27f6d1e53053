"""How `fuzz.py` damages a file: bytes anywhere, and what the format itself is made of."""

from __future__ import annotations

import io
import random
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import nibabel
import numpy as np
import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import UID_dictionary

from builders_imaging import gzip_bytes, zip_bytes
from fuzz_seeds import Seed, png_chunk, seeds

Step = Callable[[random.Random, bytes], bytes]

_HEAD = 1024
_NUMBERS = (
    *(0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 64, 100, 127, 128, 255, 256, 1000, 4095, 4096),
    *(10_000, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF, 1 << 20, (1 << 24) - 1, 0x7FFFFFFF, 0x80000000),
    *(0xFFFFFFFE, 0xFFFFFFFF, 1 << 40, (1 << 63) - 1, (1 << 64) - 1),
)
_TEXTS = (
    *(b"", b" ", b"0", b"1", b"-1", b"2", b"16", b"17", b"32", b"33", b"4096", b"65535", b"65536"),
    *(b"4294967295", b"1e400", b"-1e400", b"1e-400", b"1e308", b"nan", b"inf", b"0.5", b"1,5"),
    *(b"1\\2", b"1\\2\\3", b"\\", b"\\\\\\\\", b"1\\\\3", b"x", b"\0", b"\0\0\0\0", b"\xff\xfe"),
    *(b"RGB ", b"YBR_FULL", b"YBR_FULL_422", b"YBR_PARTIAL_420", b"YBR_ICT", b"PALETTE COLOR "),
    *(b"MONOCHROME1 ", b"MONOCHROME2 ", b"LINEAR_EXACT", b"SIGMOID ", b"ISO_IR 6", b"GB18030 "),
    *(
        b"ISO 2022 IR 87",
        b"9" * 40,
        b"a" * 70_000,
        b"1\\" * 3000,
        b"0\\0\\0\\0\\0\\0",
        b"1\\0\\0\\1",
    ),
)
# Where sizes and counts stand: the mark of a part, and how many bytes after it belong to them.
_JPEG = (0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0xDA, 0xDB, 0xDD, 0xE0, 0xE1, 0xF7, 0xF8)
_J2K = (0x4F, 0x50, 0x51, 0x52, 0x5C, 0x90, 0x93)
_TIFF = (*range(254, 285), 317, 322, 325, 338, 339)
_MARKS: dict[str, tuple[list[bytes], int]] = {
    "png": ([b"IHDR", b"IDAT", b"PLTE", b"tRNS", b"acTL", b"fcTL", b"fdAT", b"eXIf", b"IEND"], 26),
    "jpeg": ([bytes([0xFF, kind]) for kind in _JPEG], 20),
    "webp": ([b"RIFF", b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"EXIF"], 24),
    "bmp": ([b"BM"], 54),
    "zip": ([b"PK\x01\x02", b"PK\x05\x06", b"PK\x03\x04"], 46),
    "tiff": ([struct.pack("<H", tag) for tag in _TIFF], 12),
    "codestream": ([bytes([0xFF, kind]) for kind in (*_JPEG, *_J2K)], 40),
}
_IMAGE_TAGS = """
Rows Columns BitsAllocated BitsStored HighBit PixelRepresentation SamplesPerPixel NumberOfFrames
PhotometricInterpretation PlanarConfiguration PixelData FloatPixelData DoubleFloatPixelData
RescaleSlope RescaleIntercept WindowCenter WindowWidth VOILUTFunction ModalityLUTSequence
VOILUTSequence LUTDescriptor LUTData PixelPaddingValue PixelPaddingRangeLimit PixelSpacing
ImageOrientationPatient ImagePositionPatient SliceThickness InstanceNumber SeriesInstanceUID
SOPInstanceUID StudyInstanceUID PatientID Modality Manufacturer ImageComments SpecificCharacterSet
PerFrameFunctionalGroupsSequence SharedFunctionalGroupsSequence ExtendedOffsetTable
RedPaletteColorLookupTableDescriptor GreenPaletteColorLookupTableData ExtendedOffsetTableLengths
"""
_TAGS = [Tag(keyword) for keyword in _IMAGE_TAGS.split()]
_REPRESENTATIONS = "AE AS CS DA DS DT FD FL IS LO LT OB OF OW PN SH SL SQ SS ST UI UL UN US UT"
_SYNTAXES = [name for name in UID_dictionary if name.startswith("1.2.840.10008.1.2")]


def mutated(seed: Seed, number: int) -> bytes:
    """The seed's file with some damage; of the same seed and number always the same."""
    rng = random.Random(f"{seed.name}:{number}")  # noqa: S311
    data, steps = seed.data, _steps_of(seed)
    if by_format := rng.random() < 0.6:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = rng.choice(steps)(rng, data)
    for _ in range(min(int(rng.expovariate(0.7)), 12) + (not by_format)):
        data = _bytes_step(rng, data)
    if data.startswith(b"\x89PNG") and rng.random() < 0.8:
        data = _with_check_sums(data)
    return data


def _steps_of(seed: Seed) -> list[Step]:
    """What can be done to the intact file of this format, beside its bytes."""
    if seed.format == "dicom":
        steps = [_attributes] * 3 + [_tag_lengths] * 2
        if b"\xfe\xff\xdd\xe0" in seed.data and b"OB\0\0\xff\xff\xff\xff" in seed.data:
            steps += [_codestream] * 4
        if seed.name == "dicom-deflated":
            steps += [_deflated] * 4
        return steps if seed.name == "dicom-bare" else [*steps, _syntax]
    if seed.format == "nifti":
        return [_nifti_field] if not seed.name.endswith("gz") else [_gzipped]
    marks, span = _MARKS[seed.format]
    special: dict[str, list[Step]] = {"png": [_png_chunks, _png_pixels], "zip": [_zip_member]}
    at_mark = partial(_at_mark, marks=marks, span=span)
    return [at_mark, *special.get(seed.format, [])]


def _bytes_step(rng: random.Random, data: bytes) -> bytes:
    steps: tuple[Step, ...] = (
        *(_flip, _flip, _set_bytes, _set_bytes, _number, _number, _number),
        *(_truncate, _extend, _duplicate, _remove, _swap, _splice),
    )
    return rng.choice(steps)(rng, data)


def _place(rng: random.Random, data: bytes) -> int:
    """Mostly in the head."""
    end = min(len(data), _HEAD) if rng.random() < 0.8 else len(data)
    return rng.randrange(max(end, 1))


def _flip(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        if changed:
            changed[_place(rng, data)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _set_bytes(rng: random.Random, data: bytes) -> bytes:
    at, count = _place(rng, data), rng.choice((1, 1, 2, 4, 8, 64))
    value = rng.choice((0, 0xFF, 0x7F, 0x80, rng.randrange(256)))
    return data[:at] + bytes([value]) * min(count, len(data) - at) + data[at + count :]


def _number(rng: random.Random, data: bytes) -> bytes:
    return _with_number(rng, data, _place(rng, data))


def _with_number(rng: random.Random, data: bytes, at: int) -> bytes:
    size, order = rng.choice((1, 2, 2, 4, 4, 8)), rng.choice(("little", "big"))
    value = (rng.choice(_NUMBERS) & ((1 << 8 * size) - 1)).to_bytes(size, order)
    return data[:at] + value + data[at + size :]


def _truncate(rng: random.Random, data: bytes) -> bytes:
    return data[: _place(rng, data)] if rng.random() < 0.5 else data[: -rng.randint(1, 64)]


def _extend(rng: random.Random, data: bytes) -> bytes:
    return data + rng.choice((rng.randbytes(rng.randint(1, 300)), bytes(5000), data[-100:] * 9))


def _block(rng: random.Random, data: bytes) -> tuple[int, int]:
    start = _place(rng, data)
    return start, start + rng.choice((1, 2, 4, 8, 16, 100, 512))


def _duplicate(rng: random.Random, data: bytes) -> bytes:
    start, end = _block(rng, data)
    return data[:end] + data[start:end] * rng.choice((1, 1, 2, 50)) + data[end:]


def _remove(rng: random.Random, data: bytes) -> bytes:
    start, end = _block(rng, data)
    return data[:start] + data[end:]


def _swap(rng: random.Random, data: bytes) -> bytes:
    start, end = _block(rng, data)
    other = _place(rng, data)
    changed = bytearray(data)
    changed[start:end], changed[other : other + end - start] = (
        data[other : other + end - start],
        data[start:end],
    )
    return bytes(changed)


def _splice(rng: random.Random, data: bytes) -> bytes:
    other = rng.choice(list(seeds().values())).data
    at, start = _place(rng, data), _place(rng, other)
    if rng.random() < 0.5:
        return data[:at] + other[start:]
    end = start + rng.randint(1, 256)
    return data[:at] + other[start:end] + data[at + end - start :]


def _at_mark(rng: random.Random, data: bytes, marks: list[bytes], span: int) -> bytes:
    """A number behind (or, as the length of a PNG chunk, before) the mark of a part."""
    found = [at for mark in marks for at in _all_places(data, mark)]
    if not found:
        return _number(rng, data)
    at = rng.choice(found) + rng.randrange(-4, span)
    return _with_number(rng, data, min(max(at, 0), len(data) - 1))


def _all_places(data: bytes, mark: bytes) -> list[int]:
    places, at = [], data.find(mark)
    while at >= 0 and len(places) < 64:
        places.append(at)
        at = data.find(mark, at + 1)
    return places


def _png_parts(data: bytes) -> list[tuple[bytes, bytes]]:
    parts, at = [], 8
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        parts.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return parts


def _png_of(parts: list[tuple[bytes, bytes]]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*part) for part in parts)


def _with_check_sums(data: bytes) -> bytes:
    """Check sums put right, for decoders look no further where they are wrong."""
    changed, at = bytearray(data), 8
    while at + 12 <= len(changed):
        end = at + 8 + int.from_bytes(changed[at : at + 4], "big")
        if end + 4 > len(changed):
            break
        changed[end : end + 4] = struct.pack(">I", zlib.crc32(changed[at + 4 : end]))
        at = end + 4
    return bytes(changed)


def _png_chunks(rng: random.Random, data: bytes) -> bytes:
    """Chunks lost, doubled, exchanged, emptied, damaged or renamed; check sums right."""
    parts = _png_parts(data)
    at, other = rng.randrange(len(parts)), rng.randrange(len(parts))
    kind, content = parts[at]
    match rng.randrange(6):
        case 0:
            del parts[at]
        case 1:
            parts.insert(other, parts[at])
        case 2:
            parts[at], parts[other] = parts[other], parts[at]
        case 3:
            parts[at] = kind, b""
        case 4:
            parts[at] = kind, _bytes_step(rng, content)
        case _:
            names = (
                b"PLTE",
                b"tRNS",
                b"acTL",
                b"fcTL",
                b"iCCP",
                b"zTXt",
                b"iTXt",
                b"eXIf",
                b"pHYs",
            )
            parts.insert(1, (rng.choice(names), rng.randbytes(rng.randrange(40))))
    return _png_of(parts)


def _png_pixels(rng: random.Random, data: bytes) -> bytes:
    return _png_of(
        [
            (
                kind,
                zlib.compress(_bytes_step(rng, zlib.decompress(body))) if kind == b"IDAT" else body,
            )
            for kind, body in _png_parts(data)
        ]
    )


def _zip_member(rng: random.Random, data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        members = {name: opened.read(name) for name in opened.namelist()}
    name = rng.choice(list(members))
    members[name] = _bytes_step(rng, members[name])
    return zip_bytes(members)


def _gzipped(rng: random.Random, data: bytes) -> bytes:
    return gzip_bytes(_nifti_field(rng, zlib.decompress(data, zlib.MAX_WBITS | 16)))


def _nifti_field(rng: random.Random, data: bytes) -> bytes:
    """One to three fields of the header get a wild value of their own type."""
    kind = nibabel.Nifti2Header if data[4:8] == b"n+2\0" else nibabel.Nifti1Header
    changed = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        name = rng.choice(list(kind.template_dtype.names))
        field, offset = kind.template_dtype.fields[name][:2]
        item = field.base if field.base.kind in "iuf" else np.dtype("u1")
        at = offset + item.itemsize * rng.randrange(field.itemsize // item.itemsize)
        changed[at : at + item.itemsize] = _wild(rng, item)
    return bytes(changed)


def _wild(rng: random.Random, item: np.dtype[Any]) -> bytes:
    order = rng.choice("<>") if rng.random() < 0.2 else "<"
    if item.kind == "f":
        number: float = rng.choice((0.0, -1.0, 1.5, 1e-30, 1e30, 3e38, np.nan, np.inf, -np.inf))
        return np.asarray(number, item.newbyteorder(order)).tobytes()
    size = item.itemsize
    value = rng.choice((*_NUMBERS, 512, 768, 1024, 1280, 1536, 2304, 128)) & ((1 << 8 * size) - 1)
    return value.to_bytes(size, "little" if order == "<" else "big")


def _deflated(rng: random.Random, data: bytes) -> bytes:
    """The data set inflated, damaged, and deflated again."""
    group = int.from_bytes(data[140:144], "little")  # File Meta Information Group Length
    start = 144 + group
    inner = _bytes_step(rng, zlib.decompress(data[start:], -zlib.MAX_WBITS))
    return data[:start] + zlib.compress(inner, wbits=-zlib.MAX_WBITS)


def _tag_lengths(rng: random.Random, data: bytes) -> bytes:
    """Representation, length or first bytes of an attribute or of an item."""
    order = ">HH" if rng.random() < 0.1 else "<HH"
    items = ((0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD), (0x0002, 0x0010), (0x0002, 0))
    tags = [(tag.group, tag.element) for tag in _TAGS] + list(items) * 3
    return _at_mark(rng, data, [struct.pack(order, *tag) for tag in tags], 14)


def _codestream(rng: random.Random, data: bytes) -> bytes:
    """Inside the compressed pixels: at a marker, or anywhere."""
    start = data.rindex(b"\xe0\x7f\x10\x00")
    before, pixels = data[:start], data[start:]
    if rng.random() < 0.6:
        return before + _at_mark(rng, pixels, *_MARKS["codestream"])
    return before + _bytes_step(rng, pixels)


def _attributes(rng: random.Random, data: bytes) -> bytes:
    """One to three attributes lost, emptied, wild or of another type."""
    dataset = pydicom.dcmread(io.BytesIO(data), force=True)
    for _ in range(rng.randint(1, 3)):
        _change(rng, dataset)
    out = io.BytesIO()
    try:
        dataset.save_as(out, enforce_file_format=False)
    except Exception:  # pydicom does not write it, for one of many reasons: some other damage
        return _tag_lengths(rng, data)
    return out.getvalue()


def _syntax(rng: random.Random, data: bytes) -> bytes:
    """Another transfer syntax is told than the one that was used."""
    mark = b"\x02\x00\x10\x00UI"
    at = data.index(mark) + len(mark)
    end = at + 2 + int.from_bytes(data[at : at + 2], "little")
    name = rng.choice(_SYNTAXES).encode()
    name += bytes(len(name) % 2)
    return data[:at] + len(name).to_bytes(2, "little") + name + data[end:]


def _change(rng: random.Random, dataset: Dataset) -> None:
    holder = _holder(rng, dataset)
    there = list(holder.keys())
    tag = rng.choice(there) if there and rng.random() < 0.5 else rng.choice(_TAGS)
    if rng.random() < 0.2:
        if tag in holder:
            del holder[tag]
        return
    known = (
        pydicom.datadict.dictionary_VR(tag)[:2]
        if pydicom.datadict.dictionary_has_tag(tag)
        else "UN"
    )
    representation = rng.choice(_REPRESENTATIONS.split()) if rng.random() < 0.3 else known
    holder[tag] = RawDataElement(
        tag, representation, 0, _raw_value(rng, representation), 0, False, True
    )


def _holder(rng: random.Random, dataset: Dataset) -> Dataset:
    """The data set itself, or an item somewhere in it."""
    for tag in rng.sample(list(dataset.keys()), len(dataset)):
        if dataset[tag].VR == "SQ" and len(dataset[tag].value) and rng.random() < 0.6:
            return _holder(rng, rng.choice(list(dataset[tag].value)))
    return dataset


def _raw_value(rng: random.Random, representation: str) -> bytes:
    if representation in ("US", "SS", "UL", "SL", "OW", "FL", "FD") and rng.random() < 0.9:
        size = {"US": 2, "SS": 2, "OW": 2, "FD": 8}.get(representation, 4)
        count = rng.choice((1, 1, 1, 0, 2, 3, 6))
        numbers = (rng.choice(_NUMBERS) & ((1 << 8 * size) - 1) for _ in range(count))
        return b"".join(number.to_bytes(size, "little") for number in numbers)
    return rng.choice(_TEXTS) if rng.random() < 0.9 else rng.randbytes(rng.randrange(64))
