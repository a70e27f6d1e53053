"""What a model answered for every slice of a split: the one input of all evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slicewise.arrays import Bools, Floats, Ints, Strings
from slicewise.errors import EvaluationError
from slicewise.inference.decision import probabilities_of, threshold_of
from slicewise.inference.rule import DecisionRule
from slicewise.inference.trust import trust_scores
from slicewise.stats.checks import require_matrix, require_targets

JOINT = ";"  # between the reasons of one slice


@dataclass(frozen=True, slots=True, eq=False)
class PredictionTable:
    """Logits of slices whose class is known; every array has one row a slice.

    Temperature and threshold stand beside each row, because pooled tables hold the answers of
    several models, each with its own.

    Args:
        classes: Class names, in the order of the logits.
        negative_class: The class that means no tumor, if the task has one.
        logits: (N, K) float32, before the temperature.
        targets: (N,) true class indices.
        groups: (N,) leak-free unit of each slice; intervals resample these.
        sources: (N,) data set each slice came from.
        paths: (N,) what to call each slice.
        temperatures: (N,) positive; None where none was fitted, and 1 is used.
        thresholds: (N,) on the tumor probability; None where none was fitted.
        biases: (N, K) added to logits / temperature; None where none were fitted.
        verdicts: (N,) accept, review or reject; None where no decisions were made.
        reasons: (N,) reasons of each verdict, joined by semicolons.
        sets: (N, K) whether a class is in the prediction set; None where none was fitted.
        answered: (N,) index of the class that was answered, where that is not simply the most
            probable one: classes were joined after the model had answered.
        class_distances: (N, K) to the training slices of each class; None where there are none.
    """

    classes: tuple[str, ...]
    negative_class: str | None
    logits: NDArray[np.float32]
    targets: Ints
    groups: Strings
    sources: Strings
    paths: Strings
    temperatures: Floats | None = None
    thresholds: Floats | None = None
    biases: Floats | None = None
    verdicts: Strings | None = None
    reasons: Strings | None = None
    sets: Bools | None = None
    answered: Ints | None = None
    class_distances: Floats | None = None

    def __post_init__(self) -> None:
        """Raise an EvaluationError where columns do not fit each other."""
        n, k = require_matrix("logits", self.logits).shape
        if k != len(self.classes) or len(set(self.classes)) != k:
            raise EvaluationError(f"classes: expected {k} different names; got {self.classes}")
        if self.negative_class is not None and self.negative_class not in self.classes:
            raise EvaluationError(
                f"negative_class: expected one of {self.classes}; got {self.negative_class}"
            )
        require_targets(self.targets, n, k)
        by_class = ("biases", "sets", "class_distances")
        for name in _COLUMNS[2:]:
            column, shape = getattr(self, name), (n, k) if name in by_class else (n,)
            if column is not None and column.shape != shape:
                raise EvaluationError(f"{name}: expected shape {shape}; got {column.shape}")
        if self.answered is not None and not np.isin(self.answered, np.arange(k)).all():
            raise EvaluationError(f"answered: expected class indices in [0, {k}); got others")
        if self.temperatures is not None and not (self.temperatures > 0).all():
            raise EvaluationError("temperatures: expected positive numbers; got others")
        if self.class_distances is not None and not (self.class_distances >= 0).all():
            raise EvaluationError("class_distances: expected numbers of 0 or more; got others")

    @property
    def n(self) -> int:
        """Number of slices."""
        return int(self.targets.size)

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return int(np.unique(self.groups).size)

    @property
    def labels(self) -> Strings:
        """True class names, (N,)."""
        return np.array(self.classes)[self.targets]

    @property
    def predicted(self) -> Ints:
        """Index of the answered class, (N,): the most probable one unless `answered` says else."""
        if self.answered is not None:
            return self.answered
        return np.asarray(np.argmax(self.probabilities(), axis=1), dtype=np.int64)

    @property
    def confidence(self) -> Floats:
        """Calibrated probability of the answered class, (N,) float64."""
        return np.asarray(self.probabilities()[np.arange(self.n), self.predicted])

    @property
    def trust(self) -> Floats | None:
        """Trust score of the answered class, (N,) float64; None without class_distances."""
        distances = self.class_distances
        return None if distances is None else trust_scores(distances, self.predicted)

    @property
    def scored_by(self) -> str:
        """Which score says how sure an answer is: trust where there are class_distances."""
        return "confidence" if self.class_distances is None else "trust"

    @property
    def sureness(self) -> Floats:
        """That score, (N,) float64."""
        trust = self.trust
        return self.confidence if trust is None else trust

    def probabilities(self) -> Floats:
        """Calibrated probabilities, (N, K) float64."""
        if self.temperatures is None:
            return probabilities_of(self.logits, None, self.biases)
        result = np.empty(self.logits.shape)
        for temperature in np.unique(self.temperatures):
            rows = self.temperatures == temperature
            bias = None if self.biases is None else self.biases[rows]
            result[rows] = probabilities_of(self.logits[rows], float(temperature), bias)
        return result

    def tumor_probability(self) -> Floats:
        """1 - calibrated probability of the negative class, (N,) float64.

        Raises:
            EvaluationError: If the task has no negative class.
        """
        return 1 - self.probabilities()[:, self._negative_index()]

    def is_tumor(self) -> Bools:
        """Whether the true class is another than the negative one, (N,).

        Raises:
            EvaluationError: If the task has no negative class.
        """
        return np.asarray(self.targets != self._negative_index(), dtype=np.bool_)

    def tumor_flag(self) -> Bools:
        """Whether the tumor probability reaches the threshold, (N,).

        Raises:
            EvaluationError: If the task has no negative class or no threshold was fitted.
        """
        scores = self.tumor_probability()
        if self.thresholds is None:
            raise EvaluationError("tumor flags need a threshold; none was fitted")
        return np.asarray(scores >= self.thresholds, dtype=np.bool_)

    def decided(self, rule: DecisionRule) -> PredictionTable:
        """The same logits under one decision rule, with the threshold the classifier would use.

        Verdicts, reasons and sets follow from a rule: those of the former one are dropped.

        Args:
            rule: Of the model that answered. Without an operating point its threshold is 0.5.

        Raises:
            EvaluationError: If the answers do not follow from the logits (see `answered`).
        """
        if self.answered is not None:
            raise EvaluationError("decided: expected logits of a model; got joined classes")
        temperature = rule.temperature
        threshold = threshold_of(rule, self.negative_class, None).value
        bias = rule.bias_of(self.classes)
        return replace(
            self,
            temperatures=None if temperature is None else np.full(self.n, temperature),
            thresholds=None if threshold is None else np.full(self.n, threshold),
            biases=None if bias is None else np.tile(bias, (self.n, 1)),
            verdicts=None,
            reasons=None,
            sets=None,
        )

    def take(self, rows: NDArray[np.int64] | Bools) -> PredictionTable:
        """Some of the rows, by index or by (N,) booleans."""
        columns = {name: getattr(self, name) for name in _COLUMNS}
        taken: dict[str, Any] = {n: None if c is None else c[rows] for n, c in columns.items()}
        return replace(self, **taken)

    def _negative_index(self) -> int:
        if self.negative_class is None:
            raise EvaluationError(f"a tumor score needs a negative class; got {self.classes}")
        return self.classes.index(self.negative_class)


_COLUMNS = tuple(field.name for field in fields(PredictionTable))[2:]
"""All but the classes: what has one row a slice."""
_FILLED: dict[str, Callable[[PredictionTable], Any]] = {
    "temperatures": lambda table: np.ones(table.n),
    "biases": lambda table: np.zeros(table.logits.shape),
    "answered": lambda table: table.predicted,
}
"""What a table may lack where others have it."""


def pooled(tables: Sequence[PredictionTable]) -> PredictionTable:
    """One table of several, such as the held-out predictions of every fold.

    Each row keeps the temperature and threshold of the model that answered it.

    Args:
        tables: At least one, all of the same task, all or none with thresholds and class_distances.

    Raises:
        EvaluationError: If there is none, their tasks differ, or only some have thresholds,
            decisions or class_distances.
    """
    if not tables:
        raise EvaluationError("tables: expected at least one to pool; got none")
    first = tables[0]
    for table in tables:
        if (table.classes, table.negative_class) != (first.classes, first.negative_class):
            raise EvaluationError(f"tables: expected the task {first.classes}; got {table.classes}")
    columns: dict[str, Any] = {}
    for name in _COLUMNS:
        own = [getattr(table, name) for table in tables]
        given = sum(column is not None for column in own)
        if given and name in _FILLED:
            own = [_FILLED[name](t) if c is None else c for t, c in zip(tables, own, strict=True)]
        elif 0 < given < len(tables):
            raise EvaluationError(
                f"{name}: expected all of {len(tables)} tables or none; got {given}"
            )
        columns[name] = np.concatenate(own) if given else None
    return PredictionTable(first.classes, first.negative_class, **columns)
