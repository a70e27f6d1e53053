"""Answers in words: label, tumor probability and threshold in one sentence that fits together.

The label is the most probable class. The flag says whether the tumor probability, which is 1 minus
that of the class without a tumor, reaches the threshold. So the two can differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from math import isclose

from slicewise.inference.decision import (
    REJECTING,
    Prediction,
    Reason,
    StudyPrediction,
    Verdict,
    reasons_text,
)
from slicewise.text import class_text, counted, percent_text, percents_apart

NO_NEGATIVE_CLASS = "this model has no class for slices without a tumor"
_EVEN = 0.5
_SHORT = {Reason.BLANK_IMAGE: "blank", Reason.COLOUR_PICTURE: "in colour", Reason.NOT_MR: "not MR"}


def finding_text(prediction: Prediction, named: Callable[[str], str] = class_text) -> str:
    """A sentence on a slice: what it is most like and whether it is flagged, or why neither.

    Args:
        named: The name of a class for people, as it stands within a sentence.
    """
    if prediction.decision is Verdict.REJECT:
        return _capital(refusal_text(prediction))
    label = f"{named(prediction.label)} ({percent_text(prediction.confidence)})"
    tumor, threshold = prediction.tumor_probability, prediction.threshold
    if tumor is None or threshold is None:
        return f"Most like {label}; {NO_NEGATIVE_CLASS}."
    side = f"tumor probability {_beside(tumor, threshold, prediction.reasons)}"
    if not unsure(prediction):
        flagged = "flagged as a tumor" if prediction.tumor_flag else "not flagged"
        return _capital(f"{label}, {flagged}: {side}.")
    if prediction.tumor_flag:
        but = "a tumor is probable enough to be flagged"
    elif _names_tumor(prediction):
        but = "not sure enough that there is a tumor at all"
    else:
        but = "the kinds of tumor together are more probable, if not enough to be flagged"
    return (
        f"Most like {label}, but {but}: {side}, from which a tumor is flagged.{_look(prediction)}"
    )


def study_text(
    answered: StudyPrediction,
    slices: Sequence[Prediction],
    named: Callable[[str], str] = class_text,
) -> str:
    """The same on a series, with how many of its slices (N) are flagged and withheld."""
    study, threshold = answered.study, answered.threshold
    label, total = named(study.label), counted(study.slices_total, "slice")
    if answered.decision is Verdict.REJECT:
        return f"No answer: of {total}, every one is withheld."
    withheld = sum(one.decision is Verdict.REJECT for one in slices)
    rest = f", {withheld} {_be(withheld)} withheld" if withheld else ""
    tumor, flagged = study.tumor_probability, study.slices_flagged or 0
    if tumor is None or threshold is None:
        of = f" Of {total}{rest}." if rest else ""
        return f"Most like {label} on the mean over its slices; {NO_NEGATIVE_CLASS}.{of}"
    side = f"tumor probability of the series {_beside(tumor, threshold, answered.reasons)}"
    counts = f"{flagged or 'none'} of {total} {_be(flagged or 1)} flagged{rest}."
    if not unsure(answered):
        said = "flagged as a tumor" if tumor >= threshold else "not flagged"
        if any(one.label != study.label for one in slices if one.source in study.key_slices):
            said += ", but not every key slice agrees"
        return f"{_capital(label)}, {said}: {side}. {_capital(counts)}"
    if tumor >= threshold:
        said = f"Flagged as a tumor, of its kinds most like {label}, but not every key slice agrees"
    elif _rather_tumor(answered, tumor):
        said = "Not sure enough that there is a tumor in the series as a whole"
    else:
        said = f"{_capital(label)} in the series as a whole ({side}), but {counts}"
        return said + _look(answered)
    return f"{said}: {side}. {_capital(counts)}{_look(answered)}"


def unsure(answered: Prediction | StudyPrediction) -> bool:
    """Whether an answer says one thing of a tumor by its label and another by its numbers.

    Of a slice, label and flag may differ, or the kinds of tumor be more probable together than
    the class without one. A series and its slices may differ as well.
    """
    threshold = answered.threshold
    if answered.decision is Verdict.REJECT or threshold is None:
        return False
    if isinstance(answered, Prediction):
        flagged = bool(answered.tumor_flag)
        if _names_tumor(answered):
            return not flagged
        return flagged or (answered.tumor_probability or 0.0) > _EVEN
    tumor, flagged = answered.study.tumor_probability, bool(answered.study.slices_flagged)
    if tumor is None or tumor >= threshold:
        return Reason.LABEL_AND_FLAG_DISAGREE in answered.reasons
    return flagged or _rather_tumor(answered, tumor)


def headline(
    answered: Prediction | StudyPrediction, named: Callable[[str], str] = class_text
) -> str:
    """What stands above an answer that is not withheld: its class, or that it is unsure."""
    if isinstance(answered, Prediction):
        label = named(answered.label)
        return f"Unsure: most like {label}" if unsure(answered) else _capital(label)
    if unsure(answered):
        return "Unsure whether there is a tumor"
    return _capital(named(answered.study.label))


def refusal_text(prediction: Prediction) -> str:
    """Why there is no answer for a slice: `withheld: the picture is blank`."""
    return f"withheld: {reasons_text(_grounds(prediction))}"


def withheld_text(slices: Iterable[Prediction]) -> str:
    """`20 slices withheld: 18 out of distribution, 2 blank`; empty where none is."""
    found = Counter(
        " and ".join(_SHORT.get(reason, class_text(reason)) for reason in _grounds(one))
        for one in slices
        if one.decision is Verdict.REJECT
    )
    why = ", ".join(f"{number} {name}" for name, number in found.most_common())
    return f"{counted(found.total(), 'slice')} withheld: {why}" if found else ""


def _grounds(prediction: Prediction) -> list[Reason]:
    """Why there is no answer, without what would only have called for a review."""
    return [one for one in prediction.reasons if one in REJECTING] or prediction.reasons


def _look(answered: Prediction | StudyPrediction) -> str:
    return " A person should look." if answered.decision is Verdict.REVIEW else ""


def _rather_tumor(answered: StudyPrediction, tumor: float) -> bool:
    """Whether a series below the threshold, or a key slice of it, looks more like a tumor."""
    return tumor > _EVEN or Reason.LABEL_AND_FLAG_DISAGREE in answered.reasons


def _names_tumor(prediction: Prediction) -> bool:
    """Whether the label is a tumor; the class without one is that of 1 - tumor probability."""
    without = 1 - (prediction.tumor_probability or 0.0)
    alike = [n for n, p in prediction.probabilities.items() if isclose(p, without, abs_tol=1e-9)]
    if prediction.label in alike and len(alike) > 1:  # a tie, which the rule has decided
        return bool(prediction.tumor_flag) != (Reason.LABEL_AND_FLAG_DISAGREE in prediction.reasons)
    return prediction.label not in alike


def _beside(tumor: float, threshold: float, reasons: Sequence[Reason]) -> str:
    kind = "given " if Reason.THRESHOLD_OVERRIDDEN in reasons else ""
    kind = "default " if Reason.THRESHOLD_NOT_FITTED in reasons else kind
    side = "at or above" if tumor >= threshold else "below"
    found, limit = percents_apart(tumor, threshold)
    return f"{found}, {side} the {kind}threshold of {limit}"


def _be(number: int) -> str:
    return "is" if number == 1 else "are"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
