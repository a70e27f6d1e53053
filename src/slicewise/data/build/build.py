"""Folders to a manifest: read every slice once, find copies, group, split; what was found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from slicewise.arrays import Array
from slicewise.data.build.config import BuildConfig
from slicewise.data.build.plan import plan, unreadable
from slicewise.data.build.recognition import contradicting, copies_of, recognised, summary, tied
from slicewise.data.build.report import BuildReport, Excluded
from slicewise.data.build.sources import File, Item, read_file
from slicewise.data.build.splits import boundary, inherit, split_names, within_folds
from slicewise.data.duplicates.fingerprint import (
    Fingerprints,
    fingerprints,
    hashed_fingerprints,
)
from slicewise.data.duplicates.search import Pair
from slicewise.data.groups import clusters, group_names
from slicewise.data.manifest import (
    MASK_COLUMN,
    PUBLIC_COLUMN,
    PUBLISHED_COLUMN,
    TAKEN_COLUMN,
    Manifest,
    ManifestRow,
)
from slicewise.data.tables import write_table
from slicewise.data.tasks import TUMOR, Task, contradict, parse_task
from slicewise.errors import InputError, ManifestError
from slicewise.imaging.slice import is_synthetic
from slicewise.progress import Progress, ProgressCount


@dataclass(frozen=True, slots=True)
class Built:
    """A manifest, what was left out and the report on both."""

    manifest: Manifest
    report: BuildReport

    def write(self, path: Path) -> None:
        """Write the manifest, and beside it what was left out as `<name>.excluded.csv`."""
        self.manifest.write(path)
        rows = [asdict(entry) for entry in self.report.excluded]
        columns = ("path", "label", "source", "reason")
        write_table(path.with_suffix(".excluded.csv"), rows, columns)


@dataclass(slots=True)
class Collected:
    """Slices in order, their fingerprints in the same order, what was left out, and notes."""

    notes: list[str] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    excluded: list[Excluded] = field(default_factory=list)
    prints: Fingerprints = field(default_factory=lambda: fingerprints([]))


def collect(config: BuildConfig, task: Task, progress: Progress | None) -> Collected:
    """Read every source; errors as `plan`."""
    collected = Collected()
    files, collected.excluded = plan(config, task, collected.notes.append)
    collected.prints = hashed_fingerprints(_read_all(files, collected, progress))
    if config.published_splits:
        collected.items = [replace(item, fold=item.published_split) for item in collected.items]
    return collected


def build(config: BuildConfig, progress: Progress | None = None) -> Built:
    """Build a manifest in memory; its paths are absolute until it is written.

    Raises:
        LeakageError: If a group stands in several of the user's folds, unless told what to do.
        ManifestError: If a folder or table is not as expected, or nothing is left.
        ConfigError: If the task is not as expected.
    """
    collected = collect(config, parse_task(config.task), progress)
    items = recognised(collected.items) if config.known else collected.items
    pairs = copies_of(items, collected.prints, progress)
    built = assembled(items, collected.excluded, pairs, config)
    notes = (*collected.notes, *filter(None, [tied(items)]))
    known = summary(items, built.report.excluded)
    return replace(built, report=replace(built.report, notes=notes, known=known))


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
    """A manifest from slices of which `pairs` are copies, by index; errors as `build`.

    Args:
        unwanted: From a slice's reference to the reason why it is left out.
        keep_splits: Whether the folds of the slices are splits, kept whichever they are; whole
            groups without one are dealt.
    """
    everything = clustered(items, pairs)
    kept, left_out = without_conflicts(everything)
    reasons = dict(unwanted or {})
    if config.known_conflicts == "drop":
        reasons |= {item.reference: why for item in kept if (why := contradicting(item))}
    left_out += [item.excluded(reasons[ref]) for item in kept if (ref := item.reference) in reasons]
    kept = [item for item in kept if item.reference not in reasons]
    if config.copies == "one":
        kept, more = _one_of_each(kept)
        left_out += more
    if not kept:
        roots = ", ".join(str(source.root) for source in config.sources)
        raise nothing_readable(roots, (*excluded, *left_out))
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


def _read_all(
    files: Sequence[File], collected: Collected, progress: Progress | None
) -> Iterator[tuple[Array, str]]:
    """Pixels of the slices that are kept, and their hash where they have one.

    Their items, and what is left out, go to `collected`.
    """
    tally = ProgressCount(progress, "reading", len(files))
    for file in files:
        try:
            for item, slice_ in read_file(file):
                if unwanted := "synthetic" if is_synthetic(slice_) else item.unfit:
                    collected.excluded.append(item.excluded(unwanted))
                else:
                    collected.items.append(item)
                    yield slice_.pixels, item.pixels_sha256
        except InputError as error:
            bad = unreadable(str(file.path), file.label, file.source, str(error))
            collected.excluded.append(bad)
        tally()


def without_conflicts(items: Sequence[Item]) -> tuple[list[Item], list[Excluded]]:
    """Copies of one slice under labels that contradict each other are left out, all of them.

    What training would take a slice for counts as its label.
    """
    labels: dict[int, dict[str, Item]] = {}
    for item in items:
        labels.setdefault(item.cluster, {}).setdefault(item.trained_as, item)
    kept, excluded = [], []
    for item in items:
        copies = labels[item.cluster].items()
        others = (other for label, other in copies if contradict(label, item.trained_as))
        if other := next(others, None):
            label = f"taken as {other.known.taken}" if other.known.taken else other.label
            reason = f"label conflict: {label} in {other.reference}"
            excluded.append(item.excluded(reason, "label conflict"))
        else:
            kept.append(item)
    return kept, excluded


def _one_of_each(items: Sequence[Item]) -> tuple[list[Item], list[Excluded]]:
    """The one that says most, then the largest, of each set of copies; of equals the first."""
    order = sorted(items, key=lambda i: (i.label == TUMOR, not i.known.taken, -i.width * i.height))
    best = {item.cluster: item for item in reversed(order)}
    kept = [item for item in items if best[item.cluster] is item]
    pairs = [(item, best[item.cluster]) for item in items if best[item.cluster] is not item]
    return kept, [item.excluded(f"copy of {one.reference}", "copy of") for item, one in pairs]


def _row(item: Item, group: str, split: str, fold_column: str) -> ManifestRow:
    known = item.known
    extra = {PUBLISHED_COLUMN: item.published_split} if item.published_split else {}
    if known.fold:
        extra[fold_column] = item.fold
    if item.mask:
        extra[MASK_COLUMN] = str(Path(item.mask).resolve())
    if known.taken:
        extra[TAKEN_COLUMN] = known.taken
    if item.public:
        extra[PUBLIC_COLUMN] = item.public.group
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
