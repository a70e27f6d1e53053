"""One prediction as the audit database remembers it: no pixels, no file name, no patient."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Arm(StrEnum):
    """Which of two bundles gave an answer, and whether the caller got to see it."""

    MAIN = "main"
    CHALLENGER = "challenger"
    SHADOW = "shadow"


@dataclass(frozen=True, slots=True)
class PredictionRecord:
    """An answer, what it was given for and by which model.

    Args:
        id: 32 hexadecimal digits, made by who answers.
        created: When it was answered, aware; kept in UTC to the microsecond.
        caller: Name of the API key, or `open` where the service asks for none.
        route: Template of the route, such as `/v1/predict`.
        request_id: Shared by all answers to one request.
        input_sha256: Of the uploaded bytes, hexadecimal.
        slice_index: Which slice of the upload; None where it held one.
        arm: `main`, `challenger` or `shadow`.
        shadow_of: Id of the answer that main gave to the same slice; None but for a shadow.
        bundle: Name, version and SHA-256 of the model.
        label: Most probable class.
        confidence: Its probability.
        probabilities: By class name.
        tumor_probability: None without a negative class.
        tumor_flag: Whether it reaches the threshold; None without a negative class.
        threshold: The one in force; None without a negative class.
        prediction_set: Classes that cannot be ruled out; None where no sets are fitted.
        decision: `accept`, `review` or `reject`.
        reasons: Why.
        latency_ms: From the start of the request, or of the shadow, to the answer that is recorded.
        summary: Statistics by name, of the image as the model gets it.
        ood_score: Outlier score; None where the bundle has none.
    """

    id: str
    created: datetime
    caller: str
    route: str
    request_id: str
    input_sha256: str
    slice_index: int | None
    arm: str
    shadow_of: str | None
    bundle: tuple[str, str, str]
    label: str
    confidence: float
    probabilities: dict[str, float]
    tumor_probability: float | None
    tumor_flag: bool | None
    threshold: float | None
    prediction_set: list[str] | None
    decision: str
    reasons: list[str]
    latency_ms: float
    summary: dict[str, float]
    ood_score: float | None
