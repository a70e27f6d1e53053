"""Tables in the dialects that people's programs write."""

import codecs
import csv
import io

import pytest

from slicewise.delimited import number, read_delimited, with_slashes

HEADER = ("path", "label", "note")
ROWS = [("a/1.png", "glioma", "Käse, süß"), ("b;2.png", "no_tumor", 'said "yes"\nand no')]
RECORDS = [dict(zip(HEADER, row, strict=True)) for row in ROWS]


def table(delimiter=",", ends="\n", quoting=csv.QUOTE_MINIMAL):
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter, lineterminator=ends, quoting=quoting)
    writer.writerows([HEADER, *ROWS])
    return stream.getvalue()


def read(tmp_path, data):
    path = tmp_path / "t.csv"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return read_delimited(path)


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize(("delimiter", "words"), [(",", ""), (";", "semicolons"), ("\t", "tabs")])
def test_every_dialect_gives_the_same_rows(tmp_path, delimiter, words, quoting, ends):
    found = read(tmp_path, table(delimiter, ends, quoting))
    assert (found.rows, found.dialect) == (RECORDS, words)


@pytest.mark.parametrize(
    ("data", "dialect"),
    [
        (table().encode("utf-8-sig"), ""),
        (table().encode("utf-16"), "UTF-16"),
        (codecs.BOM_UTF16_BE + table(";").encode("utf-16-be"), "semicolons, UTF-16"),
        (table("\t").encode("utf-32"), "tabs, UTF-32"),
        (table().encode("latin-1"), "Latin-1"),
        (table(";", "\r\n").encode("latin-1"), "semicolons, Latin-1"),
        (table(";", "\r\n").encode("cp1252"), "semicolons, Latin-1"),
    ],
)
def test_every_encoding_gives_the_same_rows(tmp_path, data, dialect):
    found = read(tmp_path, data)
    assert (found.rows, found.dialect) == (RECORDS, dialect)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        (" path , label \nx,y\n", [{"path": "x", "label": "y"}]),
        ('path, label\nx, "y, z"\n', [{"path": "x", "label": "y, z"}]),
        ("path,x\r a, b\r", [{"path": " a", "x": " b"}]),
        ("path;x\na;0,5\nb;1,5\n", [{"path": "a", "x": "0,5"}, {"path": "b", "x": "1,5"}]),
        ("sep=;\npath;x\na;1\n", [{"path": "a", "x": "1"}]),
        ("sep=|\r\npath|x\r\na|1\r\n", [{"path": "a", "x": "1"}]),
        ("a,b\n\n1,2\n \n,\n3,4", [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]),
        ("a;b;;\n1;2;;\n", [{"a": "1", "b": "2"}]),
        (",a\n0,x\n", [{"": "0", "a": "x"}]),
        ("name\na;b\nc\n", [{"name": "a;b"}, {"name": "c"}]),
        ("a,b;c\n1,2;3\n", [{"a": "1", "b;c": "2;3"}]),
        ("a;b\n1,5;2\n3;4\n", [{"a": "1,5", "b": "2"}, {"a": "3", "b": "4"}]),
        ("a,b\n", []),
        ("name\nC:\\x\\1.png\n", [{"name": "C:\\x\\1.png"}]),
    ],
)
def test_what_people_write_is_understood(tmp_path, text, rows):
    assert read(tmp_path, text).rows == rows


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", r"t\.csv: expected a header and rows; got an empty file"),
        (b"\n\n", "got an empty file"),
        (codecs.BOM_UTF8, "got an empty file"),
        (b"a,b\n1,2\n1,2,3\n", "line 3: expected as many values as columns, 2; got 3$"),
        (b'a,b\n"1\n2",2\n1\n', "line 4: expected as many values as columns, 2; got 1$"),
        (b"a;b;c\n1;2;3\n1;2\n", r"line 3: .* columns, 3; got 2 \(read with semicolons\)"),
        (b'"a";"b"\n"1"\n', r"line 2: .* columns, 2; got 1 \(read with semicolons\)"),
        (b"a\tb\n1\n", r"line 2: .* columns, 2; got 1 \(read with tabs\)"),
        (b"sep=;\na;b\n1\n", r"line 3: .* columns, 2; got 1"),
        (b"a,a\n1,2\n", "expected each column once; got 'a' twice"),
        (b"a; a\n1;2\n", r"got 'a' twice \(read with semicolons\)"),
        (b",,a\n1,2,3\n", "got '' twice"),
        (b'a,b\n"x,2\n', "line 2: expected a CSV table; unexpected end of data"),
        (b'a,b\n1,2\n"x"y,2\n', "line 3: expected a CSV table"),
        (b"a,b\n1,2\n\x81x\x94,2\n", "line 3: expected text in UTF-8, .*; got another encoding"),
        ("a,b\n1,2\n".encode("utf-16-le"), "line 1: expected text in UTF-8, .*; got another"),
        (b"PK\x03\x04\xff\xfe", "expected text in UTF-8"),
        (codecs.BOM_UTF16_LE + b"a\n,", "expected text in UTF-16, as its first bytes say"),
        (codecs.BOM_UTF8 + b"a\xff", "expected text in UTF-8, as its first bytes say"),
    ],
)
def test_what_is_no_table_is_told_with_its_line(tmp_path, data, error):
    with pytest.raises(ValueError, match=error):
        read(tmp_path, data)


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.5", 0.5), ("0,5", 0.5), ("-1,25", -1.25), (",5", 0.5), ("1,5e-3", 0.0015), ("7", 7)],
)
def test_numbers_have_a_point_or_a_comma(text, value):
    assert number(text) == value


@pytest.mark.parametrize("text", ["1.234,5", "1,234.5", "1,2,3", "", "x", "0,", "1 000"])
def test_what_may_be_two_numbers_is_none(text):
    with pytest.raises(ValueError, match="could not convert"):
        number(text)


def test_windows_paths_have_slashes():
    assert with_slashes("a\\b/c.png") == "a/b/c.png"
