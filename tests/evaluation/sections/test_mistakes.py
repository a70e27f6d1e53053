"""Mistakes in the order of their number, with what belongs to them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from builders_evaluation import FOUR, table_of
from slicewise.evaluation.sections.mistakes import confident_errors, confusions, error_analysis


def mistaken():
    """Eight right answers, then glioma for meningioma twice and pituitary for glioma once."""
    table = table_of(groups=12, per_group=1, skill=9)
    logits = 9 * np.eye(4, dtype=np.float32)[table.targets]
    logits[0] = [0, 5, 0, 0]
    logits[4] = [0, 2, 0, 0]
    logits[3] = [1, 0, 0, 0]
    return replace(table, logits=logits)


def test_pairs_are_counted_and_described():
    first, second = confusions(mistaken())
    assert (first.true, first.answered, first.n, first.groups) == ("glioma", "meningioma", 2, 2)
    assert first.share_of_true == 2 / 3
    assert first.sources == {"figshare": 2}
    likely = [np.exp(5) / (np.exp(5) + 3), np.exp(2) / (np.exp(2) + 3)]
    assert np.isclose(first.median_confidence, np.mean(likely))
    assert first.confident == 1
    assert (second.true, second.answered, second.n) == ("pituitary", "glioma", 1)


def test_errors_are_ranked_by_confidence():
    table = mistaken()
    assert confident_errors(table, 10).tolist() == [0, 4, 3]
    assert confident_errors(table, 1).tolist() == [0]


def test_confidence_of_right_and_wrong():
    spread = error_analysis(mistaken())["confidence"]
    assert (spread["right"]["n"], spread["wrong"]["n"]) == (9, 3)
    assert spread["wrong"]["p50"] < spread["right"]["p10"]
    assert (spread["right"]["confident"], spread["wrong"]["confident"]) == (9, 1)


def test_without_a_mistake_there_is_nothing_to_analyse():
    table = table_of(skill=99)
    found = error_analysis(table)
    assert found["mistakes"] == []
    assert found["confidence"]["wrong"] == {"n": 0, "p10": None, "p50": None, "p90": None,
                                            "confident": 0}  # fmt: skip
    assert set(FOUR) == set(table.classes)
