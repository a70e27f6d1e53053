"""The slices of an audit, each read once: fingerprint, thumbnail, features, appearance, issues."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slicewise.arrays import Array, Bools
from slicewise.data.annotations import Known
from slicewise.data.build.report import Excluded
from slicewise.data.build.sources import File, Item, read_file, referred
from slicewise.data.duplicates.fingerprint import Fingerprints, concatenate, hashed_fingerprints
from slicewise.data.duplicates.neighbour import THUMBNAIL_PX, thumbnail
from slicewise.data.groups import Bond, Key
from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.data.quality.issues import RULES, issues_of
from slicewise.data.quality.shortcuts import FEATURES, feature_vector, file_traits
from slicewise.errors import InputError
from slicewise.imaging.appearance import APPEARANCE_NAMES, appearance
from slicewise.imaging.read import file_and_index
from slicewise.imaging.slice import Slice
from slicewise.progress import Progress, ProgressCount

_CHUNK = 64
"""Files that a process reads before it hands back what it found."""


@dataclass(frozen=True, slots=True)
class NamedFile(File):
    """A file of which a manifest names slices: rows by index, None for the only slice."""

    rows: Mapping[int | None, ManifestRow] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """N slices, and the files and rows that were left out.

    Args:
        thumbnails: (N, 1024) float32.
        features: (N, F) float32 in the order of `FEATURES`; NaN where there is none.
        looks: (N, A) float32 in the order of `APPEARANCE_NAMES`.
        issues: (N, R) in the order of `RULES`: which hold for the slice by itself.
    """

    items: list[Item]
    excluded: list[Excluded]
    prints: Fingerprints
    thumbnails: Array
    features: Array
    looks: Array
    issues: Bools


def files_of(manifest: Manifest) -> list[NamedFile]:
    """The files that a manifest names, each with its rows, which may be several."""
    rows: dict[str, dict[int | None, ManifestRow]] = {}
    for row in manifest.rows:
        path, index = file_and_index(manifest.resolve(row))
        rows.setdefault(path, {})[index] = row
    firsts = {Path(path): next(iter(own.values())) for path, own in rows.items()}
    return [
        NamedFile(path, PurePath(path.name), first.source, first.label, rows=rows[str(path)])
        for path, first in firsts.items()
    ]


def read_dataset(
    files: Sequence[File],
    left_out: Sequence[Excluded] = (),
    workers: int = 1,
    progress: Progress | None = None,
) -> Dataset:
    """Read all files from `plan` or `files_of`; what cannot be read is listed beside the others."""
    parts = [_read([])]
    tally = ProgressCount(progress, "reading", len(files))
    for part, count in _parts(files, workers):
        parts.append(part)
        tally(count)
    return Dataset(
        [item for part in parts for item in part.items],
        [*left_out, *(bad for part in parts for bad in part.excluded)],
        concatenate([part.prints for part in parts]),
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("thumbnails", "features", "looks", "issues")
        ),
    )


def _parts(files: Sequence[File], workers: int) -> Iterator[tuple[Dataset, int]]:
    chunks = [files[at : at + _CHUNK] for at in range(0, len(files), _CHUNK)]
    if workers == 1 or len(chunks) < 2 * workers:
        yield from ((_read(chunk), len(chunk)) for chunk in chunks)
        return
    # A fresh process, because a fork of one that has threads may hang.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for chunk, part in zip(chunks, pool.map(_read, chunks), strict=True):
            yield part, len(chunk)


def _read(chunk: Sequence[File]) -> Dataset:
    items: list[Item] = []
    excluded: list[Excluded] = []
    pixels: list[Array] = []
    features, looks, issues = [], [], []
    for file in chunk:
        try:
            slices, left_out = _slices(file)
            traits = file_traits(file.path)
        except (InputError, OSError) as error:
            if isinstance(file, NamedFile):
                rows = file.rows.items()
                excluded += [_left_out(file, index, row, str(error)) for index, row in rows]
            else:
                excluded.append(Excluded(str(file.path), file.label, file.source, str(error)))
            continue
        excluded += left_out
        for item, slice_ in slices:
            look = appearance(slice_.pixels)
            items.append(item)
            pixels.append(slice_.pixels)
            features.append(feature_vector(slice_.pixels, slice_.colour, traits, len(slices)))
            looks.append(look.vector())
            issues.append(issues_of(slice_, look))
    return Dataset(
        items,
        excluded,
        hashed_fingerprints(
            (one, item.pixels_sha256) for one, item in zip(pixels, items, strict=True)
        ),
        _stacked([thumbnail(one) for one in pixels], THUMBNAIL_PX**2, np.float32),
        _stacked(features, len(FEATURES), np.float32),
        _stacked(looks, len(APPEARANCE_NAMES), np.float32),
        _stacked(issues, len(RULES), np.bool_),
    )


def _slices(file: File) -> tuple[list[tuple[Item, Slice]], list[Excluded]]:
    """The slices of a file, or as a manifest names them, and what has no label or names none."""
    found = list(read_file(file))
    if not isinstance(file, NamedFile):
        unfit = [item.excluded(item.unfit) for item, _ in found if item.unfit]
        return [(item, slice_) for item, slice_ in found if not item.unfit], unfit
    rows, slices, left_out = dict(file.rows), [], []
    for item, slice_ in found:
        # The only slice of a file may be named by the file or as its first.
        index = 0 if item.index is None and None not in rows else item.index
        row = rows.pop(index, None)
        if row is not None and row.sha256 != item.sha256:
            why = "changed since the manifest was written: another SHA-256"
            left_out.append(_left_out(file, index, row, why))
        elif row is not None:
            # The manifest's group ties across sources, its patient within one.
            named = replace(
                item,
                label=row.label,
                source=row.source,
                patient="",
                known=Known(patient=row.patient_id),
                fold=row.split,
                inherited=(Key(Bond.GROUP, row.group),),
            )
            slices.append((named, slice_))
    for index, row in rows.items():
        end = " slices; got none" if index is None else f"; got #{index}"
        count = len(found)
        why = f"expected #index below {count}, since the file holds {count}{end}"
        left_out.append(_left_out(file, index, row, why))
    return slices, left_out


def _left_out(file: File, index: int | None, row: ManifestRow, why: str) -> Excluded:
    return Excluded(referred(file.path, index), row.label, row.source, why)


def _stacked(rows: Sequence[Any], width: int, kind: type[np.generic]) -> NDArray[Any]:
    """(N, width) of N rows, which may be none."""
    return np.array(rows, dtype=kind).reshape(-1, width)
