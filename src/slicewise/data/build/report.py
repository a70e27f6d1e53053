"""What a build found, in numbers and in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from slicewise.data.groups import COPIES_PREFIX
from slicewise.data.manifest import SPLITS, TAKEN_COLUMN, ManifestRow
from slicewise.text import counted, printable

_SHOWN_REASONS = 12
_CAUTION = """\
caution: no patients or groups are known in {}. Slices of one patient
may stand in several splits, and scores on them will be too good. --table or --pattern
with patients or groups prevents it."""
_MISSING = """\
caution: no {}.
Nothing can be learned, chosen or measured of a class where it is missing. More groups of it, or
splits that are dealt (without folds and --published-splits), may give each split its share."""


@dataclass(frozen=True, slots=True)
class Excluded:
    """A slice or file that is not in the manifest; no label where its folder was not looked at.

    Reasons like this one are counted as `kind`, or else as the reason up to a path that it names.
    """

    path: str
    label: str
    source: str
    reason: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build found: copies are slices that equal or resemble an earlier one.

    Slices that were moved are in another fold, so that their group is in one; `boundary` says in
    words where the splits come from; `known` which public slices were recognised; `notes` what else
    was met.
    """

    rows: tuple[ManifestRow, ...]
    excluded: tuple[Excluded, ...]
    exact_copies: int
    near_copies: int
    moved: int
    boundary: str
    known: str = ""
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """The report as text for people, without a final line break."""
        groups = len({row.group for row in self.rows})
        lines = [
            f"{counted(len(self.rows), 'slice')} in {counted(groups, 'group')}; "
            f"{len(self.excluded)} left out",
            f"copies found: {self.exact_copies} exact, {self.near_copies} near "
            "(mirrored, turned, resized, retouched)",
            *([f"known public slices: {self.known}"] if self.known else []),
            f"splits: {self.boundary}",
            *map(printable, self.notes),
        ]
        if self.moved:
            lines.append(f"moved to another fold: {counted(self.moved, 'slice')}")
        taken = Counter(name for row in self.rows if (name := row.extra.get(TAKEN_COLUMN)))
        if taken:
            shown = ", ".join(f"{name} {count}" for name, count in sorted(taken.items()))
            lines.append(f"of an unknown tumor type, taken by training for: {shown}")
        lines += ["", *_counts(self.rows)]
        if self.excluded:
            lines += ["", "left out:", *_reasons(self.excluded)]
        lines += _missing(self.rows)
        # Of some sources nothing is known but copies: their splits may run through patients.
        if unknown := Counter(
            row.source for row in self.rows if row.group.startswith(COPIES_PREFIX)
        ):
            lines += ["", _CAUTION.format(", ".join(_unknown(unknown, self.rows)))]
        return "\n".join(lines)


def _missing(rows: Sequence[ManifestRow]) -> list[str]:
    """Cautions of splits without a slice of a class that others have."""
    labels = {name: {row.label for row in rows if row.split == name} for name in SPLITS}
    classes = {row.label for row in rows}
    left = {name: sorted(classes - own) for name, own in labels.items() if classes - own}
    if not left:
        return []
    shown = (
        f"{' and '.join(map(printable, own)) if labels[name] else 'slice at all'} in {name}"
        for name, own in left.items()
    )
    return ["", _MISSING.format("; no ".join(shown))]


def _unknown(unknown: Counter[str], rows: Sequence[ManifestRow]) -> list[str]:
    """Sources of whose slices nothing but copies is known, with how many where it is some."""
    totals = Counter(row.source for row in rows)
    return [
        printable(name)
        if count == totals[name]
        else f"{counted(count, 'slice')} of {printable(name)}"
        for name, count in sorted(unknown.items())
    ]


def _counts(rows: Sequence[ManifestRow]) -> list[str]:
    """A table of slices by source and class (down) and split (across), with groups."""
    counts = Counter((row.source, row.label, row.split) for row in rows)
    members = {(row.source, row.label, row.group) for row in rows}
    groups = Counter((source, label) for source, label, _ in members)
    table = [["source", "class", *SPLITS, "groups"]]
    for kind in sorted(groups):
        numbers = [str(counts[*kind, split]) for split in SPLITS]
        table.append([*map(printable, kind), *numbers, str(groups[kind])])
    totals = [str(sum(row.split == split for row in rows)) for split in SPLITS]
    table.append(["all", "", *totals, str(len({row.group for row in rows}))])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    pads = [str.ljust] * 2 + [str.rjust] * (len(widths) - 2)  # names to the left, numbers right
    return [
        "  ".join(pad(cell, end) for pad, cell, end in zip(pads, row, widths, strict=True))
        for row in table
    ]


def _reasons(excluded: Sequence[Excluded]) -> list[str]:
    """Kinds of reasons with how often, the most frequent first."""
    # A user's reason is counted without the path of another slice in it, as of `duplicate of`.
    reasons = [takewhile(lambda word: "/" not in word, one.reason.split(" ")) for one in excluded]
    counts = Counter(
        one.kind or " ".join(words) or one.reason
        for one, words in zip(excluded, reasons, strict=True)
    )
    common = counts.most_common(_SHOWN_REASONS)
    lines = [f"  {count:6d}  {reason}" for reason, count in common]
    rest = counts.total() - sum(count for _, count in common)
    return [*lines, f"  {rest:6d}  other reasons"] if rest else lines
