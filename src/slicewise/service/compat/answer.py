"""What older clients get beside their old fields: what to make of an answer, and whose it is."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from slicewise.inference.decision import (
    BundleReference,
    Prediction,
    Reason,
    Verdict,
    reasons_text,
)
from slicewise.inference.results import DISCLAIMER
from slicewise.service.prediction.answers import Given


class Accounted(BaseModel):
    """The fields that every older route adds."""

    notes: str = Field(description="What should happen with the answer, and why.")
    decision: Verdict
    reasons: list[Reason]
    id: str
    source: str = Field(description="Name of the file as it was sent, then the part of it.")
    bundle: BundleReference = Field(description="The model that answered.")
    disclaimer: str = DISCLAIMER


def account_of(given: Given, slices: int = 1, unread: int = 0) -> dict[str, Any]:
    """The fields of `Accounted`.

    Args:
        given: The answer.
        slices: How many slices were answered for; of several this is one, and the notes say so.
        unread: How many inputs were not answered for.
    """
    said = given.prediction
    return {
        "notes": notes_on(said, slices, unread),
        "decision": said.decision,
        "reasons": said.reasons,
        "id": given.id,
        "source": said.source,
        "bundle": said.bundle,
    }


def notes_on(prediction: Prediction, slices: int = 1, unread: int = 0) -> str:
    """Decision and reasons in words; a rejected picture is said to have no answer.

    Args:
        prediction: What was answered.
        slices: How many slices were answered for; of several this is one, and says so.
        unread: How many inputs were not answered for.
    """
    decided = {
        Verdict.ACCEPT: "accepted",
        Verdict.REVIEW: "for a person to review",
        Verdict.REJECT: "rejected: the class named is no answer",
    }
    why = reasons_text(prediction.reasons)
    one = f"One of {slices} slices; /v1/predict answers for all. " if slices > 1 else ""
    bad = f"Not all could be read ({unread}); /v1/predict says why. " if unread else ""
    decision = decided[prediction.decision] + (f" ({why})" if why else "")
    return f"{decision}. {one}{bad}{DISCLAIMER}"
