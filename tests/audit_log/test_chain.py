"""The arithmetic of a chain, held to the standard library written out."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest

from slicewise.audit_log.chain import ChainKey, Place, same

SECRET = b"k" * 32
KEY = ChainKey(SECRET)


def test_a_code_is_the_hmac_of_what_the_page_says():
    mac = KEY.row_mac("feedback", Place(3, "before"), {"b": 1.5, "a": "é", "c": None, "mac": "x"})
    text = '["row","feedback",3,"before",{"a":"é","b":1.5}]'
    assert mac == hmac.new(SECRET, text.encode(), hashlib.sha256).hexdigest()
    assert json.loads(text)[4] == {"a": "é", "b": 1.5}


def test_each_row_is_tied_to_the_one_before():
    rows = list(KEY.link("t", KEY.beginning("t"), [{"a": 1}, {"a": 2}]))
    assert [row["seq"] for row in rows] == [1, 2]
    assert rows[0]["mac"] == KEY.row_mac("t", Place(1, KEY.beginning("t").mac), {"a": 1})
    assert rows[1]["mac"] == KEY.row_mac("t", Place(2, rows[0]["mac"]), {"a": 2})


@pytest.mark.parametrize(
    ("chain", "place", "values"),
    [
        ("u", Place(1, "p"), {"a": 1, "b": None}),
        ("t", Place(2, "p"), {"a": 1, "b": None}),
        ("t", Place(1, "q"), {"a": 1, "b": None}),
        ("t", Place(1, "p"), {"a": 2, "b": None}),
        ("t", Place(1, "p"), {"a": 1.0, "b": None}),
        ("t", Place(1, "p"), {"a": "1", "b": None}),
        ("t", Place(1, "p"), {"a": True, "b": None}),
        ("t", Place(1, "p"), {"a": 1, "b": ""}),
        ("t", Place(1, "p"), {"a": None, "b": 1}),
    ],
)
def test_whatever_differs_gives_another_code(chain, place, values):
    assert KEY.row_mac(chain, place, values) != KEY.row_mac("t", Place(1, "p"), {"a": 1})


def test_a_column_added_later_changes_no_code():
    place = Place(1, "p")
    assert KEY.row_mac("t", place, {"a": 1}) == KEY.row_mac("t", place, {"a": 1, "new": None})


def test_codes_of_another_kind_or_key_differ():
    place = Place(1, "p")
    other = ChainKey(b"x" * 32)
    codes = {
        KEY.row_mac("t", place, {}),
        KEY.seal("t", place),
        KEY.beginning("t").mac,
        KEY.beginning("u").mac,
        other.row_mac("t", place, {}),
        other.seal("t", place),
        other.beginning("t").mac,
    }
    assert len(codes) == 7
    assert KEY.id != other.id
    assert "k" * 32 not in repr(vars(KEY)["id"])


def test_same():
    assert same("ab", "ab")
    assert not same("ab", "äb")
