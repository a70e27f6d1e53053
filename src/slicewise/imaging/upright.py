"""Slices as a radiologist sees them: turned to the usual display of their plane, of square pixels.

A file may store a slice along any axes, and with pixels longer than wide. The readers give what is
stored; here the geometry that is recorded with it is used, in one way for every format.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import cast

import numpy as np
from PIL import Image
from PIL.Image import Resampling as Filter

from slicewise.arrays import Array
from slicewise.errors import InputError
from slicewise.imaging.geometry import normal_of
from slicewise.imaging.limits import Limits
from slicewise.imaging.slice import Orientation, Position, Slice

_SQUARE = 1.01  # sides that differ by less are equal: half a pixel in fifty
_LONGEST = 20.0  # no scanner makes pixels so many times longer than wide: a broken header
_TIE = 1e-3  # of a direction cosine: rounding must not turn one slice and leave the next
_SHOWN = (1, 1, -1)  # columns and rows run left, posterior and to the feet (the z of LPS is up)


def upright(slices: Iterable[Slice], limits: Limits, *, labels: bool = False) -> list[Slice]:
    """The slices of one file, turned and with square pixels, each as far as its geometry is known.

    Axial: columns run to the patient's left, rows to the back. Coronal: left, and to the feet.
    Sagittal: to the back, and to the feet. An oblique slice goes with the patient axes nearest to
    it. Nothing is interpolated to turn a slice. Where the spacings between rows and columns differ
    by more than 1 %, the coarser is made as fine as the other, linearly. Position, orientation and
    spacing stay those of the pixels. A slice that needs neither is returned as it is.

    Args:
        labels: Whether the values are labels, as those of a mask: each pixel takes the nearest.

    Raises:
        InputError: A pixel is more than 20 times longer than wide.
        LimitError: With square pixels, a slice or all of them together are larger than the limits.
    """
    turned = list(map(_turned, slices))
    shapes = list(map(_square_shape, turned))
    for rows, columns in shapes:
        limits.check_image(rows, columns)
    limits.check_stack(sum(rows * columns for rows, columns in shapes), len(shapes))
    return [_squared(one, *shape, labels=labels) for one, shape in zip(turned, shapes, strict=True)]


@lru_cache(maxsize=256)  # all slices of a series have one orientation
def display_orientation(orientation: Orientation) -> tuple[Orientation, bool]:
    """The orientation that an upright slice has instead, and whether its rows become columns."""
    transposed, along_columns, along_rows = _turn(orientation)
    turned = orientation[3:] + orientation[:3] if transposed else orientation
    signs = (along_columns,) * 3 + (along_rows,) * 3
    shown = tuple(s * c + 0.0 for s, c in zip(signs, turned, strict=True))
    return cast(Orientation, shown), transposed


def _turned(slice_: Slice) -> Slice:
    orientation = slice_.orientation
    if orientation is None or (turn := _turn(orientation)) == (False, 1, 1):
        return slice_
    transposed, along_columns, along_rows = turn
    pixels, spacing, aspect = slice_.pixels, slice_.pixel_spacing_mm, slice_.pixel_aspect
    if transposed:
        pixels, orientation = pixels.T, orientation[3:] + orientation[:3]
        spacing = None if spacing is None else (spacing[1], spacing[0])
        aspect = None if aspect is None else 1 / aspect
    position, (rows, columns) = slice_.position_mm, pixels.shape
    if spacing is not None:
        right = spacing[1] * (columns - 1) if along_columns < 0 else 0.0
        down = spacing[0] * (rows - 1) if along_rows < 0 else 0.0
        position = _moved(position, orientation, right, down)
    return replace(
        slice_,
        pixels=np.ascontiguousarray(pixels[::along_rows, ::along_columns]),
        position_mm=position,
        orientation=display_orientation(slice_.orientation)[0],
        pixel_spacing_mm=spacing,
        pixel_aspect=aspect,
    )


@lru_cache(maxsize=256)  # all slices of a series have one orientation
def _turn(orientation: Orientation) -> tuple[bool, int, int]:
    """Whether to transpose; then the steps, 1 or -1, through the columns and through the rows."""
    row, column = orientation[:3], orientation[3:]
    normal = np.abs(normal_of(orientation))
    across = max(axis for axis in range(3) if normal[axis] > normal.max() - _TIE)
    a, b = (axis for axis in range(3) if axis != across)
    transposed = abs(row[b]) + abs(column[a]) > abs(row[a]) + abs(column[b]) + _TIE
    if transposed:
        row, column = column, row
    steps = [1 if at * _SHOWN[axis] > 0 else -1 for at, axis in ((row[a], a), (column[b], b))]
    return transposed, steps[0], steps[1]


def _square_shape(slice_: Slice) -> tuple[int, int]:
    """Rows and columns that make the pixels of a slice square."""
    rows, columns = slice_.shape
    height, width = slice_.pixel_spacing_mm or (slice_.pixel_aspect or 1.0, 1.0)
    ratio = height / width
    if 1 / _SQUARE <= ratio <= _SQUARE:
        return rows, columns
    if not 1 / _LONGEST <= ratio <= _LONGEST:
        got = f"{height:g} mm between rows and {width:g} mm between columns"
        got = got if slice_.pixel_spacing_mm else f"a pixel aspect ratio of {ratio:g}"
        raise InputError(f"expected pixels at most {_LONGEST:g} times longer than wide, got {got}")
    return (round(rows * ratio), columns) if ratio > 1 else (rows, round(columns / ratio))


def _squared(slice_: Slice, rows: int, columns: int, *, labels: bool) -> Slice:
    """The slice with so many rows and columns, over the same extent in the patient."""
    if (rows, columns) == slice_.shape:
        return slice_
    pixels = _resized(slice_.pixels, rows, columns, Filter.NEAREST if labels else Filter.BILINEAR)
    spacing, position = slice_.pixel_spacing_mm, slice_.position_mm
    if spacing is not None:
        height, width = spacing
        spacing = (height * slice_.shape[0] / rows, width * slice_.shape[1] / columns)
        steps = ((spacing[1] - width) / 2, (spacing[0] - height) / 2)
        position = _moved(position, slice_.orientation, *steps)
    return replace(
        slice_, pixels=pixels, pixel_spacing_mm=spacing, position_mm=position, pixel_aspect=None
    )


def _resized(pixels: Array, rows: int, columns: int, kind: Filter) -> Array:
    """Pixels on another grid, within the range of the given ones."""
    resized: Array = np.asarray(Image.fromarray(pixels).resize((columns, rows), kind))
    return resized.clip(pixels.min(), pixels.max())


def _moved(
    position: Position | None, orientation: Orientation | None, right: float, down: float
) -> Position | None:
    """A position so many mm further along the rows and along the columns."""
    if position is None or orientation is None:
        return position
    along = zip(position, orientation[:3], orientation[3:], strict=True)
    return cast(Position, tuple(p + right * r + down * c + 0.0 for p, r, c in along))
