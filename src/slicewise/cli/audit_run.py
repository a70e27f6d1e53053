"""What `slicewise audit` does with its options, and what it prints."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from slicewise.audit_log.comparison import compare_models
from slicewise.audit_log.export import export
from slicewise.audit_log.log import AuditLog
from slicewise.audit_log.retention import prune
from slicewise.audit_log.tables import CHAINED, Span, now, stamp
from slicewise.audit_log.verify import (
    SHOWN,
    ChainState,
    Verification,
    heads_now,
    read_heads,
    verify,
)
from slicewise.cli.audit_report import report_text
from slicewise.cli.progress import steps
from slicewise.errors import ConfigError
from slicewise.service.settings import read_settings

Period = tuple[datetime | None, datetime | None]
"""From when on and until when, each aware or None."""


def run_verify(database: str | None, heads: Sequence[Path], *, as_json: bool) -> tuple[str, bool]:
    """Verify all chains; say what to print and whether they are intact.

    Args:
        database: URL; None for that of the settings.
        heads: Files of lines that `run_head` gave earlier.
        as_json: Print JSON.
    """
    noted = [head for path in heads for head in read_heads(path)]
    with _opened(database) as log, steps() as progress:
        found = verify(log, noted, progress)
    text = json.dumps(found.as_json(), indent=2) if as_json else _verification_text(found)
    return text, found.intact


def run_head(database: str | None, *, as_json: bool) -> str:
    """Where the chains end.

    Args:
        database: URL; None for that of the settings.
        as_json: Print JSON.
    """
    with _opened(database) as log:
        heads = heads_now(log)
    if as_json:
        rows = [{**asdict(head), "created": stamp(head.created)} for head in heads]
        return json.dumps({"heads": rows, "anchors": rows}, indent=2)  # its name before 0.2.0
    return "\n".join(head.line() for head in heads)


def run_export(database: str | None, out: Path, table: str, period: Period, arm: str | None) -> str:
    """Write a chain to a table; say how much.

    Args:
        database: URL; None for that of the settings.
        out: `.csv` or `.parquet`.
        table: Name of the chain.
        period: Which rows.
        arm: Of predictions, only this one.
    """
    with _opened(database) as log, steps() as progress:
        written = export(log, CHAINED[table], out, Span(*period, arm), progress)
    return f"{out}: {written} rows of {table}"


def run_report(database: str | None, period: Period, *, as_json: bool) -> str:
    """Compare the models.

    Args:
        database: URL; None for that of the settings.
        period: Which predictions.
        as_json: Print JSON.
    """
    with _opened(database) as log:
        report = compare_models(log, Span(*period))
    return json.dumps(report, indent=2, ensure_ascii=False) if as_json else report_text(report)


def run_prune(database: str | None, before: datetime) -> str:
    """Delete what is older; say how much.

    Args:
        database: URL; None for that of the settings.
        before: Aware time.
    """
    if before > now():
        raise ConfigError(f"--before {before:%Y-%m-%d}: expected a time in the past")
    with _opened(database) as log:
        gone = prune(log, before)
    return f"deleted: {gone.predictions} predictions, {gone.feedback} words of feedback"


@contextmanager
def _opened(database: str | None) -> Iterator[AuditLog]:
    log = AuditLog.open(read_settings(database_url=database).audit_log, create=False)
    try:
        yield log
    finally:
        log.close()


def _verification_text(found: Verification) -> str:
    lines = [line for state in found.chains for line in _state_lines(state)]
    if found.intact:
        compared = f", {found.heads} earlier heads hold" if found.heads else ""
        lines.append(f"intact{compared}")
    else:
        faults = sum(state.faults for state in found.chains)
        lines.append(f"NOT AS WRITTEN: {faults} finding{'s' if faults > 1 else ''}")
    return "\n".join(lines)


def _state_lines(state: ChainState) -> Iterator[str]:
    pruned = f", pruned through {state.pruned_through}" if state.pruned_through else ""
    yield f"{state.chain}: {state.rows} rows, last {state.last}{pruned}"
    for finding in state.findings:
        yield f"  {finding.fault}: {finding.text}"
    if state.faults > SHOWN:
        yield f"  ... and {state.faults - SHOWN} more"
