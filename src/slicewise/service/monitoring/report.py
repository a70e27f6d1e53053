"""One look at the audit database: windows, changes, expectations, and what follows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np

from slicewise.audit_log.log import open_database
from slicewise.audit_log.records import PredictionRecord, prediction_of
from slicewise.audit_log.tables import PREDICTIONS, Span, count_of, rows_of
from slicewise.errors import ConfigError
from slicewise.inference.bundle import Bundle, BundleInfo, bundled_model, load_bundle
from slicewise.inference.decision import BundleReference
from slicewise.progress import Progress
from slicewise.service.monitoring import drift
from slicewise.service.settings import PREFIX, Settings

Standing = Literal["steady", "watch", "alert", "too_little"]
_EVERY = 1000


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be compared; the recent window goes from `since` to `until`."""

    since: datetime
    until: datetime
    reference_uploads: int = 1000
    least_uploads: int = 50


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """What was found in the answers of a bundle; nothing is compared where there is too little."""

    bundle: BundleReference
    question: Question
    gathered: drift.Gathered
    changes: list[drift.Change]
    expectations: list[drift.Expectation]
    standing: Standing

    def as_json(self) -> dict[str, Any]:
        """Everything for `monitor.json`."""
        return {
            "standing": self.standing,
            "bundle": asdict(self.bundle),
            "asked": {name: _plain(value) for name, value in asdict(self.question).items()},
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

    Only windows that are large enough are looked at. The records are of one arm, oldest first, up
    to the end of the recent window.
    """
    gathered = drift.gather(records, sha256, question.since, question.reference_uploads)
    windows, least = (gathered.reference, gathered.recent), question.least_uploads
    changed = drift.changes(*windows) if min(window.uploads for window in windows) >= least else []
    enough = gathered.recent.uploads >= least
    expected = drift.expectations(bundle.decision, *windows) if enough else []
    reference = BundleReference(bundle.name, bundle.version, sha256)
    standing = _standing(changed, expected)
    return Report(reference, question, gathered, changed, expected, standing)


def bundle_of(arm: str, settings: Settings) -> Bundle:
    """The bundle that answers as one of the models of the service.

    Raises:
        BundleError: It cannot be loaded.
        ConfigError: There is no challenger.
    """
    path = settings.bundle or bundled_model() if arm == "main" else settings.challenger
    if path is None:
        named = f"{PREFIX}CHALLENGER or --bundle"
        raise ConfigError(f"arm {arm}: expected its bundle in {named}, got neither")
    return load_bundle(path)


def monitor_database(
    settings: Settings, arm: str, bundle: Bundle, question: Question, progress: Progress
) -> Report:
    """`monitor` for the records of an arm: `main`, `challenger` or `shadow`.

    Raises:
        AuditError: The database cannot be read.
    """
    with closing(open_database(settings.audit_log, create=False)) as opened:
        span = Span(until=question.until, arm=arm)
        total = count_of(opened, PREDICTIONS, span)

        def records() -> Iterator[PredictionRecord]:
            for done, row in enumerate(rows_of(opened, PREDICTIONS, span)):
                if done % _EVERY == 0:
                    progress("reading answers", done, total)
                yield prediction_of(row)

        return monitor(records(), bundle.info, bundle.identity, question)


def _standing(changed: list[drift.Change], expected: list[drift.Expectation]) -> Standing:
    states = {one.state for one in changed} | {one.state for one in expected}
    if "alert" in states:
        return "alert"
    if not changed:
        return "too_little"
    return "watch" if "watch" in states else "steady"


def _window_json(window: drift.Window) -> dict[str, Any]:
    names = ("uploads", "answers", "first", "last", "sampled")
    return {name: _plain(getattr(window, name)) for name in names}


def _change_json(one: drift.Change) -> dict[str, Any]:
    names = ("name", "kind", "state", "index", "chance", "typical", "bins", "reference", "recent")
    found = {name: _plain(getattr(one, name)) for name in names}
    return {("stability_index" if name == "index" else name): found[name] for name in names}


def _plain(value: Any) -> Any:
    """A moment or an array as JSON has it; anything else as it is."""
    if isinstance(value, datetime):
        return value.isoformat()
    return value.tolist() if isinstance(value, np.ndarray) else value
