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
    known_before,
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
        (row(1, "made:a"), row(2, "made:a"), False),  # a user's own name, by itself
        (row(1, "made:a"), row(2, "made:b"), False),
        (row(1, "made:a"), row(2, "other:a"), False),
        (row(1, "g", patient_id="7"), row(2, "h", patient_id="7"), False),
        (row(1, "g", patient_id="dicom_7"), row(2, "h", patient_id="dicom_7"), False),
        (row(1, "copies:0123456789ab"), row(2, "copies:0123456789ab", source="other"), True),
        (row(1, "volume:0123456789ab"), row(2, "volume:0123456789ab"), True),
        (row(1, "g", patient_id="7"), row(2, "h", patient_id="7", source="other"), False),
        (
            row(1, "g", patient_id="dicom_0123456789ab"),
            row(2, "h", patient_id="dicom_0123456789ab", source="other"),
            True,
        ),
        (row(1, "patient:made:7"), row(2, "h", patient_id="7"), False),
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
    assert check.rules.tolist() == ["known_patients" if same else ""]
    if trained.group != "fold:1":
        assert "and the" in check.described


def test_names_count_in_a_source_that_shares_slices_with_the_training_data():
    """Two sets of patients 1 to 4 called `images`: only where a slice is shared are they one."""
    trained = [row(n, f"images:{n}", source="images") for n in range(1, 5)]
    bundle = bundle_of(trained, [1, 2, 3, 4])
    rows = [row(n, f"images:{n}", source="images") for n in (1, 2, 2, 9)]
    others = [row(20, "images:3", source="elsewhere")]
    everything = [*rows, *others]
    sources = [one.source for one in everything]
    apart = find_seen(bundle, prints_of(11, 12, 13, 14, 15), units_of(everything), sources)
    assert not apart.patients.any()
    assert apart.alike.tolist() == [True, True, True, False, True]
    shared = find_seen(bundle, prints_of(1, 12, 13, 14, 15), units_of(everything), sources)
    assert shared.seen.tolist() == [True, False, False, False, False]
    assert shared.rules.tolist() == ["", "name", "name", "", ""]
    assert shared.alike.tolist() == [False, False, False, False, True]
    by_index = [*rows, row(30, "images:8", source="images", extra={"public_group": "figshare:a"})]
    bundle = bundle_of([*trained, row(5, "x", extra={"public_group": "figshare:a"})], [1])
    found = find_seen(bundle, prints_of(11, 12, 13, 14, 15), units_of(by_index))
    assert found.rules.tolist() == ["name", "name", "name", "", "known_patients"]


def test_what_one_manifest_says_of_files_and_patients_in_two_splits_is_counted():
    trained = [
        row(1, "a", patient_id="7"),
        row(2, "b", extra={"public_group": "figshare:gli_1"}),
        row(3, "c", patient_id="dicom_0123456789ab"),
    ]
    asked = [
        row(4, "d", patient_id="7"),
        row(5, "e", extra={"public_group": "figshare:gli_1"}),
        row(6, "f", patient_id="dicom_0123456789ab", source="other"),
        row(1, "g"),
        row(7, "h", patient_id="7", source="other"),
        row(8, "i", patient_id="8"),
    ]
    assert known_before(trained, asked) == {
        "the same file": 1, "by the index or DICOM": 2, "by the patient's name": 1,
    }  # fmt: skip
    assert not known_before(trained, asked[4:])


def test_what_two_models_have_seen_is_joined():
    numbers = {n: f"{n:x}" * 12 for n in range(1, 5)}
    parts = [bundle_of([row(n, f"copies:{numbers[n]}")], [n]).files["seen.npz"] for n in (1, 2)]
    both = Bundle(bundle_info(), "cd" * 32, {"seen.npz": joined_seen(parts)})
    asked = [row(9, f"copies:{name}") for name in numbers.values()]
    check = find_seen(both, prints_of(5, 6, 7, 2), units_of(asked))
    assert check.seen.tolist() == [False, False, False, True]
    assert check.patients.tolist() == [True, True, False, False]
    assert check.groups_checked
    assert known_before([], asked, parts[0]) == {"by model.start": 1}
    bare = write_arrays(prints_of(3).arrays())  # of an earlier SliceWise
    once = joined_seen([parts[0], bare])
    for content in (once, joined_seen([once, parts[1]])):
        joined = Bundle(bundle_info(), "cd" * 32, {"seen.npz": content})
        check = find_seen(joined, prints_of(3, 6, 7, 4), units_of(asked))
        assert check.seen[0]
        assert not check.groups_checked


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
    assert check.rules.tolist() == ["", "group_of_seen", "", "", ""]


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
    assert (check.checked, check.groups_checked) == (True, False)
    none = find_seen(bundle_of([], [1]), prints_of(2))
    assert (none.checked, none.groups_checked) == (True, True)


@pytest.mark.parametrize(
    "groups",
    [
        np.array([0.5]),
        np.array(5, dtype=np.uint64),
        np.ones((2, 2), dtype=np.uint64),
        np.ones(2, dtype=np.uint8),
        np.array([-1]),
        np.array(["a"]),
        np.array([{}], dtype=object),
    ],
    ids=["float", "scalar", "table", "short", "signed", "text", "object"],
)
def test_groups_of_another_kind_are_refused(groups):
    content = io.BytesIO()
    np.savez(content, **prints_of(1).arrays(), groups=groups)
    bundle = Bundle(bundle_info(), "cd" * 32, {"seen.npz": content.getvalue()})
    with pytest.raises(BundleError, match="groups"):
        find_seen(bundle, prints_of(1))


def test_names_are_hashed_and_none_stands_in_the_bundle():
    content = seen_bytes(prints_of(1), [{"patient:made:Smith"}])
    assert b"Smith" not in content
    with np.load(io.BytesIO(content)) as stored:
        assert stored["groups"].dtype == np.uint64
        assert b"Smith" not in b"".join(stored[name].tobytes() for name in stored.files)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()
