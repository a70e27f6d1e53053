"""The pixels of a DICOM image to stored values (PS3.5 8): decoded, and only the bits that count.

A decoder allocates for what a compressed image declares of itself, whatever the DICOM header says,
and some crash on it: the declaration is read before any decoder acts on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from itertools import accumulate, islice
from typing import Any

import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_fragments, generate_frames, parse_basic_offsets
from pydicom.pixels.decoders.base import get_decoder

from slicewise.errors import InputError, UnsupportedImageError
from slicewise.imaging.formats.decoding import captured_stderr, decoding
from slicewise.imaging.formats.dicom.codestream import Declaration, codestream_in, declaration
from slicewise.imaging.formats.dicom.dataset import (
    DECODERS,
    NATIVE,
    PixelFormat,
    is_encapsulated,
)
from slicewise.imaging.formats.dicom.frame import named, number_in, value_of
from slicewise.imaging.formats.pixels import Values
from slicewise.imaging.limits import Limits

_ITEM = b"\xfe\xff\x00\xe0"
_JPEG_END = b"\xff\xd9"
_LOSSES = (
    b"premature end of data",
    b"bad Huffman code",
    b"instead of RST",
    b"Bogus",
    b"Invalid JPEG",
)
"""What GDCM's JPEG library prints where pixels are lost; GDCM itself takes no notice."""
_AS_STORED: dict[str, Any] = {"allow_excess_frames": False, "correct_unused_bits": False}


def stored_values(dataset: Dataset, form: PixelFormat, limits: Limits) -> Values:
    """Decode all frames; bits outside Bits Stored (0028,0101) are no part of a value.

    Returns:
        (frames, rows, columns) grey, integer or float; or (frames, rows, columns, 3) RGB, unsigned.

    Raises:
        LimitError: A compressed frame declares more than the limits allow.
        UnsupportedImageError: No decoder takes it.
        InputError: It is broken, or holds fewer or other pixels than the header says.
    """
    syntax = dataset.file_meta.TransferSyntaxUID
    data = value_of(dataset, form.keyword) or b""
    if not isinstance(data, bytes):
        raise InputError(f"expected bytes in {named(form.keyword)}, got other values")
    if syntax in NATIVE or syntax == uid.RLELossless:
        _check_ybr(form, form.stored)
    if not is_encapsulated(dataset):
        _check_length(dataset, form, len(data))
        values = _native(data, syntax, form, dataset[form.keyword].VR)
        return values if form.frames > 1 else values[np.newaxis]
    if not data.startswith(_ITEM):
        where = f"{named(form.keyword)} in fragments, as {syntax.name} ({syntax}) has them"
        raise InputError(f"expected {where}, got other data")
    frames = _frames(data, form.frames)
    first = _frame(frames[0], syntax, form, limits)
    if form.frames == 1:
        return first[np.newaxis]
    values = np.empty((form.frames, *first.shape), first.dtype)
    values[0] = first
    for i, frame in enumerate(frames[1:], 1):
        found = _frame(frame, syntax, form, limits)
        if found.dtype != first.dtype:
            raise UnsupportedImageError("expected frames of one depth, got several in colour")
        values[i] = found
    return values


def _check_ybr(form: PixelFormat, bits: int) -> None:
    if form.photometric.startswith("YBR_FULL") and bits != 8:  # PS3.3 C.7.6.3.1.2 has no others
        kind = f"{named('PhotometricInterpretation')} {form.photometric}"
        raise UnsupportedImageError(f"expected 8 bits in {kind}, got {bits}")


def _check_length(dataset: Dataset, form: PixelFormat, got: int) -> None:
    expected, pixels = form.length, named(form.keyword)
    if got < expected:
        raise InputError(f"expected {expected:,} bytes of {pixels}, got {got:,} (truncated)")
    if form.photometric == "YBR_FULL_422" and got >= expected // 2 * 3:
        reason = "which only pixels without its subsampling have"
        raise InputError(f"expected {expected:,} bytes of {pixels}, got {got:,}, {reason}")
    if got >= 2 * expected and number_in(dataset, "NumberOfFrames") == 0:
        count = f"{named('NumberOfFrames')} of {got // expected}"
        raise InputError(f"expected {count} for so many bytes of {pixels}, got 0")


def _frames(data: bytes, count: int) -> list[bytes]:
    """The frames of encapsulated pixel data, each in one piece; more than `count` are left out.

    The table of offsets is used only where a frame has several fragments and it points to some.
    """
    with decoding("compressed DICOM image"):
        stream = BytesIO(data)
        offsets = parse_basic_offsets(stream)
        frames = list(generate_fragments(stream))
        if count == 1:
            frames = [b"".join(frames)]
        elif len(frames) > count:
            starts = accumulate((len(frame) + 8 for frame in frames), initial=0)
            if len(set(starts) & set(offsets)) != count:
                data = _ITEM + bytes(4) + data[8 + 4 * len(offsets) :]
            frames = list(islice(generate_frames(data, number_of_frames=count), count))
    if (got := sum(map(bool, frames))) < count:
        raise InputError(f"expected {count:,} frames in {named('PixelData')}, got {got:,}")
    return frames


def _frame(frame: bytes, syntax: uid.UID, form: PixelFormat, limits: Limits) -> Values:
    """(rows, columns) or (rows, columns, 3) of one encapsulated frame."""
    if syntax in NATIVE:
        if len(frame) < (expected := replace(form, frames=1).length):
            raise InputError(f"expected {expected:,} bytes of each frame, got {len(frame):,}")
        return _native(frame, syntax, replace(form, frames=1), "OB")
    if syntax == uid.RLELossless:
        return _in_their_bits(_decoded(frame, syntax, form, form.allocated), form, form.allocated)
    frame = codestream_in(frame)
    found = declaration(frame)
    if found is None:
        raise InputError("expected a compressed image with a frame header, got none")
    if syntax in uid.JPEGLSTransferSyntaxes and _JPEG_END not in frame:
        # CharLS takes seconds to notice, however small the image is.
        raise InputError("expected a compressed image with an end, got none (truncated)")
    limits.check_image(found.rows, found.columns)
    _check_declaration(found, syntax, form)
    values = _decoded(frame, syntax, form, found.bits)
    if found.lossy and form.stored < found.bits and form.high == form.stored - 1:
        # What stands above the value is no overlay, which loss would destroy, but an error of it.
        return _in_their_bits(values, form, found.bits, found.bits).clip(*form.ends(values))
    # JPEG has unsigned samples: fewer bits than are stored have no sign among them.
    sign = form.stored if syntax in uid.JPEGTransferSyntaxes else min(form.stored, found.bits)
    return _in_their_bits(values, form, found.bits, sign)


def _check_declaration(found: Declaration, syntax: uid.UID, form: PixelFormat) -> None:
    """Refuse a compressed image that contradicts the header: decoders trust it, and may crash."""
    same = (found.rows, found.columns, found.samples) == (form.rows, form.columns, form.samples)
    fewest = 1 if syntax in uid.JPEG2000TransferSyntaxes else 2
    if not (same and fewest <= found.bits <= form.allocated):
        raise InputError(
            f"expected {form.rows} x {form.columns} pixels of {form.samples} x {form.allocated} "
            f"bits, got {found.rows} x {found.columns} of {found.samples} x {found.bits} in the "
            "compressed image"
        )
    _check_ybr(form, found.bits)
    if DECODERS[syntax] == "pillow" and found.bits != 8:
        raise UnsupportedImageError(
            f"expected JPEG of 8 bits, got {syntax.name} ({syntax}) of {found.bits} bits"
        )


def _native(data: bytes, syntax: uid.UID, form: PixelFormat, vr: str) -> Values:
    decoder = get_decoder(NATIVE[syntax])
    with decoding("DICOM image"):
        values, _ = decoder.as_array(data, **_options(form, form.allocated, vr), **_AS_STORED)
    return values if form.is_float else _in_their_bits(values, form, form.allocated)


def _decoded(frame: bytes, syntax: uid.UID, form: PixelFormat, bits: int) -> Values:
    """Samples of one compressed frame, unsigned, in as many bytes as so many bits need."""
    failure = None
    options = _options(replace(form, frames=1), bits, "OB")
    for codestream in _codestreams(frame, syntax):
        with decoding("DICOM image"):
            try:
                return _decode(codestream, syntax, options)
            except (NotImplementedError, RuntimeError) as error:
                failure = error  # pydicom raises these where a decoder does not take the data
    raise UnsupportedImageError(
        f"expected pixel data that can be decoded, got {syntax.name} ({syntax}) "
        "that no decoder accepts: broken, or of an unsupported variant"
    ) from failure


def _decode(codestream: bytes, syntax: uid.UID, options: dict[str, Any]) -> Values:
    decoder, plugin, data = get_decoder(syntax), DECODERS[syntax], encapsulate([codestream])
    options = {**options, **_AS_STORED, "decoding_plugin": plugin}
    if plugin != "gdcm":
        return decoder.as_array(data, **options)[0]
    options["bits_stored"] = max(options["bits_stored"], 8)  # with fewer GDCM ends the process
    with captured_stderr() as said:
        values = decoder.as_array(data, **options)[0]
    if any(loss in line for loss in _LOSSES for line in said):
        raise RuntimeError("GDCM made up the pixels that it could not decode")
    return values


def _codestreams(frame: bytes, syntax: uid.UID) -> Iterator[bytes]:
    """A frame, then, of JPEG-LS, without the zeros before its end that CharLS refuses."""
    yield frame
    end = frame.rstrip(b"\0")
    if syntax in uid.JPEGLSTransferSyntaxes and end.endswith(_JPEG_END):
        body = end.removesuffix(_JPEG_END)
        zeros = len(body) - len(body.rstrip(b"\0"))
        for spare in sorted({1, zeros}) if zeros else ():  # the last of them may be data
            yield body[:-spare] + _JPEG_END


def _options(form: PixelFormat, bits: int, vr: str) -> dict[str, Any]:
    """What pydicom has to know; every sample whole, in as many bytes as so many bits need."""
    allocated = next(size for size in (1, 8, 16, 32, 64) if bits <= size)
    return {
        "pixel_keyword": form.keyword,
        "pixel_vr": vr,
        "number_of_frames": form.frames,
        "rows": form.rows,
        "columns": form.columns,
        "photometric_interpretation": form.photometric,
        "samples_per_pixel": form.samples,
        "planar_configuration": form.planar,
        "bits_allocated": allocated,
        "bits_stored": bits,
        "pixel_representation": 0,
    }


def _in_their_bits(cells: Values, form: PixelFormat, bits: int, sign: int | None = None) -> Values:
    """Values out of cells that may hold other bits beside them (PS3.5 8.1.1), such as overlays.

    Args:
        cells: Unsigned.
        bits: Of a cell.
        sign: Bits of a value, its sign the highest; those stored where None.

    Raises:
        InputError: It cannot be told which bits are the value's, or whether it has a sign.
    """
    width = form.stored if sign is None else sign
    shift = form.high + 1 - form.stored
    if bits <= form.stored:  # an encoder left the others out
        shift = 0
    elif shift and bits <= form.high:
        expected = f"{named('HighBit')} below the {bits} bits of a sample"
        raise InputError(f"expected {expected} in the compressed image, got {form.high}")
    kind = cells.dtype if form.samples > 1 else f"u{max(form.allocated, 8) // 8}"
    values = cells.astype(kind, copy=False)
    size = 8 * values.itemsize
    if size > width:
        np.left_shift(values, size - width - shift, out=values)
    if form.signed:
        values = values.view(f"i{values.itemsize}")
    if size > width:
        np.right_shift(values, size - width, out=values)
    if form.signed is None and (values >> (width - 1)).any():
        raise InputError(f"expected {named('PixelRepresentation')} of 0 or 1, got none")
    return values
