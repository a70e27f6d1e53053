"""`slicewise audit`: the database of what was answered."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from slicewise.cli.options import AsJson, Database, show, show_json
from slicewise.errors import ConfigError
from slicewise.files import require_file
from slicewise.text import change_text, counted, percent_text, share_text

if TYPE_CHECKING:
    from slicewise.audit_log.log import AuditLog
    from slicewise.reports.blocks import Section

_IDENTITY = 12
_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]
Since = Annotated[
    datetime | None,
    typer.Option(formats=_FORMATS, help="From this time on, in UTC. The default is the first row."),
]
Until = Annotated[
    datetime | None,
    typer.Option(formats=_FORMATS, help="Before this time, in UTC. The default is the last row."),
]
ChainName = Literal["predictions", "feedback"]
ArmName = Literal["main", "challenger", "shadow"]

audit = typer.Typer(
    help="Verify, export, compare and prune the audit database.", no_args_is_help=True
)


@audit.command("verify")
def audit_verify(
    head: Annotated[
        list[Path] | None,
        typer.Option(
            "--head",
            "--anchor",
            help="A file of lines that audit head printed earlier. The option may be repeated.",
        ),
    ] = None,
    database: Database = None,
    json_: AsJson = False,
) -> None:
    """Check every row of every chain.

    The exit code is 1 where one is not as it was written.
    """
    from slicewise.audit_log.verify import read_heads, verify
    from slicewise.progress import steps

    noted = [one for path in head or [] for one in read_heads(path)]
    with _opened(database) as log, steps() as progress:
        found = verify(log, noted, progress)
    if json_:
        show_json(found.as_json())
    else:
        show(found.text())
    raise typer.Exit(0 if found.intact else 1)


@audit.command("head")
def audit_head(database: Database = None, json_: AsJson = False) -> None:
    """Print where the chains end.

    Keep the lines elsewhere, and verify the database against them later.
    """
    from slicewise.audit_log.tables import stamp
    from slicewise.audit_log.verify import heads_now

    with _opened(database) as log:
        heads = heads_now(log)
    if json_:
        rows = [{**asdict(one), "created": stamp(one.created)} for one in heads]
        show_json({"heads": rows, "anchors": rows})  # its name before 0.2.0
    else:
        show("\n".join(one.line() for one in heads))


@audit.command("export")
def audit_export(
    out: Annotated[
        Path, typer.Argument(help="The table to write, a .csv or .parquet file.", metavar="OUT")
    ],
    table: Annotated[ChainName, typer.Option(help="The rows to export.")] = "predictions",
    since: Since = None,
    until: Until = None,
    arm: Annotated[
        ArmName | None,
        typer.Option(help="Export predictions of this model only. The default is all."),
    ] = None,
    database: Database = None,
) -> None:
    """Write predictions or feedback to a table."""
    from slicewise.audit_log.export import export
    from slicewise.audit_log.tables import CHAINED, Span
    from slicewise.progress import steps

    require_file(out, ".csv", ".parquet")
    with _opened(database) as log, steps() as progress:
        rows = export(log, CHAINED[table], out, Span(_utc(since), _utc(until), arm), progress)
    show(f"{out}: {counted(rows, 'row')} of {table}")


@audit.command("report")
def audit_report(
    since: Since = None, until: Until = None, database: Database = None, json_: AsJson = False
) -> None:
    """Compare the answers of main model, challenger and shadow."""
    from slicewise.audit_log.comparison import compare_models
    from slicewise.audit_log.tables import Span

    with _opened(database) as log:
        report = compare_models(log, Span(_utc(since), _utc(until)))
    if json_:
        show_json(report)
    else:
        show(_comparison_text(report))


@audit.command("prune")
def audit_prune(
    before: Annotated[
        datetime,
        typer.Option(formats=_FORMATS, help="Delete what was written before this time, in UTC."),
    ],
    database: Database = None,
) -> None:
    """Delete the oldest predictions and feedback.

    A checkpoint keeps the chains verifiable.
    """
    from slicewise.audit_log.retention import prune
    from slicewise.audit_log.tables import now

    end = before.replace(tzinfo=UTC)
    if end > now():
        raise ConfigError(f"--before {before:%Y-%m-%d}: expected a time in the past")
    with _opened(database) as log:
        gone = prune(log, end)
    show(f"deleted: {gone.predictions} predictions, {gone.feedback} feedback entries")


def _comparison_text(report: Mapping[str, Any]) -> str:
    from slicewise.reports.blocks import Prose, Section
    from slicewise.reports.text import render_sections

    if not report["arms"]:
        return "no predictions in this time"
    sections = [
        _compared(report["arms"]),
        *map(_difference, report["differences"]),
        *map(_shadow, report["shadows"]),
        Section("Intervals", (Prose("95 % intervals of shares, over inputs, not over answers."),)),
    ]
    return render_sections(sections)


def _compared(arms: list[dict[str, Any]]) -> Section:
    from slicewise.reports.blocks import Section, Table

    columns = [
        [
            *(f"{arm['arm']}: {_model(arm)}", str(arm["predictions"]), str(arm["inputs"])),
            *map(_share, arm["shares"].values()),
            *(str(arm["with_feedback"]), *(f"{ms:.1f}" for ms in arm["latency_ms"].values())),
        ]
        for arm in arms
    ]
    latencies = (f"latency {quantile}, ms" for quantile in arms[0]["latency_ms"])
    names = ("", "answers", "inputs", *arms[0]["shares"], "answers with feedback", *latencies)
    heads, *rows = zip(names, *columns, strict=True)
    return Section("Models side by side", (Table(heads, tuple(rows)),))


def _difference(gap: Mapping[str, Any]) -> Section:
    from slicewise.reports.blocks import Section, Table

    rows = tuple(
        (name, "-" if value is None else change_text(value, 1, 100))
        for name, value in gap["shares"].items()
    )
    title = f"challenger {_model(gap['challenger'])} minus main {_model(gap['main'])}"
    return Section(title, (Table(("share", "percentage points"), rows),))


def _shadow(pairs: Mapping[str, Any]) -> Section:
    from slicewise.reports.blocks import Section, Table

    gap, right = pairs["probability_gap"], pairs["right"]
    rows = (
        ("answers to the same slices", f"{pairs['pairs']} of {pairs['inputs']} inputs"),
        *((f"same {name.replace('_', ' ')}", _share(one)) for name, one in pairs["same"].items()),
        ("largest gap of a class probability", f"mean {gap['mean']:.3f}, most {gap['max']:.3f}"),
        *(
            (f"main {row['main']}, shadow {row['shadow']}", str(row["count"]))
            for row in pairs["exchanged"]
        ),
        ("right by feedback", ", ".join(f"{k.replace('_', ' ')} {n}" for k, n in right.items())),
    )
    title = f"shadow {_model(pairs['shadow'])} beside main {_model(pairs['main'])}"
    return Section(title, (Table(("", ""), rows),))


def _model(named: Mapping[str, Any]) -> str:
    return f"{named['name']} {named['version']} ({named['sha256'][:_IDENTITY]})"


def _share(share: Mapping[str, float] | None) -> str:
    if share is None:
        return "-"
    if share["ci_low"] is None:
        return f"{percent_text(share['value'])} (no interval)"
    return share_text(share["value"], share["ci_low"], share["ci_high"])


def _opened(database: str | None) -> closing[AuditLog]:
    from slicewise.audit_log.log import AuditLog
    from slicewise.service.settings import read_settings

    return closing(AuditLog.open(read_settings(database_url=database).audit_log, create=False))


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)
