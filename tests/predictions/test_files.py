"""The CSV file comes back as it was, and a broken one is refused."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest

from builders_evaluation import decided_table, rule_of, table_of, with_distances
from slicewise.errors import EvaluationError
from slicewise.predictions.files import read_predictions, write_predictions


def without(table, path, columns):
    """The file of a table with some of its columns left out."""
    write_predictions(table, path)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    kept = [name for name in rows[0] if name not in columns]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, kept, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def test_a_table_survives_the_file(tmp_path):
    table = table_of().decided(rule_of(1.2345678901, 0.1))
    write_predictions(table, tmp_path / "p.csv")
    back = read_predictions(tmp_path / "p.csv", "no_tumor")
    assert back.classes == table.classes
    for name in ("logits", "targets", "groups", "sources", "paths", "temperatures", "thresholds"):
        np.testing.assert_array_equal(getattr(back, name), getattr(table, name))
        assert getattr(back, name).dtype.kind == getattr(table, name).dtype.kind


def test_a_table_without_fitted_values_survives(tmp_path):
    table = table_of(classes=("a", "b"), negative_class=None)
    write_predictions(table, tmp_path / "p.csv")
    back = read_predictions(tmp_path / "p.csv", None)
    assert back.temperatures is None
    assert back.thresholds is None


def test_rows_say_what_was_answered(tmp_path):
    table = table_of(groups=8, per_group=1, skill=9).decided(rule_of())
    write_predictions(table, tmp_path / "p.csv", seen={"glioma/0.png"})
    with (tmp_path / "p.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    first = rows[0]
    assert list(first)[:4] == ["path", "label", "source", "group"]
    assert (first["path"], first["label"], first["predicted"]) == (
        "glioma/0.png",
        "glioma",
        "glioma",
    )
    assert (first["correct"], first["seen"], rows[1]["seen"]) == ("yes", "yes", "no")
    assert float(first["p_glioma"]) == pytest.approx(table.probabilities()[0, 0], abs=1e-6)
    total = float(first["tumor_probability"]) + float(first["p_no_tumor"])
    assert total == pytest.approx(1, abs=2e-6)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "got an empty file"),
        ("path,label\n", "expected rows of predictions; got none"),
        ("path,label\na.png,glioma\n", "missing"),
        (
            "path,label,source,group,temperature,threshold,logit_a,logit_b\np,c,s,g,1,0.5,1,2\n",
            "label: expected one of a, b; got 'c'",
        ),
        (
            "path,label,source,group,temperature,threshold,logit_a,logit_b\np,a,s,g,1,0.5,x,2\n",
            "expected numbers",
        ),
    ],
)
def test_broken_files_are_refused_by_name(tmp_path, content, message):
    path = tmp_path / "broken.csv"
    path.write_text(content)
    with pytest.raises(EvaluationError, match=rf"broken\.csv.*{message}"):
        read_predictions(path, None)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("label", "abscess", "label: expected one of glioma, .*; got 'abscess'"),
        ("decision", "maybe", "decision: expected one of accept, review, reject; got 'maybe'"),
        ("decision", "", "decision: expected one of accept, review, reject; got ''"),
        ("p_glioma", "7", "p_glioma: expected a number from 0 to 1; got '7'"),
        ("p_glioma", "nan", "p_glioma: expected a number from 0 to 1; got 'nan'"),
        ("p_glioma", "x", "p_glioma: expected a number from 0 to 1; got 'x'"),
    ],
)
def test_a_value_that_cannot_be_is_named_with_its_row(tmp_path, column, value, message):
    path = tmp_path / "p.csv"
    write_predictions(decided_table(), path)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows[1][column] = value
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(EvaluationError, match=rf"p\.csv: row 2 below the header: {message}"):
        read_predictions(path, "no_tumor")


@pytest.mark.parametrize(("cells", "got"), [(-3, 18), (None, 22)])
def test_a_row_that_is_cut_off_or_too_long_is_named(tmp_path, cells, got):
    path = tmp_path / "cut.csv"
    write_predictions(decided_table(), path)
    lines = path.read_text().splitlines()
    lines[3] = lines[3] + ",x" if cells is None else ",".join(lines[3].split(",")[:cells])
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(EvaluationError, match=rf"cut\.csv, line 4: .*columns, 21; got {got}"):
        read_predictions(path, "no_tumor")


@pytest.mark.parametrize("name", ["decision", "reasons"])
def test_decisions_and_reasons_stand_together(tmp_path, name):
    without(decided_table(), tmp_path / "half.csv", {name})
    with pytest.raises(EvaluationError, match=r"half\.csv: expected the columns .* together; got"):
        read_predictions(tmp_path / "half.csv", "no_tumor")


def test_answers_of_joined_classes_survive_the_file(tmp_path):
    table = table_of(groups=4, per_group=2, classes=("no_tumor", "tumor"))
    table = replace(table, answered=1 - table.predicted)
    write_predictions(table, tmp_path / "p.csv")
    back = read_predictions(tmp_path / "p.csv", "no_tumor")
    np.testing.assert_array_equal(back.answered, table.answered)
    with (tmp_path / "p.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    assert row["predicted"] == row["answered"] == table.classes[table.answered[0]]


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(EvaluationError, match=r"none\.csv"):
        read_predictions(tmp_path / "none.csv", None)


def test_decisions_sets_and_biases_survive_the_file(tmp_path):
    table = decided_table()
    table = replace(table, biases=np.tile([0.5, -0.25, 1 / 3, 0.0], (table.n, 1)))
    write_predictions(table, tmp_path / "p.csv")
    back = read_predictions(tmp_path / "p.csv", "no_tumor")
    for name in ("verdicts", "reasons", "sets", "biases"):
        np.testing.assert_array_equal(getattr(back, name), getattr(table, name))
    np.testing.assert_array_equal(back.probabilities(), table.probabilities())
    with (tmp_path / "p.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert (rows[0]["decision"], rows[0]["reasons"]) == ("reject", "colour_picture")
    assert rows[5]["reasons"] == "low_confidence;several_classes_possible"
    assert rows[0]["bias_meningioma"] == "-0.25"
    classes = np.array(table.classes)
    assert rows[20]["prediction_set"].split(";") == classes[table.sets[20]].tolist()


def test_decisions_without_any_reason_stay_decisions(tmp_path):
    table = replace(table_of(), verdicts=np.full(200, "accept"), reasons=np.full(200, ""))
    write_predictions(table, tmp_path / "p.csv")
    back = read_predictions(tmp_path / "p.csv", "no_tumor")
    assert set(back.verdicts) == {"accept"}
    assert set(back.reasons) == {""}
    assert back.sets is None
    assert back.biases is None


def test_a_file_of_an_older_version_has_no_decisions(tmp_path):
    without(decided_table(), tmp_path / "old.csv", {"prediction_set", "decision", "reasons"})
    back = read_predictions(tmp_path / "old.csv", "no_tumor")
    assert back.verdicts is None
    assert back.reasons is None
    assert back.sets is None


def test_distances_survive_the_file_and_trust_stands_beside(tmp_path):
    table = with_distances(table_of())
    write_predictions(table, tmp_path / "p.csv")
    back = read_predictions(tmp_path / "p.csv", "no_tumor")
    np.testing.assert_array_equal(back.class_distances, table.class_distances)
    with (tmp_path / "p.csv").open(newline="") as file:
        shown = [float(row["trust"]) for row in csv.DictReader(file)]
    np.testing.assert_allclose(shown, table.trust, atol=1e-6)


@pytest.mark.parametrize("prefix", ["distance_", "bias_"])
def test_a_number_for_some_classes_only_is_refused(tmp_path, prefix):
    table = with_distances(table_of(groups=8).decided(rule_of()))
    table = replace(table, biases=np.ones(table.logits.shape))
    without(table, tmp_path / "p.csv", [f"{prefix}glioma"])
    with pytest.raises(EvaluationError, match=f"{prefix}<class>: expected a column for each"):
        read_predictions(tmp_path / "p.csv", "no_tumor")


def test_a_table_that_a_spreadsheet_wrote_again_is_read(tmp_path):
    ours, theirs = tmp_path / "ours.csv", tmp_path / "theirs.csv"
    write_predictions(decided_table(), ours)
    with ours.open(newline="") as file:
        rows = [[cell.replace(".", ",") for cell in row] for row in csv.reader(file)]
    text = "\r\n".join(";".join(f'"{cell}"' for cell in row) for row in rows)
    theirs.write_text(text, encoding="utf-16")
    known = decided_table()
    read = read_predictions(theirs, known.negative_class)
    np.testing.assert_array_equal(read.logits, known.logits)
    np.testing.assert_array_equal(read.thresholds, read_predictions(ours, None).thresholds)
