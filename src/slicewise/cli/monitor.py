"""`slicewise monitor`: read the audit database once, write the report, say how it stands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import typer

from slicewise.cli.options import AsJson, BundlePath, Database, require_extra, show, show_json
from slicewise.files import require_folder, write_json, write_whole

WatchedArm = Literal["main", "challenger", "shadow"]
PAGE_NAME, JSON_NAME = "monitor.html", "monitor.json"
EXIT_CODES = {"steady": 0, "watch": 0, "alert": 3, "too_little": 4}


def monitor(
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder for monitor.html and monitor.json.")
    ],
    bundle: BundlePath = None,
    days: Annotated[
        float, typer.Option(min=0.01, help="The length of the recent window, in days.")
    ] = 7.0,
    until: Annotated[
        datetime | None,
        typer.Option(help="The end of the recent window, in UTC. The default is now."),
    ] = None,
    reference: Annotated[
        int, typer.Option(min=2, help="The largest number of uploads in the first window.")
    ] = 1000,
    least: Annotated[
        int,
        typer.Option(min=2, help="The smallest number of uploads in a window that is compared."),
    ] = 50,
    arm: Annotated[WatchedArm, typer.Option(help="The model whose answers are read.")] = "main",
    database: Database = None,
    json_: AsJson = False,
) -> None:
    """Look for drift in the audit database.

    The exit code is 0 where there is none, 3 for an alert, and 4 where there are too few answers.
    """
    require_extra("a monitoring report with pictures", "evaluate", "matplotlib")
    from slicewise.inference.bundle import load_bundle
    from slicewise.progress import steps
    from slicewise.service.monitoring.page import render_page, report_text
    from slicewise.service.monitoring.report import Question, bundle_of, monitor_database
    from slicewise.service.settings import read_settings

    require_folder(out)
    settings = read_settings(database_url=database)
    loaded = bundle_of(arm, settings) if bundle is None else load_bundle(bundle)
    end = until or datetime.now(UTC)
    end = end.replace(tzinfo=UTC) if end.tzinfo is None else end
    question = Question(end - timedelta(days=days), end, reference, least)
    with steps() as progress:
        report = monitor_database(settings, arm, loaded, question, progress)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / JSON_NAME, report.as_json())
    write_whole(out / PAGE_NAME, render_page(report, loaded.info))
    if json_:
        show_json(report.as_json())
    else:
        show(report_text(report, out / PAGE_NAME))
    raise typer.Exit(EXIT_CODES[report.standing])
