"""The sections of every report: metrics by class and source, curves, decisions, mistakes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from slicewise.evaluation.sections.headlines import ACCURACY, CALIBRATION, TUMOR
from slicewise.evaluation.summary import CONFIDENT, confident_errors
from slicewise.inference.decision import REASON_TEXTS, Reason, Verdict
from slicewise.predictions.table import PredictionTable
from slicewise.reports.blocks import Section
from slicewise.text import cell_text, class_text, number_text, percent_text

Report = Mapping[str, Any]
Drawn = Callable[..., list[Path]]
"""Those of the named pictures that were drawn."""
MOST_ERRORS = 10
_CLASS_METRICS = ("precision", "sensitivity", "specificity", "f1", "auroc", "auprc")
_TITLES = {"f1": "F1", "auroc": "AUROC", "auprc": "AUPRC"}
_METRIC = ("metric", "value", "meaning")


def answer_sections(table: PredictionTable, report: Report, folder: Path | None) -> list[Section]:
    """All sections that need the answers alone; pictures are in `folder`, None without any."""

    def drawn(*names: str) -> list[Path]:
        return [folder / name for name in names if (folder / name).is_file()] if folder else []

    errors = _error_sections(table, report, drawn)
    return [*_class_sections(report, drawn), *_decision_sections(report, drawn), *errors]


def _class_sections(report: Report, drawn: Drawn) -> Iterator[Section]:
    averaged = ", ".join(class_text(name) for name in report["macro_over"])
    yield Section.of(
        "Each class",
        "Each class against all the others. Precision is the share of right ones among the slices "
        "answered with the class, sensitivity the share of its slices that were answered with it, "
        f"specificity the share of other slices that were not. Averages are over {averaged}.",
        ("class", "slices", "groups", *(_TITLES.get(name, name) for name in _CLASS_METRICS)),
        [
            (class_text(name), *_cells(entry, "n", "groups", *_CLASS_METRICS))
            for name, entry in report["per_class"].items()
        ],
        drawn("per_class_metrics.png"),
    )
    if report["tumor"]["auroc"]["value"] is not None or report["tumor"]["ppv"]["value"] is not None:
        rows = [(m.title.removeprefix("Tumor "), m.text(report), m.meaning) for m in TUMOR]
        pictures = drawn("threshold_sweep.png")
        yield Section.of("Tumor or no tumor", _tumor_text(report), _METRIC, rows, pictures)
    yield Section.of(
        "Each source",
        "Where classes come from different sources, a model can learn to tell the sources apart "
        "instead of the tumors. A source that holds one kind of slice only cannot show it.",
        (
            *("source", "slices", "groups", "classes", "accuracy", "balanced accuracy"),
            *("tumor sensitivity", "tumor specificity"),
        ),
        [
            (
                name,
                *_cells(entry, "n", "groups"),
                ", ".join(f"{class_text(k)} {n}" for k, n in entry["slices"].items() if n),
                *_cells(entry, "accuracy", "balanced_accuracy"),
                *_cells(entry["tumor"], "sensitivity", "specificity"),
            )
            for name, entry in report["per_source"].items()
        ],
    )
    if pictures := drawn("confusion_matrix.png", "confusion_matrix_binary.png"):
        yield Section.of(
            "What was answered for what",
            "Rows are true classes, columns answers; percentages are of the row. Of all "
            f"{report['n']} slices, {ACCURACY.text(report)} are on the diagonal. The second matrix "
            "joins all tumors and uses the threshold.",
            pictures=pictures,
        )
    if pictures := drawn("roc.png", "pr.png"):
        yield Section.of(
            "ROC and precision-recall",
            "Left: the share of a class that is found against the share of other slices taken for "
            "it, at every limit on its probability. Right: precision against the share found; a "
            "guess would have the prevalence named in the legend as its precision.",
            pictures=pictures,
        )
    yield Section.of(
        "Whether probabilities mean what they say",
        "Of answers given with a confidence of 80 %, 80 % should be right. Points below the "
        "diagonal are answers more confident than right. Each point holds about as many slices as "
        "the next.",
        _METRIC,
        [(metric.title, metric.text(report), metric.meaning) for metric in CALIBRATION],
        drawn("reliability.png"),
    )


def _tumor_text(report: Report) -> str:
    threshold, best = report["tumor"]["threshold"], report["threshold_sweep"]
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
            "shown to compare with: a threshold chosen on the slices it is measured on looks "
            "better than it is. Choose one on validation slices."
        )
    return text


def _decision_sections(report: Report, drawn: Drawn) -> Iterator[Section]:
    decisions, sets = report["decisions"], report["conformal"]
    counts, pictures = decisions["counts"], drawn("risk_coverage.png")
    text = (
        "The curve keeps the surest answers first and shows how many of those kept are wrong. By "
        f"{decisions['scored_by']} the area under it is "
        f"{cell_text(decisions['risk_coverage_area'])}; it would be the error rate if the score "
        "were random."
    )
    if counts is None:
        yield Section.of("Withholding answers", text, pictures=pictures)
    else:
        yield Section.of(
            "Accept, review, reject",
            "An answer is accepted by itself, sent to a person, or not given at all. Slices to "
            f"review or reject count in every other metric of this report. {text}",
            ("decision", "slices", "share", "accuracy within"),
            [
                (str(one), str(counts[one]), *_cells(decisions[one], "share", "accuracy"))
                for one in Verdict
            ],
            pictures,
        )
    if reasons := decisions["reasons"]:
        yield Section.of(
            "Why answers were not simply accepted",
            "A slice may have several reasons; some are remarks that decide nothing.",
            ("reason", "slices", "meaning"),
            [(reason, str(n), REASON_TEXTS[Reason(reason)]) for reason, n in reasons.items()],
        )
    if sets["coverage"]["value"] is not None:
        aim = ""
        if sets["promised"] is not None:
            aim = f" They aim at {percent_text(sets['promised'])} or more."
        yield Section.of(
            "Prediction sets",
            "The set holds every class that stays possible. Coverage is how often the true class "
            f"is among them.{aim} {cell_text(sets['single'])} of the sets hold one class only. The "
            "promise holds for slices like those the sets were fitted on.",
            ("true class", "coverage", "mean size"),
            [
                (class_text(name), *_cells(entry, "coverage", "set_size"))
                for name, entry in {"all": sets, **sets["per_class"]}.items()
            ],
        )


def _error_sections(table: PredictionTable, report: Report, drawn: Drawn) -> Iterator[Section]:
    """Errors; paths of slices stand in the last section and in `predictions.csv` only."""
    yield Section.of(
        "How sure right and wrong answers are",
        "Wrong answers should be less confident than right ones.",
        ("answers", "slices", "10th percentile", "median", "90th percentile", f"from {CONFIDENT}"),
        [
            (name, *_cells(entry, "n", "p10", "p50", "p90", "confident"))
            for name, entry in report["error_analysis"]["confidence"].items()
        ],
        drawn("confidence.png"),
    )
    pairs = report["error_analysis"]["mistakes"]
    yield Section.of(
        "Which mistakes are made",
        "The most frequent first." if pairs else "No slice was answered wrong.",
        (
            *("mistake", "slices", "groups", "of the true class", "median confidence"),
            *(f"from {CONFIDENT}", "sources"),
        ),
        [
            (
                f"{class_text(pair['true'])}, answered {class_text(pair['answered'])}",
                *_cells(pair, "n", "groups"),
                percent_text(pair["share_of_true"]),
                *_cells(pair, "median_confidence", "confident"),
                ", ".join(f"{source} {count}" for source, count in pair["sources"].items()),
            )
            for pair in pairs
        ],
    )
    confidence, predicted = table.confidence, table.predicted
    worst = [
        (
            str(table.paths[i]),
            str(table.sources[i]),
            class_text(str(table.labels[i])),
            class_text(table.classes[predicted[i]]),
            number_text(float(confidence[i])),
            "-" if table.verdicts is None else str(table.verdicts[i]),
        )
        for i in confident_errors(table, MOST_ERRORS)
    ]
    if worst:
        yield Section.of(
            "The most confident wrong answers",
            "Worth a look one by one. All answers are in predictions.csv.",
            ("slice", "source", "true", "answered", "confidence", "decision"),
            worst,
        )


def _cells(entry: Mapping[str, Any], *names: str) -> Iterator[str]:
    """Counts, numbers, and estimates with their interval; a dash where there is none."""
    for value in map(entry.__getitem__, names):
        if isinstance(value, Mapping):
            yield cell_text(value)
        elif isinstance(value, float):
            yield number_text(value)
        else:
            yield "-" if value is None else str(value)
