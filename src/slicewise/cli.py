"""The command line: one short function a command; each imports what it needs inside."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from slicewise.errors import SliceWiseError

app = typer.Typer(
    name="slicewise",
    help="Brain MRI slices to answers that can be checked. Research only, not a medical device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data = typer.Typer(
    help="Folders to manifests; audits; statistics; synthetic slices.", no_args_is_help=True
)
app.add_typer(data, name="data")

INTERRUPTED = 130
"""Exit code after Ctrl+C."""

Colormap = Literal["ember", "lagoon", "grey"]
StatsMode = Literal["save", "verify", "display"]
Manifest = Annotated[Path, typer.Argument(help="Manifest, .csv or .parquet.", metavar="M")]


def main() -> None:
    """Run the command line: exit 0 done, 1 the work failed, 2 wrong use, 130 interrupted."""
    try:
        app()
    except SliceWiseError as error:
        typer.echo(f"slicewise: {error}", err=True)
        sys.exit(1)
    except OSError as error:
        typer.echo(f"slicewise: {error.filename or 'a file'}: {error.strerror}", err=True)
        sys.exit(1)
    except SystemExit as ended:  # what Typer makes of Ctrl+C has the code of a killed process
        if ended.code == INTERRUPTED:
            typer.echo("slicewise: interrupted", err=True)
        raise


def _version(wanted: bool) -> None:
    if wanted:
        from slicewise import __version__

        typer.echo(f"slicewise {__version__}")
        raise typer.Exit


@app.callback()
def slicewise(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Brain MRI slices to answers that can be checked. Research only, not a medical device."""


@app.command()
def predict(
    paths: Annotated[
        list[str], typer.Argument(help="Pictures, DICOM, NIfTI, zips, folders.", metavar="PATH...")
    ],
    bundle: Annotated[
        Path | None, typer.Option(help="Bundle folder or zip; default the bundled model.")
    ] = None,
    explain: Annotated[
        Path | None, typer.Option(help="Write slice and heat map side by side here.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write one HTML page of all answers.")] = None,
    target: Annotated[
        str | None, typer.Option(help="Class whose heat map is drawn; default the answered one.")
    ] = None,
    colormap: Annotated[
        Colormap | None, typer.Option(help="Colours of heat maps; default ember.")
    ] = None,
    alpha: Annotated[
        float | None,
        typer.Option(min=0.05, max=1, help="Opacity of heat maps at their peak; default 0.6."),
    ] = None,
    tta: Annotated[bool, typer.Option("--tta", help="Average over test-time views.")] = False,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Tumor threshold instead of the model's.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="Print one JSON line an answer.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="Threads of one forward pass.")] = 1,
) -> None:
    """Answer for slices and series: label, probabilities, heat map, decision."""
    from slicewise.cli_predict import Output, run_predict

    if "" in paths:
        raise typer.BadParameter("a path is empty")
    if json_ and jsonl:
        raise typer.BadParameter("give --json or --jsonl, not both")
    form: Literal["text", "json", "jsonl"] = "json" if json_ else "jsonl" if jsonl else "text"
    if explain is None and target is not None:
        raise typer.BadParameter("--target needs --explain DIR")
    if explain is None and report is None and (colormap or alpha):
        raise typer.BadParameter("--colormap and --alpha need --explain DIR or --report FILE")
    output = Output(form, explain, report, target, colormap or "ember", alpha or 0.6)
    failed = run_predict(
        paths, output, bundle=bundle, tta=tta, threshold=threshold, threads=threads
    )
    raise typer.Exit(1 if failed else 0)


@data.command("build")
def data_build(
    roots: Annotated[
        list[Path],
        typer.Argument(help="Folders of class folders, or one YAML of sources.", metavar="ROOT..."),
    ],
    out: Annotated[Path, typer.Option(help="Manifest to write, .csv or .parquet.")],
    base: Annotated[
        Path | None, typer.Option(help="Folder that the roots of a YAML start from.")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help="four_class (default), three_class, binary or classes with commas."),
    ] = None,
    alias: Annotated[
        list[str] | None, typer.Option(help="Another folder name of a class, folder=class.")
    ] = None,
    skip: Annotated[list[str] | None, typer.Option(help="Class folder to leave out.")] = None,
    table: Annotated[
        str | None, typer.Option(help="CSV or Parquet with a row a slice, here or below the root.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Its column with path, file name or stem.")
    ] = None,
    patient_column: Annotated[str | None, typer.Option(help="Its column of patients.")] = None,
    group_column: Annotated[str | None, typer.Option(help="Its column of groups.")] = None,
    fold_column: Annotated[str | None, typer.Option(help="Its column of folds.")] = None,
    pattern: Annotated[
        str | None, typer.Option(help="Regular expression on the path, (?P<patient>...).")
    ] = None,
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
    from slicewise.cli_data import build_config, run_build

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
    task: Annotated[
        str | None,
        typer.Option(help="four_class (default), three_class, binary or classes with commas."),
    ] = None,
    alias: Annotated[
        list[str] | None, typer.Option(help="Another folder name of a class, folder=class.")
    ] = None,
    skip: Annotated[list[str] | None, typer.Option(help="Class folder to leave out.")] = None,
    pattern: Annotated[
        str | None, typer.Option(help="Regular expression on the path, (?P<patient>...).")
    ] = None,
    base: Annotated[
        Path | None, typer.Option(help="Folder that the roots of a YAML start from.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print audit.json.")] = False,
) -> None:
    """Find copies, leaks, contradictions, memory, shortcuts and strangers in a data set."""
    _require_extra("an audit", "evaluate", "sklearn")
    from slicewise.cli_data import build_config
    from slicewise.cli_data_audit import is_manifest, run_audit

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
    from slicewise.cli_data import run_stats

    typer.echo(run_stats(manifest, mode, size))


@data.command("phantom")
def data_phantom(
    out: Annotated[Path, typer.Argument(help="Folder to write into.", metavar="OUT")],
    count: Annotated[int, typer.Option(min=1, help="Pictures of each class.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same pictures.")] = 42,
    size: Annotated[int, typer.Option(min=64, max=2048, help="Side of a picture, pixels.")] = 512,
) -> None:
    """Draw synthetic slices for demos and tests; never for training or figures."""
    from slicewise.data.phantom.files import write_phantoms

    paths = write_phantoms(out, count, seed, size)
    typer.echo(f"{len(paths)} synthetic files in {out}")


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="YAML of the run.", metavar="CONFIG")],
    folds: Annotated[
        bool, typer.Option("--folds", help="Hold out each fold once, then train on all.")
    ] = False,
    fold: Annotated[
        list[str] | None, typer.Option(help="Only hold out this fold; may be repeated.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="safetensors to start from; instead of model.weights.")
    ] = None,
    refit: Annotated[
        bool,
        typer.Option("--refit", help="Of finished runs: fit the decision, write bundles anew."),
    ] = False,
) -> None:
    """Train a model and write its bundle; run the same command again to go on."""
    _require_extra("training", "train", "torch")
    from slicewise.cli_train import run_train, told

    for bundle in run_train(config, folds=folds, only=fold or [], weights=weights, refit=refit):
        typer.echo(told(bundle))


@app.command()
def evaluate(
    manifest: Manifest,
    out: Annotated[Path, typer.Option(help="Folder for report, figures, tables and plots.")],
    bundle: Annotated[
        Path | None, typer.Option(help="Bundle folder or zip; default the bundled model.")
    ] = None,
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
        typer.Option(min=1, help="Slices, and strange pictures of a kind, for it; default 300."),
    ] = None,
    explanations: Annotated[
        bool, typer.Option("--explanations", help="Test the heat maps.")
    ] = False,
    boxes: Annotated[
        Path | None,
        typer.Option(help="CSV of tumor boxes to test heat maps against; masks: the manifest's."),
    ] = None,
    resamples: Annotated[int, typer.Option(min=1, help="Resamples for intervals.")] = 1000,
    threads: Annotated[int, typer.Option(min=1, help="Threads of one forward pass.")] = 1,
    json_: Annotated[bool, typer.Option("--json", help="Print metrics.json.")] = False,
) -> None:
    """Measure a bundle on one split of a manifest, with intervals by group."""
    _require_extra("evaluation with plots", "evaluate", "matplotlib")
    from slicewise.cli_evaluate import Wanted, run_evaluate
    from slicewise.cli_evaluate_parts import Extras

    if limit is not None and not robustness:
        raise typer.BadParameter("--limit needs --robustness")
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


def _require_extra(what: str, extra: str, module: str) -> None:
    from importlib.util import find_spec

    from slicewise.errors import MissingExtraError

    if find_spec(module) is None:
        raise MissingExtraError(what, extra)
