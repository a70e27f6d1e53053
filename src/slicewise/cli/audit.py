"""The options of `slicewise audit`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

Database = Annotated[
    str | None, typer.Option(help="URL of the audit database; default SLICEWISE_DATABASE_URL.")
]
_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]
Since = Annotated[datetime | None, typer.Option(formats=_FORMATS, help="From this time on, UTC.")]
Until = Annotated[datetime | None, typer.Option(formats=_FORMATS, help="Before this time, UTC.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ChainName = Literal["predictions", "feedback"]
ArmName = Literal["main", "challenger", "shadow"]

audit = typer.Typer(
    help="The audit database: verify, export, compare, prune.", no_args_is_help=True
)


@audit.command("verify")
def audit_verify(
    head: Annotated[
        list[Path] | None,
        typer.Option(
            "--head",
            "--anchor",
            help="File of lines that audit head printed earlier; may be repeated.",
        ),
    ] = None,
    database: Database = None,
    json_: AsJson = False,
) -> None:
    """Check every row of every chain; exit code 1 where one is not as it was written."""
    from slicewise.cli.audit_run import run_verify

    text, intact = run_verify(database, head or [], as_json=json_)
    typer.echo(text)
    raise typer.Exit(0 if intact else 1)


@audit.command("head")
def audit_head(database: Database = None, json_: AsJson = False) -> None:
    """Print where the chains end, one line a chain, to be kept elsewhere and verified against."""
    from slicewise.cli.audit_run import run_head

    typer.echo(run_head(database, as_json=json_))


@audit.command("export")
def audit_export(
    out: Annotated[Path, typer.Argument(help="Table to write, .csv or .parquet.", metavar="OUT")],
    table: Annotated[ChainName, typer.Option(help="What to export.")] = "predictions",
    since: Since = None,
    until: Until = None,
    arm: Annotated[ArmName | None, typer.Option(help="Of predictions, only this arm.")] = None,
    database: Database = None,
) -> None:
    """Write predictions or feedback to a table."""
    from slicewise.cli.audit_run import run_export

    typer.echo(run_export(database, out, table, (_utc(since), _utc(until)), arm))


@audit.command("report")
def audit_report(
    since: Since = None,
    until: Until = None,
    database: Database = None,
    json_: AsJson = False,
) -> None:
    """Compare what the main model, its challenger and its shadow answered."""
    from slicewise.cli.audit_run import run_report

    typer.echo(run_report(database, (_utc(since), _utc(until)), as_json=json_))


@audit.command("prune")
def audit_prune(
    before: Annotated[
        datetime, typer.Option(formats=_FORMATS, help="Rows before this time go, UTC.")
    ],
    database: Database = None,
) -> None:
    """Delete the oldest predictions and feedback; a checkpoint keeps the chain whole."""
    from slicewise.cli.audit_run import run_prune

    typer.echo(run_prune(database, before.replace(tzinfo=UTC)))


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)
