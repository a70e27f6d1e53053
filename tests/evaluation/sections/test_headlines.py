"""Which figures a report opens with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from builders_evaluation import rule_of, table_of
from slicewise.evaluation.sections.headlines import headlines
from slicewise.evaluation.summary import summarise
from slicewise.stats.bootstrap import Bootstrap


def shown(table):
    report = summarise(table, Bootstrap(resamples=20), "not measured")
    return {headline.title: headline.metric(report)["value"] for headline in headlines(report)}


@pytest.mark.parametrize(
    ("tumors", "threshold", "title", "value"),
    [
        (False, 0.0, "Tumor specificity", 0.0),
        (False, 1.0, "Tumor specificity", 1.0),
        (True, 1.0, "Tumor sensitivity", 0.0),
        (True, 0.0, "Tumor sensitivity", 1.0),
    ],
)
def test_slices_of_one_kind_show_the_figure_they_have(tumors, threshold, title, value):
    table = table_of().decided(rule_of())
    table = table.take((table.labels != "no_tumor") == tumors)
    table = replace(table, thresholds=np.full(table.n, threshold))
    found = shown(table)
    assert found[title] == value
    other = {"Tumor sensitivity", "Tumor specificity"} - {title}
    assert [found[name] for name in other] == [None]


def test_a_task_without_a_negative_class_has_no_tumor_figures():
    titles = shown(table_of(classes=("a", "b"), negative_class=None))
    assert not any(title.startswith("Tumor") for title in titles)
