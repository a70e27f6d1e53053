"""Temperature and reliability on data whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.metrics import log_loss

from slicewise.errors import EvaluationError
from slicewise.fitting.calibration import RIDGE, class_balanced, fit_bias_corrected, fit_temperature
from slicewise.inference.decision import probabilities_of
from slicewise.stats.curves import reliability_bins


def calibrated_logits(n=4000, classes=4, seed=0):
    """Logits whose softmax is the distribution the targets are drawn from."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2, size=(n, classes)).astype(np.float32)
    cumulative = probabilities_of(logits, None).cumsum(axis=1)
    targets = (rng.random((n, 1)) > cumulative).sum(axis=1).clip(max=classes - 1)
    return logits, targets


def loss_of(logits, targets, temperature):
    """Mean negative log likelihood in nats, by scikit-learn."""
    return log_loss(targets, probabilities_of(logits, temperature), labels=range(4))


@pytest.mark.parametrize("sharpening", [0.25, 1.0, 3.0])
def test_a_known_temperature_is_found(sharpening):
    logits, targets = calibrated_logits()
    fitted = fit_temperature(logits * sharpening, targets)
    assert fitted == pytest.approx(sharpening, rel=0.06)


def test_the_fitted_temperature_is_a_minimum():
    logits, targets = calibrated_logits(n=300)
    best = fit_temperature(logits * 2, targets)
    around = [loss_of(logits * 2, targets, best * factor) for factor in (0.98, 1.0, 1.02)]
    assert around[1] == min(around)


def shifted_case(n=3000, seed=0):
    """Logits of which softmax(logits / 2 + bias) is the truth; the last class is rare."""
    bias = np.array([0.8, -0.3, 0.5, -1.0])
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=4, size=(n, 4)).astype(np.float32)
    cumulative = probabilities_of(logits, 2.0, bias).cumsum(axis=1)
    targets = (rng.random((n, 1)) > cumulative).sum(axis=1).clip(max=3)
    return logits, targets, bias


def test_known_biases_are_found():
    logits, targets, bias = shifted_case(n=20_000)
    temperature, biases = fit_bias_corrected(logits, targets)
    assert temperature == pytest.approx(2.0, rel=0.05)
    np.testing.assert_allclose(biases, bias, atol=0.1)


@pytest.mark.parametrize("seed", range(3))
def test_biases_agree_with_scipy(seed):
    logits, targets, _ = shifted_case(n=400, seed=seed)

    def loss(at):
        losses = -log_softmax(at[0] * logits.astype(float) + at[1:], axis=1)
        return losses[np.arange(400), targets].mean() + RIDGE / 2 * np.sum(at[1:] ** 2)

    found = minimize(loss, np.array([1.0, 0, 0, 0, 0]), method="BFGS", options={"gtol": 1e-8})
    temperature, biases = fit_bias_corrected(logits, targets)
    np.testing.assert_allclose(np.append(1 / temperature, biases), found.x, atol=1e-5)
    assert biases.sum() == pytest.approx(0, abs=1e-9)


def test_biases_never_fit_worse_than_the_temperature_alone():
    logits, targets, _ = shifted_case(n=200, seed=5)
    temperature, biases = fit_bias_corrected(logits, targets)
    alone = loss_of(logits, targets, fit_temperature(logits, targets))
    assert loss_of(logits / temperature + biases, targets, 1.0) < alone


def test_a_weight_of_three_counts_as_three_slices():
    logits, targets, _ = shifted_case(n=400)
    weights = np.where(targets == 3, 3, 1)
    repeated = np.repeat(np.arange(400), weights)
    tripled = (logits[repeated], targets[repeated])
    assert fit_temperature(logits, targets, weights) == pytest.approx(fit_temperature(*tripled))
    temperature, biases = fit_bias_corrected(logits, targets, weights)
    expected_temperature, expected_biases = fit_bias_corrected(*tripled)
    assert temperature == pytest.approx(expected_temperature)
    assert biases == pytest.approx(expected_biases, abs=1e-6)


@pytest.mark.parametrize(
    ("balance", "expected"), [(0.0, [1, 1, 1, 1, 1]), (1.0, [0.625] * 4 + [2.5])]
)
def test_balanced_classes_count_alike(balance, expected):
    weights = class_balanced([0, 0, 0, 0, 1], 2, balance)
    assert weights == pytest.approx(np.array(expected))


def test_half_balanced_classes_count_as_the_root_of_their_frequency():
    weights = class_balanced([0] * 9 + [1], 2, 0.5)
    assert weights[:9].sum() / weights[9] == pytest.approx(3)


def test_a_balance_beyond_even_classes_is_refused():
    for balance in (-0.1, 1.5, float("nan")):
        with pytest.raises(EvaluationError, match="class_balance: expected a number from 0 to 1"):
            class_balanced([0, 1], 2, balance)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ([1.0, -1.0, 1.0], "got -1 as the smallest"),
        ([0.0, 0.0, 0.0], "0 as the sum"),
        ([1.0, 1.0], r"weights: expected shape \(3,\)"),
        ([1.0, float("nan"), 1.0], "weights: expected finite"),
    ],
)
def test_weights_that_weigh_nothing_are_refused(weights, said):
    with pytest.raises(EvaluationError, match=said):
        fit_temperature([[2.0, 0.0], [0.0, 2.0], [1.0, 0.0]], [0, 1, 1], weights)


def test_biases_need_every_class_and_some_wrong_answers():
    with pytest.raises(EvaluationError, match="expected a slice of every class; got none of class"):
        fit_bias_corrected(np.eye(3)[[0, 1, 0]], [0, 1, 1])
    with pytest.raises(EvaluationError, match="got none of class 2"):
        fit_bias_corrected(np.eye(3)[[0, 1, 0, 2]], [0, 1, 1, 2], [1, 1, 1, 0])
    with pytest.raises(EvaluationError, match="expected some wrong answers"):
        fit_bias_corrected(5 * np.eye(3), [0, 1, 2])


def test_logits_without_a_best_temperature_are_refused():
    right = 5 * np.eye(3)
    with pytest.raises(EvaluationError, match="expected some wrong answers"):
        fit_temperature(right, [0, 1, 2])
    with pytest.raises(EvaluationError, match="better than chance"):
        fit_temperature(right, [1, 2, 0])


def test_bad_arguments_are_refused():
    with pytest.raises(EvaluationError, match=r"targets: expected shape \(2,\)"):
        fit_temperature(np.eye(2), [0])
    with pytest.raises(EvaluationError, match="at least 1; got 0"):
        reliability_bins([0.5], np.array([True]), 0)


def test_bins_hold_equally_many_in_rising_order():
    confidence = np.random.default_rng(0).permutation(np.linspace(0.3, 1, 60))
    bins = reliability_bins(confidence, confidence > 0.5, 6)
    np.testing.assert_array_equal(bins.count, [10] * 6)
    ranked = np.sort(confidence).reshape(6, 10)
    np.testing.assert_allclose(bins.confidence, ranked.mean(axis=1))
    np.testing.assert_allclose(bins.accuracy, (ranked > 0.5).mean(axis=1))


def test_equal_confidences_share_a_bin_whatever_their_order():
    confidence = np.array([0.9] * 7 + [0.4, 0.5, 0.6])
    correct = np.array([True, False] * 5)
    order = np.random.default_rng(0).permutation(10)
    one, other = (
        reliability_bins(confidence, correct, 5),
        reliability_bins(confidence[order], correct[order], 5),
    )
    np.testing.assert_array_equal(one.count, other.count)
    np.testing.assert_allclose(one.accuracy, other.accuracy)
    assert 7 in one.count
