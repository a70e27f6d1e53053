from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from pydantic import ValidationError

from builders import decision_rule, fitted_rule
from slicewise.errors import ConfigError
from slicewise.inference.decision import (
    REASON_TEXTS,
    Reason,
    Threshold,
    Verdict,
    conclude,
    decide,
    prediction_set_of,
    probabilities_of,
    threshold_of,
)
from slicewise.inference.rule import Acceptance, DecisionRule


def test_softmax_of_known_logits() -> None:
    found = probabilities_of(np.log(np.array([[1, 2, 5]], np.float32)), None)
    np.testing.assert_allclose(found, [[0.125, 0.25, 0.625]], rtol=1e-6)


def test_temperature_divides_logits_and_keeps_order() -> None:
    logits = np.log(np.array([1, 4], np.float32))
    np.testing.assert_allclose(probabilities_of(logits, 2.0), [1 / 3, 2 / 3], rtol=1e-6)


def test_large_logits_stay_finite() -> None:
    assert np.isfinite(probabilities_of(np.array([1e4, -1e4], np.float32), 0.5)).all()


def test_tumor_probability_is_looked_up_by_name() -> None:
    p, rule = np.array([0.2, 0.7, 0.1]), decision_rule()
    found = conclude(p, ("a", "no_tumor", "b"), "no_tumor", rule, Threshold(0.3))
    assert (found.tumor_probability, found.tumor_flag) == (pytest.approx(0.3), True)
    found = conclude(p, ("a", "b", "c"), None, rule, Threshold(None))
    assert (found.tumor_probability, found.tumor_flag) == (None, None)


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


def verdict(
    label: str,
    *,
    flag: bool,
    rule: DecisionRule | None = None,
    confidence: float = 0.9,
    possible: list[str] | None = None,
    concerns: Sequence[Reason] = (),
    trust: float | None = None,
) -> tuple[Verdict, list[Reason]]:
    agrees = flag is None or flag == (label != "no_tumor")
    rule = rule or decision_rule()
    return decide(rule, confidence, possible, concerns, agrees=agrees, trust=trust)


class TestPredictionSet:
    def test_keeps_classes_at_their_own_limit(self) -> None:
        rule = fitted_rule(smallest={"glioma": 0.3, "meningioma": 0.3, "no_tumor": 0.05})
        shares = np.array([0.29, 0.61, 0.1])
        found = prediction_set_of(shares, ("glioma", "meningioma", "no_tumor"), rule)
        assert found == ["meningioma", "no_tumor"]

    def test_never_empty(self) -> None:
        rule = fitted_rule(smallest={"glioma": 0.9, "no_tumor": 0.9})
        found = prediction_set_of(np.array([0.6, 0.4]), ("glioma", "no_tumor"), rule)
        assert found == ["glioma"]

    def test_none_where_not_fitted(self) -> None:
        assert prediction_set_of(np.array([0.6, 0.4]), ("a", "b"), decision_rule()) is None


def test_bias_is_added_after_the_temperature() -> None:
    found = probabilities_of(np.array([2.0, 0.0], np.float32), 2.0, np.array([0.0, 1.0]))
    assert found == pytest.approx([0.5, 0.5])


class TestDecide:
    def test_unfitted_limits_ask_for_review(self) -> None:
        found = verdict("glioma", flag=True)
        assert found == (Verdict.REVIEW, [Reason.NOT_CALIBRATED])

    @pytest.mark.parametrize(
        "missing", ["temperature", "conformal", "acceptance", "out_of_distribution"]
    )
    def test_each_limit_that_is_missing_asks_for_review(self, missing: str) -> None:
        rule = fitted_rule().model_copy(update={missing: None})
        found = verdict("glioma", flag=True, rule=rule, possible=["glioma"])
        assert found == (Verdict.REVIEW, [Reason.NOT_CALIBRATED])

    def test_blank_is_rejected(self) -> None:
        found = verdict("glioma", flag=True, concerns=[Reason.BLANK_IMAGE])
        assert found == (Verdict.REJECT, [Reason.BLANK_IMAGE])

    def test_all_limits_met_is_accepted(self) -> None:
        found = verdict("glioma", flag=True, rule=fitted_rule(), possible=["glioma"])
        assert found == (Verdict.ACCEPT, [])

    def test_several_classes_and_low_confidence_ask_for_review(self) -> None:
        both = ["glioma", "no_tumor"]
        found = verdict("glioma", flag=True, rule=fitted_rule(), confidence=0.79, possible=both)
        expected = [Reason.SEVERAL_CLASSES_POSSIBLE, Reason.LOW_CONFIDENCE]
        assert found == (Verdict.REVIEW, expected)

    @pytest.mark.parametrize(("trust", "reasons"), [(1.29, [Reason.LOW_TRUST]), (1.3, [])])
    def test_a_limit_of_trust_stands_in_place_of_confidence(
        self, trust: float, reasons: list[Reason]
    ) -> None:
        limit = Acceptance(trust=1.3, target=0.99, accuracy=0.99, coverage=0.7, n=40, groups=20)
        rule = fitted_rule().model_copy(update={"acceptance": limit})
        found = verdict(
            "glioma", flag=True, rule=rule, confidence=0.1, possible=["glioma"], trust=trust
        )
        assert found == (Verdict.REVIEW if reasons else Verdict.ACCEPT, reasons)

    @pytest.mark.parametrize("limits", [{}, {"trust": 1.3, "confidence": 0.9}])
    def test_acceptance_goes_by_one_score(self, limits: dict[str, float]) -> None:
        with pytest.raises(ValidationError, match="either a least confidence or a least trust"):
            Acceptance(target=0.99, accuracy=0.99, coverage=0.7, n=40, groups=20, **limits)

    def test_possible_is_reviewed_and_certain_is_rejected(self) -> None:
        for reason, expected in (
            (Reason.POSSIBLY_OUT_OF_DISTRIBUTION, Verdict.REVIEW),
            (Reason.OUT_OF_DISTRIBUTION, Verdict.REJECT),
            (Reason.COLOUR_PICTURE, Verdict.REJECT),
            (Reason.NOT_MR, Verdict.REJECT),
        ):
            found = verdict("glioma", flag=True, rule=fitted_rule(), concerns=[reason])
            assert found == (expected, [reason])

    @pytest.mark.parametrize(("label", "flag"), [("no_tumor", True), ("glioma", False)])
    def test_label_against_flag(self, label: str, flag: bool) -> None:
        _, reasons = verdict(label, flag=flag)
        assert Reason.LABEL_AND_FLAG_DISAGREE in reasons


def test_every_reason_has_words() -> None:
    assert set(REASON_TEXTS) == set(Reason)


def test_reasons_written_by_older_versions_are_still_understood() -> None:
    assert Reason("unlike_training") is Reason.POSSIBLY_OUT_OF_DISTRIBUTION
    assert Reason("far_from_known") is Reason.OUT_OF_DISTRIBUTION
    with pytest.raises(ValueError, match="far_from_here"):
        Reason("far_from_here")
