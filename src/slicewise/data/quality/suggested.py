"""The suggested manifest: one of each slice, no contradictions, no leaks, issues left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from slicewise.data.build.build import Built, assembled
from slicewise.data.build.config import BuildConfig
from slicewise.data.build.sources import Item
from slicewise.data.build.splits import homes
from slicewise.data.duplicates.search import Pair
from slicewise.data.manifest import Manifest
from slicewise.data.quality.dataset import Dataset
from slicewise.data.quality.issues import Issue
from slicewise.data.quality.leakage import leak_free
from slicewise.data.tasks import contradicted
from slicewise.imaging.read import file_and_index

ISSUE_COLUMN = "suspect"
"""Extra column: kinds of issues that do not leave a slice out, joined by blanks."""


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
    manifest gives are kept: groups that cross such a boundary move to the side that holds most of
    them. A slice of the manifest without a split takes that of its group where it has one. All
    other groups are dealt 70/15/15; published folders are no boundary.

    Args:
        pairs: Which slices are copies, by index.
        config: Rules of the build that folders would go through.
        audited: The manifest that is audited; None for folders.
    """
    rules = config.model_copy(
        update={"copies": "one", "on_conflict": "move", "published_splits": False}
    )
    items = _in_splits_of_groups(dataset.items) if audited else dataset.items
    given = bool(audited) and any(item.fold for item in items)
    references = [item.reference for item in items]
    kinds = _kinds(issues, references, leave_out=True)
    unwanted = {reference: f"suspect: {names}" for reference, names in kinds.items()}
    if not _is_any_left(items, unwanted):
        return None
    built = assembled(items, dataset.excluded, pairs, rules, unwanted, keep_splits=given)
    written = [item.written for item in items]
    marked = _kinds(issues, written, leave_out=False)
    own: Mapping[str, Mapping[str, str]] = {}
    if audited:
        columns = {_slice(audited.resolve(row)): row.extra for row in audited.rows}
        own = {name: columns[_slice(ref)] for name, ref in zip(written, references, strict=True)}
    rows = tuple(
        replace(
            row,
            extra={**own.get(row.path, {}), **row.extra, ISSUE_COLUMN: marked.get(row.path, "")},
        )
        for row in built.report.rows
    )
    return Built(replace(built.manifest, rows=rows), replace(built.report, rows=rows))


def kept_of(issue: Issue, suggested: Built | None) -> int:
    """How many slices with an issue stand in the suggested manifest.

    An issue that only marks does not keep: a slice may go for another reason, as a copy does.
    """
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


def _is_any_left(items: Sequence[Item], unwanted: Mapping[str, str]) -> bool:
    """Whether any slice is neither unwanted nor contradicted."""
    labels: dict[int, set[str]] = {}
    for item in items:
        labels.setdefault(item.cluster, set()).add(item.label)
    odd = {cluster: contradicted(names) for cluster, names in labels.items()}
    return any(
        item.label not in odd[item.cluster] and item.reference not in unwanted for item in items
    )


def _in_splits_of_groups(items: Sequence[Item]) -> list[Item]:
    """Slices without a split in that of most of their group, copies that may go included."""
    groups, folds = leak_free(items).tolist(), [item.fold for item in items]
    home = homes((group, fold) for group, fold in zip(groups, folds, strict=True) if fold)
    return [
        item if item.fold else replace(item, fold=home.get(group, ""))
        for item, group in zip(items, groups, strict=True)
    ]


def _slice(reference: str) -> tuple[str, int]:
    """Of which file, and which of it: the only one of a file is its first."""
    file, index = file_and_index(reference)
    return file, index or 0


def _kinds(issues: Sequence[Issue], names: Sequence[str], *, leave_out: bool) -> dict[str, str]:
    """By name of a slice, the kinds of its issues that leave out, or else of those that do not."""
    found: dict[str, list[str]] = {}
    for issue in issues:
        if issue.rule.leave_out == leave_out:
            for index in issue.slices:
                found.setdefault(names[index], []).append(issue.rule.kind)
    return {name: " ".join(kinds) for name, kinds in found.items()}
