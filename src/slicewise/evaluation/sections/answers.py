"""The parts of every report: figures by class and source, curves, decisions, mistakes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slicewise.evaluation.sections.decisions import decision_chapters
from slicewise.evaluation.sections.headlines import ACCURACY, OVERALL, TUMOR
from slicewise.evaluation.sections.patterns import CONFIDENT, confident_errors
from slicewise.predictions.table import PredictionTable
from slicewise.reports.blocks import Section
from slicewise.text import cell_text, class_text, number_text, percent_text

Report = Mapping[str, Any]

MOST_ERRORS = 10
_CLASS_FIGURES = ("precision", "sensitivity", "specificity", "f1", "auroc", "auprc")
_TITLES = {
    "precision": "precision",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "f1": "F1",
    "auroc": "AUROC",
    "auprc": "AUPRC",
}


def chapters(table: PredictionTable, report: Report, folder: Path | None) -> list[Section]:
    """All parts that need nothing but the answers, in the order of the report.

    Args:
        table: What was answered.
        report: Its figures, as in `metrics.json`.
        folder: Where the pictures are; None where none were drawn.
    """
    parts = [
        _classes(report, folder),
        _tumor(report, folder),
        _sources(report),
        _confusion(report, folder),
        _curves(folder),
        _calibration(report, folder),
        *decision_chapters(report, pictures_in(folder, "risk_coverage.png")),
        _confidence(report, folder),
        _mistakes(report),
        _worst(table),
    ]
    return [part for part in parts if part is not None]


def pictures_in(folder: Path | None, *names: str) -> tuple[Path, ...]:
    """Those of the pictures that were drawn."""
    if folder is None:
        return ()
    return tuple(folder / name for name in names if (folder / name).is_file())


def _classes(report: Report, folder: Path | None) -> Section:
    rows = tuple(
        (
            class_text(name),
            str(entry["n"]),
            str(entry["groups"]),
            *(cell_text(entry[figure]) for figure in _CLASS_FIGURES),
        )
        for name, entry in report["per_class"].items()
    )
    averaged = ", ".join(class_text(name) for name in report["macro_over"])
    return Section(
        "Each class",
        "Each class against all the others. Precision is the share of right ones among the slices "
        "answered with the class, sensitivity the share of its slices that were answered with it, "
        f"specificity the share of other slices that were not. Averages are over {averaged}.",
        ("class", "slices", "groups", *_TITLES.values()),
        rows,
        pictures_in(folder, "per_class_metrics.png"),
    )


def _tumor(report: Report, folder: Path | None) -> Section | None:
    threshold, best = report["tumor"]["threshold"], report["threshold_sweep"]
    if report["tumor"]["auroc"]["value"] is None and report["tumor"]["ppv"]["value"] is None:
        return None
    limit = threshold["reason"]
    if threshold["value"] is not None:
        limit = f"{number_text(threshold['value'])} ({limit})"
    text = (
        "A slice is flagged where its tumor probability (1 minus that of the class without a "
        f"tumor) reaches the threshold: {limit}. PPV, NPV and AUPRC depend on how common tumors "
        "are among these slices, and do not carry over to a place where they are rarer."
    )
    if best["threshold"] is not None:
        text += (
            f"\n\nOn these very slices the largest sensitivity + specificity - 1 "
            f"({number_text(best['youden_j'])}) lies at {number_text(best['threshold'])}. It is "
            "told to compare with: a threshold chosen on the slices it is measured on looks better "
            "than it is. Choose one on validation slices."
        )
    rows = tuple(
        (figure.title.removeprefix("Tumor "), figure.text(report), figure.meaning)
        for figure in TUMOR
    )
    pictures = pictures_in(folder, "threshold_sweep.png")
    return Section("Tumor or no tumor", text, ("figure", "value", "meaning"), rows, pictures)


def _sources(report: Report) -> Section:
    rows = tuple(
        (
            name,
            str(entry["n"]),
            str(entry["groups"]),
            ", ".join(f"{class_text(k)} {n}" for k, n in entry["slices"].items() if n),
            cell_text(entry["accuracy"]),
            cell_text(entry["balanced_accuracy"]),
            cell_text(entry["tumor"]["sensitivity"]),
            cell_text(entry["tumor"]["specificity"]),
        )
        for name, entry in report["per_source"].items()
    )
    return Section(
        "Each source",
        "Where classes come from different sources, a model can learn to tell the sources apart "
        "instead of the tumors. A source that holds one kind of slice only cannot show it.",
        (
            "source", "slices", "groups", "classes", "accuracy", "balanced accuracy",
            "tumor sensitivity", "tumor specificity",
        ),
        rows,
    )  # fmt: skip


def _confusion(report: Report, folder: Path | None) -> Section | None:
    pictures = pictures_in(folder, "confusion_matrix.png", "confusion_matrix_binary.png")
    if not pictures:
        return None
    accuracy = ACCURACY.text(report)
    return Section(
        "What was answered for what",
        f"Rows are true classes, columns answers; percentages are of the row. Of all "
        f"{report['n']} slices, {accuracy} are on the diagonal. The second matrix joins all tumors "
        "and uses the threshold.",
        pictures=pictures,
    )


def _curves(folder: Path | None) -> Section | None:
    pictures = pictures_in(folder, "roc.png", "pr.png")
    if not pictures:
        return None
    return Section(
        "ROC and precision-recall",
        "Left: the share of a class that is found against the share of other slices taken for it, "
        "at every limit on its probability. Right: precision against the share found; a guess "
        "would have the prevalence named in the legend as its precision.",
        pictures=pictures,
    )


def _calibration(report: Report, folder: Path | None) -> Section:
    chosen = [figure for figure in OVERALL if figure.path[0] in {"ece", "brier"}]
    return Section(
        "Whether probabilities mean what they say",
        "Of answers given with a confidence of 80 %, 80 % should be right. Points below the "
        "diagonal are answers more confident than right. Each point holds about as many slices as "
        "the next.",
        ("figure", "value", "meaning"),
        tuple((figure.title, figure.text(report), figure.meaning) for figure in chosen),
        pictures_in(folder, "reliability.png"),
    )


def _confidence(report: Report, folder: Path | None) -> Section:
    spread = report["patterns"]["confidence"]
    rows = tuple(
        (
            name,
            str(entry["n"]),
            *("-" if entry[p] is None else number_text(entry[p]) for p in ("p10", "p50", "p90")),
            str(entry["confident"]),
        )
        for name, entry in spread.items()
    )
    return Section(
        "How sure right and wrong answers are",
        "Wrong answers should be less confident than right ones.",
        ("answers", "slices", "10th percentile", "median", "90th percentile", f"from {CONFIDENT}"),
        rows,
        pictures_in(folder, "confidence.png"),
    )


def _mistakes(report: Report) -> Section:
    rows = tuple(
        (
            f"{class_text(pair['true'])}, answered {class_text(pair['answered'])}",
            str(pair["n"]),
            str(pair["groups"]),
            percent_text(pair["share_of_true"]),
            number_text(pair["median_confidence"]),
            str(pair["confident"]),
            ", ".join(f"{source} {count}" for source, count in pair["sources"].items()),
        )
        for pair in report["patterns"]["mistakes"]
    )
    return Section(
        "Which mistakes are made",
        "The most frequent first." if rows else "No slice was answered wrong.",
        (
            "mistake", "slices", "groups", "of the true class", "median confidence",
            f"from {CONFIDENT}", "sources",
        ) if rows else (),
        rows,
    )  # fmt: skip


def _worst(table: PredictionTable) -> Section | None:
    """The most confident wrong answers; paths stand here and in `predictions.csv` only."""
    rows = confident_errors(table, MOST_ERRORS)
    if not rows.size:
        return None
    confidence, predicted, labels = table.confidence, table.predicted, table.labels
    return Section(
        "The most confident wrong answers",
        "Worth a look one by one. All answers are in predictions.csv.",
        ("slice", "source", "true", "answered", "confidence", "decision"),
        tuple(
            (
                str(table.paths[i]),
                str(table.sources[i]),
                class_text(str(labels[i])),
                class_text(table.classes[predicted[i]]),
                number_text(float(confidence[i])),
                "-" if table.verdicts is None else str(table.verdicts[i]),
            )
            for i in rows
        ),
    )
