"""What training slices say of a score: those among the evaluated, and what copying would score.

A slice counts as seen where it, or a copy (another size, format, brightness, mirrored or turned),
has a fingerprint in the bundle: a score on it says how well the model remembers. So it does on
other slices of the same patients: the bundle knows the groups that trained it by hashes of their
names. The copying baseline learns nothing: where it is high, the split holds near copies of
training slices.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from io import BytesIO
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from slicewise.arrays import Array, Bools, read_arrays, write_arrays
from slicewise.data.duplicates.fingerprint import Fingerprints, concatenate
from slicewise.data.duplicates.neighbour import nearest
from slicewise.data.duplicates.search import match
from slicewise.data.groups import Bond, Key
from slicewise.data.manifest import PUBLIC_COLUMN, ManifestRow
from slicewise.data.public.index import public_index
from slicewise.errors import EvaluationError
from slicewise.inference.bundle import SEEN_NAME, Bundle

GROUPS = "groups"
"""Array of `seen.npz`: the first 64 bits of the SHA-256 of each name, as whole numbers, ascending.

A bundle of an earlier SliceWise has none.
"""
Units = Sequence[Collection[str]]
"""Of each slice the names of what it belongs to and may not be torn from."""
_FOLD_PREFIX = f"{Bond.FOLD.name.lower()}:"
_DICOM_PREFIX = "dicom_"


class SeenCheck(NamedTuple):
    """(N,) whether a slice has a duplicate among training slices, and what was looked through.

    `patients` is true of the other slices of patients that were trained on.
    """

    seen: Bools
    patients: Bools
    described: str
    checked: bool = True


def find_seen(bundle: Bundle, slices: Fingerprints, units: Units | None = None) -> SeenCheck:
    """Duplicates of slices among those trained on, and others of their patients.

    A unit was trained on if its name is among those of the bundle, or a slice of it was seen.

    Raises:
        ManifestError: If the fingerprints are of an unknown format.
        BundleError: If the names are.
    """
    n = len(slices)
    if SEEN_NAME not in bundle.files:
        unknown = f"not checked: bundle {bundle.info.name} holds no {SEEN_NAME}"
        nothing = np.zeros(n, dtype=np.bool_)
        return SeenCheck(nothing, nothing, unknown, checked=False)
    content = bundle.files[SEEN_NAME]
    training = Fingerprints.load(BytesIO(content), SEEN_NAME)
    seen = np.array([len(found) > 0 for found in match(slices, training)], dtype=np.bool_)
    described, trained = f"compared with the {len(training)} training slices", _groups(content)
    if trained:
        described += f" and the {len(trained)} names of groups"
    own = units or [()] * n
    hit = [was or any(_hashed(name) in trained for name in ours)
           for was, ours in zip(seen.tolist(), own, strict=True)]  # fmt: skip
    met = {name for was, ours in zip(hit, own, strict=True) if was for name in ours}
    patients = np.array([not met.isdisjoint(ours) for ours in own], dtype=np.bool_) & ~seen
    return SeenCheck(seen, patients, f"{described} of the bundle")


def units_of(rows: Sequence[ManifestRow], pixels: Sequence[str] = ()) -> list[set[str]]:
    """Of each row the names of its group and patient, and of what the index of public slices knows.

    A fold that stands for a group is none: it is no unit of patients.

    Args:
        pixels: `pixels_sha256` of the slices where they were read.
    """
    known = public_index().find([row.sha256 for row in rows], pixels or [""] * len(rows))
    found = []
    for row, public in zip(rows, known, strict=True):
        names = {row.group} if not row.group.startswith(_FOLD_PREFIX) else set[str]()
        if patient := row.patient_id:
            everywhere = patient.startswith(_DICOM_PREFIX)
            name = patient if everywhere else f"{row.source}:{patient}"
            names.add(Key(Bond.PATIENT, name).group)
        if group := row.extra.get(PUBLIC_COLUMN) or (public.group if public else ""):
            names.add(Key(Bond.PUBLIC, group).group)
        found.append(names)
    return found


def public_units(pixels: Sequence[str]) -> list[set[str]]:
    """Of each slice what the index of public slices knows by `pixels_sha256` alone."""
    found = public_index().find([""] * len(pixels), pixels)
    return [{Key(Bond.PUBLIC, one.group).group} if one else set() for one in found]


def seen_bytes(slices: Fingerprints, units: Units) -> bytes:
    """Content of `seen.npz`, of the slices that a model was trained on and their units."""
    hashes = sorted({_hashed(name) for names in units for name in names})
    return write_arrays({**slices.arrays(), GROUPS: np.array(hashes, dtype=np.uint64)})


def joined_seen(contents: Sequence[bytes]) -> bytes:
    """One `seen.npz` of several: their slices, and the units of all.

    Raises:
        ManifestError: If the fingerprints of one are of an unknown format.
        BundleError: If the names are.
    """
    slices = concatenate([Fingerprints.load(BytesIO(one), SEEN_NAME) for one in contents])
    hashes = sorted(set[int]().union(*map(_groups, contents)))
    return write_arrays({**slices.arrays(), GROUPS: np.array(hashes, dtype=np.uint64)})


def _groups(content: bytes) -> set[int]:
    with np.load(BytesIO(content), allow_pickle=False) as stored:
        if GROUPS not in stored.files:
            return set()
    return set(read_arrays(content, {GROUPS: "u"})[GROUPS].tolist())


def _hashed(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def neighbour_correct(
    queries: Array, query_labels: ArrayLike, references: Array, reference_labels: ArrayLike
) -> Bools:
    """(N,) whether the nearest training slice has the same label; its mean is the 1-NN accuracy.

    `queries` are (N, D) thumbnails, `references` (M, D), M > 0; else an `EvaluationError`.
    """
    labels, known = np.asarray(query_labels), np.asarray(reference_labels)
    if labels.shape != queries.shape[:1] or known.shape != references.shape[:1]:
        raise EvaluationError(
            f"labels: expected shapes {queries.shape[:1]} and {references.shape[:1]}; "
            f"got {labels.shape} and {known.shape}"
        )
    found = nearest(queries, references)
    return np.asarray((found >= 0) & (known[found] == labels), dtype=np.bool_)
