"""All slices of all sources, read once: what is known of each, and its fingerprint."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import PurePath

from slicewise.arrays import Array
from slicewise.data.annotations import NOTHING_KNOWN, Known, PathPattern, Table, UsedRows, merged
from slicewise.data.build.config import BuildConfig, SourceConfig
from slicewise.data.build.masks import STAR, MaskSpec
from slicewise.data.build.report import Excluded
from slicewise.data.build.sources import (
    File,
    FolderRules,
    Found,
    list_files,
    read_file,
    source_name,
)
from slicewise.data.duplicates.fingerprint import Fingerprints, fingerprints
from slicewise.data.groups import Key
from slicewise.data.tasks import Task
from slicewise.errors import InputError, ManifestError
from slicewise.imaging.slice import Failure, is_synthetic
from slicewise.progress import Progress


@dataclass(frozen=True, slots=True)
class Item:
    """One slice on its way into a manifest.

    Args:
        found: What its file and folder say.
        known: What the user says.
        fold: The fold or published split that is kept as a boundary; empty where there is none.
        cluster: Index of the first of its copies; -1 before copies were looked for.
        cluster_name: Name of its set of copies.
        inherited: What slices that were left out shared with it and with others.
    """

    found: Found
    known: Known
    fold: str
    cluster: int = -1
    cluster_name: str = ""
    inherited: tuple[Key, ...] = ()

    def in_fold(self, fold: str) -> Item:
        """The same slice in another fold."""
        return replace(self, fold=fold)

    def excluded(self, reason: str) -> Excluded:
        """The record of leaving it out."""
        found = self.found
        return Excluded(found.reference, found.label, found.source, reason)


@dataclass(slots=True)
class Collected:
    """Slices in order, their fingerprints in the same order, and what was left out."""

    items: list[Item] = field(default_factory=list)
    excluded: list[Excluded] = field(default_factory=list)
    prints: Fingerprints = field(default_factory=lambda: fingerprints([]))


def collect(config: BuildConfig, task: Task, progress: Progress | None) -> Collected:
    """Read every source.

    Args:
        config: Sources and rules.
        task: Classes that folders may name.
        progress: Told after each file.

    Raises:
        ManifestError: If a folder or table is not as expected.
        ConfigError: If a pattern is not as expected.
    """
    collected = Collected()
    work = plan(config, task, collected)
    collected.prints = fingerprints(_read_all(work, collected, progress))
    if config.published_splits:
        published = [replace(item, fold=item.found.published_split) for item in collected.items]
        collected.items = published
    return collected


@dataclass(frozen=True, slots=True)
class Planned:
    """A file that is to be read.

    Args:
        file: Where it lies and what its folders say.
        source: Name of the data set.
        known: What the user says.
    """

    file: File
    source: str
    known: Known


def plan(config: BuildConfig, task: Task, collected: Collected) -> list[Planned]:
    """The files of every source, none of them decoded yet.

    Args:
        config: Sources and rules.
        task: Classes that folders may name.
        collected: Told what is left out.

    Raises:
        ManifestError: If a folder or table is not as expected.
        ConfigError: If a pattern is not as expected.
    """
    taken: UsedRows = {}
    work = [
        planned
        for source in config.sources
        for planned in _planned(source, config, task, collected, taken)
    ]
    _require_different(config, work)
    return work


def _planned(
    source: SourceConfig, config: BuildConfig, task: Task, collected: Collected, taken: UsedRows
) -> list[Planned]:
    """The files of one source that are to be read."""
    rules = FolderRules(task, config.aliases, source.skip, source.masks, source.untyped)
    name = source.name or source_name(source.root, task)
    files = []
    for file in list_files(source.root, rules):
        if isinstance(file, Failure):
            collected.excluded.append(Excluded(file.source, "", name, file.error))
        else:
            files.append(file)
    planned = []
    inner = [file.inner for file in files]
    for file, known in zip(files, _known_of(inner, source, taken), strict=True):
        if known.excluded:
            excluded = Excluded(str(file.path), file.label, name, known.excluded)
            collected.excluded.append(excluded)
        else:
            _require_open(known, file, task, source)
            planned.append(Planned(file, name, known))
    return planned


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


def _known_of(inner: list[PurePath], source: SourceConfig, taken: UsedRows) -> list[Known]:
    table = Table(source.table, source.root) if source.table else None
    pattern = PathPattern(source.pattern) if source.pattern else None
    if table:
        table.require_all(inner)
        table.require_one_each(inner, taken)
    found = []
    for path in inner:
        by_table = (table.find(path) if table else None) or NOTHING_KNOWN
        by_path = pattern.find(path) if pattern else NOTHING_KNOWN
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


def _require_different(config: BuildConfig, work: list[Planned]) -> None:
    """No file twice, as when a root lies inside of another."""
    seen: set[str] = set()
    for planned in work:
        path = str(planned.file.path.resolve())
        if path in seen:
            roots = ", ".join(str(source.root) for source in config.sources)
            raise ManifestError(f"{path} is below more than one of the roots {roots}")
        seen.add(path)


def _read_all(
    work: list[Planned], collected: Collected, progress: Progress | None
) -> Iterator[Array]:
    for done, planned in enumerate(work, start=1):
        try:
            for found, slice_ in read_file(planned.file, planned.source):
                item = Item(found, planned.known, planned.known.fold)
                unwanted = "synthetic" if is_synthetic(slice_) else found.unfit
                if unwanted:
                    collected.excluded.append(item.excluded(unwanted))
                    continue
                collected.items.append(item)
                yield slice_.pixels
        except InputError as error:
            file = planned.file
            excluded = Excluded(str(file.path), file.label, planned.source, str(error))
            collected.excluded.append(excluded)
        if progress:
            progress("reading", done, len(work))
