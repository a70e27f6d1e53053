"""What an audit found, as the numbers and lists of `audit.json`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from slicewise.arrays import Ints
from slicewise.data.build.build import Built
from slicewise.data.build.sources import Item
from slicewise.data.groups import COPIES_PREFIX, Bond
from slicewise.data.quality.dataset import Dataset
from slicewise.data.quality.issues import Issue
from slicewise.data.quality.leakage import Copies, Crossed, Group, Memorisation, Sides
from slicewise.data.quality.shortcuts import Probe
from slicewise.data.quality.suggested import kept_of


@dataclass(frozen=True, slots=True)
class ClassCount:
    """Slices, different slices and leak-free groups of a class of one source in one split.

    The split is empty where there is none.
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


@dataclass(frozen=True, slots=True, eq=False)
class AuditResults:
    """Everything that was found.

    Args:
        sides: In which split each stood.
        groups: (N,) numbers of leak-free groups.
        copies: Groups of copies and where they cross.
        memory: The nearest neighbour's score, None where it has no two sides.
        class_probe: What files and borders say of the class, or why that is unknown.
        source_probe: What they say of the source, or why that is unknown.
        issues: Slices that may not belong.
        suggested: The suggested manifest; None where nothing would be left.
    """

    dataset: Dataset
    sides: Sides
    groups: Ints
    counts: list[ClassCount]
    copies: Copies
    memory: Memorisation | None
    class_probe: Probe | str
    source_probe: Probe | str
    issues: list[Issue]
    suggested: Built | None

    @property
    def items(self) -> list[Item]:
        """The slices."""
        return self.dataset.items

    @property
    def known_patients(self) -> bool:
        """Whether more than copies ties every slice to others: patient, group or volume."""
        return all(any(_is_known(key.bond, key.name) for key in one.keys) for one in self.items)

    def paths(self, group: Group) -> list[str]:
        """References of slices, in order."""
        return [self.items[index].reference for index in group]

    def as_json(self) -> dict[str, object]:
        """The content of `audit.json` but for verdict, parameters and file names."""
        copies = self.copies
        return {
            "slices": len(self.items),
            "distinct_slices": copies.distinct,
            "groups": len(set(self.groups.tolist())),
            "classes": sorted({item.label for item in self.items}),
            "sources": sorted({item.source for item in self.items}),
            "splits": self.sides.origin,
            "counts": [count.as_json() for count in self.counts],
            "exact_duplicates": [self.paths(group) for group in copies.exact],
            "near_duplicates": [self.paths(group) for group in copies.near],
            "cross_split": [self._crossed(one) for one in copies.cross_split],
            "torn_units": copies.torn,
            "cross_source": [self._crossed(one) for one in copies.cross_source],
            "label_conflicts": [self._conflict(group) for group in copies.conflicts],
            "memorisation_1nn": self.memory.as_json() if self.memory else None,
            "shortcut_probe": {
                "class": _probe(self.class_probe),
                "source": _probe(self.source_probe),
            },
            "suspects": [self._issue(issue) for issue in self.issues],
            "unreadable": [
                {"path": one.path, "source": one.source, "reason": one.reason}
                for one in self.dataset.excluded
            ],
        }

    def _crossed(self, one: Crossed) -> dict[str, object]:
        return {
            "slices_of": one.side,
            "with_copy_in": one.other,
            "n": one.n,
            "count": len(one.hits),
            "share": one.share.as_json(),
            "paths": self.paths(one.hits),
        }

    def _conflict(self, group: Group) -> list[dict[str, str]]:
        chosen = [self.items[index] for index in group]
        return [{"path": found.reference, "label": found.label} for found in chosen]

    def _issue(self, issue: Issue) -> dict[str, object]:
        return {
            "kind": issue.rule.kind,
            "title": issue.rule.title,
            "rule": issue.rule.words,
            "left_out": issue.rule.leave_out,
            "kept": kept_of(issue, self.suggested),
            "count": len(issue.slices),
            "paths": self.paths(issue.slices),
        }


def class_counts(items: Sequence[Item], sides: Sides, groups: Ints) -> list[ClassCount]:
    """Counts of N slices, their copies known, by class, source and split, in sorted order."""
    cells: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for index, (item, side) in enumerate(zip(items, sides.names, strict=True)):
        cells[item.label, item.source, side].append(index)
    return [
        ClassCount(*cell, len(own), len({items[i].cluster for i in own}), len(set(groups[own])))
        for cell, own in sorted(cells.items())
    ]


def _is_known(bond: Bond, name: str) -> bool:
    """Whether a key is more than copies; a manifest's group that is named after copies is not."""
    return bond < Bond.COPIES and not name.startswith(COPIES_PREFIX)


def _probe(probe: Probe | str) -> dict[str, object]:
    return {"reason": probe} if isinstance(probe, str) else probe.as_json()
