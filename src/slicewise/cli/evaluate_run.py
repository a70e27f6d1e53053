"""What `slicewise evaluate` does with its options, and what it prints."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slicewise.cli.evaluate_checks import (
    require_labels,
    require_manifest,
    require_places,
)
from slicewise.cli.evaluate_parts import Extras, parts_of
from slicewise.cli.out import require_folder
from slicewise.cli.progress import steps
from slicewise.data.manifest import Manifest
from slicewise.errors import ConfigError
from slicewise.evaluation.evaluate import choose, default_split, evaluate
from slicewise.evaluation.gate import Gate, judge, load_gate
from slicewise.evaluation.report import SEEN_NOTICE
from slicewise.evaluation.sections.headlines import headlines
from slicewise.inference.classifier import Classifier
from slicewise.inference.results import DISCLAIMER
from slicewise.stats.bootstrap import Bootstrap


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be measured.

    Args:
        bundle: Folder or zip; None for the bundled model.
        split: Which slices; None for `test`, or for all where the manifest has no splits.
        allow_seen: Keep slices the model was trained on.
        resamples: How often groups are drawn for intervals.
        gate: File of limits.
        compare: Bundles to compare with.
        label_names: What labels mean, each `LABEL=CLASS`.
        threads: Of one forward pass.
        extras: What is to be looked at beyond the answers.
    """

    bundle: Path | None
    split: str | None
    allow_seen: bool
    resamples: int
    gate: Path | None
    compare: Sequence[Path]
    label_names: Sequence[str]
    threads: int
    extras: Extras


def run_evaluate(manifest: Path, out: Path, wanted: Wanted, *, as_json: bool) -> tuple[str, bool]:
    """Evaluate; say what to print and whether the gate, if any, was passed.

    Args:
        manifest: CSV or Parquet.
        out: Folder for the files.
        wanted: What is to be measured.
        as_json: Print all of `metrics.json`, not the headlines.
    """
    require_manifest(manifest)
    require_folder(out)
    gate = None if wanted.gate is None else load_gate(wanted.gate)
    names = _pairs(wanted.label_names)
    parts = parts_of(wanted.extras)
    slices = Manifest.read(manifest)
    require_labels(names, slices)
    split = wanted.split or default_split(slices)
    classifier = Classifier.load(wanted.bundle, wanted.threads)
    if wanted.extras.robustness:
        chosen = choose(slices, split, classifier.bundle, names)
        require_places(wanted.extras.robustness, chosen.rows)
    rivals = [Classifier.load(path, wanted.threads) for path in wanted.compare]
    with steps() as progress:
        report = evaluate(
            slices,
            classifier,
            out,
            command=shlex.join(["slicewise", *sys.argv[1:]]),
            split=split,
            allow_seen=wanted.allow_seen,
            bootstrap=Bootstrap(resamples=wanted.resamples),
            label_names=names,
            gate=gate,
            rivals=rivals,
            parts=parts,
            progress=progress,
        )
    passed, standing = _judged(gate, report)
    if as_json:
        return json.dumps(report, indent=2, ensure_ascii=False), passed
    lines = [*_headlines(report), *standing, f"report: {out / 'report.html'}", DISCLAIMER]
    return "\n".join(lines), passed


def _pairs(given: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for text in given:
        label, equals, class_ = text.partition("=")
        if not (label and equals and class_):
            raise ConfigError(f"--map {text!r}: expected LABEL=CLASS")
        pairs[label] = class_
    return pairs


def _judged(gate: Gate | None, report: Mapping[str, Any]) -> tuple[bool, list[str]]:
    """Whether the gate was passed, and what to print of it."""
    if gate is None:
        return True, []
    judgement = judge(gate, report)
    missed = [f"  {c.figure}: {c.said}" for c in judgement.checks if not c.passed]
    return judgement.passed, [judgement.words, *missed]


def _headlines(report: Mapping[str, Any]) -> list[str]:
    refused = {kind: entry["count"] for kind, entry in report["refused"].items()}
    lines = [
        f"{report['n']} slices in {report['groups']} groups; refused: "
        + ", ".join(f"{count} {kind}" for kind, count in refused.items())
    ]
    if report["allow_seen"] and report["seen_evaluated"]["count"]:
        lines.append(f"{SEEN_NOTICE}: {report['seen_evaluated']['count']}")
    lines += [f"caution: {sentence}" for sentence in report["cautions"]]
    return lines + [f"  {h.title:<24} {h.text(report)}" for h in headlines(report)]
