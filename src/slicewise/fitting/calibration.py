"""Making probabilities mean what they say: temperature, class biases, and a look at the result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq, minimize
from scipy.special import log_softmax, softmax

from slicewise.arrays import Floats, Ints
from slicewise.errors import EvaluationError
from slicewise.stats.checks import require_matrix, require_scores, require_targets

TEMPERATURE_RANGE = (0.01, 100.0)
"""Temperatures outside say that there is nothing to calibrate, not how."""
RIDGE = 1e-4
"""On the squared biases, beside a mean loss in nats: keeps them finite, moves them little."""


def class_balanced(targets: ArrayLike, classes: int, balance: float) -> Floats:
    """(N,) weights of slices, mean 1: a class counts as its frequency to the power 1 - balance.

    `targets` are (N,) class indices, the balance is from 0 to 1; else an `EvaluationError`.
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

    The loss is convex in the inverse temperature, so its slope has one root.

    Args:
        logits: (N, K) finite numbers, of slices the model was not trained on.
        targets: (N,) class indices.
        weights: (N,) of the slices, none negative, of which only the ratios count, such as those of
            `class_balanced`; None where all count alike.

    Raises:
        EvaluationError: If a shape or value is off, or no temperature in `TEMPERATURE_RANGE` is
            best: every answer is right (any sharpening helps) or they are no better than chance.
    """
    matrix = require_matrix("logits", logits)
    truth = require_targets(targets, *matrix.shape)
    share = _shares(weights, truth.size)
    coolest, hottest = TEMPERATURE_RANGE

    def slope(log_inverse: float) -> float:
        """Of the loss: mean expected logit minus mean true logit."""
        scaled = softmax(matrix * np.exp(log_inverse), axis=1)
        expected = np.sum(scaled * matrix, axis=1)
        return float(share @ (expected - matrix[np.arange(truth.size), truth]))

    low, high = -np.log(hottest), -np.log(coolest)
    if slope(low) >= 0:
        raise EvaluationError(
            f"temperature: expected logits better than chance; got {truth.size} slices whose loss "
            f"falls up to temperature {hottest:g}"
        )
    if slope(high) <= 0:
        raise EvaluationError(
            f"temperature: expected some wrong answers to learn from; got {truth.size} slices "
            f"whose loss falls down to temperature {coolest:g}"
        )
    return float(np.exp(-brentq(slope, low, high, xtol=1e-12)))


def fit_bias_corrected(
    logits: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None
) -> tuple[float, Floats]:
    """Temperature and (K,) biases that sum to zero, with the smallest negative log likelihood.

    Bias-corrected temperature scaling (Alexandari et al., ICML 2020): softmax of logits /
    temperature + bias. The loss is convex; a `RIDGE` on the biases makes them sum to zero.

    Args:
        logits: As for `fit_temperature`, like `targets` and `weights`; every class has a slice that
            counts.

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
    problem = _BiasCorrected(centred, truth, share)
    found = minimize(
        problem.loss, start, method="trust-exact", jac=problem.slope, hess=problem.curvature,
        options={"gtol": 1e-9},
    )  # fmt: skip
    if not found.success and np.linalg.norm(found.jac) > 1e-6:
        raise EvaluationError(
            f"class biases: expected a minimum of the loss of {truth.size} slices; got none"
        )
    fitted = np.asarray(found.x)
    coolest, hottest = TEMPERATURE_RANGE
    if not 1 / hottest < fitted[0] < 1 / coolest:
        raise EvaluationError(
            f"temperature: expected one from {coolest:g} to {hottest:g} beside class biases; "
            f"got an inverse of {fitted[0]:g} for {truth.size} slices"
        )
    return float(1 / fitted[0]), fitted[1:]


@dataclass(frozen=True, slots=True, eq=False)
class _BiasCorrected:
    """Mean loss, slope and curvature in (1 + K,) inverse temperature and biases."""

    logits: Floats
    targets: Ints
    shares: Floats

    def loss(self, at: Floats) -> float:
        """Mean negative log likelihood with the ridge."""
        losses = -log_softmax(at[0] * self.logits + at[1:], axis=1)
        rows = np.arange(self.targets.size)
        own = self.shares @ losses[rows, self.targets]
        return float(own + RIDGE / 2 * np.sum(at[1:] ** 2))

    def slope(self, at: Floats) -> Floats:
        """(1 + K,) gradient."""
        residual = np.asarray(softmax(at[0] * self.logits + at[1:], axis=1))
        residual[np.arange(self.targets.size), self.targets] -= 1
        residual *= self.shares[:, None]
        biases = residual.sum(axis=0) + RIDGE * at[1:]
        return np.append(np.sum(residual * self.logits), biases)

    def curvature(self, at: Floats) -> Floats:
        """(1 + K, 1 + K) Hessian."""
        p, k = np.asarray(softmax(at[0] * self.logits + at[1:], axis=1)), self.logits.shape[1]
        weighted = self.shares[:, None] * p
        centred = self.logits - np.sum(p * self.logits, axis=1, keepdims=True)
        hessian = np.empty((k + 1, k + 1))
        hessian[0, 0] = np.sum(weighted * centred**2)
        hessian[0, 1:] = hessian[1:, 0] = np.sum(weighted * centred, axis=0)
        hessian[1:, 1:] = np.diag(weighted.sum(axis=0)) - p.T @ weighted + RIDGE * np.eye(k)
        return hessian


def _shares(weights: ArrayLike | None, count: int) -> Floats:
    if weights is None:
        return np.full(count, 1 / count)
    given = require_scores(weights, count, "weights")
    if (given < 0).any() or given.sum() == 0:
        raise EvaluationError(
            f"weights: expected none below 0 and a sum above it; got {given.min():g} as the "
            f"smallest, {given.sum():g} as the sum"
        )
    return np.asarray(given / given.sum())
