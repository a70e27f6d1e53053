"""NIfTI volumes to slices, cut in the plane in which they were acquired."""

from __future__ import annotations

import io
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from slicewise.arrays import Array
from slicewise.errors import InputError
from slicewise.imaging.formats.content import inflate, is_gzip
from slicewise.imaging.formats.decoding import decoding
from slicewise.imaging.formats.nifti.header import HEAD_BYTES, NiftiHeader, parse_header
from slicewise.imaging.formats.pixels import Values, fill_non_finite
from slicewise.imaging.geometry import normal_of
from slicewise.imaging.limits import Limits
from slicewise.imaging.slice import Orientation, Position, Slice

_DEFLATE_AT_MOST = 1032  # bytes from one, by the format


def read_nifti(stream: BinaryIO, source: str, limits: Limits) -> list[Slice]:
    """Read a three-dimensional volume as the slices that were acquired, ordered as DICOM ones are.

    Nothing is interpolated. Where the file does not say how it lies in the patient, the stored axes
    are taken to run right, anterior, superior, and the slices are turned here to the display.

    Args:
        stream: The file, plain or gzip, seekable, at its start.

    Raises:
        LimitError: It is larger than the limits.
        UnsupportedImageError: It has several volumes, no real numbers, or no voxels itself.
        InputError: It is broken, too small, or has no finite voxel.
    """
    header = parse_header(bytes(_read(stream, 0, HEAD_BYTES)))
    columns, rows = (header.shape[axis] for axis in header.in_plane)
    count = header.shape[header.slice_axis]
    limits.check_image(rows, columns, count)
    names = [source] if count == 1 else [f"{source}#{index}" for index in range(count)]
    pixels = _pixels(_stored(stream, header, limits), header)
    if header.affine is None:
        return [_unplaced(pixels[at], name, header) for at, name in enumerate(names)]
    along_column, along_row = (_direction(header.affine, axis) for axis in header.in_plane)
    orientation = cast(Orientation, (*along_column, *along_row))
    step = header.affine[:, header.slice_axis]
    order = range(count) if normal_of(orientation) @ step > 0 else range(count)[::-1]
    return [
        Slice(
            pixels[at],
            name,
            position_mm=cast(Position, tuple((header.affine[:, 3] + at * step + 0.0).tolist())),
            orientation=orientation,
            pixel_spacing_mm=_spacing(header),
        )
        for at, name in zip(order, names, strict=True)
    ]


def _read(stream: BinaryIO, start: int, size: int) -> memoryview:
    """Bytes of the plain file from a place on, fewer at its end; expanded only as far as that."""
    with decoding("NIfTI file"):
        stream.seek(0)
        if is_gzip(stream.read(2)):
            stream.seek(0)
            return memoryview(inflate(stream, start + size))[start:]
        stream.seek(start)
        return memoryview(stream.read(size))


def _most(stream: BinaryIO) -> int:
    """The most bytes that the plain file can have."""
    stream.seek(0)
    packed = is_gzip(stream.read(2))
    return stream.seek(0, io.SEEK_END) * (_DEFLATE_AT_MOST if packed else 1)


def _stored(stream: BinaryIO, header: NiftiHeader, limits: Limits) -> Values:
    """The voxels as they lie in the file; a lie about their number is told without expanding it."""
    wanted, got = header.offset + header.voxel_bytes, _most(stream)
    limits.check_bytes(wanted)
    if wanted <= got:
        data = _read(stream, header.offset, header.voxel_bytes)
        if len(data) == header.voxel_bytes:
            return np.frombuffer(data, header.dtype).reshape(header.shape, order="F")
        got = header.offset + len(data)
    raise InputError(f"expected {wanted:,} bytes of NIfTI, got at most {got:,} (truncated)")


def _pixels(stored: Values, header: NiftiHeader) -> Array:
    """(slices, rows, columns) real values; where they are not finite, the darkest of the volume."""
    planes = np.moveaxis(stored, header.slice_axis, 0).swapaxes(1, 2)
    pixels = np.empty(planes.shape, dtype=np.float32)
    for plane, values in zip(planes, pixels, strict=True):
        values[...] = _real(plane, *header.scale)
    return fill_non_finite(pixels)


def _real(stored: Values, slope: float, intercept: float) -> Array:
    with np.errstate(all="ignore"):
        scaled = stored if (slope, intercept) == (1, 0) else stored * np.float64(slope) + intercept
        real = scaled.astype(np.float32)
    if scaled.dtype.itemsize == 8 and (np.isfinite(scaled) & ~np.isfinite(real)).any():
        raise InputError("expected voxels within the range of 32-bit floats, got larger ones")
    return real


def _unplaced(pixels: Array, name: str, header: NiftiHeader) -> Slice:
    shown = np.ascontiguousarray(pixels[::-1, ::-1])
    return Slice(shown, name, pixel_spacing_mm=_spacing(header))


def _spacing(header: NiftiHeader) -> tuple[float, float] | None:
    """Between rows, between columns; None where one is not known."""
    column_mm, row_mm = (float(header.spacing_mm[axis]) for axis in header.in_plane)
    return (row_mm, column_mm) if np.isfinite([row_mm, column_mm]).all() else None


def _direction(affine: NDArray[Any], axis: int) -> tuple[float, ...]:
    """Unit vector along a stored axis."""
    along = affine[:, axis]
    return tuple((along / np.linalg.norm(along) + 0.0).tolist())
