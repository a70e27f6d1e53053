"""Manifests: round trips, hashes, errors that name row and column, and no leaks."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from slicewise.data.manifest import COLUMNS, Manifest, ManifestRow
from slicewise.errors import LeakageError, ManifestError


def row(number: int, split: str = "train", **extra: str) -> ManifestRow:
    return ManifestRow(
        path=f"slices/{number}.png",
        label="glioma",
        source="made",
        patient_id="",
        group=f"g{number}",
        split=split,
        sha256=f"{number:064x}",
        width=20,
        height=30,
        extra=extra,
    )


@pytest.fixture
def manifest(tmp_path) -> Manifest:
    return Manifest((row(1, fold="a"), row(2, "val", fold="b"), row(3, "test", fold="")), tmp_path)


@pytest.mark.parametrize("name", ["m.csv", "m.parquet"])
def test_what_was_written_is_read(manifest, tmp_path, name):
    manifest.write(tmp_path / name)
    assert Manifest.read(tmp_path / name) == manifest


@pytest.mark.parametrize("name", ["m.csv", "m.parquet"])
@pytest.mark.parametrize("odd", ["café", "a\nb\rc", "\x1b[31m", 'x,"y"'], ids=ascii)
def test_odd_names_are_read_as_they_were_written(manifest, tmp_path, name, odd):
    first = replace(manifest.rows[0], path=f"{odd}.png", source=odd, extra={"mask": f"{odd}.nii"})
    manifest = replace(manifest, rows=(first,))
    manifest.write(tmp_path / name)
    assert Manifest.read(tmp_path / name) == manifest


@pytest.mark.parametrize("name", ["m.csv", "m.parquet"])
def test_names_that_are_not_utf_8_are_refused_and_nothing_is_written(manifest, tmp_path, name):
    odd = replace(manifest, rows=(replace(manifest.rows[0], path="\udce9.png"),))
    with pytest.raises(ManifestError, match="holds names in UTF-8 only"):
        odd.write(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["m.csv", "m.parquet"])
def test_other_columns_show_what_utf_8_cannot_hold(manifest, tmp_path, name):
    odd = replace(manifest, rows=(replace(manifest.rows[0], source="\udcc3\udca9 \udce9"),))
    odd.write(tmp_path / name)
    assert Manifest.read(tmp_path / name).rows[0].source == "é \\xe9"


def test_a_folder_is_no_manifest_and_the_way_to_one_is_named(tmp_path):
    with pytest.raises(ManifestError, match=r"`slicewise data build .* makes one of it"):
        Manifest.read(tmp_path)


def test_paths_start_from_the_file_wherever_it_is_written(manifest, tmp_path):
    manifest.write(tmp_path / "deep" / "down" / "m.csv")
    moved = Manifest.read(tmp_path / "deep" / "down" / "m.csv")
    assert moved.rows[0].path == "../../slices/1.png"
    assert moved.resolve(moved.rows[0]) == str(tmp_path / "slices" / "1.png")
    assert moved.sha256 == manifest.sha256


def test_the_hash_is_of_what_rows_say(manifest):
    backwards = replace(manifest, rows=manifest.rows[::-1])
    assert backwards.sha256 == manifest.sha256
    changed = replace(manifest, rows=(replace(manifest.rows[0], label="x"), *manifest.rows[1:]))
    assert changed.sha256 != manifest.sha256


def test_slices_of_one_file_differ_in_the_hash(tmp_path):
    one, two = (replace(row(1), path=f"v.nii#{i}") for i in (0, 1))
    assert Manifest((one,), tmp_path).sha256 != Manifest((two,), tmp_path).sha256


def test_a_subset_is_of_one_split(manifest):
    assert [r.path for r in manifest.subset("val").rows] == ["slices/2.png"]
    with pytest.raises(ManifestError, match="'validation': expected one of train, val, test"):
        manifest.subset("validation")


def test_a_group_in_two_splits_is_neither_written_nor_read(manifest, tmp_path):
    leaking = replace(manifest, rows=(row(1), replace(row(2, "test"), group="g1")))
    with pytest.raises(LeakageError, match=r"1 groups are in several: g1 in \['test', 'train'\]"):
        leaking.write(tmp_path / "m.csv")
    replace(manifest, rows=(row(1), row(2, "test"))).write(tmp_path / "m.csv")
    text = (tmp_path / "m.csv").read_text().replace("g2", "g1")
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(LeakageError, match="expected every group in one split"):
        Manifest.read(tmp_path / "m.csv")


@pytest.mark.parametrize(
    "other", ["slices/1.png", "./slices/1.png", "slices/../slices/1.png", "slices/1.png#0"]
)
def test_a_slice_in_two_rows_is_neither_written_nor_read(manifest, tmp_path, other):
    again = replace(row(4, "test", fold=""), path=other)
    message = f"expected every slice in one row; 1 rows repeat another: {other} in rows 1 and 4"
    with pytest.raises(ManifestError, match=re.escape(message)):
        replace(manifest, rows=(*manifest.rows, again)).write(tmp_path / "m.csv")
    replace(manifest, rows=(*manifest.rows, row(4, "test", fold=""))).write(tmp_path / "m.csv")
    text = (tmp_path / "m.csv").read_text().replace("slices/4.png", other)
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(ManifestError, match=re.escape(f"m.csv: {message}")):
        Manifest.read(tmp_path / "m.csv")


def test_slices_of_one_file_and_files_named_like_slices_are_no_repeats(manifest, tmp_path):
    (tmp_path / "v.nii#0").touch()
    rows = [replace(row(i), path=name) for i, name in enumerate(("v.nii", "v.nii#0", "v.nii#1"))]
    replace(manifest, rows=tuple(rows)).write(tmp_path / "m.csv")
    assert len(Manifest.read(tmp_path / "m.csv").rows) == 3


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("split", "dev", "row 2, column split: expected train, val, test or nothing; got 'dev'"),
        ("sha256", "12", "row 2, column sha256: expected 64 hexadecimal digits"),
        ("width", "0", "row 2, column width: expected a positive whole number; got '0'"),
        ("height", "1.5", "row 2, column height"),
        ("label", "", "row 2, column label: expected a value"),
        ("group", "", "row 2, column group: expected a value"),
    ],
)
def test_a_wrong_value_is_named_by_row_and_column(tmp_path, column, value, message):
    rows = [
        dict(zip(COLUMNS, ("1.png", "a", "s", "", "g", "", "0" * 64, "1", "1"), strict=True))
        for _ in range(2)
    ]
    rows[1][column] = value
    lines = [",".join(COLUMNS), *(",".join(r.values()) for r in rows)]
    (tmp_path / "m.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(ManifestError, match=message):
        Manifest.read(tmp_path / "m.csv")


def test_missing_columns_and_rows_are_named(tmp_path):
    (tmp_path / "m.csv").write_text("path,label\nx,y\n")
    with pytest.raises(ManifestError, match=r"missing \['source'"):
        Manifest.read(tmp_path / "m.csv")
    (tmp_path / "m.csv").write_text("path,label\n")
    with pytest.raises(ManifestError, match="at least one row"):
        Manifest.read(tmp_path / "m.csv")
    with pytest.raises(ManifestError, match=r"named \.csv or \.parquet"):
        Manifest.read(Path("m.json"))


@pytest.mark.parametrize("group", ["patient:made:Doe-7", "Doe-7", "made:Doe-7"])
def test_a_leak_is_told_without_the_patient(manifest, tmp_path, group):
    rows = [
        replace(row(i, s), group=group, patient_id="Doe-7") for i, s in ((1, "train"), (2, "test"))
    ]
    with pytest.raises(LeakageError, match=r"a patient in \['test', 'train'\]") as caught:
        replace(manifest, rows=tuple(rows)).write(tmp_path / "m.csv")
    assert "Doe" not in str(caught.value)


def test_a_manifest_with_backslashes_means_folders(manifest, tmp_path):
    manifest.write(tmp_path / "m.csv")
    text = (tmp_path / "m.csv").read_text()
    (tmp_path / "m.csv").write_text(text.replace("slices/", "slices\\").replace(",", ";"))
    assert Manifest.read(tmp_path / "m.csv") == manifest


def test_a_file_that_is_called_with_a_backslash_stays_that_file(manifest, tmp_path):
    first = replace(manifest.rows[0], path="a\\1.png")
    (tmp_path / "a\\1.png").touch()
    replace(manifest, rows=(first,)).write(tmp_path / "m.csv")
    assert Manifest.read(tmp_path / "m.csv").rows == (first,)
