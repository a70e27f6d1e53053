"""From folders to a manifest: copies in one group, no leaks, an account of what was left out."""

import csv
import re
from pathlib import Path

import pytest

from builders_data import COPIES, head, save
from slicewise.data.build.build import build
from slicewise.data.build.config import BuildConfig, config_of, read_build_config
from slicewise.data.manifest import Manifest
from slicewise.errors import ConfigError, LeakageError, ManifestError
from slicewise.synthetic.phantom_files import write_phantoms


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Ten heads of two classes in two published splits, each with a mirrored copy in the other."""
    root = tmp_path_factory.mktemp("made")
    for i in range(10):
        label, image = ("glioma", "notumor")[i % 2], head(i, side=128)
        save(image, root / "Training" / label / f"{i}.png")
        save(COPIES["mirrored"](image), root / "Testing" / label / f"{i}_copy.png")
    return root


def folds_table(root: Path, folder: Path, fold_of) -> str:
    path = folder / "folds.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "fold", "patient"])
        for image in sorted(root.rglob("*.png")):
            number = int(image.stem.split("_")[0])
            writer.writerow([image.stem, fold_of(image, number), f"p{number}"])
    return str(path)


def test_copies_stand_in_one_group_and_split(folder, tmp_path):
    built = build(config_of([folder]))
    built.write(tmp_path / "m.csv")
    manifest = Manifest.read(tmp_path / "m.csv")
    assert len(manifest.rows) == 20
    for name in range(10):
        own = [r for r in manifest.rows if Path(r.path).stem.split("_")[0] == str(name)]
        assert len({(r.group, r.split) for r in own}) == 1
    assert len({r.group for r in manifest.rows}) == 10
    assert {r.split for r in manifest.rows} == {"train", "val", "test"}
    assert {r.label for r in manifest.rows} == {"glioma", "no_tumor"}
    assert {r.extra["published_split"] for r in manifest.rows} == {"train", "test"}
    assert all(Path(manifest.resolve(r)).is_file() for r in manifest.rows)
    assert built.report.near_copies == 10
    assert "copies found: 0 exact, 10 near" in built.report.summary()


def test_building_twice_gives_the_same(folder):
    assert build(config_of([folder])).manifest == build(config_of([folder])).manifest


def test_one_of_each_copy_can_be_kept(folder, tmp_path):
    built = build(config_of([folder], copies="one"))
    assert len(built.manifest.rows) == 10
    built.write(tmp_path / "m.csv")
    with (tmp_path / "m.excluded.csv").open() as file:
        excluded = list(csv.DictReader(file))
    assert len(excluded) == 10
    assert all(row["reason"].startswith("copy of ") for row in excluded)


def two_hospitals(root: Path, label: str) -> list[Path]:
    """Six slices of one patient in A; in B larger copies of three of them, under a label."""
    for i in range(6):
        save(head(i, side=128), root / "A" / "glioma" / f"pat1_{i}.png")
    for i in range(8):
        save(head(i + 20, side=128), root / "A" / "glioma" / f"pat{i + 2}_0.png")
    for i in range(3):
        save(COPIES["mirrored"](head(i, side=160)), root / "B" / label / f"pat{i + 50}_0.png")
        save(head(i + 40, side=160), root / "B" / label / f"pat{i + 50}_1.png")
    return [root / "A", root / "B"]


@pytest.mark.parametrize("label", ["glioma", "pituitary"])
def test_slices_left_out_go_on_tying_their_patient(tmp_path, label):
    """With one of each copy, or after a label conflict, patients stay as tied as they were."""
    roots, pattern = two_hospitals(tmp_path, label), r"(?P<patient>pat\d+)"
    rows = build(config_of(roots, copies="one", pattern=pattern)).manifest.rows
    one_person = {"pat1", "pat50", "pat51", "pat52"}
    tied = [row for row in rows if row.patient_id in one_person]
    assert len(tied) == (9 if label == "glioma" else 6)
    assert len({(row.group, row.split) for row in tied}) == 1


def test_a_copy_without_a_patient_stays_with_the_patient_it_shows(tmp_path):
    roots = two_hospitals(tmp_path, "glioma")
    config = config_of([roots[0]], copies="one", pattern=r"(?P<patient>pat\d+)")
    sources = (*config.sources, config_of([roots[1]]).sources[0])
    rows = build(config.model_copy(update={"sources": sources})).manifest.rows
    tied = [r for r in rows if r.patient_id == "pat1" or ("_0.png" in r.path and r.source == "B")]
    assert len(tied) == 6
    assert {row.group for row in tied} == {"patient:A:pat1"}


def test_synthetic_slices_are_left_out(tmp_path):
    save(head(1, side=64), tmp_path / "data" / "glioma" / "good.png")
    write_phantoms(tmp_path / "phantoms", 1, 42, 64)
    for path in sorted((tmp_path / "phantoms").rglob("*.png")):
        path.rename(tmp_path / "data" / "glioma" / path.name)
    report = build(config_of([tmp_path / "data"])).report
    assert [Path(row.path).name for row in report.rows] == ["good.png"]
    assert {entry.reason for entry in report.excluded} == {"synthetic"}


def test_published_splits_that_leak_are_refused_or_repaired(tmp_path):
    for i in range(8):
        save(head(i, side=96), tmp_path / "train" / "glioma" / f"{i}.png")
        save(head(i + 20, side=96), tmp_path / "test" / "glioma" / f"{i}.png")
    for name in ("train/glioma/c.png", "test/glioma/c.png", "test/glioma/d.png"):
        save(head(50 if "test" in name else 51, side=96), tmp_path / name)
    save(COPIES["jpeg"](head(50, side=96)), tmp_path / "train" / "glioma" / "leak.jpg")
    with pytest.raises(LeakageError, match="1 x copies"):
        build(config_of([tmp_path], published_splits=True))
    dropped = build(config_of([tmp_path], published_splits=True, on_conflict="drop"))
    assert [Path(entry.path).name for entry in dropped.report.excluded] == ["leak.jpg"]
    moved = build(config_of([tmp_path], published_splits=True, on_conflict="move"))
    by_name = {Path(row.path).name: row for row in moved.manifest.rows}
    assert by_name["leak.jpg"].split == "test"
    assert by_name["leak.jpg"].extra["published_split"] == "train"
    assert {row.split for row in moved.manifest.rows} == {"train", "val", "test"}


def test_folds_of_a_table_are_the_splits(folder, tmp_path):
    table = {"path": folds_table(folder, tmp_path, lambda _, n: n % 3), "key": "name"}
    columns = {"patient_column": "patient", "fold_column": "fold"}
    built = build(config_of([folder], table={**table, **columns}, test_fold="2", val_fold="0"))
    wanted = {"2": "test", "0": "val", "1": "train"}
    assert all(r.split == wanted[r.extra["fold"]] for r in built.manifest.rows)
    assert {r.patient_id for r in built.manifest.rows} == {f"p{i}" for i in range(10)}
    assert "by fold (test 2, validation 0, train the others)" in built.report.summary()


def test_folds_that_are_named_as_splits_are_not_explained_twice(folder, tmp_path):
    split = ("train", "val", "test")
    table = {"path": folds_table(folder, tmp_path, lambda _, n: split[n % 3]), "key": "name"}
    columns = {"patient_column": "patient", "fold_column": "fold"}
    built = build(config_of([folder], table={**table, **columns}))
    assert built.report.boundary == "as fold says (test, train, val)"


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(ManifestError, match=f"{tmp_path}: expected at least one readable slice"):
        build(config_of([tmp_path]))


def test_copies_across_folds_are_refused_dropped_or_moved(folder, tmp_path):
    path = folds_table(folder, tmp_path, lambda image, n: 9 if "copy" in image.stem else n % 3)
    table = {"path": path, "key": "name", "fold_column": "fold"}
    with pytest.raises(LeakageError, match="--on-conflict drop"):
        build(config_of([folder], table=table))
    dropped = build(config_of([folder], table=table, on_conflict="drop"))
    assert len(dropped.manifest.rows) == 10
    moved = build(config_of([folder], table=table, on_conflict="move"))
    assert len(moved.manifest.rows) == 20
    assert moved.report.moved == 10
    assert {r.extra["fold"] for r in moved.manifest.rows} == {"0", "1", "2"}


def test_contradicting_labels_are_left_out_with_their_copies(tmp_path):
    for i in range(4):
        save(head(i, side=128), tmp_path / "glioma" / f"{i}.png")
    save(COPIES["turned"](head(0, side=128)), tmp_path / "pituitary" / "0.png")
    report = build(config_of([tmp_path])).report
    assert len(report.rows) == 3
    reasons = sorted(entry.reason for entry in report.excluded)
    assert reasons[0].startswith("label conflict: glioma in ")
    assert reasons[1].startswith("label conflict: pituitary in ")


def test_a_tumor_of_an_untold_type_is_kept_where_it_is_asked_for(tmp_path):
    """Its copy under a type stays too: the two agree. One under no tumor does not."""
    for i in range(3):
        save(head(i, side=128), tmp_path / "a" / "yes" / f"{i}.png")
        save(head(10 + i, side=128), tmp_path / "a" / "no" / f"{i}.png")
    save(COPIES["turned"](head(0, side=128)), tmp_path / "b" / "glioma" / "0.png")
    save(COPIES["turned"](head(1, side=128)), tmp_path / "b" / "no" / "1.png")
    sources = [{"root": tmp_path / "a", "untyped": True}, {"root": tmp_path / "b"}]
    report = build(BuildConfig.model_validate({"sources": sources})).report
    labels = sorted((row.source, row.label) for row in report.rows)
    assert labels == [("a", "no_tumor")] * 3 + [("a", "tumor")] * 2 + [("b", "glioma")]
    groups = {Path(row.path).as_posix()[len(str(tmp_path)) :]: row.group for row in report.rows}
    assert groups["/a/yes/0.png"] == groups["/b/glioma/0.png"]
    assert len(report.excluded) == 2
    with pytest.raises(ManifestError, match="means tumor"):
        build(config_of([tmp_path / "a"]))


def test_a_table_says_what_a_tumor_of_an_untold_type_is_taken_for(tmp_path):
    for i in range(2):
        save(head(i, side=128), tmp_path / "a" / "yes" / f"{i}.png")
    save(head(9, side=128), tmp_path / "a" / "no" / "9.png")
    table = {"path": "t.csv", "key": "name", "taken_column": "looks"}
    source = {"root": tmp_path / "a", "untyped": True, "table": table}
    config = BuildConfig.model_validate({"sources": [source]})
    given = tmp_path / "a" / "t.csv"
    given.write_text("name,looks\n0.png,glioma\n1.png,\n9.png,\n")
    built = build(config)
    assert "of an unknown tumor type, taken by training for: glioma 1\n" in built.report.summary()
    built.manifest.write(tmp_path / "m.csv")
    taken = {Path(r.path).name: r.extra["taken_as"] for r in Manifest.read(tmp_path / "m.csv").rows}
    assert taken == {"0.png": "glioma", "1.png": "", "9.png": ""}
    given.write_text("name,looks\n0.png,no_tumor\n1.png,\n9.png,\n")
    with pytest.raises(
        ManifestError,
        match=r"t.csv, column looks: yes/0\.png is taken as 'no_tumor'; expected glioma",
    ):
        build(config)
    given.write_text("name,looks\n0.png,\n1.png,\n9.png,glioma\n")
    with pytest.raises(ManifestError, match=r"no/9.png.*expected none, as its label is no_tumor"):
        build(config)


def with_a_copy(folder, taken, typed="meningioma"):
    """An untyped slice taken for something, and a smaller copy of it under a type."""
    save(head(0, side=128), folder / "a" / "yes" / "0.png")
    save(head(1, side=128), folder / "a" / "no" / "1.png")
    save(head(0, side=128).resize((96, 96)), folder / "b" / typed / "0.png")
    (folder / "a" / "t.csv").write_text(f"name,looks\n0.png,{taken}\n1.png,\n")
    table = {"path": "t.csv", "key": "name", "taken_column": "looks"}
    return [{"root": folder / "a", "untyped": True, "table": table}, {"root": folder / "b"}]


def test_what_a_slice_is_taken_for_may_not_contradict_its_copy(tmp_path):
    sources = with_a_copy(tmp_path, "glioma")
    report = build(BuildConfig.model_validate({"sources": sources})).report
    assert [row.label for row in report.rows] == ["no_tumor"]
    assert [out.reason.split(" in ")[0] for out in report.excluded if "label" in out.reason] == [
        "label conflict: meningioma",
        "label conflict: taken as glioma",
    ]


def test_of_copies_the_one_with_a_type_stays(tmp_path):
    sources = with_a_copy(tmp_path, "")
    report = build(BuildConfig.model_validate({"sources": sources, "copies": "one"})).report
    assert sorted(row.label for row in report.rows) == ["meningioma", "no_tumor"]


def test_a_bad_file_never_loses_the_good_ones(tmp_path):
    save(head(1, side=64), tmp_path / "glioma" / "good.png")
    for name in ("bad.jpg", "worse.jpg"):
        (tmp_path / "glioma" / name).write_bytes(b"no picture at all")
    built = build(config_of([tmp_path]))
    assert len(built.manifest.rows) == 1
    assert built.report.excluded[0].path.endswith("bad.jpg")
    assert re.search("\n       2  expected [^/]+$", built.report.summary(), re.MULTILINE)
    (tmp_path / "glioma" / "good.png").unlink()
    with pytest.raises(ManifestError, match=r": expected at least one readable slice; 2 left out"):
        build(config_of([tmp_path]))


def test_patients_by_a_pattern_and_several_roots(tmp_path):
    for source in ("one", "two"):
        for i in range(6):
            path = tmp_path / source / "glioma" / f"sub-{i // 2}_{i}.png"
            save(head(i + 10 * (source == "two"), side=64), path)
    roots = [tmp_path / "one", tmp_path / "two"]
    rows = build(config_of(roots, pattern=r"(?P<patient>sub-\d)")).manifest.rows
    assert {row.source for row in rows} == {"one", "two"}
    assert {row.group for row in rows} == {
        f"patient:{source}:sub-{i}" for source in ("one", "two") for i in range(3)
    }


def test_a_file_below_two_roots_is_refused(folder):
    with pytest.raises(ManifestError, match="below more than one of the roots"):
        build(config_of([folder, folder / "Training"]))


def test_progress_is_told(folder):
    told = []
    build(config_of([folder]), lambda *step: told.append(step))
    assert ("reading", 20, 20) in told
    assert told[-1][0] == "verifying"


@pytest.mark.realdata
def test_br35h_shares_groups_with_navoneel(real_data):
    roots = [real_data / "navoneel" / "no", real_data / "br35h" / "no"]
    rows = build(config_of(roots, task="binary")).manifest.rows
    sources = {}
    for row in rows:
        sources.setdefault(row.group, set()).add(row.source)
    shared = [group for group, names in sources.items() if len(names) == 2]
    assert {row.source for row in rows} == {"navoneel", "br35h"}
    assert len(shared) > 20


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"skip": ["gliom"]}, "skip 'gliom': expected a class folder, one of glioma, notumor"),
        ({"skip": ["Glioma", "no"]}, r"skip 'no': .*\(nearest: notumor\)"),
        ({"aliases": ["mass=glioma"]}, r"alias 'mass': .* glioma, notumor \(nearest: glioma\)"),
    ],
)
def test_a_name_that_is_no_folders_is_refused_and_the_nearest_is_named(folder, options, message):
    with pytest.raises(ConfigError, match=message):
        build(config_of([folder], **options))


def test_a_name_on_the_command_line_may_be_of_one_root_and_in_a_file_is_of_its_own(tmp_path):
    for place in ("a/glioma/1.png", "a/other/2.png", "b/no/3.png"):
        save(head(int(Path(place).stem)), tmp_path / place)
    roots = [tmp_path / "a", tmp_path / "b"]
    built = build(config_of(roots, skip=["Other"]))
    assert sorted(row.label for row in built.manifest.rows) == ["glioma", "no_tumor"]
    file = tmp_path / "data.yaml"
    file.write_text("sources:\n- {root: a, skip: [other]}\n- {root: b, skip: [other]}\n")
    with pytest.raises(ConfigError, match=r"skip 'other': .*one of no \(nearest: no\)"):
        build(read_build_config(file))
    file.write_text("sources:\n- {root: a, skip: [other]}\n- {root: b}\n")
    assert build(read_build_config(file)).report.rows == built.report.rows
