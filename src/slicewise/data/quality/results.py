"""What an audit found, as the numbers and lists of `audit.json`; the manifest that it suggests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from slicewise.arrays import Ints
from slicewise.data.build.build import Built, assembled, without_conflicts
from slicewise.data.build.config import BuildConfig
from slicewise.data.build.recognition import contradicting
from slicewise.data.build.sources import Item
from slicewise.data.build.splits import homes
from slicewise.data.duplicates.search import Pair
from slicewise.data.groups import COPIES_PREFIX
from slicewise.data.manifest import Manifest, slice_of
from slicewise.data.quality.dataset import Dataset
from slicewise.data.quality.issues import Issue
from slicewise.data.quality.leakage import Copies, Crossed, Memorisation, Sides, leak_free
from slicewise.data.quality.public import PublicSlices
from slicewise.data.quality.shortcuts import Probe

ISSUE_COLUMN = "suspect"
"""Extra column: kinds of issues that do not leave a slice out, joined by blanks."""


@dataclass(frozen=True, slots=True, eq=False)
class AuditResults:
    """Everything that was found; probes say what files and borders tell, or why that is unknown.

    `groups` are (N,) numbers of leak-free groups, `counts` from `class_counts`. There is no memory
    without two sides, no suggestion where nothing would be left, and nothing `public` where no
    slice is known.
    """

    dataset: Dataset
    sides: Sides
    groups: Ints
    counts: list[dict[str, str | int]]
    copies: Copies
    memory: Memorisation | None
    class_probe: Probe | str
    source_probe: Probe | str
    issues: list[Issue]
    suggested: Built | None
    public: PublicSlices | None = None

    @property
    def items(self) -> list[Item]:
        """The slices."""
        return self.dataset.items

    @property
    def known_patients(self) -> bool:
        """Whether more than copies ties every slice to others: patient, group or volume."""
        # A manifest's group that is named after copies is not known to be more.
        return all(
            any(not key.group.startswith(COPIES_PREFIX) for key in one.keys) for one in self.items
        )

    def paths(self, group: Iterable[int]) -> list[str]:
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
            "counts": self.counts,
            "known": self.public and self.public.as_json(self.paths(range(len(self.items)))),
            "exact_duplicates": [self.paths(group) for group in copies.exact],
            "near_duplicates": [self.paths(group) for group in copies.near],
            "cross_split": self._crossed(copies.cross_split),
            "torn_units": copies.torn,
            "cross_source": self._crossed(copies.cross_source),
            "label_conflicts": [
                [{"path": self.items[i].reference, "label": self.items[i].label} for i in group]
                for group in copies.conflicts
            ],
            "memorisation_1nn": self.memory.as_json() if self.memory else None,
            "shortcut_probe": {
                name: {"reason": found} if isinstance(found, str) else found.as_json()
                for name, found in (("class", self.class_probe), ("source", self.source_probe))
            },
            "suspects": [
                {
                    "kind": issue.rule.kind,
                    "title": issue.rule.title,
                    "rule": issue.rule.words,
                    "left_out": issue.rule.leave_out,
                    "kept": kept_of(issue, self.suggested),
                    "count": len(issue.slices),
                    "paths": self.paths(issue.slices),
                }
                for issue in self.issues
            ],
            "unreadable": [
                {"path": one.path, "source": one.source, "reason": one.reason}
                for one in self.dataset.excluded
            ],
        }

    def _crossed(self, crossed: Sequence[Crossed]) -> list[dict[str, object]]:
        return [
            {
                "slices_of": one.side,
                "with_copy_in": one.other,
                "n": one.n,
                "count": len(one.hits),
                "share": one.share.as_json(),
                "paths": self.paths(one.hits),
            }
            for one in crossed
        ]


def class_counts(items: Sequence[Item], sides: Sides, groups: Ints) -> list[dict[str, str | int]]:
    """Slices, different slices and leak-free groups by class, source and split, in sorted order."""
    cells: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for index, (item, side) in enumerate(zip(items, sides.names, strict=True)):
        cells[item.label, item.source, side].append(index)
    return [
        {
            "class": label,
            "source": source,
            "split": split,
            "slices": len(own),
            "distinct": len({items[index].cluster for index in own}),
            "groups": len(set(groups[own])),
        }
        for (label, source, split), own in sorted(cells.items())
    ]


def suggested_manifest(
    dataset: Dataset,
    pairs: Sequence[Pair],
    issues: Sequence[Issue],
    config: BuildConfig,
    audited: Manifest | None,
) -> Built | None:
    """The suggested manifest and what it leaves out with reasons; None where nothing is left.

    One of each set of copies stays, the largest; sets whose labels contradict each other go, and
    so do slices with an issue that leaves out. The user's folds and whatever splits the audited
    manifest (None for folders) gives are kept: groups that cross such a boundary move to the side
    that holds most of them. A slice of the manifest without a split takes that of its group where
    it has one. All other groups are dealt 70/15/15; published folders are no boundary.
    """
    rules = config.model_copy(
        update={"copies": "one", "on_conflict": "move", "published_splits": False}
    )
    items = _in_splits_of_groups(dataset.items) if audited else dataset.items
    given = bool(audited) and any(item.fold for item in items)
    references = [item.reference for item in items]
    kinds = _kinds(issues, references, leave_out=True)
    unwanted = {reference: f"suspect: {names}" for reference, names in kinds.items()}
    if rules.known_conflicts == "drop":
        unwanted |= {item.reference: why for item in items if (why := contradicting(item))}
    if all(item.reference in unwanted for item in without_conflicts(items)[0]):
        return None
    built = assembled(items, dataset.excluded, pairs, rules, unwanted, keep_splits=given)
    written = [item.written for item in items]
    marked = _kinds(issues, written, leave_out=False)
    own: Mapping[str, Mapping[str, str]] = {}
    if audited:
        columns = {slice_of(audited.resolve(row)): row.extra for row in audited.rows}
        own = {name: columns[slice_of(ref)] for name, ref in zip(written, references, strict=True)}
    extra = {
        row.path: {**own.get(row.path, {}), **row.extra, ISSUE_COLUMN: marked.get(row.path, "")}
        for row in built.report.rows
    }
    rows = tuple(replace(row, extra=extra[row.path]) for row in built.report.rows)
    return Built(replace(built.manifest, rows=rows), replace(built.report, rows=rows))


def kept_of(issue: Issue, suggested: Built | None) -> int:
    """How many slices with an issue stand in the suggested manifest; a copy may have gone."""
    rows = suggested.report.rows if suggested else ()
    return sum(issue.rule.kind in row.extra[ISSUE_COLUMN].split() for row in rows)


def outcome(issue: Issue, suggested: Built | None) -> str:
    """What becomes of the slices with an issue, in words."""
    if issue.rule.leave_out:
        return "left out of the suggested manifest"
    kept, total = kept_of(issue, suggested), len(issue.slices)
    if kept == total:
        return "kept, but marked, in the suggested manifest"
    if kept == 0:
        return "left out of the suggested manifest for another reason"
    return (
        f"{kept:,} kept, but marked, in the suggested manifest; {total - kept:,} left out of it "
        "for another reason"
    )


def _in_splits_of_groups(items: Sequence[Item]) -> list[Item]:
    """Slices without a split in that of most of their group, copies that may go included."""
    groups, folds = leak_free(items).tolist(), [item.fold for item in items]
    home = homes((group, fold) for group, fold in zip(groups, folds, strict=True) if fold)
    return [
        item if item.fold else replace(item, fold=home.get(group, ""))
        for item, group in zip(items, groups, strict=True)
    ]


def _kinds(issues: Sequence[Issue], names: Sequence[str], *, leave_out: bool) -> dict[str, str]:
    """By name of a slice, the kinds of its issues that leave out, or else of those that do not."""
    found: dict[str, list[str]] = {}
    for issue in issues:
        if issue.rule.leave_out == leave_out:
            for index in issue.slices:
                found.setdefault(names[index], []).append(issue.rule.kind)
    return {name: " ".join(kinds) for name, kinds in found.items()}
