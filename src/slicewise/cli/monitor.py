"""The options of `slicewise monitor`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from slicewise.cli.options import BundlePath, require_extra

WatchedArm = Literal["main", "challenger", "shadow"]


def monitor(
    out: Annotated[Path, typer.Option(help="Folder for monitor.html and monitor.json.")],
    bundle: BundlePath = None,
    days: Annotated[float, typer.Option(min=0.01, help="Length of the recent window, days.")] = 7.0,
    until: Annotated[
        datetime | None, typer.Option(help="End of the recent window, UTC; default now.")
    ] = None,
    reference: Annotated[int, typer.Option(min=2, help="Most uploads of the first window.")] = 1000,
    least: Annotated[
        int, typer.Option(min=2, help="Fewest uploads of a window that says something.")
    ] = 50,
    arm: Annotated[WatchedArm, typer.Option(help="Whose answers.")] = "main",
    database: Annotated[
        str | None, typer.Option(help="URL; default SLICEWISE_DATABASE_URL.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print monitor.json.")] = False,
) -> None:
    """Look for drift in the audit database: exit 0 none, 3 an alert, 4 too little to say."""
    require_extra("a monitoring report with pictures", "evaluate", "matplotlib")
    from slicewise.cli.monitor_run import Asked, run_monitor

    asked = Asked(bundle, days, until, reference, least, arm)
    text, code = run_monitor(out, database, asked, as_json=json_)
    typer.echo(text)
    raise typer.Exit(code)
