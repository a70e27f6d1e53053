"""From logits to an answer: calibrated probabilities, label, tumor flag, accept or review.

Plain arithmetic on numbers; nothing here knows of files, sessions or pixels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from numbers import Real

import numpy as np

from slicewise.arrays import Array, Floats
from slicewise.errors import ConfigError
from slicewise.inference.rule import DecisionRule
from slicewise.inference.trust import trust_scores
from slicewise.text import class_text, percent_text, printable


class Verdict(StrEnum):
    """What should happen with an answer."""

    ACCEPT = "accept"
    REVIEW = "review"
    REJECT = "reject"


class Reason(StrEnum):
    """Why an answer is not simply accepted, or what was unusual in making it."""

    NOT_CALIBRATED = "not_calibrated"
    BLANK_IMAGE = "blank_image"
    THRESHOLD_NOT_FITTED = "threshold_not_fitted"
    THRESHOLD_OVERRIDDEN = "threshold_overridden"
    LABEL_AND_FLAG_DISAGREE = "label_and_flag_disagree"
    SLICE_FLAGGED = "slice_flagged"
    SEVERAL_CLASSES_POSSIBLE = "several_classes_possible"
    LOW_CONFIDENCE = "low_confidence"
    LOW_TRUST = "low_trust"
    POSSIBLY_OUT_OF_DISTRIBUTION = "possibly_out_of_distribution"
    OUT_OF_DISTRIBUTION = "out_of_distribution"
    COLOUR_PICTURE = "colour_picture"
    NOT_MR = "not_mr"
    END_OF_SERIES = "end_of_series"

    @classmethod
    def _missing_(cls, value: object) -> Reason | None:
        """The reason that records and tables written before 0.2.0 name otherwise."""
        name = OLDER_REASONS.get(str(value))
        return None if name is None else cls(name)


_COLUMNS = ("source", "answer", "probability", "decision", "reasons")
OLDER_REASONS = {
    "unlike_training": "possibly_out_of_distribution",
    "far_from_known": "out_of_distribution",
}
REASON_TEXTS = {
    Reason.NOT_CALIBRATED: "this model has no fitted limits for accepting an answer by itself",
    Reason.BLANK_IMAGE: "the picture is blank: all its pixels are alike",
    Reason.THRESHOLD_NOT_FITTED: "the model brings no fitted threshold; 0.5 was used",
    Reason.THRESHOLD_OVERRIDDEN: "the threshold was given with the request, not by the model",
    Reason.LABEL_AND_FLAG_DISAGREE: "the most probable class and the tumor threshold disagree",
    Reason.SLICE_FLAGGED: "a slice reaches the tumor threshold, the series as a whole does not",
    Reason.SEVERAL_CLASSES_POSSIBLE: "more than one class remains possible",
    Reason.LOW_CONFIDENCE: "answers of this confidence were too often wrong on held-out slices",
    Reason.LOW_TRUST: "low trust score: its nearest training slices do not support this class",
    Reason.POSSIBLY_OUT_OF_DISTRIBUTION: "perhaps out of distribution: few training slices like it",
    Reason.OUT_OF_DISTRIBUTION: "out of distribution: no training slice is like it",
    Reason.COLOUR_PICTURE: "the picture is in colour; MR slices are grey",
    Reason.NOT_MR: "the file says that it is no MR image",
    Reason.END_OF_SERIES: "the slice lies at an end of its series",
}
"""Each reason in words, for reports and pages."""

REJECTING = {Reason.BLANK_IMAGE, Reason.OUT_OF_DISTRIBUTION, Reason.COLOUR_PICTURE, Reason.NOT_MR}
"""Reasons not to answer at all."""

REMARKS = {Reason.THRESHOLD_NOT_FITTED, Reason.THRESHOLD_OVERRIDDEN}
"""Reasons that are given, but do not change the decision."""


def reasons_text(reasons: Sequence[Reason]) -> str:
    """Reasons in words, on one line."""
    return "; ".join(REASON_TEXTS[reason] for reason in reasons)


@dataclass(frozen=True, slots=True)
class BundleReference:
    """Which model answered."""

    name: str
    version: str
    sha256: str


class Shown(ABC):
    """An answer as a person sees it: one line, or one row of a table in a notebook."""

    __slots__ = ()
    source: str
    decision: Verdict
    reasons: list[Reason]

    @abstractmethod
    def answer(self) -> tuple[str, str]:
        """Class and its probability, in words."""

    def cells(self) -> tuple[str, str, str, str, str]:
        """Source, class, probability, decision, reasons; nothing is answered for a rejected one."""
        answer = ("withheld", "") if self.decision is Verdict.REJECT else self.answer()
        return (printable(self.source), *answer, self.decision, ", ".join(self.reasons))

    def __repr__(self) -> str:
        return "  ".join(filter(None, self.cells()))

    def _repr_html_(self) -> str:
        return table_html([self.cells()])


def table_html(rows: Iterable[Sequence[str]]) -> str:
    """Rows of `Shown.cells` as an HTML table."""
    from html import escape  # a notebook needs it, a prediction does not

    head = "".join(f"<th>{name}</th>" for name in _COLUMNS)
    lines = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows)
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in (head, *lines)) + "</table>"


@dataclass(frozen=True, slots=True, repr=False)
class Prediction(Shown):
    """The answer for one slice, with the same names in Python, JSON and tables."""

    source: str
    label: str
    probabilities: dict[str, float]
    confidence: float
    tumor_probability: float | None
    tumor_flag: bool | None
    threshold: float | None
    prediction_set: list[str] | None
    decision: Verdict
    reasons: list[Reason]
    bundle: BundleReference
    timing_ms: float
    heatmap: str | None = None

    def answer(self) -> tuple[str, str]:
        """Class and confidence, in words."""
        return class_text(self.label), percent_text(self.confidence)


@dataclass(frozen=True, slots=True)
class StudyAnswer:
    """The answer for the slices of one series together."""

    label: str
    tumor_probability: float | None
    slices_flagged: int | None
    slices_total: int
    key_slices: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, repr=False)
class StudyPrediction(Shown):
    """A study answer, which series it is for, and which model gave it.

    `notes` say what is unusual of the slices of the series, such as gaps between them.
    """

    source: str
    plane: str | None
    study: StudyAnswer
    threshold: float | None
    decision: Verdict
    reasons: list[Reason]
    bundle: BundleReference
    notes: list[str] = field(default_factory=list)

    def answer(self) -> tuple[str, str]:
        """Class with the number of slices, and the tumor probability where there is one."""
        label, tumor = class_text(self.study.label), self.study.tumor_probability
        series = f"{label} (series of {self.study.slices_total})"
        return series, "" if tumor is None else f"tumor {percent_text(tumor)}"


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The part of a prediction that follows from the probabilities of the slice."""

    label: str
    confidence: float
    tumor_probability: float | None
    tumor_flag: bool | None
    prediction_set: list[str] | None
    decision: Verdict
    reasons: list[Reason]


@dataclass(frozen=True, slots=True)
class Threshold:
    """The tumor threshold in force and where it came from."""

    value: float | None
    reasons: tuple[Reason, ...] = ()


def probabilities_of(
    logits: Array, temperature: float | None, bias: Floats | None = None
) -> Floats:
    """Calibrated probabilities: softmax of logits / temperature + bias.

    Args:
        logits: (..., K) of any scale.
        temperature: Guo et al. 2017; None for 1.
        bias: (K,) or (..., K) one number a class (Alexandari et al. 2020); None for 0.
    """
    scaled = np.asarray(logits, dtype=np.float64) / (temperature or 1.0)
    if bias is not None:
        scaled = scaled + bias
    raised = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


def threshold_of(
    rule: DecisionRule, negative_class: str | None, override: float | None
) -> Threshold:
    """The override, else the fitted operating point, else 0.5 with the reason saying so.

    Raises:
        ConfigError: The override is no probability, or the task has no negative class.
    """
    if override is not None:
        if negative_class is None:
            raise ConfigError("threshold: the model has no class without a tumor")
        number = isinstance(override, Real) and not isinstance(override, bool)
        if not (number and 0 <= override <= 1):
            raise ConfigError(f"threshold: expected a number from 0 to 1; got {override!r}")
        return Threshold(override, (Reason.THRESHOLD_OVERRIDDEN,))
    if negative_class is None:
        return Threshold(None)
    if rule.operating_point is None:
        return Threshold(0.5, (Reason.THRESHOLD_NOT_FITTED,))
    return Threshold(rule.operating_point.threshold)


def prediction_set_of(
    probabilities: Floats, classes: Sequence[str], rule: DecisionRule
) -> list[str] | None:
    """Classes that remain possible, the most probable first; never empty. None where not fitted."""
    if rule.conformal is None:
        return None
    first, *others = np.argsort(-probabilities, kind="stable")
    least = rule.conformal.smallest
    return [classes[first], *(classes[k] for k in others if probabilities[k] >= least[classes[k]])]


def conclude(
    probabilities: Floats,
    classes: tuple[str, ...],
    negative_class: str | None,
    rule: DecisionRule,
    threshold: Threshold,
    concerns: Sequence[Reason] = (),
    class_distances: Floats | None = None,
) -> Conclusion:
    """Label, tumor flag, prediction set and decision: all that a rule makes of probabilities.

    Args:
        probabilities: (K,) calibrated.
        negative_class: The class without a tumor, if the task has one.
        class_distances: (K,) to the training slices of each class; None where the bundle has none.
    """
    answered = int(probabilities.argmax())
    label, confidence = classes[answered], float(probabilities[answered])
    tumor = flag = None
    if negative_class is not None:
        tumor = float(1.0 - probabilities[classes.index(negative_class)])
        if threshold.value is not None and Reason.BLANK_IMAGE not in concerns:
            flag = tumor >= threshold.value
    possible = prediction_set_of(probabilities, classes, rule)
    trust = None if class_distances is None else float(trust_scores(class_distances, answered))
    agrees = flag is None or flag == (label != negative_class)
    verdict, reasons = decide(rule, confidence, possible, concerns, agrees=agrees, trust=trust)
    reasons += threshold.reasons
    return Conclusion(label, confidence, tumor, flag, possible, verdict, reasons)


def decide(
    rule: DecisionRule,
    confidence: float,
    possible: Sequence[str] | None,
    concerns: Sequence[Reason] = (),
    *,
    agrees: bool = True,
    trust: float | None = None,
) -> tuple[Verdict, list[Reason]]:
    """Whether an answer may stand by itself, and why not.

    Args:
        possible: The prediction set.
        concerns: What speaks against answering, whatever the answer is.
        agrees: Whether the label says the same of a tumor as the threshold does, if it does.
        trust: None where there is none, as for several slices together.
    """
    reasons = list(concerns)
    if REJECTING & set(reasons):
        return Verdict.REJECT, reasons
    if None in (rule.temperature, rule.conformal, rule.acceptance, rule.out_of_distribution):
        reasons.append(Reason.NOT_CALIBRATED)
    if possible is not None and len(possible) > 1:
        reasons.append(Reason.SEVERAL_CLASSES_POSSIBLE)
    if (limit := rule.acceptance) is not None:
        if limit.confidence is not None and confidence < limit.confidence:
            reasons.append(Reason.LOW_CONFIDENCE)
        if limit.trust is not None and trust is not None and trust < limit.trust:
            reasons.append(Reason.LOW_TRUST)
    if not agrees:
        reasons.append(Reason.LABEL_AND_FLAG_DISAGREE)
    return (Verdict.REVIEW if set(reasons) - REMARKS else Verdict.ACCEPT), reasons
