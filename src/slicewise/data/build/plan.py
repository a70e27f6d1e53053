"""What a build will read: the files of every source, and what is known of them beforehand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from slicewise.data.annotations import NOTHING_KNOWN, Known, Table, UsedRows, known_by_path, merged
from slicewise.data.build.config import STAR, BuildConfig, SourceConfig
from slicewise.data.build.report import Excluded
from slicewise.data.build.sources import File, list_files, source_name
from slicewise.data.manifest import NOT_UTF8, as_utf8
from slicewise.data.tasks import Task, contradict
from slicewise.errors import ManifestError
from slicewise.imaging.slice import Failure
from slicewise.text import counted


def plan(
    config: BuildConfig, task: Task, note: Callable[[str], object] | None = None
) -> tuple[list[File], list[Excluded]]:
    """The files of every source, none of them decoded yet, and what is left out before reading.

    Args:
        note: Told what else a user should know: files that are no images, tables read otherwise.

    Raises:
        ManifestError: If a folder, a table or a path is not as expected.
        ConfigError: If a name that is skipped or has an alias is no folder's.
    """
    used: UsedRows = {}
    files: list[File] = []
    excluded: list[Excluded] = []
    skipped: list[str] = []
    folders = [set[str]() for _ in config.sources]
    for source, met in zip(config.sources, folders, strict=True):
        listed = list_files(source, task, config.aliases, met, skipped.append)
        name = source.name or source_name(source.root, task)
        failures = [entry for entry in listed if isinstance(entry, Failure)]
        excluded += [unreadable(bad.source, "", name, bad.error) for bad in failures]
        own = [entry for entry in listed if not isinstance(entry, Failure)]
        known_of = _known_of([file.inner for file in own], source, used, note)
        for file, known in zip(own, known_of, strict=True):
            if unwanted := known.excluded or _unnameable(file):
                excluded.append(Excluded(str(file.path), file.label, name, unwanted))
            else:
                _require_open(known, file, task, source)
                files.append(replace(file, known=known))
    config.require_met(folders)
    if skipped and note is not None:
        note(f"skipped: {counted(len(skipped), 'file')} not meant as images")
    return _each_once(files, excluded, config), excluded


def unreadable(reference: str, label: str, source: str, reason: str) -> Excluded:
    """The record of an input that could not be read; its kind is the reason without the path."""
    return Excluded(reference, label, source, reason, reason.removeprefix(f"{reference}: "))


def _each_once(files: list[File], excluded: list[Excluded], config: BuildConfig) -> list[File]:
    """The files without further links to one of them, which are left out; if labels differ, all."""
    places: dict[Path, list[File]] = {}
    for file in files:
        places.setdefault(file.path.resolve(), []).append(file)
    left_out: set[int] = set()
    for path, (first, *links) in places.items():
        if any(link.source != first.source for link in links):
            roots = ", ".join(str(source.root) for source in config.sources)
            raise ManifestError(f"{path} is below more than one of the roots {roots}")
        clash = any(contradict(first.label, link.label) for link in links)
        for link in [first, *links] if clash else links:
            others = (one for one in (first, *links) if contradict(one.label, link.label))
            other = next(others, first)
            kind = "label conflict" if clash else "the same file"
            reason = f"{kind}: {other.label} in {other.path}"
            excluded.append(Excluded(str(link.path), link.label, link.source, reason, kind))
            left_out.add(id(link))
    return [file for file in files if id(file) not in left_out]


def _unnameable(file: File) -> str:
    """Why a manifest cannot name a file; empty where it can."""
    try:
        as_utf8(str(file.inner))
    except ManifestError:
        return NOT_UTF8
    return ""


def _require_open(known: Known, file: File, task: Task, source: SourceConfig) -> None:
    """What training takes a slice for is one of several classes that its label leaves open."""
    if known.taken and not task.leaves_open(file.label, known.taken):
        left = task.possible(file.label)
        expected = ", ".join(left) if len(left) > 1 else f"none, as its label is {file.label}"
        where = f"{source.table.path}, column {source.table.taken_column}" if source.table else ""
        raise ManifestError(
            f"{where}: {file.inner.as_posix()} is taken as {known.taken!r}; expected {expected}"
        )


def _known_of(
    inner: Sequence[PurePath],
    source: SourceConfig,
    used: UsedRows,
    note: Callable[[str], object] | None,
) -> list[Known]:
    """What the user's table, pattern and folders of volumes say of each file."""
    rows = [NOTHING_KNOWN] * len(inner)
    if source.table:
        rows = Table(source.table, source.root, note).look_up(inner, used)
    found = []
    for path, by_table in zip(inner, rows, strict=True):
        by_path = known_by_path(source.pattern, path) if source.pattern else NOTHING_KNOWN
        known = merged(by_table, by_path, path.as_posix())
        if source.masks and not (known.patient or known.group):
            # The top folder is a group, such as the visits of a person. Folders that the pattern of
            # volumes itself names before its star are no persons: there it is the first below them.
            named = source.masks.volume.partition(STAR)[0].count("/")
            known = replace(known, group="/".join(path.parts[:-1][: named + 1]))
        found.append(known)
    return found
