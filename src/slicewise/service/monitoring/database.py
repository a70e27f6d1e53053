"""Drift in an audit database: which bundle is meant, the rows of one model, the report in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from slicewise.audit_log.log import open_database
from slicewise.audit_log.records import PredictionRecord, prediction_of
from slicewise.audit_log.tables import PREDICTIONS, Span, count_of, rows_of
from slicewise.errors import ConfigError
from slicewise.inference.bundle import Bundle, bundled_model, load_bundle
from slicewise.progress import Progress
from slicewise.service.monitoring.page import STANDINGS, chance_text, title_of
from slicewise.service.monitoring.report import Question, Report, monitor
from slicewise.service.settings import PREFIX, Settings

_EVERY = 1000


def bundle_of(arm: str, settings: Settings) -> Bundle:
    """The bundle that answers as one of the models of the service.

    Raises:
        BundleError: It cannot be loaded.
        ConfigError: There is no challenger.
    """
    if arm == "main":
        return load_bundle(settings.bundle or bundled_model())
    if settings.challenger is None:
        raise ConfigError(
            f"arm {arm}: expected its bundle in {PREFIX}CHALLENGER or --bundle, got neither"
        )
    return load_bundle(settings.challenger)


def monitor_database(
    settings: Settings, arm: str, bundle: Bundle, question: Question, progress: Progress
) -> Report:
    """Compare what a model answered lately with what it answered first.

    Args:
        arm: Whose answers: `main`, `challenger` or `shadow`.

    Raises:
        AuditError: The database cannot be read.
    """
    opened = open_database(settings.audit_log, create=False)
    try:
        span = Span(until=question.until, arm=arm)
        rows = map(prediction_of, rows_of(opened, PREDICTIONS, span))
        records = _counted(rows, count_of(opened, PREDICTIONS, span), progress)
        return monitor(records, bundle.info, bundle.identity, question)
    finally:
        opened.close()


def _counted(
    records: Iterable[PredictionRecord], total: int, progress: Progress
) -> Iterator[PredictionRecord]:
    for done, record in enumerate(records):
        if done % _EVERY == 0:
            progress("reading answers", done, total)
        yield record


def report_text(report: Report, page: Path) -> str:
    """What matters of a report, for a terminal; `page` is where all of it stands."""
    found = report.gathered
    lines = [
        f"{STANDINGS[report.standing]}: {report.bundle.name} {report.bundle.version}, "
        f"{found.recent.uploads} recent uploads against the first {found.reference.uploads}"
    ]
    if found.others:
        lines.append(f"  left out: {found.others} answers of other bundles")
    for one in report.expectations:
        if one.state != "steady" and one.recent is not None:
            lines.append(
                f"  {one.state}: {one.text}: {one.recent.value:.1%}; the bundle says "
                f"{one.expected:.1%}"
            )
    for change in report.changes:
        if change.state in ("watch", "alert"):
            lines.append(
                f"  {change.state}: {title_of(change.name).lower()}: index {change.index:.2f}, "
                f"chance {chance_text(change.chance)}"
            )
    return "\n".join([*lines, f"  report: {page}"])
