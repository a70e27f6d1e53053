"""How many slices and groups there are of each class, source and split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from slicewise.arrays import Ints
from slicewise.data.build.collection import Item
from slicewise.data.quality.copies import Sides


@dataclass(frozen=True, slots=True)
class Row:
    """One class of one source in one split.

    Args:
        label: Class.
        source: Data set.
        split: Empty where there is none.
        slices: How many.
        distinct: How many different slices.
        groups: How many leak-free groups.
    """

    label: str
    source: str
    split: str
    slices: int
    distinct: int
    groups: int

    def as_json(self) -> dict[str, str | int]:
        """Fields by name; the label as `class`."""
        fields = asdict(self)
        return {"class": fields.pop("label"), **fields}


def class_table(items: Sequence[Item], sides: Sides, groups: Ints) -> list[Row]:
    """Counts by class, source and split, in sorted order.

    Args:
        items: (N) slices with their copies known.
        sides: Their splits.
        groups: (N,) numbers of leak-free groups.
    """
    cells: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for index, (item, side) in enumerate(zip(items, sides.names, strict=True)):
        cells[item.found.label, item.found.source, side].append(index)
    return [
        Row(*cell, *(len(own), len({items[i].cluster for i in own}), len(set(groups[own]))))
        for cell, own in sorted(cells.items())
    ]
