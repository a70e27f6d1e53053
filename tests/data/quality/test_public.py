"""What an audit says of known public slices: how many, whose, and what splits do with them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders_audit import dim_head
from builders_data import item, save
from builders_public import index_of, row_of, ship
from slicewise.data.build.config import config_of
from slicewise.data.public.index import PublicSlice
from slicewise.data.quality import shortcuts
from slicewise.data.quality.audit import audit_folders, audit_manifest
from slicewise.data.quality.leakage import Sides, random_split
from slicewise.data.quality.public import find_public

PUBLISHED = (("nickparvar", "glioma"),)


def known(number, cluster, patients="", **changes):
    given = {"published": PUBLISHED, "collections": ("figshare", "nickparvar"), **changes}
    return replace(item(number), public=PublicSlice("bytes", cluster, patients, **given))


def sides(*names):
    return Sides(names, "the published folders" if any(names) else None)


def test_slices_groups_and_collections_are_counted():
    items = [
        known(0, 1, "figshare:gli_1"),
        known(1, 1, "figshare:gli_1"),
        known(2, 2, "figshare:gli_1", collections=("nickparvar",)),
        known(3, 3),
        item(4),
    ]
    found = find_public(items, sides(*[""] * 5))
    assert found.known == [0, 1, 2, 3]
    assert (found.distinct, found.groups, found.patients) == (3, 2, 1)
    assert found.collections == {"figshare": 3, "nickparvar": 4}
    assert (found.crossing, found.contradictions, found.relabelled) == ([], [], [])


def test_where_nothing_is_known_nothing_is_said():
    assert find_public([item(0), item(1)], sides("", "")) is None


def test_groups_that_the_given_splits_part_are_counted_by_their_slices():
    items = [known(n, n, "figshare:gli_1" if n < 3 else f"figshare:men_{n}") for n in range(5)]
    found = find_public(items, sides("train", "train", "test", "test", "train"))
    assert found.crossing == [0, 1, 2]
    assert find_public(items, sides("train", "", "train", "test", "")).crossing == []


def test_a_random_split_is_drawn_over_all_slices():
    items = [known(n, n, f"figshare:gli_{n % 4}") for n in range(40)]
    train, test = random_split(40)
    found = find_public(items, sides(*[""] * 40))
    both = {n % 4 for n in train.tolist()} & {n % 4 for n in test.tolist()}
    assert found.torn == len(both) > 0
    assert found.leaking == (8, 8)
    alone = [known(n, n) for n in range(40)]
    assert find_public(alone, sides(*[""] * 40)).leaking == (8, 0)


def test_contradictions_stand_by_set_of_copies_and_other_labels_apart():
    odd = {"contradicting": ("glioma", "meningioma")}
    items = [known(0, 7, **odd), known(1, 8), known(2, 7, **odd), known(3, 9, **odd)]
    items[1] = replace(items[1], label="pituitary")
    found = find_public(items, sides(*[""] * 4))
    assert found.contradictions == [[0, 2], [3]]
    assert found.relabelled == [1]
    content = found.as_json([f"{n}.png" for n in range(4)])
    assert content["contradictions"] == [["0.png", "2.png"], ["3.png"]]
    assert content["relabelled"] == ["1.png"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Twenty heads in published splits, all of two groups of patients; one contradicts itself."""
    monkeypatch.setattr(shortcuts, "_TREES", 5)
    root = tmp_path / "set"
    rows = []
    for number in range(20):
        split, label = ("Testing", "Training")[number % 4 > 0], ("glioma", "pituitary")[number % 2]
        path = save(dim_head(number, 96), root / split / label / f"{number}.png")
        group = f"figshare:{label[:3]}_1"
        rows.append(row_of(path, number, group, published_label=label))
    rows[0] |= {"label_conflict": "1"}
    other = save(dim_head(99, 96), tmp_path / "other.png")
    odd = {"published_label": "meningioma", "label_conflict": "1", "collection": "sartaj"}
    rows.append(row_of(other, 0, "figshare:gli_1", **odd))
    ship(monkeypatch, index_of(tmp_path / "index.npz", rows))
    return root


def test_it_is_said_first_on_the_page_and_in_the_verdict(folder, tmp_path):
    audit = audit_folders(config_of([folder]))
    first = audit.verdict[0]
    assert (first.severity, first.topic) == ("severe", "known")
    assert first.text.startswith(
        "All 20 slices are known public ones: 20 distinct slices in 2 groups, 2 of them of whole "
        "patients. They, or copies of them, stand in nickparvar 20, sartaj 1. A random 80/20 split "
        "by slice, seed 42 puts 2 groups (100.0 %) on both sides, and with them 4 of its 4 known"
    )
    assert "The published folders do so with the groups of 10 known slices." in first.text
    assert any("published under labels that contradict each other" in f.text for f in audit.verdict)
    assert "1 by known patients" in " ".join(finding.text for finding in audit.verdict)
    audit.write(tmp_path / "out")
    page = (tmp_path / "out" / "audit.html").read_text()
    assert page.index("What is public already") < page.index("What was found")
    assert page.index("Published under labels") < page.index("What was found")
    assert ">published as glioma and meningioma<" in page
    assert page.index("puts 2 groups (100.0 %)") < page.index("What was found")
    content = audit.as_json()["known"]
    assert (content["slices"], content["groups_of_patients"]) == (20, 2)
    assert content["in_groups_across_splits"] == 10
    assert content["random_split"]["test_slices_of_a_group_in_train"] == 4
    assert [path.endswith("Testing/glioma/0.png") for [path] in content["contradictions"]] == [True]


def test_the_suggested_manifest_keeps_known_patients_whole(folder, tmp_path):
    audit_folders(config_of([folder])).write(tmp_path / "out")
    again = audit_manifest(tmp_path / "out" / "clean.csv")
    assert again.results.public.crossing == []
    assert len(again.results.items) == 19
    assert {row.group for row in again.results.suggested.report.rows} == {
        "public:figshare:gli_1",
        "public:figshare:pit_1",
    }


def test_contradictions_are_said_to_stay_where_they_do(folder):
    [said] = [f.text for f in audit_folders(config_of([folder])).verdict if "contradict" in f.text]
    assert "; the suggested manifest leaves them out." in said
    kept = audit_folders(config_of([folder], known_conflicts="keep"))
    [said] = [f.text for f in kept.verdict if "contradict" in f.text]
    assert "; the suggested manifest keeps 1 of these files." in said


def test_a_folder_of_contradictions_alone_is_audited(folder):
    for path in folder.rglob("*.png"):
        if path.stem != "0":
            path.unlink()
    audit = audit_folders(config_of([folder]))
    assert audit.results.suggested is None
    assert any("leaves them out" in finding.text for finding in audit.verdict)


def test_without_the_index_nothing_is_known(folder):
    audit = audit_folders(config_of([folder], known=False))
    assert audit.as_json()["known"] is None
    assert all(finding.topic != "known" for finding in audit.verdict)
