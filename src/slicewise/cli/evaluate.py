"""The options of `slicewise evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slicewise.cli.options import BundlePath, Manifest, Threads, require_extra


def evaluate(
    manifest: Manifest,
    out: Annotated[Path, typer.Option(help="Folder for report, figures, tables and plots.")],
    bundle: BundlePath = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="train, val, test or all; default test, or all where no row has a split."
        ),
    ] = None,
    allow_seen: Annotated[
        bool, typer.Option("--allow-seen", help="Keep slices the model was trained on; stamped.")
    ] = False,
    gate: Annotated[
        Path | None, typer.Option(help="YAML of limits; exit code 1 where one is missed.")
    ] = None,
    compare: Annotated[
        list[Path] | None, typer.Option(help="Another bundle on the same slices; repeatable.")
    ] = None,
    map_: Annotated[
        list[str] | None, typer.Option("--map", help="What a label means, LABEL=CLASS; repeatable.")
    ] = None,
    gallery: Annotated[
        int, typer.Option(min=0, max=9999, help="Pictures of wrong and of right answers; 0 none.")
    ] = 16,
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Ask again with worse slices, strange pictures.")
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Slices, at least one a class, and strange pictures of a kind; default 300.",
        ),
    ] = None,
    explanations: Annotated[
        bool, typer.Option("--explanations", help="Test the heat maps.")
    ] = False,
    boxes: Annotated[
        Path | None,
        typer.Option(help="CSV of tumor boxes to test heat maps against; masks: the manifest's."),
    ] = None,
    resamples: Annotated[int, typer.Option(min=1, help="Resamples for intervals.")] = 1000,
    threads: Threads = 1,
    json_: Annotated[bool, typer.Option("--json", help="Print metrics.json.")] = False,
) -> None:
    """Measure a bundle on one split of a manifest, with intervals by group."""
    require_extra("evaluation with plots", "evaluate", "matplotlib")
    from slicewise.cli.evaluate_parts import Extras
    from slicewise.cli.evaluate_run import Wanted, run_evaluate

    if limit is not None and not robustness:
        raise typer.BadParameter("--limit needs --robustness")
    if boxes is not None and not explanations:
        raise typer.BadParameter("--boxes needs --explanations")
    extras = Extras(gallery, (limit or 300) if robustness else 0, explanations, boxes)
    wanted = Wanted(
        bundle=bundle,
        split=split,
        allow_seen=allow_seen,
        resamples=resamples,
        gate=gate,
        compare=compare or (),
        label_names=map_ or (),
        threads=threads,
        extras=extras,
    )
    text, passed = run_evaluate(manifest, out, wanted, as_json=json_)
    typer.echo(text)
    raise typer.Exit(0 if passed else 1)
