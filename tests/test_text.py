"""Figures in words, which never claim a certainty that is not there."""

from __future__ import annotations

import pytest

from slicewise.text import (
    cell_text,
    class_text,
    counted,
    figure_text,
    number_text,
    percent_text,
    percents_apart,
    printable,
    share_text,
    signed_text,
)


@pytest.mark.parametrize(
    ("value", "number", "percent"),
    [
        (0.0, "0.000", "0.0 %"),
        (1.0, "1.000", "100.0 %"),
        (1 - 1e-16, "1.000", "100.0 %"),
        (1 - 1e-12, ">0.999", ">99.9 %"),
        (0.9997, ">0.999", ">99.9 %"),
        (0.0003, "<0.001", "<0.1 %"),
        (0.9989, "0.999", "99.9 %"),
        (0.91234, "0.912", "91.2 %"),
        (1.25, "1.250", "125.0 %"),
    ],
)
def test_what_is_not_certain_is_not_rounded_to_it(value, number, percent):
    assert number_text(value) == number
    assert percent_text(value) == percent


@pytest.mark.parametrize(
    ("first", "second", "texts"),
    [
        (0.934, 0.95, ("93.4 %", "95.0 %")),
        (0.9501, 0.9503, ("95.01 %", "95.03 %")),
        (0.95, 0.95, ("95.0 %", "95.0 %")),
        (0.00011, 0.0001, ("0.011 %", "0.010 %")),
        (0.99991, 0.9999, ("99.991 %", "99.990 %")),
        (0.95, 0.95 + 1e-16, ("95.0000000000000 %", "95.0000000000000 %")),
    ],
)
def test_shares_that_differ_are_told_apart_where_digits_can(first, second, texts):
    assert percents_apart(first, second) == texts


def test_shares_with_intervals_do_not_claim_certainty_either():
    assert share_text(0.912, 0.89, 0.931) == "91.2 % (89.0-93.1)"
    assert share_text(0.9993, 0.9984, 0.9998) == "99.9 % (99.8->99.9)"
    assert share_text(1.0, 0.9, 1.0) == "100.0 % (90.0-100.0)"
    assert share_text(0.5, None, None) == "50.0 %"


def test_figures_in_words():
    assert figure_text({"value": 0.9, "ci_low": 0.8, "ci_high": 0.95}) == "0.900 (0.800-0.950)"
    alone = {"value": 0.9, "ci_low": None, "ci_high": None, "reason": "one group"}
    assert figure_text(alone) == "0.900 (no interval: one group)"
    missing = {"value": None, "ci_low": None, "ci_high": None, "reason": "no tumor"}
    assert figure_text(missing) == "not available: no tumor"
    assert [cell_text(f) for f in (alone, missing)] == ["0.900", "-"]


def test_class_names_are_read_as_words():
    assert class_text("no_tumor") == "no tumor"


def test_a_difference_carries_its_sign():
    gap = {"value": 0.12, "ci_low": -0.04, "ci_high": 0.2}
    assert signed_text(gap) == "+0.120 (-0.040 to +0.200)"
    none = {"value": 0.0, "ci_low": None, "ci_high": None, "reason": "one group"}
    assert signed_text(none) == "0.000 (no interval: one group)"


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 slices"), (1, "1 slice"), (2, "2 slices"), (2000, "2,000 slices")]
)
def test_a_number_with_its_noun(number, text):
    assert counted(number, "slice") == text


def test_names_are_shown_on_one_line_without_what_terminals_obey():
    assert printable("a\x1b[31m\n\udce9é.png") == "a\\x1b[31m\\n\\udce9é.png"
