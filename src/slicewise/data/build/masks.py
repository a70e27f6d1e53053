"""Volumes with tumor masks: what each slice shows, by the voxels of its mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from slicewise.errors import InputError
from slicewise.imaging.read import read_slices
from slicewise.imaging.slice import Slice

STAR = "*"
_SAME_DIRECTION = 0.02  # of a direction cosine, about one degree
_SAME_PLACE = 0.5  # of a pixel


class MaskSpec(BaseModel):
    """Which files of a source are volumes, where their masks are and what a mask means."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    volume: str = Field(description="Path of a volume below the root, with one *.")
    mask: str = Field(description="Path of its mask; * stands for what it stood for there.")
    label: str = Field(description="Class of a slice with tumor.")
    minimum_voxels: int = Field(
        20, ge=1, description="Tumor voxels from which on a slice has the label."
    )

    @field_validator("volume", "mask")
    @classmethod
    def _one_star(cls, pattern: str) -> str:
        """One star, or else there is no telling which mask belongs to which volume."""
        if pattern.count(STAR) != 1:
            raise ValueError(f"expected a path with one {STAR}; got {pattern!r}")
        return pattern

    def mask_of(self, volume: PurePath) -> PurePath | None:
        """Where the mask of a volume should be; None for a file that is no volume.

        Paths are relative to the root. The star stands for anything, folders included.
        """
        path = volume.as_posix()
        before, after = self.volume.split(STAR)
        fits = path.startswith(before) and path.endswith(after)
        if not fits or len(path) < len(before) + len(after):
            return None
        return PurePath(self.mask.replace(STAR, path[len(before) : len(path) - len(after)]))


@dataclass(frozen=True, slots=True)
class TumorMask:
    """The mask of one volume, with as many slices; voxels above 0 are tumor.

    A slice with tumor has the label, one without the negative class; None where the task has none.
    """

    path: Path
    label: str
    negative: str | None
    minimum_voxels: int


@dataclass(frozen=True, slots=True)
class SliceLabel:
    """The class of one slice by its folder or its mask, the mask's reference, why it has no class.

    What there is none of is empty.
    """

    label: str
    mask: str = ""
    unfit: str = ""


def read_mask(mask: TumorMask, slices: Sequence[Slice]) -> list[SliceLabel]:
    """What a mask says of every slice of its volume, in order.

    The mask goes through the same reader as the volume, so that both are turned alike.

    Raises:
        InputError: If the mask cannot be read or lies on another grid.
    """
    masks = read_slices(mask.path)
    if len(masks) != len(slices):
        raise InputError(f"{mask.path}: expected {len(slices)} mask slices; got {len(masks)}")
    found = []
    for index, (slice_, own) in enumerate(zip(slices, masks, strict=True)):
        _require_same_grid(slice_, own)
        voxels, unfit = int(np.count_nonzero(own.pixels > 0)), ""
        if slice_.pixels.min() == slice_.pixels.max():
            unfit = "blank slice of a volume"  # a copy of every other one, so it would tie patients
        elif 0 < voxels < mask.minimum_voxels:
            unfit = f"tumor of fewer than {mask.minimum_voxels} voxels"
        elif not voxels and mask.negative is None:
            unfit = "no tumor, and the task has no class for that"
        reference = str(mask.path) if len(masks) == 1 else f"{mask.path}#{index}"
        label = mask.label if voxels else mask.negative or ""
        found.append(SliceLabel(label, reference, unfit))
    return found


def _require_same_grid(slice_: Slice, mask: Slice) -> None:
    """That a mask's voxels are the slice's: extent, orientation and place where both know them."""
    if slice_.shape != mask.shape:
        raise InputError(f"{mask.source}: expected a mask of {slice_.shape}; got {mask.shape}")
    if (slice_.orientation is None) != (mask.orientation is None):
        raise InputError(
            f"{mask.source}: expected the slice's orientation; only one of them is known"
        )
    if slice_.orientation is None or mask.orientation is None:
        return
    turned = np.abs(np.subtract(slice_.orientation, mask.orientation)).max()
    moved = np.abs(np.subtract(slice_.position_mm or 0, mask.position_mm or 0)).max()
    pixel = min(slice_.pixel_spacing_mm or (1.0, 1.0))
    if turned > _SAME_DIRECTION or moved > _SAME_PLACE * pixel:
        raise InputError(
            f"{mask.source}: expected the mask on the grid of {slice_.source}; it differs by "
            f"{turned:.3f} in direction and {moved:.2f} mm in place"
        )
