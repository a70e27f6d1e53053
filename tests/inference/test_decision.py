from __future__ import annotations

import numpy as np
import pytest

from builders import decision_rule
from slicewise.errors import ConfigError
from slicewise.inference.decision import (
    REASON_TEXTS,
    DecisionRule,
    Reason,
    Verdict,
    decide,
    probabilities_of,
    threshold_of,
    tumor_probability_of,
)


def test_softmax_of_known_logits() -> None:
    found = probabilities_of(np.log(np.array([[1, 2, 5]], np.float32)), None)
    np.testing.assert_allclose(found, [[0.125, 0.25, 0.625]], rtol=1e-6)


def test_temperature_divides_logits_and_keeps_order() -> None:
    logits = np.log(np.array([1, 4], np.float32))
    np.testing.assert_allclose(probabilities_of(logits, 2.0), [1 / 3, 2 / 3], rtol=1e-6)


def test_large_logits_stay_finite() -> None:
    assert np.isfinite(probabilities_of(np.array([1e4, -1e4], np.float32), 0.5)).all()


def test_tumor_probability_is_looked_up_by_name() -> None:
    p = np.array([0.2, 0.7, 0.1])
    assert tumor_probability_of(p, ("a", "no_tumor", "b"), "no_tumor") == pytest.approx(0.3)
    assert tumor_probability_of(p, ("a", "b", "c"), None) is None


class TestThreshold:
    def test_fitted(self) -> None:
        found = threshold_of(decision_rule(0.31), "no_tumor", None)
        assert (found.value, found.reasons) == (0.31, ())

    def test_override_is_said(self) -> None:
        found = threshold_of(decision_rule(0.31), "no_tumor", 0.9)
        assert (found.value, found.reasons) == (0.9, (Reason.THRESHOLD_OVERRIDDEN,))

    def test_unfitted_is_said(self) -> None:
        found = threshold_of(DecisionRule(), "no_tumor", None)
        assert (found.value, found.reasons) == (0.5, (Reason.THRESHOLD_NOT_FITTED,))

    def test_none_without_negative_class(self) -> None:
        assert threshold_of(decision_rule(), None, None).value is None
        with pytest.raises(ConfigError, match="no class without a tumor"):
            threshold_of(decision_rule(), None, 0.3)


class TestDecide:
    def test_unfitted_limits_ask_for_review(self) -> None:
        found = decide("glioma", "no_tumor", True, decision_rule(), blank=False)
        assert found == (Verdict.REVIEW, [Reason.NOT_CALIBRATED])

    def test_blank_is_rejected(self) -> None:
        found = decide("glioma", "no_tumor", True, decision_rule(), blank=True)
        assert found == (Verdict.REJECT, [Reason.BLANK_IMAGE])

    @pytest.mark.parametrize(("label", "flag"), [("no_tumor", True), ("glioma", False)])
    def test_label_against_flag(self, label: str, flag: bool) -> None:
        _, reasons = decide(label, "no_tumor", flag, decision_rule(), blank=False)
        assert Reason.LABEL_AND_FLAG_DISAGREE in reasons


def test_every_reason_has_words() -> None:
    assert set(REASON_TEXTS) == set(Reason)
