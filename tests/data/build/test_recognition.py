"""Known public slices in a build: their patients tie, their copies join, boundaries are kept."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from builders_data import COPIES, head, item, save
from builders_public import index_of, row_of, ship
from slicewise.data.annotations import Known
from slicewise.data.build.build import build
from slicewise.data.build.config import BuildConfig, config_of
from slicewise.data.build.recognition import contradicting, relabelled
from slicewise.data.manifest import PUBLIC_COLUMN, Manifest
from slicewise.data.public.index import PublicSlice, public_index
from slicewise.errors import ConfigError, LeakageError, ManifestError

PATIENTS = "figshare:gli_1"


@pytest.fixture
def public(tmp_path, monkeypatch):
    """Eight public files: 0 to 3 of one group of patients, 4 and 5 copies that no search finds.

    6 is published under labels that contradict each other, 7 alone.
    """
    root = tmp_path / "set"
    paths = [save(head(n, side=96), root / "glioma" / f"{n}.png") for n in range(8)]
    rows = [
        row_of(path, n, PATIENTS, figshare_number=str(n + 1)) for n, path in enumerate(paths[:4])
    ]
    rows += [row_of(paths[4], 40), row_of(paths[5], 40)]
    rows += [
        row_of(paths[6], 60, label_conflict="1"),
        row_of(save(head(99, side=96), tmp_path / "99.png"), 60)
        | {"published_label": "meningioma", "label_conflict": "1"},
        row_of(paths[7], 70),
    ]
    ship(monkeypatch, index_of(tmp_path / "index.npz", rows))
    return root


def by_stem(built):
    return {Path(row.path).stem: row for row in built.manifest.rows}


def test_patients_of_the_index_are_groups_and_copies_of_it_copies(public):
    built = build(config_of([public]))
    rows = by_stem(built)
    assert {rows[str(n)].group for n in range(4)} == {f"public:{PATIENTS}"}
    assert rows["4"].group == rows["5"].group != rows["7"].group
    assert rows["4"].group.startswith("copies:")
    assert len({row.split for row in rows.values() if row.group == f"public:{PATIENTS}"}) == 1
    assert [rows[str(n)].extra[PUBLIC_COLUMN] for n in (0, 4, 7)] == [
        PATIENTS, "cluster:40", "cluster:70",
    ]  # fmt: skip
    line = "8 files, all known: 7 distinct slices in 4 groups; 1 with contradicting labels left out"
    assert built.report.known == line
    assert f"known public slices: {line}" in built.report.summary()
    assert built.report.near_copies == 1
    assert "no patients or groups are known in 3 slices of set." in built.report.summary()
    [left_out] = built.report.excluded
    assert left_out.reason == "known label conflict: published as glioma and meningioma"
    assert "known label conflict" in built.report.summary()


def test_the_record_goes_into_the_manifest(public, tmp_path):
    build(config_of([public])).write(tmp_path / "m.csv")
    rows = Manifest.read(tmp_path / "m.csv").rows
    assert sorted({row.extra[PUBLIC_COLUMN] for row in rows}) == [
        "cluster:40", "cluster:70", PATIENTS,
    ]  # fmt: skip


def test_it_is_switched_off(public):
    built = build(config_of([public], known=False))
    assert len({row.group for row in built.manifest.rows}) == len(built.manifest.rows) == 8
    assert built.report.known == ""
    assert "known" not in built.report.summary().replace("are known in", "")
    assert not any(row.extra for row in built.manifest.rows)


def test_contradictions_are_kept_where_that_is_asked_for(public):
    built = build(config_of([public], known_conflicts="keep"))
    assert len(built.manifest.rows) == 8
    assert built.report.known.endswith("1 with contradicting labels kept")
    one = build(config_of([public], known_conflicts="keep", copies="one"))
    assert one.report.known.endswith("1 with contradicting labels kept")
    with pytest.raises(ConfigError, match="known_conflicts: expected known: true"):
        config_of([public], known_conflicts="keep", known=False)
    with pytest.raises(ConfigError, match="known_conflicts: expected one of 'drop' or 'keep'"):
        config_of([public], known_conflicts="move")


def test_contradictions_that_copies_at_hand_show_are_counted_as_left_out(public):
    """Of three files of one contradicting set of copies two stand here under both labels."""
    save(COPIES["mirrored"](head(6, side=96)), public / "meningioma" / "m.png")
    built = build(config_of([public], known_conflicts="keep"))
    assert built.report.known.endswith("1 with contradicting labels left out")
    assert {one.kind for one in built.report.excluded} == {"label conflict"}
    for path, label in (("99.png", "glioma"), ("6.png", "glioma")):
        image = save(head(99 if path == "99.png" else 6, side=96), public / label / path)
        assert image.is_file()
    built = build(config_of([public], known_conflicts="keep"))
    gone = {Path(one.path).name for one in built.report.excluded}
    assert gone == {"6.png", "99.png", "m.png"}  # one set of copies by the index


def test_unknown_slices_of_a_fold_are_not_of_the_patients_of_a_copy_in_it(public, tmp_path):
    """3 and 6 share nothing but the fold with 0, a mirrored copy of a known slice."""
    root = tmp_path / "own"
    for number in range(9):
        save(head(60 + number, side=96), root / "glioma" / f"{number}.png")
    save(COPIES["mirrored"](head(0, side=96)), root / "glioma" / "0.png")
    save(head(0, side=96), root / "glioma" / "known.png")
    table = tmp_path / "t.csv"
    lines = [f"{n},{'abc'[n % 3]}" for n in range(9)] + ["known,a"]
    table.write_text("\n".join(["name,fold", *lines]))
    columns = {"path": str(table), "key": "name", "fold_column": "fold"}
    rows = by_stem(build(config_of([root], table=columns)))
    assert rows["known"].extra[PUBLIC_COLUMN] == PATIENTS
    assert {rows[str(n)].group for n in (3, 6)} == {"fold:a"}
    assert {rows[str(n)].group for n in (1, 4, 7)} == {"fold:b"}


def test_nothing_but_contradictions_says_why_nothing_is_left(public):
    for path in (public / "glioma").iterdir():
        if path.stem != "6":
            path.unlink()
    with pytest.raises(ManifestError, match=r"1 left out, first .*6\.png: known label conflict"):
        build(config_of([public]))


def test_what_is_labelled_tumor_only_contradicts_no_type_of_it(public):
    built = build(config_of([public], task="binary"))
    assert len(built.manifest.rows) == 8


def test_a_file_saved_again_is_of_its_patients_by_pixels_and_a_copy_of_it_by_search(
    public, tmp_path
):
    other = tmp_path / "other"
    save(head(1, side=96), other / "glioma" / "again.bmp")
    save(COPIES["small"](head(2, side=96)).convert("RGB"), other / "glioma" / "resized.png")
    save(head(50, side=96), other / "glioma" / "new.png")
    built = build(config_of([other]))
    rows = by_stem(built)
    assert built.report.known == "3 files, 1 known: 1 distinct slice in 1 group"
    assert rows["again"].group == f"public:{PATIENTS}"
    assert [PUBLIC_COLUMN in rows[name].extra for name in ("resized", "new")] == [False, False]
    # Beside the slice that it is a copy of, the search finds it.
    rows = by_stem(build(config_of([other, public])))
    assert rows["resized"].group == f"public:{PATIENTS}"
    assert PUBLIC_COLUMN not in rows["resized"].extra
    assert rows["new"].group.startswith("copies:")


def test_slices_of_known_patients_are_not_compared_with_each_other(public):
    save(COPIES["mirrored"](head(0, side=96)), public / "glioma" / "m.png")
    save(COPIES["mirrored"](head(4, side=96)), public / "glioma" / "n.png")
    rows = by_stem(build(config_of([public])))
    assert rows["m"].group == rows["0"].group
    assert rows["n"].group == rows["5"].group == rows["4"].group


def test_own_patients_and_the_index_are_tied_together(public):
    for number in (0, 4, 7):
        path = public / "glioma" / f"{number}.png"
        path.rename(path.with_name(f"pA_{number}.png"))
    for number in (1, 2, 3, 5, 6):
        path = public / "glioma" / f"{number}.png"
        path.rename(path.with_name(f"p{number}_{number}.png"))
    built = build(config_of([public], pattern="(?P<patient>p[^_]*)_"))
    groups = {row.group for row in built.manifest.rows}
    assert groups == {"patient:set:p1"}  # 4 and 5 are copies, 0 and 4 of one patient
    assert "4 of the groups given hold slices of known patients" in built.report.summary()


def folds(folder: Path, fold_of) -> str:
    path = folder / "folds.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["name", "fold"])
        rows.writerows([n, fold_of(n)] for n in range(8))
    return str(path)


@pytest.mark.parametrize("names", ["abc", ("train", "val", "test")])
def test_a_fold_that_parts_known_patients_is_refused_with_its_sides(public, tmp_path, names):
    table = {
        "path": folds(tmp_path, lambda n: names[int("01202211"[n])]),
        "key": "name",
        "fold_column": "fold",
    }
    with pytest.raises(LeakageError) as refused:
        build(config_of([public], table=table))
    told = str(refused.value)
    sides = ", ".join(f"{2 if name == names[0] else 1} in fold {name}" for name in sorted(names))
    assert f"the patients of {PATIENTS} by the index of public slices ({sides})" in told
    assert "1 x public" in told
    assert "--on-conflict move" in told
    dropped = build(config_of([public], table=table, on_conflict="drop", known_conflicts="keep"))
    assert {row.extra["fold"] for row in dropped.manifest.rows if PATIENTS in row.group} == {
        names[0]
    }
    unknown = build(config_of([public], table=table, known=False))
    assert len(unknown.manifest.rows) == 8


def test_published_folders_that_part_known_patients_are_refused(public, tmp_path):
    root = tmp_path / "published"
    for number in range(8):
        split = "Training" if number % 2 else "Testing"
        (root / split / "glioma").mkdir(parents=True, exist_ok=True)
        (public / "glioma" / f"{number}.png").rename(root / split / "glioma" / f"{number}.png")
    with pytest.raises(LeakageError, match=r"2 in fold test, 2 in fold train"):
        build(config_of([root], published_splits=True))
    assert len(build(config_of([root])).manifest.rows) == 7  # whole groups are dealt anew


@pytest.mark.parametrize(
    ("label", "contradicts", "other"),
    [
        ("glioma", True, False),
        ("no_tumor", True, True),
        ("tumor", False, False),
        ("pituitary", True, True),
        ("abnormal", False, False),  # of a task that the index does not know
        ("lgg", False, False),
        ("Glioma", False, False),
    ],
)
def test_labels_are_held_to_those_that_were_published(label, contradicts, other):
    published = (("a", "glioma"), ("b", "meningioma"))
    one = PublicSlice("bytes", 1, "", published, contradicting=("glioma", "meningioma"))
    slice_ = replace(item(1, label), public=one)
    assert bool(contradicting(slice_)) == contradicts
    assert relabelled(slice_) == other
    taken = replace(slice_, label="tumor", known=Known(taken=label))
    assert (bool(contradicting(taken)), relabelled(taken)) == (contradicts, other)
    assert not contradicting(item(1, label))
    assert not relabelled(item(1, label))


def some_of_nickparvar(real_data: Path, root: Path) -> Path:
    """Links to every sixtieth file, in its split and class folders."""
    given = real_data / "nickparvar"
    for path in sorted(given.rglob("*.jpg"))[::60]:
        link = root / "nickparvar" / path.relative_to(given)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    return root / "nickparvar"


@pytest.mark.realdata
def test_groups_are_those_that_figshare_beside_it_gives(real_data, tmp_path):
    root = some_of_nickparvar(real_data, tmp_path)
    alone = build(config_of([root], known_conflicts="keep"))
    own = real_data / "figshare"
    with (own / "folds.csv").open(newline="") as file:
        rows = {row["number"]: row for row in csv.DictReader(file)}
    index = public_index()
    found = index.find([row.sha256 for row in alone.manifest.rows], [""] * len(alone.manifest.rows))
    for number in {str(number) for one in found for number in one.figshare}:
        link = tmp_path / "figshare" / rows[number]["label"] / f"{number}.jpg"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(own / rows[number]["label"] / f"{number}.jpg")
    table = {"path": own / "folds.csv", "key": "number", "group_column": "group"}
    sources = [{"root": root}, {"root": tmp_path / "figshare", "table": table}]
    beside = build(BuildConfig.model_validate({"sources": sources, "known": False}))
    wanted = {row.path: row.group for row in beside.manifest.rows if row.source == "nickparvar"}
    same = [
        row.group == wanted[row.path] or row.group == f"public:{wanted[row.path]}"
        for row in alone.manifest.rows
        if row.path in wanted
    ]
    assert len(same) > 90
    assert sum(same) >= 0.99 * len(same)
    assert sum(row.group.startswith("public:figshare:") for row in alone.manifest.rows) > 60


@pytest.mark.realdata
def test_the_published_split_of_nickparvar_is_refused_by_patient(real_data, tmp_path):
    root = some_of_nickparvar(real_data, tmp_path)
    with pytest.raises(
        LeakageError, match=r"the patients of figshare:gli_\d+ by the index of .* in"
    ):
        build(config_of([root], published_splits=True))
