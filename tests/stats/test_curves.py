"""ROC and PR points beside scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from slicewise.errors import EvaluationError
from slicewise.stats.curves import pr_points, roc_points, threshold_counts


def scores_and_truth():
    rng = np.random.default_rng(3)
    truth = rng.random(120) < 0.5
    return np.round(rng.random(120) + 0.2 * truth, 1), truth


def test_counts_of_a_small_case():
    counts = threshold_counts([0.9, 0.5, 0.5, 0.1], np.array([True, True, False, False]))
    np.testing.assert_array_equal(counts.thresholds, [0.9, 0.5, 0.1])
    np.testing.assert_array_equal(counts.true_positives, [1, 2, 2])
    np.testing.assert_array_equal(counts.false_positives, [0, 1, 2])
    assert (counts.positives, counts.negatives) == (2, 2)


def test_roc_points_agree_with_sklearn():
    scores, truth = scores_and_truth()
    false_alarms, found = roc_points(threshold_counts(scores, truth))
    expected = reference.roc_curve(truth, scores, drop_intermediate=False)
    np.testing.assert_allclose(false_alarms, expected[0])
    np.testing.assert_allclose(found, expected[1])


def test_pr_points_agree_with_sklearn():
    scores, truth = scores_and_truth()
    recall, precision = pr_points(threshold_counts(scores, truth))
    expected = reference.precision_recall_curve(truth, scores)
    np.testing.assert_allclose(recall, expected[1][:-1][::-1])
    np.testing.assert_allclose(precision, expected[0][:-1][::-1])


def test_one_sided_data_has_no_curve():
    counts = threshold_counts([0.1, 0.2], np.array([True, True]))
    with pytest.raises(EvaluationError, match="auroc needs a negative; got 0 among 2"):
        roc_points(counts)
    with pytest.raises(EvaluationError, match="auprc needs a positive"):
        pr_points(threshold_counts([0.1, 0.2], np.array([False, False])))
