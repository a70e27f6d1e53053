"""The CSV file comes back as it was, and a broken one is refused."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from builders_evaluation import rule_of, table_of
from slicewise.errors import EvaluationError
from slicewise.evaluation.predictions_csv import read_predictions, write_predictions


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
        ("", "got none"),
        ("path,label\na.png,glioma\n", "missing"),
        (
            "path,label,source,group,temperature,threshold,logit_a,logit_b\np,c,s,g,1,0.5,1,2\n",
            "known labels",
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


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(EvaluationError, match=r"none\.csv"):
        read_predictions(tmp_path / "none.csv", None)
