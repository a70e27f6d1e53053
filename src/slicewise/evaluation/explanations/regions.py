"""Where the tumor is on a slice: boxes from a table or masks that a manifest names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from slicewise.arrays import Array, Bools
from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.data.tables import read_table
from slicewise.delimited import number, with_slashes
from slicewise.errors import EvaluationError, ManifestError
from slicewise.imaging.preprocess import head_box
from slicewise.imaging.read import read_slice

BOX_COLUMNS = ("x_center", "y_center", "width", "height")


class TumorBox(NamedTuple):
    """A rectangle round a tumor, in fractions of the slice's width and height."""

    x_center: float
    y_center: float
    width: float
    height: float

    def region(self, shape: tuple[int, int]) -> Bools:
        """(H, W) true where a pixel's centre lies in the box; at least the pixel at its centre."""
        rows = _inside(self.y_center, self.height, shape[0])
        columns = _inside(self.x_center, self.width, shape[1])
        return rows[:, None] & columns[None]


class Boxes(NamedTuple):
    """Boxes by the name of the slice: relative path, file name, or that without its suffix."""

    path: Path
    by_name: dict[str, tuple[TumorBox, ...]]

    def name_of(self, path: str) -> str | None:
        """The longest end of a manifest row's path that the table knows; None where it has none."""
        return next((name for name in _names(path) if name in self.by_name), None)

    def region(self, path: str, shape: tuple[int, int]) -> Bools | None:
        """(H, W) the union of a slice's boxes; None where it has none."""
        name = self.name_of(path)
        if name is None:
            return None
        regions = [box.region(shape) for box in self.by_name[name]]
        return np.asarray(np.any(regions, axis=0), dtype=np.bool_)

    def require_one_each(self, paths: Iterator[str]) -> None:
        """`ManifestError` where a name of the table means two slices; names both."""
        taken: dict[str, str] = {}
        for path in paths:
            name = self.name_of(path)
            if name is not None and taken.setdefault(name, path) != path:
                raise ManifestError(
                    f"{self.path}: expected one slice for {name!r}; got {taken[name]} and {path}. "
                    "Name slices by relative path"
                )


def read_boxes(path: Path) -> Boxes:
    """Read a CSV or Parquet table of boxes, of which a slice may have several.

    Its first column names the slice (relative path, or file name, with or without suffix);
    `x_center, y_center, width, height` are fractions of the slice, or it is a `ManifestError`.
    """
    rows = read_table(path)
    columns = list(rows[0]) if rows else []
    if not set(BOX_COLUMNS) <= set(columns) or columns[0] in BOX_COLUMNS:
        raise ManifestError(
            f"{path}: expected a column that names the slice, then {', '.join(BOX_COLUMNS)}; "
            f"got {', '.join(columns) or 'no rows'}"
        )
    key = columns[0]
    found: dict[str, tuple[TumorBox, ...]] = {}
    for place, row in enumerate(rows, start=1):
        box = _box(row, f"{path}, row {place}")
        found[row[key]] = (*found.get(row[key], ()), box)
    return Boxes(path, {with_slashes(name): boxes for name, boxes in found.items()} | found)


def tumor_region(
    manifest: Manifest, row: ManifestRow, shape: tuple[int, int], boxes: Boxes | None
) -> Bools | None:
    """Where the tumor of a slice is: its mask, else its boxes; None where neither is known.

    Raises:
        InputError: If the mask cannot be read.
        EvaluationError: If the mask has another shape.
    """
    mask = manifest.resolve_mask(row)
    if mask is None:
        return None if boxes is None else boxes.region(row.path, shape)
    pixels = read_slice(mask, labels=True).pixels
    if pixels.shape != shape:
        raise EvaluationError(f"{mask}: expected a mask of {shape}; got {pixels.shape}")
    region = np.asarray(pixels > 0)
    return region if region.any() else None


def head_region(pixels: Array) -> Bools:
    """(H, W) the ellipse inscribed in the box round the head: where a random point would lie."""
    box = head_box(pixels)
    y = (np.arange(pixels.shape[0]) + 0.5 - (box.top + box.bottom) / 2) / (box.bottom - box.top)
    x = (np.arange(pixels.shape[1]) + 0.5 - (box.left + box.right) / 2) / (box.right - box.left)
    return np.asarray(np.hypot(y[:, None], x[None]) <= 0.5)


def _inside(center: float, extent: float, pixels: int) -> Bools:
    places = (np.arange(pixels) + 0.5) / pixels
    inside = np.abs(places - center) <= extent / 2
    inside[min(int(center * pixels), pixels - 1)] = True
    return np.asarray(inside)


def _box(row: dict[str, str], where: str) -> TumorBox:
    def fraction(name: str) -> float:
        with suppress(ValueError):
            if 0 <= (value := number(row[name])) <= 1:
                return value
        raise ManifestError(
            f"{where}, column {name}: expected a fraction from 0 to 1; got {row[name]!r}"
        )

    return TumorBox(*map(fraction, BOX_COLUMNS))


def _names(path: str) -> Iterator[str]:
    """What a slice may be called, the most exact first; the index of a volume's slice stays."""
    whole = PurePosixPath(path)
    for start in range(len(whole.parts)):
        end = PurePosixPath(*whole.parts[start:])
        yield end.as_posix()
        yield end.with_suffix("").as_posix()
