"""Tables refuse what does not fit, and answer as the classifier does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from builders_evaluation import FOUR, decided_table, rule_of, table_of, with_distances
from slicewise.errors import EvaluationError
from slicewise.inference.decision import probabilities_of
from slicewise.predictions.table import pooled


def test_probabilities_are_those_of_the_classifier():
    table = table_of().decided(rule_of(temperature=2.0))
    np.testing.assert_array_equal(table.probabilities(), probabilities_of(table.logits, 2.0))
    unfitted = table_of().decided(rule_of(temperature=None))
    np.testing.assert_array_equal(unfitted.probabilities(), probabilities_of(table.logits, None))


def test_tumor_flags_follow_the_threshold():
    table = table_of().decided(rule_of(threshold=0.7))
    expected = 1 - table.probabilities()[:, FOUR.index("no_tumor")]
    np.testing.assert_allclose(table.tumor_probability(), expected)
    np.testing.assert_array_equal(table.tumor_flag(), expected >= 0.7)
    np.testing.assert_array_equal(table.is_tumor(), table.labels != "no_tumor")


def test_an_unfitted_threshold_is_the_one_the_classifier_uses():
    assert set(table_of().decided(rule_of(threshold=None)).thresholds) == {0.5}


def test_a_task_without_negative_class_has_no_tumor_score():
    table = table_of(classes=("a", "b"), negative_class=None).decided(rule_of())
    assert table.thresholds is None
    with pytest.raises(EvaluationError, match="needs a negative class"):
        table.tumor_probability()


def test_flags_need_a_threshold():
    with pytest.raises(EvaluationError, match="need a threshold"):
        table_of().tumor_flag()


def test_rows_are_taken_together():
    table = table_of().decided(rule_of())
    chosen = table.take(table.targets == 1)
    assert chosen.n == 50
    assert set(chosen.labels) == {"meningioma"}
    assert set(chosen.temperatures) == {1.3}


def test_pooling_keeps_each_models_own_values():
    first = table_of(seed=1).decided(rule_of(2.0, 0.3))
    second = table_of(seed=2).decided(rule_of(0.5, 0.6))
    third = table_of(seed=3).decided(rule_of(None, 0.6))
    together = pooled([first, second, third])
    assert together.n == 600
    assert together.n_groups == 40
    separate = [table.tumor_flag() for table in (first, second, third)]
    np.testing.assert_array_equal(together.tumor_flag(), np.concatenate(separate))
    np.testing.assert_array_equal(together.probabilities()[400:], third.probabilities())
    assert pooled([table_of(), table_of()]).temperatures is None


def test_a_rule_takes_what_followed_of_the_former_one_away():
    again = decided_table().decided(rule_of(threshold=0.7))
    assert again.verdicts is again.reasons is again.sets is None
    assert set(again.thresholds) == {0.7}


def test_an_answer_that_is_not_the_most_probable_class_is_kept():
    table = table_of(groups=4, per_group=2, classes=("no_tumor", "tumor"))
    likely = table.predicted
    joined = replace(table, answered=1 - likely)
    np.testing.assert_array_equal(joined.predicted, 1 - likely)
    np.testing.assert_allclose(joined.confidence, 1 - table.confidence)
    np.testing.assert_allclose(table.confidence, table.probabilities().max(axis=1))
    np.testing.assert_array_equal(joined.take(np.array([3, 0])).answered, (1 - likely)[[3, 0]])
    together = pooled([joined, table])
    np.testing.assert_array_equal(together.predicted, np.concatenate([1 - likely, likely]))
    assert pooled([table, table]).answered is None
    with pytest.raises(EvaluationError, match="joined classes"):
        joined.decided(rule_of())


def test_unlike_tables_are_not_pooled():
    with pytest.raises(EvaluationError, match="expected the task"):
        pooled([table_of(), table_of(classes=("a", "b"), negative_class=None)])
    with pytest.raises(EvaluationError, match="all of 2 tables or none; got 1"):
        pooled([table_of(), table_of().decided(rule_of())])
    with pytest.raises(EvaluationError, match="at least one"):
        pooled([])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": ("a", "b")}, "expected 4 different names"),
        ({"classes": ("a", "b", "c", "c")}, "expected 4 different names"),
        ({"negative_class": "healthy"}, "negative_class: expected one of"),
        ({"targets": np.full(200, 4)}, "class indices in"),
        ({"targets": np.zeros(3, int)}, r"expected shape \(200,\)"),
        ({"groups": np.array(["a"])}, "groups: expected shape"),
        ({"temperatures": np.zeros(200)}, "positive"),
        ({"answered": np.full(200, 4)}, r"answered: expected class indices in \[0, 4\)"),
        ({"answered": np.zeros(3, int)}, "answered: expected shape"),
        ({"logits": np.full((200, 4), np.nan, np.float32)}, "finite"),
    ],
)
def test_columns_that_do_not_fit_are_refused(change, message):
    with pytest.raises(EvaluationError, match=message):
        replace(table_of(), **change)


def test_distances_are_pooled_where_every_table_has_them():
    first, second = with_distances(table_of(groups=4), 1), with_distances(table_of(groups=8), 2)
    joined = pooled([first, second])
    np.testing.assert_array_equal(
        joined.class_distances, np.vstack([first.class_distances, second.class_distances])
    )
    np.testing.assert_array_equal(joined.take(np.arange(20, 60)).trust, second.trust)
    with pytest.raises(
        EvaluationError, match="class_distances: expected all of 2 tables or none; got 1"
    ):
        pooled([first, table_of(groups=8)])


def test_sureness_is_trust_and_else_confidence():
    table = table_of(groups=4)
    np.testing.assert_array_equal(table.sureness, table.confidence)
    known = with_distances(table)
    np.testing.assert_array_equal(known.sureness, known.trust)
    with pytest.raises(EvaluationError, match="class_distances: expected numbers of 0 or more"):
        replace(known, class_distances=known.class_distances - 9)
