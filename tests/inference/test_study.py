"""Slices of a series to one answer: which slices count, what follows, and when it stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from builders import bundle_info, decision_rule
from slicewise.imaging.slice import Series
from slicewise.inference.bundle import BundleInfo, TaskInfo
from slicewise.inference.decision import (
    BundleReference,
    Prediction,
    Reason,
    StudyPrediction,
    Threshold,
    Verdict,
)
from slicewise.inference.rule import (
    STUDY_RULES,
    Acceptance,
    Conformal,
    DecisionRule,
    OutOfDistribution,
)
from slicewise.inference.study import study_prediction, with_ends_marked

CLASSES = ("glioma", "no_tumor", "pituitary")


def answered(
    glioma: float,
    pituitary: float = 0.0,
    decision: Verdict = Verdict.ACCEPT,
    reasons: Sequence[Reason] = (),
    possible: Sequence[str] | None = None,
) -> Prediction:
    shares = dict(zip(CLASSES, (glioma, 1 - glioma - pituitary, pituitary), strict=True))
    label = max(shares, key=lambda name: shares[name])
    return Prediction(
        source="",
        label=label,
        probabilities=shares,
        confidence=max(shares.values()),
        tumor_probability=glioma + pituitary,
        tumor_flag=glioma + pituitary >= 0.5,
        threshold=0.5,
        prediction_set=list(possible) if possible else [label],
        decision=decision,
        reasons=list(reasons),
        bundle=BundleReference("m", "1.0.0", "0" * 64),
        timing_ms=1.0,
    )


def full_rule() -> DecisionRule:
    """A rule under which answers can be accepted."""
    shares = dict.fromkeys(CLASSES, 0.1)
    return decision_rule().model_copy(
        update={
            "conformal": Conformal(coverage=0.9, smallest=shares, n=9, groups=9),
            "acceptance": Acceptance(
                confidence=0.6, target=0.9, accuracy=0.9, coverage=0.5, n=9, groups=9
            ),
            "out_of_distribution": OutOfDistribution(
                method="m", review_above=1, reject_above=2, reviewed=0, rejected=0,
                fitted_on_kinds=("noise",), n=9, groups=9,
            ),
        }
    )  # fmt: skip


def info(rule: DecisionRule, negative: str | None = "no_tumor", **rules: float) -> BundleInfo:
    task = TaskInfo(name="four_class", classes=CLASSES, negative_class=negative)
    study = STUDY_RULES.model_copy(update=rules)
    return bundle_info(decision=rule, task=task, study=study)


def study(
    *answers: Prediction | float, negative: str | None = "no_tumor", **rules: float
) -> StudyPrediction:
    given = [answered(a) if isinstance(a, float | int) else a for a in answers]
    named = [replace(p, source=str(i)) for i, p in enumerate(given)]
    threshold = Threshold(None if negative is None else 0.5)
    described = info(full_rule(), negative, **rules)
    return study_prediction(Series([], "s"), named, described, threshold)


def test_notes_are_those_of_the_series() -> None:
    series = Series([], "s", notes=("2 slices share one position",))
    found = study_prediction(series, [answered(0.9)], info(full_rule()), Threshold(0.5))
    assert found.notes == ["2 slices share one position"]


def test_neighbours_are_averaged_over_a_quarter_of_the_series() -> None:
    assert study(0, 0.9, 0.9, 0.6, 0).study.tumor_probability == pytest.approx(0.8)
    twenty = [0.0] * 8 + [1.0, 1.0] + [0.0] * 10
    assert study(*twenty).study.tumor_probability == pytest.approx(2 / 4)  # a quarter of 14


def test_one_false_alarm_is_not_a_tumor_but_is_reviewed() -> None:
    answer = study(0.0, 0.0, 1.0, 0.0, 0.0)
    assert answer.study.label == "no_tumor"
    assert answer.study.slices_flagged == 1
    assert answer.decision is Verdict.REVIEW
    assert set(answer.reasons) == {
        Reason.SEVERAL_CLASSES_POSSIBLE,
        Reason.SLICE_FLAGGED,
    }


def test_three_in_a_row_are() -> None:
    answer = study(0.0, 0.9, 0.9, 0.9, 0.0)
    assert answer.study.label == "glioma"
    assert answer.study.key_slices == ["1", "2", "3"]
    assert answer.decision is Verdict.ACCEPT
    assert answer.reasons == []


def test_the_type_is_what_most_flagged_slices_show() -> None:
    strong, broad = [answered(0.0, 1.0)] * 3, [answered(0.7)] * 6
    answer = study(0.0, *strong, 0.0, *broad, 0.0).study
    assert answer.tumor_probability == pytest.approx(1.0)
    assert answer.label == "glioma"
    assert answer.key_slices == ["5", "6", "7"]


def test_the_ends_of_a_series_do_not_count() -> None:
    answers = [answered(0.0, 1.0)] * 3 + [answered(0.0)] * 14 + [answered(1.0)] * 3
    found = study(*answers)
    assert found.study.label == "no_tumor"
    assert found.study.tumor_probability == pytest.approx(0.0)
    assert found.study.slices_flagged == 6
    assert found.decision is Verdict.REVIEW
    assert Reason.SLICE_FLAGGED in found.reasons


def test_a_quiet_series_is_accepted() -> None:
    found = study(*[0.0] * 20)
    assert (found.study.label, found.decision, found.reasons) == ("no_tumor", Verdict.ACCEPT, [])


def test_short_series_use_what_there_is() -> None:
    assert study(0.9).study.tumor_probability == pytest.approx(0.9)
    assert study(0.9, 0.7).study.key_slices == ["0", "1"]


def test_rejected_slices_do_not_count() -> None:
    rejected = answered(1.0, decision=Verdict.REJECT, reasons=[Reason.BLANK_IMAGE])
    found = study(0.1, 0.1, 0.1, rejected)
    assert found.study.tumor_probability == pytest.approx(0.1)
    assert (found.study.slices_total, found.study.slices_flagged) == (4, 0)
    assert found.decision is Verdict.ACCEPT


def test_all_rejected_is_rejected_with_their_reasons() -> None:
    blank = answered(0.1, decision=Verdict.REJECT, reasons=[Reason.BLANK_IMAGE])
    foreign = answered(0.1, decision=Verdict.REJECT, reasons=[Reason.OUT_OF_DISTRIBUTION])
    found = study(blank, foreign, blank)
    assert found.decision is Verdict.REJECT
    assert found.reasons == [Reason.BLANK_IMAGE, Reason.OUT_OF_DISTRIBUTION]
    assert found.study.slices_flagged == 0


def test_what_is_flagged_is_counted_where_all_is_rejected() -> None:
    foreign = answered(0.9, decision=Verdict.REJECT, reasons=[Reason.OUT_OF_DISTRIBUTION])
    found = study(foreign, answered(0.1, decision=Verdict.REJECT), foreign)
    assert found.study.slices_flagged == 2


def test_a_key_slice_that_is_not_accepted_asks_for_review() -> None:
    unsure = answered(0.9, decision=Verdict.REVIEW, reasons=[Reason.POSSIBLY_OUT_OF_DISTRIBUTION])
    found = study(0.0, 0.9, unsure, 0.9, 0.0)
    assert (found.decision, found.reasons) == (
        Verdict.REVIEW,
        [Reason.POSSIBLY_OUT_OF_DISTRIBUTION],
    )
    elsewhere = study(unsure, *[0.0] * 8, 0.9, 0.9, 0.9, *[0.0] * 8)
    assert elsewhere.decision is Verdict.ACCEPT


def test_a_key_slice_without_trust_asks_for_review() -> None:
    """A study has no trust score of its own: that of its key slices counts."""
    doubted = answered(0.9, decision=Verdict.REVIEW, reasons=[Reason.LOW_TRUST])
    found = study(*[0.1] * 6, 0.9, doubted, 0.9, *[0.1] * 6)
    assert found.decision is Verdict.REVIEW
    assert Reason.LOW_TRUST in found.reasons


def test_key_slices_that_disagree_ask_for_review() -> None:
    found = study(0.0, 0.9, answered(0.2, 0.7), 0.9, 0.0)
    assert found.decision is Verdict.REVIEW
    assert Reason.SEVERAL_CLASSES_POSSIBLE in found.reasons
    open_ = answered(0.9, possible=["glioma", "pituitary"])
    assert study(0.0, 0.9, open_, 0.9, 0.0).decision is Verdict.REVIEW


def test_without_a_negative_class_the_mean_counts() -> None:
    found = study(answered(0.0, 0.9), answered(0.9), answered(0.8, 0.1), negative=None)
    assert (found.study.label, found.study.tumor_probability) == ("glioma", None)
    assert (found.study.slices_flagged, found.threshold) == (None, None)


def test_remarks_on_the_threshold_are_given_once() -> None:
    remark = Reason.THRESHOLD_OVERRIDDEN
    answers = [answered(0.9, reasons=[remark])] * 3
    axial = Series([], "s", plane="axial")
    found = study_prediction(axial, answers, info(full_rule()), Threshold(0.3, (remark,)))
    assert (found.decision, found.reasons, found.plane) == (Verdict.ACCEPT, [remark], "axial")
    uncalibrated = study_prediction(axial, answers, info(decision_rule()), Threshold(0.3))
    assert uncalibrated.reasons == [Reason.NOT_CALIBRATED]


def test_ends_of_a_series_are_left_for_review() -> None:
    answers = [answered(0.9) for _ in range(8)] + [answered(0.9, decision=Verdict.REJECT)]
    found = with_ends_marked(answers, 0.15)
    assert [p.decision for p in found[:2]] == [Verdict.REVIEW, Verdict.ACCEPT]
    assert found[0].reasons == [Reason.END_OF_SERIES]
    assert [p.decision for p in found[6:]] == [Verdict.ACCEPT, Verdict.REVIEW, Verdict.REJECT]
    assert with_ends_marked(answers[:3], 0.15) == answers[:3]


def blank() -> Prediction:
    return answered(0.0, 1.0, decision=Verdict.REJECT, reasons=[Reason.BLANK_IMAGE])


def test_padding_takes_nothing_from_the_ends() -> None:
    real = (
        [answered(1.0)] * 17
        + [answered(0.0)] * 40
        + [blank()]
        + [answered(0.0)] * 40
        + [answered(1.0)] * 17
    )
    answers = [blank()] * 20 + real + [blank()] * 20
    marked = [
        i
        for i, p in enumerate(with_ends_marked(answers, 0.15))
        if p.reasons == [Reason.END_OF_SERIES]
    ]
    assert marked == [*range(20, 37), *range(118, 135)]
    found = study(*with_ends_marked(answers, 0.15)).study
    assert (found.label, found.tumor_probability) == ("no_tumor", pytest.approx(0.0))
    assert not {int(source) for source in found.key_slices} & {*marked, 77}


def test_where_only_the_ends_are_not_rejected_they_count_but_are_reviewed() -> None:
    answers = with_ends_marked([answered(0.9)] + [blank()] * 8 + [answered(0.9)], 0.15)
    found = study(*answers)
    assert found.study.key_slices == ["0", "9"]
    assert (found.decision, found.reasons) == (Verdict.REVIEW, [Reason.END_OF_SERIES])


def test_the_rules_of_the_bundle_count() -> None:
    answers = [1.0] + [0.0] * 8 + [1.0]
    assert study(*answers).study.tumor_probability == pytest.approx(0.0)
    whole = study(*answers, end_share=0.0, shortest_run=1, run_share=0.1)
    assert whole.study.tumor_probability == pytest.approx(1.0)
    assert len(study(*[0.9] * 8, key_slices=5, run_share=1.0).study.key_slices) == 5
    wide = with_ends_marked([answered(0.9)] * 8, 0.25)
    assert [p.reasons == [Reason.END_OF_SERIES] for p in wide] == [1, 1, 0, 0, 0, 0, 1, 1]
