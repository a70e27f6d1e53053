"""A manifest that one could train on: one of each slice, no contradictions, no leaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from slicewise.data.audit.reading import Material
from slicewise.data.audit.suspects import Suspects
from slicewise.data.build import Built, assembled
from slicewise.data.build_config import BuildConfig
from slicewise.data.collection import Item
from slicewise.data.duplicates import Pair
from slicewise.data.manifest import SPLITS, Manifest

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
    so do slices of which a rule that leaves out holds. Whole groups are dealt 70/15/15 anew,
    unless the user's folds or a manifest with all three splits give boundaries: then groups that
    cross one move to the side that holds most of them. Published folders are no such boundary.

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
    if audited and {row.split for row in audited.rows} != set(SPLITS):
        undealt = [replace(item, fold="") for item in collected.items]
        collected = replace(collected, items=undealt)
    references = [item.found.reference for item in collected.items]
    written = [_written(item) for item in collected.items]
    unwanted = {
        name: f"suspect: {kinds}"
        for name, kinds in _kinds(suspects, references, leave_out=True).items()
    }
    if not _left(collected.items, unwanted):
        return None
    built = assembled(collected, pairs, rules, unwanted)
    marked = _kinds(suspects, written, leave_out=False)
    own: Mapping[str, Mapping[str, str]] = {}
    if audited:
        columns = {audited.resolve(row): row.extra for row in audited.rows}
        own = {name: columns[ref] for name, ref in zip(written, references, strict=True)}
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
    return any(
        len(labels[item.cluster]) == 1 and item.found.reference not in unwanted for item in items
    )


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
