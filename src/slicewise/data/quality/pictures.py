"""Small pictures for the page, read again from their files."""

from __future__ import annotations

from pathlib import PurePath

import numpy as np
from PIL import Image

from slicewise.arrays import Array
from slicewise.data.quality.findings import Findings
from slicewise.data.quality.leakage import Group
from slicewise.errors import InputError
from slicewise.imaging.read import read_slice
from slicewise.progress import Progress
from slicewise.reports.blocks import Picture, Strip
from slicewise.reports.html import jpeg

_SIDE = 128


class Thumbnails:
    """Slices as strips of thumbnails, each file read at most once."""

    def __init__(self, findings: Findings, progress: Progress | None) -> None:
        self._findings = findings
        self._progress = progress
        self._made: dict[int, Picture] = {}

    def strip(self, group: Group, title: str = "", most: int = 6) -> Strip:
        """Some slices of a group: as different labels, splits and sources as there are first."""
        chosen = self._varied(group)[:most]
        return Strip(tuple(map(self._picture, chosen)), title, len(group) - len(chosen))

    def pair(self, first: int, second: int, title: str = "") -> Strip:
        """Two slices side by side, in this order."""
        return Strip((self._picture(first), self._picture(second)), title)

    def _picture(self, index: int) -> Picture:
        if index not in self._made:
            found = self._findings.items[index]
            place = " · ".join(part for part in self._kind(index)[::2] if part)
            caption = f"{place}\n{found.source}\n{PurePath(found.reference).name}"
            self._made[index] = Picture(_thumbnail(found.reference), caption)
            if self._progress:
                self._progress("drawing pictures", len(self._made), len(self._made))
        return self._made[index]

    def _kind(self, index: int) -> tuple[str, str, str]:
        found = self._findings.items[index]
        return found.label, found.source, self._findings.sides.names[index]

    def _varied(self, group: Group) -> Group:
        met: list[tuple[str, str, str]] = []
        ranks = []
        for kind in map(self._kind, group):
            ranks.append(met.count(kind))
            met.append(kind)
        return [index for _, index in sorted(zip(ranks, group, strict=True))]


def _thumbnail(reference: str) -> bytes | None:
    """A small grey JPEG; None where the file can no longer be read."""
    try:
        pixels = read_slice(reference).pixels
    except InputError:
        return None
    return jpeg(_grey(pixels))


def _grey(pixels: Array) -> Image.Image:
    low, high = (float(value) for value in np.percentile(pixels, (0.5, 99.7)))
    scale = 255 / (high - low) if high > low else 0.0
    picture = Image.fromarray(np.clip((pixels - low) * scale, 0, 255).astype(np.uint8))
    picture.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    return picture
