"""Every metric beside scikit-learn, on random data with ties and missing classes."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference
from sklearn.calibration import calibration_curve

from slicewise.errors import EvaluationError
from slicewise.stats import metrics

SEEDS = range(8)


def random_answers(seed, n=200, classes=4, absent=None):
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, classes, n)
    if absent is not None:
        targets[targets == absent] = (absent + 1) % classes
    # Rounded logits give many equal probabilities.
    logits = np.round(rng.normal(size=(n, classes)) + 1.5 * np.eye(classes)[targets], 1)
    raised = np.exp(logits)
    return raised / raised.sum(axis=1, keepdims=True), targets


def random_binary(seed, n=150):
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < 0.4
    scores = np.round(np.clip(rng.normal(0.3 + 0.3 * truth, 0.2), 0, 1), 1)
    return scores, truth


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("absent", [None, 2])
def test_label_metrics_agree_with_sklearn(seed, absent):
    probabilities, targets = random_answers(seed, absent=absent)
    predicted = probabilities.argmax(axis=1)
    present = np.unique(targets)
    assert metrics.accuracy(predicted, targets) == pytest.approx(
        reference.accuracy_score(targets, predicted)
    )
    recalls = reference.recall_score(targets, predicted, labels=present, average="macro")
    assert metrics.balanced_accuracy(predicted, targets, present) == pytest.approx(recalls)
    f1 = reference.f1_score(targets, predicted, labels=present, average="macro")
    assert metrics.macro_f1(predicted, targets, present) == pytest.approx(f1)
    np.testing.assert_array_equal(
        metrics.confusion_matrix(predicted, targets, 4),
        reference.confusion_matrix(targets, predicted, labels=range(4)),
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_probability_metrics_agree_with_sklearn(seed):
    probabilities, targets = random_answers(seed)
    assert metrics.macro_auroc(probabilities, targets, range(4)) == pytest.approx(
        reference.roc_auc_score(targets, probabilities, multi_class="ovr")
    )
    assert metrics.brier(probabilities, targets) == pytest.approx(
        np.mean(np.sum((probabilities - np.eye(4)[targets]) ** 2, axis=1))
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_two_class_brier_is_twice_the_binary_one_of_sklearn(seed):
    scores, truth = random_binary(seed)
    both = np.stack([1 - scores, scores], axis=1)
    expected = 2 * reference.brier_score_loss(truth, scores)
    assert metrics.brier(both, truth.astype(int)) == pytest.approx(expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_ranking_metrics_agree_with_sklearn_with_ties(seed):
    scores, truth = random_binary(seed)
    assert np.unique(scores).size < 15
    assert metrics.auroc(scores, truth) == pytest.approx(reference.roc_auc_score(truth, scores))
    assert metrics.auprc(scores, truth) == pytest.approx(
        reference.average_precision_score(truth, scores)
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_flag_metrics_agree_with_sklearn(seed):
    scores, truth = random_binary(seed)
    flagged = scores >= 0.45
    assert metrics.sensitivity(flagged, truth) == pytest.approx(
        reference.recall_score(truth, flagged)
    )
    assert metrics.specificity(flagged, truth) == pytest.approx(
        reference.recall_score(truth, flagged, pos_label=False)
    )
    assert metrics.ppv(flagged, truth) == pytest.approx(reference.precision_score(truth, flagged))
    assert metrics.npv(flagged, truth) == pytest.approx(
        reference.precision_score(truth, flagged, pos_label=False)
    )
    assert metrics.f1(flagged, truth) == pytest.approx(reference.f1_score(truth, flagged))


@pytest.mark.parametrize("bins", [5, 10, 15])
def test_ece_agrees_with_quantile_bins_of_sklearn(bins):
    rng = np.random.default_rng(bins)
    confidence = rng.uniform(0.5, 1, 300)
    targets = (rng.random(300) > confidence**2).astype(int)
    share, mean = calibration_curve(targets == 0, confidence, n_bins=bins, strategy="quantile")
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    expected = np.mean(np.abs(share - mean))
    assert metrics.ece(probabilities, targets, bins) == pytest.approx(expected)


def test_ece_is_zero_where_confidence_equals_accuracy():
    probabilities = np.tile([0.75, 0.25], (8, 1))
    assert metrics.ece(probabilities, np.array([0, 0, 0, 1] * 2)) == pytest.approx(0)
    assert metrics.ece(probabilities, np.zeros(8, int)) == pytest.approx(0.25)


def test_known_answers():
    flagged = np.array([True, True, True, False, False])
    truth = np.array([True, True, False, True, False])
    assert metrics.sensitivity(flagged, truth) == pytest.approx(2 / 3)
    assert metrics.specificity(flagged, truth) == pytest.approx(1 / 2)
    assert metrics.auroc([0.9, 0.8, 0.1], np.array([True, True, False])) == 1
    assert metrics.auroc([0.5, 0.5, 0.5], np.array([True, True, False])) == 0.5
    assert metrics.f1(~truth, truth) == 0


@pytest.mark.parametrize(
    ("quantity", "flagged", "truth", "message"),
    [
        (metrics.sensitivity, [True, False], [False, False], "needs a positive; got 0 among 2"),
        (metrics.specificity, [True, False], [True, True], "needs a negative"),
        (metrics.ppv, [False, False], [True, False], "needs a flagged slice"),
        (metrics.npv, [True, True], [True, False], "not flagged"),
        (metrics.f1, [True, True], [False, False], "needs a positive"),
    ],
)
def test_undefined_quantities_are_refused(quantity, flagged, truth, message):
    with pytest.raises(EvaluationError, match=message):
        quantity(np.array(flagged), np.array(truth))


def test_a_missing_class_is_refused_where_it_is_to_be_averaged_over():
    probabilities, targets = random_answers(0, absent=2)
    predicted = probabilities.argmax(axis=1)
    for quantity in (metrics.balanced_accuracy, metrics.macro_f1):
        with pytest.raises(EvaluationError, match="needs a positive"):
            quantity(predicted, targets, range(4))
    with pytest.raises(EvaluationError, match="auroc needs a positive"):
        metrics.macro_auroc(probabilities, targets, range(4))
    with pytest.raises(EvaluationError, match="at least one class"):
        metrics.macro_f1(predicted, targets, [])


def test_wrong_shapes_and_values_are_refused_with_what_was_got():
    with pytest.raises(EvaluationError, match=r"expected shape \(2,\).*got \(3,\)"):
        metrics.accuracy([0, 1, 2], [0, 1])
    with pytest.raises(EvaluationError, match="integers; got float64"):
        metrics.accuracy([0, 1], [0.5, 1.5])
    with pytest.raises(EvaluationError, match=r"got \(0,\)"):
        metrics.accuracy([], np.zeros(0, int))
    with pytest.raises(EvaluationError, match=r"in \[0, 1\]; got 0 to 1.5"):
        metrics.brier([[1.5, 0.0]], [0])
    with pytest.raises(EvaluationError, match="one off by"):
        metrics.ece([[0.5, 0.3]], [0])
    with pytest.raises(EvaluationError, match=r"\[0, 2\); got 0 to 2"):
        metrics.brier([[0.5, 0.5], [0.5, 0.5]], [0, 2])
    with pytest.raises(EvaluationError, match="booleans; got int64"):
        metrics.auroc([0.1, 0.2], np.array([0, 1]))
    with pytest.raises(EvaluationError, match="finite"):
        metrics.auprc([0.1, np.nan], np.array([True, False]))
    with pytest.raises(EvaluationError, match=r"\(N, K\)"):
        metrics.brier([0.5, 0.5], [0, 1])
