"""What training slices say of a score: those among the evaluated, and what copying would score.

A slice counts as seen where it, or a copy (another size, format, brightness, mirrored or turned),
has a fingerprint in the bundle: a score on it says how well the model remembers. So it does on
other slices of the same patients: the bundle knows the groups that trained it by hashes of their
names. Names that a user gave are no proof by themselves: two sets may both have a patient 7. The
copying baseline learns nothing: where it is high, the split holds near copies of
training slices.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Sequence
from io import BytesIO
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from slicewise.arrays import Array, Bools, Strings, read_arrays, write_arrays
from slicewise.data.duplicates.fingerprint import Fingerprints, concatenate
from slicewise.data.duplicates.neighbour import nearest
from slicewise.data.duplicates.search import match
from slicewise.data.groups import Bond, Key
from slicewise.data.manifest import PUBLIC_COLUMN, ManifestRow
from slicewise.data.public.index import public_index
from slicewise.errors import BundleError, EvaluationError
from slicewise.inference.bundle import SEEN_NAME, Bundle

GROUPS = "groups"
"""Array of `seen.npz`: the first 64 bits of the SHA-256 of each name, as whole numbers, ascending.

A bundle of an earlier SliceWise has none.
"""
NAMELESS = "nameless"
"""Array that stands there where slices of a start bundle have no names."""
Units = Sequence[Collection[str]]
"""Of each slice the names of what it belongs to and may not be torn from."""
_FOLD_PREFIX = f"{Bond.FOLD.name.lower()}:"
_PSEUDONYM = re.compile(r"dicom_[0-9a-f]{12}")
_UNIQUE = re.compile(
    rf"patient:{_PSEUDONYM.pattern}|public:(figshare|cluster):.+|(copies|volume):[0-9a-f]{{12}}(#.+)?"
)
"""Names that mean the same wherever they stand: not made by a user, but of content."""
RULES = {
    "known_patients": "of patients or copies that the index, DICOM or a hash names",
    "group_of_seen": "of a group of which another slice was seen",
    "name": "of a group called alike in a source that shares slices with the training data",
}
"""Why a slice counts as one of a patient that was trained on; of several the first."""


class SeenCheck(NamedTuple):
    """(N,) whether a slice has a duplicate among training slices, and what was looked through.

    `rules` are (N,) keys of `RULES` for other slices of patients that were trained on, else empty.
    `alike` is true where nothing but a user's name is that of a group that was trained on.
    """

    seen: Bools
    rules: Strings
    alike: Bools
    described: str
    checked: bool = True
    groups_checked: bool = True

    @property
    def patients(self) -> Bools:
        """(N,) whether a slice is another one of a patient that was trained on."""
        return np.asarray(self.rules != "")


def find_seen(
    bundle: Bundle, slices: Fingerprints, units: Units | None = None, sources: Sequence[str] = ()
) -> SeenCheck:
    """Duplicates of slices among those trained on, and others of their patients.

    Args:
        units: As `units_of` gives them.
        sources: (N,) data set of each slice, which the user named; one where none is given.

    Raises:
        ManifestError: If the fingerprints are of an unknown format.
        BundleError: If the names are.
    """
    n = len(slices)
    if SEEN_NAME not in bundle.files:
        unknown = f"not checked: bundle {bundle.info.name} holds no {SEEN_NAME}"
        no = np.zeros(n, dtype=np.bool_)
        return SeenCheck(no, np.full(n, ""), no, unknown, checked=False, groups_checked=False)
    content = bundle.files[SEEN_NAME]
    training = Fingerprints.load(BytesIO(content), SEEN_NAME)
    seen = np.array([len(found) > 0 for found in match(slices, training)], dtype=np.bool_)
    described = f"compared with the {len(training)} training slices"
    own, (trained, whole) = units or [()] * n, _groups(content)
    if trained:
        described += f" and the {len(trained)} names of groups"

    def meeting(names: Collection[str]) -> Bools:
        return np.array([not ours.isdisjoint(names) for ours in map(set, own)], dtype=np.bool_)

    def of(chosen: Bools) -> set[str]:
        return {
            name for was, ours in zip(chosen.tolist(), own, strict=True) if was for name in ours
        }

    met = {name for ours in own for name in ours if _hashed(name) in trained}
    sure = meeting({name for name in met if _UNIQUE.fullmatch(name)})
    origins = np.array(sources or [""] * n)
    named = meeting({name for name in met if not _UNIQUE.fullmatch(name)})
    tied = named & np.isin(origins, origins[seen | sure])
    found = [seen, sure, meeting(of(seen | sure)), meeting(of(tied))]
    rules = np.select(found, ["", *RULES], "")
    alike = named & ~seen & (rules == "")
    text = f"{described} of the bundle"
    return SeenCheck(seen, rules, alike, text, groups_checked=whole)


def known_before(
    trained: Sequence[ManifestRow], asked: Sequence[ManifestRow], start: bytes | None = None
) -> Counter[str]:
    """How many rows of one manifest are of files or patients of others, by how that is known.

    No file is read, so copies that were saved again are not found.

    Args:
        start: `seen.npz` of the bundle that training goes on from.
    """
    files, begun = {row.sha256 for row in trained}, _groups(start)[0] if start else set[int]()
    met = set[str]().union(*units_of(trained))
    found: Counter[str] = Counter()
    for row, names in zip(asked, units_of(asked), strict=True):
        unique = {name for name in names if _UNIQUE.fullmatch(name)}
        if row.sha256 in files:
            found["the same file"] += 1
        elif unique & met:
            found["by the index or DICOM"] += 1
        elif names & met:
            found["by the patient's name"] += 1
        elif begun & {_hashed(name) for name in unique}:
            found["by model.start"] += 1
    return found


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
            name = patient if _PSEUDONYM.fullmatch(patient) else f"{row.source}:{patient}"
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
    """One `seen.npz` of several: their slices, and the units of all, as far as they are named.

    Raises:
        ManifestError: If the fingerprints of one are of an unknown format.
        BundleError: If the names are.
    """
    slices = concatenate([Fingerprints.load(BytesIO(one), SEEN_NAME) for one in contents])
    found = [_groups(one) for one in contents]
    hashes = sorted(set[int]().union(*(names for names, _ in found)))
    missing = {} if all(whole for _, whole in found) else {NAMELESS: np.array(1, dtype=np.uint8)}
    return write_arrays({**slices.arrays(), GROUPS: np.array(hashes, dtype=np.uint64), **missing})


def _groups(content: bytes) -> tuple[set[int], bool]:
    """Hashes of names, and whether all slices have theirs among them."""
    with np.load(BytesIO(content), allow_pickle=False) as stored:
        there, whole = GROUPS in stored.files, NAMELESS not in stored.files
    if not there:
        return set(), False
    found = read_arrays(content, {GROUPS: "u"})[GROUPS]
    if found.ndim != 1 or found.dtype != np.uint64:
        got = f"{found.dtype} of shape {found.shape}"
        raise BundleError(f"{SEEN_NAME}: expected {GROUPS} of uint64 in one row; got {got}")
    return set(found.tolist()), whole


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
