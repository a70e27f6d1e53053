"""Folders to a manifest: read, find copies, group, split; and a report of what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from slicewise.data.build.boundaries import (
    boundary,
    fold_column,
    inherit,
    kept_boundary,
    kept_splits,
    keys_of,
    split_names,
    within_folds,
)
from slicewise.data.build.collection import Collected, Item, collect
from slicewise.data.build.config import BuildConfig
from slicewise.data.build.report import BuildReport, Excluded
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
        """Write the manifest, and beside it what was left out as `<name>.excluded.csv`.

        Args:
            path: Ends in `.csv` or `.parquet`.

        Raises:
            ManifestError: If the suffix is another one.
            MissingExtraError: If Parquet is wanted and pyarrow is not installed.
        """
        self.manifest.write(path)
        rows = [
            {"path": e.path, "label": e.label, "source": e.source, "reason": e.reason}
            for e in self.report.excluded
        ]
        write_table(path.with_suffix(".excluded.csv"), rows, EXCLUDED_COLUMNS)


def build(config: BuildConfig, progress: Progress | None = None) -> Built:
    """Build a manifest in memory; its paths are absolute until it is written.

    Args:
        config: Sources and rules.
        progress: Told of each step.

    Raises:
        LeakageError: If a group stands in several of the user's folds, unless told what to do.
        ManifestError: If a folder or table is not as expected, or nothing is left.
        ConfigError: If the task or a pattern is not as expected.
    """
    collected = collect(config, parse_task(config.task), progress)
    return assembled(collected, find_pairs(collected.prints, progress), config)


def clustered(items: Sequence[Item], pairs: Sequence[Pair]) -> list[Item]:
    """Items with their set of copies.

    Args:
        items: (N) slices.
        pairs: Which of them are copies, by index.
    """
    copy_of = clusters(len(items), ((pair.first, pair.second) for pair in pairs))
    return _clustered(items, copy_of)


def assembled(
    collected: Collected,
    pairs: Sequence[Pair],
    config: BuildConfig,
    unwanted: Mapping[str, str] | None = None,
    *,
    keep_splits: bool = False,
) -> Built:
    """A manifest from slices whose copies are known.

    Args:
        collected: Slices and what was left out so far.
        pairs: Which of the slices are copies, by index.
        config: Rules.
        unwanted: From a slice's reference to the reason why it is left out.
        keep_splits: Whether the folds of the slices are splits, kept whichever they are; whole
            groups without one are dealt.

    Raises:
        LeakageError: If a group stands in several of the user's folds, unless told what to do.
        ManifestError: If folds are not as expected, or nothing is left.
        ConfigError: If a fold is named that is not there.
    """
    everything = clustered(collected.items, pairs)
    items, excluded = _without_conflicts(everything)
    items, more = _without(items, unwanted or {})
    excluded += more
    if config.copies == "one":
        items, more = _one_of_each(items)
        excluded += more
    _require_some(items, collected, config)
    kept = {item.found.reference for item in items}
    items = inherit(items, [item for item in everything if item.found.reference not in kept])
    items, more, moved = within_folds(items, config)
    rows = _rows(items, config, keep_splits=keep_splits)
    report = BuildReport(
        rows=rows,
        excluded=(*collected.excluded, *excluded, *more),
        exact_copies=sum(pair.exact for pair in pairs),
        near_copies=sum(not pair.exact for pair in pairs),
        moved=moved,
        boundary=kept_boundary(items, config.seed) if keep_splits else boundary(items, config),
    )
    return Built(Manifest(rows, Path.cwd()), report)


def _clustered(items: Sequence[Item], copy_of: Sequence[int]) -> list[Item]:
    """Items with their set of copies, named by the smallest hash in it, whatever the order."""
    smallest: dict[int, str] = {}
    for item, cluster in zip(items, copy_of, strict=True):
        name = item.found.sha256[:12] + ("" if item.found.index is None else f"#{item.found.index}")
        smallest[cluster] = min(name, smallest.get(cluster, name))
    return [
        replace(item, cluster=cluster, cluster_name=smallest[cluster])
        for item, cluster in zip(items, copy_of, strict=True)
    ]


def _without_conflicts(items: Sequence[Item]) -> tuple[list[Item], list[Excluded]]:
    """Copies of one slice under labels that contradict each other are left out, all of them.

    What training would take a slice for counts as its label.
    """
    labels: dict[int, dict[str, Item]] = {}
    for item in items:
        labels.setdefault(item.cluster, {}).setdefault(_trained_as(item), item)
    kept, excluded = [], []
    for item in items:
        other = next(
            (
                o
                for label, o in labels[item.cluster].items()
                if contradict(label, _trained_as(item))
            ),
            None,
        )
        if other is None:
            kept.append(item)
        else:
            label = f"taken as {other.known.taken}" if other.known.taken else other.found.label
            excluded.append(item.excluded(f"label conflict: {label} in {other.found.reference}"))
    return kept, excluded


def _trained_as(item: Item) -> str:
    return item.known.taken or item.found.label


def _without(
    items: Sequence[Item], unwanted: Mapping[str, str]
) -> tuple[list[Item], list[Excluded]]:
    """Items that are wanted, and those that are not with their reasons."""
    kept = [item for item in items if item.found.reference not in unwanted]
    gone = [item for item in items if item.found.reference in unwanted]
    return kept, [item.excluded(unwanted[item.found.reference]) for item in gone]


def _one_of_each(items: Sequence[Item]) -> tuple[list[Item], list[Excluded]]:
    """The one that tells most, then the largest, of each set of copies; of equals the first."""
    best: dict[int, Item] = {}
    for item in items:
        rival = best.setdefault(item.cluster, item)
        if _worth(item) > _worth(rival):
            best[item.cluster] = item
    kept = [item for item in items if best[item.cluster] is item]
    return kept, [
        item.excluded(f"copy of {best[item.cluster].found.reference}")
        for item in items
        if best[item.cluster] is not item
    ]


def _rows(
    items: Sequence[Item], config: BuildConfig, *, keep_splits: bool
) -> tuple[ManifestRow, ...]:
    groups = group_names([keys_of(item) for item in items])
    if keep_splits:
        splits = kept_splits(items, groups, config.seed)
    else:
        splits = split_names(items, groups, config)
    fold_name = fold_column(config)
    return tuple(
        _row(item, group, split, fold_name)
        for item, group, split in zip(items, groups, splits, strict=True)
    )


def _row(item: Item, group: str, split: str, fold_name: str) -> ManifestRow:
    found, known = item.found, item.known
    extra = {PUBLISHED_COLUMN: found.published_split} if found.published_split else {}
    if known.fold:
        extra[fold_name] = item.fold
    if found.mask:
        extra[MASK_COLUMN] = str(Path(found.mask).resolve())
    if known.taken:
        extra[TAKEN_COLUMN] = known.taken
    return ManifestRow(
        path=str(found.file.resolve()) + ("" if found.index is None else f"#{found.index}"),
        label=found.label,
        source=found.source,
        patient_id=known.patient or found.patient,
        group=group,
        split=split,
        sha256=found.sha256,
        width=found.width,
        height=found.height,
        extra=extra,
    )


def _require_some(items: Sequence[Item], collected: Collected, config: BuildConfig) -> None:
    if not items:
        first = collected.excluded[0] if collected.excluded else None
        why = (
            f"; {len(collected.excluded)} left out, first {first.path}: {first.reason}"
            if first
            else ""
        )
        roots = ", ".join(str(source.root) for source in config.sources)
        raise ManifestError(f"{roots}: expected at least one readable slice{why}")


def _worth(item: Item) -> tuple[bool, bool, int]:
    found = item.found
    return found.label != TUMOR, bool(item.known.taken), found.width * found.height
