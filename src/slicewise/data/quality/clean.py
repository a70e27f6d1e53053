"""A manifest that one could train on: one of each slice, no contradictions, no leaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from slicewise.data.build.build import Built, assembled
from slicewise.data.build.collection import Item
from slicewise.data.build.config import BuildConfig
from slicewise.data.build.splits import homes
from slicewise.data.duplicates.search import Pair
from slicewise.data.manifest import Manifest
from slicewise.data.quality.copies import leak_free
from slicewise.data.quality.reading import Material
from slicewise.data.quality.suspects import Suspects
from slicewise.data.tasks import contradicted
from slicewise.imaging.read import file_and_index

SUSPECT_COLUMN = "suspect"
"""Extra column: kinds of suspicion that do not leave a slice out, joined by blanks."""


def clean_manifest(
    material: Material,
    pairs: Sequence[Pair],
    suspects: Sequence[Suspects],
    config: BuildConfig,
    audited: Manifest | None,
) -> Built | None:
    """The suggested manifest and what it leaves out with reasons; None where nothing is left.

    One of each set of copies stays, the largest; sets whose labels contradict each other go, and
    so do slices of which a rule that leaves out holds. The user's folds and whatever splits the
    audited manifest gives are kept: groups that cross such a boundary move to the side that holds
    most of them. A slice of the manifest without a split takes that of its group where it has one.
    All other groups are dealt 70/15/15; published folders are no boundary.

    Args:
        material: Slices in the order of `pairs`.
        pairs: Which of them are copies.
        suspects: Which of them are suspect.
        config: Rules of the build that folders would go through.
        audited: The manifest that is audited; None for folders.

    Raises:
        ManifestError: If the user's folds are not as expected.
        ConfigError: If a fold is named that is not there.
    """
    rules = config.model_copy(
        update={"copies": "one", "on_conflict": "move", "published_splits": False}
    )
    collected = material.collected
    if audited:
        collected = replace(collected, items=_in_splits_of_groups(collected.items))
    given = bool(audited) and any(item.fold for item in collected.items)
    references = [item.found.reference for item in collected.items]
    written = [_written(item) for item in collected.items]
    unwanted = {
        name: f"suspect: {kinds}"
        for name, kinds in _kinds(suspects, references, leave_out=True).items()
    }
    if not _left(collected.items, unwanted):
        return None
    built = assembled(collected, pairs, rules, unwanted, keep_splits=given)
    marked = _kinds(suspects, written, leave_out=False)
    own: Mapping[str, Mapping[str, str]] = {}
    if audited:
        columns = {_slice(audited.resolve(row)): row.extra for row in audited.rows}
        own = {name: columns[_slice(ref)] for name, ref in zip(written, references, strict=True)}
    rows = tuple(
        replace(
            row,
            extra={**own.get(row.path, {}), **row.extra, SUSPECT_COLUMN: marked.get(row.path, "")},
        )
        for row in built.report.rows
    )
    return Built(replace(built.manifest, rows=rows), replace(built.report, rows=rows))


def _left(items: Sequence[Item], unwanted: Mapping[str, str]) -> bool:
    """Whether any slice is neither unwanted nor contradicted."""
    labels: dict[int, set[str]] = {}
    for item in items:
        labels.setdefault(item.cluster, set()).add(item.found.label)
    odd = {cluster: contradicted(names) for cluster, names in labels.items()}
    return any(
        item.found.label not in odd[item.cluster] and item.found.reference not in unwanted
        for item in items
    )


def _in_splits_of_groups(items: Sequence[Item]) -> list[Item]:
    """Slices without a split in that of most of their group, copies that may go included."""
    groups = leak_free(items).tolist()
    folds = [item.fold for item in items]
    home = homes((group, fold) for group, fold in zip(groups, folds, strict=True) if fold)
    return [
        item if item.fold else replace(item, fold=home.get(group, ""))
        for item, group in zip(items, groups, strict=True)
    ]


def _slice(reference: str) -> tuple[str, int]:
    """Of which file, and which of it: the only one of a file is its first."""
    file, index = file_and_index(reference)
    return file, index or 0


def _written(item: Item) -> str:
    """A slice's path as a built manifest has it."""
    found = item.found
    return str(found.file.resolve()) + ("" if found.index is None else f"#{found.index}")


def _kinds(
    suspects: Sequence[Suspects], names: Sequence[str], *, leave_out: bool
) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for one in suspects:
        if one.rule.leave_out == leave_out:
            for index in one.slices:
                found.setdefault(names[index], []).append(one.rule.kind)
    return {name: " ".join(kinds) for name, kinds in found.items()}
