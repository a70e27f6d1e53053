"""How often images pictures and unseen kinds of tumor are accepted, and real slices refused.

`python -m benchmarks.refusal RUN --out refusal.json` takes the folder of a cross-validation
(`RUN/fold-N` with bundle, manifest and evaluation). Each fold is decided as by the final model:
calibration, threshold, prediction sets and acceptance come from the pooled held-out answers of the
other folds. The limits on unlike pictures are those of the fold's own model, fitted on its own
validation groups, but with one half of the kinds of images pictures; what is reported are its
held-out fold and the kinds of the other half, which it never saw. Both halves are done in turn.

`--without CLASS=RUN/fold-N` (repeatable) adds a model that was trained without a class: how many
slices of that class, all of them new to it, are accepted. Of such a model there is one fold only:
its rule is fitted on the answers of its held-out groups, as the shipped one is, and the share of
these that it accepts stands beside.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from benchmarks.fold_rules import rule_of_folds
from slicewise.arrays import Floats
from slicewise.data.manifest import Manifest
from slicewise.data.tasks import NO_TUMOR
from slicewise.fitting.ood_fit import Seen, cross_scores, fit_ood_detector, limits_of
from slicewise.imaging.read import read_slice
from slicewise.imaging.slice import Slice
from slicewise.inference.bundle import OOD_NAME, TRUST_NAME, load_bundle
from slicewise.inference.classifier import Answer, Classifier
from slicewise.inference.decision import Reason, Verdict
from slicewise.inference.rule import DecisionRule
from slicewise.inference.trust import TrustReference, trust_scores
from slicewise.predictions.table import JOINT, PredictionTable, pooled
from slicewise.stats.bootstrap import Bootstrap, group_intervals
from slicewise.stats.intervals import share_of
from slicewise.synthetic.ood.kinds import KINDS, kinds_of, ood_slices
from slicewise.synthetic.ood.picture import Kind
from slicewise.training.config import BundleConfig, RunConfig, load_config
from slicewise.training.crossval.pooled_report import GATES
from slicewise.training.data.dataset import load_split
from slicewise.training.export.decision_fit import (
    donors_of,
    evidence_of,
    fit_decision,
    ood_evidence,
)
from slicewise.training.loop.checks import CONFIG_NAME

SEED = 42
BATCH = 32

Outcome = tuple[Verdict, list[Reason], str]
"""Decision, reasons and label of one picture."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model with a rule fitted here, deciding by the product's own code."""

    classifier: Classifier

    @property
    def rule(self) -> DecisionRule:
        """Its decision rule."""
        return self.classifier.bundle.info.decision

    def verdicts(self, slices: Sequence[Slice]) -> list[Outcome]:
        """Decision, reasons and label of each slice."""
        said = [answer.prediction for answer in self.answers(slices)]
        return [(one.decision, one.reasons, one.label) for one in said]

    def answers(self, slices: Sequence[Slice]) -> list[Answer]:
        """Answers for slices, a batch at a time."""
        parts = (slices[start : start + BATCH] for start in range(0, len(slices), BATCH))
        return [answer for part in parts for answer in self.classifier.answers(part)]


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "run", type=Path, nargs="?", help="Folder of a cross-validation, with fold-N inside."
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--per-kind", type=int, default=75, help="Of each kind, for each fold.")
    parser.add_argument("--processes", type=int, default=1, help="Folds measured at a time.")
    parser.add_argument("--without", action="append", default=[], metavar="CLASS=RUN/fold-N")
    given = parser.parse_args()
    report: dict[str, Any] = {"kinds": {}}
    if given.run is not None:
        folds = [p.resolve() for p in given.run.glob("fold-*") if (p / "bundle").is_dir()]
        report |= _ood(sorted(folds), given.per_kind, given.processes)
    report["unseen_class"] = {
        name: _unseen(name, Path(path).resolve())
        for name, path in (text.split("=", 1) for text in given.without)
    }
    given.out.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    print(json.dumps({k: v for k, v in report.items() if k != "kinds"}, indent=2))
    for name, row in sorted(report["kinds"].items(), key=lambda item: -item[1]["accepted"]):
        print(f"{name:<22} half {row['half']}  {row['n']:>5}  accepted {row['accepted']:.4f}")


def _ood(folds: Sequence[Path], per_kind: int, processes: int) -> dict[str, Any]:
    kinds: dict[str, list[Outcome]] = defaultdict(list)
    real: list[PredictionTable] = []
    others = [[other for other in folds if other != fold] for fold in folds]
    with ProcessPoolExecutor(max_workers=processes) as pool:
        seeds = range(SEED + 1, SEED + 1 + len(folds))  # other pictures in every fold
        for found, tables in pool.map(_one_fold, folds, others, [per_kind] * len(folds), seeds):
            real += tables
            for name, rows in found.items():
                kinds[name] += rows
    views = {kind.name for kind in kinds_of("report only")}
    made = {name: rows for name, rows in kinds.items() if name not in views}
    return {
        "real": _real_figures(real),
        "never_fitted": _totals(made),
        "report_only": _totals({name: kinds[name] for name in views}),
        "kinds": _by_kind(kinds),
    }


def _one_fold(
    folder: Path, others: Sequence[Path], per_kind: int, seed: int
) -> tuple[dict[str, list[Outcome]], list[PredictionTable]]:
    """Outcomes by kind, and its held-out slices decided under each half."""
    config, manifest, classifier = _loaded(folder)
    test = manifest.subset("test").rows
    slices = [read_slice(manifest.resolve(row)) for row in test]
    donors = [slices[i] for i in np.random.default_rng(SEED).permutation(len(slices))[:100]]
    train, validation, held_out = (
        evidence_of(classifier, load_split(config, manifest, split))
        for split in ("train", "val", "test")
    )
    trust = train.trust_reference(classifier.bundle.classes, SEED)
    table = held_out.table(classifier, trust)
    kinds: dict[str, list[Outcome]] = defaultdict(list)
    real = []
    rule = rule_of_folds(others, classifier.bundle.negative_class, config.bundle)
    drawn_from = donors_of(manifest.subset("val"), SEED)
    models = {
        half: _fit(
            classifier,
            rule,
            (validation.seen, train.seen),
            trust,
            kinds_of(half),
            drawn_from,
            config.bundle,
        )
        for half in ("A", "B")
    }  # the same graph and rule, with limits fitted on each half of the kinds
    for half, model in models.items():
        real.append(_decided(table, model, model.verdicts(slices)))
        other = "B" if half == "A" else "A"
        # Real things are few and never fitted on: once is enough.
        unseen = [*kinds_of(other), *(kinds_of("report only") if half == "A" else [])]
        for kind in _shown(unseen, f"{folder.name}: images of half {other}"):
            pictures = list(ood_slices(kind.name, per_kind, seed, donors))
            kinds[kind.name] += model.verdicts(pictures)
    return kinds, real


def _loaded(folder: Path) -> tuple[RunConfig, Manifest, Classifier]:
    bundle = load_bundle(folder / "bundle")
    bare = replace(bundle, info=bundle.info.model_copy(update={"decision": DecisionRule()}))
    config = load_config(folder / CONFIG_NAME)
    return config, Manifest.read(folder / "manifest.csv"), Classifier(bare)


def _fit(
    classifier: Classifier,
    rule: DecisionRule,
    seen: tuple[Seen, Seen],
    trust: TrustReference,
    kinds: Sequence[Kind],
    donors: Sequence[Slice],
    settings: BundleConfig,
) -> Fitted:
    refusal, (real, known) = settings.refusal, seen
    images = ood_evidence(classifier, kinds, donors, refusal.per_kind, SEED)
    scores = cross_scores(real, images, known, seed=SEED)
    names = [kind.name for kind in kinds]
    limits = limits_of(scores, real.kinds, names, refusal.reviewed, refusal.rejected)
    complete = rule.model_copy(update={"out_of_distribution": limits})
    bundle = classifier.bundle
    info = bundle.info.model_copy(update={"decision": complete})
    fitted = {
        OOD_NAME: fit_ood_detector(real, images, known).to_bytes(),
        TRUST_NAME: trust.to_bytes(),
    }
    files = {**bundle.files, **fitted}
    return Fitted(Classifier(replace(bundle, info=info, files=files)))


def _decided(table: PredictionTable, model: Fitted, found: Sequence[Outcome]) -> PredictionTable:
    return replace(
        table.decided(model.rule),
        verdicts=np.array([str(verdict) for verdict, _, _ in found]),
        reasons=np.array([JOINT.join(reasons) for _, reasons, _ in found]),
    )


def _real_figures(real: Sequence[PredictionTable]) -> dict[str, Any]:
    """Of the held-out folds: each slice once for each half of kinds."""
    table = pooled(real)
    accepted, rejected = table.verdicts == "accept", table.verdicts == "reject"
    right, groups = table.predicted == table.targets, table.groups
    refused = np.array([bool(GATES & set(text.split(JOINT))) for text in table.reasons])
    quantities = {
        ("refused_as_ood",): share_of(refused),
        ("rejected",): share_of(rejected),
        ("accepted",): share_of(accepted),
        ("accuracy_of_accepted",): share_of(right, accepted),
        ("accuracy",): share_of(right),
    }
    found = group_intervals(quantities, groups, groups, Bootstrap())
    figures = {key[0]: value.as_json() for key, value in found.items()}
    return {"n": len(groups) // 2, "groups": len(set(groups.tolist())), **figures}


def _totals(kinds: dict[str, list[Outcome]]) -> dict[str, Any]:
    """Over all pictures; intervals resample families of kinds, which pictures of a kind are not."""
    names = [name for name, rows in kinds.items() for _ in rows]
    families = np.array([KINDS[name].family for name in names])
    outcomes = [outcome for rows in kinds.values() for outcome in rows]
    accepted = np.array([verdict is Verdict.ACCEPT for verdict, _, _ in outcomes])
    rejected = np.array([verdict is Verdict.REJECT for verdict, _, _ in outcomes])
    typed = accepted & np.array([label != NO_TUMOR for _, _, label in outcomes])
    quantities = {
        ("not_accepted",): share_of(~accepted),
        ("rejected",): share_of(rejected),
        ("accepted_as_a_tumor_type",): share_of(typed),
    }
    found = group_intervals(quantities, families, families, Bootstrap())
    good = sum(np.mean(accepted[np.array(names) == name]) <= 0.01 for name in kinds)
    return {
        "n": len(outcomes),
        "kinds": len(kinds),
        "families": len(set(families.tolist())),
        "kinds_with_99_percent": int(good),
        **{key[0]: value.as_json() for key, value in found.items()},
    }


def _by_kind(kinds: dict[str, list[Outcome]]) -> dict[str, Any]:
    halves = {kind.name: kind.half for kind in KINDS.values()}
    return {
        name: {
            "half": halves[name],
            "n": len(rows),
            "accepted": float(np.mean([v is Verdict.ACCEPT for v, _, _ in rows])),
            "rejected": float(np.mean([v is Verdict.REJECT for v, _, _ in rows])),
        }
        for name, rows in kinds.items()
    }


def _unseen(name: str, folder: Path) -> dict[str, Any]:
    """Slices of a class that a model was trained without, by a rule fitted on its held-out fold.

    The manifest beside the fold is without the class; the slices come from the one the other folds
    were made from, named by `four_class.csv` beside the runs.
    """
    config, manifest, classifier = _loaded(folder)
    everything = Manifest.read(folder.parents[1] / "four_class.csv")
    rows = [row for row in everything.rows if row.label == name]
    train, validation, test = (
        evidence_of(classifier, load_split(config, manifest, split))
        for split in ("train", "val", "test")
    )
    trust = train.trust_reference(classifier.bundle.classes, SEED)
    rule = fit_decision(test.table(classifier, trust), "its held-out groups", config.bundle)
    donors = donors_of(manifest.subset("val"), SEED)
    seen = (validation.seen, train.seen)
    model = _fit(classifier, rule, seen, trust, kinds_of(), donors, config.bundle)
    slices = [read_slice(everything.resolve(row)) for row in _shown(rows, f"Reading {name}")]
    found = model.answers(slices)
    accepted = np.array([answer.prediction.decision is Verdict.ACCEPT for answer in found])
    typed = accepted & np.array([answer.prediction.label != NO_TUMOR for answer in found])
    groups = np.array([row.group for row in rows])
    held_out = manifest.subset("test").rows
    fitted_on = model.answers([read_slice(manifest.resolve(row)) for row in held_out])
    kept = np.mean([answer.prediction.decision is Verdict.ACCEPT for answer in fitted_on])
    quantities = {
        ("accepted",): share_of(accepted),
        ("accepted_as_a_tumor_type",): share_of(typed),
    }
    intervals = group_intervals(quantities, groups, groups, Bootstrap())
    return {
        "n": len(rows),
        "groups": len(set(groups.tolist())),
        **{key[0]: value.as_json() for key, value in intervals.items()},
        "accepted_of_the_slices_it_was_fitted_on": {"n": len(held_out), "value": float(kept)},
        "kept_where_half_of_the_known_are": {
            score: float(np.mean(of_new >= np.median(of_known)))
            for (score, of_known), of_new in zip(
                _sureness(fitted_on).items(), _sureness(found).values(), strict=True
            )
        },
    }


def _sureness(answers: Sequence[Answer]) -> dict[str, Floats]:
    """Trust and confidence of each answer."""
    said = [answer.prediction for answer in answers]
    places = [list(one.probabilities).index(one.label) for one in said]
    distances = np.array([answer.distances for answer in answers])
    return {
        "trust": trust_scores(distances, places),
        "confidence": np.array([one.confidence for one in said]),
    }


def _shown(items: Sequence[Any], text: str) -> Iterable[Any]:
    return track(items, text, console=Console(stderr=True), transient=True)


if __name__ == "__main__":
    main()
