"""What an audit found, as the numbers and lists of `audit.json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from slicewise.arrays import Ints
from slicewise.data.build.build import Built
from slicewise.data.build.collection import Item
from slicewise.data.groups import COPIES_PREFIX, Bond, Key
from slicewise.data.quality.copies import Copies, Crossed, Group, Sides
from slicewise.data.quality.memorisation import Memorisation
from slicewise.data.quality.reading import Material
from slicewise.data.quality.shortcuts import Probe
from slicewise.data.quality.suggestion import kept_of
from slicewise.data.quality.suspects import Suspects
from slicewise.data.quality.tables import Row


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """Everything that was found.

    Args:
        material: The slices, with their copies known.
        sides: In which split each stood.
        groups: (N,) numbers of leak-free groups.
        table: Counts by class, source and split.
        copies: Groups of copies and where they cross.
        memory: The nearest neighbour's score, None where it has no two sides.
        class_probe: What files and borders say of the class, or why that is unknown.
        source_probe: What they say of the source, or why that is unknown.
        suspects: Slices that may not belong.
        clean: The suggested manifest; None where nothing would be left.
    """

    material: Material
    sides: Sides
    groups: Ints
    table: list[Row]
    copies: Copies
    memory: Memorisation | None
    class_probe: Probe | str
    source_probe: Probe | str
    suspects: list[Suspects]
    clean: Built | None

    @property
    def items(self) -> list[Item]:
        """The slices."""
        return self.material.items

    @property
    def known_patients(self) -> bool:
        """Whether more than copies ties every slice to others: patient, group or volume."""
        return all(any(key.bond < Bond.COPIES for key in _ties(item)) for item in self.items)

    def paths(self, group: Group) -> list[str]:
        """References of slices, in order."""
        return [self.items[index].found.reference for index in group]


def _ties(item: Item) -> list[Key]:
    """Its keys; a manifest's group that is named after copies counts as copies."""
    return [key for key in item.keys if not key.name.startswith(COPIES_PREFIX)]


def as_json(findings: Findings) -> dict[str, Any]:
    """The content of `audit.json` but for verdict, parameters and file names.

    Args:
        findings: All of them.
    """
    copies = findings.copies
    return {
        "slices": len(findings.items),
        "distinct_slices": copies.distinct,
        "groups": len(set(findings.groups.tolist())),
        "classes": sorted({item.found.label for item in findings.items}),
        "sources": sorted({item.found.source for item in findings.items}),
        "splits": findings.sides.said or None,
        "counts": [row.as_json() for row in findings.table],
        "exact_duplicates": [findings.paths(group) for group in copies.exact],
        "near_duplicates": [findings.paths(group) for group in copies.near],
        "cross_split": [_crossed(findings, one) for one in copies.cross_split],
        "torn_units": copies.torn,
        "cross_source": [_crossed(findings, one) for one in copies.cross_source],
        "label_conflicts": [_conflict(findings, group) for group in copies.conflicts],
        "memorisation_1nn": _memory(findings.memory),
        "shortcut_probe": {
            "class": _probe(findings.class_probe),
            "source": _probe(findings.source_probe),
        },
        "suspects": [_suspects(findings, one) for one in findings.suspects],
        "unreadable": [
            {"path": one.path, "source": one.source, "reason": one.reason}
            for one in findings.material.collected.excluded
        ],
    }


def _crossed(findings: Findings, one: Crossed) -> dict[str, Any]:
    return {
        "slices_of": one.side,
        "with_copy_in": one.other,
        "n": one.n,
        "count": len(one.hits),
        "share": one.share.as_json(),
        "paths": findings.paths(one.hits),
    }


def _conflict(findings: Findings, group: Group) -> list[dict[str, str]]:
    chosen = [findings.items[index].found for index in group]
    return [{"path": found.reference, "label": found.label} for found in chosen]


def _memory(memory: Memorisation | None) -> dict[str, Any] | None:
    if memory is None:
        return None
    return {
        "split": memory.split,
        "n_train": len(memory.train),
        "n_test": len(memory.test),
        "accuracy": memory.accuracy.as_json(),
        "accuracy_without_own_group": memory.grouped.as_json(),
        "majority_class": memory.majority.as_json(),
    }


def _probe(probe: Probe | str) -> dict[str, Any]:
    if isinstance(probe, str):
        return {"reason": probe}
    return {
        "n": probe.n,
        "groups": probe.groups,
        "folds": probe.folds,
        "majority_class": probe.majority,
        "chance_balanced_accuracy": probe.chance,
        "by_family": {
            score.family: {
                "accuracy": score.accuracy.as_json(),
                "balanced_accuracy": score.balanced_accuracy.as_json(),
            }
            for score in probe.scores
        },
        "importance": [{"feature": name, "fall": fall} for name, fall in probe.importance],
    }


def _suspects(findings: Findings, one: Suspects) -> dict[str, Any]:
    return {
        "kind": one.rule.kind,
        "title": one.rule.title,
        "rule": one.rule.words,
        "left_out": one.rule.leave_out,
        "kept": kept_of(one, findings.clean),
        "count": len(one.slices),
        "paths": findings.paths(one.slices),
    }


def headline(probe: Probe | str) -> Sequence[str]:
    """The most telling features, at most four, each with its fall; none without a probe."""
    if isinstance(probe, str):
        return []
    telling = [(name, fall) for name, fall in probe.importance if fall >= 0.005]
    return [name for name, _ in telling[:4]]
