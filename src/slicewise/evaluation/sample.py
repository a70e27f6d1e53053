"""A limited sample of a manifest: all classes alike, as many groups as there are places."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np

from slicewise.data.manifest import ManifestRow
from slicewise.errors import ConfigError, EvaluationError


def sample_rows(rows: Sequence[ManifestRow], limit: int, seed: int) -> list[ManifestRow]:
    """At most `limit` rows in their order, about as many of each class, spread over all groups.

    The groups of a class take turns to give a random row: slices of one group resemble each other,
    so this tells more than as many rows from few groups, and intervals stay valid.

    Raises:
        EvaluationError: If there is no row, or fewer places than classes.
    """
    labels = {row.label for row in rows}
    if not rows or limit < len(labels):
        raise EvaluationError(
            f"sample: expected rows and a limit of at least {max(1, len(labels))}, one a class; "
            f"got {len(rows)} rows and {limit}"
        )
    rng = np.random.default_rng(seed)
    turns = {label: _turns(rows, label, rng) for label in sorted(labels)}
    chosen: list[int] = []
    for k, label in enumerate(sorted(turns, key=lambda name: len(turns[name]))):
        chosen += turns[label][: (limit - len(chosen)) // (len(turns) - k)]
    return [rows[index] for index in sorted(chosen)]


def require_places(limit: int, rows: Sequence[ManifestRow]) -> None:
    """Refuse before long work a sample with fewer places than the rows have classes.

    Raises:
        ConfigError: Names the classes.
    """
    classes = sorted({row.label for row in rows})
    if limit < len(classes):
        raise ConfigError(
            f"--limit {limit}: expected at least {len(classes)}, a slice of each class "
            f"({', '.join(classes)})"
        )


def _turns(rows: Sequence[ManifestRow], label: str, rng: np.random.Generator) -> list[int]:
    """Indices of the rows of a class: one of each group, then another of each group, and so on."""
    members: dict[str, list[int]] = {}
    for index in rng.permutation(len(rows)).tolist():
        if rows[index].label == label:
            members.setdefault(rows[index].group, []).append(index)
    return [i for turn in zip_longest(*members.values()) for i in turn if i is not None]
