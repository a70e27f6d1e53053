"""One finding in words, with how much it matters."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from slicewise.reports.blocks import Kind
from slicewise.stats.intervals import Share
from slicewise.text import percent_text, share_text

Severity = Literal["severe", "warning", "note", "good"]
KINDS: dict[Severity, Kind] = {
    "severe": "alert",
    "warning": "caution",
    "note": "note",
    "good": "good",
}
"""How each is shown, the gravest first."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One finding in one or a few sentences; `topic` is the part of the audit it is of."""

    severity: Severity
    topic: str
    text: str

    def as_json(self) -> dict[str, str]:
        """Fields by name."""
        return asdict(self)


def percent(share: float | Share) -> str:
    """A share in percent with one decimal, with its interval where there is one."""
    if isinstance(share, float):
        return percent_text(share)
    return share_text(share.value, share.ci_low, share.ci_high)
