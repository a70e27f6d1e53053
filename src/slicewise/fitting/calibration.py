"""Making probabilities mean what they say: temperature, class biases, and a look at the result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from slicewise.arrays import Floats, Ints
from slicewise.errors import EvaluationError
from slicewise.stats.checks import require_matrix, require_scores, require_targets

TEMPERATURE_RANGE = (0.01, 100.0)
"""Temperatures outside say that there is nothing to calibrate, not how."""

BISECTIONS = 60

RIDGE = 1e-4
"""On the squared biases, beside a mean loss in nats: keeps them finite, moves them little."""

NEWTON_STEPS = 100


def class_balanced(targets: ArrayLike, classes: int, balance: float) -> Floats:
    """(N,) weights of slices, mean 1: a class counts as its frequency to the power 1 - balance.

    Args:
        targets: (N,) class indices.
        classes: K.
        balance: 0 leaves every slice its weight, 1 gives every class the same.

    Raises:
        EvaluationError: If a target is no class, or the balance is not from 0 to 1.
    """
    if not 0 <= balance <= 1:
        raise EvaluationError(f"class_balance: expected a number from 0 to 1; got {balance:g}")
    truth = require_targets(targets, np.size(targets), classes)
    counts = np.bincount(truth, minlength=classes).astype(np.float64)
    weights = counts[truth] ** -balance
    return np.asarray(weights / weights.mean())


def fit_temperature(
    logits: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None
) -> float:
    """The temperature with the smallest negative log likelihood (Guo et al. 2017).

    The loss is convex in the inverse temperature, so its slope has one root, found by bisection.

    Args:
        logits: (N, K) finite numbers, of slices the model was not trained on.
        targets: (N,) class indices.
        weights: (N,) of the slices, none negative, of which only the ratios count, such as those of
            `class_balanced`; None where all count alike.

    Returns:
        The temperature, a positive number.

    Raises:
        EvaluationError: If a shape or value is off, or no temperature in `TEMPERATURE_RANGE` is
            best: every answer is right (any sharpening helps) or they are no better than chance.
    """
    matrix = require_matrix("logits", logits)
    truth = require_targets(targets, *matrix.shape)
    share = _shares(weights, truth.size)
    coolest, hottest = TEMPERATURE_RANGE
    low, high = float(np.log(1 / hottest)), float(np.log(1 / coolest))
    if _slope(matrix, truth, share, np.exp(low)) >= 0:
        raise EvaluationError(
            f"temperature: expected logits better than chance; got {truth.size} slices whose loss "
            f"falls up to temperature {hottest:g}"
        )
    if _slope(matrix, truth, share, np.exp(high)) <= 0:
        raise EvaluationError(
            f"temperature: expected some wrong answers to learn from; got {truth.size} slices "
            f"whose loss falls down to temperature {coolest:g}"
        )
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        rising = _slope(matrix, truth, share, np.exp(middle)) > 0
        low, high = (low, middle) if rising else (middle, high)
    return float(np.exp(-(low + high) / 2))


def fit_bias_corrected(
    logits: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None
) -> tuple[float, Floats]:
    """Temperature and one bias a class with the smallest negative log likelihood.

    Bias-corrected temperature scaling (Alexandari et al., ICML 2020): softmax of logits /
    temperature + bias. The loss is convex in the inverse temperature and the biases; damped
    Newton steps find its minimum, with `RIDGE` on the biases, which makes them sum to zero.

    Args:
        logits: (N, K) finite numbers, of slices the model was not trained on.
        targets: (N,) class indices; every class has a slice that counts.
        weights: (N,) of the slices, none negative, of which only the ratios count, such as those of
            `class_balanced`; None where all count alike.

    Returns:
        The temperature, and (K,) biases that sum to zero.

    Raises:
        EvaluationError: If a shape or value is off, a class has no slice, or no temperature is
            best, as for `fit_temperature`.
    """
    matrix = require_matrix("logits", logits)
    truth = require_targets(targets, *matrix.shape)
    share = _shares(weights, truth.size)
    missing = np.setdiff1d(np.arange(matrix.shape[1]), truth[share > 0])
    if missing.size:
        raise EvaluationError(
            f"class biases: expected a slice of every class; got none of class {missing[0]}"
        )
    centred = matrix - matrix.mean(axis=1, keepdims=True)
    start = np.append(1 / fit_temperature(matrix, truth, weights), np.zeros(matrix.shape[1]))
    fitted = _newton(_BiasCorrected(centred, truth, share), start)
    coolest, hottest = TEMPERATURE_RANGE
    if not 1 / hottest < fitted[0] < 1 / coolest:
        raise EvaluationError(
            f"temperature: expected one from {coolest:g} to {hottest:g} beside class biases; "
            f"got an inverse of {fitted[0]:g} for {truth.size} slices"
        )
    return float(1 / fitted[0]), fitted[1:]


@dataclass(frozen=True, slots=True, eq=False)
class _BiasCorrected:
    """Mean loss, slope and curvature in (1 + K,) inverse temperature and biases.

    Args:
        logits: (N, K).
        targets: (N,) class indices.
        shares: (N,) of the slices in the loss, of sum 1.
    """

    logits: Floats
    targets: Ints
    shares: Floats

    def loss(self, at: Floats) -> float:
        """Mean negative log likelihood with the ridge."""
        losses = -_log_softmax(at[0] * self.logits + at[1:])
        rows = np.arange(self.targets.size)
        own = self.shares @ losses[rows, self.targets]
        return float(own + RIDGE / 2 * np.sum(at[1:] ** 2))

    def slope_and_curvature(self, at: Floats) -> tuple[Floats, Floats]:
        """(1 + K,) gradient and (1 + K, 1 + K) Hessian of the loss."""
        n, k = self.logits.shape
        p = np.exp(_log_softmax(at[0] * self.logits + at[1:]))
        residual = p.copy()
        residual[np.arange(n), self.targets] -= 1
        residual *= self.shares[:, None]
        expected = np.sum(p * self.logits, axis=1, keepdims=True)
        slope = np.append(np.sum(residual * self.logits), residual.sum(axis=0))
        weighted = self.shares[:, None] * p
        centred = self.logits - expected
        curvature = np.empty((k + 1, k + 1))
        curvature[0, 0] = np.sum(weighted * centred**2)
        curvature[0, 1:] = curvature[1:, 0] = np.sum(weighted * centred, axis=0)
        curvature[1:, 1:] = np.diag(weighted.sum(axis=0)) - p.T @ weighted + RIDGE * np.eye(k)
        slope[1:] += RIDGE * at[1:]
        return slope, curvature


def _newton(problem: _BiasCorrected, start: Floats) -> Floats:
    """The minimum of a convex function, by Newton steps that are halved until they go down."""
    at, value = start, problem.loss(start)
    for _ in range(NEWTON_STEPS):
        slope, curvature = problem.slope_and_curvature(at)
        step = np.linalg.solve(curvature, -slope)
        gain = -float(slope @ step)
        if gain < 1e-14:
            return at
        share = 1.0
        while problem.loss(at + share * step) > value - 1e-4 * share * gain and share > 1e-10:
            share /= 2
        at = at + share * step
        value = problem.loss(at)
    raise EvaluationError(
        f"class biases: expected a minimum within {NEWTON_STEPS} steps; got none for "
        f"{problem.targets.size} slices"
    )


def _shares(weights: ArrayLike | None, count: int) -> Floats:
    """(N,) of sum 1."""
    if weights is None:
        return np.full(count, 1 / count)
    given = require_scores(weights, count, "weights")
    if (given < 0).any() or given.sum() == 0:
        raise EvaluationError(
            f"weights: expected none below 0 and a sum above it; got {given.min():g} as the "
            f"smallest, {given.sum():g} as the sum"
        )
    return np.asarray(given / given.sum())


def _slope(logits: Floats, targets: Ints, shares: Floats, inverse_temperature: float) -> float:
    """Slope of the loss in the inverse temperature: mean expected logit minus mean true logit."""
    probabilities = np.exp(_log_softmax(logits * inverse_temperature))
    expected = np.sum(probabilities * logits, axis=1)
    return float(shares @ (expected - logits[np.arange(targets.size), targets]))


def _log_softmax(logits: Floats) -> Floats:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))
