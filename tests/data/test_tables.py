import pytest

from slicewise.data.tables import read_table, write_table
from slicewise.errors import ManifestError


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_table_comes_back_as_it_was(tmp_path, name):
    rows = [{"a": "1", "b": "x, y"}, {"a": "ü"}]
    write_table(tmp_path / name, rows, ["a", "b"])
    assert read_table(tmp_path / name) == [{"a": "1", "b": "x, y"}, {"a": "ü", "b": ""}]


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbfa\n1\n")
    assert read_table(tmp_path / "t.csv") == [{"a": "1"}]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"a,b\n1\n", "line 2: expected as many values as columns, 2; got 1"),
        ("t.csv", b"a\n1,2\n", "line 2: expected as many values as columns, 1; got 2"),
        ("t.csv", b"a\n\x81\n", "line 2: expected text in UTF-8"),
        ("t.parquet", b"nothing", "expected a Parquet table"),
        ("t.txt", b"", "expected a table named"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ManifestError, match=message):
        read_table(tmp_path / name)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ManifestError, match=r"none\.csv: expected a CSV table"):
        read_table(tmp_path / "none.csv")
