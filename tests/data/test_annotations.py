"""Tables and patterns: what they say of a slice, and how they are matched to it."""

from pathlib import PurePath

import pytest

from slicewise.data.annotations import (
    Known,
    Table,
    TableSpec,
    known_by_path,
    merged,
    require_pattern,
)
from slicewise.errors import ManifestError


def table(tmp_path, text, **spec) -> Table:
    (tmp_path / "t.csv").write_text(text)
    return Table(TableSpec(path="t.csv", **{"key": "key", **spec}), tmp_path)


@pytest.mark.parametrize("key", ["glioma/12.jpg", "glioma/12", "12.jpg", "12"])
def test_a_slice_is_named_by_path_name_or_stem(tmp_path, key):
    found = table(tmp_path, f"key,p,g,f\n{key},7,a,2\n", patient_column="p", group_column="g")
    assert found.look_up([PurePath("glioma/12.jpg")], {}) == [Known("7", "a", "")]


def test_the_root_may_be_part_of_the_key(tmp_path):
    found = table(tmp_path, f"key,f\n{tmp_path.name}/no/1.jpg,2\n", fold_column="f")
    assert found.look_up([PurePath("no/1.jpg")], {}) == [Known(fold="2")]


def test_slices_are_kept_or_left_out_with_a_reason(tmp_path):
    text = "key,kept,why\na,yes,\nb,no,CT\n"
    found = table(tmp_path, text, keep_column="kept", reason_column="why")
    files = [PurePath("a.png"), PurePath("b.png")]
    assert [one.excluded for one in found.look_up(files, {})] == ["", "CT"]
    plain = table(tmp_path, text, keep_column="kept")
    assert plain.look_up(files[1:], {})[0].excluded == "kept is no in t.csv"
    with pytest.raises(ManifestError, match="expected yes or no; got 'perhaps'"):
        table(tmp_path, "key,kept\na,perhaps\n", keep_column="kept")


def test_every_slice_needs_a_row(tmp_path):
    found = table(tmp_path, "key\na\n")
    assert len(found.look_up([PurePath("x/a.png")], {})) == 1
    with pytest.raises(ManifestError, match=r"1 slices have no row.*x/b\.png"):
        found.look_up([PurePath("x/a.png"), PurePath("x/b.png")], {})


def test_bad_tables_are_refused(tmp_path):
    with pytest.raises(ManifestError, match="expected columns key, fold; got key"):
        table(tmp_path, "key\na\n", fold_column="fold")
    with pytest.raises(ManifestError, match="'a' stands there twice"):
        table(tmp_path, "key\na\na\n")
    with pytest.raises(ManifestError, match="expected a table there or at"):
        Table(TableSpec(path="none.csv", key="key"), tmp_path)


def test_a_pattern_finds_named_groups():
    pattern = r"(?P<patient>sub-\d+)(_(?P<fold>f\d))?"
    assert known_by_path(pattern, PurePath("no/sub-12_f3.png")) == Known("sub-12", "", "f3")
    assert known_by_path(pattern, PurePath("no/sub-12.png")) == Known("sub-12")
    with pytest.raises(ManifestError, match="expected a path in which"):
        known_by_path(pattern, PurePath("no/x.png"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(", "expected a regular expression"),
        ("sub", "got none"),
        ("(?P<person>x)", "got person"),
    ],
)
def test_bad_patterns_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        require_pattern(text)


def test_table_and_pattern_must_not_contradict():
    assert merged(Known("1"), Known(fold="2"), "x") == Known("1", "", "2")
    with pytest.raises(ManifestError, match="x: fold is '1' by the table and '2' by the path"):
        merged(Known(fold="1"), Known(fold="2"), "x")
    with pytest.raises(ManifestError, match="x: the table and the path name different patients"):
        merged(Known("Doe-1"), Known("Doe-2"), "x")


@pytest.mark.parametrize("key", ["0", "0.png"])
def test_a_row_that_serves_two_slices_by_a_bare_name_is_refused(tmp_path, key):
    found = table(tmp_path, f"key,p\n{key},7\n", patient_column="p")
    files = [PurePath("glioma/0.png"), PurePath("no_tumor/0.png")]
    with pytest.raises(ManifestError, match=r"one slice for row '0.*glioma.0\.png and .*no_tumor"):
        found.look_up(files, {})
    found.look_up(files[:1], {})


def test_a_row_serves_one_slice_of_all_roots(tmp_path):
    (tmp_path / "t.csv").write_text("key\n0\none/1.png\ntwo/1.png\n")
    spec = TableSpec(path=tmp_path / "t.csv", key="key")
    one, two = (Table(spec, tmp_path / name) for name in ("one", "two"))
    used = {}
    for part in (one, two):
        part.look_up([PurePath("1.png")], used)
    one.look_up([PurePath("0.png")], used)
    with pytest.raises(ManifestError, match="expected one slice for row '0'"):
        two.look_up([PurePath("0.png")], used)


@pytest.mark.parametrize("key", ["glioma\\12.jpg", "glioma\\12", "{root}\\glioma\\12.jpg"])
def test_a_slice_may_be_named_with_backslashes(tmp_path, key):
    found = table(tmp_path, f"key;g\n{key.format(root=tmp_path.name)};a\n", group_column="g")
    assert found.look_up([PurePath("glioma/12.jpg")], {}) == [Known("", "a", "")]


def test_a_name_is_tried_as_given_before_its_backslashes_are_turned(tmp_path):
    found = table(tmp_path, "key,g\na\\1.png,one\na/1.png,two\n", group_column="g")
    files = [PurePath("a\\1.png"), PurePath("a/1.png")]
    assert [known.group for known in found.look_up(files, {})] == ["one", "two"]
    with pytest.raises(ManifestError, match="1 slices have no row"):
        found.look_up([PurePath("b/1.png")], {})


def test_the_dialect_of_a_table_is_told(tmp_path):
    (tmp_path / "t.tsv").write_bytes("key\tg\nKäse.png\ta\n".encode("latin-1"))
    notes = []
    spec = TableSpec(path="t.tsv", key="key", group_column="g")
    assert Table(spec, tmp_path, notes.append).look_up([PurePath("Käse.png")], {})[0].group == "a"
    assert notes == [f"{tmp_path / 't.tsv'}: read as a table in tabs, Latin-1"]
