"""All slices of all sources, read once: what is known of each, and its fingerprint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath

from slicewise.arrays import Array
from slicewise.data.annotations import (
    NOTHING_KNOWN,
    Known,
    Table,
    UsedRows,
    known_by_path,
    merged,
)
from slicewise.data.build.config import BuildConfig, SourceConfig
from slicewise.data.build.masks import STAR, MaskSpec
from slicewise.data.build.report import Excluded
from slicewise.data.build.sources import File, Item, list_files, read_file, source_name
from slicewise.data.duplicates.fingerprint import Fingerprints, fingerprints
from slicewise.data.manifest import NOT_UTF8, as_utf8
from slicewise.data.tasks import Task
from slicewise.errors import InputError, ManifestError
from slicewise.imaging.slice import Failure, is_synthetic
from slicewise.progress import Progress, ProgressCount


@dataclass(slots=True)
class Collected:
    """Slices in order, their fingerprints in the same order, and what was left out."""

    items: list[Item] = field(default_factory=list)
    excluded: list[Excluded] = field(default_factory=list)
    prints: Fingerprints = field(default_factory=lambda: fingerprints([]))


def collect(config: BuildConfig, task: Task, progress: Progress | None) -> Collected:
    """Read every source; errors as `plan`."""
    files, excluded = plan(config, task)
    collected = Collected(excluded=excluded)
    collected.prints = fingerprints(_read_all(files, collected, progress))
    if config.published_splits:
        published = [replace(item, fold=item.published_split) for item in collected.items]
        collected.items = published
    return collected


def plan(config: BuildConfig, task: Task) -> tuple[list[File], list[Excluded]]:
    """The files of every source, none of them decoded yet, and what is left out before reading.

    Raises:
        ManifestError: If a folder, a table or a path is not as expected.
    """
    used: UsedRows = {}
    files: list[File] = []
    excluded: list[Excluded] = []
    for source in config.sources:
        listed = list_files(source, task, config.aliases)
        name = source.name or source_name(source.root, task)
        failures = [entry for entry in listed if isinstance(entry, Failure)]
        excluded += [unreadable(bad.source, "", name, bad.error) for bad in failures]
        own = [entry for entry in listed if not isinstance(entry, Failure)]
        known_of = _known_of([file.inner for file in own], source, used)
        for file, known in zip(own, known_of, strict=True):
            unwanted = known.excluded or _unnameable(file)
            if unwanted:
                excluded.append(Excluded(str(file.path), file.label, name, unwanted))
            else:
                _require_open(known, file, task, source)
                files.append(replace(file, known=known))
    _require_different(config, files)
    return files, excluded


def _unnameable(file: File) -> str:
    """Why a manifest cannot name a file; empty where it can."""
    try:
        as_utf8(str(file.inner))
    except ManifestError:
        return NOT_UTF8
    return ""


def unreadable(reference: str, label: str, source: str, reason: str) -> Excluded:
    """The record of an input that could not be read; its kind is the reason without the path."""
    return Excluded(reference, label, source, reason, reason.removeprefix(f"{reference}: "))


def _require_open(known: Known, file: File, task: Task, source: SourceConfig) -> None:
    """What training takes a slice for is one of several classes that its label leaves open.

    Raises:
        ManifestError: If it is not; names the table, its column and the slice.
    """
    if known.taken and not task.leaves_open(file.label, known.taken):
        left = task.possible(file.label)
        expected = ", ".join(left) if len(left) > 1 else f"none, as its label is {file.label}"
        where = f"{source.table.path}, column {source.table.taken_column}" if source.table else ""
        raise ManifestError(
            f"{where}: {file.inner.as_posix()} is taken as {known.taken!r}; expected {expected}"
        )


def _known_of(inner: Sequence[PurePath], source: SourceConfig, used: UsedRows) -> list[Known]:
    """What the user's table, pattern and folders of volumes say of each file."""
    rows = [NOTHING_KNOWN] * len(inner)
    if source.table:
        rows = Table(source.table, source.root).look_up(inner, used)
    found = []
    for path, by_table in zip(inner, rows, strict=True):
        by_path = known_by_path(source.pattern, path) if source.pattern else NOTHING_KNOWN
        known = merged(by_table, by_path, path.as_posix())
        found.append(_in_folder(known, path, source.masks) if source.masks else known)
    return found


def _in_folder(known: Known, path: PurePath, masks: MaskSpec) -> Known:
    """A volume of which no patient or group is known belongs to its top folder.

    All below it are one group, such as the visits of a person. Folders that the pattern of the
    volumes itself names before its star are no persons: there it is the first folder below them.
    """
    named = masks.volume.partition(STAR)[0].count("/")
    folders = path.parts[:-1][: named + 1]
    if known.patient or known.group or not folders:
        return known
    return replace(known, group="/".join(folders))


def _require_different(config: BuildConfig, files: Sequence[File]) -> None:
    """No file twice, as when a root lies inside of another."""
    seen: set[str] = set()
    for file in files:
        path = str(file.path.resolve())
        if path in seen:
            roots = ", ".join(str(source.root) for source in config.sources)
            raise ManifestError(f"{path} is below more than one of the roots {roots}")
        seen.add(path)


def _read_all(
    files: Sequence[File], collected: Collected, progress: Progress | None
) -> Iterator[Array]:
    """Pixels of the slices that are kept; their items, and what is left out, go to `collected`."""
    tally = ProgressCount(progress, "reading", len(files))
    for file in files:
        try:
            for item, slice_ in read_file(file):
                unwanted = "synthetic" if is_synthetic(slice_) else item.unfit
                if unwanted:
                    collected.excluded.append(item.excluded(unwanted))
                else:
                    collected.items.append(item)
                    yield slice_.pixels
        except InputError as error:
            bad = unreadable(str(file.path), file.label, file.source, str(error))
            collected.excluded.append(bad)
        tally()
