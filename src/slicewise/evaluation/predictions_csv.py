"""A prediction table as a CSV file, one row a slice."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from slicewise.errors import EvaluationError
from slicewise.evaluation.checks import Floats
from slicewise.evaluation.predictions import PredictionTable

LOGIT = "logit_"
REQUIRED = ("path", "label", "source", "group", "temperature", "threshold")


def write_predictions(
    table: PredictionTable, path: Path, seen: Collection[str] = frozenset()
) -> None:
    """Write path, label, source, group, logits, calibrated probabilities and what follows of them.

    Logits are written so that reading gives the same float32 again. `tumor_probability` is empty
    for a task without a negative class, `temperature` and `threshold` where none was fitted.

    Args:
        table: What to write; embeddings are left out.
        path: The file; its folder must exist.
        seen: Paths of slices the model was trained on; their rows say so.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_header(table.classes))
        writer.writerows(_rows(table, seen))


def read_predictions(path: Path, negative_class: str | None) -> PredictionTable:
    """Read what `write_predictions` wrote; the probabilities are computed again from the logits.

    Args:
        path: The file.
        negative_class: The class that means no tumor, if the task has one; the file does not say.

    Raises:
        EvaluationError: If the file is missing, empty, or a column or a value is off.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise EvaluationError(
            f"{path}: expected a CSV file of predictions; got {problem}"
        ) from None
    if not rows:
        raise EvaluationError(f"{path}: expected rows of predictions; got none")
    classes = tuple(name.removeprefix(LOGIT) for name in rows[0] if name.startswith(LOGIT))
    missing = [name for name in REQUIRED if name not in rows[0]]
    if missing or not classes:
        raise EvaluationError(f"{path}: expected columns {REQUIRED} and logits; missing {missing}")
    try:
        return _table(rows, classes, negative_class)
    except (ValueError, TypeError) as problem:
        raise EvaluationError(f"{path}: expected numbers and known labels; {problem}") from None


def _header(classes: tuple[str, ...]) -> list[str]:
    return [
        *("path", "label", "source", "group"),
        *(f"{LOGIT}{name}" for name in classes),
        *(f"p_{name}" for name in classes),
        *("predicted", "correct", "tumor_probability", "temperature", "threshold", "seen"),
    ]


def _rows(table: PredictionTable, seen: Collection[str]) -> Iterator[list[str]]:
    probabilities, predicted, labels = table.probabilities(), table.predicted, table.labels
    tumor = None if table.negative_class is None else table.tumor_probability()
    for i in range(table.n):
        yield [
            *(str(table.paths[i]), str(labels[i]), str(table.sources[i]), str(table.groups[i])),
            *(str(value) for value in table.logits[i]),
            *(f"{value:.6f}" for value in probabilities[i]),
            table.classes[predicted[i]],
            "yes" if predicted[i] == table.targets[i] else "no",
            "" if tumor is None else f"{tumor[i]:.6f}",
            _cell(table.temperatures, i),
            _cell(table.thresholds, i),
            "yes" if str(table.paths[i]) in seen else "no",
        ]


def _cell(column: Floats | None, row: int) -> str:
    return "" if column is None else repr(float(column[row]))


def _table(
    rows: list[dict[str, str]], classes: tuple[str, ...], negative_class: str | None
) -> PredictionTable:
    return PredictionTable(
        classes=classes,
        negative_class=negative_class,
        logits=np.array([[row[LOGIT + name] for name in classes] for row in rows], np.float32),
        targets=np.array([classes.index(row["label"]) for row in rows], np.int64),
        groups=np.array([row["group"] for row in rows]),
        sources=np.array([row["source"] for row in rows]),
        paths=np.array([row["path"] for row in rows]),
        temperatures=_column(rows, "temperature"),
        thresholds=_column(rows, "threshold"),
    )


def _column(rows: list[dict[str, str]], name: str) -> Floats | None:
    if all(row[name] == "" for row in rows):
        return None
    return np.array([row[name] for row in rows], np.float64)
