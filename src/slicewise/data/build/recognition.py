"""Known public slices among those of a build: their patients, their copies, what to say of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from slicewise.data.build.report import Excluded
from slicewise.data.build.sources import Item
from slicewise.data.duplicates.fingerprint import Fingerprints
from slicewise.data.duplicates.search import Pair, find_pairs
from slicewise.data.public.index import public_index
from slicewise.data.tasks import FOUR_CLASS, NO_TUMOR, TUMOR, contradict
from slicewise.progress import Progress
from slicewise.text import counted

_LABELS = {*FOUR_CLASS.classes, TUMOR}
"""Those that public slices were published under; a task may have others."""


def recognised(items: Sequence[Item]) -> list[Item]:
    """The slices with what the index of public slices knows of each."""
    files, pixels = ([getattr(i, name) for i in items] for name in ("sha256", "pixels_sha256"))
    found = public_index().find(files, pixels)
    return [
        replace(item, public=one) if one else item for item, one in zip(items, found, strict=True)
    ]


def copies_of(
    items: Sequence[Item], prints: Fingerprints, progress: Progress | None = None
) -> list[Pair]:
    """Pairs that connect all copies: those that are known, and those that the search finds.

    Slices of known patients are compared with all others, but not with each other.
    """
    known = [None if item.public is None else item.public.cluster for item in items]
    patients = [item.public is not None and bool(item.public.patients) for item in items]
    return find_pairs(prints, progress, known, np.array(patients, dtype=np.bool_))


def contradicting(item: Item) -> str:
    """Which published labels of a known slice contradict each other; empty where none do.

    What is labelled `tumor` only is contradicted by no type of tumor, and of labels that the index
    does not have nothing is said.
    """
    labels, own = item.public.contradicting if item.public else (), item.trained_as
    if not labels or own not in _LABELS or (own == TUMOR and NO_TUMOR not in labels):
        return ""
    return f"known label conflict: published as {' and '.join(labels)}"


def relabelled(item: Item) -> bool:
    """Whether the label of a known slice contradicts every label that it was published under."""
    published, own = item.public.published if item.public else (), item.trained_as
    told = bool(published) and own in _LABELS
    return told and all(contradict(own, label) for _, label in published)


def summary(items: Sequence[Item], excluded: Sequence[Excluded]) -> str:
    """What is known of the slices, of which some were left out; empty where nothing is."""
    known = [item.public for item in items if item.public]
    if not known:
        return ""
    files = len({item.file for item in items})
    named = "all known" if len(known) == len(items) else f"{len(known):,} known"
    distinct, groups = len({one.cluster for one in known}), len({one.group for one in known})
    text = f"{counted(files, 'file')}, {named}: {counted(distinct, 'distinct slice')} in "
    text += counted(groups, "group")
    if odd := [item.reference for item in items if contradicting(item)]:
        gone = len({one.path for one in excluded} & set(odd))
        kept = len(odd) - gone
        then = "left out" if not kept else f"kept, {gone:,} left out" if gone else "kept"
        text += f"; {kept or gone:,} with contradicting labels {then}"
    if other := sum(map(relabelled, items)):
        text += f"; {other:,} under another label than published"
    return text


def tied(items: Sequence[Item]) -> str:
    """How many of the user's own groups known patients tie to another, in words; empty for none."""
    units: dict[str, set[tuple[str, str]]] = {}
    for item in items:
        own = item.known.patient or item.patient or item.known.group
        if own and item.public and item.public.patients:
            units.setdefault(item.public.patients, set()).add((item.source, own))
    several = {unit for own in units.values() if len(own) > 1 for unit in own}
    if not several:
        return ""
    return (
        f"{len(several):,} of the groups given hold slices of known patients that stand in another "
        "of them too: these stand in one split"
    )
