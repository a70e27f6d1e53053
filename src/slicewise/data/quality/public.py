"""What of a data set is public already: whose slices they are, and what a random split does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from slicewise.data.build.recognition import contradicting, relabelled
from slicewise.data.build.sources import Item
from slicewise.data.quality.leakage import Group, Sides, random_split


@dataclass(frozen=True, slots=True)
class PublicSlices:
    """The known public slices of a data set; slices are indices.

    Args:
        known: All of them.
        distinct: How many they are without copies.
        groups: How many groups of patients, or else sets of copies, they belong to.
        patients: How many of these are groups of whole patients.
        collections: By collection, how many stand in it or have a copy there.
        torn: How many groups a random split of all slices puts on both sides.
        leaking: How many known slices are on the test side of it, and for how many of these their
            group is on the other.
        crossing: Those whose group stands in several of the splits that were given.
        contradictions: Of each set of copies whose published labels contradict each other.
        relabelled: Those whose label contradicts every label that they were published under.
    """

    known: Group
    distinct: int
    groups: int
    patients: int
    collections: dict[str, int]
    torn: int
    leaking: tuple[int, int]
    crossing: Group
    contradictions: list[Group]
    relabelled: Group

    def as_json(self, paths: Sequence[str]) -> dict[str, object]:
        """The key `known` of `audit.json`; `paths` are those of all slices."""
        test, leaking = self.leaking
        return {
            "slices": len(self.known),
            "distinct_slices": self.distinct,
            "groups": self.groups,
            "groups_of_patients": self.patients,
            "collections": self.collections,
            "random_split": {
                "groups_on_both_sides": self.torn,
                "test_slices": test,
                "test_slices_of_a_group_in_train": leaking,
            },
            "in_groups_across_splits": len(self.crossing),
            "contradictions": [[paths[index] for index in one] for one in self.contradictions],
            "relabelled": [paths[index] for index in self.relabelled],
        }


def find_public(items: Sequence[Item], sides: Sides) -> PublicSlices | None:
    """What is known of N slices; None where nothing is."""
    found = {index: item.public for index, item in enumerate(items) if item.public}
    if not found:
        return None
    names = {index: one.group for index, one in found.items()}
    train, test = (set(side.tolist()) for side in random_split(len(items)))
    trained = {name for index, name in names.items() if index in train}
    asked = [name for index, name in names.items() if index in test]
    folds: dict[str, set[str]] = {}
    for index, name in names.items():
        folds.setdefault(name, set()).add(sides.names[index])
    odd: dict[int, Group] = {}
    for index, one in found.items():
        if contradicting(items[index]):
            odd.setdefault(one.cluster, []).append(index)
    return PublicSlices(
        known=list(found),
        distinct=len({one.cluster for one in found.values()}),
        groups=len(set(names.values())),
        patients=len({one.patients for one in found.values()} - {""}),
        collections=dict(
            sorted(Counter(name for one in found.values() for name in one.collections).items())
        ),
        torn=len(trained & set(asked)),
        leaking=(len(asked), sum(name in trained for name in asked)),
        crossing=[index for index, name in names.items() if len(folds[name] - {""}) > 1],
        contradictions=sorted(odd.values(), key=lambda group: (-len(group), group[0])),
        relabelled=[index for index in found if relabelled(items[index])],
    )
