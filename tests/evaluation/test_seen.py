"""The score of copying agrees with an independent nearest neighbour."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from builders import bundle_info
from builders_data import as_pixels, head, save
from builders_public import index_of, row_of, ship
from slicewise.arrays import write_arrays
from slicewise.data.duplicates.fingerprint import fingerprints
from slicewise.data.duplicates.neighbour import thumbnail
from slicewise.data.manifest import ManifestRow
from slicewise.errors import BundleError, EvaluationError
from slicewise.evaluation.seen import (
    find_seen,
    joined_seen,
    neighbour_correct,
    seen_bytes,
    units_of,
)
from slicewise.inference.bundle import Bundle


def pictures(n, seed=0, side=96):
    rng = np.random.default_rng(seed)
    return rng.random((n, side, side // 2)).astype(np.float32)


def test_the_score_agrees_with_sklearn():
    references = np.stack([thumbnail(p) for p in pictures(60, seed=1)])
    queries = np.stack([thumbnail(p) for p in pictures(40, seed=2)])
    rng = np.random.default_rng(3)
    known, asked = rng.integers(0, 3, 60), rng.integers(0, 3, 40)
    model = KNeighborsClassifier(1).fit(references, known)
    correct = neighbour_correct(queries, asked, references, known)
    np.testing.assert_array_equal(correct, model.predict(queries) == asked)


def test_a_picture_without_contrast_copies_from_nobody():
    references = np.stack([thumbnail(p) for p in pictures(3)])
    queries = np.stack([np.zeros_like(references[0]), references[1]])
    correct = neighbour_correct(queries, ["a", "a"], references, ["a"] * 3)
    assert correct.tolist() == [False, True]


def test_bad_arguments_are_refused():
    some = np.ones((3, 4), np.float32)
    with pytest.raises(EvaluationError, match="labels: expected shapes"):
        neighbour_correct(some, ["a"], some, ["a"] * 3)


def prints_of(*seeds):
    return fingerprints([as_pixels(head(seed, side=96)) for seed in seeds])


def row(number, group, **changes):
    given = {"sha256": f"{number:064x}", "patient_id": "", "source": "made", "extra": {}, **changes}
    return ManifestRow(f"{number}.png", "glioma", group=group, split="", width=9, height=9, **given)


def bundle_of(trained, seeds):
    content = seen_bytes(prints_of(*seeds), units_of(trained))
    return Bundle(bundle_info(), "cd" * 32, {"seen.npz": content})


@pytest.mark.parametrize(
    ("trained", "asked", "same"),
    [
        (row(1, "made:a"), row(2, "made:a"), True),  # a user's own group
        (row(1, "made:a"), row(2, "made:b"), False),
        (row(1, "made:a"), row(2, "other:a"), False),
        (row(1, "g", patient_id="7"), row(2, "h", patient_id="7"), True),
        (row(1, "g", patient_id="7"), row(2, "h", patient_id="7", source="other"), False),
        (
            row(1, "g", patient_id="dicom_1234"),
            row(2, "h", patient_id="dicom_1234", source="other"),
            True,
        ),
        (row(1, "patient:made:7"), row(2, "h", patient_id="7"), True),
        (row(1, "fold:1"), row(2, "fold:1"), False),  # a fold is no unit of patients
        (
            row(1, "g", extra={"public_group": "figshare:gli_1"}),
            row(2, "h", extra={"public_group": "figshare:gli_1"}),
            True,
        ),
        (
            row(1, "public:figshare:gli_1"),
            row(2, "h", extra={"public_group": "figshare:gli_1"}),
            True,
        ),
    ],
)
def test_other_slices_of_patients_that_were_trained_on_are_found(trained, asked, same):
    check = find_seen(bundle_of([trained], [1]), prints_of(2), units_of([asked]))
    assert (check.seen.tolist(), check.patients.tolist()) == ([False], [same])
    if trained.group != "fold:1":
        assert "and the" in check.described


def test_what_two_models_have_seen_is_joined():
    parts = [bundle_of([row(n, f"made:{n}")], [n]).files["seen.npz"] for n in (1, 2)]
    both = Bundle(bundle_info(), "cd" * 32, {"seen.npz": joined_seen(parts)})
    asked = [row(9, "made:1"), row(9, "made:2"), row(9, "made:3"), row(9, "made:4")]
    check = find_seen(both, prints_of(5, 6, 7, 2), units_of(asked))
    assert check.seen.tolist() == [False, False, False, True]
    assert check.patients.tolist() == [True, True, False, False]


def test_a_copy_gives_its_patient_away_and_is_counted_once():
    """Whatever the bundle calls it: a group with a copy in training was seen."""
    rows = [
        row(1, "made:a"),
        row(2, "made:a"),
        row(3, "made:b"),
        row(4, "fold:1"),
        row(5, "fold:1"),
    ]
    check = find_seen(bundle_of([row(9, "x")], [1, 4]), prints_of(1, 2, 3, 4, 5), units_of(rows))
    assert check.seen.tolist() == [True, False, False, True, False]
    assert check.patients.tolist() == [False, True, False, False, False]


def test_the_index_knows_patients_that_a_manifest_does_not(tmp_path, monkeypatch):
    paths = [save(head(n, side=96), tmp_path / f"{n}.png") for n in range(4)]
    rows = [row_of(path, n, "figshare:gli_1") for n, path in enumerate(paths[:3])]
    ship(monkeypatch, index_of(tmp_path / "index.npz", rows))
    named = ((0, "a"), (1, "b"), (3, "c"))
    trained, asked, unknown = (row(n, name, sha256=sha256(paths[n])) for n, name in named)
    again = row(7, "d")  # saved again: known by its pixels alone
    bundle = bundle_of([trained], [0])
    pixels = ["", "", rows[2]["pixel_sha256"]]
    check = find_seen(bundle, prints_of(1, 3, 2), units_of([asked, unknown, again], pixels))
    assert check.seen.tolist() == [False] * 3
    assert check.patients.tolist() == [True, False, True]
    assert "public:figshare:gli_1" in units_of([asked])[0]


def test_a_bundle_of_earlier_knows_no_groups():
    content = write_arrays(prints_of(1).arrays())
    bundle = Bundle(bundle_info(), "cd" * 32, {"seen.npz": content})
    check = find_seen(bundle, prints_of(1, 2), units_of([row(1, "a"), row(2, "b")]))
    assert (check.seen.tolist(), check.patients.tolist()) == ([True, False], [False, False])
    assert check.described == "compared with the 1 training slices of the bundle"


def test_groups_of_another_kind_are_refused():
    content = write_arrays(prints_of(1).arrays() | {"groups": np.array([0.5])})
    bundle = Bundle(bundle_info(), "cd" * 32, {"seen.npz": content})
    with pytest.raises(BundleError, match="groups: expected finite numbers of kind u"):
        find_seen(bundle, prints_of(1))


def test_names_are_hashed_and_none_stands_in_the_bundle():
    content = seen_bytes(prints_of(1), [{"patient:made:Smith"}])
    assert b"Smith" not in content
    with np.load(io.BytesIO(content)) as stored:
        assert stored["groups"].dtype == np.uint64
        assert b"Smith" not in b"".join(stored[name].tobytes() for name in stored.files)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()
