"""`slicewise data`: folders to manifests, audits of them, statistics and synthetic slices."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from slicewise.cli.options import AsJson, ManifestPath, require_extra, show, show_json
from slicewise.errors import ConfigError
from slicewise.files import require_file, require_folder

StatsMode = Literal["save", "verify", "display"]
Task = Annotated[
    str | None,
    typer.Option(
        help="The classes: four_class, three_class, binary, or names with commas between them. "
        "The default is four_class."
    ),
]
Alias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FOLDER=CLASS",
        help="The class that a folder of another name holds. The option may be repeated.",
    ),
]
Skip = Annotated[
    list[str] | None, typer.Option(help="A class folder to leave out. The option may be repeated.")
]
Pattern = Annotated[
    str | None,
    typer.Option(help="A regular expression on paths with (?P<patient>...). Default: none."),
]
Base = Annotated[
    Path | None,
    typer.Option(help="The folder of the roots in a YAML file. The default is the file's own."),
]
_MOST_WORKERS = 4

data = typer.Typer(help="Build and audit manifests; draw synthetic slices.", no_args_is_help=True)


@data.command("build")
def data_build(
    roots: Annotated[
        list[Path],
        typer.Argument(help="Folders of classes, or a YAML file of sources.", metavar="ROOT"),
    ],
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="The manifest to write, a .csv or .parquet file.")
    ],
    base: Base = None,
    task: Task = None,
    alias: Alias = None,
    skip: Skip = None,
    table: Annotated[
        str | None, typer.Option(help="A .csv or .parquet table with a row a slice.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="The column with path, file name or stem.")
    ] = None,
    patient_column: Annotated[str | None, typer.Option(help="The column with patients.")] = None,
    group_column: Annotated[str | None, typer.Option(help="The column with groups.")] = None,
    fold_column: Annotated[str | None, typer.Option(help="The column with folds.")] = None,
    pattern: Pattern = None,
    test_fold: Annotated[
        str | None, typer.Option(help="The fold to test on. The default is the first.")
    ] = None,
    val_fold: Annotated[
        str | None, typer.Option(help="The fold to validate on. The default is the next.")
    ] = None,
    on_conflict: Annotated[
        str | None,
        typer.Option(help="A group in several folds: refuse, drop or move. The default is refuse."),
    ] = None,
    copies: Annotated[
        str | None, typer.Option(help="Copies of a slice to keep: all or one. The default is all.")
    ] = None,
    published_splits: Annotated[
        bool,
        typer.Option("--published-splits", help="Keep the folders Training and Testing as splits."),
    ] = False,
    no_known: Annotated[
        bool, typer.Option("--no-known", help="Do not look for known public slices.")
    ] = False,
    known_conflicts: Annotated[
        str | None,
        typer.Option(
            help="Known slices published under contradicting labels: drop or keep. The default is "
            "drop."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the split. The default is 42.")] = None,
) -> None:
    """Build a manifest of folders, with leak-free groups and splits."""
    from slicewise.data.build.build import build
    from slicewise.data.build.config import build_config
    from slicewise.progress import steps

    columns = {
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
        "known": False if no_known else None,
        "known_conflicts": known_conflicts,
        "seed": seed,
    }
    config = build_config(
        roots, base, columns, rules, aliases=alias or (), skip=skip or (), pattern=pattern
    )
    require_file(out, ".csv", ".parquet")
    with steps() as progress:
        built = build(config, progress)
    built.write(out)
    show(f"{built.report.summary()}\n\nmanifest: {out}")
    show(f"left out: {out.with_suffix('.excluded.csv')}")


@data.command("audit")
def data_audit(
    roots: Annotated[
        list[Path],
        typer.Argument(
            help="Folders of class folders, or one YAML file of sources, or one manifest.",
            metavar="ROOT|MANIFEST",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(metavar="DIR", help="The folder for audit.html, audit.json and clean.csv."),
    ],
    task: Task = None,
    alias: Alias = None,
    skip: Skip = None,
    pattern: Pattern = None,
    base: Base = None,
    json_: AsJson = False,
) -> None:
    """Find copies, leaks, wrong labels and shortcuts in a data set."""
    require_extra("an audit", "evaluate", "sklearn")
    from slicewise.data.build.config import build_config
    from slicewise.data.quality.audit import PAGE_NAME, audit_folders, audit_manifest
    from slicewise.progress import steps

    tables = [root for root in roots if root.suffix.lower() in {".csv", ".tsv", ".parquet"}]
    if tables and any((task, alias, skip, pattern, base)):
        raise typer.BadParameter("a manifest is audited as it is: give --out and --json only")
    if tables and len(roots) > 1:
        raise ConfigError(f"{tables[0]}: expected one manifest by itself, or folders")
    require_folder(out)
    workers = min(_MOST_WORKERS, os.cpu_count() or 1)
    with steps() as progress:
        if tables:
            audit = audit_manifest(roots[0], workers, progress)
        else:
            rules, lists = {"task": task}, {"aliases": alias or (), "skip": skip or ()}
            config = build_config(roots, base, {}, rules, pattern=pattern, **lists)
            audit = audit_folders(config, workers, progress, progress.say)
        audit.write(out, progress)
    if json_:
        show_json(audit.as_json())
        return
    for finding in audit.verdict:
        show(f"{finding.severity + ':':<9}{finding.text}")
    show(f"\npage: {out / PAGE_NAME}\nfiles: {out}")


@data.command("known")
def data_known(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Pictures, DICOM, NIfTI, zips, or folders of them.", metavar="PATH"),
    ],
    csv: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write one row a slice to this .csv or .parquet file."),
    ] = None,
    json_: AsJson = False,
) -> None:
    """Say which slices are public already, and of which patients.

    Copies, and labels that contradict each other, are told too. The exit code is 1 where an input
    could not be read. The others are looked up all the same.
    """
    from slicewise.data.public.index import public_index
    from slicewise.data.public.lookup import COLUMNS, LookUp, look_up
    from slicewise.data.tables import write_table
    from slicewise.imaging.slice import Failure
    from slicewise.text import counted

    if csv is not None:
        require_file(csv, ".csv", ".parquet")
    found, skipped = LookUp(), list[str]()
    for one in look_up(paths, public_index(), skipped.append):
        if isinstance(one, Failure):
            found.failures.append(one)
            show(f"{one.source}\n  error: {one.error}", err=True)
        else:
            found.slices.append(one)
            if not json_:
                show(one.text())
    if csv is not None:
        csv.parent.mkdir(parents=True, exist_ok=True)
        write_table(csv, found.rows(), COLUMNS)
    if json_:
        show_json(found.as_json())
    if len(found.slices) + len(found.failures) > 1:
        show(found.summary(), err=True)
    if skipped:
        show(f"skipped {counted(len(skipped), 'file')} not meant as images", err=True)
    raise typer.Exit(1 if found.failures else 0)


@data.command("stats")
def data_stats(
    manifest: ManifestPath,
    mode: Annotated[
        StatsMode,
        typer.Option(help="Save the statistics beside the manifest, verify them or display them."),
    ] = "save",
    size: Annotated[
        int,
        typer.Option(min=32, max=1024, help="The side of a preprocessed slice in pixels, to save."),
    ] = 224,
) -> None:
    """Take mean and standard deviation of the training split."""
    from slicewise.data import statistics
    from slicewise.data.manifest import Manifest
    from slicewise.imaging.preprocess import PreprocessSpec
    from slicewise.progress import steps

    path = manifest.with_suffix(".stats.json")
    if mode == "display":
        show(statistics.load_statistics(path).summary())
        return
    rows = Manifest.read(manifest)
    with steps() as progress:
        if mode == "verify":
            found = statistics.verify_statistics(statistics.load_statistics(path), rows, progress)
        else:
            found = statistics.compute_statistics(rows, PreprocessSpec(size=size), progress)
    if mode == "save":
        statistics.save_statistics(found, path)
    show(found.summary())
    show("verified" if mode == "verify" else f"saved: {path}")


@data.command("phantom")
def data_phantom(
    out: Annotated[Path, typer.Argument(help="The folder to write into.", metavar="OUT")],
    count: Annotated[int, typer.Option(min=1, help="The number of pictures of each class.")] = 3,
    seed: Annotated[
        int, typer.Option(min=0, help="The seed. The same seed gives the same pictures.")
    ] = 42,
    size: Annotated[
        int, typer.Option(min=64, max=2048, help="The side of a picture in pixels.")
    ] = 512,
) -> None:
    """Draw synthetic slices, for demos and tests only."""
    from slicewise.synthetic.phantom_files import write_phantoms

    require_folder(out)
    paths = write_phantoms(out, count, seed, size)
    show(f"{len(paths)} synthetic files in {out}")
