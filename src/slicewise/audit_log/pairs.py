"""Main and shadow on the same slices: where they agree, how far apart they are, who was right."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, select

from slicewise.audit_log.arms import CHANGED, Model, last_words, streamed
from slicewise.audit_log.reading import Span
from slicewise.audit_log.shares import Shares
from slicewise.audit_log.tables import PREDICTIONS

RIGHT = {
    (True, True): "both",
    (True, False): "main_only",
    (False, True): "shadow_only",
    (False, False): "neither",
}
"""Who was right, by whether main and whether the shadow was."""

_SAME = {True: "same", False: "other"}


@dataclass(slots=True)
class PairFigures:
    """Answers of main and shadow to the same slices.

    Args:
        labels: Whether the labels are the same, over inputs.
        decisions: Whether the decisions are.
        flags: Whether the tumor flags are, where both have one.
        exchanged: How often main said the one and the shadow the other label.
        gap_sum: Sum over pairs of the largest difference of a class probability.
        gap_most: The largest of all.
        truth: Pairs by who was right, where feedback says what is right.
    """

    labels: Shares = field(default_factory=Shares)
    decisions: Shares = field(default_factory=Shares)
    flags: Shares = field(default_factory=Shares)
    exchanged: Counter[tuple[str, str]] = field(default_factory=Counter)
    gap_sum: float = 0.0
    gap_most: float = 0.0
    truth: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        """All figures by name."""
        shares = {"label": self.labels, "decision": self.decisions, "tumor_flag": self.flags}
        return {
            "pairs": self.labels.total,
            "inputs": self.labels.inputs,
            "same": {name: _share(table) for name, table in shares.items()},
            "probability_gap": {"mean": self.gap_sum / self.labels.total, "max": self.gap_most},
            "exchanged": [
                {"main": main, "shadow": shadow, "count": count}
                for (main, shadow), count in self.exchanged.most_common()
            ],
            "right": {name: self.truth[name] for name in RIGHT.values()},
        }


def figures_of_pairs(connection: Connection, span: Span) -> dict[tuple[Model, Model], PairFigures]:
    """Figures of each main model with each shadow that ran beside it.

    Args:
        connection: Within a transaction that sees one state.
        span: Which shadow answers; those of main are looked for at any time.

    Raises:
        AuditError: If a row was changed so that it makes no sense.
    """
    found: dict[tuple[Model, Model], PairFigures] = {}
    rows = _pairs(connection, span)
    for (models, _), of_input in groupby(rows, key=lambda row: (_models(row), row[8])):
        _count(found.setdefault(models, PairFigures()), list(of_input))
    return found


def _pairs(connection: Connection, span: Span) -> Iterator[tuple[Any, ...]]:
    main, shadow = PREDICTIONS.alias("main"), PREDICTIONS.alias("shadow")
    words = last_words()
    models = [
        table.c[name]
        for table in (main, shadow)
        for name in ("arm", "bundle_name", "bundle_version", "bundle_sha256")
    ]
    answers = [
        table.c[name]
        for name in ("label", "decision", "tumor_flag", "probabilities")
        for table in (main, shadow)
    ]
    query = (
        select(*models, main.c.input_sha256, *answers, words.c.agree, words.c.label)
        .select_from(shadow.join(main, main.c.id == shadow.c.shadow_of))
        .outerjoin(words, words.c.prediction_id == main.c.id)
        .where(*span.conditions(shadow))
    )
    return streamed(connection, query.order_by(*models, main.c.input_sha256))


def _models(row: tuple[Any, ...]) -> tuple[Model, Model]:
    return Model(*row[:4]), Model(*row[4:8])


def _count(figures: PairFigures, rows: list[tuple[Any, ...]]) -> None:
    """Add the pairs of one input."""
    same: dict[str, Counter[str]] = {name: Counter() for name in ("label", "decision", "flag")}
    for row in rows:
        label, other_label, decision, other_decision, flag, other_flag = row[9:15]
        same["label"][_SAME[label == other_label]] += 1
        same["decision"][_SAME[decision == other_decision]] += 1
        if flag is not None and other_flag is not None:
            same["flag"][_SAME[flag == other_flag]] += 1
        if label != other_label:
            figures.exchanged[label, other_label] += 1
        _add_gap(figures, row[15], row[16])
        _add_truth(figures, label, other_label, row[17], row[18])
    figures.labels.add(same["label"])
    figures.decisions.add(same["decision"])
    figures.flags.add(same["flag"])


def _add_gap(figures: PairFigures, main: str, shadow: str) -> None:
    try:
        ours, theirs = json.loads(main), json.loads(shadow)
        gap = max(abs(ours.get(name, 0.0) - theirs.get(name, 0.0)) for name in {*ours, *theirs})
    except (ValueError, TypeError, AttributeError):
        raise CHANGED from None
    figures.gap_sum += gap
    figures.gap_most = max(figures.gap_most, gap)


def _add_truth(
    figures: PairFigures, label: str, other_label: str, agree: bool | None, corrected: str | None
) -> None:
    """Count who was right, where the last word on main's answer says what is right."""
    right = label if agree else corrected
    if agree is not None and right is not None:
        figures.truth[RIGHT[label == right, other_label == right]] += 1


def _share(table: Shares) -> dict[str, float | None] | None:
    share = table.share(_SAME[True])
    return None if share is None else share.as_json()
