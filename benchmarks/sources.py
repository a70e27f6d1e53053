"""What the models of a cross-validation say of each collection that they did not see.

`python -m benchmarks.sources MANIFEST RUN --out sources.json` takes the manifest a cross-validation
was trained from, with the slices whose tumor type is not told, and the folder of its folds. Each
slice is answered by the model of the fold that held it out, with calibration, threshold and limit
of acceptance fitted on the held-out answers of the other folds, as those of the final model are on
all folds, and its own limits on unlike pictures. Each collection is reported by itself, where it
tells nothing of the class if it has slices with and without a tumor: tumor against no tumor, how
often the label is right, what is accepted, and the calibration. Beside it stands how often the
label is the one that training would have taken a slice of an untold type for.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from benchmarks.fold_rules import rule_of_folds
from slicewise.arrays import Bools, Floats, Ints, Strings
from slicewise.data.manifest import TAKEN_COLUMN, Manifest, ManifestRow
from slicewise.data.tasks import NO_TUMOR, TUMOR
from slicewise.imaging.batches import batched
from slicewise.imaging.read import read_slice
from slicewise.inference.bundle import load_bundle
from slicewise.inference.classifier import Classifier
from slicewise.inference.decision import Prediction, Verdict
from slicewise.stats.bootstrap import Bootstrap, Key, Quantity, group_intervals
from slicewise.stats.intervals import share_of
from slicewise.stats.metrics import auroc, ece_of
from slicewise.training.config import BundleConfig, load_config
from slicewise.training.loop.checks import CONFIG_NAME

BATCH = 32


@dataclass(frozen=True)
class Answered:
    """One slice and what the model that never saw it says."""

    row: ManifestRow
    prediction: Prediction


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("run", type=Path, help="Folder of a cross-validation, with fold-N inside.")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    folds = folds_of(given.run)
    if len(folds) < 2:
        parser.error(f"expected at least two finished folds in {given.run}; got {len(folds)}")
    manifest = Manifest.read(given.manifest)
    answered = [one for folder in folds for one in held_out(manifest, folder, folds)]
    report = {name: figures(found) for name, found in by_source(answered).items()}
    given.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=2))


def folds_of(run: Path) -> list[Path]:
    """Folders of the finished folds of a run."""
    return sorted(folder for folder in run.glob("fold-*") if (folder / "bundle").is_dir())


def held_out(manifest: Manifest, folder: Path, folds: Sequence[Path]) -> list[Answered]:
    """Slices that a fold held out, answered by its model.

    A slice whose group has a part in the fold's training is left out, which whole folds do not
    have.

    Args:
        manifest: What the folds were made of.
        folder: Of the fold.
        folds: Of all folds; the others' answers fit the rule.
    """
    config = load_config(folder / CONFIG_NAME)
    column = config.folds.name
    fold = folder.name.removeprefix("fold-")
    trained = {row.group for row in Manifest.read(folder / "manifest.csv").subset("train").rows}
    chosen = [
        row for row in manifest.rows if row.extra[column] == fold and row.group not in trained
    ]
    classifier = ruled_by([other for other in folds if other != folder], folder, config.bundle)
    slices = (read_slice(manifest.resolve(row)) for row in chosen)
    shown = track(slices, folder.name, len(chosen), console=Console(stderr=True), transient=True)
    predictions = [p for batch in batched(shown, BATCH) for p in classifier.predict(batch)]
    return [Answered(row, p) for row, p in zip(chosen, predictions, strict=True)]


def ruled_by(others: Sequence[Path], folder: Path, settings: BundleConfig) -> Classifier:
    """The model of a fold, deciding by the rule of the other folds and its own limits."""
    bundle = load_bundle(folder / "bundle")
    limits = bundle.info.decision.out_of_distribution
    rule = rule_of_folds(others, bundle.negative_class, settings)
    rule = rule.model_copy(update={"out_of_distribution": limits})
    return Classifier(replace(bundle, info=bundle.info.model_copy(update={"decision": rule})))


def by_source(answered: Sequence[Answered]) -> dict[str, list[Answered]]:
    """Answers by collection, sorted."""
    found: dict[str, list[Answered]] = defaultdict(list)
    for one in answered:
        found[one.row.source].append(one)
    return dict(sorted(found.items()))


def figures(answered: Sequence[Answered]) -> dict[str, Any]:
    """Of one collection, with intervals by group; what it has no slices for is null, and says why.

    `right` is the share of right labels, of each class; `a_group` is its mean over groups, of the
    slices without a tumor. Decisions and calibration are those of slices of a told type.
    """
    groups = np.array([one.row.group for one in answered])
    told = np.array([one.row.label != TUMOR for one in answered])
    tumor = np.array([one.row.label != NO_TUMOR for one in answered])
    taken = np.array([bool(one.row.extra.get(TAKEN_COLUMN)) for one in answered])
    found = group_intervals(_quantities(answered, groups), groups, groups, Bootstrap())
    return {
        "with_tumor": int(tumor.sum()),
        "without": int((~tumor).sum()),
        "typed": int((tumor & told).sum()),
        "taken": int(taken.sum()),
        "groups": len(set(groups.tolist())),
        **{".".join(key): value.as_json() for key, value in found.items()},
    }


def _quantities(answered: Sequence[Answered], groups: Strings) -> dict[Key, Quantity]:
    """What is measured of a collection, of slice indices."""
    predictions = [one.prediction for one in answered]
    labels = np.array([one.label for one in predictions])
    said = np.array([one.row.label for one in answered])
    taken = np.array([one.row.extra.get(TAKEN_COLUMN) or "" for one in answered])
    scores = np.array([one.tumor_probability for one in predictions])
    flags = np.array([one.tumor_flag for one in predictions])
    sure = np.array([one.confidence for one in predictions])
    accepted = np.array([one.decision is Verdict.ACCEPT for one in predictions])
    tumor, told, right = said != NO_TUMOR, said != TUMOR, labels == said
    a_group, firsts = _by_group(right, groups, ~tumor)

    def calibration(chosen: Ints) -> float:
        own = chosen[told[chosen]]
        return ece_of(sure[own], right[own])

    return {
        ("auroc",): lambda i: auroc(scores[i], tumor[i]),
        ("sensitivity",): share_of(flags, tumor),
        ("specificity",): share_of(~flags, ~tumor),
        ("none_right",): share_of(right, ~tumor),
        ("none_right", "a_group"): share_of(a_group, firsts),
        ("type_right",): share_of(right, tumor & told),
        **{("right", name): share_of(right, said == name) for name in sorted(set(said[told]))},
        ("type_as_taken",): share_of(labels == taken, taken != ""),
        ("accepted",): share_of(accepted, told),
        ("accepted", "right"): share_of(right, told & accepted),
        ("calibration_error",): calibration,
    }


def _by_group(hits: Bools, groups: Strings, among: Bools) -> tuple[Floats, Bools]:
    """(N,) the share of hits of a group at the first of its slices that are `among`, and where."""
    shares, firsts = np.zeros(len(hits)), np.zeros(len(hits), dtype=np.bool_)
    for group in np.unique(groups[among]):
        own = np.flatnonzero(among & (groups == group))
        shares[own[0]], firsts[own[0]] = hits[own].mean(), True
    return shares, firsts


if __name__ == "__main__":
    main()
