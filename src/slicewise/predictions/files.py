"""A prediction table as a CSV file, one row a slice."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import chain, compress
from pathlib import Path
from typing import Any

import numpy as np

from slicewise.arrays import Floats
from slicewise.delimited import number, read_delimited
from slicewise.errors import EvaluationError
from slicewise.files import write_csv
from slicewise.inference.decision import Verdict
from slicewise.predictions.table import JOINT, PredictionTable

LOGIT = "logit_"
BIAS = "bias_"
DISTANCE = "distance_"
REQUIRED = ("path", "label", "source", "group", "temperature", "threshold")
TOGETHER = ("decision", "reasons")


def write_predictions(
    table: PredictionTable, path: Path, seen: Collection[str] = frozenset()
) -> None:
    """Write path, label, source, group, logits, calibrated probabilities and what follows of them.

    Logits are written so that reading gives the same float32 again. `tumor_probability` is empty
    for a task without a negative class, `temperature` and `threshold` where none was fitted,
    `prediction_set` (classes joined by semicolons), `decision` and `reasons` where none were made.
    There are `bias_<class>` columns where biases were fitted, `distance_<class>` and `trust` where
    the model remembers training slices, and a column `answered` where the answer is not simply the
    most probable class.

    Args:
        path: The file; its folder must exist.
        seen: Paths of slices the model was trained on; their rows say so.
    """
    write_csv(path, chain([_header(table)], _rows(table, seen)))


def read_predictions(path: Path, negative_class: str | None) -> PredictionTable:
    """Read what `write_predictions` wrote; the probabilities are computed again from the logits.

    Args:
        negative_class: The class that means no tumor, if the task has one; the file does not say.

    Raises:
        EvaluationError: If the file is missing, empty, or a column, a row or a value is off.
    """
    try:
        rows = read_delimited(path).rows
    except OSError as problem:
        raise EvaluationError(
            f"{path}: expected a CSV file of predictions; got {problem}"
        ) from None
    except ValueError as problem:
        raise EvaluationError(str(problem)) from None
    if not rows:
        raise EvaluationError(f"{path}: expected rows of predictions; got none")
    classes = tuple(name.removeprefix(LOGIT) for name in rows[0] if name.startswith(LOGIT))
    missing = [name for name in REQUIRED if name not in rows[0]]
    if missing or not classes:
        raise EvaluationError(f"{path}: expected columns {REQUIRED} and logits; missing {missing}")
    _require_valid(path, rows, classes)
    try:
        return _table(rows, classes, negative_class)
    except (ValueError, TypeError) as problem:
        raise EvaluationError(f"{path}: expected numbers; {problem}") from None


def _require_valid(path: Path, rows: list[dict[str, str]], classes: tuple[str, ...]) -> None:
    """Refuse incomplete rows, unknown labels and decisions, and probabilities that are none."""
    given = [name for name in TOGETHER if name in rows[0]]
    if len(given) == 1:
        raise EvaluationError(f"{path}: expected the columns {TOGETHER} together; got {given}")
    decided = any(row.get("decision") for row in rows)
    known = {
        "label": classes,
        "answered": classes,
        "decision": tuple(map(str, Verdict)) if decided else ("",),
    }
    for place, row in enumerate(rows, start=1):
        where = f"{path}: row {place} below the header"
        for column, words in known.items():
            if column in row and row[column] not in words:
                raise EvaluationError(
                    f"{where}: {column}: expected one of {', '.join(words)}; got {row[column]!r}"
                )
        for column in (f"p_{name}" for name in classes):
            if column in row and not _is_share(row[column]):
                raise EvaluationError(
                    f"{where}: {column}: expected a number from 0 to 1; got {row[column]!r}"
                )


def _is_share(text: str) -> bool:
    try:
        return 0 <= number(text) <= 1
    except ValueError:
        return False


def _header(table: PredictionTable) -> list[str]:
    return [
        *("path", "label", "source", "group"),
        *(f"{LOGIT}{name}" for name in table.classes),
        *(f"p_{name}" for name in table.classes),
        *("predicted", "correct", "tumor_probability", "temperature", "threshold"),
        *(f"{BIAS}{name}" for name in table.classes if table.biases is not None),
        *(f"{DISTANCE}{name}" for name in table.classes if table.class_distances is not None),
        *(("trust",) if table.class_distances is not None else ()),
        *(("answered",) if table.answered is not None else ()),
        *("prediction_set", "decision", "reasons", "seen"),
    ]


def _rows(table: PredictionTable, seen: Collection[str]) -> Iterator[list[str]]:
    probabilities, predicted, labels = table.probabilities(), table.predicted, table.labels
    tumor = None if table.negative_class is None else table.tumor_probability()
    trust = table.trust
    for i in range(table.n):
        yield [
            *(str(table.paths[i]), str(labels[i]), str(table.sources[i]), str(table.groups[i])),
            *(str(value) for value in table.logits[i]),
            *(f"{value:.6f}" for value in probabilities[i]),
            table.classes[predicted[i]],
            "yes" if predicted[i] == table.targets[i] else "no",
            "" if tumor is None else f"{tumor[i]:.6f}",
            *(_numbers(table.temperatures, i) or [""]),
            *(_numbers(table.thresholds, i) or [""]),
            *_numbers(table.biases, i),
            *_numbers(table.class_distances, i),
            *(() if trust is None else (f"{trust[i]:.6f}",)),
            *(() if table.answered is None else (table.classes[table.answered[i]],)),
            "" if table.sets is None else JOINT.join(compress(table.classes, table.sets[i])),
            "" if table.verdicts is None else str(table.verdicts[i]),
            "" if table.reasons is None else str(table.reasons[i]),
            "yes" if str(table.paths[i]) in seen else "no",
        ]


def _numbers(column: Floats | None, row: int) -> list[str]:
    return [] if column is None else [repr(float(value)) for value in np.atleast_1d(column[row])]


def _table(
    rows: list[dict[str, str]], classes: tuple[str, ...], negative_class: str | None
) -> PredictionTable:
    def column(name: str, dtype: type = str, beside: str | None = None) -> Any:
        """None where it (or the one beside it, which is never empty) is empty in all rows."""
        if all(row.get(beside or name, "") == "" for row in rows):
            return None
        values = [row[name] for row in rows]
        return np.array([*map(number, values)] if dtype is float else values)

    def by_class(prefix: str) -> Any:
        given = [prefix + name for name in classes if prefix + name in rows[0]]
        if given and len(given) < len(classes):
            raise ValueError(f"{prefix}<class>: expected a column for each class; got {given}")
        return np.array([[number(row[name]) for name in given] for row in rows]) if given else None

    sets, answered = column("prediction_set"), column("answered")
    return PredictionTable(
        classes=classes,
        negative_class=negative_class,
        logits=np.array(by_class(LOGIT), np.float32),
        targets=np.array([classes.index(row["label"]) for row in rows], np.int64),
        groups=np.array([row["group"] for row in rows]),
        sources=np.array([row["source"] for row in rows]),
        paths=np.array([row["path"] for row in rows]),
        temperatures=column("temperature", float),
        thresholds=column("threshold", float),
        biases=by_class(BIAS),
        verdicts=column("decision"),
        reasons=column("reasons", beside="decision"),
        sets=None if sets is None else np.array([np.isin(classes, s.split(JOINT)) for s in sets]),
        answered=None if answered is None else np.array([*map(classes.index, answered)], np.int64),
        class_distances=by_class(DISTANCE),
    )
