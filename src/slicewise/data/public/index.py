"""The index of known public slices: which of the older public collections are whose.

It holds no pixels, but the first 64 bits of hashes, and numbers. A file is known by its bytes, or
else by its pixels. Nothing is loaded before it is asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from slicewise.arrays import Ints, read_arrays
from slicewise.data.tasks import contradicted
from slicewise.errors import BundleError, ManifestError
from slicewise.imaging.slice import Slice

INDEX_PATH = Path(__file__).parent / "slices.npz"
FORMAT = 1
PREFIX_BYTES = 8
KINDS = {
    **{"format": "u", "version": "u"},
    **{"files": "u", "picture_of_file": "u"},
    **{"pictures": "u", "cluster": "u", "published": "u", "mirrored": "b"},
    **{"group_of_cluster": "u", "figshare": "u", "conflict": "b"},
    **{"groups": "u", "publications": "u"},
}
"""Arrays of the file, by `dtype.kind`.

`files` and `pictures` are the first 64 bits of hashes as whole numbers, ascending. Along `files`
stands a place in `pictures`; along these the set of copies, a place in `publications`, and whether
a picture is mirrored beside its Figshare slice. Along sets of copies stand the group of patients (a
place in `groups`, from 1 on, or 0), up to three Figshare numbers, or 0, and whether published
labels contradict each other. `groups` and `publications` are lines of ASCII; a line of the latter
is `collection:label`, joined by blanks.
"""
_LARGEST = 255


@dataclass(frozen=True, slots=True)
class PublicSlice:
    """What is known of a public picture.

    Args:
        match: By what it is known.
        cluster: Number of the set of copies that it belongs to.
        patients: Group of whole patients that it belongs to, such as `figshare:gli_11`; empty where
            nothing but copies is known.
        published: Pairs of collection and label under which it was published.
        collections: Those in which it or a copy of it stands.
        figshare: Numbers of the Figshare slices that it is a copy of.
        mirrored: Whether it is mirrored beside them.
        contradicting: Labels of its set of copies that contradict each other.
    """

    match: Literal["bytes", "pixels"]
    cluster: int
    patients: str
    published: tuple[tuple[str, str], ...]
    collections: tuple[str, ...] = ()
    figshare: tuple[int, ...] = ()
    mirrored: bool = False
    contradicting: tuple[str, ...] = ()

    @property
    def group(self) -> str:
        """Its group of patients, or else its set of copies."""
        return self.patients or f"cluster:{self.cluster}"

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """Collections in which only copies of it stand."""
        own = {collection for collection, _ in self.published}
        return tuple(name for name in self.collections if name not in own)

    def as_json(self) -> dict[str, object]:
        """As `data known --json` prints it."""
        return {
            "known_by": self.match,
            "group": self.group,
            "patients": bool(self.patients),
            "cluster": self.cluster,
            "published": [{"collection": one, "label": label} for one, label in self.published],
            "collections": list(self.collections),
            "figshare_numbers": list(self.figshare),
            "mirrored": self.mirrored,
            "contradicting_labels": list(self.contradicting),
        }


class PublicIndex:
    """The index, from arrays as `KINDS` describes them."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._arrays = arrays
        self.version = int(arrays["version"])
        groups, publications = (_lines(arrays[name]) for name in ("groups", "publications"))
        self._groups = ["", *groups]
        self._publications = [
            tuple((one.partition(":")[0], one.partition(":")[2]) for one in line.split())
            for line in publications
        ]
        self._of_cluster: dict[int, set[tuple[str, str]]] = {}
        pairs = np.stack([arrays["cluster"].astype(np.int64), arrays["published"]])
        for cluster, line in np.unique(pairs, axis=1).T.tolist():
            self._of_cluster.setdefault(cluster, set()).update(self._publications[line])

    @classmethod
    def load(cls, path: Path) -> PublicIndex:
        """Read a file, never unpickled; `ManifestError` where it is no index of this format."""
        try:
            arrays = read_arrays(path.read_bytes(), KINDS)
        except (BundleError, OSError) as error:
            raise ManifestError(f"{path}: expected an index of public slices; {error}") from error
        if int(arrays["format"]) != FORMAT:
            got = int(arrays["format"])
            raise ManifestError(f"{path}: expected an index of format {FORMAT}; got {got}")
        return cls(arrays)

    @property
    def described(self) -> str:
        """Version and extent, in words."""
        files, pictures = len(self._arrays["files"]), len(self._arrays["pictures"])
        distinct = len(np.unique(self._arrays["cluster"]))
        return (
            f"version {self.version}: {files:,} files, {pictures:,} pictures, {distinct:,} distinct"
        )

    def find(
        self, files_sha256: Sequence[str], pixels_sha256: Sequence[str]
    ) -> list[PublicSlice | None]:
        """What is known of N files, by hashes of bytes and of pixels, of which any may be empty."""
        by_bytes = _places(self._arrays["files"], files_sha256)
        of_file = self._arrays["picture_of_file"].astype(np.int64)
        pictures = np.where(by_bytes >= 0, of_file[by_bytes], -1)
        by_pixels = _places(self._arrays["pictures"], pixels_sha256)
        return [
            None if one < 0 and two < 0
            else self._record(two, "pixels") if one < 0 else self._record(one, "bytes")
            for one, two in zip(pictures.tolist(), by_pixels.tolist(), strict=True)
        ]  # fmt: skip

    def _record(self, picture: int, match: Literal["bytes", "pixels"]) -> PublicSlice:
        arrays = self._arrays
        cluster = int(arrays["cluster"][picture])
        return PublicSlice(
            match,
            cluster,
            self._groups[int(arrays["group_of_cluster"][cluster])],
            self._publications[int(arrays["published"][picture])],
            tuple(sorted({collection for collection, _ in self._of_cluster[cluster]})),
            tuple(number for number in arrays["figshare"][cluster].tolist() if number),
            bool(arrays["mirrored"][picture]),
            self._contradicting(cluster) if arrays["conflict"][cluster] else (),
        )

    def _contradicting(self, cluster: int) -> tuple[str, ...]:
        labels = {label for _, label in self._of_cluster[cluster]}
        return tuple(sorted(contradicted(labels)))


@lru_cache(maxsize=2)
def load_index(path: Path) -> PublicIndex:
    """An index that is read once."""
    return PublicIndex.load(path)


def public_index() -> PublicIndex:
    """The index that ships with SliceWise."""
    return load_index(INDEX_PATH)


def prefix_of(sha256: str) -> int:
    """The part of a hash, in hexadecimal, that the index holds, as a whole number."""
    return int(sha256[: 2 * PREFIX_BYTES], 16)


def pixels_sha256(slice_: Slice) -> str:
    """Of `{width}x{height}:` and the bytes of a grey picture of 8 bits, row by row, in hexadecimal.

    Empty where a slice is of another kind, as those of scanners are: the index holds none of them.
    """
    pixels = slice_.pixels
    of_scanner = slice_.modality is not None or slice_.pixel_spacing_mm is not None
    if of_scanner or pixels.min() < 0 or pixels.max() > _LARGEST:
        return ""
    grey = np.ascontiguousarray(pixels, dtype=np.uint8)
    if not np.array_equal(grey, pixels):
        return ""
    height, width = grey.shape
    content = hashlib.sha256(f"{width}x{height}:".encode())
    content.update(grey.data)
    return content.hexdigest()


def _lines(text: NDArray[np.uint8]) -> list[str]:
    return text.tobytes().decode("ascii").splitlines()


def _places(known: NDArray[np.uint64], hashes: Sequence[str]) -> Ints:
    """(N,) where each hash stands in ascending numbers; -1 where it does not, or is empty."""
    asked = np.array([prefix_of(text) if text else 0 for text in hashes], dtype=np.uint64)
    places = np.minimum(np.searchsorted(known, asked), len(known) - 1)
    named = np.array([bool(text) for text in hashes], dtype=np.bool_)
    return np.where(named & (known[places] == asked), places, -1).astype(np.int64)
