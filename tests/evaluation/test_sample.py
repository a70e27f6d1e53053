"""A sample: all classes alike, every group before any group twice, the same for the same seed."""

from __future__ import annotations

from collections import Counter

import pytest

from slicewise.data.manifest import ManifestRow
from slicewise.errors import ConfigError, EvaluationError
from slicewise.evaluation.sample import require_places, sample_rows


def rows_of(sizes: dict[str, list[int]]) -> list[ManifestRow]:
    """Rows by class: one group of each size."""
    return [
        ManifestRow(f"{label}{g}_{i}.png", label, "s", "", f"{label}{g}", "test", "0" * 64, 9, 9)
        for label, groups in sizes.items()
        for g, size in enumerate(groups)
        for i in range(size)
    ]


def test_classes_share_the_places() -> None:
    rows = rows_of({"a": [40, 60], "b": [30] * 5, "c": [3, 2]})
    found = Counter(row.label for row in sample_rows(rows, 65, 0))
    assert found == {"c": 5, "a": 30, "b": 30}  # what the small class leaves goes to the others


def test_every_group_speaks_before_any_speaks_often() -> None:
    rows = rows_of({"a": [50, 2, 20, 1]})
    found = Counter(row.group for row in sample_rows(rows, 9, 1))
    assert found == {"a0": 3, "a1": 2, "a2": 3, "a3": 1}


def test_order_and_seed() -> None:
    rows = rows_of({"a": [9, 9], "b": [9]})
    first = sample_rows(rows, 8, 5)
    assert first == sample_rows(rows, 8, 5)
    assert first != sample_rows(rows, 8, 6)
    assert [rows.index(row) for row in first] == sorted(rows.index(row) for row in first)
    assert sample_rows(rows, 100, 0) == rows


def test_refuses_too_few_places() -> None:
    with pytest.raises(EvaluationError, match="limit of at least 2, one a class; got 3 rows and 1"):
        sample_rows(rows_of({"a": [1], "b": [2]}), 1, 0)
    with pytest.raises(EvaluationError, match="got 0 rows"):
        sample_rows([], 5, 0)


def test_fewer_places_than_classes_are_refused_with_their_names() -> None:
    rows = rows_of({"a": [1], "b": [1]})
    require_places(2, rows)
    with pytest.raises(ConfigError, match=r"--limit 1: expected at least 2, .* \(a, b\)"):
        require_places(1, rows)
