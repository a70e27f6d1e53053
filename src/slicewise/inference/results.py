"""What every answer is shown with: the disclaimer, and its reasons in words."""

from __future__ import annotations

from collections.abc import Sequence

from slicewise.inference.decision import REASON_TEXTS, Reason

DISCLAIMER = "Research use only. Not a medical device; not for diagnosis or patient care."


def reasons_text(reasons: Sequence[Reason]) -> str:
    """Reasons in words, on one line."""
    return "; ".join(REASON_TEXTS[reason] for reason in reasons)
