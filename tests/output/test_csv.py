"""Answers as a table: the names of the contract, a row a slice, nothing unless it is closed."""

from __future__ import annotations

import csv
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from builders_explain import CLASSES, REFERENCE, single, volume
from slicewise.imaging.slice import Failure, Slice
from slicewise.inference.decision import BundleReference, Prediction, Reason
from slicewise.output.csv import CsvSink
from slicewise.output.sink import Item

SHARES = (0.7, 0.1, 0.15, 0.05)


def picture(source: str) -> Slice:
    return Slice(np.zeros((16, 16), dtype=np.float32), source)


def rows_of(path: Path, *items: Item) -> list[dict[str, str]]:
    sink = CsvSink(path, CLASSES)
    for item in items:
        sink.write(item)
    sink.close()
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def test_the_columns_are_those_of_a_prediction(tmp_path):
    (row,) = rows_of(tmp_path / "a.csv", single(picture("scan.png"), SHARES))
    flat = {field.name for field in fields(Prediction)} - {"probabilities", "bundle"}
    bundle = {f"bundle_{field.name}" for field in fields(BundleReference)}
    assert set(row) == flat | bundle | {f"p_{name}" for name in CLASSES} | {"error"}
    assert [float(row[f"p_{name}"]) for name in CLASSES] == list(SHARES)
    assert (row["source"], row["label"], row["decision"]) == ("scan.png", "glioma", "review")
    assert (row["tumor_probability"], row["tumor_flag"]) == ("0.85", "true")
    assert (row["reasons"], row["prediction_set"], row["error"]) == ("not_calibrated", "", "")
    assert row["bundle_sha256"] == REFERENCE.sha256


def test_lists_are_joined_by_semicolons(tmp_path):
    item = single(picture("a"), SHARES)
    prediction = replace(
        item.answers[0].prediction,
        prediction_set=["glioma", "meningioma"],
        reasons=[Reason.LOW_TRUST, Reason.END_OF_SERIES],
    )
    item = replace(item, answers=[replace(item.answers[0], prediction=prediction)])
    (row,) = rows_of(tmp_path / "a.csv", item)
    assert row["prediction_set"] == "glioma;meningioma"
    assert row["reasons"] == "low_trust;end_of_series"


def test_a_series_is_a_row_a_slice_and_an_error_a_row_beside_it(tmp_path):
    series = volume([picture(f"v#{k}") for k in range(3)], [0.1, 0.9, 0.2], [1])
    rows = rows_of(tmp_path / "new" / "a.csv", Failure("bad", "expected, got"), series)
    assert [row["source"] for row in rows] == ["bad", "v#0", "v#1", "v#2"]
    assert [row["error"] for row in rows] == ["expected, got", "", "", ""]
    assert not any(rows[0][name] for name in rows[0] if name not in ("source", "error"))


@pytest.mark.parametrize("name", ["a\nb\r", "\udce9", '"a",b', "\x1b[31m"], ids=ascii)
def test_odd_names_keep_to_their_row_and_line(tmp_path, name):
    rows = rows_of(tmp_path / "a.csv", single(picture(name), SHARES), Failure(name, name))
    assert len(rows) == 2
    assert len((tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()) == 3


def test_a_table_that_is_not_closed_is_not_there(tmp_path):
    (tmp_path / "a.csv").write_text("older")
    sink = CsvSink(tmp_path / "a.csv", CLASSES)
    sink.write(single(picture("a"), SHARES))
    del sink
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    assert (tmp_path / "a.csv").read_text() == "older"
