"""Slices of a manifest: a sample of all classes and groups, and what their files hold, by hash."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from itertools import zip_longest
from pathlib import Path

import numpy as np

from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.errors import ConfigError, EvaluationError, InputError
from slicewise.imaging.read import file_and_index, read_slice
from slicewise.imaging.slice import Slice

SAMPLE = 48
"""Slices that times are taken on, and heat maps tested by running the network many times."""


def sample_rows(rows: Sequence[ManifestRow], limit: int, seed: int) -> list[ManifestRow]:
    """At most `limit` rows in their order, about as many of each class, spread over all groups.

    The groups of a class take turns to give a random row: slices of one group resemble each other,
    so this tells more than as many rows from few groups, and intervals stay valid.
    `EvaluationError` where there is no row, or fewer places than classes.
    """
    labels = {row.label for row in rows}
    if not rows or limit < len(labels):
        raise EvaluationError(
            f"sample: expected rows and a limit of at least {max(1, len(labels))}, one a class; "
            f"got {len(rows)} rows and {limit}"
        )
    rng = np.random.default_rng(seed)
    turns = {label: _turns(rows, label, rng) for label in sorted(labels)}
    chosen: list[int] = []
    for k, label in enumerate(sorted(turns, key=lambda name: len(turns[name]))):
        chosen += turns[label][: (limit - len(chosen)) // (len(turns) - k)]
    return [rows[index] for index in sorted(chosen)]


def sample_slices(manifest: Manifest, rows: Sequence[ManifestRow]) -> list[Slice]:
    """Some slices to take times on, evenly spread over rows that can be read."""
    chosen = np.linspace(0, len(rows) - 1, min(SAMPLE, len(rows))).astype(int)
    return [read_slice(manifest.resolve(rows[i])) for i in np.unique(chosen)]


def require_places(limit: int, rows: Sequence[ManifestRow]) -> None:
    """`ConfigError`, before long work, where there are fewer places than classes; names them."""
    classes = sorted({row.label for row in rows})
    if limit < len(classes):
        raise ConfigError(
            f"--limit {limit}: expected at least {len(classes)}, a slice of each class "
            f"({', '.join(classes)})"
        )


def require_unchanged(manifest: Manifest, row: ManifestRow) -> None:
    """`InputError` where a file does not have the SHA-256 of its row, or cannot be read."""
    if not row.sha256:
        return
    found = _digest_of(manifest.resolve(row))
    if found != row.sha256:
        raise InputError(
            f"changed since the manifest was written: expected SHA-256 {row.sha256[:12]}..., got "
            f"{found[:12]}...; make the manifest anew where the change was meant"
        )


def content_key(manifest: Manifest, row: ManifestRow) -> str:
    """SHA-256 of a slice's file, and `#index` of several; `InputError` where it is unreadable."""
    reference = manifest.resolve(row)
    _, index = file_and_index(reference)
    return f"{row.sha256 or _digest_of(reference)}{'' if index is None else f'#{index}'}"


def _turns(rows: Sequence[ManifestRow], label: str, rng: np.random.Generator) -> list[int]:
    """Indices of the rows of a class: one of each group, then another of each group, and so on."""
    members: dict[str, list[int]] = {}
    for index in rng.permutation(len(rows)).tolist():
        if rows[index].label == label:
            members.setdefault(rows[index].group, []).append(index)
    return [i for turn in zip_longest(*members.values()) for i in turn if i is not None]


def _digest_of(reference: str) -> str:
    path, _ = file_and_index(reference)
    try:
        stat = Path(path).stat()
        return _digest(path, stat.st_mtime_ns, stat.st_size, stat.st_ino)
    except OSError as error:
        raise InputError(f"{path}: expected a file to read; got {error}") from error


@lru_cache(maxsize=1)  # a manifest names the slices of one file after another
def _digest(path: str, *stamp: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
