"""What a file of a manifest holds, by its hash, and whether it is still that."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.errors import InputError
from slicewise.imaging.read import file_and_index

CHANGED = "changed since the manifest was written"


def require_unchanged(manifest: Manifest, row: ManifestRow) -> None:
    """Check that a file with a SHA-256 is the one that the labels and groups were made for.

    Raises:
        InputError: The file has another SHA-256, or cannot be read.
    """
    if not row.sha256:
        return
    found = _digest_of(manifest.resolve(row))
    if found != row.sha256:
        raise InputError(
            f"{CHANGED}: expected SHA-256 {row.sha256[:12]}..., got {found[:12]}...; make the "
            "manifest anew where the change was meant"
        )


def content_key(manifest: Manifest, row: ManifestRow) -> str:
    """SHA-256 of a slice's file, wherever it lies, and `#index` for one slice of several.

    Raises:
        InputError: The file is needed and cannot be read.
    """
    reference = manifest.resolve(row)
    _, index = file_and_index(reference)
    return f"{row.sha256 or _digest_of(reference)}{'' if index is None else f'#{index}'}"


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
