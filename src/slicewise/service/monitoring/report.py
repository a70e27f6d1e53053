"""One look at the audit database: windows, changes, expectations, and what follows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from slicewise.audit_log.records import PredictionRecord
from slicewise.inference.bundle import BundleInfo
from slicewise.inference.decision import BundleReference
from slicewise.service.monitoring.drift import Change, Expectation, changes, expectations
from slicewise.service.monitoring.windows import Gathered, Window, gather

Standing = Literal["steady", "watch", "alert", "too_little"]


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be compared.

    Args:
        since: Where the recent window begins.
        until: Where it ends.
    """

    since: datetime
    until: datetime
    reference_uploads: int = 1000
    least_uploads: int = 50


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """What was found in the answers of a bundle.

    Args:
        changes: Recent against reference window; none where there is too little.
        expectations: Recent window against the bundle; none where there is too little.
    """

    bundle: BundleReference
    question: Question
    gathered: Gathered
    changes: list[Change]
    expectations: list[Expectation]
    standing: Standing

    def as_json(self) -> dict[str, Any]:
        """Everything for `monitor.json`; plain types only."""
        return {
            "standing": self.standing,
            "bundle": asdict(self.bundle),
            "asked": {
                "since": self.question.since.isoformat(),
                "until": self.question.until.isoformat(),
                "reference_uploads": self.question.reference_uploads,
                "least_uploads": self.question.least_uploads,
            },
            "reference": _window_json(self.gathered.reference),
            "recent": _window_json(self.gathered.recent),
            "answers_of_other_bundles": self.gathered.others,
            "expectations": [asdict(one) for one in self.expectations],
            "changes": [_change_json(one) for one in self.changes],
        }


def monitor(
    records: Iterable[PredictionRecord], bundle: BundleInfo, sha256: str, question: Question
) -> Report:
    """Compare what a bundle answered lately with what it answered first, and with itself.

    Where one of the windows is too small, only the expectations of the bundle are looked at, and
    only if the recent window is large enough.

    Args:
        records: Of one arm, oldest first, up to the end of the recent window.
    """
    gathered = gather(records, sha256, question.since, question.reference_uploads)
    enough = [
        window.uploads >= question.least_uploads for window in (gathered.reference, gathered.recent)
    ]
    changed = changes(gathered.reference, gathered.recent) if all(enough) else []
    expected = (
        expectations(bundle.decision, gathered.reference, gathered.recent) if enough[1] else []
    )
    return Report(
        bundle=BundleReference(bundle.name, bundle.version, sha256),
        question=question,
        gathered=gathered,
        changes=changed,
        expectations=expected,
        standing=_standing(changed, expected),
    )


def _standing(changed: list[Change], expected: list[Expectation]) -> Standing:
    states = {one.state for one in changed} | {one.state for one in expected}
    if "alert" in states:
        return "alert"
    if not changed:
        return "too_little"
    return "watch" if "watch" in states else "steady"


def _window_json(window: Window) -> dict[str, Any]:
    return {
        "uploads": window.uploads,
        "answers": window.answers,
        "first": None if window.first is None else window.first.isoformat(),
        "last": None if window.last is None else window.last.isoformat(),
        "sampled": window.sampled,
    }


def _change_json(one: Change) -> dict[str, Any]:
    return {
        "name": one.name,
        "kind": one.kind,
        "state": one.state,
        "stability_index": one.index,
        "chance": one.chance,
        "typical": one.typical,
        "bins": one.bins,
        "reference": one.reference.tolist(),
        "recent": one.recent.tolist(),
    }
