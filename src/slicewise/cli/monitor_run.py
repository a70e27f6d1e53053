"""`slicewise monitor`: read the audit database once, write the report, say how it stands."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from slicewise.audit_log.log import open_database
from slicewise.audit_log.records import PredictionRecord, prediction_of
from slicewise.audit_log.tables import PREDICTIONS, Span, count_of, rows_of
from slicewise.cli.progress import steps
from slicewise.errors import ConfigError
from slicewise.inference.bundle import Bundle, bundled_model, load_bundle
from slicewise.progress import Progress
from slicewise.service.monitoring.page import STANDINGS, chance_text, render_page, title_of
from slicewise.service.monitoring.report import Question, Report, Standing, monitor
from slicewise.service.settings import PREFIX, read_settings

PAGE_NAME, JSON_NAME = "monitor.html", "monitor.json"
EXIT_CODES: dict[Standing, int] = {"steady": 0, "watch": 0, "alert": 3, "too_little": 4}
_EVERY = 1000


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asked for.

    Args:
        bundle: Folder or zip; None for that of the service's settings.
        days: Length of the recent window.
        until: Its end, UTC; None for now.
        reference: Most uploads of the first window.
        least: Fewest uploads of a window that says something.
        arm: Whose answers.
    """

    bundle: Path | None
    days: float
    until: datetime | None
    reference: int
    least: int
    arm: str


def run_monitor(out: Path, database: str | None, asked: Asked, *, as_json: bool) -> tuple[str, int]:
    """Write the report into a folder.

    Args:
        out: Folder; made where it is missing.
        database: URL of the audit database; None for that of the service's settings.
        asked: What to compare.
        as_json: Give `monitor.json` back instead of words.

    Returns:
        What to print, and the exit code: 0 no alert, 3 an alert, 4 too little to say.

    Raises:
        AuditError: The database cannot be read.
        BundleError: The bundle cannot be loaded.
        ConfigError: The arm is that of a challenger, and there is none.
    """
    settings = read_settings(database_url=database)
    bundle = _bundle(asked, settings.bundle, settings.challenger)
    until = _aware(asked.until) if asked.until else datetime.now(UTC)
    question = Question(until - timedelta(days=asked.days), until, asked.reference, asked.least)
    opened = open_database(settings.audit_log, create=False)
    try:
        span = Span(until=until, arm=asked.arm)
        with steps() as progress:
            rows = rows_of(opened, PREDICTIONS, span)
            records = _told(map(prediction_of, rows), count_of(opened, PREDICTIONS, span), progress)
            report = monitor(records, bundle.info, bundle.identity, question)
    finally:
        opened.close()
    found = json.dumps(report.as_json(), indent=2) + "\n"
    out.mkdir(parents=True, exist_ok=True)
    (out / JSON_NAME).write_text(found, encoding="utf-8")
    (out / PAGE_NAME).write_text(render_page(report, bundle.info), encoding="utf-8")
    text = found.rstrip() if as_json else _text(report, out / PAGE_NAME)
    return text, EXIT_CODES[report.standing]


def _bundle(asked: Asked, main: Path | None, challenger: Path | None) -> Bundle:
    """The bundle that was named, else the one that answers as the arm in question."""
    if asked.bundle is not None:
        return load_bundle(asked.bundle)
    if asked.arm == "main":
        return load_bundle(main or bundled_model())
    if challenger is None:
        raise ConfigError(
            f"arm {asked.arm}: expected its bundle in {PREFIX}CHALLENGER or --bundle, got neither"
        )
    return load_bundle(challenger)


def _aware(given: datetime) -> datetime:
    return given.replace(tzinfo=UTC) if given.tzinfo is None else given


def _told(
    records: Iterable[PredictionRecord], total: int, progress: Progress
) -> Iterator[PredictionRecord]:
    for done, record in enumerate(records):
        if done % _EVERY == 0:
            progress("reading answers", done, total)
        yield record


def _text(report: Report, page: Path) -> str:
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
