"""The options of `slicewise data`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from slicewise.cli.options import Manifest, require_extra

StatsMode = Literal["save", "verify", "display"]
Task = Annotated[
    str | None,
    typer.Option(help="four_class (default), three_class, binary or classes with commas."),
]
Alias = Annotated[
    list[str] | None, typer.Option(help="Another folder name of a class, folder=class.")
]
Skip = Annotated[list[str] | None, typer.Option(help="Class folder to leave out.")]
Pattern = Annotated[
    str | None, typer.Option(help="Regular expression on the path, (?P<patient>...).")
]
Base = Annotated[Path | None, typer.Option(help="Folder that the roots of a YAML start from.")]

data = typer.Typer(
    help="Folders to manifests; audits; statistics; synthetic slices.", no_args_is_help=True
)


@data.command("build")
def data_build(
    roots: Annotated[
        list[Path],
        typer.Argument(help="Folders of class folders, or one YAML of sources.", metavar="ROOT..."),
    ],
    out: Annotated[Path, typer.Option(help="Manifest to write, .csv or .parquet.")],
    base: Base = None,
    task: Task = None,
    alias: Alias = None,
    skip: Skip = None,
    table: Annotated[
        str | None, typer.Option(help="CSV or Parquet with a row a slice, here or below the root.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Its column with path, file name or stem.")
    ] = None,
    patient_column: Annotated[str | None, typer.Option(help="Its column of patients.")] = None,
    group_column: Annotated[str | None, typer.Option(help="Its column of groups.")] = None,
    fold_column: Annotated[str | None, typer.Option(help="Its column of folds.")] = None,
    pattern: Pattern = None,
    test_fold: Annotated[str | None, typer.Option(help="Fold to test on.")] = None,
    val_fold: Annotated[str | None, typer.Option(help="Fold to validate on.")] = None,
    on_conflict: Annotated[
        str | None, typer.Option(help="A group in several folds: refuse (default), drop or move.")
    ] = None,
    copies: Annotated[
        str | None, typer.Option(help="Keep all copies of a slice in one group, or one.")
    ] = None,
    published_splits: Annotated[
        bool, typer.Option("--published-splits", help="Keep Training/Testing folders as splits.")
    ] = False,
    seed: Annotated[int | None, typer.Option(help="Of the split; default 42.")] = None,
) -> None:
    """Folders to a manifest: classes, duplicates, leak-free groups, split."""
    from slicewise.cli.data_build import build_config, run_build

    table_fields = {
        "path": table,
        "key": key,
        "patient_column": patient_column,
        "group_column": group_column,
        "fold_column": fold_column,
    }
    rules = {
        "task": task,
        "test_fold": test_fold,
        "val_fold": val_fold,
        "on_conflict": on_conflict,
        "copies": copies,
        "published_splits": published_splits or None,
        "seed": seed,
    }
    config = build_config(
        roots, base, table_fields, rules, aliases=alias or (), skip=skip or (), pattern=pattern
    )
    typer.echo(run_build(config, out))


@data.command("audit")
def data_audit(
    roots: Annotated[
        list[Path],
        typer.Argument(
            help="Folders of class folders, or one YAML of sources, or one manifest.",
            metavar="ROOT...|MANIFEST",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for audit.html, audit.json and clean.csv.")],
    task: Task = None,
    alias: Alias = None,
    skip: Skip = None,
    pattern: Pattern = None,
    base: Base = None,
    json_: Annotated[bool, typer.Option("--json", help="Print audit.json.")] = False,
) -> None:
    """Find copies, leaks, contradictions, memory, shortcuts and strangers in a data set."""
    require_extra("an audit", "evaluate", "sklearn")
    from slicewise.cli.data_audit import is_manifest, run_audit
    from slicewise.cli.data_build import build_config

    if is_manifest(roots):
        if any((task, alias, skip, pattern, base)):
            raise typer.BadParameter("a manifest is audited as it is: only --out and --json go")
        typer.echo(run_audit(roots[0], out, as_json=json_))
        return
    config = build_config(
        roots, base, {}, {"task": task}, aliases=alias or (), skip=skip or (), pattern=pattern
    )
    typer.echo(run_audit(config, out, as_json=json_))


@data.command("stats")
def data_stats(
    manifest: Manifest,
    mode: Annotated[
        StatsMode, typer.Option(help="save beside the manifest, verify, or display.")
    ] = "save",
    size: Annotated[
        int, typer.Option(min=32, max=1024, help="Side of the square, for save.")
    ] = 224,
) -> None:
    """Mean and standard deviation of the training split, after the pixel pipeline."""
    from slicewise.cli.data_build import run_stats

    typer.echo(run_stats(manifest, mode, size))


@data.command("phantom")
def data_phantom(
    out: Annotated[Path, typer.Argument(help="Folder to write into.", metavar="OUT")],
    count: Annotated[int, typer.Option(min=1, help="Pictures of each class.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same pictures.")] = 42,
    size: Annotated[int, typer.Option(min=64, max=2048, help="Side of a picture, pixels.")] = 512,
) -> None:
    """Draw synthetic slices for demos and tests; never for training or figures."""
    from slicewise.synthetic.phantom.files import write_phantoms

    paths = write_phantoms(out, count, seed, size)
    typer.echo(f"{len(paths)} synthetic files in {out}")
