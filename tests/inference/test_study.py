from __future__ import annotations

import pytest

from builders import decision_rule
from slicewise.inference.decision import (
    BundleReference,
    DecisionRule,
    Prediction,
    Reason,
    StudyPrediction,
    Threshold,
    Verdict,
)
from slicewise.inference.study import study_prediction


def prediction(tumor: float, name: str, decision: Verdict = Verdict.REVIEW) -> Prediction:
    return Prediction(
        source=name,
        label="glioma" if tumor > 0.5 else "no_tumor",
        probabilities={"glioma": tumor, "no_tumor": 1 - tumor},
        confidence=max(tumor, 1 - tumor),
        tumor_probability=tumor,
        tumor_flag=tumor >= 0.5,
        threshold=0.5,
        prediction_set=None,
        decision=decision,
        reasons=[],
        bundle=BundleReference("m", "1.0.0", "0" * 64),
        timing_ms=1.0,
    )


def study(*tumors: float, rule: DecisionRule | None = None) -> StudyPrediction:
    answers = [prediction(t, str(i)) for i, t in enumerate(tumors)]
    return study_prediction("s", None, answers, "no_tumor", rule or decision_rule(), Threshold(0.5))


def test_neighbours_are_averaged() -> None:
    assert study(0, 0.9, 0.9, 0.6, 0).study.tumor_probability == pytest.approx(0.8)


def test_one_false_alarm_is_not_a_tumor() -> None:
    answer = study(0.0, 0.0, 1.0, 0.0, 0.0).study
    assert answer.label == "no_tumor"
    assert answer.slices_flagged == 1


def test_three_in_a_row_are() -> None:
    answer = study(0.0, 0.9, 0.9, 0.9, 0.0).study
    assert answer.label == "glioma"
    assert answer.key_slices == ["1", "2", "3"]


def test_short_series_use_what_there_is() -> None:
    assert study(0.9).study.tumor_probability == pytest.approx(0.9)


def test_rejected_slices_do_not_speak() -> None:
    answers = [prediction(0.1, "a"), prediction(1.0, "b", Verdict.REJECT)]
    found = study_prediction("s", None, answers, "no_tumor", decision_rule(), Threshold(0.5))
    assert found.study.tumor_probability == pytest.approx(0.1)
    assert found.study.slices_total == 2


def test_all_rejected_is_rejected() -> None:
    answers = [prediction(0.1, "a", Verdict.REJECT)]
    found = study_prediction("s", None, answers, "no_tumor", decision_rule(), Threshold(0.5))
    assert found.decision is Verdict.REJECT
    assert found.reasons == [Reason.BLANK_IMAGE]
