"""What a build found, in numbers and in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from slicewise.data.groups import COPIES_PREFIX
from slicewise.data.manifest import SPLITS, TAKEN_COLUMN, ManifestRow
from slicewise.text import counted

_SHOWN_REASONS = 12


@dataclass(frozen=True, slots=True)
class Excluded:
    """A slice or file that is not in the manifest.

    Args:
        path: The file, or `file#index`.
        label: Class by its folder; empty where it was not looked at.
        source: Name of the data set.
        reason: Why.
    """

    path: str
    label: str
    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build found.

    Args:
        rows: Of the manifest.
        excluded: What was left out.
        exact_copies: Slices whose pixels equal those of an earlier one.
        near_copies: Further slices that are near duplicates of an earlier one.
        moved: Slices put into another fold so that their group is in one.
        boundary: Where the splits come from, in words.
    """

    rows: tuple[ManifestRow, ...]
    excluded: tuple[Excluded, ...]
    exact_copies: int
    near_copies: int
    moved: int
    boundary: str

    def summary(self) -> str:
        """The report as text for people, without a final line break."""
        lines = [
            f"{counted(len(self.rows), 'slice')} in "
            f"{counted(len({row.group for row in self.rows}), 'group')}; "
            f"{len(self.excluded)} left out",
            f"copies found: {self.exact_copies} exact, {self.near_copies} near "
            "(mirrored, turned, resized, retouched)",
            f"splits: {self.boundary}",
            "",
            *_counts(self.rows),
        ]
        taken = Counter(row.extra.get(TAKEN_COLUMN) or "" for row in self.rows)
        taken.pop("", None)
        if taken:
            told = ", ".join(f"{name} {count}" for name, count in sorted(taken.items()))
            lines[3:3] = [f"of an untold type, taken by training for: {told}"]
        if self.moved:
            lines[3:3] = [f"moved to another fold: {counted(self.moved, 'slice')}"]
        if self.excluded:
            lines += ["", "left out:", *_reasons(self.excluded)]
        lines += _caution(self.rows)
        return "\n".join(lines)


def _caution(rows: Sequence[ManifestRow]) -> list[str]:
    """Sources of which nothing is known but copies: their splits may run through patients."""
    unknown = sorted({row.source for row in rows if row.group.startswith(COPIES_PREFIX)})
    if not unknown:
        return []
    return [
        "",
        f"caution: no patients or groups are known in {', '.join(unknown)}. Slices of one patient",
        "may stand in several splits, and figures on them will be too good. --table or --pattern",
        "with patients or groups prevents it.",
    ]


def _counts(rows: Sequence[ManifestRow]) -> list[str]:
    """A table of slices by source and class (down) and split (across), with groups."""
    kinds = sorted({(row.source, row.label) for row in rows})
    counts = Counter((row.source, row.label, row.split) for row in rows)
    groups = Counter((source, label) for source, label, _ in {_group(row) for row in rows})
    header = ["source", "class", *SPLITS, "groups"]
    body = [
        [*kind, *(str(counts[*kind, split]) for split in SPLITS), str(groups[kind])]
        for kind in kinds
    ]
    totals = [str(sum(row.split == split for row in rows)) for split in SPLITS]
    body.append(["all", "", *totals, str(len({row.group for row in rows}))])
    return _aligned([header, *body])


def _group(row: ManifestRow) -> tuple[str, str, str]:
    return row.source, row.label, row.group


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    return [
        "  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]


def _reasons(excluded: Iterable[Excluded]) -> list[str]:
    """Reasons with how often, the most frequent first; what follows a path or number is cut."""
    counts = Counter(_kind(entry.reason) for entry in excluded)
    common = counts.most_common(_SHOWN_REASONS)
    lines = [f"  {count:6d}  {reason}" for reason, count in common]
    rest = sum(counts.values()) - sum(count for _, count in common)
    return [*lines, f"  {rest:6d}  other reasons"] if rest else lines


def _kind(reason: str) -> str:
    for start in ("label conflict", "copy of", "duplicate of", "in fold"):
        if reason.startswith(start):
            return start
    return reason.rpartition("/")[2] if "/" in reason else reason
