"""Answers in words: what is said follows from the numbers, and never contradicts itself."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from builders_explain import prediction
from slicewise.inference.decision import (
    REJECTING,
    Prediction,
    Reason,
    StudyAnswer,
    StudyPrediction,
    Verdict,
    reasons_text,
)
from slicewise.inference.words import (
    NO_NEGATIVE_CLASS,
    finding_text,
    headline,
    refusal_text,
    study_text,
    unsure,
    withheld_text,
)

LOOK = "A person should look."
Shares = tuple[float, float, float, float]


def answered(shares: Shares, threshold: float, *reasons: Reason) -> Prediction:
    """A slice with these probabilities of glioma, meningioma, no tumor and pituitary."""
    flag = 1 - shares[2] >= threshold
    change = {"threshold": threshold, "tumor_flag": flag, "reasons": list(reasons)}
    return replace(prediction("s.png", shares), **change)


def withheld(*reasons: Reason) -> Prediction:
    change = {"decision": Verdict.REJECT, "reasons": list(reasons)}
    return replace(prediction("s.png", (0.02, 0.93, 0.04, 0.01)), **change)


def series(label: str, tumor: float | None, flagged: int | None, total: int) -> StudyPrediction:
    study = StudyAnswer(label, tumor, flagged, total)
    threshold = None if tumor is None else 0.95
    bundle = prediction("s.png", (1.0, 0.0, 0.0, 0.0)).bundle
    return StudyPrediction("series", None, study, threshold, Verdict.REVIEW, [], bundle)


class TestSlice:
    def test_a_flagged_tumor(self) -> None:
        text = finding_text(answered((0.02, 0.95, 0.02, 0.01), 0.95))
        assert text == (
            "Meningioma (95.0 %), flagged as a tumor: tumor probability 98.0 %, "
            "at or above the threshold of 95.0 %."
        )

    def test_no_tumor_that_is_not_flagged(self) -> None:
        text = finding_text(answered((0.02, 0.02, 0.95, 0.01), 0.4))
        assert text == (
            "No tumor (95.0 %), not flagged: tumor probability 5.0 %, "
            "below the threshold of 40.0 %."
        )

    def test_a_tumor_that_is_not_sure_enough_is_no_contradiction(self) -> None:
        text = finding_text(answered((0.002, 0.93, 0.066, 0.002), 0.95))
        assert text == (
            "Most like meningioma (93.0 %), but not sure enough that there is a tumor at all: "
            "tumor probability 93.4 %, below the threshold of 95.0 %, from which a tumor is "
            "flagged. A person should look."
        )

    def test_no_tumor_that_is_flagged_all_the_same(self) -> None:
        text = finding_text(answered((0.2, 0.05, 0.7, 0.05), 0.2))
        assert text.startswith("Most like no tumor (70.0 %), but a tumor is probable enough")
        assert "30.0 %, at or above the threshold of 20.0 %" in text
        assert text.endswith(LOOK)

    def test_no_tumor_that_is_less_probable_than_all_tumors_is_no_contradiction(self) -> None:
        text = finding_text(answered((0.3, 0.2, 0.45, 0.05), 0.95))
        assert text.startswith("Most like no tumor (45.0 %), but the kinds of tumor together are")
        assert "tumor probability 55.0 %, below the threshold of 95.0 %" in text
        assert text.endswith(LOOK)

    def test_a_person_is_asked_for_by_the_decision_alone(self) -> None:
        one = answered((0.3, 0.2, 0.45, 0.05), 0.95)
        assert LOOK not in finding_text(replace(one, decision=Verdict.ACCEPT))

    def test_a_threshold_that_is_not_the_models_is_said_to_be_so(self) -> None:
        shares = (0.02, 0.95, 0.02, 0.01)
        given = finding_text(answered(shares, 0.3, Reason.THRESHOLD_OVERRIDDEN))
        assert "at or above the given threshold of 30.0 %" in given
        default = finding_text(answered(shares, 0.5, Reason.THRESHOLD_NOT_FITTED))
        assert "at or above the default threshold of 50.0 %" in default

    def test_without_a_negative_class_there_is_no_tumor_probability(self) -> None:
        none = {"tumor_probability": None, "tumor_flag": None, "threshold": None}
        text = finding_text(replace(prediction("s.png", (0.7, 0.2, 0.05, 0.05)), **none))
        assert text == f"Most like glioma (70.0 %); {NO_NEGATIVE_CLASS}."

    def test_a_withheld_slice_names_no_class_and_no_number(self) -> None:
        reasons = (Reason.NOT_MR, Reason.THRESHOLD_OVERRIDDEN, Reason.POSSIBLY_OUT_OF_DISTRIBUTION)
        assert finding_text(withheld(*reasons)) == (
            "Withheld: the file says that it is no MR image"
        )
        assert refusal_text(withheld(Reason.BLANK_IMAGE)).startswith("withheld: the picture is bl")

    def test_classes_go_by_the_names_that_are_given(self) -> None:
        text = finding_text(answered((0.02, 0.95, 0.02, 0.01), 0.4), {"meningioma": "M"}.get)
        assert text.startswith("M (95.0 %), flagged")

    @pytest.mark.parametrize(("tumor", "threshold"), [
        (0.9501, 0.9503244), (0.95, 0.9500001), (0.0001, 0.0002), (0.9997, 0.9998),
    ])  # fmt: skip
    def test_a_number_just_below_is_not_shown_as_the_threshold(
        self, tumor: float, threshold: float
    ) -> None:
        text = finding_text(answered((tumor, 0.0, 1 - tumor, 0.0), threshold))
        found, limit = text.split("tumor probability ")[1].split(", below the threshold of ")
        assert float(found.split(" %")[0]) < float(limit.split(" %")[0])

    @pytest.mark.parametrize("threshold", [0.05, 0.4, 0.5, 0.6, 0.95])
    def test_what_is_said_follows_from_label_and_flag(self, threshold: float) -> None:
        steps = [k / 10 for k in range(11)]
        for glioma, none in product(steps, steps):
            if glioma + none > 1:
                continue
            shares = (glioma, (1 - glioma - none) / 2, none, (1 - glioma - none) / 2)
            one = answered(shares, threshold)
            text, tumor = finding_text(one), one.label != "no_tumor"
            if shares.count(max(shares)) == 1:
                rather = none < 0.5 and not tumor
                assert unsure(one) == (one.tumor_flag != tumor or rather)
            assert (LOOK in text) == unsure(one) == headline(one).startswith("Unsure")
            assert ("at or above" in text) == one.tumor_flag
            assert one.label.replace("_", " ") in text.lower()

    @pytest.mark.parametrize("label", ["tumor", "healthy"])
    @pytest.mark.parametrize("threshold", [0.4, 0.6])
    def test_a_tie_is_told_as_the_rule_decided_it(self, label: str, threshold: float) -> None:
        flag = threshold < 0.5
        agrees = flag == (label == "tumor")
        reasons = [] if agrees else [Reason.LABEL_AND_FLAG_DISAGREE]
        one = replace(
            prediction("s.png", (0.5, 0.0, 0.5, 0.0)),
            label=label,
            probabilities={"tumor": 0.5, "healthy": 0.5},
            tumor_flag=flag,
            threshold=threshold,
            reasons=reasons,
        )
        assert unsure(one) is not agrees


class TestSeries:
    SLICES = [withheld(Reason.BLANK_IMAGE)] + [prediction(f"{k}", (0.9, 0, 0.1, 0)) for k in "abc"]

    def test_a_tumor_with_its_flagged_and_withheld_slices(self) -> None:
        text = study_text(series("glioma", 0.971, 2, 4), self.SLICES)
        assert text == (
            "Glioma, flagged as a tumor: tumor probability of the series 97.1 %, at or above the "
            "threshold of 95.0 %. 2 of 4 slices are flagged, 1 is withheld."
        )

    def test_key_slices_of_another_class_are_told(self) -> None:
        answer = series("meningioma", 0.971, 2, 4)
        answer = replace(answer, study=replace(answer.study, key_slices=["a"]))
        text = study_text(answer, self.SLICES)
        assert text.startswith("Meningioma, flagged as a tumor, but not every key slice agrees:")

    def test_no_tumor_and_no_slice(self) -> None:
        text = study_text(series("no_tumor", 0.031, 0, 3), self.SLICES[1:])
        assert text.startswith(
            "No tumor, not flagged: tumor probability of the series 3.1 %, below"
        )
        assert text.endswith("None of 3 slices is flagged.")

    def test_a_slice_that_is_flagged_by_itself_is_no_contradiction(self) -> None:
        answer = series("no_tumor", 0.031, 1, 4)
        text = study_text(answer, self.SLICES)
        assert unsure(answer)
        assert text.startswith("No tumor in the series as a whole (tumor probability of the series")
        assert text.endswith(f"but 1 of 4 slices is flagged, 1 is withheld. {LOOK}")

    def test_a_tumor_that_is_not_sure_enough_is_not_told_as_none(self) -> None:
        answer = series("no_tumor", 0.934, 2, 4)
        text = study_text(answer, self.SLICES)
        assert text == (
            "Not sure enough that there is a tumor in the series as a whole: tumor probability of "
            "the series 93.4 %, below the threshold of 95.0 %. "
            f"2 of 4 slices are flagged, 1 is withheld. {LOOK}"
        )
        assert headline(answer) == "Unsure whether there is a tumor"

    @pytest.mark.parametrize(("label", "tumor"), [("no_tumor", 0.4), ("glioma", 0.96)])
    def test_key_slices_that_do_not_agree_are_heard(self, label: str, tumor: float) -> None:
        sure = series(label, tumor, int(tumor > 0.95), 3)
        answer = replace(sure, reasons=[Reason.LABEL_AND_FLAG_DISAGREE])
        assert (unsure(sure), unsure(answer)) == (False, True)
        text = study_text(answer, self.SLICES[1:])
        said = "Flagged as a tumor, of its kinds most like glioma, but not every key slice agrees"
        assert text.startswith(said if tumor > 0.95 else "Not sure enough that there is a tumor")
        assert text.endswith(LOOK)

    def test_without_a_negative_class(self) -> None:
        text = study_text(series("glioma", None, None, 4), self.SLICES)
        assert text.startswith("Most like glioma on the mean over its slices; ")
        assert NO_NEGATIVE_CLASS in text
        assert "1 is withheld" in text
        assert "%" not in text

    def test_a_rejected_series_names_no_class_and_no_number_but_its_slices(self) -> None:
        answer = replace(series("glioma", 0.97, 3, 3), decision=Verdict.REJECT)
        text = study_text(answer, [withheld(Reason.NOT_MR)] * 3)
        assert text == "No answer: of 3 slices, every one is withheld."
        assert not unsure(answer)


class TestWithheld:
    def test_counts_by_reason_the_most_frequent_first(self) -> None:
        out, blank = Reason.OUT_OF_DISTRIBUTION, Reason.BLANK_IMAGE
        slices = [*map(withheld, [blank, *[out] * 18, blank]), prediction("a", (1.0, 0, 0, 0))]
        assert withheld_text(slices) == "20 slices withheld: 18 out of distribution, 2 blank"

    def test_every_slice_is_counted_once(self) -> None:
        both = withheld(Reason.COLOUR_PICTURE, Reason.OUT_OF_DISTRIBUTION)
        assert withheld_text([both, withheld(Reason.COLOUR_PICTURE)]) == (
            "2 slices withheld: 1 in colour and out of distribution, 1 in colour"
        )

    def test_nothing_is_said_where_nothing_is_withheld(self) -> None:
        assert withheld_text([prediction("a", (1.0, 0, 0, 0))]) == ""

    @pytest.mark.parametrize("reason", sorted(REJECTING))
    def test_every_rejecting_reason_has_words(self, reason: Reason) -> None:
        assert "_" not in withheld_text([withheld(reason)])
        assert refusal_text(withheld(reason)) == f"withheld: {reasons_text([reason])}"
