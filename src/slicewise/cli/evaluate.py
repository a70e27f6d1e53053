"""`slicewise evaluate`: a bundle on one split of a manifest, as a report."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from slicewise.cli.options import BundlePath, ManifestPath, Threads, require_extra, show, show_json
from slicewise.errors import ConfigError
from slicewise.files import require_folder

if TYPE_CHECKING:
    from slicewise.evaluation.gate import Judgement
    from slicewise.inference.bundle import Bundle
    from slicewise.inference.classifier import Classifier

Split = Literal["train", "val", "test", "all"]


def evaluate(
    manifest: ManifestPath,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder for report, metrics, tables and plots.")
    ],
    bundle: BundlePath = None,
    split: Annotated[
        Split | None,
        typer.Option(help="The split to use. The default is test, or all without splits."),
    ] = None,
    allow_seen: Annotated[
        bool,
        typer.Option(
            "--allow-seen", help="Keep slices that the model was trained on. Every output says so."
        ),
    ] = False,
    gate: Annotated[
        Path | None,
        typer.Option(
            help="A YAML file of limits. Exit code 1 where one is missed. The default is none."
        ),
    ] = None,
    compare: Annotated[
        list[Path] | None,
        typer.Option(help="Another bundle on the same slices. The option may be repeated."),
    ] = None,
    map_: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="LABEL=CLASS",
            help="The class that a label of the manifest means. The option may be repeated.",
        ),
    ] = None,
    gallery: Annotated[
        int,
        typer.Option(
            min=0, max=9999, help="The number of wrong and of right answers that are drawn."
        ),
    ] = 16,
    robustness: Annotated[
        bool,
        typer.Option(
            "--robustness", help="Also test image corruptions and out-of-distribution inputs."
        ),
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(
            help="Slices, and inputs of each kind, that --robustness tests: one of each class, or "
            "more. The default is 300."
        ),
    ] = None,
    explanations: Annotated[
        bool, typer.Option("--explanations", help="Also test the heat maps.")
    ] = False,
    boxes: Annotated[
        Path | None,
        typer.Option(
            help="Tumor boxes for --explanations, a .csv. The default is the manifest's masks."
        ),
    ] = None,
    resamples: Annotated[
        int, typer.Option(min=50, max=2000, help="The number of resamples for intervals.")
    ] = 1000,
    threads: Threads = None,
    json_: Annotated[
        bool, typer.Option("--json", help="Print metrics.json instead of text.")
    ] = False,
) -> None:
    """Measure a bundle on one split of a manifest, with intervals."""
    if limit is not None and not robustness:
        raise typer.BadParameter("--limit needs --robustness")
    if boxes is not None and not explanations:
        raise typer.BadParameter("--boxes needs --explanations")
    require_extra("evaluation with plots", "evaluate", "matplotlib")
    from slicewise.data.manifest import Manifest
    from slicewise.evaluation.evaluate import choose, default_split, evaluate
    from slicewise.evaluation.gate import judge, load_gate
    from slicewise.evaluation.labels import require_labels
    from slicewise.evaluation.parts import parts_of
    from slicewise.evaluation.slices import require_places
    from slicewise.inference.classifier import Classifier
    from slicewise.progress import steps
    from slicewise.stats.bootstrap import Bootstrap

    require_folder(out)
    limits = None if gate is None else load_gate(gate)
    names = _pairs(map_ or ())
    places = 300 if limit is None else limit
    parts = parts_of(
        gallery=gallery,
        robustness=places if robustness else 0,
        explanations=explanations,
        boxes=boxes,
        shuffled=_shuffled,
    )
    slices = Manifest.read(manifest)
    require_labels(names, slices)
    part = split or default_split(slices)
    classifier = Classifier.load(bundle, threads or 1)
    if robustness:
        require_places(places, choose(slices, part, classifier.bundle, names).rows)
    rivals = [Classifier.load(path, threads or 1) for path in compare or ()]
    with steps() as progress:
        report = evaluate(
            slices,
            classifier,
            out,
            command=shlex.join(["slicewise", *sys.argv[1:]]),
            split=part,
            allow_seen=allow_seen,
            bootstrap=Bootstrap(resamples=resamples),
            label_names=names,
            gate=limits,
            rivals=rivals,
            parts=parts,
            progress=progress,
        )
    judgement = None if limits is None else judge(limits, report)
    if json_:
        show_json(report)
    else:
        show("\n".join(_text(report, judgement, out / "report.html")))
    raise typer.Exit(0 if judgement is None or judgement.passed else 1)


def _pairs(given: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for text in given:
        label, equals, class_ = text.partition("=")
        if not (label and equals and class_):
            raise ConfigError(f"--map {text!r}: expected LABEL=CLASS")
        pairs[label] = class_
    return pairs


def _shuffled(bundle: Bundle) -> Mapping[str, Classifier] | str:
    """The model with permuted weights, or why there is none."""
    if find_spec("onnx") is None:
        return "skipped: permuting the weights needs pip install 'slicewise[train]'"
    from slicewise.training.export.randomise import shuffled_classifiers

    return shuffled_classifiers(bundle)


def _text(report: Mapping[str, Any], judgement: Judgement | None, page: Path) -> Iterator[str]:
    from slicewise.evaluation.report import SEEN_NOTICE
    from slicewise.evaluation.sections.headlines import headlines
    from slicewise.inference.results import DISCLAIMER

    refused = ", ".join(
        f"{entry['count']} {kind.replace('_', ' ')}"
        + ("" if entry.get("checked", True) else " (not checked)")
        for kind, entry in report["refused"].items()
    )
    yield f"{report['n']} slices in {report['groups']} groups; refused: {refused}"
    if report["allow_seen"]:
        seen, others = (report[f"{kind}_evaluated"]["count"] for kind in ("seen", "same_patients"))
        if seen or others:
            more = f", and {others} others of their patients" if others else ""
            yield f"{SEEN_NOTICE}: {seen}{more}"
    yield from (f"caution: {sentence}" for sentence in report["cautions"])
    yield from (f"  {h.title:<24} {h.text(report)}" for h in headlines(report))
    if judgement is not None:
        yield judgement.outcome
        yield from (f"  {c.metric}: {c.explanation}" for c in judgement.checks if not c.passed)
    yield f"report: {page}"
    yield DISCLAIMER
