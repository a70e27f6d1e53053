"""Folders to a manifest: read, find copies, group, split; and a report of what was found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from slicewise.data.build.collection import collect
from slicewise.data.build.config import BuildConfig
from slicewise.data.build.report import BuildReport, Excluded
from slicewise.data.build.sources import Item
from slicewise.data.build.splits import boundary, inherit, split_names, within_folds
from slicewise.data.duplicates.search import Pair, find_pairs
from slicewise.data.groups import clusters, group_names
from slicewise.data.manifest import (
    MASK_COLUMN,
    PUBLISHED_COLUMN,
    TAKEN_COLUMN,
    Manifest,
    ManifestRow,
)
from slicewise.data.tables import write_table
from slicewise.data.tasks import TUMOR, contradict, parse_task
from slicewise.errors import ManifestError
from slicewise.progress import Progress

EXCLUDED_COLUMNS = ("path", "label", "source", "reason")


@dataclass(frozen=True, slots=True)
class Built:
    """A manifest, what was left out and the report on both."""

    manifest: Manifest
    report: BuildReport

    def write(self, path: Path) -> None:
        """Write the manifest, and beside it what was left out as `<name>.excluded.csv`."""
        self.manifest.write(path)
        rows = [
            {column: getattr(entry, column) for column in EXCLUDED_COLUMNS}
            for entry in self.report.excluded
        ]
        write_table(path.with_suffix(".excluded.csv"), rows, EXCLUDED_COLUMNS)


def build(config: BuildConfig, progress: Progress | None = None) -> Built:
    """Build a manifest in memory; its paths are absolute until it is written.

    Raises:
        LeakageError: If a group stands in several of the user's folds, unless told what to do.
        ManifestError: If a folder or table is not as expected, or nothing is left.
        ConfigError: If the task is not as expected.
    """
    collected = collect(config, parse_task(config.task), progress)
    pairs = find_pairs(collected.prints, progress)
    return assembled(collected.items, collected.excluded, pairs, config)


def clustered(items: Sequence[Item], pairs: Iterable[Pair]) -> list[Item]:
    """N slices with their set of copies, named by the smallest hash in it, whatever the order."""
    copy_of = clusters(len(items), ((pair.first, pair.second) for pair in pairs))
    smallest: dict[int, str] = {}
    for item, cluster in zip(items, copy_of, strict=True):
        name = item.sha256[:12] + ("" if item.index is None else f"#{item.index}")
        smallest[cluster] = min(name, smallest.get(cluster, name))
    return [
        replace(item, cluster=cluster, cluster_name=smallest[cluster])
        for item, cluster in zip(items, copy_of, strict=True)
    ]


def assembled(
    items: Sequence[Item],
    excluded: Sequence[Excluded],
    pairs: Sequence[Pair],
    config: BuildConfig,
    unwanted: Mapping[str, str] | None = None,
    *,
    keep_splits: bool = False,
) -> Built:
    """A manifest from slices whose copies are known.

    Args:
        pairs: Which of the slices are copies, by index.
        unwanted: From a slice's reference to the reason why it is left out.
        keep_splits: Whether the folds of the slices are splits, kept whichever they are; whole
            groups without one are dealt.

    Raises:
        LeakageError: If a group stands in several of the user's folds, unless told what to do.
        ManifestError: If folds are not as expected, or nothing is left.
        ConfigError: If a fold is named that is not there.
    """
    everything = clustered(items, pairs)
    kept, left_out = _without_conflicts(everything)
    reasons = unwanted or {}
    for item in kept:
        if (reference := item.reference) in reasons:
            left_out.append(item.excluded(reasons[reference]))
    kept = [item for item in kept if item.reference not in reasons]
    if config.copies == "one":
        kept, more = _one_of_each(kept)
        left_out += more
    if not kept:
        roots = ", ".join(str(source.root) for source in config.sources)
        raise nothing_readable(roots, excluded)
    staying = {item.reference for item in kept}
    kept = inherit(kept, [item for item in everything if item.reference not in staying])
    kept, more, moved = within_folds(kept, config)
    groups = group_names([item.keys for item in kept])
    splits = split_names(kept, groups, config, keep=keep_splits)
    rows = tuple(
        _row(item, group, split, config.fold_column)
        for item, group, split in zip(kept, groups, splits, strict=True)
    )
    report = BuildReport(
        rows=rows,
        excluded=(*excluded, *left_out, *more),
        exact_copies=sum(pair.exact for pair in pairs),
        near_copies=sum(not pair.exact for pair in pairs),
        moved=moved,
        boundary=boundary(kept, config, keep=keep_splits),
    )
    return Built(Manifest(rows, Path.cwd()), report)


def nothing_readable(roots: str, excluded: Sequence[Excluded]) -> ManifestError:
    """The error of folders or a manifest without a slice that can be used."""
    why = ""
    if excluded:
        first = excluded[0]
        why = f"; {len(excluded)} left out, first {first.path}: {first.reason}"
    return ManifestError(f"{roots}: expected at least one readable slice{why}")


def _without_conflicts(items: Sequence[Item]) -> tuple[list[Item], list[Excluded]]:
    """Copies of one slice under labels that contradict each other are left out, all of them.

    What training would take a slice for counts as its label.
    """
    labels: dict[int, dict[str, Item]] = {}
    for item in items:
        labels.setdefault(item.cluster, {}).setdefault(item.trained_as, item)
    kept, excluded = [], []
    for item in items:
        copies = labels[item.cluster].items()
        others = [other for label, other in copies if contradict(label, item.trained_as)]
        if others:
            other = others[0]
            label = f"taken as {other.known.taken}" if other.known.taken else other.label
            reason = f"label conflict: {label} in {other.reference}"
            excluded.append(item.excluded(reason, "label conflict"))
        else:
            kept.append(item)
    return kept, excluded


def _one_of_each(items: Sequence[Item]) -> tuple[list[Item], list[Excluded]]:
    """The one that says most, then the largest, of each set of copies; of equals the first."""
    best: dict[int, Item] = {}
    for item in items:
        rival = best.setdefault(item.cluster, item)
        if _worth(item) > _worth(rival):
            best[item.cluster] = item
    kept = [item for item in items if best[item.cluster] is item]
    return kept, [
        item.excluded(f"copy of {best[item.cluster].reference}", "copy of")
        for item in items
        if best[item.cluster] is not item
    ]


def _worth(item: Item) -> tuple[bool, bool, int]:
    return item.label != TUMOR, bool(item.known.taken), item.width * item.height


def _row(item: Item, group: str, split: str, fold_column: str) -> ManifestRow:
    known = item.known
    extra = {PUBLISHED_COLUMN: item.published_split} if item.published_split else {}
    if known.fold:
        extra[fold_column] = item.fold
    if item.mask:
        extra[MASK_COLUMN] = str(Path(item.mask).resolve())
    if known.taken:
        extra[TAKEN_COLUMN] = known.taken
    return ManifestRow(
        path=item.written,
        label=item.label,
        source=item.source,
        patient_id=known.patient or item.patient,
        group=group,
        split=split,
        sha256=item.sha256,
        width=item.width,
        height=item.height,
        extra=extra,
    )
