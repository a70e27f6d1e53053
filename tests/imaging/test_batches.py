"""Items come in lists of the size asked for, no earlier than they are asked for."""

from __future__ import annotations

import itertools

import pytest

from slicewise.imaging.batches import batched


@pytest.mark.parametrize(
    ("count", "sizes"), [(0, []), (1, [1]), (3, [3]), (4, [3, 1]), (9, [3, 3, 3])]
)
def test_all_items_in_order(count: int, sizes: list[int]) -> None:
    found = list(batched(range(count), 3))
    assert [len(batch) for batch in found] == sizes
    assert list(itertools.chain(*found)) == list(range(count))


def test_no_more_is_read_than_asked_for() -> None:
    source = itertools.count()
    assert next(batched(source, 4)) == [0, 1, 2, 3]
    assert next(source) == 4
