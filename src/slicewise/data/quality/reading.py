"""Every slice read once: its fingerprint, thumbnail, appearance and what its file says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from slicewise.arrays import Array
from slicewise.data.annotations import NOTHING_KNOWN, Known
from slicewise.data.build.collection import Collected, Item, plan
from slicewise.data.build.config import BuildConfig
from slicewise.data.build.report import Excluded
from slicewise.data.build.sources import File, Found, read_file
from slicewise.data.duplicates.fingerprint import concatenate, fingerprints
from slicewise.data.duplicates.neighbour import THUMBNAIL_PX, thumbnail
from slicewise.data.groups import Bond, Key
from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.data.quality.features import FEATURES, feature_vector, file_traits
from slicewise.data.quality.marks import MARKS, mark_vector
from slicewise.data.tasks import Task
from slicewise.errors import InputError
from slicewise.imaging.appearance import APPEARANCE_NAMES, appearance
from slicewise.imaging.read import file_and_index
from slicewise.imaging.slice import Slice, is_synthetic
from slicewise.progress import Progress, Tally

_CHUNK = 64
"""Files that a process reads before it hands back what it found."""


@dataclass(frozen=True, slots=True)
class Work:
    """A file to read, and what is known of its slices.

    Args:
        file: Where it lies, what its folders and the user say.
        rows: Rows of a manifest by index within the file, None for its only slice; empty where
            folders are audited.
    """

    file: File
    rows: Mapping[int | None, ManifestRow] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What an audit works on: N slices.

    Args:
        collected: The slices, their fingerprints, and files that are left out.
        thumbnails: (N, 1024) float32.
        features: (N, F) float32 in the order of `FEATURES`; NaN where there is none.
        appearances: (N, A) float32 in the order of `APPEARANCE_NAMES`.
        marks: (N, 4) float32 in the order of `MARKS`.
        synthetic: (N,) whether a slice says that it was drawn.
    """

    collected: Collected
    thumbnails: Array
    features: Array
    appearances: Array
    marks: Array
    synthetic: NDArray[np.bool_]

    @property
    def items(self) -> list[Item]:
        """The slices."""
        return self.collected.items

    def feature(self, name: str) -> Array:
        """(N,) one of `FEATURES`."""
        return np.asarray(self.features[:, FEATURES.index(name)])

    def look(self, name: str) -> Array:
        """(N,) one of `APPEARANCE_NAMES`."""
        return np.asarray(self.appearances[:, APPEARANCE_NAMES.index(name)])

    def mark(self, name: str) -> Array:
        """(N,) one of `MARKS`."""
        return np.asarray(self.marks[:, MARKS.index(name)])


def work_of_folders(config: BuildConfig, task: Task) -> tuple[list[Work], list[Excluded]]:
    """The files of every source, and what is left out before reading.

    Args:
        config: Sources and rules.
        task: Classes that folders may name.

    Raises:
        ManifestError: If a folder or table is not as expected.
        ConfigError: If a pattern is not as expected.
    """
    files, excluded = plan(config, task)
    return [Work(file) for file in files], excluded


def work_of_manifest(manifest: Manifest) -> list[Work]:
    """The files that a manifest names, each with its rows.

    Args:
        manifest: Its rows may name several slices of one file.
    """
    rows: dict[str, dict[int | None, ManifestRow]] = {}
    for row in manifest.rows:
        path, index = file_and_index(manifest.resolve(row))
        rows.setdefault(path, {})[index] = row
    return [Work(_file(Path(path), own), own) for path, own in rows.items()]


def read(
    work: Sequence[Work], left_out: Iterable[Excluded], workers: int, progress: Progress | None
) -> Material:
    """Read all files; one that cannot be read is listed beside the others.

    Args:
        work: The files.
        left_out: What is left out already.
        workers: Processes; 1 reads in this one.
        progress: Told of each file.
    """
    parts = []
    tally = Tally(progress, "reading", len(work))
    for part, count in _parts(work, workers):
        parts.append(part)
        tally(count)
    collected = Collected(
        items=[item for part in parts for item in part.collected.items],
        excluded=[*left_out, *(bad for part in parts for bad in part.collected.excluded)],
        prints=concatenate([part.collected.prints for part in parts]),
    )
    return Material(
        collected,
        _stacked([part.thumbnails for part in parts], THUMBNAIL_PX**2),
        _stacked([part.features for part in parts], len(FEATURES)),
        _stacked([part.appearances for part in parts], len(APPEARANCE_NAMES)),
        _stacked([part.marks for part in parts], len(MARKS)),
        np.concatenate([np.zeros(0, dtype=bool), *(part.synthetic for part in parts)]),
    )


def _parts(work: Sequence[Work], workers: int) -> Iterator[tuple[Material, int]]:
    chunks = [work[at : at + _CHUNK] for at in range(0, len(work), _CHUNK)]
    if workers == 1 or len(chunks) < 2 * workers:
        yield from ((_read_chunk(chunk), len(chunk)) for chunk in chunks)
        return
    # A fresh process, because a fork of one that has threads may hang.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for chunk, part in zip(chunks, pool.map(_read_chunk, chunks), strict=True):
            yield part, len(chunk)


def _read_chunk(chunk: Sequence[Work]) -> Material:
    told = Collected()
    pixels: list[Array] = []
    looks, features, drawn = [], [], []
    for work in chunk:
        try:
            traits = None
            found = list(_slices(work, told))
            for item, slice_ in found:
                traits = traits or file_traits(item.found.file)
                vector = feature_vector(slice_.pixels, slice_.colour, traits, len(found))
                features.append(vector)
                looks.append(appearance(slice_.pixels).vector().astype(np.float32))
                pixels.append(slice_.pixels)
                drawn.append(is_synthetic(slice_))
                told.items.append(item)
        except (InputError, OSError) as error:
            told.excluded.extend(_unreadable(work, str(error)))
    told.prints = fingerprints(pixels)
    return Material(
        told,
        _stacked([thumbnail(one)[None] for one in pixels], THUMBNAIL_PX**2),
        _stacked([one[None] for one in features], len(FEATURES)),
        _stacked([one[None] for one in looks], len(APPEARANCE_NAMES)),
        _stacked([mark_vector(one)[None] for one in pixels], len(MARKS)),
        np.array(drawn, dtype=bool),
    )


def _slices(work: Work, told: Collected) -> Iterator[tuple[Item, Slice]]:
    """The slices of a file; of a manifest's file those that it names."""
    if work.rows:
        yield from _named_slices(work, told)
        return
    file = work.file
    for found, slice_ in read_file(file):
        if found.unfit:
            told.excluded.append(Excluded(found.reference, found.label, found.source, found.unfit))
        else:
            yield Item(found, file.known, file.known.fold), slice_


def _named_slices(work: Work, told: Collected) -> Iterator[tuple[Item, Slice]]:
    """The slices that a manifest names, as it names them; rows that name none are told."""
    file, rows, count = work.file, dict(work.rows), 0
    for found, slice_ in read_file(file):
        count += 1
        # The only slice of a file may be named by the file or as its first.
        index = 0 if found.index is None and None not in rows else found.index
        row = rows.pop(index, None)
        if row is not None and row.sha256 != found.sha256:
            changed = "changed since the manifest was written: another SHA-256"
            told.excluded.append(_left_out(file.path, index, row, changed))
        elif row is not None:
            yield _item_of_row(row, found), slice_
    for index, row in rows.items():
        told.excluded.append(_left_out(file.path, index, row, _not_there(index, count)))


def _item_of_row(row: ManifestRow, found: Found) -> Item:
    """The manifest's group ties across sources, its patient within one."""
    own = replace(found, label=row.label, source=row.source, published_split="", patient="")
    known = Known(patient=row.patient_id) if row.patient_id else NOTHING_KNOWN
    return Item(own, known, row.split, inherited=(Key(Bond.GROUP, row.group),))


def _file(path: Path, rows: Mapping[int | None, ManifestRow]) -> File:
    first = next(iter(rows.values()))
    return File(path, PurePath(path.name), first.source, first.label)


def _unreadable(work: Work, why: str) -> list[Excluded]:
    """A file, or every row of a manifest that names it."""
    file = work.file
    if not work.rows:
        return [Excluded(str(file.path), file.label, file.source, why)]
    return [_left_out(file.path, index, row, why) for index, row in work.rows.items()]


def _not_there(index: int | None, count: int) -> str:
    """Why a row's reference names none of the slices of its file."""
    if index is None:
        return f"expected #index below {count}, since the file holds {count} slices; got none"
    return f"expected #index below {count}, since the file holds {count}; got #{index}"


def _left_out(path: Path, index: int | None, row: ManifestRow, why: str) -> Excluded:
    reference = str(path) if index is None else f"{path}#{index}"
    return Excluded(reference, row.label, row.source, why)


def _stacked(parts: Sequence[NDArray[np.float32]], width: int) -> Array:
    return np.concatenate([np.zeros((0, width), dtype=np.float32), *parts])
